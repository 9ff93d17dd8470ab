"""The vault under `kill -9` and power cuts: what was acknowledged holds.

Run as a program, this file is the process that is killed: it writes and shreds keys in a
loop and notes, after each call returns, what it was promised.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hushwire import faults
from hushwire.vault.slots import HEADER_BYTES, Slots, wrap

ROOT = b"r" * 32
WRAPPER = AESGCM(b"w" * 32)
ACCOUNT = 7
SECTOR = 512  # what a disk writes whole

KILLS = [
    *(("vault.written", n) for n in (1, 2, 3, 8, 21, 34, 55)),
    *(("vault.synced", n) for n in (1, 2, 5, 13, 34, 55)),
    *(("vault.preallocated", n) for n in (1, 2, 3)),
]


def key_of(ref: int) -> bytes:
    return ref.to_bytes(32, "big")


def image(ref: int) -> bytes:
    return wrap(WRAPPER, ACCOUNT, ref, key_of(ref), os.urandom(12))


def work(slots: Slots, seed: int, note: "Note", steps: int) -> None:
    """Births and deaths of keys; `note(word, refs)` before ("try…") and after each."""
    rng = random.Random(seed)
    live: list[int] = []
    for _ in range(steps):
        births = slots.allocate(rng.randint(1, 12))
        rng.shuffle(live)
        deaths = [live.pop() for _ in range(min(len(live), rng.randint(0, 10)))]
        note.trying(births, deaths)
        slots.write([(ref, image(ref)) for ref in births], deaths)
        note.done(births, deaths)
        live += births
        if rng.random() < 0.7:  # the rest wait: their rows are not gone yet
            slots.recycle(deaths)


class Note:
    """What was asked of the vault and what it acknowledged, a line each."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def trying(self, births: list[int], deaths: list[int]) -> None:
        self._line("try", births, deaths)

    def done(self, births: list[int], deaths: list[int]) -> None:
        self._line("done", births, deaths)

    def _line(self, word: str, births: list[int], deaths: list[int]) -> None:
        text = f"{word} {','.join(map(str, births))} {','.join(map(str, deaths))}\n"
        os.write(self._fd, text.encode())


class Promises:
    """What the notes of all lives of a vault say must hold now."""

    def __init__(self) -> None:
        self.open_keys: set[int] = set()
        self.shut: set[int] = set()
        self.doubtful: set[int] = set()  # neither promised to open nor to be shut

    def read(self, notes: str) -> None:
        last: tuple[set[int], set[int]] = (set(), set())
        for line in notes.splitlines():
            word, births, deaths = line.split(" ")
            born, dead = ({int(r) for r in refs.split(",") if r} for refs in (births, deaths))
            if word == "try":
                last = (born, dead)
            else:
                self.open_keys = (self.open_keys | born) - dead
                self.shut |= dead
                last = (set(), set())
        self.open_keys -= last[1]
        self.doubtful = last[0] | last[1]

    def settle(self, slots: Slots) -> set[int]:
        """Check every promise; what is in doubt is swept. Returns what the sweep found."""
        for ref in self.open_keys:
            assert slots.unwrap(WRAPPER, ACCOUNT, ref) == key_of(ref)
        for ref in self.shut:
            assert slots.unwrap(WRAPPER, ACCOUNT, ref) is None
        leftovers = {
            ref for ref in self.doubtful if slots.unwrap(WRAPPER, ACCOUNT, ref) is not None
        }
        orphans = slots.orphans(self.open_keys)
        assert set(orphans) == leftovers
        slots.write((), orphans)
        slots.recycle(orphans)
        self.shut |= leftovers
        for ref in leftovers:
            assert slots.unwrap(WRAPPER, ACCOUNT, ref) is None
        assert not slots.orphans(self.open_keys)
        return leftovers


def test_acknowledged_keys_survive_kills_and_shredded_ones_stay_shut(tmp_path: Path) -> None:
    """One vault, killed again and again; every life begins on what the last one left."""
    vault, promises = tmp_path / "vault", Promises()
    swept = 0
    for life, (point, n) in enumerate(KILLS):
        notes = tmp_path / f"notes-{life}"
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HUSHWIRE_FAULT": f"{point}:{n}",
        }
        command = [sys.executable, __file__, str(vault), str(life), str(notes)]
        killed = subprocess.run(command, env=env, capture_output=True, timeout=60)
        assert killed.returncode == -9, killed.stderr.decode()
        promises.read(notes.read_text() if notes.exists() else "")
        slots = Slots.open(vault, ROOT)
        swept += len(promises.settle(slots))
        slots.close()
    assert len(promises.open_keys) > 100
    assert len(promises.shut) > 500
    assert swept > 50


class PowerCutError(Exception):
    """The lights go out: what was not synced is on the disk, or is not."""


@pytest.mark.parametrize("seed", range(15))
def test_promises_hold_when_the_power_is_cut(tmp_path: Path, seed: int) -> None:
    """What was written since the last sync is kept or lost, sector by sector."""
    rng = random.Random(seed)
    vault, notes = tmp_path / "vault", tmp_path / "notes"
    slots = Slots.open(vault, ROOT, slots_per_file=64)
    durable = _contents(vault)
    left = rng.randint(1, 60)

    def at(point: str) -> None:
        nonlocal left
        if point == "vault.synced":
            durable.update(_contents(vault))
        elif point == "vault.written":
            left -= 1
            if left == 0:
                raise PowerCutError

    faults.arm(at)
    try:
        with pytest.raises(PowerCutError):
            work(slots, seed, Note(notes), steps=100)
    finally:
        faults.arm(None)
    slots.close()
    for path, content in _contents(vault).items():
        path.write_bytes(_torn(rng, durable.get(path, content), content))

    promises = Promises()
    promises.read(notes.read_text())
    again = Slots.open(vault, ROOT)
    promises.settle(again)
    again.close()


def _contents(vault: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in vault.glob("*.slots")}


def _torn(rng: random.Random, old: bytes, new: bytes) -> bytes:
    """Of each sector, the old or the new content."""
    assert HEADER_BYTES % SECTOR == 0
    cuts = range(0, len(new), SECTOR)
    return b"".join(rng.choice((old, new))[cut : cut + SECTOR] for cut in cuts)


def main() -> None:
    vault, life, notes = sys.argv[1:]
    faults.arm_from_environment()
    slots = Slots.open(Path(vault), ROOT, slots_per_file=64)
    work(slots, int(life), Note(Path(notes)), steps=100_000)


if __name__ == "__main__":
    main()
