"""What forgetting costs: keys destroyed a second, sweeps, reports, rotation; and on the hot path.

    .venv/bin/python bench/forgetting.py [--messages 20000] [--sweep 20000] [--seconds 4]
                                         [--dir DIR] [--json FILE] [--write-docs]

`--sweep 1000000` takes some minutes and a gigabyte. In one process, but for the hot path: that
is the real server, as in run.py. docs/reference/performance.md explains the figures.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import forgetting_server
import forgetting_store
import uvloop
from forgetting_figures import Figure
from process import cores, fdatasyncs
from report import table_markdown
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- forgetting: begin -->", "<!-- forgetting: end -->"
HEADINGS = ("what", "figure", "of")


async def measure(options: argparse.Namespace, bar: Progress) -> list[Figure]:
    core, load_core = cores()
    found = forgetting_store.crypto()
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-bench-") as folder:
        found += await forgetting_store.by_hand(Path(folder), options.messages, bar)
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-bench-") as folder:
        found += await forgetting_store.by_age(Path(folder), options.sweep, bar)
    os.sched_setaffinity(0, load_core)
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-bench-") as folder:
        found += await forgetting_server.hot_path(Path(folder), core, options.seconds, bar)
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="hushwire-bench-") as folder:
        found += await forgetting_server.latency(Path(folder), core, 2 * options.seconds, bar)
    return found


def machine(folder: Path) -> str:
    parts = (
        platform.machine(), platform.system(), f"{len(os.sched_getaffinity(0))} cores",
        f"CPython {platform.python_version()}", f"apsw {version('apsw')}",
        f"{fdatasyncs(folder, 0.5):,.0f} fdatasync/s of 8 kB",
    )  # fmt: skip
    return f"{datetime.now(UTC):%Y-%m-%d}; {', '.join(parts)}"


def show(console: Console, where: str, figures: list[Figure]) -> None:
    table = Table(title=f"Forgetting ({where})", title_justify="left")
    for n, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if n == 1 else "left")
    for figure in figures:
        table.add_row(*figure.row())
    console.print(table)


def write_docs(where: str, figures: list[Figure]) -> None:
    """Put the table between the page's two marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} has no marks {BEGIN} … {END}")
    table = table_markdown(HEADINGS, [figure.row() for figure in figures])
    PAGE.write_text(
        "\n\n".join((before + BEGIN, f"{where}.", table, END + after)), encoding="utf-8"
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000, help="redacted, deleted, rotated")
    parser.add_argument("--sweep", type=int, default=20_000, help="messages that are too old")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load on the hot path")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--write-docs", action="store_true", help=f"fill {PAGE.name}")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 130)
    where = machine(options.dir)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        figures = uvloop.run(measure(options, bar))
    show(console, where, figures)
    if options.json is not None:
        rows = [figure._asdict() for figure in figures]
        options.json.write_text(json.dumps({"machine": where, "figures": rows}, indent=1))
    if options.write_docs:
        write_docs(where, figures)
    return 1 if any(figure.missed for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
