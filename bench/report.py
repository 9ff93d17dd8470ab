"""Figures to tables: on the terminal, in JSON, and in docs/reference/performance.md."""

import platform
import statistics
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

NOISY = 0.10  # others took more of the cores: rates say more about them than about us

CASES = {
    "ceiling": "empty handler (ceiling)",
    "accept": "accept, durable",
    "quiet": "delivered, no callbacks",
    "whole": "delivered, 2 callbacks",
}
STEPS = (  # what one more feature costs: CPU µs of a case less those of the one before
    ("HTTP: uvicorn, httptools, one request and answer", "ceiling", None),
    ("accept: authenticate, parse, route, seal, insert, commit", "accept", "ceiling"),
    ("hand-over and receipt: mark, submit, two statuses, commits", "quiet", "accept"),
    ("2 status callbacks: sign, post, record", "whole", "quiet"),
)


class Phase(NamedTuple):
    """One case in one round."""

    messages: int
    rate: float  # a second
    cpu_us: float  # of the server process, a message
    p50_ms: float
    p99_ms: float
    rss_before_mib: float
    rss_after_mib: float
    others: float  # the share of the two cores that other processes took
    half_p50_ms: float | None = None  # of the answer, at half of the case's own maximum rate
    half_p99_ms: float | None = None


class Round(NamedTuple):
    """Every case once, within a minute of each other."""

    fdatasyncs: float  # a second
    phases: dict[str, Phase]


class Gate(NamedTuple):
    """A promise about a ratio."""

    name: str
    value: Callable[[list[Round]], float]
    must: float
    aim: float

    def verdict(self, rounds: list[Round]) -> str:
        value = self.value(rounds)
        return "aim reached" if value >= self.aim else "ok" if value >= self.must else "MISSED"


def ratio(rounds: list[Round], case: str) -> float:
    """Median over the rounds of a case's rate to the ceiling of the same round."""
    return statistics.median(r.phases[case].rate / r.phases["ceiling"].rate for r in rounds)


def cpu_ratio(rounds: list[Round], case: str) -> float:
    """The same in CPU: what it would be if nobody else used the server's core."""
    return statistics.median(r.phases["ceiling"].cpu_us / r.phases[case].cpu_us for r in rounds)


def others(rounds: list[Round]) -> float:
    """The largest share of the two cores that other processes took in any phase."""
    return max(phase.others for r in rounds for phase in r.phases.values())


def gated(rounds: list[Round], case: str) -> float:
    """The ratio the gates judge: rates on a quiet machine, else CPU."""
    return (cpu_ratio if others(rounds) > NOISY else ratio)(rounds, case)


GATES = (
    Gate("accepted/s to ceiling", partial(gated, case="accept"), 0.20, 0.35),
    Gate("delivered/s with 2 callbacks to ceiling", partial(gated, case="whole"), 0.09, 0.17),
)


def median(rounds: list[Round], case: str, field: str) -> float | None:
    values = [getattr(r.phases[case], field) for r in rounds]
    return None if None in values else statistics.median(values)


def machine(rounds: list[Round]) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "apsw"))
    disk = statistics.median(r.fdatasyncs for r in rounds)
    to_disk = statistics.median(r.phases["accept"].rate / r.fdatasyncs for r in rounds)
    return (
        f"{platform.machine()}, Linux, CPython {platform.python_version()}, {packages}; "
        f"{disk:,.0f} fdatasync/s of 8 kB, {to_disk:.2f} accepts each; "
        f"medians of {len(rounds)} interleaved rounds"
    )


HEADINGS = (
    "case", "a second", "to ceiling", "CPU µs", "CPU to ceiling", "p50 / p99 ms",
    "at 50 %: p50 / p99 ms", "RSS MiB",
)  # fmt: skip


