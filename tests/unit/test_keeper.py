"""The keeper: which backup keys and which log a server goes on with, and when they end."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire import faults
from hushwire.clock import Clock, SeededEntropy
from hushwire.errors import Misconfigured
from hushwire.keeping.keeper import Keeper
from hushwire.keeping.state import State, read_state, write_state
from hushwire.settings import Settings
from hushwire.vault.backup_keys import DAY_MS, BackupKeys
from hushwire.vault.erasures import ErasureLog
from hushwire.vault.slots import Slots

NOW = 1_772_366_400_000
ROOT = b"r" * 32


class Killed(BaseException):
    """The process dies here."""


class Machine:
    """A data directory with a vault; servers start and stop on it."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.other = directory / "other"
        self.other.mkdir()
        self.settings = Settings(
            data=self.data, vault_backup="7d", backup_keys=self.other / "backup.keys"
        )
        self.slots = Slots.open(self.data / "vault", ROOT, slots_per_file=1024)
        self.clock = Clock(0, lambda: NOW)
        self.starts = 0

    @property
    def vault(self) -> Path:
        return self.data / "vault"

    def start(self, **changes: object) -> Keeper:
        self.starts += 1
        settings = replace(self.settings, **changes)
        return Keeper(settings, self.vault, self.slots, self.clock, SeededEntropy(self.starts))

    def backup_key(self) -> bytes:
        keys = BackupKeys.open(self.settings.backup_keys_path)
        log = ErasureLog.open(self.settings.erasure_log_path)
        made = keys.make(SeededEntropy(99), self.clock.now_ms(), 7, log.end)
        keys.close()
        log.close()
        return made.key


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def shred_one(slots: Slots) -> int:
    (ref,) = slots.allocate(1)
    slots.write([(ref, b"k" * 60 + (ref & 0xFFFFFFFF).to_bytes(4, "big"))], ())
    slots.write((), [ref])
    return ref


def test_the_default_keeps_nothing_and_makes_nothing(machine: Machine) -> None:
    keeper = machine.start(vault_backup="none")
    shred_one(machine.slots)
    assert keeper.expire() == 0
    keeper.close()
    assert list(machine.other.iterdir()) == []
    assert read_state(machine.vault) == State()


def test_what_is_destroyed_is_noted_over_several_starts(machine: Machine) -> None:
    keeper = machine.start()
    first = shred_one(machine.slots)
    keeper.close()
    keeper = machine.start()
    second = shred_one(machine.slots)
    keeper.close()
    log = ErasureLog.open(machine.settings.erasure_log_path)
    assert list(log.since(0)) == [first, second]
    assert log.pair.hex() == read_state(machine.vault).pair


def test_the_bound_is_the_days_of_each_backup(machine: Machine) -> None:
    """Erased on day D: no backup of before opens on D + 7, however the clock came there."""
    keeper = machine.start()
    key = machine.backup_key()
    machine.clock.advance(7 * DAY_MS - 1)
    assert keeper.expire() == 0
    machine.clock.advance(1)
    assert keeper.expire() == 1
    assert key not in machine.settings.backup_keys_path.read_bytes()
    keeper.close()


def test_a_start_destroys_what_ended_while_the_server_was_off(machine: Machine) -> None:
    machine.start().close()
    key = machine.backup_key()
    machine.clock.advance(8 * DAY_MS)
    machine.start().close()
    assert key not in machine.settings.backup_keys_path.read_bytes()


def test_a_key_lost_or_exchanged_stops_the_start(machine: Machine) -> None:
    machine.start().close()
    keys = machine.settings.backup_keys_path
    keys.rename(keys.with_name("away"))
    with pytest.raises(Misconfigured, match="mount its disk"):
        machine.start()
    BackupKeys.create(keys, b"?" * 16).close()
    with pytest.raises(Misconfigured, match="not the one"):
        machine.start()
    keys.with_name("away").replace(keys)
    machine.start().close()
    machine.settings.erasure_log_path.unlink()
    with pytest.raises(Misconfigured, match="mount its disk"):
        machine.start()


def test_keys_of_somebody_else_are_not_taken_over(machine: Machine) -> None:
    machine.start().close()
    machine.backup_key()
    write_state(machine.vault, State())
    with pytest.raises(Misconfigured, match="name another file"):
        machine.start()


def test_a_folder_that_is_not_there_is_not_made(machine: Machine) -> None:
    with pytest.raises(Misconfigured, match="mount its disk, or make it"):
        machine.start(backup_keys=machine.other / "not-mounted" / "backup.keys")
    assert not (machine.other / "not-mounted").exists()


def test_none_destroys_every_key(machine: Machine) -> None:
    machine.start().close()
    key = machine.backup_key()
    opened = machine.settings.backup_keys_path.open("rb")
    machine.start(vault_backup="none").close()
    assert key not in opened.read()  # overwritten, and not only unlinked
    opened.close()
    assert list(machine.other.iterdir()) == []
    assert read_state(machine.vault) == State()
    machine.start().close()  # and it may begin again


@pytest.mark.parametrize("point", ["keeper.log_created", "keeper.keys_created"])
def test_a_death_at_the_beginning_is_begun_again(machine: Machine, point: str) -> None:
    die_at(machine, point, vault_backup="7d")
    keeper = machine.start()
    ref = shred_one(machine.slots)
    keeper.close()
    assert list(ErasureLog.open(machine.settings.erasure_log_path).since(0)) == [ref]


@pytest.mark.parametrize("point", ["backup_keys.written", "keeper.keys_destroyed"])
def test_a_death_at_the_end_is_ended_again(machine: Machine, point: str) -> None:
    machine.start().close()
    machine.backup_key()
    die_at(machine, point, vault_backup="none")
    machine.start(vault_backup="none").close()
    assert list(machine.other.iterdir()) == []


def die_at(machine: Machine, point: str, **changes: object) -> None:
    def die(reached: str) -> None:
        if reached == point:
            raise Killed

    faults.arm(die)
    try:
        with pytest.raises(Killed):
            machine.start(**changes)
    finally:
        faults.arm(None)
