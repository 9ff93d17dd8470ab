"""The simulated network's file: what it keeps, what it forgives, when it is rewritten."""

import errno
import os
from pathlib import Path

import pytest

from hushwire.carriers import network_log
from hushwire.carriers.network_log import NEVER, Due, NetworkLog


def opened(path: Path) -> tuple[NetworkLog, list[Due]]:
    log = NetworkLog(path)
    return log, log.open()


def reread(path: Path) -> list[Due]:
    log, due = opened(path)
    log.close()
    return due


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.log"


def test_what_was_not_reported_is_due_again_earliest_first(path: Path) -> None:
    log, due = opened(path)
    assert due == []
    late, early, done = Due(900, 1, 71, None), Due(100, 2, 72, 30005), Due(50, 3, 73, None)
    log.accepted([late, early])
    log.accepted([done, Due(NEVER, 4, 74, None)])
    log.reported([done])
    log.close()

    log, due = opened(path)
    assert due == [early, late]
    assert log.last_number == 4
    log.close()


def test_lines_and_mode_are_as_documented(path: Path) -> None:
    log, _ = opened(path)
    log.accepted([Due(1000, 255, 7, None), Due(2000, 256, 8, 30007)])
    log.reported([Due(1000, 255, 7, None)])
    log.close()
    assert path.read_text() == ("accepted ff 7 1000 -\naccepted 100 8 2000 30007\nreported ff\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_is_cut_off_wherever_it_tore(path: Path) -> None:
    first, second = Due(1000, 255, 7, None), Due(2000, 256, 8, None)
    log, _ = opened(path)
    log.accepted([first])
    kept = path.stat().st_size
    log.accepted([second])
    log.close()
    whole = path.read_bytes()
    for size in range(kept, len(whole)):
        path.write_bytes(whole[:size])
        log, due = opened(path)
        assert due == [first]
        log.accepted([second])
        log.close()
        assert path.read_bytes() == whole


def test_a_line_that_cannot_be_read_is_skipped(path: Path) -> None:
    path.write_bytes(b"accepted 1 5 100 -\n\0\0\0\0\nwhat is this\naccepted x 5 y -\n\xff\n")
    assert reread(path) == [Due(100, 1, 5, None)]


def test_without_a_path_nothing_is_kept() -> None:
    log = NetworkLog(None)
    assert log.open() == []
    log.accepted([Due(1, 1, 1, None)])
    log.reported([Due(1, 1, 1, None)])
    log.close()


def test_a_large_file_that_is_mostly_done_is_compacted_at_start(path: Path) -> None:
    log, _ = opened(path)
    batch = [Due(1_700_000_000_000 + n, 1 << 60 | n, n, None) for n in range(20_000)]
    log.accepted(batch)
    log.reported(batch[5:])
    log.close()
    assert path.stat().st_size > 1 << 20
    (path.parent / "network.log.new").write_bytes(b"accepted 9 9 9 -\n")  # an earlier crash

    assert reread(path) == batch[:5]
    assert path.stat().st_size < 1000
    assert not (path.parent / "network.log.new").exists()
    log, due = opened(path)
    assert due == batch[:5]
    assert log.last_number == batch[-1].number
    log.close()


def test_a_large_file_that_is_mostly_due_is_left_alone(path: Path) -> None:
    log, _ = opened(path)
    log.accepted([Due(1_700_000_000_000 + n, 1 << 60 | n, n, None) for n in range(25_000)])
    log.close()
    size = path.stat().st_size
    assert size > 1 << 20
    assert len(reread(path)) == 25_000
    assert path.stat().st_size == size


def test_it_is_compacted_while_running_and_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_log, "_COMPACT_RUNNING", 2_000)
    log, _ = opened(path)
    kept = Due(5, 1, 1, 30003)
    log.accepted([kept])
    for n in range(2, 500):
        log.accepted([Due(10, n, n, None)])
        log.reported([Due(10, n, n, None)])
    assert path.stat().st_size < 2_200
    log.accepted([Due(20, 900, 900, None)])
    log.close()
    assert reread(path) == [kept, Due(20, 900, 900, None)]


def test_a_failed_compaction_keeps_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_log, "_COMPACT_RUNNING", 100)
    (path.parent / "network.log.new").mkdir()
    log, _ = opened(path)
    batch = [Due(n, n, n, None) for n in range(1, 50)]
    for due in batch:
        log.accepted([due])
    log.close()
    assert reread(path) == batch


def test_a_batch_that_does_not_fit_leaves_no_part_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = opened(path)
    log.accepted([Due(1, 1, 1, None)])
    before = path.read_bytes()
    write = os.write

    def fills_up(fd: int, data: bytes) -> int:
        if len(data) < 12:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data[:12])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fills_up)
        with pytest.raises(OSError):
            log.accepted([Due(2, 2, 2, None)])
    assert path.read_bytes() == before
    log.accepted([Due(3, 3, 3, None)])
    log.close()
    assert reread(path) == [Due(1, 1, 1, None), Due(3, 3, 3, None)]
