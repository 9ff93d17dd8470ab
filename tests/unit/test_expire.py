"""The expiry: what is too old goes, in batches, whatever cuts it in half; and nothing else."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from forgetting_rig import DAY_S, Ground, scene_on
from hushwire.dispatch import expire
from hushwire.domain.message import Change, Message, Status, deleted
from hushwire.domain.retention import DAY_MS
from hushwire.private import Private
from hushwire.store.retained import Retained
from hushwire.store.sweep import sweep
from media_rig import Shelf, arm, crash, play
from rig import ALICE, BOB, SENDER


def media_records(shelf: Shelf) -> list[tuple[str, str]]:
    """What the audit log tells of media: SID and detail, in their order."""
    rows = [row for row in shelf.rows("audit") if row[3] == "media.deleted"]
    return [(sid, str(row[6])) for row in rows for sid in str(row[5]).split()]


def test_each_field_goes_in_its_time_and_not_before(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        ground.keep(body_days=3, numbers_days=5, media_days=4, metadata_days=9)
        shelf, store = ground.shelf, ground.store
        message = await shelf.with_media()
        (first, _) = shelf.table.of(message.key)
        await asyncio.sleep(3 * DAY_S - 60)
        assert ground.alive(message) == (True, True)
        await ground.days(0.1)
        assert ground.alive(message) == (False, True)
        assert len(shelf.table.of(message.key)) == 2
        await ground.days(1)
        assert shelf.table.of(message.key) == []
        assert shelf.slots.read(first.key_ref) is None
        await ground.days(1)
        assert ground.alive(message) == (False, False)
        found = store.latest(message.key)
        assert found is not None
        assert (found.from_shown, found.to_shown) == (SENDER, f"{ALICE[:-4]}XXXX")
        await ground.days(4)
        assert store.latest(message.key) is None
        assert shelf.rows("message") == []
        assert shelf.rows("media") == []

    play(tmp_path, scene_on(scene))


POINTS = ["vault.written", "store.vault_written", "store.committed", "expiry.shown",
          "expiry.recorded"]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("field", ["body_days", "numbers_days", "metadata_days"])
def test_a_crash_between_any_two_steps_is_finished(tmp_path: Path, point: str, field: str) -> None:
    """Nothing is half forgotten for a reader, a number leaves what is shown, no key is left."""
    if point == "expiry.shown" and field != "numbers_days":
        pytest.skip("only numbers leave something")
    born: list[Message] = []

    async def before(ground: Ground) -> None:
        born.extend([await ground.shelf.with_media() for _ in range(2)])
        await asyncio.sleep(3 * DAY_S)
        arm()
        ground.keep(**{field: 2})
        await ground.days(1)

    async def after(ground: Ground) -> None:
        shelf, store = ground.shelf, ground.store
        for message in born:
            found = store.latest(message.key)
            if found is not None and found.to is None:
                assert (found.from_shown, found.to_shown) == (SENDER, f"{ALICE[:-4]}XXXX")
        await sweep(store, shelf.path, shelf.slots)
        await shelf.table.sweep()
        await ground.days(4)
        expected = {
            "body_days": (False, True), "numbers_days": (True, False),
            "metadata_days": (False, False),
        }[field]  # fmt: skip
        for message in born:
            assert ground.alive(message) == expected
            found = store.latest(message.key)
            assert (found is None) == (field == "metadata_days")
        assert (await sweep(store, shelf.path, shelf.slots)).orphan_keys == 0

    crash(tmp_path, point, scene_on(before))
    play(tmp_path, scene_on(after), start=2)


def test_many_go_in_batches_and_the_mark_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expire, "BATCH", 7)

    async def scene(ground: Ground) -> None:
        old = [ground.shelf.finished(callback=None) for _ in range(30)]
        for message in old:
            await ground.shelf.accept_as(message)
        await asyncio.sleep(DAY_S)
        young = ground.shelf.finished(callback=None)
        await ground.shelf.accept_as(young)
        ground.keep(body_days=1)
        await ground.days(0)
        assert [ground.alive(message) for message in old] == [(False, True)] * 30
        assert ground.alive(young) == (True, True)
        assert old[-1].key < ground.expiry.mark(1, "body") <= young.key

    play(tmp_path, scene_on(scene))


def test_what_is_unfinished_waits_and_holds_up_nobody(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        ground.keep(body_days=1, numbers_days=1, metadata_days=2)
        waiting = await ground.shelf.accept(callback=None)
        done = ground.shelf.finished(callback=None)
        await ground.shelf.accept_as(done)
        await ground.days(3)
        assert ground.alive(waiting) == (True, True)
        assert ground.alive(done) == (False, False)
        assert ground.expiry.mark(1, "body") == waiting.key
        ended = replace(waiting, status=Status.FAILED, settled=True)
        await ground.store.record([Change(waiting, ended)])
        await ground.days(0)
        assert ground.alive(waiting) == (False, False)

    play(tmp_path, scene_on(scene))


def test_a_clock_that_jumps_erases_nothing_until_it_is_confirmed(tmp_path: Path) -> None:
    """A wrong clock must not erase; the sandbox's, moved on purpose, does."""

    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        message = shelf.finished(callback=None)
        await shelf.accept_as(message)
        await asyncio.sleep(10)
        shelf.clock._read = lambda read=shelf.clock._read: read() + 900 * DAY_MS
        for alarm in tuple(shelf.clock._alarms):
            alarm.rearm()
        await ground.days(0.2)
        assert ground.alive(message) == (True, True)
        assert not ground.expiry.trusted
        assert "clock_doubted" in ground.journal.getvalue()
        ground.expiry.confirm()
        await ground.days(0)
        assert ground.alive(message) == (False, False)
        other = shelf.finished(callback=None)
        await shelf.accept_as(other)
        shelf.clock.advance(500 * DAY_MS)
        await ground.days(0)
        assert ground.alive(other) == (False, False)

    play(tmp_path, scene_on(scene))


