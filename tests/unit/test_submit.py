"""The dispatcher: marked before the wire, inside the window, at the sender's pace, in time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from pathlib import Path

from hushwire.carriers.base import (
    Accepted,
    NotNow,
    Outcome,
    Receipt,
    Refused,
    Submission,
    Unsure,
)
from hushwire.dispatch.lanes import Lanes
from hushwire.dispatch.receive import Receiver
from hushwire.dispatch.submit import Dispatcher
from hushwire.dispatch.waits import Waits
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.message import Change, Message, Status, deleted
from hushwire.domain.task import TaskKind
from hushwire.private import Private
from hushwire.testing import simloop
from rig import START_MS, Rig


class Wire:
    """A carrier: it keeps what it is given until `answer` says what became of it."""

    name = "wire"

    def __init__(self, rig: Rig, window: int) -> None:
        self.rig = rig
        self.window = window
        self.sent: list[tuple[int, int]] = []  # key, ms since the start
        self.open: list[Submission] = []
        self.most = 0
        self.at_once: Outcome | None = Accepted("ref")
        self.dispatcher: Dispatcher

    def submit(self, batch: Sequence[Submission]) -> None:
        for submission in batch:
            self.sent.append((submission.reference, self.rig.clock.now_ms() - START_MS))
        self.open.extend(batch)
        self.most = max(self.most, len(self.open))
        if self.at_once is not None:
            asyncio.get_running_loop().call_soon(self.answer, self.at_once)

    def answer(self, outcome: Outcome, count: int | None = None) -> None:
        count = len(self.open) if count is None else count
        batch, self.open = self.open[:count], self.open[count:]
        self.dispatcher.outcomes([(submission, outcome) for submission in batch])

    def order(self) -> list[int]:
        """The keys of what was sent."""
        return [key for key, _ in self.sent]


class Yard:
    """Store, lanes and dispatcher before a wire."""

    def __init__(
        self, rig: Rig, directory: Path, window: int, memory: int, mps: dict[str, float]
    ) -> None:
        self.rig = rig
        self.wire = Wire(rig, window)
        self.log = WireLog(directory)
        self.log.start()
        self.lanes = Lanes(rig.store, rig.clock)
        self.dispatcher = self.wire.dispatcher = Dispatcher(
            rig.store, self.wire, rig.clock, self.log, rig.metrics, memory=memory,
            pace_ms=lambda m: 1000 * m.segments / mps[m.from_.reveal()]
            if m.from_ and m.from_.reveal() in mps else 0.0,
            drained=self.lanes.wake,
        )  # fmt: skip
        waits = Waits(rig.store, rig.clock, rig.custodian)
        self.lanes.workers.update({
            TaskKind.SUBMIT: self.dispatcher, TaskKind.SETTLE: waits, TaskKind.LATE: waits,
        })  # fmt: skip
        rig.store.outlet = self.lanes
        self.running = asyncio.create_task(self.lanes.run())

    async def accept(self, count: int = 1, **changes: object) -> list[Message]:
        made = [self.rig.accept(**{"callback": None, **changes}) for _ in range(count)]
        return list(await asyncio.gather(*made))

    def now(self, message: Message) -> Message:
        latest = self.rig.store.latest(message.key)
        assert latest is not None
        return latest


Scene = Callable[[Yard], Awaitable[None]]


def play(
    directory: Path, scene: Scene, *, window: int = 1_000, memory: int = 1_000,
    mps: dict[str, float] | None = None,
) -> None:  # fmt: skip
    async def main() -> None:
        rig = Rig(directory)
        yard = Yard(rig, directory, window, memory, mps or {})
        await scene(yard)
        yard.running.cancel()
        await asyncio.gather(yard.running, return_exceptions=True)
        yard.log.close()
        await rig.close()

    simloop.run(main())


def test_an_accepted_message_goes_to_the_wire_and_is_handed(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        (message,) = await yard.accept()
        await asyncio.sleep(1)
        assert yard.wire.order() == [message.key]
        now = yard.now(message)
        assert (now.status, now.attempt) == (Status.SENT, 1)
        assert START_MS <= (now.sent_ms or 0) < START_MS + 50
        assert yard.dispatcher.busy() == 0

    play(tmp_path, scene)


def test_an_attempt_is_marked_and_logged_before_the_wire(tmp_path: Path) -> None:
    """What a crash finds is never less than what left."""

    async def scene(yard: Yard) -> None:
        seen: list[tuple[str, bool]] = []
        submit = yard.wire.submit

        def watched(batch: Sequence[Submission]) -> None:
            (row,) = yard.rig.rows("message")
            logged = WireLog(tmp_path).read() or set()
            seen.append((str(row[5]), batch[0].reference in logged))
            submit(batch)

        yard.wire.submit = watched  # type: ignore[method-assign]
        await yard.accept()
        await asyncio.sleep(1)
        assert seen == [("sending", True)]

    play(tmp_path, scene)


def test_the_window_is_never_exceeded_and_always_used(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        messages = await yard.accept(20)
        await asyncio.sleep(1)
        assert len(yard.wire.open) == 3
        for _ in range(9):
            yard.wire.answer(Accepted("r"), 2)
            await asyncio.sleep(1)
            assert len(yard.wire.open) == min(3, 20 - len(yard.wire.sent) + len(yard.wire.open))
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(1)
        assert yard.wire.order() == [message.key for message in messages]
        assert yard.wire.most == 3

    play(tmp_path, scene, window=3)


def test_what_memory_cannot_hold_waits_in_the_table_and_goes_in_order(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        messages = [message for _ in range(60) for message in await yard.accept()]
        await asyncio.sleep(1)
        assert yard.dispatcher.room(0) <= 0
        waiting = [task for task in yard.rig.tasks() if task[2] is TaskKind.SUBMIT and not task[3]]
        assert waiting
        yard.wire.at_once = Accepted("r")
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(60)
        assert yard.wire.order() == [message.key for message in messages]

    play(tmp_path, scene, window=2, memory=4)


def test_a_memory_full_of_what_came_too_late_is_emptied(tmp_path: Path) -> None:
    """Nothing goes to the wire then, and no outcome asks for more: the next go all the same."""

    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        (first,) = await yard.accept()
        late = await yard.accept(30, expires_ms=START_MS + 5_000)
        await asyncio.sleep(10)
        yard.wire.at_once = Accepted("r")
        yard.wire.answer(Accepted("r"))
        (last,) = await yard.accept()
        await asyncio.sleep(60)
        assert yard.wire.order() == [first.key, last.key]
        assert {yard.now(m).error_code for m in late} == {30036}

    play(tmp_path, scene, window=1, memory=5)


def test_not_now_is_tried_again_later_and_longer_each_time(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = NotNow(0)
        (message,) = await yard.accept()
        await asyncio.sleep(60)
        gaps = [b - a for (_, a), (_, b) in pairwise(yard.wire.sent)]
        assert [round(gap, -1) for gap in gaps] == [1_000, 2_000, 5_000, 10_000, 30_000]
        assert yard.now(message).status is Status.SENDING
        yard.wire.at_once = Accepted("r")
        await asyncio.sleep(120)
        assert yard.now(message).status is Status.SENT

    play(tmp_path, scene)


def test_the_carriers_own_wait_counts_when_it_is_longer(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = NotNow(45)
        await yard.accept()
        await asyncio.sleep(44.9)
        assert len(yard.wire.sent) == 1
        await asyncio.sleep(0.2)
        assert len(yard.wire.sent) == 2

    play(tmp_path, scene)


def test_refused_is_final_and_unsure_is_in_doubt_and_never_sent_again(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = Refused(30006)
        (refused,) = await yard.accept()
        await asyncio.sleep(1)
        yard.wire.at_once = Unsure("timeout")
        (unsure,) = await yard.accept()
        await asyncio.sleep(1)
        assert (yard.now(refused).status, yard.now(refused).error_code) == (Status.FAILED, 30006)
        assert yard.now(unsure).in_doubt
        await asyncio.sleep(2 * 3_600)
        assert (yard.now(unsure).status, yard.now(unsure).error_code) == (Status.UNDELIVERED, 30008)
        assert len(yard.wire.sent) == 2

    play(tmp_path, scene)


def test_a_message_expires_in_time_though_the_carrier_says_not_now(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = NotNow(3_600)
        (message,) = await yard.accept(expires_ms=START_MS + 7_000)
        await asyncio.sleep(6.9)
        assert yard.now(message).status is Status.SENDING
        await asyncio.sleep(0.2)
        now = yard.now(message)
        assert (now.status, now.error_code) == (Status.FAILED, 30036)
        assert 7_000 <= now.updated_ms - START_MS <= 7_010

    play(tmp_path, scene)


def test_a_receipt_that_comes_before_the_outcome_stands(tmp_path: Path) -> None:
    """Delivered, committed and out of memory, when the carrier's answer at last comes in."""

    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        (message,) = await yard.accept()
        await asyncio.sleep(1)
        receiver = Receiver(yard.rig.store, yard.rig.clock, yard.rig.metrics)
        receiver.receipts([Receipt("r", message.key, True, None, "2603011200")])
        await asyncio.sleep(1)
        assert yard.rig.store.peek(message.key) is None
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(1)
        assert yard.now(message).status is Status.DELIVERED
        assert yard.rig.tasks() == []
        assert yard.dispatcher.busy() == 0

    play(tmp_path, scene)


def test_what_was_deleted_or_ended_while_it_waited_is_not_sent(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        first, gone, done = await yard.accept(3)
        await asyncio.sleep(1)
        assert yard.wire.order() == [first.key]
        await yard.rig.store.record([deleted(gone)])
        receiver = Receiver(yard.rig.store, yard.rig.clock, yard.rig.metrics)
        with yard.rig.store._db:  # as if it had been attempted before
            yard.rig.store._db._execute(
                "UPDATE message SET status = 'sending' WHERE key = ?", (done.key,)
            )
        yard.rig.store._memory.pop(done.key)
        receiver.receipts([Receipt("r", done.key, True, None, "2603011200")])
        await asyncio.sleep(1)
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(1)
        assert yard.wire.order() == [first.key]
        assert yard.now(done).status is Status.DELIVERED
        assert yard.dispatcher.busy() == 0

    play(tmp_path, scene, window=1)


def test_a_message_whose_body_is_gone_fails_instead_of_blocking(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        first, gone, last = await yard.accept(3)
        await asyncio.sleep(1)
        await yard.rig.store.record([
            Change(gone, gone, shreds=(gone.content_key or 0,)),
        ])  # fmt: skip
        yard.rig.store._memory.pop(gone.key)
        yard.wire.at_once = Accepted("r")
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(1)
        assert yard.wire.order() == [first.key, last.key]
        assert (yard.now(gone).status, yard.now(gone).error_code) == (Status.FAILED, 30008)

    play(tmp_path, scene, window=1)


def test_a_wire_log_that_cannot_be_written_postpones(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        write = yard.log.write

        def full(keys: Sequence[int]) -> None:
            raise OSError(28, "No space left on device")

        yard.log.write = full  # type: ignore[method-assign]
        (message,) = await yard.accept()
        await asyncio.sleep(0.5)
        assert yard.wire.sent == []
        assert yard.dispatcher.busy() == 0
        yard.log.write = write  # type: ignore[method-assign]
        await asyncio.sleep(60)
        assert yard.now(message).status is Status.SENT
        assert yard.wire.order() == [message.key]

    play(tmp_path, scene)


def test_a_stop_waits_for_the_answers_and_sends_nothing_new(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        messages = await yard.accept(5)
        await asyncio.sleep(1)
        asyncio.get_running_loop().call_later(2, yard.wire.answer, Accepted("r"))
        began = asyncio.get_running_loop().time()
        await yard.dispatcher.stop(5)
        assert 2 <= asyncio.get_running_loop().time() - began < 2.1
        await asyncio.sleep(60)
        assert yard.wire.order() == [message.key for message in messages[:2]]
        held = [t[3] for t in yard.rig.tasks() if t[2] is TaskKind.SUBMIT]
        assert held == [1, 1, 1]  # for the next start

    play(tmp_path, scene, window=2)


def test_a_stop_gives_up_on_a_carrier_that_says_nothing(tmp_path: Path) -> None:
    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        (message,) = await yard.accept()
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await yard.dispatcher.stop(5)
        assert 5 <= asyncio.get_running_loop().time() - began < 5.1
        assert yard.now(message).status is Status.SENDING

    play(tmp_path, scene)


def test_a_slow_sender_delays_no_other(tmp_path: Path) -> None:
    slow, quick = "+15005550101", "+15005550102"

    async def scene(yard: Yard) -> None:
        queue = await yard.accept(150, from_=Private(slow))
        (free,) = await yard.accept(from_=Private(quick))
        await asyncio.sleep(0.1)
        assert free.key in yard.wire.order()
        await asyncio.sleep(3_000)
        assert sorted(yard.wire.order()) == sorted([*(m.key for m in queue), free.key])

    play(tmp_path, scene, memory=120, mps={slow: 0.1})


def test_a_full_window_is_not_polled_though_a_turn_has_come(tmp_path: Path) -> None:
    """In virtual time a poll without pause would never let time go on."""
    slow = "+15005550101"

    async def scene(yard: Yard) -> None:
        yard.wire.at_once = None
        await yard.accept(3, from_=Private(slow))
        await asyncio.sleep(3_600)
        assert len(yard.wire.sent) == 1
        yard.wire.at_once = Accepted("r")
        yard.wire.answer(Accepted("r"))
        await asyncio.sleep(60)
        assert len(yard.wire.sent) == 3
        (_, second), (_, third) = yard.wire.sent[1:]
        assert third - second >= 10_000  # what stood still does not go in a burst

    play(tmp_path, scene, window=1, mps={slow: 0.1})


def test_a_message_whose_turn_comes_too_late_expires_in_time(tmp_path: Path) -> None:
    slow = "+15005550101"

    async def scene(yard: Yard) -> None:
        messages = await yard.accept(
            8, from_=Private(slow), expires_ms=START_MS + 45_000
        )  # every 10 s
        await asyncio.sleep(44.9)
        assert len(yard.wire.sent) == 4
        await asyncio.sleep(0.2)
        ends = [yard.now(message) for message in messages]
        assert [m.status for m in ends] == [Status.SENT] * 4 + [Status.FAILED] * 4
        assert {m.error_code for m in ends[4:]} == {30036}
        await asyncio.sleep(3_600)
        assert len(yard.wire.sent) == 4

    play(tmp_path, scene, mps={slow: 0.1})
