"""What few messages have beside their body, sealed and forgotten with it."""

from msgspec import Struct, json

from hushwire.private import Private


class Extras(Struct, frozen=True, omit_defaults=True):
    """Kept as JSON in `Message.extras`. It may hold what is private: never logged."""

    tags: str | None = None  # Tags, as given
    max_price: str | None = None  # MaxPrice, where it is honoured
    media_urls: tuple[str, ...] = ()  # to be fetched before the message goes
    fallback: bool = False  # a long code tries when its short code fails

    def sealed(self) -> Private | None:
        """What `Message.extras` holds; None when there is nothing to keep."""
        return None if self == _NOTHING else Private(json.encode(self).decode())


_NOTHING = Extras()


def extras_of(held: Private | None) -> Extras:
    """The extras of a message."""
    return _NOTHING if held is None else json.decode(held.reveal(), type=Extras)
