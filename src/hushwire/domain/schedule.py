"""Scheduling: what `ScheduleType` and `SendAt` may say (twilio-messaging 5.1, 5.6)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from hushwire.domain.address import Channel
from hushwire.errors import Refusal

AHEAD_MIN_S: Final = 300
AHEAD_MAX_S: Final = 3_024_000  # 35 days
SCHEDULED_MAX: Final = 500_000  # of one account; beyond it, `schedule_limit`

_CHANNELS: Final[frozenset[Channel]] = frozenset({"sms", "whatsapp", "rcs"})
# A form turns the plus of an offset into a space, unless it was escaped.
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?:([Zz])|([+\- ])(\d\d)(?::?(\d\d))?)?\Z",
    re.ASCII,
)


def send_time(
    schedule_type: str | None, send_at: str | None, now_ms: int, *, service: bool, channel: Channel
) -> int | None:
    """When a message is to be sent (Unix ms), or None when it is not scheduled.

    `service`: MessagingServiceSid was given. Raises Refusal: `schedule_type_invalid`,
    `send_at_required`, `schedule_without_service`, `send_at_out_of_range`. A SendAt alone is
    refused, not ignored: nobody means it to be sent now.
    """
    if schedule_type is None and send_at is None:
        return None
    if schedule_type is None or schedule_type.lower() != "fixed" or channel not in _CHANNELS:
        raise Refusal("schedule_type_invalid")
    if send_at is None:
        raise Refusal("send_at_required")
    if not service:
        raise Refusal("schedule_without_service")
    at_ms = read_time(send_at)
    if at_ms is None or not is_in_window(at_ms, now_ms):
        raise Refusal("send_at_out_of_range")
    return at_ms


def is_in_window(at_ms: int, now_ms: int) -> bool:
    """Is `at_ms` 300 seconds to 35 days ahead? By whole seconds, as callers count: inclusive."""
    return AHEAD_MIN_S <= at_ms // 1000 - now_ms // 1000 <= AHEAD_MAX_S


def read_time(text: str) -> int | None:
    """An ISO 8601 date and time as Unix ms, or None when it is none. Without a zone it is UTC.

    Seconds and their fraction may be missing; a comma may stand for the point, a space for the
    `T`. A date alone is no time.
    """
    match = _TIME.match(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, ahead_h, ahead_m = match.groups()
    ahead = timedelta(hours=int(ahead_h or 0), minutes=int(ahead_m or 0))
    if ahead >= timedelta(hours=24) or int(ahead_m or 0) > 59:
        return None
    zone = timezone(-ahead if sign == "-" else ahead) if sign is not None else UTC
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=zone
        )
    except ValueError:
        return None
    milliseconds = int((fraction or "")[:3].ljust(3, "0"))
    return (moment - _EPOCH) // timedelta(milliseconds=1) + milliseconds


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
