"""An event loop in a thread of its own, so that who does not wait may call what does."""

import asyncio
from collections.abc import Coroutine
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Calls may come from any thread. Close it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        # A daemon: a program that forgets to close ends all the same.
        self._thread = Thread(target=self._run, name="hushwire", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. Ctrl-C ends the wait and the work."""
        if self.closed:
            work.close()
            raise RuntimeError("this Hushwire is closed: make another one")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def post(self, work: Coroutine[Any, Any, object]) -> None:
        """Have it done without waiting: a finalizer may run in this very thread."""
        if self.closed:
            work.close()
        else:
            asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        if not self.closed:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        with self._runner:  # what still runs at the end is cancelled
            self._loop.run_forever()
