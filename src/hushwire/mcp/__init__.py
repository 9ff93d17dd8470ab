"""The door for agents: a server of the Model Context Protocol, made from the registry.

It reads. It sends only when it was told to, to recipients on a list, after a person said yes to
this very message, and so many times an hour.
"""
