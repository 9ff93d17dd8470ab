"""What was withheld since the backup: noted before the database says it, withheld again after."""

from collections.abc import Callable
from pathlib import Path

import pytest

from forgetting_rig import Ground, scene_on
from hushwire.dispatch.withheld import withhold_again
from hushwire.domain.message import Message, born, deleted, redacted
from hushwire.domain.retention import DAY_MS
from hushwire.errors import Misconfigured
from hushwire.keeping.snapshot import copy_database
from hushwire.private import Private
from hushwire.store.sweep import sweep
from hushwire.vault import withheld
from hushwire.vault.withheld import WithheldLog, carry, noted
from media_rig import Shelf, arm, crash, play
from rig import ALICE

VAULT = b"v" * 16


@pytest.fixture
def log(tmp_path: Path) -> WithheldLog:
    return WithheldLog(tmp_path / "withheld.log", VAULT)


def test_a_log_is_made_with_its_first_note_and_read_by_the_next_start(
    tmp_path: Path, log: WithheldLog
) -> None:
    assert log.read() == {}
    assert not log.path.exists()
    log.note([7, noted(8, whole=True)])
    log.note([noted(7, whole=True), 9])
    assert log.read() == {7: True, 8: True, 9: False}
    log.close()
    again = WithheldLog(log.path, VAULT)
    assert again.read() == log.read()
    again.keep(lambda ref: ref != 8)
    again.note([11])
    assert again.read() == {7: True, 9: False, 11: False}
    with pytest.raises(Misconfigured, match="another vault"):
        WithheldLog(log.path, b"w" * 16)


def test_it_is_written_anew_when_it_has_doubled(
    log: WithheldLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withheld, "COMPACT_AT", 4)
    log._compact_at = 4
    log.note([1, 2, 3])
    log.compact(lambda ref: False)
    assert len(log.read()) == 3
    log.note([4])
    log.compact(lambda ref: ref > 1)
    assert set(log.read()) == {2, 3, 4}
    log.note([5, 6])
    log.compact(lambda ref: False)
    assert len(log.read()) == 5, "not twice its last size"


def test_it_is_carried_to_where_the_restored_server_looks(tmp_path: Path) -> None:
    here, there = tmp_path / "a.log", tmp_path / "b.log"
    assert carry(here, there, VAULT) == 0
    assert not there.exists()
    old = WithheldLog(here, VAULT)
    old.note([1, noted(2, whole=True)])
    old.close()
    for _ in range(2):  # a restore that is done again
        assert carry(here, there, VAULT) == 2
    new = WithheldLog(there, VAULT)
    assert new._log is not None
    assert list(new._log.since(0)) == [1, noted(2, whole=True)]


# --- In a server, and after a restore --------------------------------------------------------


def with_log(scene: Callable[[Ground, WithheldLog], object]) -> Callable[[Shelf], object]:
    async def on(ground: Ground) -> None:
        shelf = ground.shelf
        log = WithheldLog(shelf.path.with_name("withheld.log"), shelf.slots.vault_id)
        shelf.slots.withholding = log.note
        await scene(ground, log)  # type: ignore[misc]
        log.close()

    return scene_on(on)


def put_back(shelf_path: Path, copy: Path) -> None:
    for suffix in ("-wal", "-shm"):
        shelf_path.with_name(shelf_path.name + suffix).unlink(missing_ok=True)
    copy.replace(shelf_path)


class Restored:
    """A database of before anything was asked for, put back beside a vault that goes on."""

    def __init__(self, directory: Path, hold: str) -> None:
        self.directory = directory
        self.copy = directory / "older.db"
        self.hold = hold  # account, or minimum: what keeps the keys
        self.messages: dict[str, Message] = {}

    async def before(self, ground: Ground, log: WithheldLog) -> None:
        shelf = ground.shelf
        for name in ("deleted", "redacted", "kept", "sent"):
            self.messages[name] = await shelf.with_media()
        of_rig = [(message.key, 0) for message in self.messages.values()]  # they have ended
        ground.store.write_now(lambda db: db.many("drop_task", of_rig))
        waiting = shelf.message(callback=None)
        shelf.store.outlet = shelf.nobody  # it stays in the table
        await shelf.store.record([born(waiting, shelf.clock.now_ms() + DAY_MS)])
        shelf.store.outlet = ground.lanes
        self.messages["waiting"] = waiting
        copy_database(shelf.path, self.copy, lambda *_: None)
        if self.hold == "minimum":
            ground.keep(body_minimum_days=30, numbers_minimum_days=30)
        else:
            ground.hold()
        for name in ("deleted", "waiting"):
            await ground.store.record([deleted(self.messages[name])])
        message = self.messages["redacted"]
        await ground.store.record([redacted(message, shelf.clock.now_ms(), body=True)])
        if self.hold == "account":
            await shelf.table.forget(shelf.table.of(self.messages["sent"].key)[:1])
        assert log.read()

    def play(self, after: Callable[[Ground, WithheldLog], object]) -> None:
        play(self.directory, with_log(self.before))
        put_back(self.directory / "hushwire.db", self.copy)

        async def begin(shelf: Shelf) -> None:
            await sweep(shelf.store, shelf.path, shelf.slots)
            path = shelf.path.with_name("withheld.log")
            log = WithheldLog(path, shelf.slots.vault_id)
            custodian = shelf.store.custodian
            shelf.slots.withholding = log.note
            for _ in range(2):  # repeating it is harmless
                await withhold_again(shelf.store, shelf.table, log, shelf.clock)
            shelf.store.custodian = custodian
            log.close()
            await with_log(after)(shelf)  # type: ignore[misc]

        play(self.directory, begin, start=2)


