"""Dates on the wire: RFC 2822 out, every form of a date filter in."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.api.dates import parse_filter_date, rfc2822

DAY, SECOND = 86_400_000, 1_000


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1000


def test_the_documented_example():
    assert rfc2822(ms(2023, 8, 24, 5, 1, 45) + 999) == "Thu, 24 Aug 2023 05:01:45 +0000"


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
def test_dates_are_those_of_the_standard_library(naive: datetime):
    at = naive.replace(tzinfo=UTC, microsecond=0)
    assert rfc2822(int(at.timestamp()) * 1000) == format_datetime(at)


@pytest.mark.parametrize("text", ["2026-11-01", " 2026-11-01 ", "11/01/2026", "11/1/2026",
                                  "1 Nov 2026", "Sun, 01 Nov 2026"])  # fmt: skip
def test_a_bare_date_is_that_day(text: str):
    start = ms(2026, 11, 1)
    assert parse_filter_date(text) == (start, start + DAY)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("2026-01-01T00:00:00Z", ms(2026, 1, 1)),
        ("2026-10-16 23:23:35Z", ms(2026, 10, 16, 23, 23, 35)),
        ("2026-10-16T23:23:35", ms(2026, 10, 16, 23, 23, 35)),
        ("2019-06-11 22:05:25.000", ms(2019, 6, 11, 22, 5, 25)),
        ("2019-06-11T22:05:25.999Z", ms(2019, 6, 11, 22, 5, 25)),
        ("06/11/2019 22:05:25 MST", ms(2019, 6, 12, 5, 5, 25)),
        ("06/11/2019 22:05:25", ms(2019, 6, 11, 22, 5, 25)),
        ("06/11/2019 22:05:25 EDT", ms(2019, 6, 12, 2, 5, 25)),
        ("Thu, 24 Aug 2023 05:01:45 +0000", ms(2023, 8, 24, 5, 1, 45)),
        ("Thu, 24 Aug 2023 05:01:45 GMT", ms(2023, 8, 24, 5, 1, 45)),
        ("24 Aug 2023 05:01:45 -0730", ms(2023, 8, 24, 12, 31, 45)),
        ("2023-08-24T05:01:45+02:00", ms(2023, 8, 24, 3, 1, 45)),
        ("2023-08-24T05:01:45 02:00", ms(2023, 8, 24, 3, 1, 45)),  # a raw plus
        ("Thu, 24 Aug 2023 05:01:45  0000", ms(2023, 8, 24, 5, 1, 45)),  # a raw plus
        ("2023-08-24 05:01:45", ms(2023, 8, 24, 5, 1, 45)),
    ],
)
def test_a_time_is_that_second(text: str, start: int):
    assert parse_filter_date(text) == (start, start + SECOND)


@pytest.mark.parametrize(
    "text",
    ["", "today", "2026", "2026-11", "2026-13-01", "2026-02-30", "2026-1-1", "0000-01-01",
     "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00", "2026-01-01T00:00:00X",
     "2026-01-01T00:00:00+25:00", "2026-01-01T00:00:000000", "13/01/2026", "1 Foo 2026",
     "2026-01-01Z", "２０２６-01-01", "2026-01-01\n2026-01-02"],
)  # fmt: skip
def test_what_is_no_date(text: str):
    assert parse_filter_date(text) is None


@given(st.integers(0, 253_000_000_000))
def test_what_we_write_we_read(second: int):
    assert parse_filter_date(rfc2822(second * 1000)) == (second * 1000, (second + 1) * 1000)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str):
    span = parse_filter_date(text)
    assert span is None or span[1] - span[0] in (SECOND, DAY)
