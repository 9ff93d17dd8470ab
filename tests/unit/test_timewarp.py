"""Moving the clock: due work keeps its order over any jump, in milliseconds of real time."""

import asyncio
import time
from collections.abc import Callable

import pytest

from hushwire.clock import Alarm, Clock
from hushwire.dispatch.timewarp import TimeWarp

DAY_MS = 86_400_000
START_MS = 1_772_366_400_000


class Service:
    """Does something when its alarm rings, a few turns of the loop later, maybe repeatedly."""

    def __init__(self, world: "World", name: str, due_ms: list[int], every_ms: int = 0) -> None:
        self.world, self.name, self.due, self.every_ms = world, name, sorted(due_ms), every_ms
        self.alarm = Alarm(world.clock, self.ring)
        self.alarm.set(self.due[0])

    def ring(self) -> None:
        due_ms = self.due.pop(0)
        if self.every_ms:
            self.due.append(due_ms + self.every_ms)
        self.world.busy += 1
        asyncio.get_running_loop().call_soon(self.work, due_ms, 5)

    def work(self, due_ms: int, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self.work, due_ms, turns - 1)
            return
        self.world.done.append((self.name, due_ms, self.world.clock.now_ms()))
        self.world.busy -= 1
        if self.due:
            self.alarm.set(self.due[0])


class World:
    def __init__(self, read: Callable[[], int] = lambda: START_MS) -> None:
        self.clock = Clock(read=read)
        self.busy = 0
        self.done: list[tuple[str, int, int]] = []
        self.persisted: list[int] = []
        self.warp = TimeWarp(self.clock, lambda: self.busy, self.persisted.append)


def test_due_work_keeps_its_order_over_400_days() -> None:
    async def main() -> None:
        world = World()
        Service(world, "daily", [START_MS + DAY_MS], every_ms=DAY_MS)
        Service(world, "once", [START_MS + 100 * DAY_MS + 5, START_MS + 7])
        Service(world, "later", [START_MS + 401 * DAY_MS])
        began = time.monotonic()
        assert await world.warp.advance(400 * DAY_MS) == 0
        assert time.monotonic() - began < 2
        assert world.clock.now_ms() == START_MS + 400 * DAY_MS
        assert len(world.done) == 402
        assert [due for _, due, _ in world.done] == sorted(due for _, due, _ in world.done)
        assert all(due == done_at for _, due, done_at in world.done)
        assert world.persisted == [400 * DAY_MS]

    asyncio.run(main())


def test_real_time_does_not_move_the_target() -> None:
    real = [START_MS]

    def read() -> int:
        real[0] += 3  # every look at the clock takes 3 ms
        return real[0]

    async def main() -> None:
        world = World(read)
        Service(world, "often", [START_MS + 500], every_ms=500)
        assert await world.warp.advance(60_000) == 0
        assert world.clock.offset_ms == 60_000
        assert len(world.done) >= 120
        assert [due for _, due, _ in world.done] == sorted(due for _, due, _ in world.done)

    asyncio.run(main())


def test_concurrent_calls_take_turns() -> None:
    async def main() -> None:
        world = World()
        Service(world, "one", [START_MS + 100])
        Service(world, "two", [START_MS + 1500])
        assert await asyncio.gather(*(world.warp.advance(1000) for _ in range(3))) == [0, 0, 0]
        assert world.persisted == [1000, 2000, 3000]
        assert [name for name, _, _ in world.done] == ["one", "two"]

    asyncio.run(main())


def test_work_due_before_the_call_is_done_before_the_clock_moves() -> None:
    async def main() -> None:
        world = World()
        Service(world, "overdue", [START_MS - 5])
        assert await world.warp.advance(1000) == 0
        assert world.done == [("overdue", START_MS - 5, START_MS)]

    asyncio.run(main())


def test_when_the_limit_is_over_the_clock_goes_on_and_the_rest_is_pending() -> None:
    async def main() -> None:
        world = World()
        world.busy = 3
        assert await world.warp.advance(1000, limit_s=0.02) == 3
        assert world.clock.offset_ms == 1000
        world.busy = 0
        assert await world.warp.advance(1000) == 0
        assert world.clock.offset_ms == 2000

    asyncio.run(main())


def test_the_limit_counts_the_wait_for_other_calls() -> None:
    async def main() -> None:
        world = World()
        world.busy = 1
        began = time.monotonic()
        await asyncio.gather(*(world.warp.advance(1000, limit_s=0.05) for _ in range(4)))
        assert time.monotonic() - began < 0.15
        assert world.clock.offset_ms == 4000

    asyncio.run(main())


def test_it_waits_for_slow_work() -> None:
    async def main() -> None:
        world = World()
        world.busy = 1
        asyncio.get_running_loop().call_later(0.03, setattr, world, "busy", 0)
        assert await world.warp.advance(1000) == 0

    asyncio.run(main())


def test_what_cannot_be_persisted_does_not_happen() -> None:
    def fail(offset_ms: int) -> None:
        raise OSError("full")

    async def main() -> None:
        clock = Clock(read=lambda: START_MS)
        with pytest.raises(OSError):
            await TimeWarp(clock, lambda: 0, fail).advance(1000)
        for by_ms in (0, -1):
            with pytest.raises(ValueError):
                await World().warp.advance(by_ms)
        assert clock.offset_ms == 0

    asyncio.run(main())
