"""Dates that a filter is given: a day, or a moment, as ISO 8601 has them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from hushwire.connect.refused import INPUT, refused

_DAY: Final = "2026-01-31"
_BEGINS: Final = re.compile(r"\d{4}-\d\d-\d\d(?![0-9])", re.ASCII)  # ISO has weeks, too
_SHOWN: Final = 40  # characters of a value that a sentence repeats


def is_day(text: str) -> bool:
    """Is it spelled as a day, not as a moment?"""
    return len(text) == len(_DAY)


def span(field: str, text: str) -> tuple[datetime, datetime]:
    """From when, until before when (UTC): a day, or the second of a moment. Without a zone it is
    GMT. Raises Refused with one sentence for what is none."""
    try:
        found = datetime.fromisoformat(text if _BEGINS.match(text) else "")
        start = found.replace(microsecond=0, tzinfo=found.tzinfo or UTC).astimezone(UTC)
        return start, start + (timedelta(days=1) if is_day(text) else timedelta(seconds=1))
    except (ValueError, OverflowError):  # the first or last day there is, in another zone
        raise refused(
            INPUT, f"{field} {text!r:.{_SHOWN}} is no date: give {_DAY}, or {_DAY}T12:00:00Z",
            field=field,
        ) from None  # fmt: skip
