"""What Hushwire carries: rates as ratios to an empty handler, CPU, latency, memory.

    .venv/bin/python bench/run.py [--rounds 3] [--seconds 5] [--quick] [--profile]
                                  [--json FILE] [--write-docs]

Each round starts the empty handler and the real server afresh and runs every case, so that
the machine's noise hits all alike. Loopback only, bounded in count and time. The exit code
is 1 when a gate is missed or the measurement failed. docs/reference/performance.md explains
the figures.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import report
import uvloop
from hotspots import Sampling, sampler
from load import BenchError, Load, Run, sends
from process import Server, busy_s, cores, empty_server, fdatasyncs, hushwire
from report import Phase, Round
from rich.console import Console
from sink import Sink

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "performance.md"
CONNECTIONS = 128
RECEIPT_MS = 50
PACED_MPS = 12  # ten hours of it, which a queue holds, are more than a phase accepts
DRAIN_S = 60.0  # how long what was accepted may take to be delivered and called back
MOST = 300_000  # messages a phase


class Plan(NamedTuple):
    """What to run, and where."""

    seconds: float
    command: list[str]
    folder: Path
    core: set[int]  # of the server
    load_core: set[int]
    profile: bool
    console: Console

    @property
    def warm_s(self) -> float:
        return min(1.0, self.seconds / 3)


class Watch:
    """CPU and memory of a server over one phase, and what others took of its cores."""

    def __init__(self, plan: Plan, server: Server) -> None:
        self._server = server
        self._cores = plan.core | plan.load_core
        self._rss = server.rss_mib()
        self._before = self._now()
        self.begun = time.perf_counter()

    def _now(self) -> tuple[float, float, float]:
        return self._server.cpu_s(), time.process_time(), busy_s(self._cores)

    def phase(self, run: Run, done_at: float) -> Phase:
        """The figures of a phase that ends now; `done_at` is when its work was done."""
        server_s, own_s, busy = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        wall_s = (time.perf_counter() - self.begun) * len(self._cores)
        return Phase(
            messages=run.accepted,
            rate=run.accepted / (done_at - self.begun),
            cpu_us=server_s / run.accepted * 1e6,
            p50_ms=run.p50_ms,
            p99_ms=run.p99_ms,
            rss_before_mib=self._rss,
            rss_after_mib=self._server.rss_mib(),
            others=max(0.0, busy - server_s - own_s) / wall_s,
        )


def with_half(phase: Phase, half: Run) -> Phase:
    return phase._replace(half_p50_ms=half.p50_ms, half_p99_ms=half.p99_ms)


async def delivered(server: Server, count: int) -> float:
    """Wait until `count` messages are delivered; when that was seen (perf_counter)."""
    until = time.perf_counter() + DRAIN_S
    while (now := server.metric("hushwire_receipts_total", 'result="applied"')) < count:
        if time.perf_counter() > until:
            raise BenchError(f"only {now:,.0f} of {count:,.0f} messages were delivered")
        await asyncio.sleep(0.02)
    return time.perf_counter()


async def ceiling(plan: Plan) -> Phase:
    with empty_server(plan.core) as server:
        load = Load(server.port, sends(server.who))
        await load.connect(CONNECTIONS)
        await load.flat_out(plan.warm_s, MOST)
        watch = Watch(plan, server)
        run = await load.flat_out(plan.seconds, MOST)
        phase = watch.phase(run, time.perf_counter())
        half = await load.steady(run.rate / 2, min(plan.seconds, 3.0))
        load.close()
        return with_half(phase, half)


async def accept(plan: Plan) -> Phase:
    """Accept and make durable. The sender is paced, so that all of it waits for its turn."""
    with hushwire(plan.core, plan.folder, plan.command, RECEIPT_MS, mps=PACED_MPS) as server:
        load = Load(server.port, sends(server.who))
        await load.connect(CONNECTIONS)
        await load.flat_out(plan.warm_s, MOST)
        watch = Watch(plan, server)
        sampling = _sampling(plan, server)
        run = await load.flat_out(plan.seconds, MOST)
        accepted_at = time.perf_counter()
        phase = watch.phase(run, accepted_at)
        _show(plan, "accept", sampling)
        half = await load.steady(run.rate / 2, min(plan.seconds, 3.0))
        load.close()
        return with_half(phase, half)


async def quiet(plan: Plan) -> Phase:
    """From accept to delivered, nobody called back."""
    with hushwire(plan.core, plan.folder, plan.command, RECEIPT_MS) as server:
        load = Load(server.port, sends(server.who))
        await load.connect(CONNECTIONS)
        warm = await load.flat_out(plan.warm_s, MOST)
        await delivered(server, warm.accepted)
        watch = Watch(plan, server)
        run = await load.flat_out(plan.seconds, MOST)
        done_at = await delivered(server, warm.accepted + run.accepted)
        load.close()
        return watch.phase(run, done_at)


async def whole(plan: Plan) -> Phase:
    """From accept to the last answered callback: `sent` and `delivered` for each message."""
    async with Sink() as sink:
        with hushwire(plan.core, plan.folder, plan.command, RECEIPT_MS) as server:
            load = Load(server.port, sends(server.who, sink.url))
            await load.connect(CONNECTIONS)
            warm = await load.flat_out(plan.warm_s, MOST)
            await _called_back(sink, 2 * warm.accepted)
            watch = Watch(plan, server)
            sampling = _sampling(plan, server)
            run = await load.flat_out(plan.seconds, MOST)
            await _called_back(sink, 2 * (warm.accepted + run.accepted))
            load.close()
            phase = watch.phase(run, sink.last_at)
            _show(plan, "whole life with callbacks", sampling)
        if sink.unsigned:
            raise BenchError(f"{sink.unsigned:,} callbacks carried no signature")
        if sink.repeated:
            plan.console.print(f"{sink.repeated:,} callbacks came more than once")
        return phase


async def _called_back(sink: Sink, count: int) -> None:
    if not await sink.until(count, DRAIN_S):
        raise BenchError(f"only {len(sink.seen):,} of {count:,} callbacks came")


def _sampling(plan: Plan, server: Server) -> Sampling | None:
    command = sampler() if plan.profile else None
    return Sampling(command, server.pid, plan.seconds) if command is not None else None


def _show(plan: Plan, case: str, sampling: Sampling | None) -> None:
    if sampling is not None and (shares := sampling.shares()):
        plan.console.print(report.bars(f"Where the time goes, {case}: % of samples", shares))


async def measure(plan: Plan, count: int) -> list[Round]:
    rounds: list[Round] = []
    for number in range(1, count + 1):
        disk = fdatasyncs(plan.folder, 0.5)
        phases: dict[str, Phase] = {}
        for case in (ceiling, accept, quiet, whole):
            plan.console.print(f"round {number} of {count}: {report.CASES[case.__name__]} …")
            phases[case.__name__] = await case(plan)
        rounds.append(Round(disk, phases))
    return rounds


def server_command() -> list[str]:
    """How to start the server that belongs to this Python."""
    installed = Path(sys.executable).with_name("hushwire")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "hushwire"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of full load a case")
    parser.add_argument("--quick", action="store_true", help="one round of 2 seconds a case")
    parser.add_argument("--profile", action="store_true", help="where the time goes, by py-spy")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--write-docs", action="store_true", help=f"fill {PAGE.name}")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="disk")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 130)
    core, load_core = cores()
    if core == load_core:
        console.print("One core only: server and load share it, so the ratios say little.")
    os.sched_setaffinity(0, load_core)
    rounds, seconds = (1, 2.0) if options.quick else (options.rounds, options.seconds)
    plan = Plan(seconds, server_command(), options.dir, core, load_core, options.profile, console)
    if options.profile and sampler() is None:
        console.print("py-spy is not installed: no profile (pip install py-spy)")
    try:
        figures = uvloop.run(measure(plan, rounds))
    except BenchError as failure:
        console.print(f"The measurement failed: {failure}.")
        return 1
    report.show(console, figures)
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(figures), indent=1), encoding="utf-8")
    if options.write_docs:
        report.write_docs(PAGE, figures)
    missed = any(gate.verdict(figures) == "MISSED" for gate in report.GATES)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
