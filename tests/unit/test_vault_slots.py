"""Slots: what is written opens, what is shredded never does, whatever happens between."""

import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from hushwire import faults
from hushwire.errors import Defect, Misconfigured
from hushwire.vault.slots import (
    GENERATION_MAX,
    HEADER_BYTES,
    SLOT_BYTES,
    SLOTS_MAX,
    SealBroken,
    Slots,
    wrap,
)

ROOT = b"r" * 32
WRAPPER = AESGCM(b"w" * 32)
ACCOUNT = 7


def image(ref: int) -> bytes:
    return wrap(WRAPPER, ACCOUNT, ref, key_of(ref), os.urandom(12))


def key_of(ref: int) -> bytes:
    return ref.to_bytes(32, "big")


def put(slots: Slots, n: int) -> list[int]:
    refs = slots.allocate(n)
    slots.write([(ref, image(ref)) for ref in refs], ())
    return refs


def opened(slots: Slots, ref: int) -> bytes | None:
    return slots.unwrap(WRAPPER, ACCOUNT, ref)


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.slots")))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "vault"


@pytest.fixture
def slots(directory: Path) -> Iterator[Slots]:
    opened = Slots.open(directory, ROOT, slots_per_file=16)
    yield opened
    opened.close()


class Model(RuleBasedStateMachine):
    """Any order of calls and restarts against a dict of what must open."""

    allocated = Bundle("allocated")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.slots = Slots.open(self.directory, ROOT, slots_per_file=8)
        self.open_keys: set[int] = set()
        self.shut: set[int] = set()  # shredded or released: must never open again
        self.pending: set[int] = set()  # handed out, not written
        self.spent: set[int] = set()  # shredded, not recycled
        self.newest: dict[int, int] = {}  # slot → generation last handed out

    def teardown(self) -> None:
        self.slots.close()
        shutil.rmtree(self.directory)

    @rule(target=allocated, n=st.integers(1, 12))
    def allocate(self, n: int):
        refs = self.slots.allocate(n)
        in_use = {ref >> 32 for ref in self.open_keys | self.pending | self.spent}
        assert len({ref >> 32 for ref in refs}) == n
        for ref in refs:
            slot, generation = ref >> 32, ref & 0xFFFFFFFF
            assert slot not in in_use
            assert generation >= 1
            assert ref not in self.shut
            assert generation >= self.newest.get(slot, 1)
            self.newest[slot] = generation
        self.pending.update(refs)
        return multiple(*refs)

    @rule(refs=st.lists(allocated, max_size=8), shreds=st.lists(allocated, max_size=8))
    def write(self, refs: list[int], shreds: list[int]) -> None:
        written = [ref for ref in refs if ref in self.pending]
        self.slots.write([(ref, image(ref)) for ref in written], shreds)
        self.open_keys.update(written)
        self.pending.difference_update(written)
        for ref in shreds:
            if ref in self.open_keys or ref in self.pending:
                self.spent.add(ref)
                self.shut.add(ref)
            self.open_keys.discard(ref)
            self.pending.discard(ref)

    @rule(refs=st.lists(allocated, max_size=8))
    def recycle(self, refs: list[int]) -> None:
        self.slots.recycle(refs)
        self.spent.difference_update(refs)

    @rule(refs=st.lists(allocated, max_size=8))
    def release(self, refs: list[int]) -> None:
        mine = [ref for ref in refs if ref in self.pending]
        self.slots.release(mine)
        self.pending.difference_update(mine)
        self.shut.update(mine)

    @rule(keep=st.booleans())
    def reopen(self, keep: bool) -> None:
        self.slots.close()
        self.slots = Slots.open(self.directory, ROOT, slots_per_file=99)
        self.pending.clear()
        self.spent.clear()
        assert set(self.slots.snapshot()) == self.open_keys
        referenced = self.open_keys if keep else set(list(self.open_keys)[::2])
        orphans = self.slots.orphans([*referenced, *self.shut])
        assert set(orphans) == self.open_keys - referenced

    @invariant()
    def what_lives_opens_and_what_was_shredded_does_not(self) -> None:
        for ref in self.open_keys:
            assert opened(self.slots, ref) == key_of(ref)
        for ref in self.shut | self.pending:
            assert opened(self.slots, ref) is None

    @invariant()
    def the_counts_add_up(self) -> None:
        stats = self.slots.stats()
        assert stats.live == len(self.open_keys) + len(self.pending)
        assert stats.free == stats.slots - stats.live - len(self.spent)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_no_image_of_a_shredded_key_is_left_on_disk(slots: Slots, directory: Path) -> None:
    refs = slots.allocate(100)
    images = {ref: image(ref) for ref in refs}
    slots.write(images.items(), ())
    slots.write((), refs[:60])
    raw = on_disk(directory)
    for ref in refs[:60]:
        assert images[ref][:60] not in raw
        assert images[ref][12:44] not in raw
    assert all(images[ref] in raw for ref in refs[60:])
    place = HEADER_BYTES
    assert raw[place : place + SLOT_BYTES] == bytes(60) + b"\0\0\0\2"


