"""Slots: where keys live, and where they are destroyed. The vault's one file with I/O.

A key lives in a 64-byte slot of a preallocated file, wrapped under another key; to forget it
is to overwrite that slot in place. Nothing else on disk holds the key, in any form.

    NNNN.slots = header 4096 | slot 64 | slot 64 | …
    slot       = wrapped key 60 | generation 4     (an image, see `seal.wrap`)

A shredded slot is 60 zero bytes and the next generation, so a slot always moves on: a row
restored from a backup (slot, generation) never opens what was put there later. A slot never
used is all zeros and will be handed out as generation 1.

Files are preallocated by writing zeros and synced before use, so that overwriting a slot
touches only its own block: no allocation, no journalled metadata, no second copy.

Which slot is free, live or spent is known in memory, by the inventory (`inventory`). Here are
the files, and the locks under which threads share both.
"""

import errno
import fcntl
import hmac
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from struct import Struct as Layout
from typing import Final, Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from hushwire import faults
from hushwire.clock import Entropy, SystemEntropy
from hushwire.errors import Defect, Misconfigured
from hushwire.vault.inventory import BLANK, Inventory, runs
from hushwire.vault.inventory import GENERATION_MAX as GENERATION_MAX  # part of this interface
from hushwire.vault.seal import SLOT_BYTES, KeyRef, SealBroken, derive, unwrap_image
from hushwire.vault.seal import wrap as wrap  # part of this interface

HEADER_BYTES: Final = 4096
SLOTS_PER_FILE: Final = 1 << 18  # 16 MiB
SLOTS_MAX: Final = 1 << 31  # so that a reference stays in 63 bits
SLOTS_PER_FILE_MAX: Final = 1 << 24  # 1 GiB: a file is read in one call

_SEALED_BYTES: Final = len(BLANK)  # what a shred overwrites
_HEADER: Final = Layout(">8sB16sIQ")  # magic, format, vault id, file number, slots per file
_MAGIC: Final = b"HUSHSLOT"
_FORMAT: Final = 1
_FILE_NAME: Final = re.compile(r"(\d{4,})\.slots")


class SlotStats(Struct, frozen=True):
    """How full the vault is, in slots."""

    files: int
    slots: int
    live: int  # handed out and not shredded
    free: int  # could be handed out now


