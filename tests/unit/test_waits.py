"""The ends of waits: for a receipt, for a late receipt, for a recovery hold."""

import asyncio
from pathlib import Path

from hushwire.dispatch.waits import Waits
from hushwire.domain.message import (
    IN_DOUBT_WAIT_MS,
    RECEIPT_WAIT_MS,
    Fact,
    Message,
    Status,
    advance,
)
from hushwire.domain.privacy import DEFAULTS
from hushwire.domain.task import Task, TaskKind
from rig import ALICE, LANE, SENDER, Rig, kinds, play


async def through(rig: Rig, message: Message, *facts: Fact) -> Message:
    for fact in facts:
        change = advance(message, fact, rig.clock.now_ms())
        assert change is not None
        assert change.after is not None
        message = change.after
        await rig.store.record([change])
    return message


async def end_wait(rig: Rig, kind: TaskKind) -> Message | None:
    """Claim the one task of that kind when it is due, and feed it."""
    waits = Waits(rig.store, rig.clock, rig.custodian)
    (task,), _ = await rig.store.claim(kind, LANE, rig.clock.now_ms(), 9)
    message = rig.store.latest(task.record)
    assert message is not None
    waits.feed(task, message)
    await rig.settle()
    return rig.store.latest(task.record)


SENT = (Fact("attempted"), Fact("handed", carrier_ref="r"))


def test_without_a_receipt_sent_becomes_final_and_late_ones_are_awaited(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await through(rig, await rig.accept(callback=None), *SENT)
        await asyncio.sleep(RECEIPT_WAIT_MS / 1000)
        message = await end_wait(rig, TaskKind.SETTLE)
        assert message is not None
        assert (message.status, message.settled) == (Status.SENT, True)
        assert kinds(rig.tasks()) == [TaskKind.LATE]

    play(tmp_path, scene)


def test_late_receipts_are_awaited_for_three_days_and_then_no_more(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await through(rig, await rig.accept(callback=None), *SENT, Fact("wait_ended"))
        await asyncio.sleep(72 * 3_600)
        before = rig.rows("message")
        await end_wait(rig, TaskKind.LATE)
        assert rig.tasks() == []
        assert rig.rows("message") == before

    play(tmp_path, scene)


def test_who_stays_in_doubt_for_an_hour_is_undelivered(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await through(rig, await rig.accept(), Fact("attempted"), Fact("doubted"))
        await asyncio.sleep(IN_DOUBT_WAIT_MS / 1000)
        message = await end_wait(rig, TaskKind.SETTLE)
        assert message is not None
        assert (message.status, message.error_code) == (Status.UNDELIVERED, 30008)
        assert not message.in_doubt
        assert kinds(rig.tasks()) == [TaskKind.CALLBACK]

    play(tmp_path, scene)


def test_a_receipt_that_came_first_is_not_overruled(tmp_path: Path) -> None:
    """The task was claimed, and then the receipt came: the wait's end changes nothing."""

    async def scene(rig: Rig) -> None:
        message = await through(rig, await rig.accept(callback=None), *SENT)
        await asyncio.sleep(RECEIPT_WAIT_MS / 1000)
        (task,), _ = await rig.store.claim(TaskKind.SETTLE, LANE, rig.clock.now_ms(), 9)
        delivered = await through(rig, message, Fact("delivered"))
        Waits(rig.store, rig.clock, rig.custodian).feed(task, delivered)
        await rig.settle()
        latest = rig.store.latest(message.key)
        assert latest is not None
        assert latest.status is Status.DELIVERED
        assert rig.tasks() == []

    play(tmp_path, scene)


def test_a_recovery_hold_that_ends_forgets_what_was_asked(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept(
            callback=None, discard=True, obfuscate=True, from_shown=SENDER,
            to_shown="+1415555XXXX",
        )  # fmt: skip
        await through(rig, message, *SENT, Fact("delivered"))
        await asyncio.sleep(DEFAULTS.recovery)
        found = await end_wait(rig, TaskKind.REDACT)
        assert found is not None
        assert (found.body, found.to, found.to_shown) == (None, None, "+1415555XXXX")
        assert message.content_key is not None
        assert message.address_key is not None
        assert rig.slots.read(message.content_key) is None
        assert rig.slots.read(message.address_key) is None
        assert rig.tasks() == []

    play(tmp_path, scene)


def test_only_the_body_is_forgotten_where_only_that_was_asked(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept(callback=None, discard=True)
        await through(rig, message, *SENT, Fact("delivered"))
        await asyncio.sleep(DEFAULTS.recovery)
        found = await end_wait(rig, TaskKind.REDACT)
        assert found is not None
        assert found.body is None
        assert found.to is not None
        assert found.to.reveal() == ALICE

    play(tmp_path, scene)


def test_a_hold_on_what_is_forgotten_already_only_goes(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept(callback=None, status=Status.DELIVERED)
        task = Task(message.key, 1, TaskKind.REDACT, LANE, rig.clock.now_ms())
        rig.store.set_aside([task])
        await rig.settle()
        before = rig.rows("message")
        waits = Waits(rig.store, rig.clock, rig.custodian)
        waits.feed(task, message)  # neither discard nor obfuscate
        await rig.settle()
        assert rig.rows("message") == before
        assert [t for t in rig.tasks() if t[1] == 1] == []

    play(tmp_path, scene)
