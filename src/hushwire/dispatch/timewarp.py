"""`TimeWarp`: move the server's clock forward so that everything happens in its order.

One jump of 400 days would make all that lies in between due at the same instant. So the
clock goes from one due time to the next, and what became due is done before it goes on.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from hushwire.clock import Clock

_QUIET_POLLS: Final = 3  # in a row: a report may cross the loop once or twice before it is work
_EAGER_POLLS: Final = 20  # without sleeping; then a poll every 1 to 5 ms
_NAP_MAX_S: Final = 0.005


class TimeWarp:
    """Moves `clock` for the sandbox.

    `idle` counts the work in memory that is not finished (commits, carriers, first callback
    attempts) and is 0 when all is quiet. `persist` keeps the offset in ms for the next start.
    `real_monotonic` reads real seconds, for the limit.
    """

    def __init__(
        self,
        clock: Clock,
        idle: Callable[[], int],
        persist: Callable[[int], None],
        real_monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._idle = idle
        self._persist = persist
        self._real = real_monotonic
        self._lock = asyncio.Lock()

    async def advance(self, by_ms: int, limit_s: float = 30.0) -> int:
        """Move the clock forward by exactly `by_ms` > 0; returns how much work is pending.

        0: all that was due by then is done, in order. Otherwise `limit_s` of real time,
        waiting for other calls included, was not enough: the clock was put forward all the
        same and the work goes on. The offset grows by `by_ms` however much real time passes
        meanwhile. Raises ValueError when `by_ms` is not positive, and what `persist` raises;
        nothing has changed then.
        """
        if by_ms <= 0:
            raise ValueError("a clock does not go backwards")
        deadline = self._real() + limit_s
        async with self._lock:
            # Once and first: after a crash on the way the clock must not be behind its work.
            self._persist(self._clock.offset_ms + by_ms)
            left_ms = by_ms
            while await self._settled(deadline):
                if left_ms == 0:
                    return 0
                left_ms -= self._step(left_ms)
            self._clock.advance(left_ms)
            return max(1, self._idle())

    def _step(self, left_ms: int) -> int:
        """Go to the next due time, or as far as is left; returns the milliseconds gone."""
        due_ms = self._clock.next_due_ms()
        step_ms = left_ms
        if due_ms is not None:
            step_ms = min(left_ms, max(0, due_ms - self._clock.now_ms()))
        self._clock.advance(step_ms)
        return step_ms

    async def _settled(self, deadline: float) -> bool:
        """Wait until nothing is due and nothing is in work; False when the time is over."""
        polls = quiet = 0
        while quiet < _QUIET_POLLS:
            if self._real() >= deadline:
                return False
            eager = quiet > 0 or polls < _EAGER_POLLS
            await asyncio.sleep(0 if eager else min(_NAP_MAX_S, (polls - _EAGER_POLLS + 1) / 1000))
            polls += 1
            quiet = 0 if self._is_due() or self._idle() else quiet + 1
        return True

    def _is_due(self) -> bool:
        due_ms = self._clock.next_due_ms()
        return due_ms is not None and due_ms <= self._clock.now_ms()
