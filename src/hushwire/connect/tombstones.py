"""What a backend says it forgot, for whoever keeps a copy: a Hushwire server has a list of it.

Twilio's cloud has none: there a message is known to be gone when it is not found any more.
"""

from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct, convert

from hushwire.connect.refused import Refused
from hushwire.connect.wire import Record, Wire

_PAGE: Final = "1000"
_NEWEST: Final = "newest"


class Tombstone(Struct, frozen=True):
    """What was forgotten of one message."""

    sid: str
    account_sid: str
    deleted_at: str  # ISO 8601, UTC
    forgotten: list[str]  # `message`: all of it; else `content`, `address`
    reason: str

    @property
    def is_whole(self) -> bool:
        return "message" in self.forgotten


class Page(Struct, frozen=True):
    """Some tombstones, oldest first, and the place to go on from."""

    tombstones: list[Tombstone]
    after: int
    more: bool


async def newest_place(wire: Wire, account_sid: str) -> int | None:
    """Where the list ends now; None where the backend has no such list."""
    if wire.is_cloud:
        return None
    try:
        return _page(await wire.get(_path(account_sid), {"After": _NEWEST})).after
    except Refused as problem:
        if problem.status == 404:  # something that speaks as Twilio does, and no more
            return None
        raise


async def pages_since(wire: Wire, account_sid: str, after: int) -> AsyncIterator[Page]:
    """What was forgotten since that place, of the account and its subaccounts."""
    more = True
    while more:
        asked = {"After": str(after), "PageSize": _PAGE}
        page = _page(await wire.get(_path(account_sid), asked))
        yield page
        after, more = page.after, page.more


def _path(account_sid: str) -> str:
    return f"/hushwire/v1/accounts/{account_sid}/tombstones"


def _page(record: Record) -> Page:
    return convert(record, Page)
