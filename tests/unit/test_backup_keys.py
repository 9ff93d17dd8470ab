"""Backup keys: made, found, and destroyed in place when their days are over."""

from pathlib import Path

import pytest

from hushwire import faults
from hushwire.clock import SeededEntropy
from hushwire.errors import Misconfigured
from hushwire.vault import backup_keys
from hushwire.vault.backup_keys import DAY_MS, HEADER_BYTES, BackupKey, BackupKeys

NOW = 1_772_366_400_000
PAIR = b"p" * 16


class Killed(BaseException):
    """The process dies here."""


def make(keys: BackupKeys, now_ms: int = NOW, days: int = 7, erasures: int = 0) -> BackupKey:
    return keys.make(SeededEntropy(now_ms + erasures), now_ms, days, lambda: erasures)


@pytest.fixture
def keys(tmp_path: Path) -> BackupKeys:
    return BackupKeys.create(tmp_path / "backup.keys", PAIR)


def test_a_key_is_found_until_its_days_are_over(keys: BackupKeys) -> None:
    made = make(keys, days=7)
    again = BackupKeys.open(keys.path)
    assert again.pair == PAIR
    assert again.find(made.id, NOW + 7 * DAY_MS - 1) == made
    assert again.find(made.id, NOW + 7 * DAY_MS) is None
    assert again.find(b"unknown!", NOW) is None
    assert keys.path.stat().st_mode & 0o077 == 0


def test_an_expired_key_is_in_the_file_no_more(keys: BackupKeys) -> None:
    old, new = make(keys), make(keys, NOW + DAY_MS)
    before = keys.path.stat()
    assert keys.expire(NOW + 7 * DAY_MS - 1, 7) == 0
    assert keys.expire(NOW + 7 * DAY_MS, 7) == 1
    content = keys.path.read_bytes()
    assert old.key not in content
    assert new.key in content
    assert keys.live() == [new]
    after = keys.path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)  # in place


def test_fewer_days_count_for_the_keys_that_are_there_and_more_do_not(keys: BackupKeys) -> None:
    made = make(keys, days=7)
    assert keys.expire(NOW + 7 * DAY_MS - 1, 30) == 0
    assert keys.expire(NOW + 2 * DAY_MS, 2) == 1
    assert keys.find(made.id, NOW) is None
    longer = make(keys, days=7)
    assert keys.expire(NOW + 7 * DAY_MS, 30) == 1
    assert longer.key not in keys.path.read_bytes()


def test_no_days_destroy_every_key(keys: BackupKeys) -> None:
    for n in range(5):
        make(keys, NOW + n)
    assert keys.expire(NOW, 0) == 5
    assert keys.path.read_bytes()[HEADER_BYTES:].strip(b"\0") == b""
    assert keys.live() == []


def test_a_full_file_says_so(keys: BackupKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_keys, "PLACES", 2)
    make(keys)
    make(keys, NOW + 1)
    with pytest.raises(Misconfigured, match="vault_backup"):
        make(keys, NOW + 2)
    keys.expire(NOW, 0)
    make(keys, NOW + 3)


@pytest.mark.parametrize("damage", ["short", "magic"])
def test_a_damaged_file_is_refused(keys: BackupKeys, damage: str) -> None:
    with keys.path.open("r+b") as file:
        if damage == "short":
            file.truncate(5_000)
        else:
            file.write(b"NOTAKEYS")
    with pytest.raises(Misconfigured, match="damaged"):
        BackupKeys.open(keys.path)


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="mount its disk"):
        BackupKeys.open(tmp_path / "backup.keys")


@pytest.mark.parametrize("point", ["backup_keys.written", "backup_keys.synced"])
def test_a_death_while_a_key_is_destroyed_is_made_good_by_the_next(
    keys: BackupKeys, point: str
) -> None:
    made = make(keys)

    def die(reached: str) -> None:
        if reached == point:
            raise Killed

    faults.arm(die)
    try:
        with pytest.raises(Killed):
            keys.expire(NOW + 7 * DAY_MS, 7)
    finally:
        faults.arm(None)
    again = BackupKeys.open(keys.path)
    assert again.find(made.id, NOW + 7 * DAY_MS) is None
    again.expire(NOW + 7 * DAY_MS, 7)
    assert made.key not in keys.path.read_bytes()


def test_the_log_is_trimmed_to_what_the_oldest_backup_needs(keys: BackupKeys) -> None:
    make(keys, NOW, erasures=10)
    make(keys, NOW + DAY_MS, erasures=20)
    dropped: list[int] = []
    keys.trim(lambda: 99, dropped.append)
    keys.expire(NOW + 7 * DAY_MS, 7)
    keys.trim(lambda: 99, dropped.append)
    keys.expire(NOW, 0)
    keys.trim(lambda: 99, dropped.append)
    assert dropped == [10, 20, 99]


def test_a_key_does_not_show_itself(keys: BackupKeys) -> None:
    made = make(keys)
    assert made.key.hex() not in repr(made)
    assert repr(made.key) not in repr(made)
