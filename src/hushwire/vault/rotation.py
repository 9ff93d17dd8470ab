"""Opening a vault, and exchanging its root key: crash-safe between any two writes.

`root.json` in the vault's directory (and its copy's) remembers whose key opens the vault, and,
while the root is exchanged, whose will:

    1  the new key is kept by its provider          a crash leaves it, unused: erased at start
    2  root.json names the next provider            from here a start finishes the exchange
    3  what lies under the root is wrapped anew, in its slots; then the files' headers
    4  the old key is overwritten where it was kept
    5  root.json names the next provider as the one

In 3 each slot opens under one of the two keys, so a start takes both, and what it finds under
the new one it leaves alone. It holds no key, and no message's key is touched.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Entropy
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.vault.copy import open_copy
from hushwire.vault.files import SlotFiles, write_whole
from hushwire.vault.keyring import root_wrapper
from hushwire.vault.providers import (
    Surroundings,
    can_make,
    erase_kept,
    install_staged,
    is_there,
    make_root,
    read_root,
    shown,
)
from hushwire.vault.seal import NONCE_BYTES, KeyRef, SealBroken, Wrapper
from hushwire.vault.slots import SLOTS_PER_FILE, Slots

RECORD: Final = "root.json"

OwnedRef = tuple[int, KeyRef]  # account id, a key of its


class RootRecord(Struct, frozen=True, omit_defaults=True):
    """What the vault remembers of its root key. `provider` is a line as in the settings."""

    provider: str
    since_ms: int  # Unix; 0: not known
    rotations: int = 0  # begun, of any key: which of vault and copy is the later
    next: str | None = None  # the exchange under way
    staged: bool = False  # its key waits beside the one of the same provider
    copied: bool = False  # the copy was filled


class VaultPlace(Struct, frozen=True):
    """Where a vault lies and what opens it, as the settings say."""

    data: Path
    root_key: str
    environ: Mapping[str, str]
    copy: Path | None = None
    slots_per_file: int = SLOTS_PER_FILE

    @property
    def directory(self) -> Path:
        return self.data / "vault"

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.data, self.environ)


class OpenVault:
    """A vault that is open, its root key, and what it remembers of it."""

    def __init__(self, place: VaultPlace, slots: Slots, root: bytes, record: RootRecord) -> None:
        self.place: Final = place
        self.slots: Final = slots
        self.root = root
        self.record = record

    def note(self, **changes: object) -> None:
        """Change the record, in the vault and then in its copy; durable when this returns."""
        self.record = replace(self.record, **changes)
        _write_record(self.place, self.record)

    def count_rotation(self) -> None:
        """Note that keys are rotated: a disk that comes back from before is told from its copy."""
        self.note(rotations=self.record.rotations + 1)

    def begin_exchange(self, to: str | None) -> bytes:
        """The new root key, kept and noted (1, 2). `to`: a provider's line; None: the same.

        Raises `Misconfigured` when that provider cannot give another key.
        """
        line, around = to or self.record.provider, self.place.around
        staged = line == self.record.provider
        if staged and not can_make(line):
            raise Misconfigured(
                f"the provider {shown(line)} only gives a key: stop the server, have another key "
                "ready, and name where it is with --to"
            )
        if staged or (can_make(line) and not is_there(line, around)):
            new = make_root(line, around, staged=staged)
        else:
            new = read_root(line, around)
        if new == self.root:
            raise Misconfigured(f"the provider {shown(line)} gives the key that is in use already")
        reach("rotation.kept")
        self.note(next=line, staged=staged, rotations=self.record.rotations + 1)
        reach("rotation.noted")
        return new

    def can_renew(self) -> bool:
        """Can the provider keep another key than its present one?"""
        return can_make(self.record.provider)

    def exchange(
        self, to: str | None, refs: Iterable[OwnedRef], now_ms: int, entropy: Entropy
    ) -> None:
        """Exchange the root where nobody else uses the vault. Raises `Misconfigured`, `OSError`."""
        former = self.root
        new = self.begin_exchange(to)
        rewrap_under_root(self.slots, refs, root_wrapper(new, former), entropy)
        self.end_exchange(new, now_ms)

    def end_exchange(self, new: bytes, now_ms: int) -> None:
        """All is under the new key: the old one goes (4, 5)."""
        record, around = self.record, self.place.around
        assert record.next is not None
        self.slots.rewrite_headers(new)
        reach("rotation.headers")
        if record.staged:
            install_staged(record.next, around)
        else:
            erase_kept(record.provider, around)
        reach("rotation.installed")
        self.root = new
        self.note(provider=record.next, since_ms=now_ms, next=None, staged=False)
        reach("rotation.ended")
        if record.staged:
            erase_kept(record.next, around, staged=True)


def open_vault(
    place: VaultPlace, root_refs: Callable[[], Iterable[OwnedRef]], *, first_start: bool,
    now_ms: int, entropy: Entropy,
) -> OpenVault:  # fmt: skip
    """Open the vault as the settings say; finish an exchange of the root that a crash cut short.

    `root_refs` tells what lies directly under the root, by account; it is asked only then. At a
    first start the root key and the vault may be made. Raises `Misconfigured` with the cure.
    """
    if not first_start and not place.directory.exists():
        raise Misconfigured(
            f"the vault {place.directory} is missing while its database is there: restore it"
            + (f" from {place.copy}" if place.copy is not None else "")
            + ", or start with another data directory"
        )
    record = _read_record(place)
    if record is not None and record.next is not None:
        vault = _resume(place, record, entropy, root_refs, now_ms)
        if place.root_key != vault.record.provider:
            vault.slots.close()
            raise Misconfigured(_moved(place, vault.record))
        return vault
    try:
        root = _root(place, first_start=first_start)
        slots = _open_slots(place, root, None, record, entropy)
    except Misconfigured as error:
        if record is None or record.provider == place.root_key:
            raise
        raise Misconfigured(f"{_moved(place, record)} ({error})") from None
    if can_make(place.root_key):
        erase_kept(place.root_key, place.around, staged=True)  # of an exchange that never began
    kept = record or RootRecord(place.root_key, now_ms if first_start else 0)
    vault = OpenVault(place, slots, root, kept)
    if record != (fresh := replace(kept, provider=place.root_key, copied=place.copy is not None)):
        vault.record = fresh
        vault.note()
    return vault


def rewrap(
    slots: Slots, refs: Iterable[OwnedRef], wrapper: Wrapper, entropy: Entropy
) -> tuple[int, int]:
    """Wrap these keys under the current key of `wrapper`: durable when this returns.

    Returns how many were wrapped anew, and how many neither key opens: those were damaged
    before, and are left alone. What was shredded is passed over. Raises `OSError`.
    """
    images: list[tuple[KeyRef, bytes]] = []
    damaged = 0
    for account_id, ref in refs:
        image = slots.read(ref)
        if image is None:
            continue
        try:
            fresh = wrapper.renew(account_id, ref, image, entropy.bytes(NONCE_BYTES))
        except SealBroken:
            damaged += slots.read(ref) == image  # else it was shredded while it was read
        else:
            if fresh is not None:
                images.append((ref, fresh))
    if images:
        slots.rewrap(images)
    return len(images), damaged


def rewrap_under_root(
    slots: Slots, refs: Iterable[OwnedRef], wrapper: Wrapper, entropy: Entropy
) -> int:
    """`rewrap` for keys under the root, which must all open. Raises `Misconfigured` too."""
    count, damaged = rewrap(slots, refs, wrapper, entropy)
    if damaged:
        raise Misconfigured(
            f"{damaged} keys of accounts open under neither root key: give the root key that was "
            "in use before its rotation, or restore the vault"
        )
    return count


def _resume(
    place: VaultPlace, record: RootRecord, entropy: Entropy,
    root_refs: Callable[[], Iterable[OwnedRef]], now_ms: int,
) -> OpenVault:  # fmt: skip
    """Go on from what a crash left: everything under the next key, and that one alone."""
    assert record.next is not None
    new = read_root(record.next, place.around, staged=record.staged)
    former = _former(place, record, new)
    slots = _open_slots(place, new, former, record, entropy)
    vault = OpenVault(place, slots, new, record)
    try:
        if former is not None:
            rewrap_under_root(slots, root_refs(), root_wrapper(new, former), entropy)
        vault.end_exchange(new, now_ms)
    except BaseException:
        slots.close()
        raise
    return vault


def _former(place: VaultPlace, record: RootRecord, new: bytes) -> bytes | None:
    """The key before `new`, from where it was kept; None when it is gone from there.

    Then nothing was left under it. If that is not so, the headers or the accounts say it.
    """
    for line in dict.fromkeys((record.provider, place.root_key)):
        try:
            found = read_root(line, place.around)
        except Misconfigured:
            continue
        if found != new:
            return found
    return None


def _root(place: VaultPlace, *, first_start: bool) -> bytes:
    line, around = place.root_key, place.around
    if first_start and can_make(line) and not is_there(line, around):
        return make_root(line, around)
    if not is_there(line, around):
        raise Misconfigured(
            f"the root key {shown(line)} is missing while its database is there: restore it, or "
            "start with another data directory"
        )
    return read_root(line, around)


def _open_slots(
    place: VaultPlace, root: bytes, former: bytes | None, record: RootRecord | None,
    entropy: Entropy,
) -> Slots:  # fmt: skip
    copy = _open_copy(place, record) if place.copy is not None else None
    try:
        return Slots.open(
            place.directory, root, slots_per_file=place.slots_per_file, entropy=entropy,
            former=former, copy=copy,
        )  # fmt: skip
    except BaseException:
        if copy is not None:
            copy.close()
        raise


def _open_copy(place: VaultPlace, record: RootRecord | None) -> SlotFiles:
    assert place.copy is not None
    filled = record is not None and record.copied
    copy = open_copy(place.copy, filled=filled)
    theirs = _read_from(place.copy)
    ours = record.rotations if record is not None else 0
    if theirs is not None and theirs.rotations > ours:
        copy.close()
        raise Misconfigured(
            f"the vault {place.directory} is older than its copy {place.copy}, and keys were "
            "rotated since: put the copy in its place"
        )
    return copy


def _moved(place: VaultPlace, record: RootRecord) -> str:
    return (
        f"the vault opens with the key of {shown(record.provider)} now, and root_key is "
        f"{shown(place.root_key)}: set root_key to the former"
    )


def _read_record(place: VaultPlace) -> RootRecord | None:
    return _read_from(place.directory)


def _read_from(directory: Path) -> RootRecord | None:
    path = directory / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=RootRecord)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise Misconfigured(f"{path} is damaged: restore it") from None


def _write_record(place: VaultPlace, record: RootRecord) -> None:
    content = msgspec.json.encode(record)
    for directory in (place.directory, place.copy):
        if directory is not None:
            write_whole(directory / RECORD, content)
