"""Tags find equal numbers under one pepper, and tell nothing without it."""

import hashlib
import hmac
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hushwire.vault.lookup import (
    DAY_MS,
    PARTS,
    STRETCH_MESSAGES,
    Pepper,
    Stretches,
    day_of,
    first_stretch,
    month_of,
    month_span,
)

NUMBER = "+14155550123"


@given(st.binary(min_size=32, max_size=32), st.text(max_size=30))
def test_a_tag_is_the_head_of_the_hmac(key: bytes, text: str) -> None:
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    pepper = Pepper(key)
    assert pepper.tag16(text) == digest[:16]
    assert pepper.tag8(text).to_bytes(8, "big", signed=True) == digest[:8]
    assert pepper.tag16(text) == digest[:16]  # a pepper is not used up


def test_tags_of_another_pepper_or_number_differ() -> None:
    tags = {Pepper(bytes([k]) * 32).tag16(n) for k in range(3) for n in (NUMBER, "+14155550124")}
    assert len(tags) == 6


def test_tag8_fits_a_signed_column() -> None:
    tags = [Pepper(bytes(32)).tag8(f"+1415555{n:04}") for n in range(200)]
    assert all(-(2**63) <= tag < 2**63 for tag in tags)
    assert min(tags) < 0 < max(tags)


def test_a_pepper_does_not_show_itself() -> None:
    key = b"pepper-pepper-pepper-pepper-1234"
    assert "pepper-" not in repr(Pepper(key)) + str(vars(Pepper))


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))
def test_months_and_days_are_those_of_utc(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    ms = int(moment.timestamp()) * 1000 + moment.microsecond // 1000
    assert month_of(ms) == moment.year * 100 + moment.month
    assert day_of(ms) == (moment.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days


def test_a_month_begins_on_its_first_millisecond() -> None:
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    assert month_of(first) == 202601
    assert month_of(first - 1) == 202512
    assert day_of(first) * DAY_MS == first


NOON = 20_000 * DAY_MS + DAY_MS // 2
FIRST = first_stretch(NOON)


def test_a_day_is_a_stretch_and_a_busy_one_has_parts() -> None:
    stretches = Stretches(0)
    given = [stretches.next(NOON) for _ in range(2 * STRETCH_MESSAGES + 1)]
    assert [given.count(FIRST + part) for part in range(3)] == [
        STRETCH_MESSAGES, STRETCH_MESSAGES, 1,
    ]  # fmt: skip
    assert given == sorted(given)
    assert stretches.next(NOON + DAY_MS) == FIRST + PARTS
    assert first_stretch(NOON + DAY_MS) == FIRST + PARTS


def test_a_restart_begins_a_part_of_its_own() -> None:
    """How full the last one is, nobody knows."""
    assert Stretches(FIRST + 4).next(NOON) == FIRST + 5
    assert Stretches(FIRST + 4).next(NOON + DAY_MS) == FIRST + PARTS


def test_a_message_that_crosses_midnight_is_of_its_own_day() -> None:
    """A search goes by the day of birth, and a day has one pepper."""
    stretches = Stretches(0)
    stretches.next(NOON + DAY_MS)
    assert stretches.next(NOON) == FIRST
    assert stretches.next(NOON + DAY_MS) == FIRST + PARTS


def test_the_last_part_of_a_day_does_not_reach_into_the_next() -> None:
    assert Stretches(FIRST + PARTS - 1).next(NOON) == FIRST + PARTS - 1


def test_a_month_ends_where_the_next_begins() -> None:
    assert month_span(202602) == (1_769_904_000_000, 1_772_323_200_000)
    for year, month in ((2024, 2), (2025, 12), (2026, 3), (1970, 1)):
        first, end = month_span(year * 100 + month)
        assert month_of(first) == month_of(end - 1) == year * 100 + month
        assert month_of(end) == (year + month // 12) * 100 + month % 12 + 1
