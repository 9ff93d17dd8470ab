"""One task table or several? The measurement behind docs/adr/0002-task-tables.md.

    .venv/bin/python bench/task_tables.py [--rounds 3] [--finished 1000000] [--quick]

Every layout stores the same tasks in the same transactions (apsw, WAL, synchronous=FULL, a
file on the disk of `--dir`). Rounds are interleaved: each round runs every case on every
layout. Figures are medians over the rounds, beside their ratio to layout A.
"""

import argparse
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import apsw
from rich.console import Console
from rich.table import Table

HOUR_MS = 3_600_000
START_MS = 1_790_000_000_000
REQUEST_DUE_MS = START_MS + 35 * 24 * HOUR_MS
SUBMIT, ATTEMPT, SETTLE, CALLBACK, REQUEST = 1, 2, 3, 6, 7
TRUNK_LANE, CALLBACK_LANE = 1, 4711

MESSAGE = """
CREATE TABLE message (
    key INTEGER PRIMARY KEY, tail BLOB, prefix TEXT, account_id INTEGER, direction TEXT,
    status TEXT, segments INTEGER, updated_ms INTEGER, sent_ms INTEGER, expires_ms INTEGER,
    error_code INTEGER, attempt INTEGER, flags INTEGER, content BLOB, content_key INTEGER,
    address BLOB, address_key INTEGER, day INTEGER, from_tag INTEGER, to_tag INTEGER,
    lane INTEGER, callback_lane INTEGER, history TEXT
);
CREATE INDEX message_account ON message (account_id);
CREATE INDEX message_from ON message (day, from_tag);
CREATE INDEX message_to ON message (day, to_tag);
"""
INSERT_MESSAGE = f"INSERT INTO message VALUES ({', '.join('?' * 23)})"
UPDATE_MESSAGE = (
    "UPDATE message SET status = ?2, updated_ms = ?3, sent_ms = ?4, attempt = ?5, "
    "history = history || ?6 WHERE key = ?1"
)

Row = tuple[int | str | bytes | None, ...]
TaskRow = tuple[int, int, int, int, int, int, str | None, str | None, int]
COLUMNS = "record, number, kind, lane, due_ms, attempt, detail, ref, held"


class Layout(NamedTuple):
    """Which table holds which tasks. Tables may be the same."""

    name: str
    own: str  # a message's own task: submit, attempt, settle
    callback: str
    job: str  # long-lived requests
    partial: bool  # the index of what is due leaves out what a process holds in memory


LAYOUTS = (
    Layout("A one table", "task", "task", "task", True),
    Layout("B own / callbacks", "task", "callback", "task", True),
    Layout("C own / callbacks / jobs", "task", "callback", "job", True),
    Layout("D one table, full index", "task", "task", "task", False),
)


def schema(layout: Layout) -> Iterator[str]:
    """The statements that create a layout's task tables."""
    for table in dict.fromkeys((layout.own, layout.callback, layout.job)):
        yield f"""CREATE TABLE {table} (
            record INTEGER NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL,
            lane INTEGER NOT NULL, due_ms INTEGER NOT NULL, attempt INTEGER NOT NULL,
            detail TEXT, ref TEXT, held INTEGER NOT NULL, PRIMARY KEY (record, number)
        ) WITHOUT ROWID"""
        if layout.partial:
            due = f"{table} (kind, lane, due_ms) WHERE held = 0"
        else:  # `held` leads, or a claim would step over everything in memory
            due = f"{table} (held, kind, lane, due_ms)"
        yield f"CREATE INDEX {table}_due ON {due}"
        if table == layout.own:  # only these wait for a receipt
            yield f"CREATE INDEX {table}_ref ON {table} (ref) WHERE ref IS NOT NULL"


def put(table: str) -> str:
    return f"INSERT OR REPLACE INTO {table} ({COLUMNS}) VALUES ({', '.join('?' * 9)})"


def drop(table: str) -> str:
    return f"DELETE FROM {table} WHERE record = ? AND number = ?"


def claim(table: str) -> str:
    return f"""UPDATE {table} SET held = 1 WHERE (record, number) IN (
        SELECT record, number FROM {table} WHERE held = 0 AND kind = ?1 AND lane = ?2
        AND due_ms <= ?3 ORDER BY due_ms LIMIT ?4) RETURNING {COLUMNS}"""


