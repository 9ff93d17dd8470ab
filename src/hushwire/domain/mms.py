"""A message that is an MMS: its SID says so, it counts as one segment, its media are fetched."""

from collections.abc import Sequence

from msgspec.structs import replace

from hushwire.domain.extras import extras_of
from hushwire.domain.message import Message
from hushwire.private import Private

PREFIX = "MM"


def as_mms(message: Message, media_urls: Sequence[Private] = ()) -> Message:
    """A message about to be born, as an MMS with the files of these URLs."""
    extras = message.extras
    if media_urls:
        urls = tuple(url.reveal() for url in media_urls)
        extras = replace(extras_of(extras), media_urls=urls).sealed()
    return replace(
        message,
        sid=PREFIX + message.sid[len(PREFIX) :],
        segments=1,
        media=len(media_urls),
        extras=extras,
    )
