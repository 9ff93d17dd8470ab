"""The server under test as a process of its own: started, pinned, watched, stopped."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from load import NOBODY, BenchError, Credentials

READY_S = 30.0
STOP_S = 30.0
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Server:
    """A running server on a loopback port."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, who: Credentials) -> None:
        self.pid = process.pid
        self.port = port
        self.who = who

    def cpu_s(self) -> float:
        """User and system seconds of all its threads so far, in steps of 10 ms."""
        text = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S

    def rss_mib(self) -> float:
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * PAGE / 2**20

    def metric(self, name: str, label: str) -> float:
        """One figure of `/metrics`; 0 when it was never counted."""
        status, text = get(self.port, "/metrics")
        if status != 200:
            raise BenchError(f"GET /metrics answers {status}")
        found = re.search(rf"^{name}\{{{re.escape(label)}\}} (\S+)", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def total(self, name: str) -> float:
        """A figure of `/metrics` without labels."""
        _, text = get(self.port, "/metrics")
        found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
        return float(found[1]) if found else 0.0


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def cores() -> tuple[set[int], set[int]]:
    """One core for the server and one for the load; the same when there is only one."""
    free = sorted(os.sched_getaffinity(0))
    return {free[0]}, {free[min(1, len(free) - 1)]}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def busy_s(over: set[int]) -> float:
    """Seconds that these cores worked for any process so far (interrupts left out)."""
    total = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in over:
            user, nice, system, steal = (int(ticks[n]) for n in (0, 1, 2, 7))
            total += user + nice + system + steal
    return total * TICK_S


@contextmanager
def empty_server(core: set[int]) -> Generator[Server, None, None]:
    """The ceiling: `empty.py`."""
    port = free_port()
    script = Path(__file__).with_name("empty.py")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, str(script), str(port)], stdout=log, stderr=log)
        with _running(process, port, core, "/"):
            yield Server(process, port, NOBODY)


@contextmanager
def hushwire(
    core: set[int],
    folder: Path,
    command: list[str],
    receipt_ms: int,
    mps: float | None = None,
) -> Generator[Server, None, None]:
    """The real server on a data directory of its own under `folder`.

    `mps` paces its number: what is accepted then waits in the table for its turn.
    """
    port = free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("HUSHWIRE_")}
    env["HUSHWIRE_SIMULATOR_RECEIPT_MS"] = str(receipt_ms)
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix="hushwire-bench-") as data,
        tempfile.TemporaryFile() as log,
    ):
        up = [*command, "up", "--data", data, "--port", str(port)]

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(up, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)

        if mps is not None:
            with _running(start(), port, core, "/readyz"):
                pass
            with closing(sqlite3.connect(Path(data) / "hushwire.db")) as db, db:
                db.execute("UPDATE number SET mps = ?", (mps,))
        process = start()
        try:
            with _running(process, port, core, "/readyz"):
                text = (Path(data) / "credentials.json").read_text(encoding="utf-8")
                found = json.loads(text)
                who = Credentials(*(found[name] for name in Credentials._fields))
                yield Server(process, port, who)
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-4000:].decode(errors="replace"))
            raise


@contextmanager
def _running(
    process: subprocess.Popen[bytes], port: int, core: set[int], path: str
) -> Generator[None, None, None]:
    try:
        os.sched_setaffinity(process.pid, core)  # threads it starts later inherit this
        _wait_ready(process, port, path)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise BenchError(f"the server ended at start with code {process.returncode}")
        with suppress(OSError):
            if get(port, path)[0] in (200, 201):
                return
        time.sleep(0.05)
    raise BenchError(f"the server was not ready after {READY_S:.0f} s")


def fdatasyncs(folder: Path, seconds: float) -> float:
    """How often a second this disk makes 8 kB durable, in a file that does not grow."""
    size, blocks = 8192, 256
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        fd, block = file.fileno(), os.urandom(size)
        for n in range(blocks):
            os.pwrite(fd, block, n * size)
        os.fsync(fd)
        count, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < seconds:
            os.pwrite(fd, block, count % blocks * size)
            os.fdatasync(fd)
            count += 1
        return count / (time.perf_counter() - begun)
