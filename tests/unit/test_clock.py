"""Clock, alarm and entropy: time and chance as they are passed in."""

import asyncio

import pytest

from hushwire.clock import Alarm, Clock, SeededEntropy, SystemEntropy
from hushwire.testing import simloop

START_MS = 1_772_366_400_000
HOUR_MS = 3_600_000


class Rings:
    """An alarm, and when it rang."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.at_ms: list[int] = []
        self.alarm = Alarm(clock, lambda: self.at_ms.append(clock.now_ms() - START_MS))


def clock() -> Clock:
    return simloop.clock_of(asyncio.get_running_loop(), START_MS)


def test_an_alarm_rings_once_at_its_time() -> None:
    async def main() -> None:
        rings = Rings(clock())
        rings.alarm.set(START_MS + 250)
        await asyncio.sleep(60)
        assert rings.at_ms == [250]
        assert rings.clock.next_due_ms() is None

    simloop.run(main())


def test_of_two_times_the_earlier_counts() -> None:
    async def main() -> None:
        rings = Rings(clock())
        rings.alarm.set(START_MS + 500)
        rings.alarm.set(START_MS + 100)
        rings.alarm.set(START_MS + 900)
        assert rings.clock.next_due_ms() == START_MS + 100
        await asyncio.sleep(60)
        assert rings.at_ms == [100]

    simloop.run(main())


def test_a_time_that_has_passed_rings_at_once() -> None:
    async def main() -> None:
        rings = Rings(clock())
        rings.alarm.set(START_MS - 5_000)
        await asyncio.sleep(0.001)
        assert rings.at_ms == [0]

    simloop.run(main())


def test_a_cancelled_alarm_is_silent_and_may_be_set_again() -> None:
    async def main() -> None:
        rings = Rings(clock())
        rings.alarm.set(START_MS + 100)
        rings.alarm.cancel()
        assert rings.clock.next_due_ms() is None
        await asyncio.sleep(1)
        assert rings.at_ms == []
        rings.alarm.set(START_MS + 2_000)
        await asyncio.sleep(5)
        assert rings.at_ms == [2_000]

    simloop.run(main())


def test_a_wait_of_days_ends_on_the_millisecond() -> None:
    async def main() -> None:
        rings = Rings(clock())
        rings.alarm.set(START_MS + 35 * 24 * HOUR_MS + 7)
        await asyncio.sleep(36 * 86_400)
        assert rings.at_ms == [35 * 24 * HOUR_MS + 7]

    simloop.run(main())


def test_moving_the_clock_wakes_what_became_due() -> None:
    async def main() -> None:
        moved = clock()
        near, far = Rings(moved), Rings(moved)
        near.alarm.set(START_MS + HOUR_MS)
        far.alarm.set(START_MS + 30 * HOUR_MS)
        moved.advance(2 * HOUR_MS)
        await asyncio.sleep(0.001)
        assert (near.at_ms, far.at_ms) == ([2 * HOUR_MS], [])
        assert moved.next_due_ms() == START_MS + 30 * HOUR_MS

    simloop.run(main())


def test_a_machine_that_was_suspended_does_not_oversleep_by_the_whole_wait() -> None:
    """The loop's timers stand still while a machine sleeps; the wall clock does not."""

    async def main() -> None:
        slept_ms = 0
        loop = asyncio.get_running_loop()
        wall = Clock(read=lambda: START_MS + slept_ms + round(loop.time() * 1000))
        rings = Rings(wall)
        rings.alarm.set(START_MS + 10 * HOUR_MS)
        slept_ms = 9 * HOUR_MS + HOUR_MS // 2
        await asyncio.sleep(3_601)
        assert rings.at_ms == [slept_ms + HOUR_MS]

    simloop.run(main())


def test_a_clock_does_not_go_backwards() -> None:
    moved = Clock(read=lambda: START_MS)
    with pytest.raises(ValueError, match="backwards"):
        moved.advance(-1)
    assert moved.now_ms() == START_MS


def test_seeded_entropy_repeats_itself_and_nothing_else_does() -> None:
    one, two, other = SeededEntropy(7), SeededEntropy(7), SeededEntropy(8)
    first = [one.bytes(n) for n in (1, 16, 32)]
    assert first == [two.bytes(n) for n in (1, 16, 32)]
    assert first != [other.bytes(n) for n in (1, 16, 32)]


def test_system_entropy_gives_what_is_asked_and_never_the_same_twice() -> None:
    entropy = SystemEntropy()
    drawn = [entropy.bytes(16) for _ in range(5_000)]  # over several pools
    assert {len(part) for part in drawn} == {16}
    assert len(set(drawn)) == len(drawn)
    assert len(entropy.bytes(100_000)) == 100_000
