"""An action for each row of a file: one bad row stops nothing, and no row is sent twice.

A row has an identity (a column of its own, or what it holds), and with the batch's name that is
its idempotency key. Before a row is sent the result file says so, and after it what came of it.
A repetition of the batch leaves out what was sent. A row whose sending an earlier run began and
did not end is sent again where the backend knows keys; where it does not, it is left and told.
"""

import csv
import fcntl
import hashlib
import math
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TextIO, cast

from msgspec import DecodeError, Struct, json
from msgspec.structs import replace

from hushwire.connect.mapping import Attributes, Source, resolve
from hushwire.connect.refused import INPUT, UNREACHABLE, UNSURE, Refused, refused

ID_COLUMN: Final = "id"
KEYS_LAST_S: Final = 23 * 3600  # a Hushwire server knows a key for 24 hours

Outcome = Literal["began", "sent", "ready", "refused", "unsure"]  # "ready": of a dry run
Act = Callable[[dict[str, object], str], Awaitable[Mapping[str, Any]]]  # input, key → output


class Row(Struct, frozen=True):
    """A row of the file: its number, from 1, and its values by column; its faults if it has any."""

    number: int
    key: str
    attributes: Attributes
    wrong: str | None = None


class Result(Struct, frozen=True, omit_defaults=True):
    """What came of a row, without anything private. `key` finds it again."""

    row: int
    key: str
    outcome: Outcome
    at_s: int  # Unix time
    sid: str | None = None
    status: str | None = None
    code: int | None = None
    field: str | None = None
    reason: str | None = None


class Tally(Struct):
    """What came of a batch."""

    sent: int = 0
    before: int = 0  # sent by an earlier run
    refused: int = 0
    unsure: int = 0


class Stopped(Exception):
    """The batch cannot go on: nobody answers, or the credentials are not taken."""

    def __init__(self, problem: Refused, tally: Tally) -> None:
        super().__init__(problem.text)
        self.problem = problem
        self.tally = tally


