"""Lookup: find a number without storing it.

A tag is a keyed hash of the canonical number under a pepper. Tags of people have one pepper an
account and month (design: blind indexes), and die with it: it is destroyed once no message of
its month is found by a person any more. Pure.
"""

from datetime import UTC, datetime
from typing import Final

from hushwire.vault.keyed import Keyed

DAY_MS: Final = 86_400_000
STRETCH_MESSAGES: Final = 4_000
PARTS: Final = 1 << 16  # of a day, at most; the last has no end


class Pepper:
    """An HMAC-SHA256 key, ready to tag numbers. It shows nothing of itself."""

    __slots__ = ("_digest",)

    def __init__(self, key: bytes) -> None:
        self._digest = Keyed(key, "sha256").digest

    def tag8(self, text: str) -> int:
        """8 bytes as a signed 64-bit integer, for SQLite.

        Two numbers may share one (D9): what a search finds is verified after opening.
        """
        return int.from_bytes(self._digest(text.encode())[:8], "big", signed=True)

    def tag16(self, text: str) -> bytes:
        """16 bytes, where a collision would act on a stranger (STOP, consent)."""
        return self._digest(text.encode())[:16]


def month_of(ms: int) -> int:
    """The UTC calendar month of a Unix time in milliseconds, as `yyyymm`: a pepper's epoch."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return moment.year * 100 + moment.month


def month_span(epoch: int) -> tuple[int, int]:
    """A month (`yyyymm`): its first millisecond, and that of the next (Unix ms, UTC)."""
    year, month = divmod(epoch, 100)
    first = datetime(year, month, 1, tzinfo=UTC)
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return round(first.timestamp() * 1000), round(following.timestamp() * 1000)


def day_of(ms: int) -> int:
    """The UTC day of a Unix time in milliseconds, as days since 1970-01-01."""
    return ms // DAY_MS


class Stretches:
    """Leads the indexes on numbers: a UTC day, or a part of a busy one.

    Tags are chance, so each new one dirties a page of its index; in a part of some thousand
    messages, many share one. A stretch is `day << 16 | part`: it grows with time.
    """

    def __init__(self, last: int) -> None:
        """`last`: the highest stretch ever given, which is not continued; 0 before any."""
        self._last = last
        self._left = 0  # how many messages it still takes

    def next(self, at_ms: int) -> int:
        """The stretch of the next message, born at that time (Unix ms)."""
        first = first_stretch(at_ms)
        if first > self._last:
            self._last, self._left = first, STRETCH_MESSAGES
        elif first + PARTS <= self._last:
            return first  # it comes after one of a later day
        elif self._left == 0 and self._last < first + PARTS - 1:
            self._last, self._left = self._last + 1, STRETCH_MESSAGES
        self._left -= 1
        return self._last


def first_stretch(ms: int) -> int:
    """The first stretch of the day of a Unix time in milliseconds."""
    return ms // DAY_MS * PARTS