@pytest.mark.parametrize("hold", ["account", "minimum"])
def test_nothing_that_was_withheld_since_is_seen_again(tmp_path: Path, hold: str) -> None:
    restored = Restored(tmp_path, hold)

    async def after(ground: Ground, log: WithheldLog) -> None:
        store, messages = ground.store, restored.messages
        for name in ("deleted", "waiting"):
            assert store.find(1, messages[name].sid) is None
            assert ground.alive(messages[name]) == (True, True), "who answers may order it"
        found = store.find(1, messages["redacted"].sid)
        assert found is not None
        assert (found.body, found.to) == (None, Private(ALICE))
        assert ground.alive(messages["redacted"]) == (True, True)
        kept = store.find(1, messages["kept"].sid)
        assert kept is not None
        assert kept.body == Private("Hello")
        records = [row for row in ground.shelf.rows("audit") if "recovered" in str(row[6])]
        assert {row[3] for row in records} >= {"message.deleted", "message.redacted"}
        left = ground.shelf.table.of(messages["sent"].key)
        assert len(left) == (1 if hold == "account" else 2)
        await ground.days(6.5)
        assert ground.alive(messages["deleted"]) == (True, True)
        await ground.days(1)
        for name in ("deleted", "waiting"):
            assert ground.alive(messages[name]) == (False, False), "nothing keeps it any more"
        assert ground.alive(messages["redacted"]) == (False, True)
        assert ground.alive(messages["kept"]) == (True, True)
        assert not [row for row in ground.shelf.rows("media") if row[9]]

    restored.play(after)


def test_a_hold_that_is_set_again_within_the_week_keeps_it(tmp_path: Path) -> None:
    restored = Restored(tmp_path, "account")

    async def after(ground: Ground, log: WithheldLog) -> None:
        hold = ground.hold()
        await ground.days(30)
        assert ground.alive(restored.messages["deleted"]) == (True, True)
        assert ground.store.find(1, restored.messages["deleted"].sid) is None
        assert len([row for row in ground.shelf.rows("media") if row[9]]) == 3
        await ground.lift(hold)
        assert ground.alive(restored.messages["deleted"]) == (False, False)
        assert not [row for row in ground.shelf.rows("media") if row[9]]

    restored.play(after)


def test_the_log_keeps_only_what_the_restored_database_names(tmp_path: Path) -> None:
    """A vault of the backup counts its slots anew: a note of the lost time names another key."""
    restored = Restored(tmp_path, "account")

    async def after(ground: Ground, log: WithheldLog) -> None:
        shelf = ground.shelf
        stray = (1000 << 32) | 1
        again = WithheldLog(log.path, shelf.slots.vault_id)
        again.note([stray])
        custodian = shelf.store.custodian
        await withhold_again(shelf.store, shelf.table, again, shelf.clock)
        shelf.store.custodian = custodian
        assert stray not in again.read()
        message = restored.messages["deleted"]
        assert {message.content_key, message.address_key} < again.read().keys()

    restored.play(after)


def test_it_is_noted_before_the_database_says_it(tmp_path: Path) -> None:
    messages: list[Message] = []

    async def first(ground: Ground, log: WithheldLog) -> None:
        messages.append(await ground.shelf.with_media())
        ground.hold()
        arm()
        await ground.store.record([deleted(messages[0])])

    async def second(ground: Ground, log: WithheldLog) -> None:
        assert ground.store.find(1, messages[0].sid) is not None, "it was never said"
        assert {messages[0].content_key, messages[0].address_key} < log.read().keys()

    crash(tmp_path, "store.withheld_noted", with_log(first))
    play(tmp_path, with_log(second), start=2)
