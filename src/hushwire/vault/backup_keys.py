"""Backup keys: what opens the vault inside a backup, for a few days.

Every backup that holds the vault has a key of its own. It is made with the backup and
destroyed a number of days later; from then on that backup opens nothing. The keys lie in a
preallocated file and are destroyed in place, as slots are.

    backup.keys = header 4096 | key 64 | key 64 | …
    key         = key 32 | id 8 | made 8 | until 8 | first erasure 8     (Unix ms, big-endian)

A place that is free is all zeros. `pair` ties the file to its erasure log: both are made
together, because a backup may only be opened with the log of what was erased since.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct as Layout
from typing import Final, Self

from msgspec import Struct

from hushwire.clock import Entropy
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.vault.files import sync_directory
from hushwire.vault.seal import KEY_BYTES

HEADER_BYTES: Final = 4096
PLACES: Final = 4096  # one backup in half an hour, for 90 days
DAY_MS: Final = 86_400_000

_PLACE: Final = Layout(">32s8sQQQ")
_HEADER: Final = Layout(">8sB16s")
_MAGIC: Final = b"HUSHBKEY"
_FORMAT: Final = 1
_BLANK: Final = bytes(_PLACE.size)
_ID_BYTES: Final = 8


class BackupKey(Struct, frozen=True):
    """The key of one backup."""

    id: bytes  # 8 bytes; the backup names it
    key: bytes
    made_ms: int
    until_ms: int  # destroyed from then on
    erasures_from: int  # what was erased before is not in the backup

    def __repr__(self) -> str:
        return f"<backup key {self.id.hex()}>"


class BackupKeys:
    """The file of backup keys. Several processes may have it open; each call locks it."""

    def __init__(self, path: Path, fd: int, pair: bytes) -> None:
        """Use `create` or `open`."""
        self.path = path
        self.pair = pair  # 16 bytes
        self._fd = fd

    @classmethod
    def create(cls, path: Path, pair: bytes) -> Self:
        """Make a file without keys, or replace one. Raises OSError."""
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            head = _HEADER.pack(_MAGIC, _FORMAT, pair).ljust(HEADER_BYTES, b"\0")
            with os.fdopen(os.dup(fd), "wb") as file:
                file.write(head + _BLANK * PLACES)
            os.fsync(fd)
            part.rename(path)
            sync_directory(path.parent)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, pair)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file. Raises Misconfigured when it is missing or damaged, and OSError."""
        try:
            fd = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            raise Misconfigured(
                f"backup_keys: {path} is missing: mount its disk, or correct the setting; without "
                "it no backup of the vault opens"
            ) from None
        head = os.pread(fd, HEADER_BYTES, 0)
        whole = os.fstat(fd).st_size == HEADER_BYTES + PLACES * _PLACE.size
        magic, form, pair = _HEADER.unpack_from(head.ljust(_HEADER.size, b"\0"))
        if not whole or magic != _MAGIC or form != _FORMAT:
            os.close(fd)
            raise Misconfigured(f"backup_keys: {path} is damaged, or no file of backup keys")
        return cls(path, fd, pair)

    def make(
        self, entropy: Entropy, now_ms: int, days: int, erasures: Callable[[], int]
    ) -> BackupKey:
        """A key for a new backup, durable when this returns; it lives for `days`.

        `erasures` tells the end of the erasure log. Raises Misconfigured when there is no place
        left, and OSError.
        """
        with self._locked():
            made = BackupKey(
                entropy.bytes(_ID_BYTES), entropy.bytes(KEY_BYTES), now_ms,
                now_ms + days * DAY_MS, erasures(),
            )  # fmt: skip
            taken = {place for place, _ in self._read()}
            free = next((place for place in range(PLACES) if place not in taken), None)
            if free is None:
                raise Misconfigured(
                    f"backup_keys: {PLACES} backups of the vault are kept already: make fewer, or "
                    "keep them for fewer days (vault_backup)"
                )
            content = _PLACE.pack(
                made.key, made.id, made.made_ms, made.until_ms, made.erasures_from
            )
            self._write({free: content})
        return made

    def live(self) -> list[BackupKey]:
        """The keys that are there, the oldest first."""
        with self._locked():
            return sorted((key for _, key in self._read()), key=lambda key: key.made_ms)

    def find(self, key_id: bytes, now_ms: int) -> BackupKey | None:
        """The key of that id; None when it was destroyed, or is about to be."""
        return next((k for k in self.live() if k.id == key_id and now_ms < k.until_ms), None)

    def expire(self, now_ms: int, days: int) -> int:
        """Destroy the keys whose time is over, or that are older than `days`; how many.

        Overwritten in place and synced when this returns; 0 days destroys every key.
        """
        with self._locked():
            gone = [
                place
                for place, key in self._read()
                if now_ms >= min(key.until_ms, key.made_ms + days * DAY_MS) or days == 0
            ]
            if gone:
                self._write(dict.fromkeys(gone, _BLANK))
        return len(gone)

    def trim(self, erasures: Callable[[], int], drop_before: Callable[[int], None]) -> None:
        """Drop from the erasure log what was erased before the oldest backup that still opens."""
        with self._locked():
            needed = [key.erasures_from for _, key in self._read()]
            drop_before(min(needed) if needed else erasures())

    def close(self) -> None:
        os.close(self._fd)

    def _read(self) -> list[tuple[int, BackupKey]]:
        block = os.pread(self._fd, PLACES * _PLACE.size, HEADER_BYTES)
        cells = enumerate(_PLACE.iter_unpack(block))
        return [
            (place, BackupKey(key_id, key, made, until, erasures_from))
            for place, (key, key_id, made, until, erasures_from) in cells
            if made
        ]

    def _write(self, cells: dict[int, bytes]) -> None:
        for place, content in cells.items():
            os.pwrite(self._fd, content, HEADER_BYTES + place * _PLACE.size)
        reach("backup_keys.written")
        os.fdatasync(self._fd)
        reach("backup_keys.synced")

    @contextmanager
    def _locked(self) -> Generator[None]:
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)
