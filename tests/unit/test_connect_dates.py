"""Dates of filters: a day or a moment in ISO 8601; for anything else one sentence, and no call."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest

from backends import Recorded
from hushwire.connect.dates import is_day, span
from hushwire.connect.refused import Refused
from hushwire.connect.run import Connected, run

DAY = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "start", "seconds"),
    [
        ("2026-01-31", DAY, 86_400),
        ("2026-01-31T12:30:05Z", DAY.replace(hour=12, minute=30, second=5), 1),
        ("2026-01-31 12:30:05", DAY.replace(hour=12, minute=30, second=5), 1),
        ("2026-01-31T12:30:05.9Z", DAY.replace(hour=12, minute=30, second=5), 1),
        ("2026-01-31T02:00:00+02:00", DAY, 1),
    ],
)
def test_what_a_date_spans(text: str, start: datetime, seconds: int) -> None:
    found, end = span("date_sent", text)
    assert (found, (end - found).total_seconds()) == (start, seconds)
    assert is_day(text) == (seconds > 1)


BAD = ["", "yesterday", "31/01/2026", "2026-13-01", "2026-1-1", "20260131", "2026-W05-6",
       "2026-01-31\n", "0001-01-01T00:00:00+14:00", "9999-12-31", "x" * 1000]  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("list_messages", f"date_sent{which}") for which in ("", "_before", "_after")),
        *(("read_some_sms_messages", f"date_{which}") for which in ("sent", "created_after")),
    ],
)
def test_a_bad_date_names_field_value_and_cure(name: str, field: str, text: str) -> None:
    """Issue 6: before the backend is asked, which may make anything of it."""

    def asked(_: httpx.Request) -> httpx.Response:
        raise AssertionError("the backend was asked")

    async def go() -> None:
        wire = Recorded().wire(httpx.MockTransport(asked))
        await run(name, {field: text}, Connected(wire, Recorded.sid))

    with pytest.raises(Refused) as refused:
        asyncio.run(go())
    problem = refused.value
    assert (problem.code, problem.status, problem.field) == (20001, 400, field)
    shown = f"{text!r:.40}"
    assert problem.text == (f"{field} {shown} is no date: give 2026-01-31, or 2026-01-31T12:00:00Z")
