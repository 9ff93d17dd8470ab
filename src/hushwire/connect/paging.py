"""Lists of a backend, page after page, and the filters it says it applied."""

from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

from hushwire.connect.refused import Refused
from hushwire.connect.wire import Fields, Record, Wire

PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 50
_ABOUT_PAGES: Final = frozenset({"PageSize", "Page", "PageToken"})


class Found(Struct, frozen=True):
    """What a list gave."""

    records: list[Record]
    applied: dict[str, str]  # the filters, by parameter
    more: bool


class FilterMismatch(Refused):
    """The backend left out a filter: what it gave is not what was asked for."""

    def __init__(self, missing: list[str]) -> None:
        super().__init__(
            20001, 502, f"the backend did not apply the filter {', '.join(missing)}", field=None
        )


async def pages(
    wire: Wire, path: str, key: str, query: Fields, *, page_size: int
) -> AsyncIterator[Found]:
    """The pages of a list, one after the other; `more` says whether another one follows.

    Raises FilterMismatch when the backend says that it applied other filters than those asked
    for.
    """
    answer = await wire.get(path, {**query, "PageSize": str(page_size)})
    applied = _applied(answer, query)
    while True:
        following = answer.get("next_page_uri")
        yield Found(answer[key], applied, bool(following))
        if not following:
            return
        answer = await wire.get(_path(following))


async def walk(
    wire: Wire, path: str, key: str, query: Fields, *, limit: int | None = None,
    page: int | None = None, page_size: int | None = None,
) -> Found:  # fmt: skip
    """The records of a list: all up to `limit`, or just page `page` (from 0).

    A page is reached by walking: `Page` alone means nothing to Twilio (C-4). Without `limit`
    and `page` it is the first page, of `page_size` (50). Beyond the last page there is nothing.
    Raises FilterMismatch, as `pages`.
    """
    wanted = page_size or (PAGE_DEFAULT if limit is None else min(limit, PAGE_MAX))
    at, records = 0, list[Record]()
    found = Found([], {}, more=False)
    async for found in pages(wire, path, key, query, page_size=wanted):
        if limit is not None:
            records += found.records
            if len(records) >= limit:
                break
        elif at == (page or 0):
            records = found.records
            break
        at += 1
    more = found.more or (limit is not None and len(records) > limit)
    return Found(records if limit is None else records[:limit], found.applied, more)


def _applied(answer: Record, query: Fields) -> dict[str, str]:
    """The filters in the URI of the first page: the backend writes there what it understood."""
    uri = answer.get("first_page_uri") or answer.get("uri") or ""
    told = dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))
    applied = {name: value for name, value in told.items() if name not in _ABOUT_PAGES}
    missing = [name for name in query if name not in applied]
    if missing:
        raise FilterMismatch(missing)
    return applied


def _path(uri: str) -> str:
    """A page's URI without its host: all clients join it to their own (W9)."""
    parts = urlsplit(uri)
    return f"{parts.path}?{parts.query}"
