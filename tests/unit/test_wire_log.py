"""The wire log: what it tells a restart, and that a full disk leaves no half of a key in it."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hushwire.dispatch.wire_log import WireLog

BOOT = 36  # bytes before the first key
KEYS = [0x0102030405060708, 0x1112131415161718, 0x2122232425262728]


def started(folder: Path) -> WireLog:
    log = WireLog(folder)
    log.start()
    return log


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes meanwhile, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_restart_reads_what_went_on_the_wire(tmp_path: Path) -> None:
    log = started(tmp_path)
    log.write(KEYS[:2])
    log.write(KEYS[2:])
    assert WireLog(tmp_path).read() == set(KEYS)
    log.start()
    assert WireLog(tmp_path).read() == set()
    log.close()


def test_after_another_boot_nothing_is_known(tmp_path: Path) -> None:
    started(tmp_path).close()
    path = tmp_path / "wire.0"
    path.write_bytes(b"x" * BOOT + path.read_bytes()[BOOT:])
    assert WireLog(tmp_path).read() is None


@pytest.mark.parametrize("fitting", [0, 3, 8, 11])
def test_a_full_disk_notes_none_of_a_batch_and_spoils_nothing(tmp_path: Path, fitting: int) -> None:
    log = started(tmp_path)
    log.write(KEYS[:1])
    with files_up_to(BOOT + 8 + fitting), pytest.raises(OSError):
        log.write(KEYS[1:])
    assert WireLog(tmp_path).read() == set(KEYS[:1])
    log.write(KEYS[2:])
    assert WireLog(tmp_path).read() == {KEYS[0], KEYS[2]}
    log.close()
