"""The root key's rotation: killed anywhere, the vault opens; then the old key opens nothing."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire import faults
from hushwire.clock import SystemEntropy
from hushwire.errors import Misconfigured
from hushwire.vault.keyring import root_wrapper
from hushwire.vault.rotation import (
    RECORD,
    OpenVault,
    OwnedRef,
    VaultPlace,
    open_vault,
    rewrap,
)
from hushwire.vault.seal import SealBroken, Wrapper, unwrap_image, wrap
from hushwire.vault.slots import HEADER_BYTES, Slots

ENTROPY = SystemEntropy()
OTHER = bytes(range(32))
SECTOR = 512  # what a disk writes whole


class Killed(BaseException):
    """The process ends here."""


class Place:
    """A vault with some keys under its root, opened and killed again and again."""

    def __init__(self, directory: Path, *, copy: bool = False, root_key: str = "file:root.key"):
        (directory / "data").mkdir()
        if copy:
            (directory / "copy").mkdir()
        self.place = VaultPlace(
            directory / "data", root_key, {"OTHER": OTHER.hex()},
            directory / "copy" if copy else None, slots_per_file=16,
        )  # fmt: skip
        vault = self.open(first_start=True)
        wrapper = root_wrapper(vault.root)
        self.keys: dict[OwnedRef, bytes] = {}
        for account_id, ref in enumerate(vault.slots.allocate(20), 1):
            key = os.urandom(32)
            image = wrap(wrapper, account_id, ref, key, os.urandom(12))
            vault.slots.write([(ref, image)], ())
            self.keys[account_id, ref] = key
        self.first_root = vault.root
        vault.slots.close()
        self.first_images = self.images()

    def open(self, *, first_start: bool = False, **changes: object) -> OpenVault:
        place = replace(self.place, **changes) if changes else self.place
        return open_vault(
            place, lambda: self.keys, first_start=first_start, now_ms=1, entropy=ENTROPY
        )

    def exchange(self, to: str | None = None) -> None:
        vault = self.open()
        try:
            vault.exchange(to, self.keys, 2, ENTROPY)
        finally:
            vault.slots.close()

    def images(self) -> list[bytes]:
        slots = (self.place.data / "vault" / "0000.slots").read_bytes()[HEADER_BYTES:]
        return [slots[at : at + 60] for at in range(0, 16 * 64, 64)]

    def check(self, vault: OpenVault) -> None:
        """Every key opens."""
        wrapper = root_wrapper(vault.root)
        for (account_id, ref), key in self.keys.items():
            assert vault.slots.unwrap(wrapper, account_id, ref) == key

    def everything(self) -> bytes:
        """All bytes of all files of all directories."""
        files = sorted(self.place.data.parent.rglob("*"))
        return b"".join(path.read_bytes() for path in files if path.is_file())


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def kill_at(n: int) -> list[str]:
    """Arm a kill at the n-th point that is reached; what was reached by then."""
    reached: list[str] = []

    def hook(name: str) -> None:
        reached.append(name)
        if len(reached) == n:
            raise Killed

    faults.arm(hook)
    return reached


def assert_rotated(place: Place, vault: OpenVault) -> None:
    """The old root key and what it wrapped are nowhere, and it opens nothing."""
    place.check(vault)
    assert vault.root != place.first_root
    assert vault.record.next is None
    vault.slots.close()
    left = place.everything()
    assert place.first_root not in left
    assert not [image for image in place.first_images if image[:28] in left]
    with pytest.raises(Misconfigured, match="root key"):
        Slots.open(place.place.directory, place.first_root)


@pytest.mark.parametrize("copy", [False, True])
def test_a_new_root_key_opens_everything_and_the_old_one_nothing(
    tmp_path: Path, copy: bool
) -> None:
    place = Place(tmp_path, copy=copy)
    place.exchange()
    vault = place.open()
    assert vault.record.since_ms == 2
    assert vault.root == (tmp_path / "data" / "root.key").read_bytes()
    assert_rotated(place, vault)
    assert {path.name for path in place.place.data.iterdir()} == {"root.key", "vault"}


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize("to", [None, "file:second/root.key", "env:OTHER"])
def test_a_rotation_killed_anywhere_is_finished_by_the_next_start(
    tmp_path: Path, copy: bool, to: str | None
) -> None:
    """Between every two writes, and once more while the start finishes it."""
    points: list[str] = []
    for n in range(1, 100):
        (tmp_path / str(n)).mkdir()
        place = Place(tmp_path / str(n), copy=copy)
        points = kill_at(n)
        try:
            place.exchange(to)
        except Killed:
            kill_at(3)
            with suppress(Killed, Misconfigured):  # the latter: another provider has it now
                place.open().slots.close()
            faults.arm(None)
            begun = "rotation.noted" in points
        else:
            faults.arm(None)
            begun = True
        if to is not None and begun:
            with pytest.raises(Misconfigured, match="set root_key to"):
                place.open()
        vault = place.open(root_key=to) if to is not None and begun else place.open()
        if begun:
            assert_rotated(place, vault)
        else:
            place.check(vault)
            assert vault.root == place.first_root
            vault.slots.close()
            leftover = {path.name for path in place.place.data.iterdir()}
            assert leftover - {"second"} == {"root.key", "vault"}
        if len(points) < n:
            break
    assert points[:2] == ["rotation.kept", "rotation.noted"]
    assert "rotation.ended" in points
    assert n < 99


def test_a_provider_that_only_gives_a_key_is_rotated_to_another(tmp_path: Path) -> None:
    place = Place(tmp_path, root_key="env:OTHER")
    with pytest.raises(Misconfigured, match="--to"):
        place.exchange()
    place.exchange("file:root.key")
    with pytest.raises(Misconfigured, match=r"opens with the key of file:root\.key now"):
        place.open()
    assert_rotated(place, place.open(root_key="file:root.key"))


def test_the_same_key_by_another_way_is_no_rotation(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with pytest.raises(Misconfigured, match="in use already"):
        place.exchange(f"file:{tmp_path / 'data' / 'root.key'}")
    vault = place.open()
    place.check(vault)
    assert vault.record.next is None
    vault.slots.close()


def test_a_moved_root_key_is_only_another_setting(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "data" / "root.key").rename(tmp_path / "elsewhere.key")
    line = f"file:{tmp_path / 'elsewhere.key'}"
    vault = place.open(root_key=line)
    place.check(vault)
    assert vault.record.provider == line
    vault.slots.close()


@pytest.mark.parametrize("what", ["root key", "vault"])
def test_what_is_missing_beside_a_database_is_not_made_anew(tmp_path: Path, what: str) -> None:
    place = Place(tmp_path)
    path = tmp_path / "data" / {"root key": "root.key", "vault": "vault"}[what]
    path.rename(tmp_path / "kept")
    with pytest.raises(Misconfigured, match=f"the {what} .* is missing while its database"):
        place.open()
    assert not path.exists()


def test_a_vault_older_than_its_copy_is_refused(tmp_path: Path) -> None:
    """A disk that came back from before a rotation holds images that nothing opens."""
    place = Place(tmp_path, copy=True)
    old = {path: path.read_bytes() for path in (tmp_path / "data" / "vault").iterdir()}
    place.exchange()
    new = {path: path.read_bytes() for path in old}
    for path, content in old.items():
        path.write_bytes(content)
    with pytest.raises(Misconfigured, match="older than its copy"):
        place.open()
    for path, content in new.items():
        path.write_bytes(content)
    assert_rotated(place, place.open())


def test_a_copy_that_was_away_during_a_rotation_is_brought_up_to_date(tmp_path: Path) -> None:
    place = Place(tmp_path, copy=True)
    vault = place.open(copy=None)
    vault.exchange(None, place.keys, 2, ENTROPY)
    vault.slots.close()
    assert_rotated(place, place.open())


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "data" / "vault" / RECORD).write_bytes(b"{")
    with pytest.raises(Misconfigured, match=r"root\.json is damaged"):
        place.open()


def test_the_record_holds_no_key(tmp_path: Path) -> None:
    place = Place(tmp_path, copy=True)
    place.exchange()
    for directory in (tmp_path / "data" / "vault", tmp_path / "copy"):
        content = (directory / RECORD).read_bytes()
        assert set(content) <= set(b'{}":,.' + b"0123456789" + bytes(range(97, 123)) + b"_")
        assert (directory / RECORD).stat().st_mode & 0o077 == 0


# Wrapping anew, in place ------------------------------------------------------------------------


OLD, NEW = b"o" * 32, b"n" * 32


def vault_of(directory: Path, count: int) -> tuple[Slots, dict[int, bytes]]:
    slots = Slots.open(directory, b"r" * 32, slots_per_file=32)
    keys = {ref: os.urandom(32) for ref in slots.allocate(count)}
    old = Wrapper(OLD)
    images = [(ref, wrap(old, 7, ref, key, os.urandom(12))) for ref, key in keys.items()]
    slots.write(images, ())
    return slots, keys


def test_what_is_shredded_meanwhile_stays_shredded(tmp_path: Path) -> None:
    slots, keys = vault_of(tmp_path / "vault", 20)
    gone, recycled, *kept = keys
    slots.write((), [gone, recycled])
    slots.recycle([recycled])
    both = Wrapper(NEW, OLD)
    late = [(ref, wrap(both, 7, ref, keys[ref], os.urandom(12))) for ref in (gone, kept[0])]
    slots.write((), [kept[0]])
    slots.rewrap(late)  # they were made before the shreds
    assert slots.read(gone) is None
    assert slots.read(kept[0]) is None
    assert rewrap(slots, ((7, ref) for ref in keys), both, ENTROPY) == (17, 0)
    assert rewrap(slots, ((7, ref) for ref in keys), both, ENTROPY) == (0, 0)
    for ref in kept[1:]:
        assert slots.unwrap(Wrapper(NEW), 7, ref) == keys[ref]
        with pytest.raises(SealBroken):
            slots.unwrap(Wrapper(OLD), 7, ref)
    slots.close()


def test_a_key_that_was_damaged_before_is_counted_and_left_alone(tmp_path: Path) -> None:
    slots, keys = vault_of(tmp_path / "vault", 3)
    with (tmp_path / "vault" / "0000.slots").open("r+b") as file:
        file.seek(HEADER_BYTES + 64 + 20)
        file.write(b"\0\0\0\0")
    assert rewrap(slots, ((7, ref) for ref in keys), Wrapper(NEW, OLD), ENTROPY) == (2, 1)
    slots.close()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 64), cuts=st.integers(1, 3))
def test_keys_open_whatever_sectors_a_power_cut_leaves(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, cuts: int
) -> None:
    """A slot lies within a sector, and a disk writes a sector whole: old or new, it opens."""
    rng = random.Random(seed)
    directory = tmp_path_factory.mktemp("cut") / "vault"
    slots, keys = vault_of(directory, count)
    both = Wrapper(NEW, OLD)
    for _ in range(cuts):
        files = sorted(directory.glob("*.slots"))
        before = [path.read_bytes() for path in files]
        rewrap(slots, [(7, ref) for ref in keys if rng.random() < 0.7], both, ENTROPY)
        slots.close()
        for path, old in zip(files, before, strict=True):
            new = path.read_bytes()
            sectors = range(0, len(new), SECTOR)
            torn = b"".join(rng.choice((old, new))[at : at + SECTOR] for at in sectors)
            path.write_bytes(torn)
        slots = Slots.open(directory, b"r" * 32)
        for ref, key in keys.items():
            assert slots.unwrap(both, 7, ref) == key
    rewrap(slots, ((7, ref) for ref in keys), both, ENTROPY)
    for ref, key in keys.items():
        assert slots.unwrap(Wrapper(NEW), 7, ref) == key
    slots.close()


def test_a_wrapper_opens_with_both_while_it_is_exchanged_and_wraps_with_the_new() -> None:
    wrapper, ref = Wrapper(OLD), 5 << 32 | 1
    before = wrap(wrapper, 7, ref, b"k" * 32, b"0" * 12)
    wrapper.exchange(NEW)
    after = wrap(wrapper, 7, ref, b"k" * 32, b"1" * 12)
    assert unwrap_image(wrapper, 7, ref, before) == unwrap_image(wrapper, 7, ref, after)
    assert unwrap_image(Wrapper(NEW), 7, ref, after) == b"k" * 32
    with pytest.raises(SealBroken):
        unwrap_image(Wrapper(b"x" * 32, b"y" * 32), 7, ref, after)
    assert wrapper.renew(7, ref, after, b"2" * 12) is None
    wrapper.drop_former()
    with pytest.raises(SealBroken):
        unwrap_image(wrapper, 7, ref, before)
    with pytest.raises(SealBroken):
        wrapper.renew(7, ref, before, b"3" * 12)


def test_the_copy_takes_the_place_of_a_vault_that_is_lost(tmp_path: Path) -> None:
    place = Place(tmp_path, copy=True)
    place.exchange()
    shutil.rmtree(tmp_path / "data" / "vault")
    with pytest.raises(Misconfigured, match="restore it from"):
        place.open()
    shutil.copytree(tmp_path / "copy", tmp_path / "data" / "vault")
    assert_rotated(place, place.open())


def test_a_new_disk_for_the_copy_is_filled_after_a_start_without_it(tmp_path: Path) -> None:
    place = Place(tmp_path, copy=True)
    shutil.rmtree(tmp_path / "copy")
    (tmp_path / "copy").mkdir()
    with pytest.raises(Misconfigured, match="start once with vault_copy unset"):
        place.open()
    place.open(copy=None).slots.close()
    vault = place.open()
    place.check(vault)
    vault.slots.close()
    for name in ("0000.slots", "0001.slots", RECORD):
        both = [tmp_path / where / name for where in ("data/vault", "copy")]
        assert both[0].read_bytes() == both[1].read_bytes()
