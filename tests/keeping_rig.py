"""What tests of backups share: the commands as processes, traffic, and a look at what is left."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

from harness import RunningServer, wait_for
from hushwire.testing.server import SMALL

ALICE, BOB = "+14155550171", "+14155550172"


def run(*arguments: object, timeout_s: float = 60, **settings: str) -> tuple[int, str, str]:
    """A command as a process of its own: exit code, what it printed, what it said was wrong."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUSHWIRE_")}
    done = subprocess.run(
        [sys.executable, "-m", "hushwire", *map(str, arguments)], env={**kept, **SMALL, **settings},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def back_up(data: Path, to: Path, **settings: str) -> Path:
    """A backup that must succeed; where it is."""
    code, out, err = run("backup", to, "--data", data, "--json", **settings)
    assert code == 0, err
    return Path(json.loads(out)["path"])


def refused(exit_code: int, *arguments: object, **settings: str) -> str:
    """The one sentence of a command that must end with that code."""
    code, out, err = run(*arguments, **settings)
    assert code == exit_code, (code, err)
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    return err


def delivered(server: RunningServer, body: str, to: str = ALICE) -> str:
    """A message that was delivered; its SID."""
    message = server.client().messages.create(to=to, from_=server.number, body=body)
    assert message.sid is not None
    wait_for(lambda: message.fetch().status == "delivered")
    return message.sid


def bodies(server: RunningServer) -> dict[str, str]:
    """What the server gives of its messages: SID → body."""
    found = server.client().messages.list()
    return {str(message.sid): str(message.body) for message in found}


def holds(directory: Path, content: bytes) -> list[Path]:
    """The files below a directory in which those bytes are."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    return [path for path in paths if content in path.read_bytes()]


class Traffic:
    """Messages sent one after another, from a thread, until it is stopped."""

    def __init__(self, server: RunningServer) -> None:
        self.sids: list[str] = []
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def _send(self) -> None:
        client = self._server.client()
        while not self._stop.is_set():
            message = client.messages.create(to=BOB, from_=self._server.number, body="Traffic")
            self.sids.append(str(message.sid))

    def wait(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.sids) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
