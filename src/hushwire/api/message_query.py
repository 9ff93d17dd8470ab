"""The list of messages on the wire: its filters, and the page they ask for (5.5)."""

from collections.abc import Sequence
from typing import Final

from hushwire.api.dates import parse_filter_date
from hushwire.api.paging import Asked, Page, read_asked, read_given, split_token
from hushwire.domain.message import Message
from hushwire.domain.phone import normalise
from hushwire.domain.query import MessageQuery
from hushwire.domain.sid import key_at, parse_message_sid
from hushwire.errors import Refusal
from hushwire.private import Private

RETENTION_DAYS: Final = 400
DAY_MS: Final = 86_400_000
FILTERS: Final = ("To", "From", "DateSent", "DateSent<", "DateSent>")


class AskedMessages(Asked, frozen=True, kw_only=True):
    """One page of messages that was asked for."""

    query: MessageQuery

    def cut(self, found: Sequence[Message]) -> Page[Message]:
        """The page, of what was found within the limit."""
        skip, size = self.skip(), self.page_size
        more = len(found) == self.limit()
        if self.query.upwards:
            shown = found[-size:]
            return Page(shown, newer=more, older=bool(shown))
        shown = found[skip : skip + size]
        return Page(shown, newer=self.page > 0 and bool(shown), older=more)


def read_page(account_id: int, query_string: bytes, now_ms: int) -> AskedMessages:
    """The page a query string asks for. Raises Refusal for bad sizes, tokens and dates."""
    given = read_given(query_string)
    asked = read_asked(given, FILTERS)
    oldest_ms = oldest_shown_ms(now_ms)
    sent_from, sent_before = _sent(given, oldest_ms)
    floor = key_at(oldest_ms) - 1
    below, above = _beyond(asked.token)
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
    return AskedMessages(
        filters=asked.filters, page=asked.page, page_size=asked.page_size, token=asked.token,
        query=query,
    )  # fmt: skip


def oldest_shown_ms(now_ms: int) -> int:
    """When the oldest message was born that is still shown (Unix ms): by day, see W8."""
    return (now_ms // DAY_MS - RETENTION_DAYS) * DAY_MS


def _beyond(token: str | None) -> tuple[int | None, int | None]:
    """The key that a token asks for the messages below of, and the one above of."""
    if token is None:
        return None, None
    ident = parse_message_sid(split_token(token)[0])
    if ident is None:
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
