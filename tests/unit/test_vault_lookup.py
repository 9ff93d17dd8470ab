"""Tags find equal numbers under one pepper, and tell nothing without it."""

import hashlib
import hmac
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from hushwire.vault.lookup import DAY_MS, Pepper, day_of, month_of

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
