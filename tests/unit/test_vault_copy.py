"""The copy of the vault: both directories are the same, whatever was cut short between them."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from hushwire import faults
from hushwire.errors import Misconfigured
from hushwire.vault.copy import open_copy, reconcile
from hushwire.vault.inventory import BLANK
from hushwire.vault.slots import HEADER_BYTES, SLOT_BYTES, Slots, wrap

ROOT = b"r" * 32
WRAPPER = AESGCM(b"w" * 32)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def where(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "copy").mkdir()
    return tmp_path / "vault", tmp_path / "copy"


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def opened(where: tuple[Path, Path], *, filled: bool = False) -> Slots:
    copy = open_copy(where[1], filled=filled)
    try:
        return Slots.open(where[0], ROOT, slots_per_file=16, copy=copy)
    except BaseException:
        copy.close()
        raise


def key_of(ref: int) -> bytes:
    return ref.to_bytes(32, "big")


def image(ref: int) -> bytes:
    return wrap(WRAPPER, 7, ref, key_of(ref), os.urandom(12))


def put(slots: Slots, n: int) -> list[int]:
    refs = slots.allocate(n)
    slots.write([(ref, image(ref)) for ref in refs], ())
    return refs


def contents(directory: Path) -> dict[str, bytes]:
    for thread in threading.enumerate():  # a file that is being made is not in both yet
        if thread.name == "vault-grow":
            thread.join()
    return {path.name: path.read_bytes() for path in directory.glob("*.slots")}


def test_every_write_and_every_shred_is_in_both(where: tuple[Path, Path]) -> None:
    slots = opened(where)
    refs = put(slots, 20)  # and a second file
    slots.write((), refs[3:9])
    assert contents(where[0]) == contents(where[1])
    slots.recycle(refs[3:9])
    put(slots, 30)
    assert contents(where[0]) == contents(where[1])
    slots.close()
    opened(where, filled=True).close()


def test_no_image_of_a_shredded_key_is_left_in_either(where: tuple[Path, Path]) -> None:
    slots = opened(where)
    refs = slots.allocate(10)
    images = {ref: image(ref) for ref in refs}
    slots.write(images.items(), ())
    slots.write((), refs)
    slots.close()
    for directory in where:
        raw = b"".join(contents(directory).values())
        assert not [ref for ref in refs if images[ref][:28] in raw or images[ref][12:44] in raw]


def test_each_disk_is_written_and_synced_before_the_other_counts(where: tuple[Path, Path]) -> None:
    slots = opened(where)
    order: list[str] = []
    faults.arm(order.append)
    put(slots, 1)
    faults.arm(None)
    assert order == ["vault.written", "vault.synced", "vault.copy.written", "vault.copy.synced"]
    slots.close()


POINTS = ["vault.written", "vault.synced", "vault.copy.written", "vault.copy.synced"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("what", ["birth", "shred", "both"])
def test_a_kill_between_any_two_writes_is_put_right(
    where: tuple[Path, Path], point: str, what: str
) -> None:
    slots = opened(where)
    kept, gone = put(slots, 3), put(slots, 3)
    new = slots.allocate(2)

    def kill(name: str) -> None:
        if name == point:
            raise Killed

    births = [(ref, image(ref)) for ref in new] if what != "shred" else []
    faults.arm(kill)
    with pytest.raises(Killed):
        slots.write(births, gone if what != "birth" else [])
    faults.arm(None)
    slots.close()
    again = opened(where, filled=True)
    assert contents(where[0]) == contents(where[1])
    for ref in kept:
        assert again.unwrap(WRAPPER, 7, ref) == key_of(ref)
    if what != "birth":  # a process died, not the power: what it wrote is there
        assert [again.read(ref) for ref in gone] == [None] * 3
    again.close()


@pytest.mark.parametrize("behind", [0, 1])
def test_a_shred_in_either_is_a_shred_in_both(where: tuple[Path, Path], behind: int) -> None:
    """Of two disks one has an older state: nothing that was destroyed comes back from it."""
    slots = opened(where)
    refs = put(slots, 8)
    slots.close()
    before = (where[behind] / "0000.slots").read_bytes()
    slots = opened(where, filled=True)
    slots.write((), refs[:4])
    slots.recycle(refs[:4])
    again = put(slots, 2)
    slots.close()
    (where[behind] / "0000.slots").write_bytes(before)
    slots = opened(where, filled=True)
    assert contents(where[0]) == contents(where[1])
    assert [slots.read(ref) for ref in refs[:4]] == [None] * 4
    for ref in (*refs[4:], *again):
        assert slots.unwrap(WRAPPER, 7, ref) == key_of(ref)
    slots.close()


def test_a_copy_that_is_new_is_filled_and_what_it_lacks_is_made(where: tuple[Path, Path]) -> None:
    slots = Slots.open(where[0], ROOT, slots_per_file=16)
    refs = put(slots, 40)
    slots.close()
    opened(where).close()
    assert contents(where[0]) == contents(where[1])
    (where[1] / "0002.slots").unlink()
    slots = opened(where, filled=True)
    assert contents(where[0]) == contents(where[1])
    assert all(slots.unwrap(WRAPPER, 7, ref) == key_of(ref) for ref in refs)
    slots.close()


def test_a_copy_that_is_not_there_or_another_disk_is_refused(where: tuple[Path, Path]) -> None:
    opened(where).close()
    with pytest.raises(Misconfigured, match="unset vault_copy"):
        open_copy(where[1] / "nowhere", filled=False)
    (where[1] / "0000.slots").rename(where[1] / "kept")
    with pytest.raises(Misconfigured, match="mount its disk"):
        opened(where, filled=True)
    (where[1] / "kept").rename(where[1] / "0000.slots")
    opened(where, filled=True).close()


@pytest.mark.parametrize("damage", ["other vault", "cut", "more files", "in use"])
def test_what_is_not_this_vaults_copy_is_refused(
    where: tuple[Path, Path], tmp_path: Path, damage: str
) -> None:
    slots = opened(where)
    ref = put(slots, 1)[0]
    slots.close()
    path = where[1] / "0000.slots"
    held = None
    if damage == "other vault":
        Slots.open(tmp_path / "other", ROOT, slots_per_file=16).close()
        path.write_bytes((tmp_path / "other" / "0000.slots").read_bytes())
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-64])
    elif damage == "more files":
        (where[1] / "0001.slots").write_bytes(path.read_bytes())
    else:
        held = open_copy(where[1], filled=True)
    before = contents(where[1])
    with pytest.raises(Misconfigured):
        opened(where, filled=True)
    assert contents(where[1]) == before  # nothing of the other's is touched
    if held is not None:
        held.close()
    slots = Slots.open(where[0], ROOT)
    assert slots.unwrap(WRAPPER, 7, ref) == key_of(ref)
    slots.close()


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_copy_that_fails_ends_every_write(
    where: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Fail closed: what only one disk has does not count."""
    slots = opened(where)
    (kept,) = put(slots, 1)
    real, calls = getattr(os, call), 0

    def second_fails(*given: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:  # the first is the vault's
            raise OSError(errno.EIO, "input/output error")
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, second_fails)
        with pytest.raises(OSError, match="input/output"):
            put(slots, 1)
    with pytest.raises(OSError, match="open it again"):
        slots.write((), [kept])
    slots.close()


