"""A virtual-time event loop: it never sleeps, so a simulated day costs milliseconds.

When nothing is ready the loop puts its own clock forward to the next timer. Work for threads
runs at once on the calling thread. What happens therefore depends on nothing but the program
and its seed: a run repeats itself exactly. Sockets are not for it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn, TypeVar

from hushwire.clock import Clock
from hushwire.errors import Defect

T = TypeVar("T")

# What is due within this is due now. asyncio's own nanosecond is less than a float's last digit
# after half a year, and a timer that was reached would never be due.
RESOLUTION_S: Final = 1e-6


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose time starts at `start_s` and jumps from timer to timer.

    An error that nobody handles ends the run with that error. So does a wait for something
    that can never come: a `Defect`.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._dead = False
        super().__init__(_Jump(self._jump))
        self._clock_resolution = RESOLUTION_S

    def time(self) -> float:
        """Virtual seconds."""
        return self._now_s

    def _jump(self, wait_s: float | None) -> None:
        if wait_s is None:
            raise Defect("everybody waits and no timer is set: this would wait for ever")
        self._now_s = round(self._now_s + wait_s, 9)  # or errors of a float's last digit add up

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """Run `func` now, on this thread. What it raises is raised here."""
        done: asyncio.Future[T] = self.create_future()
        done.set_result(func(*args))
        return done

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._dead:
            _fail(context)

    def abandon(self) -> None:
        """Drop all that was to happen, as a killed process does, and close the loop."""
        self._dead = True
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant
            task.get_coro().close()
        self.close()


def _fail(context: dict[str, Any]) -> NoReturn:
    error = context.get("exception")
    if isinstance(error, BaseException):
        raise error
    raise Defect(str(context.get("message")))


class _Jump(selectors.SelectSelector):
    """A selector that waits by moving the clock."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and (timeout is None or timeout > 0):
            self._jump(timeout)
        return found


def clock_of(loop: asyncio.AbstractEventLoop, start_ms: int) -> Clock:
    """A clock that reads `start_ms` (Unix ms) when the loop's time is 0."""
    return Clock(read=lambda: start_ms + round(loop.time() * 1000))


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=SimLoop) as runner:
        return runner.run(main)
