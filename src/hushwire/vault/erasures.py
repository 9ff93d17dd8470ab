"""The erasure log: which keys were destroyed, so that a restored vault forgets them again.

It is kept only while the vault is backed up. Every key is noted here, and synced, before its
slot is overwritten; so a vault restored from a backup loses all that was erased since.

    erasures.log = header 4096 | key reference 8 | key reference 8 | … | zeros

The header counts the references that were dropped from the beginning, because no backup needs
them any more: the n-th reference ever noted keeps its number. The file grows by blocks of
zeros, so that noting needs no room on the disk until a block is full.
"""

import fcntl
import os
import threading
from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct as Layout
from struct import pack
from typing import Final, Self

from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.vault.files import sync_directory
from hushwire.vault.inventory import BLANK, GENERATION_MAX
from hushwire.vault.seal import SLOT_BYTES, KeyRef

HEADER_BYTES: Final = 4096
BLOCK_BYTES: Final = 1 << 20

_HEADER: Final = Layout(">8sB16sQ")  # magic, format, pair, number of the first reference
_MAGIC: Final = b"HUSHGONE"
_FORMAT: Final = 1
_REF_BYTES: Final = 8


class ErasureLog:
    """One file, written by the one process that owns the vault. Others may read it."""

    def __init__(self, path: Path, fd: int, pair: bytes, first: int) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.pair = pair  # 16 bytes: see `backup_keys`
        self._fd = fd
        self._first = first
        self._size = os.fstat(fd).st_size
        self._end = HEADER_BYTES + len(_references(fd)) * _REF_BYTES
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, path: Path, pair: bytes) -> Self:
        """Make an empty log, or replace one. Raises OSError."""
        return cls(path, _new(path, pair, 0, b""), pair, 0)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a log. Raises Misconfigured when it is missing or damaged, and OSError."""
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            raise Misconfigured(
                f"erasure_log: {path} is missing: mount its disk, or correct the setting; without "
                "it a backup of the vault would bring back what was erased"
            ) from None
        head = os.pread(fd, _HEADER.size, 0)
        magic, form, pair, first = _HEADER.unpack(head.ljust(_HEADER.size, b"\0"))
        if magic != _MAGIC or form != _FORMAT or os.fstat(fd).st_size < HEADER_BYTES:
            os.close(fd)
            raise Misconfigured(f"erasure_log: {path} is damaged, or no erasure log")
        return cls(path, fd, pair, first)

    @contextmanager
    def erasing(self, refs: Sequence[KeyRef]) -> Generator[None]:
        """Note that these keys are destroyed, durably; then destroy them, inside.

        A reader who asks for the end of the log waits until that is done. Raises OSError, and
        then nothing may be destroyed.
        """
        with self._locked():
            self._append(refs)
            yield

    def end(self) -> int:
        """How many references were ever noted; what they name is destroyed."""
        with self._locked():
            return self._first + len(_references(self._fd))

    def since(self, number: int) -> "array[int]":
        """The references from that number on. Raises Misconfigured when some were dropped."""
        with self._locked():
            if number < self._first:
                raise Misconfigured(
                    f"erasure_log: {self.path} begins after the backup was made: it is not its log"
                )
            return _references(self._fd)[number - self._first :]

    def note(self, refs: Sequence[int]) -> None:
        """Note references, durably, and nothing else. Raises OSError."""
        with self._locked():
            self._append(refs)

    def drop_before(self, number: int) -> None:
        """Forget references that no backup needs, once they are half of the log or more."""
        with self._locked():
            kept = _references(self._fd)[max(0, number - self._first) :]
            dropped = (self._end - HEADER_BYTES) // _REF_BYTES - len(kept)
            if dropped > len(kept) and dropped >= BLOCK_BYTES // _REF_BYTES // 8:
                self._rewrite(self._first + dropped, kept)

    def retain(self, wanted: Callable[[int], bool]) -> None:
        """Forget all references but those; the rest loses its numbers. Raises OSError."""
        with self._locked():
            self._rewrite(0, array("Q", filter(wanted, _references(self._fd))))

    def _rewrite(self, first: int, kept: "array[int]") -> None:
        fd = _new(self.path, self.pair, first, _packed(kept))
        os.close(self._fd)
        self._fd, self._first, self._size = fd, first, os.fstat(fd).st_size
        self._end = HEADER_BYTES + len(kept) * _REF_BYTES
        fcntl.flock(fd, fcntl.LOCK_EX)

    def close(self) -> None:
        os.close(self._fd)

    def _append(self, refs: Sequence[KeyRef]) -> None:
        data = pack(f">{len(refs)}Q", *refs)
        while self._end + len(data) > self._size:
            os.pwrite(self._fd, bytes(BLOCK_BYTES), self._size)
            os.fsync(self._fd)
            self._size = os.fstat(self._fd).st_size
        os.pwrite(self._fd, data, self._end)
        reach("erasures.written")
        os.fdatasync(self._fd)
        reach("erasures.synced")
        self._end += len(data)

    @contextmanager
    def _locked(self) -> Generator[None]:
        with self._mutex:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._fd, fcntl.LOCK_UN)


def erase(block: bytearray, first: int, refs: Iterable[KeyRef]) -> int:
    """Destroy keys in a copy of slots in memory; how many there were.

    `block` holds slots from number `first` on, 64 bytes each. A slot that holds no key, or has
    moved on, is left alone.
    """
    count = 0
    for ref in refs:
        at = ((ref >> 32) - first) * SLOT_BYTES
        if not 0 <= at <= len(block) - SLOT_BYTES:
            continue
        generation = ref & 0xFFFFFFFF
        image = bytes(block[at : at + SLOT_BYTES])
        if not image.startswith(BLANK) and image.endswith(generation.to_bytes(4, "big")):
            after = min(generation + 1, GENERATION_MAX)
            block[at : at + SLOT_BYTES] = BLANK + after.to_bytes(4, "big")
            count += 1
    return count


def _references(fd: int) -> "array[int]":
    """All of a log, up to the last. A crash may leave zeros between: they name nothing."""
    block = os.pread(fd, os.fstat(fd).st_size, HEADER_BYTES).rstrip(b"\0")
    found = array("Q", block + bytes(-len(block) % _REF_BYTES))
    if pack("=H", 1) == pack("<H", 1):
        found.byteswap()
    return found


def _packed(refs: "array[int]") -> bytes:
    return pack(f">{len(refs)}Q", *refs)


def _new(path: Path, pair: bytes, first: int, content: bytes) -> int:
    """Write a log whole under another name, then rename it. The open file."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        head = _HEADER.pack(_MAGIC, _FORMAT, pair, first).ljust(HEADER_BYTES, b"\0")
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(head + content + bytes(BLOCK_BYTES))
        os.fsync(fd)
        reach("erasures.rewritten")
        part.rename(path)
        sync_directory(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd
