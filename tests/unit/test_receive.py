"""Receipts: late, twice, first, or for nobody."""

from pathlib import Path

from hushwire.carriers.base import Receipt
from hushwire.dispatch.receive import Receiver
from hushwire.domain.extras import Extras
from hushwire.domain.message import Fact, Message, Status, advance, deleted
from hushwire.domain.task import TaskKind
from hushwire.private import Private
from rig import SENDER, Outlet, Rig, kinds, play

DONE = "2603011200"


def receipt(
    reference: int | None, *, ref: str = "", delivered: bool = True, code: int | None = None
) -> Receipt:
    return Receipt(ref, reference, delivered, code, DONE)


async def on_the_way(rig: Rig, *, ref: str | None = "beef") -> Message:
    """A message on the wire; with `ref` the carrier has answered that it took it."""
    message = await rig.accept()
    for fact in (Fact("attempted"), Fact("handed", carrier_ref=ref))[: 2 if ref else 1]:
        change = advance(rig.store.latest(message.key) or message, fact, rig.clock.now_ms())
        assert change is not None
        await rig.store.record([change])
    return message


def status_of(rig: Rig, message: Message) -> tuple[Status, int | None]:
    latest = rig.store.latest(message.key)
    assert latest is not None
    return latest.status, latest.error_code


def test_a_receipt_ends_its_message_and_tells_the_customer(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        outlet = rig.store.outlet = Outlet()
        good, bad = await on_the_way(rig), await on_the_way(rig)
        outlet.delivered.clear()
        receiver = Receiver(rig.store, rig.clock, rig.metrics)
        receiver.receipts([
            receipt(good.key), receipt(bad.key, delivered=False, code=30005),
        ])  # fmt: skip
        await rig.settle()
        assert status_of(rig, good) == (Status.DELIVERED, None)
        assert status_of(rig, bad) == (Status.UNDELIVERED, 30005)
        assert [task.detail for task, _ in outlet.delivered] == [
            f"delivered - {DONE}", f"undelivered 30005 {DONE}",
        ]  # fmt: skip
        assert rig.metrics.receipts == {"applied": 2}

    play(tmp_path, scene)


def test_the_carriers_own_id_is_enough(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig, ref="beef")
        Receiver(rig.store, rig.clock, rig.metrics).receipts([receipt(None, ref="beef")])
        assert status_of(rig, message)[0] is Status.DELIVERED

    play(tmp_path, scene)


def test_of_two_receipts_the_first_counts(tmp_path: Path) -> None:
    """In one batch, or later, whatever the second says."""

    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig)
        receiver = Receiver(rig.store, rig.clock, rig.metrics)
        receiver.receipts([
            receipt(message.key, delivered=False, code=30003), receipt(message.key),
        ])  # fmt: skip
        await rig.settle()
        history = rig.rows("message")[0][-1]
        receiver.receipts([receipt(message.key)])
        await rig.settle()
        assert status_of(rig, message) == (Status.UNDELIVERED, 30003)
        assert rig.rows("message")[0][-1] == history
        assert rig.metrics.receipts == {"applied": 1, "repeated": 2}
        assert kinds(rig.tasks()).count(TaskKind.CALLBACK) == 2  # sent, undelivered

    play(tmp_path, scene)


def test_a_receipt_may_come_before_the_answer_to_the_submission(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig, ref=None)
        Receiver(rig.store, rig.clock, rig.metrics).receipts([receipt(message.key)])
        await rig.settle()
        assert status_of(rig, message) == (Status.DELIVERED, None)
        assert kinds(rig.tasks()) == [TaskKind.CALLBACK]

    play(tmp_path, scene)


def test_a_receipt_settles_who_is_in_doubt(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig, ref=None)
        latest = rig.store.latest(message.key)
        assert latest is not None
        change = advance(latest, Fact("doubted"), rig.clock.now_ms())
        assert change is not None
        await rig.store.record([change])
        Receiver(rig.store, rig.clock, rig.metrics).receipts([receipt(message.key)])
        await rig.settle()
        found = rig.store.latest(message.key)
        assert found is not None
        assert (found.status, found.in_doubt) == (Status.DELIVERED, False)
        assert TaskKind.SETTLE not in kinds(rig.tasks())

    play(tmp_path, scene)


def test_a_late_receipt_still_counts_after_sent_became_final(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig)
        latest = rig.store.latest(message.key)
        assert latest is not None
        change = advance(latest, Fact("wait_ended"), rig.clock.now_ms())
        assert change is not None
        await rig.store.record([change])
        Receiver(rig.store, rig.clock, rig.metrics).receipts([receipt(message.key)])
        assert status_of(rig, message)[0] is Status.DELIVERED

    play(tmp_path, scene)


def test_a_receipt_for_nobody_is_counted_and_brings_nobody_back(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await on_the_way(rig)
        receiver = Receiver(rig.store, rig.clock, rig.metrics)
        receiver.receipts([receipt(message.key)])
        latest = rig.store.latest(message.key)
        assert latest is not None
        await rig.store.record([deleted(latest)])
        receiver.receipts([receipt(message.key), receipt(4711), receipt(None, ref="nobody")])
        await rig.settle()
        assert rig.metrics.receipts == {"applied": 1, "unknown": 3}
        assert rig.rows("message") == []

    play(tmp_path, scene)


def test_a_failure_told_again_is_not_that_of_the_second_try(tmp_path: Path) -> None:
    """The short code's receipt comes twice, the second time when a long code has sent."""

    async def scene(rig: Rig) -> None:
        message = await rig.accept(
            from_=Private("12345"), extras=Extras(fallback=True).sealed(), callback=None
        )
        receiver = Receiver(rig.store, rig.clock, rig.metrics)
        failure = receipt(message.key, ref="first", delivered=False, code=30005)

        async def happen(*facts: Fact) -> None:
            for fact in facts:
                latest = rig.store.latest(message.key)
                assert latest is not None
                change = advance(latest, fact, rig.clock.now_ms())
                assert change is not None
                await rig.store.record([change])

        await happen(Fact("attempted"), Fact("handed", carrier_ref="first"))
        receiver.receipts([failure])
        assert status_of(rig, message) == (Status.ACCEPTED, None)
        receiver.receipts([failure])
        assert status_of(rig, message) == (Status.ACCEPTED, None)
        await happen(
            Fact("chosen", sender=Private(SENDER)), Fact("attempted"),
            Fact("handed", carrier_ref="second"),
        )  # fmt: skip
        receiver.receipts([failure])
        assert status_of(rig, message) == (Status.SENT, None)
        assert rig.metrics.receipts == {"applied": 1, "repeated": 2}
        receiver.receipts([receipt(message.key, ref="second", delivered=False, code=30003)])
        assert status_of(rig, message) == (Status.UNDELIVERED, 30003)

    play(tmp_path, scene)