def test_a_file_that_could_not_be_made_in_both_is_made_later(
    where: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = opened(where)

    def full(fd: int, data: bytes, at: int) -> int:
        if Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(where[1]):
            raise OSError(errno.ENOSPC, "no space left on device")
        return os.write(fd, data) if os.lseek(fd, at, os.SEEK_SET) >= 0 else 0

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="no space"):
            slots.allocate(20)
    assert len(slots.allocate(20)) == 20
    assert contents(where[0]) == contents(where[1])
    slots.close()


SLOT = st.one_of(
    st.just(bytes(SLOT_BYTES)),
    st.integers(1, 3).map(lambda g: BLANK + g.to_bytes(4, "big")),
    st.tuples(st.integers(1, 3), st.integers(1, 2)).map(
        lambda made: bytes([made[1]]) * 60 + made[0].to_bytes(4, "big")
    ),
)


@given(st.lists(st.tuples(SLOT, SLOT), max_size=150))
def test_two_blocks_come_to_the_same_and_to_the_later_state(
    pairs: list[tuple[bytes, bytes]],
) -> None:
    blocks = [b"".join(pair[side] for pair in pairs) for side in (0, 1)]
    healed = []
    for block, lacks in zip(blocks, reconcile(*blocks), strict=True):
        images = [block[at : at + SLOT_BYTES] for at in range(0, len(block), SLOT_BYTES)]
        for place, found in lacks.items():
            images[place] = found
        healed.append(images)
    assert healed[0] == healed[1]
    for (ours, theirs), result in zip(pairs, healed[0], strict=True):
        generations = [int.from_bytes(slot[60:], "big") or 1 for slot in (ours, theirs)]
        later = max(generations)
        assert result in (ours, theirs)
        assert (int.from_bytes(result[60:], "big") or 1) == later
        if generations[0] != generations[1]:
            assert result == (ours, theirs)[generations.index(later)]
        elif not ours.startswith(BLANK):
            assert result == ours  # the vault is written first


def test_a_header_left_behind_by_a_rotation_is_brought_up_to_date(where: tuple[Path, Path]) -> None:
    slots = opened(where)
    slots.close()
    alone = Slots.open(where[0], b"n" * 32, former=ROOT)
    alone.rewrite_headers(b"n" * 32)
    alone.close()
    copy = open_copy(where[1], filled=True)
    Slots.open(where[0], b"n" * 32, copy=copy).close()
    heads = [(directory / "0000.slots").read_bytes()[:HEADER_BYTES] for directory in where]
    assert heads[0] == heads[1]