def rows(rounds: list[Round]) -> list[tuple[str, ...]]:
    """A row a case, as text."""

    def number(case: str, field: str, digits: int = 1) -> str:
        value = median(rounds, case, field)
        return "–" if value is None else f"{value:,.{digits}f}"

    return [
        (
            title,
            number(case, "rate", 0),
            f"{ratio(rounds, case):.2f}",
            number(case, "cpu_us"),
            f"{cpu_ratio(rounds, case):.2f}",
            f"{number(case, 'p50_ms')} / {number(case, 'p99_ms')}",
            f"{number(case, 'half_p50_ms')} / {number(case, 'half_p99_ms')}",
            f"{number(case, 'rss_before_mib', 0)} → {number(case, 'rss_after_mib', 0)}",
        )
        for case, title in CASES.items()
    ]


def steps(rounds: list[Round]) -> list[tuple[str, float]]:
    """CPU µs a message that each step of its life adds."""
    cpu = {case: median(rounds, case, "cpu_us") or 0.0 for case in CASES}
    return [(name, cpu[case] - (cpu[less] if less else 0.0)) for name, case, less in STEPS]


def gates(rounds: list[Round]) -> list[tuple[str, ...]]:
    return [
        (g.name, f"{g.value(rounds):.2f}", f"{g.must:.2f}", f"{g.aim:.2f}", g.verdict(rounds))
        for g in GATES
    ]


GATE_HEADINGS = ("gate", "measured", "must", "aim", "")


def show(console: Console, rounds: list[Round]) -> None:
    console.print(machine(rounds))
    console.print(_table("Messages", HEADINGS, rows(rounds)))
    console.print(_table(f"Gates, judged by {judged_by(rounds)}", GATE_HEADINGS, gates(rounds)))
    console.print(bars("What each step adds, CPU µs a message", steps(rounds)))


def judged_by(rounds: list[Round]) -> str:
    if others(rounds) <= NOISY:
        return "rates"
    return f"CPU: other processes took up to {others(rounds):.0%} of the two cores"


def _table(title: str, headings: tuple[str, ...], lines: list[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left")
    for n, heading in enumerate(headings):
        table.add_column(heading, justify="right" if n else "left")
    for line in lines:
        table.add_row(*line)
    return table


def bars(title: str, values: list[tuple[str, float]]) -> Table:
    """A plain bar chart."""
    table = Table(title=title, title_justify="left", show_header=False, box=None)
    most = max((value for _, value in values), default=0.0) or 1.0
    for name, value in values:
        table.add_row(name, f"{value:.1f}", "█" * round(max(value, 0.0) / most * 40))
    return table


def as_json(rounds: list[Round]) -> dict[str, object]:
    return {
        "machine": machine(rounds),
        "others": others(rounds),
        "ratios": {case: ratio(rounds, case) for case in CASES},
        "cpu_ratios": {case: cpu_ratio(rounds, case) for case in CASES},
        "gates": {g.name: {"value": g.value(rounds), "must": g.must, "aim": g.aim} for g in GATES},
        "rounds": [
            {
                "fdatasyncs": r.fdatasyncs,
                **{case: phase._asdict() for case, phase in r.phases.items()},
            }
            for r in rounds
        ],
    }


def write_docs(page: Path, rounds: list[Round]) -> None:
    """Put the tables between the page's two marks."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page.name} has no marks {BEGIN} … {END}")
    cost = [(name, f"{value:.0f}") for name, value in steps(rounds)]
    parts = (
        f"{machine(rounds)}.",
        table_markdown(HEADINGS, rows(rounds)),
        f"Gates, judged by {judged_by(rounds)}:",
        table_markdown(GATE_HEADINGS, gates(rounds)),
        table_markdown(("what it adds", "CPU µs a message"), cost),
    )
    filled = "\n\n".join((before + BEGIN, *parts, END + after))
    page.write_text(filled, encoding="utf-8")


def table_markdown(headings: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    """A table as Markdown has it."""
    head = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])
