"""How long should a stretch of the phone index be? The measurement behind docs/adr/0004.

    .venv/bin/python bench/phone_index.py [--rounds 3] [--messages 80000] [--dir DIR]

Messages to numbers of chance are inserted by the server's own schema and statement, a batch a
transaction (apsw, WAL, synchronous=FULL). Rounds are interleaved; figures are medians: CPU of
the median batch for a message, and of one probe of a search that finds nothing.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from hushwire.store.engine import Database, Row

BATCH = 86  # messages a commit, as `bench/run.py` sees them at full load
START_MS = 1_790_000_000_000
STRETCHES = (1_000, 2_000, 4_000, 8_000, 16_000)  # messages; beside them a whole day, and no index
PROBE = "SELECT key FROM message WHERE stretch = ? AND to_tag = ? AND account_id = 1"


class Case(NamedTuple):
    name: str
    stretch: int | None  # messages; None: no index


CASES = (Case("day", 1 << 62), *(Case(f"{n:,}", n) for n in STRETCHES), Case("no index", None))


def row(number: int, stretch: int, random: Random) -> Row:
    key = START_MS + number // 16 << 16 | number % 16
    return (
        key, random.randbytes(8), "SM", 1, "outbound-api", "queued", 1, key >> 16, None,
        (key >> 16) + 36_000_000, None, 0, 0, random.randbytes(110), number << 32 | 1,
        random.randbytes(60), number << 32 | 2, None, None, stretch, 5,
        random.getrandbits(64) - (1 << 63), 0, 4711, f"queued {key >> 16} -\n", None, None,
    )  # fmt: skip


def measure(case: Case, messages: int, folder: Path) -> tuple[float, float]:
    """CPU µs of a message of the median batch, once the first quarter is in, and of a probe."""
    path = folder / "hushwire.db"
    db, random, spent = Database(path, alone=True), Random(7), list[float]()
    db.migrate()
    if case.stretch is None:
        db._execute("DROP INDEX message_to", ())
    length = case.stretch or 1
    for first in range(0, messages, BATCH):
        rows = [row(n, n // length, random) for n in range(first, first + BATCH)]
        began = time.process_time()
        with db:
            db.many("insert_message", rows)
        if first > messages // 4:
            spent.append((time.process_time() - began) / BATCH * 1e6)
    probe_us = 0.0
    if case.stretch is not None:
        probes = [(random.randrange(messages // length + 1), n) for n in range(5_000)]
        began = time.process_time()
        for probe in probes:
            list(db._execute(PROBE, probe))
        probe_us = (time.process_time() - began) / len(probes) * 1e6
    db.close()
    for file in folder.iterdir():
        file.unlink()
    return statistics.median(spent), probe_us


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=80_000)
    parser.add_argument("--dir", help="where the files lie (default: the temporary directory)")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {case.name: [] for case in CASES}
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-index-") as folder:
        for _ in range(options.rounds):
            for case in CASES:
                found[case.name].append(measure(case, options.messages, Path(folder)))
    table = Table("messages a stretch", "CPU µs a message", "CPU µs a probe")
    for name, figures in found.items():
        inserts, probes = zip(*figures, strict=True)
        table.add_row(name, f"{statistics.median(inserts):.1f}", f"{statistics.median(probes):.1f}")
    Console(width=None if os.isatty(1) else 100).print(table)


if __name__ == "__main__":
    main()