class Results:
    """The result file: a JSON line for each beginning and each end. Readable by its owner alone.

    One run has it at a time: a second is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: dict[str, Result] = {}

    def __enter__(self) -> Self:
        self.path.touch(mode=0o600)
        self._file: TextIO = self.path.open("a", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise refused(INPUT, "another run of this batch goes on: wait for its end") from None
        content = self.path.read_bytes()
        for line in content.splitlines():
            try:
                found = json.decode(line, type=Result)
            except DecodeError:
                continue  # a line that a crash cut short: the one before it counts
            self.last[found.key] = found
        if content and not content.endswith(b"\n"):
            self._file.write("\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, result: Result) -> None:
        self._file.write(f"{json.encode(result).decode()}\n")
        self._file.flush()
        if result.outcome == "began":  # durable before the row leaves
            os.fsync(self._file.fileno())
        self.last[result.key] = result


async def run_batch(
    rows: Iterator[Row], mapping: Mapping[str, Source], act: Act, results: Results, *,
    knows_keys: bool, again: bool = False, dry_run: bool = False,
    progress: Callable[[], object] = lambda: None, now: Callable[[], float] = time.time,
) -> Tally:  # fmt: skip
    """Run `act` for every row that was not sent yet; `progress` is called after each row.

    `knows_keys`: is a repetition with the same key the same request to the backend? `again`: send
    also rows of which nobody knows whether they were sent. `dry_run`: `act` sends nothing. `now`
    gives Unix seconds. Raises Stopped.
    """
    tally = Tally()
    oldest_s = now() - KEYS_LAST_S if knows_keys else math.inf
    for row in rows:
        before = results.last.get(row.key)
        if before is not None and before.outcome == "sent":
            tally.before += 1
        elif before is not None and _doubtful(before) and before.at_s < oldest_s and not again:
            tally.unsure += 1
            if before.outcome == "began":
                results.add(_unsure(row, before.at_s))
        else:
            result = await _one(row, mapping, act, results, tally, int(now()))
            if dry_run and result.outcome == "sent":
                result = replace(result, outcome="ready")
            results.add(result)
            _count(tally, result)
        progress()
    return tally


async def _one(
    row: Row, mapping: Mapping[str, Source], act: Act, results: Results, tally: Tally, at_s: int
) -> Result:
    try:
        if row.wrong is not None:
            raise refused(INPUT, row.wrong)
        given = resolve(mapping, row.attributes)
        results.add(Result(row.number, row.key, "began", at_s))
        output = await act(given, row.key)
    except Refused as problem:
        outcome: Outcome = "unsure" if problem.code == UNSURE.code else "refused"
        result = Result(row.number, row.key, outcome, at_s, None, None, problem.code, problem.field,
                        problem.text)  # fmt: skip
        if problem.code == UNREACHABLE.code or problem.status == 401:
            results.add(result)
            raise Stopped(problem, tally) from None
        return result
    return Result(row.number, row.key, "sent", at_s, output.get("sid"), output.get("status"))


def _doubtful(result: Result) -> bool:
    return result.outcome in ("began", "unsure")


def _unsure(row: Row, at_s: int) -> Result:
    return Result(
        row.number, row.key, "unsure", at_s, code=UNSURE.code,
        reason="an earlier run ended while this row was sent, and nobody knows whether it was "
        "accepted: look for it in the list",
    )  # fmt: skip


def _count(tally: Tally, result: Result) -> None:
    if result.outcome in ("sent", "ready"):
        tally.sent += 1
    elif result.outcome == "unsure":
        tally.unsure += 1
    else:
        tally.refused += 1


# --- rows ------------------------------------------------------------------------------------


def read_rows(path: Path, name: str, *, id_column: str | None = None) -> Iterator[Row]:
    """The rows of a .csv (with a heading) or .jsonl file, in order.

    `name`: of the batch. A row is known again by `id_column`; else by `id` if there is such a
    column; else by all it holds, and which of several equal rows it is. Raises Refused when the
    file is neither kind, or lacks the column.
    """
    seen: Counter[bytes] = Counter()
    for number, attributes in enumerate(_contents(path), 1):
        if isinstance(attributes, str):
            yield Row(number, _key(name, b"wrong", str(number)), {}, wrong=attributes)
            continue
        column = id_column or (ID_COLUMN if ID_COLUMN in attributes else None)
        if column is not None and not attributes.get(column):
            key = _key(name, b"wrong", str(number))
            yield Row(number, key, {}, wrong=f"the row has no value in the column {column[:40]!r}")
            continue
        if column is not None:
            identity = str(attributes[column]).encode()
        else:
            identity = json.encode(attributes, order="deterministic")
            seen[identity] += 1
        yield Row(number, _key(name, identity, str(seen[identity])), attributes)


def _key(name: str, identity: bytes, more: str) -> str:
    """Says nothing of what it is made of: a row's identity may be a number of somebody's."""
    made = hashlib.sha256(b"\0".join((name.encode(), identity, more.encode())))
    return f"batch-{made.hexdigest()}"


def _contents(path: Path) -> Iterator[dict[str, object] | str]:
    """The values of each row by column, or what is wrong with it."""
    if path.suffix not in (".csv", ".jsonl"):
        raise refused(INPUT, "the file must be a .csv with a heading, or a .jsonl", field="file")
    with path.open(encoding="utf-8-sig", newline="") as lines:
        if path.suffix == ".jsonl":
            yield from (_object(line) for line in lines if line.strip())
            return
        for found in csv.DictReader(lines, restkey="\0more"):
            short = None in found.values()
            wrong = "\0more" in found or short
            yield "the row has not as many cells as the heading" if wrong else dict(found)


def _object(line: str) -> dict[str, object] | str:
    try:
        found = json.decode(line)
    except DecodeError:
        return "the line is no JSON"
    return cast("dict[str, object]", found) if isinstance(found, dict) else "the line is no object"