def next_due(table: str) -> str:
    return f"SELECT min(due_ms) FROM {table} WHERE held = 0 AND kind = ? AND lane = ?"


class Database:
    """One file with one layout."""

    def __init__(self, layout: Layout, path: Path) -> None:
        self.layout = layout
        self.path = path
        self.seconds = 0
        self.sql = apsw.Connection(str(path))
        for pragma in ("journal_mode = wal", "synchronous = full", "cache_size = -65536"):
            self.sql.execute(f"PRAGMA {pragma}").fetchall()

    def create_tasks(self) -> None:
        for statement in schema(self.layout):
            self.sql.execute(statement)

    def commit(self, *steps: tuple[str, Sequence[Row]]) -> None:
        """One transaction."""
        with self.sql:
            for statement, rows in steps:
                self.sql.executemany(statement, rows)

    def checkpoint(self) -> None:
        self.sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def now_ms(self) -> int:
        """A second later at each call, so that keys never repeat."""
        self.seconds += 1
        return START_MS + self.seconds * 1000


JUNK = Random(19).randbytes(1 << 16)


def message_row(key: int, random: Random) -> Row:
    at = random.randrange(65_000)
    now_ms = key >> 16
    return (
        key, JUNK[at : at + 8], "SM", 1, "outbound-api", "queued", 1, now_ms, None,
        now_ms + 10 * HOUR_MS, None, 0, 0, JUNK[at : at + 200], key & 0xFFFFFF,
        JUNK[at : at + 60], key & 0xFFFFFF, now_ms // 86_400_000, random.getrandbits(40),
        random.getrandbits(62), TRUNK_LANE, CALLBACK_LANE, f"queued {now_ms} -\n",
    )  # fmt: skip


def ref_of(key: int) -> str:
    """A carrier's id: as good as random, as networks give them."""
    return f"{key * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF:016x}"


def life(db: Database, batch: int) -> None:
    """A batch of messages from birth to the last answered callback: six transactions."""
    own, calls = db.layout.own, db.layout.callback
    now = db.now_ms()
    random = Random(now)
    keys = [now << 16 | n for n in range(batch)]

    def update(status: str, attempt: int, sent_ms: int | None) -> tuple[str, list[Row]]:
        line = f"{status} {now} -\n"
        return UPDATE_MESSAGE, [(k, status, now, sent_ms, attempt, line) for k in keys]

    def tasks(number: int, kind: int, lane: int, due_ms: int, held: int) -> list[TaskRow]:
        waits = kind == SETTLE
        detail = "sent - -" if kind == CALLBACK else None
        return [
            (k, number, kind, lane, due_ms, 1, detail, ref_of(k) if waits else None, held)
            for k in keys
        ]

    def done(number: int) -> list[Row]:
        return [(k, number) for k in keys]

    db.commit(
        (INSERT_MESSAGE, [message_row(k, random) for k in keys]),
        (put(own), tasks(0, SUBMIT, TRUNK_LANE, now, 1)),
    )
    db.commit(update("sending", 1, None), (put(own), tasks(0, ATTEMPT, TRUNK_LANE, now, 1)))
    db.commit(
        update("sent", 1, now),
        (put(own), tasks(0, SETTLE, TRUNK_LANE, now + HOUR_MS, 0)),
        (put(calls), tasks(2, CALLBACK, CALLBACK_LANE, now, 1)),
    )
    db.commit((drop(calls), done(2)))
    db.commit(
        update("delivered", 1, now),
        (drop(own), done(0)),
        (put(calls), tasks(3, CALLBACK, CALLBACK_LANE, now, 1)),
    )
    db.commit((drop(calls), done(3)))


