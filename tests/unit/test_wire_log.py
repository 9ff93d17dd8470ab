"""The wire log: what reached the socket, as far as the death of a process goes."""

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hushwire.dispatch import wire_log
from hushwire.dispatch.wire_log import WireLog

KEYS = [116_153_804_505_153_537, 1, (1 << 63) - 1]


def begun(directory: Path) -> WireLog:
    log = WireLog(directory)
    log.start()
    return log


def test_what_was_written_is_read_by_the_next_process(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.write(KEYS[:2])
    log.write(KEYS[2:])
    assert WireLog(tmp_path).read() == set(KEYS)  # nothing was closed or synced
    log.close()


def test_where_there_is_no_log_nothing_was_sent(tmp_path: Path) -> None:
    assert WireLog(tmp_path).read() == set()


def test_a_new_process_begins_afresh(tmp_path: Path) -> None:
    log = begun(tmp_path)
    log.write(KEYS)
    log.close()
    begun(tmp_path).close()
    assert WireLog(tmp_path).read() == set()


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_torn_last_entry_is_left_out(tmp_path: Path, cut: int) -> None:
    log = begun(tmp_path)
    log.write(KEYS)
    log.close()
    path = tmp_path / "wire.0"
    os.truncate(path, path.stat().st_size - cut)
    assert WireLog(tmp_path).read() == set(KEYS[:2])


@pytest.mark.parametrize("content", [b"", b"short", b"another boot".ljust(36), b"x" * 100])
def test_the_log_of_another_boot_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wire.1").write_bytes(content)
    assert WireLog(tmp_path).read() is None


def test_two_files_take_turns_and_the_last_keys_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_log, "TURN_BYTES", 800)
    log = begun(tmp_path)
    for key in range(1, 1_001):
        log.write([key])
        assert key in (WireLog(tmp_path).read() or ())
    known = WireLog(tmp_path).read()
    assert known is not None
    assert known >= set(range(901, 1_001))  # at least one whole turn
    sizes = [(tmp_path / name).stat().st_size for name in ("wire.0", "wire.1")]
    assert max(sizes) < 900
    log.close()


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file grows beyond `size`: what exceeds it is cut, then refused, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("fitting", [0, 3, 8, 11])
def test_a_write_that_does_not_fit_notes_nothing(tmp_path: Path, fitting: int) -> None:
    """Half a key would shift every one that follows."""
    log = begun(tmp_path)
    log.write(KEYS[:1])
    size = (tmp_path / "wire.0").stat().st_size
    with files_end_at(size + fitting), pytest.raises(OSError, match="File too large"):
        log.write(KEYS[1:])
    assert (tmp_path / "wire.0").stat().st_size == size
    log.write(KEYS[2:])
    assert WireLog(tmp_path).read() == {KEYS[0], KEYS[2]}
    log.close()
