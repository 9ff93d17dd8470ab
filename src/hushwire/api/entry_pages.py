"""Pages of what happened: read from the disk as far as a page needs, newest first."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hushwire.api.dates import parse_filter_date
from hushwire.api.paging import Asked, HasSid, Page, split_token
from hushwire.errors import Refusal

R = TypeVar("R", bound=HasSid)
Read = Callable[[int, str | None, bool], Sequence[R]]
"""(limit, SID of the record to go on from, upwards?) → records, newest first."""

ALWAYS_MS = 1 << 62


def entry_page(asked: Asked, read: Read[R]) -> Page[R]:
    """The page that is asked for."""
    size = asked.page_size
    if asked.token is None:
        start = asked.skip()
        found = read(asked.limit(), None, False)
        shown = found[start : start + size]
        return Page(shown, newer=start > 0 and bool(shown), older=len(found) > start + size)
    sid, _ = split_token(asked.token)
    upwards = asked.token.startswith("PB")
    found = read(size + 1, sid, upwards)
    more = len(found) > size
    if upwards:
        return Page(found[-size:], newer=more, older=bool(found))
    return Page(found[:size], newer=bool(found), older=more)


def read_span(given: dict[str, str]) -> tuple[int, int]:
    """`StartDate` (from) and `EndDate` (before), Unix ms, both days or seconds included."""
    spans = [_span(given, "StartDate", (0, 0)), _span(given, "EndDate", (0, ALWAYS_MS))]
    return spans[0][0], spans[1][1]


def _span(given: dict[str, str], name: str, default: tuple[int, int]) -> tuple[int, int]:
    text = given.get(name)
    if not text:
        return default
    span = parse_filter_date(text)
    if span is None:
        raise Refusal("invalid_date", field=name)
    return span
