"""Hushwire: a private-by-design messaging platform that speaks Twilio's Messaging API."""

__version__ = "0.1.0"