def test_a_reference_from_before_a_recycle_never_opens(slots: Slots) -> None:
    first = put(slots, 16)
    for _ in range(5):
        slots.write((), first)
        slots.recycle(first)
        slots.recycle(first)  # twice is once
        again = [*slots.allocate(slots.stats().free)]
        slots.write([(ref, image(ref)) for ref in again], ())
        assert {ref >> 32 for ref in first} <= {ref >> 32 for ref in again}
        assert all(opened(slots, ref) is None for ref in first)
        slots.write((), first)  # an old shred does not touch the new key
        assert all(opened(slots, ref) == key_of(ref) for ref in again)
        first = again


def test_a_shredded_slot_waits_for_recycle(slots: Slots) -> None:
    refs = put(slots, 10)
    slots.write((), refs)
    handed_out = slots.allocate(slots.stats().free)
    assert not {ref >> 32 for ref in refs} & {ref >> 32 for ref in handed_out}


def test_recycling_an_old_reference_frees_nothing(slots: Slots) -> None:
    (old,) = put(slots, 1)
    slots.write((), [old])
    slots.recycle([old])
    again = put(slots, slots.stats().free)
    slots.write((), again)
    free = slots.stats().free
    slots.recycle([old])  # its slot waits for the row of a later key
    assert slots.stats().free == free


def test_files_are_synced_before_they_are_believed(
    slots: Slots, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.close()
    calls: list[str] = []
    fsync, pread = os.fsync, os.pread

    def noted_sync(fd: int) -> None:
        calls.append("fsync")
        fsync(fd)

    def noted_read(fd: int, n: int, at: int) -> bytes:
        calls.append("pread")
        return pread(fd, n, at)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "pread", noted_read)
    Slots.open(directory, ROOT).close()
    assert calls == ["fsync", "pread", "pread"]


def test_a_worn_out_slot_is_retired(directory: Path) -> None:
    Slots.open(directory, ROOT, slots_per_file=2).close()
    last = GENERATION_MAX - 1
    with (directory / "0000.slots").open("r+b") as file:
        file.seek(HEADER_BYTES)
        file.write(bytes(60) + last.to_bytes(4, "big"))
        file.write(bytes(60) + GENERATION_MAX.to_bytes(4, "big"))
    slots = Slots.open(directory, ROOT)
    assert slots.stats().free == 1
    (ref,) = put(slots, 1)
    assert ref == last
    slots.write((), [ref])
    slots.recycle([ref])
    assert slots.stats().free == slots.stats().slots - 2
    assert 0 not in {r >> 32 for r in slots.allocate(slots.stats().free)}
    slots.close()


def test_the_last_reference_stays_in_63_bits() -> None:
    assert ((SLOTS_MAX - 1) << 32 | GENERATION_MAX) < 2**63


def test_a_key_written_and_shredded_at_once_is_shredded(slots: Slots, directory: Path) -> None:
    (ref,) = slots.allocate(1)
    written = image(ref)
    slots.write([(ref, written)], [ref])
    assert opened(slots, ref) is None
    assert written[:60] not in on_disk(directory)


def test_released_slots_are_shredded_before_they_are_used_again(slots: Slots) -> None:
    written, unwritten = put(slots, 2), slots.allocate(2)
    slots.release(written + unwritten)
    again = slots.allocate(slots.stats().free)
    assert {ref + 1 for ref in written + unwritten} <= set(again)
    assert all(opened(slots, ref) is None for ref in written)


