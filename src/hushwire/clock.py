"""Time and chance, passed in: `Clock`, `Alarm` and `Entropy`.

All instants are whole milliseconds since the Unix epoch, UTC, as `int` (`*_ms`). Everything
that is due follows one `Clock`; socket time-outs alone follow real time.
"""

import asyncio
import os
import time
from collections.abc import Callable
from random import Random
from typing import Protocol


class Clock:
    """The server's clock: real time plus an offset that only moves forward.

    The sandbox moves the offset; alarms set on this clock notice. `read` gives real
    milliseconds and is replaced in simulations.
    """

    def __init__(self, offset_ms: int = 0, read: Callable[[], int] | None = None) -> None:
        self.offset_ms = offset_ms
        self._read = read or _system_ms
        self._alarms: set[Alarm] = set()

    def now_ms(self) -> int:
        return self._read() + self.offset_ms

    def advance(self, by_ms: int) -> None:
        """Move forward by `by_ms` ≥ 0 and wake what became due."""
        if by_ms < 0:
            raise ValueError("a clock does not go backwards")
        self.offset_ms += by_ms
        for alarm in tuple(self._alarms):
            alarm.rearm()

    def next_due_ms(self) -> int | None:
        """When the earliest alarm is due, or None when none is set."""
        return min((a.due_ms for a in self._alarms if a.due_ms is not None), default=None)

    def watch(self, alarm: "Alarm") -> None:
        self._alarms.add(alarm)

    def forget(self, alarm: "Alarm") -> None:
        self._alarms.discard(alarm)


class Alarm:
    """Calls `ring()` once when the clock reaches the due time. One per service, not per task."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self.due_ms: int | None = None

    def set(self, due_ms: int) -> None:
        """Ring at `due_ms` or at the earlier time already set."""
        if self.due_ms is None or due_ms < self.due_ms:
            self.due_ms = due_ms
            self._clock.watch(self)
            self.rearm()

    def cancel(self) -> None:
        self.due_ms = None
        self._clock.forget(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rearm(self) -> None:
        if self.due_ms is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        # An hour at most: a suspended machine must not oversleep by the whole wait.
        wait_s = min(max(0, self.due_ms - self._clock.now_ms()) / 1000, 3600.0)
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._wake)

    def _wake(self) -> None:
        if self.due_ms is None:
            return
        if self._clock.now_ms() < self.due_ms:
            self.rearm()
            return
        self.cancel()
        self._ring()


class Entropy(Protocol):
    """Where random bytes come from."""

    def bytes(self, n: int, /) -> bytes: ...


class SystemEntropy:
    """The operating system's random bytes, drawn 16 KiB at a time (one system call a pool)."""

    _POOL = 16384

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def bytes(self, n: int, /) -> bytes:
        end = self._at + n
        if end > len(self._pool):
            self._pool = os.urandom(max(self._POOL, n))
            self._at, end = 0, n
        out = self._pool[self._at : end]
        self._at = end
        return out


class SeededEntropy:
    """Repeatable bytes for simulations. Never for keys that protect anything."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def bytes(self, n: int, /) -> bytes:
        return self._random.randbytes(n)


def _system_ms() -> int:
    return time.time_ns() // 1_000_000
