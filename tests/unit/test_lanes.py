"""Lanes: what is due is fed, in order, to whoever has room, and no alarm is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from hushwire.dispatch.lanes import CLAIM, Lanes
from hushwire.domain.message import Message, deleted
from hushwire.domain.task import Task, TaskKind
from hushwire.testing import simloop
from rig import START_MS, Rig

CALL = TaskKind.CALLBACK


class Worker:
    """Takes what it is fed; `room_left` says how much it will."""

    def __init__(self, rig: Rig, room: int = 1_000) -> None:
        self.rig = rig
        self.room_left = room
        self.fed: list[tuple[int, int]] = []  # number of the task, ms since the start
        self.forgotten: list[int] = []

    def room(self, lane: int) -> int:
        return self.room_left

    def feed(self, task: Task, message: Message) -> None:
        assert task.record == message.key
        self.room_left -= 1
        self.fed.append((task.number, self.rig.clock.now_ms() - START_MS))

    def forget(self, record: int) -> None:
        self.forgotten.append(record)


class Hall:
    """Lanes over a store, with one worker for callbacks."""

    def __init__(self, rig: Rig, room: int = 1_000) -> None:
        self.rig = rig
        self.lanes = Lanes(rig.store, rig.clock)
        self.worker = Worker(rig, room)
        self.lanes.workers[CALL] = self.worker
        rig.store.outlet = self.lanes
        self.running = asyncio.create_task(self.lanes.run())

    def put(self, message: Message, number: int, in_ms: int, lane: int = 5) -> None:
        """A task in the table, due in `in_ms` from now."""
        due_ms = self.rig.clock.now_ms() + in_ms
        self.rig.store.set_aside([Task(message.key, number, CALL, lane, due_ms)])

    def numbers(self) -> list[int]:
        return [number for number, _ in self.worker.fed]


def play(
    directory: Path, scene: Callable[[Hall, Message], Awaitable[None]], room: int = 1_000
) -> None:
    async def main() -> None:
        rig = Rig(directory)
        message = await rig.accept()
        hall = Hall(rig, room)
        await scene(hall, message)
        hall.running.cancel()
        await asyncio.gather(hall.running, return_exceptions=True)
        await rig.close()

    simloop.run(main())


def test_a_task_is_fed_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        for number, in_ms in ((10, 5_000), (11, 60_000), (12, 90 * 86_400_000), (13, 0)):
            hall.put(message, number, in_ms)
        await asyncio.sleep(91 * 86_400)
        assert hall.numbers() == [13, 10, 11, 12]
        for (_, at_ms), due_ms in zip(
            hall.worker.fed, (0, 5_000, 60_000, 90 * 86_400_000), strict=True
        ):
            assert due_ms <= at_ms <= due_ms + 10

    play(tmp_path, scene)


def test_what_the_table_holds_at_the_start_is_fed(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        message = await rig.accept()
        now_ms = rig.clock.now_ms()
        for number, due_ms in ((10, now_ms - 99), (11, now_ms + 2_000)):
            rig.store.set_aside([Task(message.key, number, CALL, 5, due_ms)])
        await rig.settle()
        hall = Hall(rig)
        hall.lanes.workers[TaskKind.SUBMIT] = Worker(rig)
        hall.lanes.start()
        await asyncio.sleep(10)
        assert hall.numbers() == [10, 11]
        hall.running.cancel()
        await rig.close()

    simloop.run(main())


def test_a_full_worker_is_fed_again_once_it_says_so(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        for number in range(10, 20):
            hall.put(message, number, -100 + number)
        await asyncio.sleep(60)
        assert hall.numbers() == [10, 11, 12]
        hall.worker.room_left = 4
        hall.lanes.wake(CALL, 5)
        await asyncio.sleep(60)
        assert hall.numbers() == [10, 11, 12, 13, 14, 15, 16]
        hall.worker.room_left = 100
        hall.lanes.wake(CALL, 5)
        await asyncio.sleep(60)
        assert hall.numbers() == list(range(10, 20))

    play(tmp_path, scene, room=3)


def test_a_full_lane_keeps_no_other_waiting(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        other = hall.lanes.workers[TaskKind.LATE] = Worker(hall.rig)
        hall.put(message, 10, 0)
        task = Task(message.key, 20, TaskKind.LATE, 5, hall.rig.clock.now_ms() + 5)
        hall.rig.store.set_aside([task])
        await asyncio.sleep(1)
        assert (hall.numbers(), len(other.fed)) == ([], 1)

    play(tmp_path, scene, room=0)


def test_more_than_one_claim_takes_is_fed_in_order(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        count = 2 * CLAIM + 7
        for number in range(10, 10 + count):
            hall.put(message, number, -number)  # the last is the oldest
        await asyncio.sleep(1)
        assert hall.numbers() == list(range(9 + count, 9, -1))

    play(tmp_path, scene)


def test_what_waits_in_the_table_goes_first(tmp_path: Path) -> None:
    """A new task is not handed over past older ones of its lane; it joins them."""

    async def scene(hall: Hall, message: Message) -> None:
        assert hall.lanes.room(CALL, 5) > 0
        hall.put(message, 10, 0)
        assert hall.lanes.room(CALL, 5) == 0  # not even while it is being committed
        assert hall.lanes.room(CALL, 6) > 0
        await asyncio.sleep(1)
        assert hall.numbers() == [10]
        assert hall.lanes.room(CALL, 5) > 0
        hall.put(message, 11, 10_000)  # what is due some other day holds up nothing
        assert hall.lanes.room(CALL, 5) > 0

    play(tmp_path, scene)


def test_a_lane_being_claimed_hands_nothing_over(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        rooms: list[int] = []
        store, claim = hall.rig.store, hall.rig.store.claim

        async def watched(
            kind: TaskKind, lane: int, now_ms: int, limit: int
        ) -> tuple[list[Task], int | None]:
            taken = await claim(kind, lane, now_ms, limit)
            rooms.append(hall.lanes.room(kind, lane))
            return taken

        store.claim = watched  # type: ignore[method-assign]
        hall.put(message, 10, 0)
        await asyncio.sleep(1)
        assert rooms == [0]
        assert hall.numbers() == [10]

    play(tmp_path, scene)


def test_a_task_that_falls_due_while_its_lane_is_claimed_is_not_forgotten(tmp_path: Path) -> None:
    """The clock may jump in between: nothing else would ring for it."""

    async def scene(hall: Hall, message: Message) -> None:
        store, claim = hall.rig.store, hall.rig.store.claim

        async def slow(
            kind: TaskKind, lane: int, now_ms: int, limit: int
        ) -> tuple[list[Task], int | None]:
            taken = await claim(kind, lane, now_ms, limit)
            hall.rig.clock.advance(3_600_000)
            return taken

        store.claim = slow  # type: ignore[method-assign]
        hall.put(message, 10, 0)
        hall.put(message, 11, 1_800_000)
        await asyncio.sleep(5)
        assert hall.numbers() == [10, 11]

    play(tmp_path, scene)


def test_a_task_without_its_message_is_dropped(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        other = await hall.rig.accept()
        hall.put(other, 10, 5_000)
        await hall.rig.settle()
        gone = replace(deleted(other), drops=())  # as if a crash had left the task
        await hall.rig.store.record([gone])
        await asyncio.sleep(10)
        assert hall.numbers() == []
        assert [task for task in hall.rig.tasks() if task[1] == 10] == []
        assert hall.worker.forgotten == [other.key]

    play(tmp_path, scene)


def test_the_oldest_lane_is_drained_first(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        for number, lane, in_ms in ((10, 7, -1_000), (11, 6, -3_000), (12, 8, -2_000)):
            hall.put(message, number, in_ms, lane)
        await asyncio.sleep(1)
        assert hall.numbers() == [11, 12, 10]

    play(tmp_path, scene)


def test_it_is_busy_while_it_claims_and_quiet_afterwards(tmp_path: Path) -> None:
    async def scene(hall: Hall, message: Message) -> None:
        assert hall.lanes.busy() == 0
        hall.put(message, 10, 100)
        assert hall.lanes.busy() == 0
        await asyncio.sleep(0.1)
        seen: set[int] = set()
        while not hall.numbers():
            seen.add(hall.lanes.busy() or int(hall.rig.store.pending()))
            await asyncio.sleep(0)
        assert seen == {1}
        await asyncio.sleep(1)
        assert hall.lanes.busy() == 0

    play(tmp_path, scene)
