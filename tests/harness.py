"""What tests of the real process share: a server on a free port, and a callback receiver."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote

from twilio.rest import Client


class RunningServer:
    """`hushwire up` as a process of its own, on a data directory that outlives it."""

    def __init__(self, data: Path, *flags: str, **environment: str) -> None:
        self.data = data
        self._flags = flags
        self._environment = {"HUSHWIRE_SIMULATOR_RECEIPT_MS": "20", "HUSHWIRE_DISK_RESERVE_MB": "1",
                             "HUSHWIRE_VAULT_SLOTS_PER_FILE": "16384", **environment}  # fmt: skip
        self.log = data.parent / f"{data.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait_s: float = 20) -> "RunningServer":
        """Start and wait until it accepts."""
        (self.data / "credentials.json").unlink(missing_ok=True)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HUSHWIRE_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hushwire", "up", "--port", "0",
                 "--data", str(self.data), *self._flags],
                env={**environment, **self._environment}, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"exit {self.process.returncode}: {self.log.read_text()}")
            with suppress(OSError, ValueError):
                self.credentials = json.loads((self.data / "credentials.json").read_text())
                with urllib.request.urlopen(self.url + "/readyz", timeout=1):
                    return self
            time.sleep(0.02)
        raise AssertionError(f"not ready after {wait_s} s: {self.log.read_text()}")

    @property
    def url(self) -> str:
        return str(self.credentials["url"])

    @property
    def sid(self) -> str:
        return str(self.credentials["account_sid"])

    @property
    def token(self) -> str:
        return str(self.credentials["auth_token"])

    @property
    def number(self) -> str:
        return str(self.credentials["phone_number"])

    def client(self) -> Client:
        """The official SDK, pointed here."""
        client = Client(self.sid, self.token)
        client.api.base_url = self.url
        return client

    def request(
        self, method: str, path: str, body: bytes | None = None,
        headers: Mapping[str, str] | None = None, *, auth: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """A plain HTTP request: (status, headers in lower case, body)."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if auth:
            basic = b64encode(f"{self.sid}:{self.token}".encode()).decode()
            request.add_header("Authorization", f"Basic {basic}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return (
                    answer.status,
                    {k.lower(): v for k, v in answer.headers.items()},
                    answer.read(),
                )
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _lower(error.headers), error.read()

    def json(self, method: str, path: str, content: object = None) -> tuple[int, dict]:  # type: ignore[type-arg]
        """A JSON request, for the sandbox."""
        body = json.dumps(content).encode() if content is not None else None
        status, _, answer = self.request(method, path, body, {"Content-Type": "application/json"})
        return status, json.loads(answer) if answer else {}

    def behave(self, number: str, behaviour: str) -> None:
        status, _ = self.json("POST", f"/sandbox/phones/{quote(number)}", {"behaviour": behaviour})
        assert status == 200

    def screen(self, number: str) -> list[dict]:  # type: ignore[type-arg]
        status, answer = self.json("GET", f"/sandbox/phones/{quote(number)}/messages")
        assert status == 200
        return answer["messages"]

    def advance(self, seconds: int) -> dict:  # type: ignore[type-arg]
        status, answer = self.json("POST", "/sandbox/clock", {"advance_s": seconds})
        assert status == 200, (status, answer)
        return answer

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, within_s: float = 20) -> int:
        """Ctrl-C; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(within_s)

    def __enter__(self) -> "RunningServer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class Callback:
    """One callback as it arrived."""

    def __init__(self, path: str, headers: dict[str, str], form: dict[str, str]) -> None:
        self.path = path
        self.headers = headers  # names in lower case
        self.form = form


class Receiver:
    """A customer's webhook endpoint. `answer(callback)` gives the status; it may block."""

    def __init__(self, answer: object = None) -> None:
        self.callbacks: list[Callback] = []
        self.arrived = threading.Condition()
        self.answer = answer
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length", "0"))
                form = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
                headers = {k.lower(): v for k, v in self.headers.items()}
                callback = Callback(self.path, headers, form)
                with receiver.arrived:
                    receiver.callbacks.append(callback)
                    receiver.arrived.notify_all()
                status = receiver.answer(callback) if callable(receiver.answer) else 200
                with suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/status") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def wait(self, count: int, within_s: float = 15) -> list[Callback]:
        """The callbacks once there are at least `count`."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.callbacks) >= count, within_s), (
                f"{len(self.callbacks)} of {count} callbacks came"
            )
            return list(self.callbacks)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def wait_for(condition: object, within_s: float = 15) -> None:
    """Wait until `condition()` is true."""
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
