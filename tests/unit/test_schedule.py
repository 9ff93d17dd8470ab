"""When a scheduled message may be sent (twilio-messaging 5.1, 5.6)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base import serialize

from hushwire.domain.schedule import (
    AHEAD_MAX_S,
    AHEAD_MIN_S,
    is_in_window,
    read_time,
    send_time,
)
from hushwire.errors import Refusal

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1000
DAY_S = 86_400


def ask(
    schedule_type: str | None = "fixed",
    ahead_s: float | None = 600,
    *,
    service: bool = True,
    channel: str = "sms",
    now_ms: int = NOW_MS,
) -> int | None:
    at = None if ahead_s is None else (NOW + timedelta(seconds=ahead_s)).isoformat()
    return send_time(schedule_type, at, now_ms, service=service, channel=channel)  # type: ignore[arg-type] # a literal


# --- The window ----------------------------------------------------------------------------


@pytest.mark.parametrize("ahead_s", [300, 301, DAY_S, 35 * DAY_S - 1, 35 * DAY_S])
def test_inside_the_window(ahead_s: int):
    """300 seconds to 35 days, both included."""
    assert ask(ahead_s=ahead_s) == NOW_MS + ahead_s * 1000


@pytest.mark.parametrize("ahead_s", [-DAY_S, 0, 299, 299.999, 35 * DAY_S + 1])
def test_outside_the_window(ahead_s: float):
    with pytest.raises(Refusal) as refused:
        ask(ahead_s=ahead_s)
    assert refused.value.problem.name == "send_at_out_of_range"


def test_a_second_that_has_begun_counts_whole():
    """A caller adds 300 s to its clock and drops the fraction; the request takes a moment."""
    assert ask(ahead_s=300, now_ms=NOW_MS + 999) == NOW_MS + 300_000
    with pytest.raises(Refusal):
        ask(ahead_s=300, now_ms=NOW_MS + 1000)


@settings(deadline=None)
@given(st.integers(0, 4 * 10**12), st.integers(-10_000, AHEAD_MAX_S * 1000 + 10_000))
def test_the_window_has_no_holes(now_ms: int, ahead_ms: int):
    inside = is_in_window(now_ms + ahead_ms, now_ms)
    if AHEAD_MIN_S * 1000 <= ahead_ms <= AHEAD_MAX_S * 1000:
        assert inside
    elif ahead_ms < AHEAD_MIN_S * 1000 - 999 or ahead_ms > AHEAD_MAX_S * 1000 + 999:
        assert not inside


# --- What excludes what --------------------------------------------------------------------


def test_not_scheduled():
    assert ask(None, None) is None


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "rcs"])
def test_channels_that_can_be_scheduled(channel: str):
    assert ask(channel=channel) == NOW_MS + 600_000


@pytest.mark.parametrize(
    ("schedule_type", "ahead_s", "service", "channel", "problem"),
    [
        ("fixed", None, True, "sms", "send_at_required"),
        ("fixed", None, False, "sms", "send_at_required"),
        ("fixed", 600, False, "sms", "schedule_without_service"),
        ("fixed", 1, False, "sms", "schedule_without_service"),
        ("soon", 600, True, "sms", "schedule_type_invalid"),
        ("", 600, True, "sms", "schedule_type_invalid"),
        (None, 600, True, "sms", "schedule_type_invalid"),  # a SendAt alone
        ("fixed", 600, True, "messenger", "schedule_type_invalid"),
    ],
)
def test_what_is_refused(
    schedule_type: str | None, ahead_s: int | None, service: bool, channel: str, problem: str
):
    with pytest.raises(Refusal) as refused:
        ask(schedule_type, ahead_s, service=service, channel=channel)
    assert refused.value.problem.name == problem


# --- Spellings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01t12:00:00z",
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00Z",
        " 2026-03-01T12:00:00.000Z ",
        "2026-03-01T12:00:00,000000Z",
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T13:00:00 01:00",  # a plus that was not escaped
        "2026-03-01T13:00+0100",
        "2026-03-01T04:00:00-08",
        "2026-03-01T17:30:00+05:30",
        "2026-02-28T22:15:00-13:45",
    ],
)
def test_one_time_in_many_spellings(text: str):
    assert read_time(text) == NOW_MS


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2026-03-01", "12:00:00", "2026-03-01T", "2026-03-01T12", "2026-03-01T12:00:00X",
        "2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z", "2026-03-01T24:00:00Z",
        "2026-03-01T12:60:00Z", "2026-03-01T12:00:60Z", "0000-03-01T12:00:00Z",
        "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+01:60", "2026-03-01T12:00:00Z+01:00",
        "1772366400", "03/01/2026 12:00:00", "٢٠٢٦-03-01T12:00:00Z", "20260301T120000Z",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str):
    assert read_time(text) is None


@settings(deadline=None)
@given(
    st.datetimes(
        datetime(1970, 1, 2), datetime(2100, 1, 1),
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
    )
)  # fmt: skip
def test_reads_what_python_and_the_sdk_write(moment: datetime):
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert read_time(moment.isoformat()) == micros // 1000
    utc = moment.astimezone(UTC)
    assert read_time(serialize.iso8601_datetime(utc)) == micros // 1_000_000 * 1000


@settings(deadline=None)
@given(st.text(max_size=40) | st.from_regex(r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d.{0,12}\Z"))
def test_anything_is_a_time_or_none(text: str):
    at = read_time(text)
    assert at is None or isinstance(at, int)
