"""The erasure log: noted before it is destroyed, and destroyed again in what is restored."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire import faults
from hushwire.clock import SeededEntropy
from hushwire.errors import Misconfigured
from hushwire.vault import erasures
from hushwire.vault.erasures import BLOCK_BYTES, HEADER_BYTES, ErasureLog, erase
from hushwire.vault.inventory import BLANK
from hushwire.vault.seal import SLOT_BYTES
from hushwire.vault.slots import Slots

PAIR = b"p" * 16
ROOT = b"r" * 32


class Killed(BaseException):
    """The process dies here."""


def note(log: ErasureLog, *refs: int) -> None:
    with log.erasing(refs):
        pass


@pytest.fixture
def log(tmp_path: Path) -> ErasureLog:
    return ErasureLog.create(tmp_path / "erasures.log", PAIR)


def test_what_was_noted_is_read_from_any_number_on(log: ErasureLog) -> None:
    note(log, 1 << 32 | 1, 2 << 32 | 256)
    note(log, 3 << 32 | 1)
    again = ErasureLog.open(log.path)
    assert again.pair == PAIR
    assert again.end() == 3
    assert list(again.since(0)) == [1 << 32 | 1, 2 << 32 | 256, 3 << 32 | 1]
    assert list(again.since(2)) == [3 << 32 | 1]
    note(again, 4 << 32 | 1)
    assert list(log.since(3)) == [4 << 32 | 1]


def test_it_grows_by_blocks(log: ErasureLog) -> None:
    refs = [slot << 32 | 1 for slot in range(1, BLOCK_BYTES // 8 + 10)]
    note(log, *refs[:100])
    size = log.path.stat().st_size
    note(log, *refs[100:200])
    assert log.path.stat().st_size == size
    note(log, *refs[200:])
    assert log.path.stat().st_size == size + BLOCK_BYTES
    assert list(ErasureLog.open(log.path).since(0)) == refs


def test_dropping_keeps_the_numbers(log: ErasureLog) -> None:
    refs = [slot << 32 | 1 for slot in range(1, 40_001)]
    note(log, *refs)
    log.drop_before(100)  # too little to be worth it
    assert list(log.since(0)) == refs
    log.drop_before(39_000)
    note(log, 9 << 32 | 9)
    for read in (log, ErasureLog.open(log.path)):
        assert read.end() == 40_001
        assert list(read.since(39_000)) == [*refs[39_000:], 9 << 32 | 9]
        with pytest.raises(Misconfigured, match="begins after"):
            read.since(0)


def test_a_death_while_dropping_leaves_one_whole_log(log: ErasureLog) -> None:
    refs = [slot << 32 | 1 for slot in range(1, 40_001)]
    note(log, *refs)

    def die(reached: str) -> None:
        if reached == "erasures.rewritten":
            raise Killed

    faults.arm(die)
    try:
        with pytest.raises(Killed):
            log.drop_before(40_000)
    finally:
        faults.arm(None)
    assert list(ErasureLog.open(log.path).since(0)) == refs


@pytest.mark.parametrize("point", ["erasures.written", "erasures.synced", "vault.written"])
def test_nothing_is_destroyed_that_is_not_noted(
    tmp_path: Path, log: ErasureLog, point: str
) -> None:
    slots = Slots.open(tmp_path / "vault", ROOT, slots_per_file=1024, entropy=SeededEntropy(1))
    slots.erasing = log.erasing
    (ref,) = slots.allocate(1)
    slots.write([(ref, b"k" * 60 + (ref & 0xFFFFFFFF).to_bytes(4, "big"))], ())

    def die(reached: str) -> None:
        if reached == point:
            raise Killed

    faults.arm(die)
    try:
        with pytest.raises(Killed):
            slots.write((), [ref])
    finally:
        faults.arm(None)
    slots.close()
    assert list(ErasureLog.open(log.path).since(0)) == [ref]


def test_only_what_is_destroyed_is_noted(tmp_path: Path, log: ErasureLog) -> None:
    slots = Slots.open(tmp_path / "vault", ROOT, slots_per_file=1024, entropy=SeededEntropy(1))
    slots.erasing = log.erasing
    refs = slots.allocate(3)
    slots.write([(ref, b"k" * 60 + (ref & 0xFFFFFFFF).to_bytes(4, "big")) for ref in refs], ())
    slots.write((), refs[:2])
    slots.write((), refs[:1])  # again: it is destroyed already
    assert list(log.since(0)) == refs[:2]
    slots.close()


def test_a_full_disk_destroys_nothing(
    tmp_path: Path, log: ErasureLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Slots.open(tmp_path / "vault", ROOT, slots_per_file=1024, entropy=SeededEntropy(1))
    slots.erasing = log.erasing
    (ref,) = slots.allocate(1)
    slots.write([(ref, b"k" * 60 + (ref & 0xFFFFFFFF).to_bytes(4, "big"))], ())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(erasures.os, "pwrite", full)
    with pytest.raises(OSError, match="space"):
        slots.write((), [ref])
    assert slots.read(ref) is not None
    slots.close()


def test_a_damaged_or_missing_log_names_the_cure(tmp_path: Path, log: ErasureLog) -> None:
    with pytest.raises(Misconfigured, match="mount its disk"):
        ErasureLog.open(tmp_path / "no.log")
    with log.path.open("r+b") as file:
        file.write(b"SOMETHING")
    with pytest.raises(Misconfigured, match="damaged"):
        ErasureLog.open(log.path)


def test_zeros_between_name_nothing(log: ErasureLog) -> None:
    """A power cut may lose a sector in the middle of what was not synced yet."""
    note(log, 1 << 32 | 1, 2 << 32 | 1, 3 << 32 | 1)
    with log.path.open("r+b") as file:
        file.seek(HEADER_BYTES + 8)
        file.write(bytes(8))
    assert [ref for ref in ErasureLog.open(log.path).since(0) if ref] == [1 << 32 | 1, 3 << 32 | 1]


SLOTS = st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=1, max_size=20)


@given(SLOTS, st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5))), st.integers(0, 10))
def test_erase_destroys_exactly_the_keys_that_are_named(
    held: list[tuple[bool, int]], named: list[tuple[int, int]], first: int
) -> None:
    block = bytearray(
        b"".join(
            (b"k" * 60 if live else BLANK) + generation.to_bytes(4, "big")
            for live, generation in held
        )
    )
    before = bytes(block)
    count = erase(block, first, [slot << 32 | generation for slot, generation in named])
    expected = {
        place
        for place, (live, generation) in enumerate(held)
        if live and (place + first, generation) in named
    }
    assert count == len(expected)
    for place, (_, generation) in enumerate(held):
        image = bytes(block[place * SLOT_BYTES : (place + 1) * SLOT_BYTES])
        if place in expected:
            assert image == BLANK + (generation + 1).to_bytes(4, "big")
        else:
            assert image == before[place * SLOT_BYTES : (place + 1) * SLOT_BYTES]
