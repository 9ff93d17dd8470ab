"""Batches: a row is sent once, one bad row stops nothing, and a crash costs no row."""

import asyncio
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hushwire.connect.batch import KEYS_LAST_S, Results, Stopped, Tally, read_rows, run_batch
from hushwire.connect.mapping import Source, read_mapping
from hushwire.connect.refused import INPUT, UNREACHABLE, UNSURE, Kind, Refused, refused

MAPPING = read_mapping({"to": {"attribute": "phone"}})
CSV = "phone,name\n+14155550101,Ada\n+14155550102,Bob\n+14155550103,Cyd\n"
NOW_S = 1_800_000_000


class Backend:
    """Sends, and does to some what it is told to."""

    def __init__(self, **problems: Kind | type[BaseException]) -> None:
        self.problems = problems
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, given: dict[str, object], key: str) -> Mapping[str, Any]:
        to = str(given["to"])
        self.asked.append((to, key))
        problem = self.problems.get(f"n{to[-3:]}")
        if isinstance(problem, Kind):
            raise refused(problem, "it is not so", field="to")
        if problem is not None:
            raise problem
        return {"sid": f"SM{len(self.asked):032}", "status": "queued"}


def batch(
    file: Path, backend: Backend, *, knows_keys: bool = True, name: str = "one",
    mapping: Mapping[str, Source] = MAPPING, now_s: float = NOW_S, **more: Any,
) -> Tally:  # fmt: skip
    async def go() -> Tally:
        with Results(file.with_name("results.jsonl")) as results:
            return await run_batch(
                read_rows(file, name), mapping, backend, results, knows_keys=knows_keys,
                now=lambda: now_s, **more,
            )  # fmt: skip

    return asyncio.run(go())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "guests.csv"
    path.write_text(CSV)
    return path


def outcomes(file: Path) -> list[tuple[int, str]]:
    with Results(file.with_name("results.jsonl")) as results:
        return [(result.row, result.outcome) for result in results.last.values()]


def test_a_batch_sends_each_row_once_however_often(file: Path) -> None:
    """T-28, item 13."""
    first, second = Backend(), Backend()
    assert batch(file, first) == Tally(sent=3)
    assert batch(file, second) == Tally(before=3)
    assert len({key for _, key in first.asked}) == 3
    assert second.asked == []
    assert batch(file, second, name="two") == Tally(sent=3)


def test_a_bad_row_stops_nothing(file: Path) -> None:
    """T-28: the reason is recorded; corrected, it is sent."""
    assert batch(file, Backend(n102=INPUT)) == Tally(sent=2, refused=1)
    assert outcomes(file) == [(1, "sent"), (2, "refused"), (3, "sent")]
    told = file.with_name("results.jsonl").read_text()
    assert '"reason":"it is not so"' in told
    assert '"field":"to"' in told
    again = Backend()
    assert batch(file, again) == Tally(sent=1, before=2)
    assert [to for to, _ in again.asked] == ["+14155550102"]


def test_nothing_private_is_in_the_result_file(file: Path) -> None:
    batch(file, Backend(n102=INPUT))
    path = file.with_name("results.jsonl")
    told = path.read_text()
    assert not any(text in told for text in ("415555", "Ada", "Bob"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_crash_while_a_row_is_sent(file: Path) -> None:
    """Item 13: sent again with its key where the backend knows it, else left and told."""
    crash = Backend(n102=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        batch(file, crash)
    after = Backend()
    assert batch(file, after, knows_keys=False) == Tally(sent=1, before=1, unsure=1)
    assert [to for to, _ in after.asked] == ["+14155550103"]
    assert batch(file, after, knows_keys=False) == Tally(before=2, unsure=1)
    known = Backend()
    assert batch(file, known) == Tally(sent=1, before=2)
    assert known.asked == [crash.asked[1]], "with the same key"


def test_a_key_that_was_forgotten_helps_no_more(file: Path) -> None:
    """A server knows a key for a day."""
    with pytest.raises(KeyboardInterrupt):
        batch(file, Backend(n101=KeyboardInterrupt))
    later = NOW_S + KEYS_LAST_S + 1
    assert batch(file, Backend(), now_s=later) == Tally(sent=2, unsure=1)
    assert batch(file, Backend(), now_s=later, again=True) == Tally(sent=1, before=2)


def test_what_may_have_been_sent_is_not_sent_again(file: Path) -> None:
    """Item 13."""
    assert batch(file, Backend(n101=UNSURE), knows_keys=False) == Tally(sent=2, unsure=1)
    assert batch(file, Backend(), knows_keys=False) == Tally(before=2, unsure=1)
    assert batch(file, Backend(), knows_keys=False, again=True) == Tally(sent=1, before=2)


def test_it_stops_when_nobody_answers(file: Path) -> None:
    """No row of it is bad: all are left for later."""
    with pytest.raises(Stopped) as stopped:
        batch(file, Backend(n102=UNREACHABLE))
    assert stopped.value.tally == Tally(sent=1)
    assert batch(file, Backend()) == Tally(sent=2, before=1)


def test_a_line_that_was_cut_short_is_no_line(file: Path) -> None:
    batch(file, Backend())
    path = file.with_name("results.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    assert batch(file, Backend()) == Tally(sent=1, before=2)
    assert batch(file, Backend()) == Tally(before=3)


def test_rows_are_known_by_their_id(tmp_path: Path) -> None:
    """An id of their own, where there is one; a row that moves or is corrected is the same."""
    path = tmp_path / "rows.csv"
    path.write_text("id,phone\n7,+14155550101\n8,+14155550102\n")
    before = [row.key for row in read_rows(path, "one")]
    path.write_text("id,phone\n9,+14155550100\n8,+14155550102\n7,+14155550109\n")
    after = [row.key for row in read_rows(path, "one")]
    assert after[1:] == before[::-1]
    assert [row.key for row in read_rows(path, "two")] != after
    phones = [row.key for row in read_rows(path, "one", id_column="phone")]
    assert len(set(phones) | set(after)) == 6


def test_equal_rows_are_different_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("phone\n+14155550101\n+14155550101\n")
    assert len({row.key for row in read_rows(path, "one")}) == 2


def test_lines_of_json(tmp_path: Path) -> None:
    """T-26, T-28: arrays stay arrays; what is no object is one bad row."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"phone": "+1", "urls": ["a", "b"]}\n\nnonsense\n[1]\n{"phone": "+2"}\n')
    rows = list(read_rows(path, "one"))
    assert [row.wrong for row in rows] == [
        None, "the line is no JSON", "the line is no object", None,
    ]  # fmt: skip
    assert rows[0].attributes["urls"] == ["a", "b"]


def test_a_row_that_does_not_fit_its_heading(tmp_path: Path) -> None:
    """T-28."""
    path = tmp_path / "rows.csv"
    path.write_bytes("\ufeffphone,name\n+14155550101\n+14155550102,a,b\n+14155550103,c\n".encode())
    assert [row.wrong is None for row in read_rows(path, "one")] == [False, False, True]
    assert batch(path, Backend()) == Tally(sent=1, refused=2)


def test_two_runs_at_once(file: Path) -> None:
    """Item 13: the second is refused, and sends nothing."""
    second = Backend()
    with Results(file.with_name("results.jsonl")), pytest.raises(Refused) as refused:
        batch(file, second)
    assert "another run" in refused.value.text
    assert second.asked == []
    assert batch(file, second) == Tally(sent=3)
