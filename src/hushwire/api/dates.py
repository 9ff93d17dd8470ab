"""Dates as Twilio writes and reads them. Instants are Unix milliseconds; zones end here."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from time import gmtime
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_MONTH_NUMBERS: Final = {name.lower(): n for n, name in enumerate(_MONTHS, 1)}
_ZONE_HOURS: Final = {  # the names RFC 2822 4.3 knows, and UTC
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5,
    "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip

_FILTER = re.compile(
    r"""
    (?: (?P<iso>\d{4}-\d\d-\d\d)
      | (?P<us>\d{1,2}/\d{1,2}/\d{4})
      | (?:[a-z]{3},[ ]+)? (?P<mail>\d{1,2}[ ][a-z]{3}[ ]\d{4})
    )
    (?: (?:t|[ ]+) (?P<time>\d\d:\d\d:\d\d) (?:\.\d{1,9})?
        (?: [ ]* (?P<zone>[a-z]{1,3} | [+-]\d\d:?\d\d)
          | [ ]+ (?P<raw_plus>\d\d:?\d\d)   # a plus that was not escaped in a query
        )?
    )?
    \Z""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def rfc2822(ms: int) -> str:
    """`Thu, 24 Aug 2023 05:01:45 +0000`, the second that `ms` is in."""
    return _rfc2822_at(ms // 1000)


@lru_cache(maxsize=2048)  # a list page repeats its seconds, and so do messages of one second
def _rfc2822_at(second: int) -> str:
    at = gmtime(second)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} +0000"
    )


def iso8601(ms: int) -> str:
    """ISO 8601 in UTC with milliseconds: 2026-01-31T12:00:00.000Z."""
    moment = datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso8601_s(ms: int) -> str:
    """`2015-07-31T04:00:00Z`: the v1 APIs' dates. Twilio's SDKs read no fraction (1.2)."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_filter_date(text: str) -> tuple[int, int] | None:
    """The span a date filter names, as (first ms, ms after the last); None when unreadable.

    A bare date is that day in GMT, a time is that second. Forms (twilio-messaging 5.5): ISO 8601
    with `T` or a space, fraction and zone optional; `MM/DD/YYYY HH:MM:SS MST`; RFC 2822. Without
    a zone it is GMT. A zone's plus may have become a space.
    """
    found = _FILTER.match(text.strip())
    if found is None:
        return None
    year, month, day = _date_of(found)
    clock = found["time"]
    offset = _offset_minutes(found)
    if offset is None:
        return None
    hour, minute, second = map(int, clock.split(":")) if clock else (0, 0, 0)
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    start_s = int(at.timestamp()) - offset * 60
    return start_s * 1000, (start_s + (1 if clock else 86_400)) * 1000


def _date_of(found: re.Match[str]) -> tuple[int, int, int]:
    """Year, month, day; a month that has no such name is 0."""
    if found["iso"]:
        year, month, day = map(int, found["iso"].split("-"))
    elif found["us"]:
        month, day, year = map(int, found["us"].split("/"))
    else:
        day_text, name, year_text = found["mail"].split(" ")
        year, month, day = int(year_text), _MONTH_NUMBERS.get(name.lower(), 0), int(day_text)
    return year, month, day


def _offset_minutes(found: re.Match[str]) -> int | None:
    """Minutes east of GMT, or None when there is no such zone."""
    zone = found["zone"] or (f"+{found['raw_plus']}" if found["raw_plus"] else "z")
    if zone[0] not in "+-":
        hours = _ZONE_HOURS.get(zone.lower())
        return None if hours is None else hours * 60
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