def retries(db: Database, batch: int) -> None:
    """A batch of callbacks that fail five times: put back, claimed, at last dropped."""
    calls = db.layout.callback
    now = db.now_ms()
    keys = [now << 16 | n for n in range(batch)]

    def tasks(attempt: int, due_ms: int, held: int) -> list[TaskRow]:
        detail = "delivered - 2609211200"
        return [(k, 3, CALLBACK, CALLBACK_LANE, due_ms, attempt, detail, None, held) for k in keys]

    db.commit((put(calls), tasks(0, now, 1)))
    for attempt in range(1, 6):
        due_ms = now - HOUR_MS + attempt  # before everything else that waits
        db.commit((put(calls), tasks(attempt, due_ms, 0)))
        with db.sql:
            arguments = (CALLBACK, CALLBACK_LANE, due_ms, batch)
            claimed = db.sql.execute(claim(calls), arguments).fetchall()
        if len(claimed) != batch:
            raise SystemExit(f"claimed {len(claimed)} of {batch}: the case is wrong")
    db.commit((drop(calls), [(k, 3) for k in keys]))


def fill_tasks(db: Database, count: int) -> None:
    """`count` open tasks: half wait for a receipt, a quarter for a retry, a quarter is held."""
    now = START_MS - 2 * HOUR_MS
    own, calls = db.layout.own, db.layout.callback
    for first in range(0, count // 2, 5000):
        numbers = range(first, min(first + 5000, count // 2))
        keys = [(now << 16) + n for n in numbers]
        settle: list[TaskRow] = [
            (k, 0, SETTLE, TRUNK_LANE, REQUEST_DUE_MS + k % 999, 1, None, ref_of(k), 0)
            for k in keys
        ]
        call: list[TaskRow] = [
            (k, 3, CALLBACK, k % 50, START_MS + 9 * HOUR_MS + k % 999, 1, "sent - -", None, k & 1)
            for k in keys
        ]
        db.commit((put(own), settle), (put(calls), call))


def fill_finished(path: Path, count: int) -> None:
    """`count` delivered messages, written once and copied for each layout."""
    sql = apsw.Connection(str(path))
    for pragma in ("journal_mode = wal", "synchronous = off"):
        sql.execute(f"PRAGMA {pragma}").fetchall()
    sql.execute(MESSAGE)
    random = Random(1)
    first = START_MS - 3 * HOUR_MS
    with sql:
        rows = (message_row((first << 16) + n * 65, random) for n in range(count))
        sql.executemany(INSERT_MESSAGE, rows)
    sql.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    sql.close()


def claims(db: Database, random: Random) -> float:
    """Median milliseconds of claiming 200 due callbacks of 2,000."""
    calls = db.layout.callback
    now = db.now_ms()
    keys = [(now << 16) + random.getrandbits(15) * 2 for _ in range(4000)][:2000]
    rows: list[TaskRow] = [
        (k, 4, CALLBACK, CALLBACK_LANE, START_MS - n, 1, "sent - -", None, 0)
        for n, k in enumerate(dict.fromkeys(keys))
    ]
    db.commit((put(calls), rows))
    took: list[float] = []
    for _ in range(len(rows) // 200):
        begun = time.perf_counter()
        with db.sql:
            db.sql.execute(claim(calls), (CALLBACK, CALLBACK_LANE, START_MS, 200)).fetchall()
        took.append(time.perf_counter() - begun)
    db.commit((drop(calls), [(row[0], 4) for row in rows]))
    return statistics.median(took) * 1e3


def finds_request(db: Database) -> float:
    """Median µs to see when the one long-lived request is due."""
    took: list[float] = []
    for _ in range(200):
        begun = time.perf_counter()
        rows = db.sql.execute(next_due(db.layout.job), (REQUEST, 0)).fetchall()
        took.append(time.perf_counter() - begun)
        if rows != [(REQUEST_DUE_MS,)]:
            raise SystemExit("the long-lived request is not the next of its kind")
    return statistics.median(took) * 1e6


def written_bytes() -> int:
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return int(text.split("\nwrite_bytes: ")[1].split()[0])


class Cost(NamedTuple):
    wall_us: float
    cpu_us: float
    disk_bytes: float


def cost(db: Database, case: Callable[[Database, int], None], batch: int, count: int) -> Cost:
    """What one message of `case` costs, its share of the checkpoints included."""
    db.checkpoint()
    disk, cpu, wall = written_bytes(), time.process_time(), time.perf_counter()
    for _ in range(count // batch):
        case(db, batch)
    db.checkpoint()
    messages = count // batch * batch
    return Cost(
        (time.perf_counter() - wall) / messages * 1e6,
        (time.process_time() - cpu) / messages * 1e6,
        (written_bytes() - disk) / messages,
    )


Figures = dict[str, dict[str, list[float]]]  # case → layout → one figure a round


def round_of(databases: dict[str, list[Database]], figures: Figures, count: int) -> None:
    """Every case on every layout once. Rotating the order spreads the machine's noise."""

    def note(case: str, layout: Layout, value: float) -> None:
        figures.setdefault(case, {}).setdefault(layout.name, []).append(value)

    def note_cost(case: str, layout: Layout, value: Cost) -> None:
        note(f"{case}, µs", layout, value.wall_us)
        note(f"{case}, CPU µs", layout, value.cpu_us)
        note(f"{case}, kB written", layout, value.disk_bytes / 1000)

    for batch, age in itertools.product((64, 256), ("fresh", "aged")):
        for db in databases[age]:
            note_cost(f"life, {age}, batch {batch}", db.layout, cost(db, life, batch, count))
    for db in databases["fresh"]:
        note_cost("5 retries, batch 64", db.layout, cost(db, retries, 64, count // 4))
    for size in ("few", "many"):
        for db in databases[size]:
            note(f"claim 200 of {size} tasks, ms", db.layout, claims(db, Random(db.now_ms())))
    for db in databases["aged"]:
        note("next due of the request, µs", db.layout, finds_request(db))
    for group in databases.values():
        group.append(group.pop(0))


def build(folder: Path, finished: int, console: Console) -> dict[str, list[Database]]:
    console.print(
        f"building {len(LAYOUTS)} layouts: aged = {finished:,} finished messages and "
        f"{finished // 10:,} open tasks; few = {finished // 10:,} tasks, many = {finished:,} …"
    )
    base = folder / "base.db"
    fill_finished(base, finished)
    databases: dict[str, list[Database]] = {"fresh": [], "aged": [], "few": [], "many": []}
    for n, layout in enumerate(LAYOUTS):
        fresh = Database(layout, folder / f"fresh{n}.db")
        fresh.sql.execute(MESSAGE)
        shutil.copyfile(base, folder / f"aged{n}.db")
        aged = Database(layout, folder / f"aged{n}.db")
        few = Database(layout, folder / f"few{n}.db")
        many = Database(layout, folder / f"many{n}.db")
        for db in (fresh, aged, few, many):
            db.create_tasks()
        request: TaskRow = (1, 0, REQUEST, 0, REQUEST_DUE_MS, 0, None, None, 0)
        aged.commit((put(layout.job), [request]))
        fill_tasks(aged, finished // 10)
        fill_tasks(few, finished // 10)
        fill_tasks(many, finished)
        for name, db in zip(databases, (fresh, aged, few, many), strict=True):
            databases[name].append(db)
    os.sync()
    return databases


def show(figures: Figures, console: Console) -> None:
    names = [layout.name for layout in LAYOUTS]
    table = Table(title="Task tables: median, and ratio to A")
    table.add_column("case, a message")
    for name in names:
        table.add_column(name, justify="right")
    for case, by_layout in figures.items():
        medians = [statistics.median(by_layout[name]) for name in names]
        base = medians[0]
        cells = [f"{base:,.2f}", *(f"{m:,.2f}  ×{m / base:.2f}" for m in medians[1:])]
        table.add_row(case, *cells)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--finished", type=int, default=1_000_000, help="finished messages")
    parser.add_argument("--messages", type=int, default=5120, help="messages a case and round")
    parser.add_argument("--quick", action="store_true", help="one round on 100,000 messages")
    parser.add_argument("--dir", help="where the files lie (default: the temporary directory)")
    options = parser.parse_args()
    rounds, finished = (1, 100_000) if options.quick else (options.rounds, options.finished)
    console = Console(width=None if os.isatty(1) else 150)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-tasks-") as folder:
        databases = build(Path(folder), finished, console)
        for number in range(rounds):
            console.print(f"round {number + 1} of {rounds} …")
            round_of(databases, figures, options.messages)
        for group in databases.values():
            for db in group:
                db.sql.close()
    show(figures, console)


if __name__ == "__main__":
    main()
