"""The wire log: which attempts reached the socket, for the restart after a crash.

An attempt is marked in the database before the wire. A process that dies between the mark and
the wire leaves attempts that never left; one that dies after it leaves attempts that may have
arrived. This file tells them apart: eight bytes (the message's key) a submission, written
before the socket, in one plain `write` a batch. The page cache survives the death of a
process; after a loss of power (another boot) the file says nothing and every attempt is in
doubt. Two files take turns, so that neither grows without end.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

TURN_BYTES = 8 << 20  # a million submissions: far more than any window of open ones
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class WireLog:
    """Two append-only files of message keys, `wire.0` and `wire.1`."""

    def __init__(self, directory: Path) -> None:
        self._paths = (directory / "wire.0", directory / "wire.1")
        self._turn = 0
        self._size = 0
        self._fd = -1

    def read(self) -> set[int] | None:
        """The keys the last process put on the wire; None when nothing is known of them."""
        keys: set[int] = set()
        for path in self._paths:
            if not path.exists():
                continue
            data = path.read_bytes()
            boot, data = data[:36], data[36:]
            if boot != _boot():
                return None
            keys.update(struct.unpack_from(f">{len(data) // 8}Q", data))
        return keys

    def start(self) -> None:
        """Begin afresh; what `read` told has been dealt with."""
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._open()

    def write(self, keys: Sequence[int]) -> None:
        """These messages go on the wire now. Raises OSError, and then none of them is noted."""
        data = struct.pack(f">{len(keys)}Q", *keys)
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
        except OSError:
            # What fitted on a full disk goes: keys that follow a part of one would be misread.
            os.ftruncate(self._fd, len(_boot()) + self._size)
            raise
        self._size += len(data)
        if self._size > TURN_BYTES:
            self._turn ^= 1
            self._open()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> None:
        self.close()
        path = self._paths[self._turn]
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.write(self._fd, _boot())
        self._size = 0


def _boot() -> bytes:
    """This boot's id, 36 bytes; a fixed filler where the system has none."""
    try:
        return _BOOT_ID.read_bytes()[:36].ljust(36)
    except OSError:
        return b"-" * 36
