"""A real server for tests: `hushwire up` as a process of its own, and plain HTTP to it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from email.message import Message
from pathlib import Path
from typing import Any, Final, Self

from msgspec import Struct

# Quick to make and quick to search; a phone that answers at once; no demands on the disk.
SMALL: Final = {
    "HUSHWIRE_SIMULATOR_RECEIPT_MS": "20",
    "HUSHWIRE_DISK_RESERVE_MB": "1",
    "HUSHWIRE_VAULT_SLOTS_PER_FILE": "16384",
}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
JSON: Final = {"Content-Type": "application/json"}

_TIMEOUT_S: Final = 60.0  # moving the clock may take 30
# A proxy of the environment must not see what a test says to itself.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerFailed(Exception):
    """The server did not start. The text has its exit code and the end of its log."""


class Answer(Struct, frozen=True):
    """An HTTP answer. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The JSON of the body; `{}` when there is none."""
        return json.loads(self.body) if self.body else {}


class ServerProcess:
    """`hushwire up` on `data`, a directory that outlives it, on a free port.

    The environment's own `HUSHWIRE_…` do not count, only `settings` (by the names of the
    environment). The log goes to `log`. A `detached` server does not hear the terminal's Ctrl-C.
    """

    def __init__(
        self, data: Path, *flags: str, settings: Mapping[str, str] | None = None,
        log: Path | None = None, detached: bool = False,
    ) -> None:  # fmt: skip
        self.data = data
        self.log = log or data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.credentials: dict[str, str] = {}
        self._flags = flags
        self._settings = {**SMALL, **(settings or {})}
        self._detached = detached

    def start(self, wait_s: float = 20.0) -> Self:
        """Start and wait until it accepts. Raises ServerFailed."""
        # A credentials file tells that the server of this start accepts requests.
        (self.data / "credentials.json").unlink(missing_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HUSHWIRE_")}
        command = [sys.executable, "-m", "hushwire", "up", "--port", "0", "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603  this very program
                [*command, *self._flags], env={**kept, **self._settings}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=self._detached,
            )  # fmt: skip
        deadline = time.monotonic() + wait_s
        while not self._ready():
            code = self.process.poll()
            if code is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace").strip()[-2000:]
                raise ServerFailed(f"the server did not start (exit {code}): {said}")
            time.sleep(0.01)
        return self

    def stop(self, within_s: float = 20.0) -> int:
        """Ctrl-C, or a kill when that does not help; the exit code (0 before a start)."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    @property
    def url(self) -> str:
        return self.credentials["url"]

    @property
    def account_sid(self) -> str:
        return self.credentials["account_sid"]

    @property
    def auth_token(self) -> str:
        return self.credentials["auth_token"]

    @property
    def number(self) -> str:
        """The first number the account owns, E.164."""
        return self.credentials["phone_number"]

    def account_path(self, rest: str) -> str:
        """A path of Twilio's 2010 API, such as `/Messages.json`, below the account."""
        return f"/2010-04-01/Accounts/{self.account_sid}{rest}"

    def ask(
        self, method: str, path: str, body: bytes | None = None,
        headers: Mapping[str, str] | None = None, *, auth: bool = True,
    ) -> Answer:  # fmt: skip
        """A plain request; any status is an answer. Raises OSError or HTTPException for none."""
        request = urllib.request.Request(self.url + path, body, method=method)  # noqa: S310
        if auth:
            basic = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
            request.add_header("Authorization", f"Basic {basic}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                return Answer(answer.status, _lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _lower(error.headers), error.read())

    def ask_json(self, method: str, path: str, content: object = None) -> Answer:
        """A request with a JSON body, as the sandbox wants it."""
        body = None if content is None else json.dumps(content).encode()
        return self.ask(method, path, body, JSON)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ready(self) -> bool:
        with suppress(OSError, ValueError):
            self.credentials = json.loads((self.data / "credentials.json").read_bytes())
            with _OPENER.open(f"{self.url}/readyz", timeout=5):
                return True
        return False


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
