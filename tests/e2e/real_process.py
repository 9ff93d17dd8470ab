"""One server process after another on the same data: started, armed, killed."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

from harness import RunningServer

SMALL = {  # the smallest vault there is, so that it grows under a short load
    "HUSHWIRE_SIMULATOR_RECEIPT_MS": "20",
    "HUSHWIRE_DISK_RESERVE_MB": "1",
    "HUSHWIRE_VAULT_SLOTS_PER_FILE": "1024",
}

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HELLO = b"To=%2B14155550101&From=%2B15005550006&Body=Hello"


def environment(**more: str) -> dict[str, str]:
    """This process's environment without any setting of ours, and `more`."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("HUSHWIRE_")}, **more}


def command(data: Path, *flags: str) -> list[str]:
    return [sys.executable, "-m", "hushwire", "up", "--port", "0", "--data", str(data), *flags]


def run_up(data: Path, *flags: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`hushwire up` that is expected to end by itself, within ten seconds."""
    return subprocess.run(
        command(data, *flags), env=environment(**SMALL, **settings), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip


def refused(data: Path, *flags: str, **settings: str) -> str:
    """The one sentence of a server that refuses to start with exit code 78."""
    found = run_up(data, *flags, **settings)
    assert found.returncode == 78, (found.returncode, found.stderr)
    lines = found.stderr.strip().splitlines()
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in found.stderr
    assert found.stdout == ""
    return lines[0]


class Process(RunningServer):
    """A server that may be left alone while it starts, and given other settings in each life."""

    def __init__(self, data: Path, *flags: str, cwd: Path | None = None, **settings: str) -> None:
        super().__init__(data, *flags, **settings)
        self.flags = flags
        self.settings = {**SMALL, **settings}
        self.cwd = cwd

    def launch(self, **settings: str) -> None:
        """Start the process without waiting for it. `settings` count for this life only."""
        # A credentials file tells that the server of this life accepts requests.
        (self.data / "credentials.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command(self.data, *self.flags), env=environment(**{**self.settings, **settings}),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd,
            )  # fmt: skip

    def ready(self, within_s: float = 20) -> bool:
        """Wait until it accepts requests; False when it died before that."""
        assert self.process is not None
        deadline = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"not ready: {self.log.read_text()}"
            with suppress(OSError, ValueError):
                self.credentials = json.loads((self.data / "credentials.json").read_text())
                with urllib.request.urlopen(self.url + "/readyz", timeout=5):
                    return True
            time.sleep(0.01)
        return False

    def start(self, wait_s: float = 20) -> "Process":
        self.launch()
        assert self.ready(wait_s), f"it ended: {self.log.read_text()}"
        return self

    def ended(self, within_s: float) -> int:
        """The exit code of a process that ends by itself (-9: killed)."""
        assert self.process is not None
        return self.process.wait(within_s)

    def sent(self, more: bytes = b"") -> str:
        """Send a text, with `more` fields; its SID."""
        status, _, answer = self.request("POST", self.messages_path, HELLO + more, FORM)
        assert status == 201, answer
        return str(json.loads(answer)["sid"])

    def status_of(self, sid: str) -> str:
        return str(self.json("GET", self.message_path(sid))[1]["status"])

    @property
    def messages_path(self) -> str:
        return f"/2010-04-01/Accounts/{self.sid}/Messages.json"

    def message_path(self, sid: str) -> str:
        return f"/2010-04-01/Accounts/{self.sid}/Messages/{sid}.json"
