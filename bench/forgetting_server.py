"""Forgetting in the real server, beside traffic: what it costs a message, and how late it comes."""

import asyncio
import base64
import http.client
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from forgetting_figures import Figure
from load import BenchError, Load, quantile_ms, sends
from process import Server, hushwire
from rich.progress import Progress
from run import CONNECTIONS, RECEIPT_MS, delivered, server_command

RATE = 200.0  # messages a second
HOLD_S = 1  # after the hand-over: the recovery hold
FEW = 4  # connections: one that is idle for seconds is closed
WAIT_S = 60.0


async def hot_path(folder: Path, core: set[int], seconds: float, bar: Progress) -> list[Figure]:
    """The server's CPU a message with both switches off, and on; redactions included."""
    off = await _cpu_us(folder, core, seconds, bar, redacts=False)
    on = await _cpu_us(folder, core, seconds, bar, redacts=True)
    return [
        Figure("a message, switches off", off, "µs CPU", "accept to receipt, no callbacks"),
        Figure("a message, both switches on", on, "µs CPU", "and redacted after a hold of 1 s"),
        Figure("what redaction adds", on - off, "µs CPU", "two switches, two keys"),
    ]


async def _cpu_us(
    folder: Path, core: set[int], seconds: float, bar: Progress, *, redacts: bool
) -> float:
    line = bar.add_task(f"hot path, switches {'on' if redacts else 'off'}", total=None)
    with hushwire(core, folder, server_command(), RECEIPT_MS) as server, _load(server) as load:
        if redacts:
            _switch_on(server)
        await load.connect(CONNECTIONS)
        warm = await load.flat_out(1.0, 100_000)
        await _forgotten(server, warm.accepted, redacts=redacts)
        before = server.cpu_s()
        run = await load.flat_out(seconds, 200_000)
        await _forgotten(server, warm.accepted + run.accepted, redacts=redacts)
        used = server.cpu_s() - before
    bar.remove_task(line)
    return used / run.accepted * 1e6


async def latency(folder: Path, core: set[int], seconds: float, bar: Progress) -> list[Figure]:
    """From the end of a message's last hold to the commit that destroys its keys."""
    line = bar.add_task(f"{RATE:.0f} messages a second, redacted", total=None)
    with hushwire(core, folder, server_command(), RECEIPT_MS) as server, _load(server) as load:
        _switch_on(server)
        await load.connect(FEW)
        run = await load.steady(RATE, seconds)
        await _forgotten(server, run.accepted, redacts=True)
        (path,) = folder.glob("hushwire-bench-*/hushwire.db")
        late = sorted(_late_s(path))
    bar.remove_task(line)
    if len(late) != run.accepted:
        raise BenchError(f"{len(late):,} of {run.accepted:,} redactions are on record")
    of = f"{len(late):,} messages at {RATE:.0f} a second"
    return [
        Figure("hold released to keys destroyed, p50", quantile_ms(late, 0.5), "ms", of),
        Figure("hold released to keys destroyed, p99", quantile_ms(late, 0.99), "ms", of,
               at_most=5_000),
    ]  # fmt: skip


@contextmanager
def _load(server: Server) -> Iterator[Load]:
    load = Load(server.port, sends(server.who))
    try:
        yield load
    finally:
        load.close()


def _switch_on(server: Server) -> None:
    """Both switches, and a short hold after the hand-over."""
    wanted = {"redact_body": True, "redact_numbers": True, "windows_s": {"recovery": HOLD_S}}
    who = server.who
    basic = base64.b64encode(f"{who.account_sid}:{who.auth_token}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(
            "PUT", f"/hushwire/v1/accounts/{who.account_sid}/privacy", json.dumps(wanted),
            {"Authorization": f"Basic {basic}", "Content-Type": "application/json"},
        )  # fmt: skip
        answer = connection.getresponse()
        if answer.status != 200:
            raise BenchError(f"the switches answer {answer.status}: {answer.read()[:200]!r}")
    finally:
        connection.close()


async def _forgotten(server: Server, count: int, *, redacts: bool) -> None:
    """Wait until so many messages are delivered and, with switches on, their keys destroyed."""
    await delivered(server, count)
    until = time.perf_counter() + WAIT_S
    while redacts and (now := server.total("hushwire_keys_shredded_total")) < 2 * count:
        if time.perf_counter() > until:
            raise BenchError(f"only {now:,.0f} of {2 * count:,} keys were destroyed")
        await asyncio.sleep(0.05)


def _late_s(path: Path) -> Iterator[float]:
    """Of each message: seconds from the end of its hold to the record of its redaction."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        done: dict[str, int] = {}
        for at_ms, subjects in db.execute(
            "SELECT at_ms, subjects FROM audit WHERE what = 'message.redacted'"
        ):
            done.update((sid, at_ms) for sid in subjects.split())
        for key, tail, history in db.execute("SELECT key, tail, history FROM message"):
            raw = key.to_bytes(8, "big")
            sid = "SM" + (raw[:6] + tail[:2] + raw[6:] + tail[2:]).hex()
            handed = next(line for line in history.splitlines() if line.startswith("handed "))
            if sid in done:
                yield max(0, done[sid] - int(handed.split()[1]) - HOLD_S * 1000) / 1000
