"""Accounts and the numbers they own."""

from typing import Final

from msgspec import Struct

from hushwire.private import Private

QUEUE_MS: Final = 36_000_000  # a sender's queue holds ten hours of its pace (section 10)


class Account(Struct, frozen=True):
    """Who may use the API. Times are Unix milliseconds."""

    id: int
    sid: str
    friendly_name: str
    status: str  # active, suspended, closed
    auth_token: Private
    created_ms: int
    updated_ms: int


class Number(Struct, frozen=True):
    """A number an account owns and sends from."""

    id: int
    sid: str
    account_id: int
    phone: str  # E.164: the account's own, not a person's
    mps: float | None  # segments a second; None is unpaced
    created_ms: int


class Pace:
    """A sender's timetable: gives each message its time, `mps` segments a second.

    A plain clock of the next free slot, so that the queue's length in time is known at once.
    """

    __slots__ = ("_next_ms", "mps")

    def __init__(self, mps: float | None) -> None:
        self.mps = mps
        self._next_ms = 0.0

    def length_ms(self, segments: int) -> float:
        """How long a message occupies the sender; 0 when it is unpaced."""
        return 1000 * segments / self.mps if self.mps else 0.0

    def occupy(self, now_ms: int, segments: int) -> None:
        """Put so many segments into the timetable without a limit: what is queued already."""
        self._next_ms = max(float(now_ms), self._next_ms) + self.length_ms(segments)

    def reserve(self, now_ms: int, segments: int) -> int | None:
        """When the message may go (Unix ms), or None when the queue is full (21611)."""
        if not self.mps:
            return now_ms
        slot = max(float(now_ms), self._next_ms)
        if slot - now_ms > QUEUE_MS:
            return None
        self._next_ms = slot + self.length_ms(segments)
        return int(slot)
