"""Slots: where keys live, and where they are destroyed.

A key lives in a 64-byte slot of a preallocated file, wrapped under another key; to forget it
is to overwrite that slot in place. Nothing else on disk holds the key, in any form.

    NNNN.slots = header 4096 | slot 64 | slot 64 | …
    slot       = wrapped key 60 | generation 4     (an image, see `seal.wrap`)

A shredded slot is 60 zero bytes and the next generation, so a slot always moves on: a row
restored from a backup (slot, generation) never opens what was put there later. A slot never
used is all zeros and will be handed out as generation 1.

A rotation puts another image of the same key into its slot (`rewrap`), under the same
generation, so that references stay valid. Everything that is written may go to a second
directory as well, before it counts (`copy`).

Which slot is free, live or spent is known in memory, by the inventory (`inventory`); the files
are those of `files`. Here are the locks under which threads share both.
"""

import errno
import hmac
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from hushwire.clock import Entropy, SystemEntropy
from hushwire.errors import Defect, Misconfigured
from hushwire.vault.copy import attach_copy
from hushwire.vault.files import HEADER_BYTES as HEADER_BYTES  # part of this interface
from hushwire.vault.files import SlotFiles, file_bytes, make_header, read_header, sync_directory
from hushwire.vault.inventory import BLANK, Inventory, runs
from hushwire.vault.inventory import GENERATION_MAX as GENERATION_MAX  # part of this interface
from hushwire.vault.seal import SLOT_BYTES as SLOT_BYTES  # part of this interface
from hushwire.vault.seal import KeyRef, SealBroken, Wraps, derive, unwrap_image
from hushwire.vault.seal import wrap as wrap  # part of this interface

SLOTS_PER_FILE: Final = 1 << 18  # 16 MiB
SLOTS_MAX: Final = 1 << 31  # so that a reference stays in 63 bits
SLOTS_PER_FILE_MAX: Final = 1 << 24  # 1 GiB: a file is read in one call