class Slots:
    """The slot files of one vault directory, owned by one process.

    `allocate`, `recycle` and `read` may be called on any thread while `write` runs on the
    writer's. Writes are one at a time.
    """

    def __init__(self, directory: Path, root: bytes, slots_per_file: int) -> None:
        """Use `Slots.open`."""
        self.vault_id = b""  # 16 bytes: which vault this is
        self.slots_per_file = slots_per_file
        self._directory = directory
        self._mac_key = derive(root, b"hushwire slot file header")
        self._lock_fd = _lock(directory)
        self._fds: list[int] = []
        self._inventory = Inventory()
        self._memory = threading.Lock()  # over the inventory; held for microseconds
        self._writing = threading.Lock()  # over the files' slots
        self._growing = threading.Lock()  # over the number of files
        self._grower: threading.Thread | None = None
        self._grow_below = 0  # how few free slots call for another file
        self._failed = False

    @classmethod
    def open(cls, directory: Path, root: bytes, *, slots_per_file: int = SLOTS_PER_FILE,
             entropy: Entropy | None = None) -> Self:  # fmt: skip
        """Open the vault, or make one of a single file where there is none.

        `root` is the 32-byte root key. `slots_per_file` counts for a new vault only: an old
        one keeps its own. Raises `Misconfigured` when another process has the vault, when a
        header is damaged or made under another root, or when a file is missing or cut short.
        """
        if not 0 < slots_per_file <= SLOTS_PER_FILE_MAX:
            raise Misconfigured(f"slots_per_file must be from 1 to {SLOTS_PER_FILE_MAX}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        slots = cls(directory, root, slots_per_file)
        try:
            slots._take_stock(entropy or SystemEntropy())
        except BaseException:
            slots.close()
            raise
        return slots

    def close(self) -> None:
        """Close the files and let another process have the vault."""
        if self._grower is not None:
            self._grower.join()
        with self._writing, self._growing:
            self._failed = True
            while self._fds:
                os.close(self._fds.pop())
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def _require_open(self) -> None:
        if self._lock_fd < 0:
            raise Defect("the vault is used after it was closed")

    # Handing out.

    def allocate(self, n: int) -> list[KeyRef]:
        """`n` references whose slots are empty: fresh neighbours first, then recycled ones.

        In memory only. A new file is made in the background before the last half file is
        begun; should slots run out all the same, it is made here. Raises `OSError` when that
        fails, for a disk that is full.
        """
        self._require_open()
        while True:
            with self._memory:
                refs = self._inventory.take(n)
                free = self._inventory.free()
            if refs is not None:
                break
            self._grow_to(n)
        if free < self._grow_below and (self._grower is None or not self._grower.is_alive()):
            self._grower = threading.Thread(target=self._grow_ahead, name="vault-grow", daemon=True)
            self._grower.start()
        return refs

    def recycle(self, refs: Iterable[KeyRef]) -> None:
        """Let shredded slots be handed out again: what named them is durably gone.

        A slot that is not waiting for this, or has moved on since, is left alone.
        """
        with self._memory:
            self._inventory.recycle(refs)

    def release(self, refs: Sequence[KeyRef]) -> None:
        """Take back slots whose transaction failed. Their images may be on disk: they are
        shredded first. Raises as `write` does."""
        self.write((), refs)
        self.recycle(refs)

    # Writing.

    def write(self, images: Iterable[tuple[KeyRef, bytes]], shreds: Iterable[KeyRef]) -> None:
        """Put images into their slots and shred others; durable when this returns.

        Neighbouring slots go in one `pwrite`, each file touched gets one `fdatasync`. To
        shred what was shredded before, or never was, does nothing. A key both written and
        shredded ends shredded. Raises `OSError` when the disk fails; what is on disk is then
        unknown until the vault is opened again, so every later `write` fails too.
        """
        with self._writing:
            if self._failed:
                raise OSError(errno.EIO, "the vault is closed, or failed before: open it again")
            changes, shredded = self._inventory.plan(images, shreds)
            if not changes:
                return
            self._failed = True
            self._put(changes)
            self._failed = False
            with self._memory:
                self._inventory.spend(shredded)

    def _put(self, changes: dict[int, bytes]) -> None:
        per_file = self.slots_per_file
        touched: set[int] = set()
        for first, run in runs(changes, per_file):
            number, place = divmod(first, per_file)
            fd = self._fds[number]
            _pwrite(fd, run, HEADER_BYTES + place * SLOT_BYTES)
            touched.add(fd)
        faults.reach("vault.written")
        for fd in touched:
            os.fdatasync(fd)
        faults.reach("vault.synced")

    # Reading.

    def read(self, ref: KeyRef) -> bytes | None:
        """The slot's 64-byte image, or None when it is empty or of another generation."""
        number, place = divmod(ref >> 32, self.slots_per_file)
        if number >= len(self._fds):
            self._require_open()
            return None
        image = os.pread(self._fds[number], SLOT_BYTES, HEADER_BYTES + place * SLOT_BYTES)
        if len(image) != SLOT_BYTES:
            raise OSError(errno.EIO, "a slot file is shorter than its header says")
        if image[_SEALED_BYTES:] != (ref & 0xFFFFFFFF).to_bytes(4, "big"):
            return None
        return None if image.startswith(BLANK) else image

    def unwrap(self, wrapper: AESGCM, account_id: int, ref: KeyRef) -> bytes | None:
        """The key of `ref`, or None when it was shredded. Raises `Defect` when the slot is
        damaged, or was wrapped under another key or for another account."""
        image = self.read(ref)
        if image is None:
            return None
        try:
            return unwrap_image(wrapper, account_id, ref, image)
        except SealBroken:
            if self.read(ref) == image:
                raise SealBroken(f"slot {ref >> 32} does not open with its key") from None
        return self.unwrap(wrapper, account_id, ref)  # read while it was being overwritten

    # Taking stock.

    def snapshot(self) -> Iterator[KeyRef]:
        """The keys found when the vault was opened and not shredded since."""
        with self._memory:
            states = self._inventory.states()
        return self._inventory.found(states)

    def orphans(self, referenced: Iterable[KeyRef]) -> list[KeyRef]:
        """The keys found at open, not shredded since, that none of `referenced` names.

        `referenced` is every reference in the database, account keys and peppers included.
        """
        with self._memory:
            states = self._inventory.states()
        return self._inventory.orphans(states, referenced)

    def stats(self) -> SlotStats:
        with self._memory:
            stock = self._inventory
            return SlotStats(len(self._fds), len(stock), stock.live(), stock.free())

    # Growing.

    def _grow_ahead(self) -> None:
        free_at_start = self._inventory.free()
        try:
            with self._growing:
                if self._inventory.free() < self._grow_below:
                    self._grow()
        except OSError:
            # Slots remain, so nothing has failed yet. Try again when half of them are gone;
            # when none is left, `allocate` tries itself and says why it cannot.
            self._grow_below = free_at_start // 2
        else:
            self._grow_below = self.slots_per_file // 2

    def _grow_to(self, n: int) -> None:
        with self._growing:
            while self._inventory.free() < n:
                self._grow()

    def _grow(self) -> None:
        """Add a file: zeros and header written and synced under another name, then renamed."""
        self._require_open()
        number, count = len(self._fds), self.slots_per_file
        if (number + 1) * count > SLOTS_MAX:
            raise OSError(errno.ENOSPC, "the vault has as many slots as a reference can name")
        path = self._directory / _file_name(number)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _pwrite(fd, self._header(number), 0)
            end = HEADER_BYTES + count * SLOT_BYTES
            for at in range(HEADER_BYTES, end, 1 << 20):
                _pwrite(fd, bytes(min(1 << 20, end - at)), at)
            os.fsync(fd)
            faults.reach("vault.preallocated")
            part.rename(path)
            _sync_directory(self._directory)
        except BaseException:
            os.close(fd)
            raise
        with self._memory:
            self._fds.append(fd)
            self._inventory.grow(count)

    # Opening.

    def _take_stock(self, entropy: Entropy) -> None:
        for part in self._directory.glob("*.slots.part"):
            part.unlink()  # a preallocation that a crash cut short
        names = (_FILE_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        numbers = sorted(int(name[1]) for name in names if name)
        if numbers != list(range(len(numbers))):
            raise Misconfigured(f"a slot file is missing in {self._directory}: restore it")
        if not numbers:
            self.vault_id = entropy.bytes(16)
            self._grow()
            _sync_directory(self._directory.parent)
        for number in numbers:
            self._load(number)
        self._grow_below = self.slots_per_file // 2

    def _header(self, number: int) -> bytes:
        head = _HEADER.pack(_MAGIC, _FORMAT, self.vault_id, number, self.slots_per_file)
        return (head + hmac.digest(self._mac_key, head, "sha256")).ljust(HEADER_BYTES, b"\0")

    def _load(self, number: int) -> None:
        """Check a file's header and size, and take stock of its slots."""
        path = self._directory / _file_name(number)
        fd = os.open(path, os.O_RDWR)
        self._fds.append(fd)
        # A process killed between write and sync leaves slots that read as shredded but are
        # not so on the disk. What the scan sees must be true after a power cut as well.
        os.fsync(fd)
        header = os.pread(fd, HEADER_BYTES, 0)
        if number == 0 and len(header) == HEADER_BYTES:
            _, _, self.vault_id, _, self.slots_per_file = _HEADER.unpack_from(header)
        if header.startswith(_MAGIC) and header[len(_MAGIC)] != _FORMAT:
            raise Misconfigured(
                f"{path} is of slot format {header[len(_MAGIC)]}, this version reads {_FORMAT}: "
                "start the version that wrote it"
            )
        if not hmac.compare_digest(header, self._header(number)):
            raise Misconfigured(
                f"{path} does not belong to this vault and root key, or its header is damaged: "
                "give the root key the vault was made with, or restore the file"
            )
        size = HEADER_BYTES + self.slots_per_file * SLOT_BYTES
        block = os.pread(fd, size - HEADER_BYTES, HEADER_BYTES)
        if os.fstat(fd).st_size != size or len(block) != size - HEADER_BYTES:
            raise Misconfigured(f"{path} is not {size} bytes long: restore it")
        self._inventory.load(block)


def _lock(directory: Path) -> int:
    fd = os.open(directory / "vault.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Misconfigured(
            f"the vault {directory} is in use by another process: stop that one, "
            "or give this one a vault directory of its own"
        ) from None
    return fd


def _file_name(number: int) -> str:
    return f"{number:04d}.slots"


def _pwrite(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data`, however many calls it takes."""
    while data:
        written = os.pwrite(fd, data, offset)
        if written == 0:
            raise OSError(errno.EIO, "the disk takes no more bytes")
        data, offset = data[written:], offset + written


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
