"""Lists on the wire: filters in, a page and its neighbours' URIs out (twilio-messaging 4, 5.5).

Paging is by key, not by offset: a page token names the last record of the page before, so
pages neither repeat nor skip anything while messages arrive.
"""

from typing import Final
from urllib.parse import parse_qsl, quote_plus

from msgspec import Struct

from hushwire.api.dates import parse_filter_date
from hushwire.domain.message import Message
from hushwire.domain.phone import normalise
from hushwire.domain.query import MessageQuery
from hushwire.domain.sid import parse_message_sid
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
    sent_from, sent_before = _sent(given, now_ms)
    query = MessageQuery(
        account_id=account_id,
        to=_number_filter(given.get("To")),
        from_=_number_filter(given.get("From")),
        sent_from_ms=sent_from,
        sent_before_ms=sent_before,
        below_key=_below(token),
    )
    filters = tuple((name, given[name]) for name in FILTERS if name in given)
    return PageRequest(query, filters, page, page_size, token)


def page_json(
    path: str, asked: PageRequest, records: list[dict[str, object]], last: Message | None
) -> dict[str, object]:
    """The envelope. `last` is the page's last record when more follow, else None."""
    page, size = asked.page, asked.page_size

    def uri(number: int, token: str | None) -> str:
        parts = [f"{quote_plus(name)}={quote_plus(value)}" for name, value in asked.filters]
        parts += [f"PageSize={size}", f"Page={number}"]
        if token is not None:
            parts.append(f"PageToken={token}")
        return f"{path}?{'&'.join(parts)}"

    return {
        "messages": records,
        "first_page_uri": uri(0, None),
        "next_page_uri": uri(page + 1, f"PA{last.sid}") if last is not None else None,
        "previous_page_uri": uri(page - 1, None) if page else None,
        "uri": uri(page, asked.token),
        "page": page,
        "page_size": size,
        "start": page * size if records else 0,
        "end": page * size + len(records) - 1 if records else 0,
    }


def _number(text: str | None, default: int, problem: str) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Refusal(problem)
    return int(text)


def _below(token: str | None) -> int | None:
    if token is None:
        return None
    ident = parse_message_sid(token[2:]) if token.startswith("PA") else None
    if ident is None:
        raise Refusal("invalid_page_token")
    return ident.key


def _number_filter(text: str | None) -> Private | None:
    """A number in any spelling; what is none matches nothing."""
    if not text:
        return None
    return Private(normalise(text) or text)


def _sent(given: dict[str, str], now_ms: int) -> tuple[int | None, int | None]:
    """The span of `DateSent` filters: from (inclusive) and before (exclusive), Unix ms."""
    starts: list[int] = []
    ends: list[int] = []
    oldest_ms = (now_ms // DAY_MS - RETENTION_DAYS) * DAY_MS  # by day: see W8
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
