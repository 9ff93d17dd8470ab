"""What the demo plays with: a server process of its own, plain HTTP to it, a callback receiver."""

import hmac
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
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, urlencode

from msgspec import Struct

_START_S: Final = 30.0
_STOP_S: Final = 20.0
# A proxy of the environment must not see what the demo says to itself.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DemoFailed(Exception):
    """Something did not turn out as the demo promises: one sentence."""


class Answer(Struct, frozen=True):
    """An HTTP answer with its JSON object; empty when it has none."""

    status: int
    body: dict[str, Any]


class Callback(Struct, frozen=True):
    """One callback as it arrived, `at_s` on the monotonic clock."""

    at_s: float
    signature: str
    form: dict[str, str]


class World:
    """`hushwire up` under `home`, and HTTP with its credentials.

    Private things stay in memory: the journal is the server's own, which holds none.
    """

    def __init__(self, home: Path, receipt_ms: int) -> None:
        self.data = home / "data"
        self.journal = home / "journal.log"
        self._receipt_ms = receipt_ms
        self._process: subprocess.Popen[bytes] | None = None
        self._credentials: dict[str, str] = {}

    def start(self) -> None:
        """Start the server and wait until it accepts. Raises DemoFailed."""
        kept = {name: value for name, value in os.environ.items() if "HUSHWIRE_" not in name}
        chosen = {
            "HUSHWIRE_SIMULATOR_RECEIPT_MS": str(self._receipt_ms),
            "HUSHWIRE_VAULT_SLOTS_PER_FILE": "16384",  # 1 MiB: quick to make, quick to search
            "HUSHWIRE_DISK_RESERVE_MB": "1",
        }
        with self.journal.open("wb") as journal:
            self._process = subprocess.Popen(  # noqa: S603  this very program
                [sys.executable, "-m", "hushwire", "up", "--port", "0", "--data", str(self.data)],
                env={**kept, **chosen}, stdin=subprocess.DEVNULL, stdout=journal, stderr=journal,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then stops it
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while not self._ready():
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                said = self.journal.read_text(errors="replace").strip()
                raise DemoFailed(f"the server did not start (exit {code}): {said[-600:]}")
            time.sleep(0.02)

    def stop(self) -> int:
        """Ctrl-C for the server; its exit code. Stopping twice, or before a start, is fine."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    @property
    def url(self) -> str:
        return self._credentials["url"]

    @property
    def account_sid(self) -> str:
        return self._credentials["account_sid"]

    @property
    def auth_token(self) -> str:
        return self._credentials["auth_token"]

    @property
    def number(self) -> str:
        return self._credentials["phone_number"]

    def messages(self, rest: str = ".json") -> str:
        """The path of the account's messages."""
        return f"/2010-04-01/Accounts/{self.account_sid}/Messages{rest}"

    def send(self, to: str, body: str, **more: str) -> Answer:
        form = {"To": to, "From": self.number, "Body": body, **more}
        return self.call("POST", self.messages(), urlencode(form).encode())

    def sandbox(self, method: str, path: str, content: object = None) -> Answer:
        """A call to the sandbox; `{number}` in a path is quoted by the caller's f-string."""
        body = None if content is None else json.dumps(content).encode()
        return self.call(method, f"/sandbox{quote(path)}", body, "application/json")

    def call(
        self, method: str, path: str, body: bytes | None = None,
        content_type: str = "application/x-www-form-urlencoded",
    ) -> Answer:  # fmt: skip
        """A request with the account's credentials; any status is an answer."""
        request = urllib.request.Request(self.url + path, body, method=method)  # noqa: S310
        basic = b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
        if body is not None:
            request.add_header("Content-Type", content_type)
        try:
            with _OPENER.open(request, timeout=60) as answer:
                return _answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.read())
        except OSError as error:
            raise DemoFailed(f"the server does not answer ({type(error).__name__})") from None

    def metrics(self) -> bytes:
        """What monitoring reads."""
        with _OPENER.open(f"{self.url}/metrics", timeout=10) as answer:
            return cast("bytes", answer.read())

    def _ready(self) -> bool:
        with suppress(OSError, ValueError):
            self._credentials = json.loads((self.data / "credentials.json").read_bytes())
            with _OPENER.open(f"{self.url}/readyz", timeout=1):
                return True
        return False


class Receiver:
    """The customer's side: takes callbacks on a free port and keeps them in memory."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length", "0"))
                form = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
                signature = self.headers.get("X-Twilio-Signature", "")
                receiver.take(Callback(time.monotonic(), signature, form))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return  # it would show the callback on stderr

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/status"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, callback: Callback) -> None:
        with self._arrived:
            self._callbacks.append(callback)
            self._arrived.notify_all()

    def wait(self, sid: str, status: str, within_s: float = 15.0) -> Callback:
        """The callback that tells `status` of message `sid`. Raises DemoFailed."""
        found: list[Callback] = []

        def here() -> bool:
            found[:] = [
                c for c in self._callbacks
                if (c.form.get("MessageSid"), c.form.get("MessageStatus")) == (sid, status)
            ]  # fmt: skip
            return bool(found)

        with self._arrived:
            if not self._arrived.wait_for(here, within_s):
                raise DemoFailed(f"no callback said {status!r} within {within_s:g} s")
        return found[0]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def signature_of(auth_token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature as a customer computes it: written out, so that it checks the server's.

    base64 of HMAC-SHA1, keyed by the token, of the URL and every name and value in order.
    """
    text = url + "".join(name + form[name] for name in sorted(form))
    return b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def _answer(status: int, content: bytes) -> Answer:
    return Answer(status, json.loads(content) if content.startswith(b"{") else {})
