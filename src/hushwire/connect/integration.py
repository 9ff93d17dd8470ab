"""What an integration tells of itself before anybody connects it."""

from msgspec import Struct


class Integration(Struct, frozen=True):
    """A product's view of the platform: its language, its actions, and what it needs."""

    view: str  # as its actions name it
    title: str
    version: str
    description: str
    actions: tuple[str, ...]  # by name, in the order of its document
    scopes: tuple[str, ...]  # that a connection for it must have, and needs no more than
    prerequisites: tuple[str, ...] = ()
