"""The simulated network's memory across restarts: an append-only file, `network.log`.

Two kinds of line, fields separated by one space:

    accepted <carrier_ref> <reference> <due_ms> <error_code or ->
    reported <carrier_ref>

`carrier_ref` is hex, `due_ms` the Unix ms at which the receipt is due (0: never). No number
and no text is ever written. Lines are written with a plain `write`: they outlive the process,
as a network outlives its customers, and need not outlive the machine.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

NEVER: Final = 0  # `due_ms` of a message that gets no receipt

_COMPACT_AT_START: Final = 1 << 20  # bytes, when most receipts in it are reported
_COMPACT_RUNNING: Final = 16 << 20


class Due(NamedTuple):
    """A receipt to report. Sorts by time, then by order of submission."""

    due_ms: int  # Unix ms, or NEVER
    number: int  # of the submission, unique in this network: the carrier_ref in hex
    reference: int  # echoed to the sender
    error_code: int | None  # None: delivered

    @property
    def carrier_ref(self) -> str:
        return f"{self.number:x}"


class NetworkLog:
    """The file, and in memory the receipts it says are due.

    With `path` None there is no file and nothing survives. One process at a time; all calls
    are synchronous and cost one `write`, except a compaction.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd: int | None = None
        self._size = 0
        self._compact_at = _COMPACT_RUNNING
        self._due: dict[int, Due] = {}
        self.last_number = 0  # the highest number ever logged

    def open(self) -> list[Due]:
        """Read the file, or create it, and return the unreported receipts, earliest first.

        A line torn by a crash is cut off; a line that cannot be read is skipped. Raises
        OSError when the file can be neither read nor created.
        """
        if self._path is None:
            return []
        self._fd = _open_append(self._path)
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._fd, whole)  # or the next line would be glued to the torn one
        self._size = whole
        lines = content[:whole].splitlines()
        for line in lines:
            self._replay(line.split(b" "))
        if whole > _COMPACT_AT_START and len(self._due) * 4 < len(lines):
            self._compact()
        return sorted(self._due.values())

    def accepted(self, batch: Sequence[Due]) -> None:
        """Write that the network took these. Raises OSError, and then none of them is written."""
        if self._fd is None:
            return
        self._append(map(_line, batch))
        self.last_number = max(self.last_number, batch[-1].number)
        self._due.update((due.number, due) for due in batch if due.due_ms != NEVER)
        self._compact_when_large()

    def reported(self, batch: Sequence[Due]) -> None:
        """Write that these receipts need not be reported again. Raises OSError as `accepted`."""
        if self._fd is None:
            return
        self._append(f"reported {due.number:x}\n" for due in batch)
        for due in batch:
            self._due.pop(due.number, None)
        self._compact_when_large()

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _replay(self, fields: list[bytes]) -> None:
        with contextlib.suppress(ValueError):
            match fields:
                case [b"accepted", ref, reference, due_ms, error]:
                    code = None if error == b"-" else int(error)
                    due = Due(int(due_ms), int(ref, 16), int(reference), code)
                    self.last_number = max(self.last_number, due.number)
                    if due.due_ms != NEVER:
                        self._due[due.number] = due
                case [b"reported", ref]:
                    number = int(ref, 16)
                    self.last_number = max(self.last_number, number)
                    self._due.pop(number, None)
                case _:
                    pass  # damaged by a power failure: the network forgot that message

    def _append(self, lines: Iterable[str]) -> None:
        fd = self._fd
        assert fd is not None
        data = "".join(lines).encode()
        try:
            _write_all(fd, data)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, self._size)  # take back a part that fitted on a full disk
            raise
        self._size += len(data)

    def _compact_when_large(self) -> None:
        if self._size > self._compact_at:
            self._compact()

    def _compact(self) -> None:
        """Replace the file by one with only what is due. On failure the old one stays in use."""
        assert self._path is not None
        fresh = self._path.with_name(self._path.name + ".new")
        # The first line keeps `last_number` when nothing is due any more.
        lines = [f"reported {self.last_number:x}\n", *map(_line, self._due.values())]
        data = "".join(lines).encode()
        try:
            fd = _write_synced(fresh, data)
            try:
                fresh.replace(self._path)
            except OSError:
                os.close(fd)
                raise
        except OSError:
            self._compact_at = self._size + _COMPACT_RUNNING
            return
        self.close()
        self._fd, self._size = fd, len(data)
        # Twice what is live, or a file full of due receipts would be rewritten at every batch.
        self._compact_at = max(_COMPACT_RUNNING, 2 * len(data))


def _line(due: Due) -> str:
    return f"accepted {due.number:x} {due.reference} {due.due_ms} {due.error_code or '-'}\n"


def _open_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def _write_synced(path: Path, data: bytes) -> int:
    """A new file with `data` on the disk; returns its descriptor, open for appending."""
    path.unlink(missing_ok=True)  # left by a crash during an earlier compaction
    fd = _open_append(path)
    try:
        _write_all(fd, data)
        os.fsync(fd)
    except OSError:
        os.close(fd)
        raise
    return fd
