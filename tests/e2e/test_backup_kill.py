"""Killed between every pair of writes of a backup, a restore and the end of a backup key."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct
from promise_checker import check_keys

from harness import RunningServer
from hushwire.vault.backup_keys import DAY_MS, BackupKeys
from keeping_rig import back_up, bodies, delivered, refused, run

KILLED = -9
BACKUP_POINTS = (
    "backup.database", "backup.keyed", "backup.vault", "backup.media", "backup.written",
    "backup.renamed",
)  # fmt: skip
BEFORE_THE_MARK = ("restore.vault_staged", "restore.database_staged", "restore.staged")
AFTER_THE_MARK = (
    "restore.marked", "restore.media_placed", "restore.vault_placed", "restore.old_log_gone",
    "restore.database_placed",
)  # fmt: skip


class Past(Struct, frozen=True):
    """A machine of which a backup was taken, and messages erased after it."""

    home: Path
    settings: dict[str, str]
    kept: str  # SIDs
    deleted: str
    redacted: str

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def backup(self) -> Path:
        (found,) = (self.home / "backups").iterdir()
        return found


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    home = tmp_path_factory.mktemp("past")
    (home / "other").mkdir()
    settings = {
        "HUSHWIRE_VAULT_BACKUP": "7d",
        "HUSHWIRE_BACKUP_KEYS": str(home / "other" / "backup.keys"),
    }
    with RunningServer(home / "data", **settings) as server:
        kept, deleted, redacted = (delivered(server, f"{word} text") for word in "abc")
        back_up(home / "data", home / "backups", **settings)
        server.client().messages(redacted).update(body="")
        assert server.client().messages(deleted).delete()
    return Past(home, settings, kept, deleted, redacted)


@pytest.fixture
def machine(past: Past, tmp_path: Path) -> Past:
    """The same, for one test to break."""
    home = shutil.copytree(past.home, tmp_path / "home")
    settings = {**past.settings, "HUSHWIRE_BACKUP_KEYS": str(home / "other" / "backup.keys")}
    return Past(home, settings, past.kept, past.deleted, past.redacted)


def check_erased(machine: Past) -> None:
    """The server starts; what was erased is, the rest reads, and keys and rows agree."""
    with RunningServer(machine.data, **machine.settings) as server:
        assert bodies(server) == {machine.kept: "a text", machine.redacted: ""}
    check_keys(machine.data)


@pytest.mark.parametrize("point", BACKUP_POINTS)
def test_a_killed_backup_is_none_and_the_next_one_is_whole(machine: Past, point: str) -> None:
    to = machine.home / "more"
    arguments = ("backup", to, "--data", machine.data)
    assert run(*arguments, **machine.settings, HUSHWIRE_FAULT=point)[0] == KILLED
    whole = [path for path in to.iterdir() if path.suffix != ".part"]
    assert bool(whole) == (point == "backup.renamed")
    again = back_up(machine.data, to, **machine.settings)
    assert sorted(to.iterdir()) == sorted([*whole, again])
    for path in to.iterdir():
        assert run("backup", "--verify", path)[0] == 0
    check_erased(machine)


def lose_vault(machine: Past) -> None:
    shutil.rmtree(machine.data / "vault")


def lose_nothing(machine: Past) -> None:
    return


@pytest.mark.parametrize("lose", [lose_nothing, lose_vault])
@pytest.mark.parametrize("point", BEFORE_THE_MARK)
def test_a_restore_killed_early_has_changed_nothing(
    machine: Past, point: str, lose: Callable[[Past], None]
) -> None:
    lose(machine)
    before = (machine.data / "hushwire.db").read_bytes()
    arguments = ("restore", machine.backup, "--data", machine.data, "--yes")
    assert run(*arguments, **machine.settings, HUSHWIRE_FAULT=point)[0] == KILLED
    assert (machine.data / "hushwire.db").read_bytes() == before
    assert (machine.data / "vault").exists() == (lose is lose_nothing)
    if lose is lose_nothing:
        check_erased(machine)
    assert run(*arguments, **machine.settings)[0] == 0
    check_erased(machine)
    assert not list(machine.home.rglob("*.restored"))


@pytest.mark.parametrize("lose", [lose_nothing, lose_vault])
@pytest.mark.parametrize("point", AFTER_THE_MARK)
def test_a_restore_killed_late_must_be_done_again(
    machine: Past, point: str, lose: Callable[[Past], None]
) -> None:
    lose(machine)
    arguments = ("restore", machine.backup, "--data", machine.data)
    assert run(*arguments, "--yes", **machine.settings, HUSHWIRE_FAULT=point)[0] == KILLED
    sentence = refused(78, "up", "--port", "0", "--data", machine.data, **machine.settings)
    assert "a restore is unfinished" in sentence
    assert f"hushwire restore {machine.backup}" in sentence
    refused(78, "backup", machine.home / "more", "--data", machine.data, **machine.settings)
    assert run(*arguments, **machine.settings)[0] == 0  # nothing of value is there to replace
    check_erased(machine)
    assert not list(machine.home.rglob("*.restored"))


def test_a_restore_killed_at_its_end_is_done(machine: Past) -> None:
    arguments = ("restore", machine.backup, "--data", machine.data, "--yes")
    code = run(*arguments, **machine.settings, HUSHWIRE_FAULT="restore.unmarked")[0]
    assert code == KILLED
    check_erased(machine)


@pytest.mark.parametrize("point", ["store.vault_written", "store.committed"])
def test_the_first_start_may_be_killed_while_it_sweeps(machine: Past, point: str) -> None:
    assert (
        run("restore", machine.backup, "--data", machine.data, "--yes", **machine.settings)[0] == 0
    )
    code = run(
        "up", "--port", "0", "--data", machine.data, **machine.settings, HUSHWIRE_FAULT=point
    )[0]
    assert code == KILLED
    check_erased(machine)


@pytest.mark.parametrize("point", ["backup_keys.written", "backup_keys.synced"])
def test_a_key_whose_end_was_cut_short_ends_at_the_next_chance(machine: Past, point: str) -> None:
    """A backup killed while it destroys an old key: the next backup has destroyed it."""
    path = machine.home / "other" / "backup.keys"
    keys = BackupKeys.open(path)
    (old,) = keys.live()
    age(path, old.made_ms)
    arguments = ("backup", machine.home / "more", "--data", machine.data)
    assert run(*arguments, **machine.settings, HUSHWIRE_FAULT=point)[0] == KILLED
    assert run(*arguments, **machine.settings)[0] == 0
    assert old.key not in path.read_bytes()
    assert all(key.id != old.id for key in keys.live())
    keys.close()
    lose_vault(machine)
    said = refused(
        1, "restore", machine.backup, "--data", machine.data, "--yes", **machine.settings
    )
    assert "destroyed" in said


def age(path: Path, made_ms: int) -> None:
    """Let a backup have been made eight days earlier."""
    earlier = made_ms - 8 * DAY_MS
    times = made_ms.to_bytes(8, "big") + (made_ms + 7 * DAY_MS).to_bytes(8, "big")
    content = path.read_bytes()
    assert content.count(times) == 1
    moved = earlier.to_bytes(8, "big") + (earlier + 7 * DAY_MS).to_bytes(8, "big")
    with path.open("r+b") as file:
        file.seek(content.index(times))
        file.write(moved)
