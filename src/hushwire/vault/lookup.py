"""Lookup: find a number without storing it.

A tag is a keyed hash of the canonical number under a pepper, one pepper per account and
month (design: blind indexes). Tags die with their pepper. Pure.
"""

from datetime import UTC, datetime
from typing import Final

from hushwire.vault.keyed import Keyed

DAY_MS: Final = 86_400_000


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


def day_of(ms: int) -> int:
    """The UTC day of a Unix time in milliseconds, as days since 1970-01-01."""
    return ms // DAY_MS