_SEALED_BYTES: Final = len(BLANK)  # what a shred overwrites


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

    def __init__(
        self, files: SlotFiles, copy: SlotFiles | None, roots: Sequence[bytes], slots_per_file: int
    ) -> None:
        """Use `Slots.open`."""
        self.vault_id = b""  # 16 bytes: which vault this is
        self.slots_per_file = slots_per_file
        self._files = files
        self._copy = copy
        self._mac_keys = [_mac_key(root) for root in roots]  # headers are written with the first
        self._inventory = Inventory()
        self._memory = threading.Lock()  # over the inventory; held for microseconds
        self._writing = threading.Lock()  # over the files' slots
        self._growing = threading.Lock()  # over the number of files, and their headers
        self._grower: threading.Thread | None = None
        self._grow_below = 0  # how few free slots call for another file
        self._failed = False
        # Goes around every shred, with what is destroyed in it: see `erasures`.
        self.erasing: Callable[[Sequence[KeyRef]], AbstractContextManager[None]] = _unnoted
        # Told of keys that are withheld before the database says so: see `withheld`.
        self.withholding: Callable[[Sequence[int]], None] | None = None

    @classmethod
    def open(
        cls, directory: Path, root: bytes, *, slots_per_file: int = SLOTS_PER_FILE,
        entropy: Entropy | None = None, former: bytes | None = None, copy: SlotFiles | None = None,
    ) -> Self:  # fmt: skip
        """Open the vault, or make one of a single file where there is none.

        `root` is the 32-byte root key; `former` the one before it, while headers may still be
        under that. `slots_per_file` counts for a new vault only: an old one keeps its own.
        `copy` is a second directory to write to (`copy.open_copy`), closed with the vault.
        Raises `Misconfigured` when another process has the vault, when a header is damaged or
        made under another root, or when a file is missing or cut short.
        """
        if not 0 < slots_per_file <= SLOTS_PER_FILE_MAX:
            raise Misconfigured(f"slots_per_file must be from 1 to {SLOTS_PER_FILE_MAX}")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        roots = (root,) if former is None else (root, former)
        slots = cls(SlotFiles(directory, "vault"), copy, roots, slots_per_file)
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
            for files in self._both():
                files.close()

    def _both(self) -> tuple[SlotFiles, ...]:
        """The vault's files and the copy's, in the order in which they are written."""
        return (self._files,) if self._copy is None else (self._files, self._copy)

    def _require_open(self) -> None:
        if not self._files.is_open:
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
            self._require_sound()
            changes, shredded = self._inventory.plan(images, shreds)
            if shredded:
                with self.erasing([slot << 32 | after - 1 for slot, after in shredded.items()]):
                    self._overwrite(changes)
            else:
                self._overwrite(changes)
            with self._memory:
                self._inventory.spend(shredded)

    def rewrap(self, images: Iterable[tuple[KeyRef, bytes]]) -> None:
        """Put other images of the keys that live into their slots; durable when this returns.

        A slot shredded since its image was made stays as it is. Raises `OSError` as `write`.
        """
        with self._writing:
            self._require_sound()
            is_live = self._inventory.is_live
            self._overwrite({ref >> 32: image for ref, image in images if is_live(ref)})

    def rewrite_headers(self, root: bytes) -> None:
        """Authenticate every file under another root, and no longer under those before."""
        with self._growing, self._writing:
            self._require_sound()
            self._failed = True
            self._mac_keys = [_mac_key(root)]
            for files in self._both():
                for number in range(len(self._files)):
                    files.set_header(number, self._header(number))
            self._failed = False

    def _require_sound(self) -> None:
        if self._failed:
            raise OSError(errno.EIO, "the vault is closed, or failed before: open it again")

    def _overwrite(self, changes: Mapping[int, bytes]) -> None:
        """Slots to disk, the vault's first, then the copy's: 64 bytes by slot."""
        if not changes:
            return
        per_file = self.slots_per_file
        writes = [(*divmod(first, per_file), run) for first, run in runs(changes, per_file)]
        self._failed = True
        for files in self._both():
            files.put(writes)
        self._failed = False

    # Reading.

    def read(self, ref: KeyRef) -> bytes | None:
        """The slot's 64-byte image, or None when it is empty or of another generation."""
        number, place = divmod(ref >> 32, self.slots_per_file)
        if number >= len(self._files):
            self._require_open()
            return None
        image = self._files.read(number, place)
        if image[_SEALED_BYTES:] != (ref & 0xFFFFFFFF).to_bytes(4, "big"):
            return None
        return None if image.startswith(BLANK) else image

    def lags(self, ref: KeyRef) -> bool:
        """Did the slot never hold this key? Then the vault is older than who names it: a key is
        on disk before its reference is, and a slot that destroyed one has moved on."""
        number, place = divmod(ref >> 32, self.slots_per_file)
        if number >= len(self._files):
            return True
        image = self._files.read(number, place)
        stored = int.from_bytes(image[_SEALED_BYTES:], "big")
        generation = ref & 0xFFFFFFFF
        return stored < generation or (stored == generation and image.startswith(BLANK))

    def unwrap(self, wrapper: Wraps, account_id: int, ref: KeyRef) -> bytes | None:
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
            return SlotStats(len(self._files), len(stock), stock.live(), stock.free())

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
        """Add a file of zeros, to the vault first. What a failure left of it is used again."""
        self._require_open()
        count = self.slots_per_file
        number = len(self._inventory) // count
        if (number + 1) * count > SLOTS_MAX:
            raise OSError(errno.ENOSPC, "the vault has as many slots as a reference can name")
        for files in self._both():
            if len(files) == number:
                files.add(self._header(number), count * SLOT_BYTES)
        with self._memory:
            self._inventory.grow(count)

    # Opening.

    def _take_stock(self, entropy: Entropy) -> None:
        files = self._files
        numbers = files.numbers()
        if numbers != list(range(len(numbers))):
            raise Misconfigured(f"a slot file is missing in {files.directory}: restore it")
        for number in numbers:
            self._check(number)
        if self._copy is not None:
            attach_copy(files, self._copy, self.slots_per_file)
        if not numbers:
            self.vault_id = entropy.bytes(16)
            self._grow()
            sync_directory(files.directory.parent)
        for number in numbers:
            self._inventory.load(files.block(number, self.slots_per_file))
        self._grow_below = self.slots_per_file // 2

    def _header(self, number: int, mac_key: bytes | None = None) -> bytes:
        key = mac_key or self._mac_keys[0]
        return make_header(key, self.vault_id, number, self.slots_per_file)

    def _check(self, number: int) -> None:
        """Open a file; its header must be ours, and its size what that says."""
        files = self._files
        files.attach(number)
        path, header = files.path(number), files.header(number)
        vault_id, slots_per_file = read_header(header, path)
        if number == 0:
            self.vault_id, self.slots_per_file = vault_id, slots_per_file
        if not any(
            hmac.compare_digest(header, self._header(number, key)) for key in self._mac_keys
        ):
            raise Misconfigured(
                f"{path} does not belong to this vault and root key, or its header is damaged: "
                "give the root key the vault was made with, or restore the file"
            )
        if files.size(number) != file_bytes(self.slots_per_file):
            raise Misconfigured(
                f"{path} is not {file_bytes(self.slots_per_file)} bytes long: restore it"
            )


def _mac_key(root: bytes) -> bytes:
    return derive(root, b"hushwire slot file header")


def _unnoted(_: Sequence[KeyRef]) -> AbstractContextManager[None]:
    """Nothing is noted of what is destroyed: no backup holds it."""
    return nullcontext()
