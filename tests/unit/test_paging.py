"""Pages: what a query string asks for, and what a real store finds for it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hushwire.api.message_query import DAY_MS, read_page
from hushwire.api.paging import WALK_MAX, page_json, read_asked
from hushwire.clock import SystemEntropy
from hushwire.domain.message import Direction, Message, Status, born, deleted
from hushwire.domain.sid import MessageId, key_at, message_sid
from hushwire.errors import PROBLEMS, Refusal
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.listing import Listing
from hushwire.store.store import Store
from hushwire.vault.slots import Slots

NOW_MS = 1_772_366_400_000  # 2026-03-01, 12:00
OURS, ADA, BOB = "+15005550006", "+16285550101", "+16285550102"
PATH = "/2010-04-01/Accounts/AC/Messages.json"


def refused(problem: str, query: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_page(1, query.encode(), NOW_MS)
    assert caught.value.problem is PROBLEMS[problem]


def sid_of(key: int) -> str:
    return message_sid("SM", MessageId(key, bytes(8)))


# -- query strings ------------------------------------------------------------------------


def test_nothing_asked_for() -> None:
    asked = read_page(7, b"", NOW_MS)
    assert (asked.page, asked.page_size, asked.token, asked.filters) == (0, 50, None, ())
    assert asked.query.account_id == 7
    assert asked.query.to is asked.query.from_ is asked.query.below_key is None
    assert asked.query.sent_from_ms is asked.query.sent_before_ms is None


def test_a_list_never_reaches_back_more_than_400_days() -> None:
    """P-17, W8: compared by day, with or without a filter or a token."""
    floor = key_at((NOW_MS // DAY_MS - 400) * DAY_MS)
    old = f"PageToken=PB{sid_of(5)}"
    for query in ("", "To=x", "DateSent=2026-02-01", f"PageToken=PA{sid_of(5)}", old):
        assert read_page(1, query.encode(), NOW_MS).query.above_key == floor - 1
    assert read_page(1, b"DateSent%3E=2025-01-25", NOW_MS).query.sent_from_ms is not None
    assert read_page(1, b"DateSent%3E=2025-01-25T00:00:00Z", NOW_MS).query.sent_from_ms is not None
    refused("retention_window", "DateSent%3E=2025-01-24")
    refused("retention_window", "DateSent%3C=2025-01-24T23:59:59Z")


@pytest.mark.parametrize(
    ("query", "sent_from", "sent_before"),
    [
        ("DateSent=2026-02-01", 0, DAY_MS),
        ("DateSent%3E=2026-02-01", 0, None),
        ("DateSent%3C=2026-02-01", None, DAY_MS),
        ("DateSent>=2026-02-01&DateSent<=2026-02-02", 0, 2 * DAY_MS),
        ("DateSent=2026-02-01&DateSent%3E=2026-02-01T12:00:00Z", DAY_MS // 2, DAY_MS),
        ("DateSent%3E=2026-02-01T00:00:05Z", 5_000, None),
        ("DateSent%3C=2026-02-01+00:00:05", None, 6_000),
        ("DateSent=", None, None),
    ],
)
def test_dates_become_a_span(query: str, sent_from: int | None, sent_before: int | None) -> None:
    """W7: bounds are inclusive, of the day or of the second."""
    start = 1_769_904_000_000  # 2026-02-01
    found = read_page(1, query.encode(), NOW_MS).query
    assert found.sent_from_ms == (None if sent_from is None else start + sent_from)
    assert found.sent_before_ms == (None if sent_before is None else start + sent_before)


def test_numbers_are_read_in_any_spelling() -> None:
    """W3; what is no number matches nothing, and shows itself nowhere."""
    for text in ("%2B16285550101", "+16285550101", "(628)%20555-0101", " 16285550101"):
        assert read_page(1, f"To={text}".encode(), NOW_MS).query.to == Private(ADA)
    asked = read_page(1, b"From=%2B1628555XXXX", NOW_MS)
    assert asked.query.from_ == Private("+1628555XXXX")
    assert "1628555" not in repr(asked.query)


@pytest.mark.parametrize("size", ["0", "1001", "-1", "x", "1.5", "٣", "9" * 20])
def test_sizes_outside(size: str) -> None:
    """P-14."""
    refused("invalid_page_size", f"PageSize={size}")


def test_a_number_alone_walks_only_so_far() -> None:
    assert read_page(1, f"PageSize=1000&Page={WALK_MAX // 1000 - 1}".encode(), NOW_MS).page == 9
    refused("invalid_page_token", f"PageSize=1000&Page={WALK_MAX // 1000}")
    token = f"PageToken=PA{sid_of(5)}"
    assert read_page(1, f"PageSize=1000&Page=500&{token}".encode(), NOW_MS).skip() == 0


@given(st.binary(max_size=80))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    try:
        asked = read_page(1, query, NOW_MS)
    except Refusal:
        return
    assert 1 <= asked.page_size <= 1000


@given(st.text(max_size=20), st.text(max_size=20), st.integers(1, 1000))
def test_uris_repeat_what_was_asked(to: str, from_: str, size: int) -> None:
    query = f"To={quote_plus(to)}&From={quote_plus(from_)}&DateSent%3E=2026-02-01&PageSize={size}"
    asked = read_page(1, query.encode(), NOW_MS)
    shown = page_json(PATH, asked, asked.cut([]), [], "messages")
    uri = str(shown["uri"])
    assert uri.isascii()
    again = read_page(1, urlsplit(uri).query.encode(), NOW_MS)
    assert again == asked
    assert dict(parse_qsl(urlsplit(uri).query))["DateSent>"] == "2026-02-01"


# -- and what a store finds ---------------------------------------------------------------


class Book:
    """A real store and its listing, and beside them the plain truth: a list of messages."""

    def __init__(self, folder: Path) -> None:
        root = bytes(32)
        self.slots = Slots.open(folder / "vault", root, slots_per_file=1024)
        self.store = Store(
            folder / "db", self.slots, root, SystemEntropy(), Metrics(), failed=self._failed,
            threaded=False,
        )  # fmt: skip
        self.store.accounts.open(
            "AC" + "a" * 32, "PN" + "a" * 32, Private("1" * 32), OURS, "A", NOW_MS
        )
        self.listing = Listing(folder / "db", self.store.accounts, self.slots)
        self.truth: list[Message] = []
        self.clock_ms = NOW_MS - 40 * DAY_MS  # over the end of a month, too

    @staticmethod
    def _failed(error: BaseException) -> None:
        raise error

    async def add(self, to: str, hours: int) -> None:
        self.clock_ms = min(self.clock_ms + hours * 3_600_000, NOW_MS)
        ident, content_key, address_key = self.store.reserve(self.clock_ms)
        sent_ms = None if hours == 0 else ident.key >> 16
        message = Message(
            key=ident.key, tail=ident.tail, sid=message_sid("SM", ident), account_id=1,
            direction=Direction.OUTBOUND_API, status=Status.DELIVERED, from_=Private(OURS),
            to=Private(to), body=Private("x"), callback=None, segments=1, settled=True,
            created_ms=ident.key >> 16, updated_ms=ident.key >> 16, sent_ms=sent_ms,
            content_key=content_key, address_key=address_key,
        )  # fmt: skip
        await self.store.record([born(message, self.clock_ms)])
        self.truth.insert(0, message)

    async def remove(self, at: int) -> None:
        if self.truth:
            gone = self.truth.pop(at % len(self.truth))
            await self.store.record([deleted(gone)])

    def page(self, query: str) -> tuple[list[str], dict[str, Any]]:
        """A page as it is answered: its SIDs, and the envelope."""
        asked = read_page(1, query.encode(), NOW_MS)
        page = asked.cut(self.listing.page(asked.query, asked.limit()))
        return [m.sid for m in page.records], page_json(
            PATH, asked, page, [{}] * len(page.records), "messages"
        )

    def follow(self, envelope: dict[str, Any], way: str) -> tuple[list[str], dict[str, Any]] | None:
        uri = envelope[way]
        return None if uri is None else self.page(urlsplit(uri).query)

    def walk(self, query: str, way: str = "next_page_uri") -> list[list[str]]:
        pages: list[list[str]] = []
        here: tuple[list[str], dict[str, Any]] | None = self.page(query)
        while here is not None:
            pages.append(here[0])
            assert len(pages) < 100, "it turns in a circle"
            here = self.follow(here[1], way)
        return pages

    async def close(self) -> None:
        self.listing.close()
        await self.store.close()
        self.slots.close()


def play(folder: Path, scene: Callable[[Book], Any]) -> None:
    async def main() -> None:
        book = Book(folder)
        await scene(book)
        await book.close()

    asyncio.run(main())


HOURS = st.integers(0, 60)
TEXTS = st.lists(st.tuples(st.sampled_from([ADA, BOB]), HOURS), max_size=25)
EVENTS = st.lists(st.one_of(st.just(-1), st.integers(0, 30)), max_size=6)  # arrive, or go
FILTERS = {
    "": lambda m: True,
    f"To=%2B{ADA[1:]}": lambda m: m.to == Private(ADA),
    f"From=%2B{OURS[1:]}&To=%2B{BOB[1:]}": lambda m: m.to == Private(BOB),
    "From=%2B16285550101": lambda m: False,
    "DateSent%3E=2026-02-01": lambda m: (m.sent_ms or 0) >= 1_769_904_000_000,
    f"To=%2B{ADA[1:]}&DateSent%3C=2026-01-31": lambda m: (
        m.to == Private(ADA) and m.sent_ms is not None and m.sent_ms < 1_769_904_000_000
    ),
}


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(texts=TEXTS, size=st.integers(1, 7), events=EVENTS)
def test_pages_are_the_truth_whatever_comes_and_goes(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, int]], size: int, events: list[int],
) -> None:  # fmt: skip
    """P-26: forward and back, under every filter, nothing twice and nothing missing."""

    async def scene(book: Book) -> None:
        for to, hours in texts:
            await book.add(to, hours)
        for query, holds in FILTERS.items():
            expected = [m.sid for m in book.truth if holds(m)]
            pages = book.walk(f"{query}&PageSize={size}")
            assert [sid for page in pages for sid in page] == expected
            last = book.page(f"{query}&PageSize={size}&Page={max(0, len(pages) - 1)}")[1]
            back = book.walk(urlsplit(last["uri"]).query, "previous_page_uri")
            assert back == pages[::-1]
        await walk_while_it_changes(book, size, events)

    play(tmp_path_factory.mktemp("book"), scene)


async def walk_while_it_changes(book: Book, size: int, events: list[int]) -> None:
    """One event between any two pages: what was there all along is seen once, in order."""
    at_start = [m.sid for m in book.truth]
    seen: list[str] = []
    here: tuple[list[str], dict[str, Any]] | None = book.page(f"PageSize={size}")
    while here is not None:
        seen += here[0]
        if events:
            event = events.pop()
            await (book.add(ADA, 1) if event == -1 else book.remove(event))
        here = book.follow(here[1], "next_page_uri")
    assert len(seen) == len(set(seen))
    stayed = [m.sid for m in book.truth if m.sid in at_start]
    assert [sid for sid in seen if sid in stayed] == stayed


def test_the_page_before_is_the_nearest_above(tmp_path: Path) -> None:
    """Of many newer records those next to the token, not the newest ones."""

    async def scene(book: Book) -> None:
        for _ in range(6):
            await book.add(ADA, 5)
        sids = [m.sid for m in book.truth]
        for query in ("", f"To=%2B{ADA[1:]}&", f"From=%2B{OURS[1:]}&"):
            found, envelope = book.page(f"{query}PageSize=2&Page=1&PageToken=PB{sids[4]}")
            assert found == sids[2:4]
            assert f"Page=0&PageToken=PB{sids[2]}" in envelope["previous_page_uri"]
            assert f"Page=2&PageToken=PA{sids[3]}" in envelope["next_page_uri"]
            found, envelope = book.page(f"{query}PageSize=4&Page=3&PageToken=PB{sids[4]}")
            assert (found, envelope["previous_page_uri"]) == (sids[:4], None)

    play(tmp_path, scene)


# -- lists in memory ----------------------------------------------------------------------


class Record(NamedTuple):
    sid: str
    created_ms: int


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("token", ["PBS2.2", "PBS0.0", "PBgone.0", "PBgone.fffffffffff", "PAS0.0"])
def test_a_page_beyond_either_end_is_empty_and_leads_nowhere_else(token: str, count: int) -> None:
    """Nothing is before the newest or after the oldest, and of nothing there are no neighbours."""
    records = [Record(f"S{n}", n) for n in reversed(range(count))]
    asked = read_asked({"PageToken": token, "PageSize": "2"})
    page = asked.of(records)
    shown = page_json("/p", asked, page, [{"sid": record.sid} for record in page.records], "all")
    if not page.records:
        assert (shown["next_page_uri"], shown["previous_page_uri"]) == (None, None)
        assert (shown["start"], shown["end"]) == (0, 0)
