"""Where a running server spends its time, by py-spy, summed by part of the program."""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

# The first frame, from the innermost outwards, whose file matches names the part.
PARTS = (
    ("hushwire/store/", "store: rows, transaction, commit"),
    ("hushwire/vault/", "vault: seal, open, key slots"),
    ("hushwire/webhooks/", "callbacks: sign, payload, outcome"),
    ("hushwire/outbound/", "callbacks: HTTP client"),
    ("hushwire/carriers/", "carrier"),
    ("hushwire/dispatch/", "dispatch: claim, submit, receive"),
    ("hushwire/domain/", "domain: advance, text, phone"),
    ("hushwire/actions/", "actions: scope, routing"),
    ("hushwire/api/", "API: authenticate, parse, answer"),
    ("hushwire/", "hushwire: the rest"),
    ("uvicorn/", "uvicorn"),
    ("starlette/", "starlette"),
)
LOOP = "event loop and sockets"


def sampler() -> str | None:
    """The path of py-spy beside this Python, or on the PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


class Sampling:
    """py-spy watching one process for some seconds, while the load runs."""

    def __init__(self, command: str, pid: int, seconds: float) -> None:
        self._file = tempfile.NamedTemporaryFile(suffix=".raw")  # noqa: SIM115  closed in shares
        duration = str(max(1, round(seconds)))
        self._process = subprocess.Popen(
            [command, "record", "--pid", str(pid), "--duration", duration, "--rate", "250",
             "--format", "raw", "--full-filenames", "--nonblocking", "--output", self._file.name],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def shares(self) -> list[tuple[str, float]]:
        """Percent of the samples by part, largest first; empty when py-spy could not look."""
        _, complaint = self._process.communicate(timeout=60)
        with self._file:
            text = self._file.read().decode(errors="replace")
        if not text:
            sys.stderr.write("py-spy: " + complaint.decode(errors="replace")[-300:] + "\n")
            return []
        counts: Counter[str] = Counter()
        for line in text.splitlines():
            stack, _, count = line.rpartition(" ")
            counts[part_of(stack)] += int(count)
        total = counts.total()
        return [(part, 100 * count / total) for part, count in counts.most_common()]


def part_of(stack: str) -> str:
    """The part a stack (outermost frame first, `;` between) belongs to."""
    for frame in reversed(stack.split(";")):
        for mark, part in PARTS:
            if mark in frame:
                return part
        if "asyncio/" in frame:
            return LOOP
    return LOOP
