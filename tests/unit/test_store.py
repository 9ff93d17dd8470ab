"""The store: one way in for every change, and the latest state out, committed or not."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.domain.message import Change, Fact, Status, advance, born, deleted, redacted
from hushwire.domain.task import TaskKind
from hushwire.errors import Misconfigured
from hushwire.private import Private
from hushwire.testing import simloop
from rig import ALICE, CALLBACK_LANE, LANE, SENDER, Outlet, Rig, kinds, play


def fact(rig: Rig, key: int, name: str, **more: object) -> Change:
    message = rig.store.latest(key)
    assert message is not None
    change = advance(message, Fact(name, **more), rig.clock.now_ms())  # type: ignore[arg-type]
    assert change is not None
    return change


def test_what_was_accepted_is_there_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        message = await rig.accept(body=Private("Grüße 🎉\nline"), discard=True)
        rig.die()
        again = Rig(tmp_path)
        found = again.store.find(1, message.sid)
        assert found == message
        assert found.body == Private("Grüße 🎉\nline")
        assert kinds(again.tasks()) == [TaskKind.SUBMIT]
        await again.close()

    simloop.run(main())


def test_nothing_of_a_body_or_a_number_is_on_the_disk_in_the_clear(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await rig.accept(body=Private("canary body"))
        for path in tmp_path.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert b"canary" not in content, path.name
            assert ALICE[1:].encode() not in content, path.name
            assert b"customer.example.com" not in content, path.name

    play(tmp_path, scene)


def test_a_change_is_seen_before_it_is_durable(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        rig.store.record([fact(rig, message.key, "attempted")])
        found = rig.store.find(1, message.sid)
        assert found is not None
        assert found.status is Status.SENDING
        assert rig.rows("message")[0][5] == "queued"
        await rig.settle()
        assert rig.rows("message")[0][5] == "sending"

    play(tmp_path, scene)


def test_a_message_is_found_by_its_whole_sid_and_its_account_alone(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        other = message.sid[:-1] + ("0" if message.sid[-1] != "0" else "1")
        assert rig.store.find(1, message.sid) is not None
        assert rig.store.find(1, other) is None
        assert rig.store.find(2, message.sid) is None
        assert rig.store.find(1, "SM" + "0" * 32) is None
        assert rig.store.find(1, "nonsense") is None

    play(tmp_path, scene)


def test_a_deleted_message_is_gone_at_once_and_for_good(tmp_path: Path) -> None:
    """Its keys, its row and all that waited for it; other messages keep theirs."""

    async def scene(rig: Rig) -> None:
        kept, message = await rig.accept(), await rig.accept()
        rig.store.record([fact(rig, message.key, "refused", error_code=30006)])
        await rig.settle()
        current = rig.store.latest(message.key)
        assert current is not None
        assert len(rig.tasks()) == 2  # the other's submission, and a callback of this one
        done = rig.store.record([deleted(current)])
        assert rig.store.latest(message.key) is None
        assert rig.store.find(1, message.sid) is None
        await done
        assert [row[0] for row in rig.rows("message")] == [kept.key]
        assert rig.tasks() == [(kept.key, 0, TaskKind.SUBMIT, 0)]
        assert message.content_key is not None
        assert message.address_key is not None
        assert rig.slots.read(message.content_key) is None
        assert rig.slots.read(message.address_key) is None
        assert rig.store.find(1, kept.sid) == kept

    play(tmp_path, scene)


def test_a_redacted_body_opens_no_more_and_the_numbers_still_do(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        rig.store.record([fact(rig, message.key, "refused", error_code=30006)])
        current = rig.store.latest(message.key)
        assert current is not None
        await rig.store.record([redacted(current, rig.clock.now_ms(), body=True)])
        found = rig.store.find(1, message.sid)
        assert found is not None
        assert (found.body, found.callback, found.content_key) == (None, None, None)
        assert found.to == Private(ALICE)
        assert rig.rows("message")[0][13:15] == (None, None)
        assert message.content_key is not None
        assert rig.slots.read(message.content_key) is None
        assert rig.tasks() == []  # its callback went with the URL

    play(tmp_path, scene)


def test_workers_hear_of_tasks_once_they_are_durable(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        outlet = rig.store.outlet = Outlet()
        message = rig.message()
        done = rig.store.record([born(message, rig.clock.now_ms())])
        assert outlet.delivered == []
        await done
        assert [(task.kind, got) for task, got in outlet.delivered] == [(TaskKind.SUBMIT, message)]
        assert rig.tasks() == [(message.key, 0, TaskKind.SUBMIT, 1)]  # held: not to be claimed
        assert outlet.noted == []

    play(tmp_path, scene)


def test_a_worker_without_room_finds_the_task_in_the_table(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        outlet = rig.store.outlet = Outlet(room=0)
        message = await rig.accept()
        assert outlet.delivered == []
        assert [task.record for task in outlet.noted] == [message.key]
        assert rig.tasks() == [(message.key, 0, TaskKind.SUBMIT, 0)]

    play(tmp_path, scene)


def test_a_task_is_handed_over_with_what_its_message_is_by_then(tmp_path: Path) -> None:
    """A callback whose body was redacted before its commit ended must not be told."""

    async def scene(rig: Rig) -> None:
        outlet = rig.store.outlet = Outlet()
        message = await rig.accept()
        outlet.delivered.clear()
        gone = await rig.accept()
        outlet.delivered.clear()
        for key in (message.key, gone.key):
            rig.store.record([fact(rig, key, "refused", error_code=30006)])
        first, second = rig.store.latest(message.key), rig.store.latest(gone.key)
        assert first is not None
        assert second is not None
        rig.store.record([redacted(first, rig.clock.now_ms(), body=True)])
        rig.store.record([deleted(second)])
        assert outlet.forgotten == [message.key, gone.key]
        await rig.settle()
        assert [(task.record, got.callback) for task, got in outlet.delivered] == [
            (message.key, None)
        ]

    play(tmp_path, scene)


def test_memory_is_bounded_and_nothing_is_lost_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, warm=5)
        messages = [rig.message() for _ in range(1_500)]
        await asyncio.gather(*(rig.store.record([born(m, m.created_ms)]) for m in messages))
        await rig.accept()
        held = sum(rig.store.peek(message.key) is not None for message in messages)
        assert held < 1_500
        assert rig.store.latest(messages[0].key) == messages[0]
        found = rig.store.load([message.key for message in messages])
        assert [found[message.key] for message in messages] == messages
        await rig.close()

    simloop.run(main())


def test_the_latest_state_survives_being_put_out_of_memory(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, warm=0)
        message = await rig.accept()
        await rig.store.record([fact(rig, message.key, "attempted")])
        rig.store._memory.clear()
        assert rig.store.peek(message.key) is None
        latest = rig.store.latest(message.key)
        assert latest is not None
        assert (latest.status, latest.attempt) == (Status.SENDING, 1)
        await rig.close()

    simloop.run(main())


def test_a_claim_takes_the_oldest_that_is_due_and_says_what_follows(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        now_ms = rig.clock.now_ms()
        messages = [await rig.accept() for _ in range(5)]
        dues = (now_ms - 5, now_ms - 9, now_ms - 7, now_ms + 50, now_ms + 20)
        tasks = [
            replace(born(message, due).puts[0], held=False)
            for message, due in zip(messages, dues, strict=True)
        ]
        rig.store.set_aside(tasks)
        taken, following = await rig.store.claim(TaskKind.SUBMIT, LANE, now_ms, 2)
        assert [task.record for task in taken] == [messages[1].key, messages[2].key]
        assert following == now_ms - 5
        taken, following = await rig.store.claim(TaskKind.SUBMIT, LANE, now_ms, 200)
        assert [task.record for task in taken] == [messages[0].key]
        assert following == now_ms + 20
        assert await rig.store.claim(TaskKind.SUBMIT, LANE + 1, now_ms, 9) == ([], None)
        assert await rig.store.claim(TaskKind.CALLBACK, LANE, now_ms, 9) == ([], None)

    play(tmp_path, scene)


def test_of_one_message_the_earlier_status_is_claimed_first(tmp_path: Path) -> None:
    """`sent` and `delivered` of the same millisecond keep their order (D12)."""

    async def scene(rig: Rig) -> None:
        for _ in range(20):
            message = await rig.accept()
            now_ms = rig.clock.now_ms()
            rig.store.record([fact(rig, message.key, "attempted")])
            rig.store.record([fact(rig, message.key, "handed", carrier_ref="r")])
            rig.store.record([fact(rig, message.key, "delivered")])
            await rig.settle()
            taken, _ = await rig.store.claim(TaskKind.CALLBACK, CALLBACK_LANE, now_ms, 9)
            assert [(task.detail or "").split()[0] for task in taken] == ["sent", "delivered"]

    play(tmp_path, scene)


def test_a_claimed_task_is_claimed_once_until_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        message = await rig.accept()
        now_ms = rig.clock.now_ms()
        assert len((await rig.store.claim(TaskKind.SUBMIT, LANE, now_ms, 9))[0]) == 1
        assert (await rig.store.claim(TaskKind.SUBMIT, LANE, now_ms, 9))[0] == []
        assert rig.store.lanes_due() == []
        rig.die()
        again = Rig(tmp_path)
        again.store.release_held()
        assert again.store.lanes_due() == [(TaskKind.SUBMIT, LANE, now_ms)]
        (task,), _ = await again.store.claim(TaskKind.SUBMIT, LANE, now_ms, 9)
        assert task.record == message.key
        await again.close()

    simloop.run(main())


def test_a_carrier_ref_leads_to_its_message_while_a_receipt_is_awaited(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        rig.store.record([fact(rig, message.key, "attempted")])
        await rig.store.record([fact(rig, message.key, "handed", carrier_ref="beef")])
        assert rig.store.key_by_ref("beef") == message.key
        assert rig.store.key_by_ref("dead") is None
        await rig.store.record([fact(rig, message.key, "delivered")])
        assert rig.store.key_by_ref("beef") is None

    play(tmp_path, scene)


def test_new_messages_sort_after_old_ones_though_the_clock_stepped_back(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        await asyncio.sleep(3_600)
        last = await rig.accept()
        rig.die()
        asyncio.get_running_loop()._now_s = 0.0  # type: ignore[attr-defined]
        again = Rig(tmp_path)
        assert (await again.accept()).key > last.key
        await again.close()

    simloop.run(main())


def test_a_database_refuses_the_vault_of_another(tmp_path: Path) -> None:
    """Its sweep would destroy every key that is there."""

    async def main() -> None:
        one, other = Rig(tmp_path / "one"), Rig(tmp_path / "other")
        await one.accept()
        await one.close()
        await other.close()
        (tmp_path / "one" / "hushwire.db").replace(tmp_path / "other" / "hushwire.db")
        with pytest.raises(Misconfigured, match="restore both together"):
            Rig(tmp_path / "other")

    simloop.run(main())


def test_a_paced_timetable_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A queue of ten hours is full after a restart as well (21611)."""

    async def main() -> None:
        rig = Rig(tmp_path)
        with rig.store._db:
            rig.store._db._execute("UPDATE number SET mps = 1", ())
        for _ in range(3):
            await rig.accept(segments=4)
        sent = await rig.accept(segments=100)
        rig.store.record([fact(rig, sent.key, "attempted")])
        await rig.settle()
        rig.die()
        again = Rig(tmp_path)
        now_ms = again.clock.now_ms()
        again.store.resume_paces(now_ms)
        assert again.store.accounts.paces[SENDER].reserve(now_ms, 1) == now_ms + 12_000
        await again.close()

    simloop.run(main())
