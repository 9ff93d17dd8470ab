"""The slot files of one directory: made whole, read, and overwritten in place.

Places only: what a slot holds, which is free and who may open it, `slots` knows. A file is
preallocated by writing zeros and synced before use, so that overwriting a slot touches only
its own block: no allocation, no journalled metadata, no second copy.
"""

import errno
import fcntl
import hmac
import os
import re
from collections.abc import Iterable
from pathlib import Path
from struct import Struct as Layout
from typing import Final

from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.vault.seal import SLOT_BYTES

HEADER_BYTES: Final = 4096

_HEAD: Final = Layout(">8sB16sIQ")  # magic, format, vault id, file number, slots per file
HEAD_BYTES: Final = _HEAD.size  # the part of a header that its MAC authenticates
_MAGIC: Final = b"HUSHSLOT"
_FORMAT: Final = 1
_FILE_NAME: Final = re.compile(r"(\d{4,})\.slots")

Run = tuple[int, int, bytes]  # file, first slot in it, images of neighbouring slots


class SlotFiles:
    """The files `NNNN.slots` of a directory, owned by one process.

    `name` is that of its fault points: `NAME.written`, `NAME.synced`. Raises `Misconfigured`
    when another process has the directory.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.directory: Final = directory
        self._written, self._synced = f"{name}.written", f"{name}.synced"
        self._preallocated = f"{name}.preallocated"
        self._lock_fd = _lock(directory)
        self._fds: list[int] = []

    def __len__(self) -> int:
        """How many files are open."""
        return len(self._fds)

    @property
    def is_open(self) -> bool:
        """Is the directory still this process's?"""
        return self._lock_fd >= 0

    def close(self) -> None:
        """Close the files and let another process have the directory."""
        while self._fds:
            os.close(self._fds.pop())
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    # Files.

    def numbers(self) -> list[int]:
        """The numbers of the files that are there, after unfinished ones were removed."""
        for part in self.directory.glob("*.slots.part"):
            part.unlink()  # a preallocation that a crash cut short
        names = (_FILE_NAME.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def path(self, number: int) -> Path:
        """Where the file of that number lies."""
        return self.directory / f"{number:04d}.slots"

    def attach(self, number: int) -> None:
        """Open the next file."""
        fd = os.open(self.path(number), os.O_RDWR)
        self._fds.append(fd)
        # A process killed between write and sync leaves slots that read as shredded but are
        # not so on the disk. What is read must be true after a power cut as well.
        os.fsync(fd)

    def add(self, header: bytes, content: bytes | int) -> None:
        """Make the next file: written and synced under another name, then renamed.

        `content`: its slots, or how many bytes of zeros. Raises `OSError`.
        """
        path = self.path(len(self._fds))
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            pwrite(fd, header, 0)
            size = content if isinstance(content, int) else len(content)
            for at in range(0, size, 1 << 20):
                end = min(at + (1 << 20), size)
                piece = bytes(end - at) if isinstance(content, int) else content[at:end]
                pwrite(fd, piece, HEADER_BYTES + at)
            os.fsync(fd)
            reach(self._preallocated)
            part.rename(path)
            sync_directory(self.directory)
        except BaseException:
            os.close(fd)
            raise
        self._fds.append(fd)

    def size(self, number: int) -> int:
        """How long the file is, in bytes."""
        return os.fstat(self._fds[number]).st_size

    def header(self, number: int) -> bytes:
        """The file's first 4,096 bytes, or fewer when it has no more."""
        return os.pread(self._fds[number], HEADER_BYTES, 0)

    def set_header(self, number: int, header: bytes) -> None:
        """Overwrite the header; durable when this returns. What counts of it is one sector."""
        pwrite(self._fds[number], header, 0)
        os.fdatasync(self._fds[number])

    # Slots.

    def block(self, number: int, slots: int) -> bytes:
        """The images of the first `slots` slots of a file, or fewer when it has no more."""
        return os.pread(self._fds[number], slots * SLOT_BYTES, HEADER_BYTES)

    def read(self, number: int, place: int) -> bytes:
        """The 64 bytes of a slot. Raises `OSError` when the file is too short."""
        image = os.pread(self._fds[number], SLOT_BYTES, HEADER_BYTES + place * SLOT_BYTES)
        if len(image) != SLOT_BYTES:
            raise OSError(errno.EIO, "a slot file is shorter than its header says")
        return image

    def put(self, runs: Iterable[Run]) -> None:
        """Overwrite slots: each run in one write, each file touched synced once."""
        touched: set[int] = set()
        for number, place, images in runs:
            fd = self._fds[number]
            pwrite(fd, images, HEADER_BYTES + place * SLOT_BYTES)
            touched.add(fd)
        reach(self._written)
        for fd in touched:
            os.fdatasync(fd)
        reach(self._synced)


def make_header(mac_key: bytes, vault_id: bytes, number: int, slots: int) -> bytes:
    """The header of a file: which vault's, which file, how many slots; with its MAC."""
    head = _HEAD.pack(_MAGIC, _FORMAT, vault_id, number, slots)
    return (head + hmac.digest(mac_key, head, "sha256")).ljust(HEADER_BYTES, b"\0")


def read_header(header: bytes, path: Path) -> tuple[bytes, int]:
    """Vault id and slots per file, as they stand there: not yet to be believed.

    Raises `Misconfigured` for a file of another format of slots.
    """
    if header.startswith(_MAGIC) and header[len(_MAGIC)] != _FORMAT:
        raise Misconfigured(
            f"{path} is of slot format {header[len(_MAGIC)]}, this version reads {_FORMAT}: "
            "start the version that wrote it"
        )
    _, _, vault_id, _, slots = _HEAD.unpack_from(header.ljust(HEAD_BYTES, b"\0"))
    return vault_id, slots


def file_bytes(slots: int) -> int:
    """How long a file of so many slots is."""
    return HEADER_BYTES + slots * SLOT_BYTES


def pwrite(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data`, however many calls it takes. Raises `OSError`."""
    while data:
        written = os.pwrite(fd, data, offset)
        if written == 0:
            raise OSError(errno.EIO, "the disk takes no more bytes")
        data, offset = data[written:], offset + written


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole(path: Path, content: bytes) -> None:
    """Put a small private file in place: whole or not at all, durable when this returns."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        pwrite(fd, content, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.rename(path)
    sync_directory(path.parent)


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