def test_neighbours_go_in_one_write_and_a_file_is_synced_once(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = slots.allocate(20)  # 16 to a file: the first file and four slots of the next
    slots.allocate(1)
    calls: list[tuple[str, int]] = []
    pwrite, fdatasync = os.pwrite, os.fdatasync

    def noted_write(fd: int, data: bytes, offset: int) -> int:
        calls.append(("write", len(data) // SLOT_BYTES))
        return pwrite(fd, data, offset)

    def noted_sync(fd: int) -> None:
        calls.append(("sync", fd))
        fdatasync(fd)

    images = [(ref, image(ref)) for ref in reversed(refs)]
    monkeypatch.setattr(os, "pwrite", noted_write)
    monkeypatch.setattr(os, "fdatasync", noted_sync)
    slots.write(images, ())
    assert [call for call in calls if call[0] == "write"] == [("write", 16), ("write", 4)]
    assert [name for name, _ in calls] == ["write", "write", "sync", "sync"]
    assert len({fd for name, fd in calls if name == "sync"}) == 2
    calls.clear()
    slots.write((), [refs[1], refs[2], refs[4]])
    assert [size for name, size in calls if name == "write"] == [2, 1]
    calls.clear()
    slots.write((), [refs[1]])
    assert calls == []  # it has moved on already: nothing to write, nothing to sync


def test_fault_points_stand_around_the_sync(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fdatasync = os.fdatasync

    def noted_sync(fd: int) -> None:
        order.append("fdatasync")
        fdatasync(fd)

    monkeypatch.setattr(os, "fdatasync", noted_sync)
    faults.arm(order.append)
    try:
        put(slots, 1)
    finally:
        faults.arm(None)
    assert order == ["vault.written", "fdatasync", "vault.synced"]


def test_short_writes_are_carried_on(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:7], at))
    refs = put(slots, 5)
    assert [opened(slots, ref) for ref in refs] == [key_of(ref) for ref in refs]


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_failing_disk_surfaces_and_nothing_is_written_after_it(
    slots: Slots, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    kept = put(slots, 2)
    doubtful = slots.allocate(2)

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="input/output"):
            slots.write([(ref, image(ref)) for ref in doubtful], [kept[0]])
    # A second sync would succeed without the data being there: only a fresh start will do.
    with pytest.raises(OSError, match="open it again"):
        slots.write((), [kept[0]])
    slots.close()
    again = Slots.open(directory, ROOT)
    assert opened(again, kept[1]) == key_of(kept[1])
    again.write((), kept)
    assert opened(again, kept[0]) is None
    again.close()


def test_a_disk_that_takes_nothing_is_an_error(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ref,) = slots.allocate(1)
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="no more bytes"):
        slots.write([(ref, image(ref))], ())


def test_an_image_without_an_allocation_is_a_defect(slots: Slots) -> None:
    (ref,) = put(slots, 1)
    for wrong in (ref + 1, 5 << 32 | 1, 999 << 32 | 1):
        with pytest.raises(Defect):
            slots.write([(wrong, image(wrong))], ())
    with pytest.raises(Defect):
        slots.write([(ref, b"short")], ())
    assert opened(slots, ref) == key_of(ref)


def test_a_damaged_slot_is_a_defect_not_a_forgotten_key(slots: Slots, directory: Path) -> None:
    (ref,) = put(slots, 1)
    with (directory / "0000.slots").open("r+b") as file:
        file.seek(HEADER_BYTES + 20)
        byte = file.read(1)
        file.seek(HEADER_BYTES + 20)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(SealBroken, match="slot 0"):
        opened(slots, ref)
    with pytest.raises(SealBroken):
        slots.unwrap(AESGCM(b"x" * 32), ACCOUNT, ref)


@pytest.mark.parametrize("at", [0, 13, 30, 59])
def test_remains_of_a_key_are_found_and_can_be_shredded(
    slots: Slots, directory: Path, at: int
) -> None:
    put(slots, 1)
    slots.close()
    with (directory / "0000.slots").open("r+b") as file:
        file.seek(HEADER_BYTES + SLOT_BYTES + at)  # of a torn write: a byte, no generation
        file.write(b"\x01")
    again = Slots.open(directory, ROOT)
    orphans = again.orphans([1])
    assert orphans == [1 << 32 | 1]
    again.write((), orphans)
    assert on_disk(directory)[HEADER_BYTES + SLOT_BYTES :][:SLOT_BYTES] == bytes(60) + b"\0\0\0\2"
    again.close()


def test_a_key_recycled_during_the_sweep_is_no_orphan(slots: Slots, directory: Path) -> None:
    refs = put(slots, 3)
    slots.close()
    again = Slots.open(directory, ROOT)

    def meanwhile() -> Iterator[int]:
        yield refs[0]
        again.write((), [refs[1]])
        again.recycle([refs[1]])
        put(again, again.stats().free)

    assert again.orphans(meanwhile()) == [refs[2]]
    again.close()


def test_a_second_process_is_refused(slots: Slots, directory: Path) -> None:
    with pytest.raises(Misconfigured, match="in use by another process"):
        Slots.open(directory, ROOT)
    slots.close()
    Slots.open(directory, ROOT).close()


def test_another_root_is_refused_and_changes_nothing(slots: Slots, directory: Path) -> None:
    (ref,) = put(slots, 1)
    slots.close()
    before = on_disk(directory)
    with pytest.raises(Misconfigured, match="root key"):
        Slots.open(directory, b"s" * 32)
    assert on_disk(directory) == before
    again = Slots.open(directory, ROOT)
    assert opened(again, ref) == key_of(ref)
    assert again.vault_id == slots.vault_id
    again.close()


@pytest.mark.parametrize("at", [0, 8, 9, 25, 29, 37, 60, 100])
def test_a_damaged_header_is_refused(slots: Slots, directory: Path, at: int) -> None:
    slots.close()
    path = directory / "0000.slots"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Misconfigured, match=r"0000\.slots"):
        Slots.open(directory, ROOT)


def test_a_file_cut_short_swapped_or_missing_is_refused(slots: Slots, directory: Path) -> None:
    slots.allocate(40)
    slots.close()
    second, third = (directory / f"000{n}.slots" for n in (1, 2))
    whole = second.read_bytes()
    second.write_bytes(whole[:-1])
    with pytest.raises(Misconfigured, match="bytes long"):
        Slots.open(directory, ROOT)
    second.write_bytes(third.read_bytes())
    with pytest.raises(Misconfigured, match=r"0001\.slots does not belong"):
        Slots.open(directory, ROOT)
    second.unlink()
    with pytest.raises(Misconfigured, match="missing"):
        Slots.open(directory, ROOT)
    second.write_bytes(whole)
    Slots.open(directory, ROOT).close()


def test_files_are_preallocated_and_their_owners_alone(slots: Slots, directory: Path) -> None:
    path = directory / "0000.slots"
    assert path.stat().st_size == HEADER_BYTES + 16 * SLOT_BYTES
    assert path.stat().st_blocks * 512 >= path.stat().st_size  # not sparse
    assert path.stat().st_mode & 0o077 == 0
    assert directory.stat().st_mode & 0o077 == 0


def test_a_file_is_made_before_it_is_needed(slots: Slots) -> None:
    slots.allocate(8)
    assert slots.stats().files == 1
    slots.allocate(1)  # fewer than half a file is left
    for thread in threading.enumerate():
        if thread.name == "vault-grow":
            thread.join()
    assert slots.stats().files == 2
    assert slots.stats().free == 23


def test_more_than_is_left_is_made_at_once(slots: Slots) -> None:
    refs = put(slots, 100)
    assert [ref >> 32 for ref in refs] == list(range(100))
    assert all(opened(slots, ref) == key_of(ref) for ref in refs)


def test_a_full_disk_is_told_when_slots_run_out(
    slots: Slots, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        slots.allocate(16)  # enough: what fails in the background is no failure yet
        with pytest.raises(OSError, match="no space"):
            slots.allocate(1)
    assert len(slots.allocate(1)) == 1
    slots.close()
    assert not list(directory.glob("*.part"))


def test_a_preallocation_cut_short_is_cleared_away(slots: Slots, directory: Path) -> None:
    slots.close()
    (directory / "0001.slots.part").write_bytes(b"half")
    again = Slots.open(directory, ROOT)
    assert {p.name for p in directory.iterdir()} == {"0000.slots", "vault.lock"}
    again.close()


def test_a_closed_vault_says_so(slots: Slots, directory: Path) -> None:
    (ref,) = put(slots, 1)
    slots.close()
    before = on_disk(directory)
    with pytest.raises(Defect, match="closed"):
        slots.read(ref)  # None would mean forgotten
    with pytest.raises(Defect, match="closed"):
        slots.allocate(1)
    with pytest.raises(OSError, match="closed"):
        slots.write((), [ref])
    slots.close()
    assert on_disk(directory) == before


def test_a_file_must_have_slots(directory: Path) -> None:
    for wrong in (0, -1, 1 << 30):
        with pytest.raises(Misconfigured, match="slots_per_file"):
            Slots.open(directory, ROOT, slots_per_file=wrong)


def test_threads_never_share_a_slot(slots: Slots) -> None:
    taken: list[list[int]] = [[] for _ in range(4)]

    def work(mine: list[int]) -> None:
        for _ in range(30):
            refs = put(slots, 3)
            mine += refs[:2]
            slots.write((), refs[2:])
            slots.recycle(refs[2:])

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refs = [ref for mine in taken for ref in mine]
    assert len({ref >> 32 for ref in refs}) == len(refs) == 240
    assert all(opened(slots, ref) == key_of(ref) for ref in refs)
