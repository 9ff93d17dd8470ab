"""Lists on the wire: a page and its neighbours' URIs (twilio-messaging 4).

Paging is by record, not by offset. A page token names one: `PA`, its SID and its time ask for
what comes after it, `PB` for what comes just before it. So pages neither repeat nor skip
anything while records come and go, the named one included.
"""

import re
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qsl, quote_plus

from msgspec import Struct

from hushwire.errors import Refusal

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 1_000
WALK_MAX: Final = 10_000  # records a Page without a token may walk past

_TIME: Final = re.compile("[0-9a-f]{0,12}\\Z")

R = TypeVar("R", bound="HasSid", covariant=True)


class HasSid(Protocol):
    """A record of a list."""

    @property
    def sid(self) -> str: ...
    @property
    def created_ms(self) -> int: ...


class Page(NamedTuple, Generic[R]):
    """The records of one page, newest first, and whether there are pages on either side."""

    records: Sequence[R]
    newer: bool
    older: bool


class Asked(Struct, frozen=True, kw_only=True):
    """One page that was asked for."""

    filters: tuple[tuple[str, str], ...]  # as given, to repeat in URIs
    page: int
    page_size: int
    token: str | None

    def skip(self) -> int:
        """Records to walk past: a page that is asked for by its number alone."""
        return self.page * self.page_size if self.token is None else 0

    def limit(self) -> int:
        """Records to look for: one more than asked for tells whether there is another page."""
        return self.skip() + self.page_size + 1

    def of(self, records: Sequence[R]) -> Page[R]:
        """The page, of all the records there are, newest first."""
        start = self.skip()
        if self.token is not None:
            sid, created_ms = split_token(self.token)
            place = next((n for n, record in enumerate(records) if record.sid == sid), None)
            after = place + 1 if place is not None else None
            if place is None or after is None:  # it went since: here is where it was
                if created_ms is None:
                    raise Refusal("invalid_page_token")
                older = (n for n, record in enumerate(records) if record.created_ms <= created_ms)
                place = after = next(older, len(records))
            if self.token.startswith("PB"):
                start = max(0, place - self.page_size)
                # Nothing is before the newest: an empty page has no record to go on from.
                return Page(records[start:place], newer=start > 0, older=place > 0)
            start = after
        end = start + self.page_size
        return Page(records[start:end], newer=start > 0, older=end < len(records))


def split_token(token: str) -> tuple[str, int | None]:
    """The SID and the time (Unix ms) that a page token names; not every one has a time."""
    sid, _, time = token[2:].partition(".")
    if token[:2] not in ("PA", "PB") or not _TIME.match(time):
        raise Refusal("invalid_page_token")
    return sid, int(time, 16) if time else None


def read_given(query_string: bytes) -> dict[str, str]:
    """The parameters of a query; of a repeated one the first."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), encoding="utf-8"):
        given.setdefault(name, value)
    return given


def read_asked(given: dict[str, str], filters: Sequence[str] = ()) -> Asked:
    """The page that a query asks for. Raises Refusal for bad sizes and tokens."""
    page_size = _number(given.get("PageSize"), PAGE_SIZE, "invalid_page_size")
    if not 1 <= page_size <= PAGE_SIZE_MAX:
        raise Refusal("invalid_page_size")
    page = _number(given.get("Page"), 0, "invalid_page_token")
    token = given.get("PageToken")
    if token is None and (page + 1) * page_size > WALK_MAX:
        raise Refusal("invalid_page_token")
    if token is not None:
        split_token(token)
    shown = tuple((name, given[name]) for name in filters if name in given)
    return Asked(filters=shown, page=page, page_size=page_size, token=token)


def page_json(
    path: str, asked: Asked, page: Page[R], records: list[dict[str, object]], key: str
) -> dict[str, object]:
    """The 2010 API's envelope around `records`, which are `page` as it is shown."""
    number, size = asked.page, asked.page_size
    return {
        key: records,
        "first_page_uri": _uri(path, asked, 0, None),
        "next_page_uri": _next(path, asked, page),
        "previous_page_uri": _previous(path, asked, page),
        "uri": _uri(path, asked, number, asked.token),
        "page": number,
        "page_size": size,
        "start": number * size if records else 0,
        "end": number * size + len(records) - 1 if records else 0,
    }


def meta_json(
    url: str, asked: Asked, page: Page[R], records: list[dict[str, object]], key: str
) -> dict[str, object]:
    """The v1 APIs' envelope: absolute URLs, under `meta`."""
    return {
        key: records,
        "meta": {
            "page": asked.page,
            "page_size": asked.page_size,
            "first_page_url": _uri(url, asked, 0, None),
            "previous_page_url": _previous(url, asked, page),
            "url": _uri(url, asked, asked.page, asked.token),
            "next_page_url": _next(url, asked, page),
            "key": key,
        },
    }


def _next(path: str, asked: Asked, page: Page[R]) -> str | None:
    if not page.older:
        return None
    return _uri(path, asked, asked.page + 1, _token("PA", page.records[-1]))


def _previous(path: str, asked: Asked, page: Page[R]) -> str | None:
    if not page.newer or not page.records:
        return None
    return _uri(path, asked, max(0, asked.page - 1), _token("PB", page.records[0]))


def _token(way: str, record: HasSid) -> str:
    if record.sid.startswith(("SM", "MM")):  # such a SID tells its time
        return f"{way}{record.sid}"
    return f"{way}{record.sid}.{record.created_ms:x}"


def _uri(path: str, asked: Asked, number: int, token: str | None) -> str:
    parts = [f"{quote_plus(name)}={quote_plus(value)}" for name, value in asked.filters]
    parts += [f"PageSize={asked.page_size}", f"Page={number}"]
    if token is not None:
        parts.append(f"PageToken={token}")
    return f"{path}?{'&'.join(parts)}"


def _number(text: str | None, default: int, problem: str) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refusal(problem)
    return int(text)
