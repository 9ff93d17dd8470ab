"""Lists on the wire: filters in, a page and its neighbours' URIs out (twilio-messaging 4, 5.5).

Paging is by key, not by offset. A page token names a record: `PA` and its SID ask for what
comes after it, `PB` for what comes just before it. So pages neither repeat nor skip anything
while messages arrive or go.
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, quote_plus

from msgspec import Struct

from hushwire.api.dates import parse_filter_date
from hushwire.domain.message import Message
from hushwire.domain.phone import normalise
from hushwire.domain.query import MessageQuery
from hushwire.domain.sid import key_at, parse_message_sid
from hushwire.errors import Refusal
from hushwire.private import Private

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 1_000
WALK_MAX: Final = 10_000  # records a Page without a token may walk past
RETENTION_DAYS: Final = 400
DAY_MS: Final = 86_400_000

FILTERS: Final = ("To", "From", "DateSent", "DateSent<", "DateSent>")


class PageRequest(Struct, frozen=True):
    """One page that was asked for."""

    query: MessageQuery
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

    def cut(self, found: Sequence[Message]) -> "Page":
        """The page, of what was found within the limit."""
        skip, size = self.skip(), self.page_size
        more = len(found) == self.limit()
        if self.query.upwards:
            shown = found[-size:]
            return Page(shown, newer=more, older=bool(shown))
        shown = found[skip : skip + size]
        return Page(shown, newer=self.page > 0 and bool(shown), older=more)


class Page(Struct, frozen=True):
    """The messages of one page, newest first, and whether there are pages on either side."""

    messages: Sequence[Message]
    newer: bool
    older: bool


def read_page(account_id: int, query_string: bytes, now_ms: int) -> PageRequest:
    """The page a query string asks for. Raises Refusal for bad sizes, tokens and dates."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), encoding="utf-8"):
        given.setdefault(name, value)
    page_size = _number(given.get("PageSize"), PAGE_SIZE, "invalid_page_size")
    if not 1 <= page_size <= PAGE_SIZE_MAX:
        raise Refusal("invalid_page_size")
    page = _number(given.get("Page"), 0, "invalid_page_token")
    token = given.get("PageToken")
    if token is None and (page + 1) * page_size > WALK_MAX:
        raise Refusal("invalid_page_token")
    oldest_ms = (now_ms // DAY_MS - RETENTION_DAYS) * DAY_MS  # by day: see W8
    sent_from, sent_before = _sent(given, oldest_ms)
    floor = key_at(oldest_ms) - 1
    below, above = _beyond(token)
    query = MessageQuery(
        account_id=account_id,
        to=_number_filter(given.get("To")),
        from_=_number_filter(given.get("From")),
        sent_from_ms=sent_from,
        sent_before_ms=sent_before,
        below_key=below,
        above_key=floor if above is None else max(floor, above),
        upwards=above is not None,
    )
    filters = tuple((name, given[name]) for name in FILTERS if name in given)
    return PageRequest(query, filters, page, page_size, token)


def page_json(
    path: str, asked: PageRequest, page: Page, records: list[dict[str, object]]
) -> dict[str, object]:
    """The envelope around `records`, the messages of `page` as they are shown."""
    number, size, messages = asked.page, asked.page_size, page.messages

    def uri(page_number: int, token: str | None) -> str:
        parts = [f"{quote_plus(name)}={quote_plus(value)}" for name, value in asked.filters]
        parts += [f"PageSize={size}", f"Page={page_number}"]
        if token is not None:
            parts.append(f"PageToken={token}")
        return f"{path}?{'&'.join(parts)}"

    return {
        "messages": records,
        "first_page_uri": uri(0, None),
        "next_page_uri": uri(number + 1, f"PA{messages[-1].sid}") if page.older else None,
        "previous_page_uri": uri(max(0, number - 1), f"PB{messages[0].sid}")
        if page.newer
        else None,
        "uri": uri(number, asked.token),
        "page": number,
        "page_size": size,
        "start": number * size if records else 0,
        "end": number * size + len(records) - 1 if records else 0,
    }


def _number(text: str | None, default: int, problem: str) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refusal(problem)
    return int(text)


def _beyond(token: str | None) -> tuple[int | None, int | None]:
    """The key that a token asks for the messages below of, and the one above of."""
    if token is None:
        return None, None
    ident = parse_message_sid(token[2:])
    if ident is None or token[:2] not in ("PA", "PB"):
        raise Refusal("invalid_page_token")
    return (ident.key, None) if token[:2] == "PA" else (None, ident.key)


def _number_filter(text: str | None) -> Private | None:
    """A number in any spelling; what is none matches nothing."""
    if not text:
        return None
    return Private(normalise(text) or text)


def _sent(given: dict[str, str], oldest_ms: int) -> tuple[int | None, int | None]:
    """The span of `DateSent` filters: from (inclusive) and before (exclusive), Unix ms."""
    starts: list[int] = []
    ends: list[int] = []
    for name in ("DateSent", "DateSent<", "DateSent>"):
        text = given.get(name)
        if not text:
            continue
        span = parse_filter_date(text)
        if span is None:
            raise Refusal("invalid_date", field=name)
        if span[0] < oldest_ms:
            raise Refusal("retention_window")
        if name != "DateSent<":
            starts.append(span[0])
        if name != "DateSent>":
            ends.append(span[1])
    return max(starts, default=None), min(ends, default=None)