def test_a_clock_that_jumped_is_trusted_after_a_steady_day(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        message = shelf.finished(callback=None)
        await shelf.accept_as(message)
        shelf.clock._read = lambda read=shelf.clock._read: read() + 900 * DAY_MS
        ground.expiry.wake()
        await ground.days(0.9)
        assert ground.alive(message) == (True, True)
        await ground.days(0.3)
        assert ground.alive(message) == (False, False)

    play(tmp_path, scene_on(scene))


def test_media_under_a_legal_hold_are_withheld_until_it_is_lifted(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        message = await shelf.with_media()
        first, second = shelf.table.of(message.key)
        ground.keep(metadata_days=40)
        hold = ground.hold(phone=ALICE)
        await shelf.table.forget([first])
        assert shelf.table.of(message.key) == [second]
        assert shelf.table.find(message.key, first.sid) is None
        assert await shelf.read(first) is not None, "its key lives, for who may order it"
        await ground.store.record([deleted(message)])
        assert shelf.table.of(message.key) == []
        assert ground.store.find(1, message.sid) is None
        await ground.days(50)
        assert await shelf.read(second) is not None
        assert ground.alive(message) == (True, True)
        told = [
            (first.sid, "withheld rule"), (second.sid, "withheld message"),
        ]  # fmt: skip
        assert media_records(shelf) == told, "each once, when it was asked to go"
        other = ground.hold(message)
        await ground.lift(hold)
        assert media_records(shelf) == told, "it stays withheld, which is nothing new"
        await ground.lift(other)
        assert await shelf.read(first) is await shelf.read(second) is None
        assert ground.alive(message) == (False, False)
        assert sorted(media_records(shelf)[2:]) == sorted([
            (first.sid, "rule"), (second.sid, "rule"),
        ])  # fmt: skip
        assert shelf.rows("message") == shelf.rows("media") == shelf.rows("task") == []

    play(tmp_path, scene_on(scene))


def test_a_lifted_hold_lets_go_of_one_withheld_medium_and_not_of_the_rest(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        message = await shelf.with_media()
        first, second = shelf.table.of(message.key)
        hold = ground.hold(message)
        await shelf.table.forget([first])
        await ground.lift(hold)
        assert await shelf.read(first) is None
        assert await shelf.read(second) is not None
        assert ground.alive(message) == (True, True)

    play(tmp_path, scene_on(scene))


def test_a_hold_is_about_a_number_even_when_it_is_withheld(tmp_path: Path) -> None:
    """Two holds on one number: the second still knows whom the message was with."""

    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        message, other = (
            shelf.finished(callback=None, to=Private(number)) for number in (ALICE, BOB)
        )
        for each in (message, other):
            await shelf.accept_as(each)
        one, two = ground.hold(phone=ALICE), ground.hold(phone=ALICE)
        await ground.store.record([deleted(message), deleted(other)])
        assert ground.alive(other) == (False, False)
        tags = [row[20:22] for row in shelf.rows("message")]
        assert [to_tag for _, to_tag in tags] == [None], "nobody finds it by number"
        await ground.lift(one)
        assert ground.alive(message) == (True, True)
        await ground.lift(two)
        assert ground.alive(message) == (False, False)

    play(tmp_path, scene_on(scene))


def test_a_hold_survives_a_restart_and_is_brought_to_mind_once_a_week(tmp_path: Path) -> None:
    async def first(ground: Ground) -> None:
        ground.hold(phone=ALICE)
        assert b"Ada" not in ground.shelf.path.read_bytes()

    async def second(ground: Ground) -> None:
        (hold,) = ground.shelf.legal_holds.of(1)
        assert hold.scope == "phone"
        assert (hold.author.reveal(), hold.reason.reveal()) == ("Ada", "case 7")
        assert hold.tag == ground.shelf.legal_holds.tag(1, ALICE)
        await ground.days(22)
        lines = ground.journal.getvalue().splitlines()
        reminders = [line for line in lines if "legal_hold_in_force" in line]
        assert len(reminders) == 3
        assert '"days":7' in reminders[0]

    play(tmp_path, scene_on(first))
    play(tmp_path, scene_on(second), start=2)


def test_two_changes_in_one_commit_leave_the_task_that_finishes(tmp_path: Path) -> None:
    """A redaction that ends the wait for a hold, and a deletion that begins one, at once."""

    async def scene(ground: Ground) -> None:
        ground.keep(numbers_minimum_days=30)
        message = ground.shelf.finished(callback=None)
        await ground.shelf.accept_as(message)
        ground.store.record([replace_task(message)])
        await ground.store.record([deleted(message)])
        assert ground.alive(message) == (False, True)
        await ground.days(30)
        assert ground.alive(message) == (False, False)
        assert ground.shelf.rows("message") == []

    def replace_task(message: Message) -> Change:
        return Change(message, message, drops=((message.key, 1),))

    play(tmp_path, scene_on(scene))


def test_the_report_counts_what_lives(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        messages = [await shelf.with_media() for _ in range(3)]
        hold = ground.hold(messages[0])
        await ground.store.record([deleted(messages[0])])
        retained = Retained(shelf.path)
        marks = dict.fromkeys(("body", "numbers", "media", "metadata"), 0)
        found = retained.fields(1, marks, dict.fromkeys(marks, messages[2].key))
        for field, each in (("body", 1), ("numbers", 1), ("media", 2), ("metadata", 1)):
            living = found[field]
            assert (living.oldest_key, living.live, living.overdue, living.withheld) == (
                messages[1].key, 2 * each, each, each,
            ), field  # fmt: skip
        await ground.lift(hold)
        found = retained.fields(1, marks, dict.fromkeys(marks, 0))
        assert {living.withheld for living in found.values()} == {0}
        retained.close()

    play(tmp_path, scene_on(scene))
