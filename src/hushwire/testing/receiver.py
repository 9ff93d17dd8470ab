"""A customer's webhook endpoint for tests: takes callbacks on loopback and keeps them."""

import hmac
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qsl

from msgspec import Struct


class Callback(Struct, frozen=True):
    """One callback as it arrived, `at_s` on the monotonic clock."""

    path: str  # with its query
    headers: dict[str, str]  # names in lower case
    form: dict[str, str]
    at_s: float = 0.0

    @property
    def signature(self) -> str:
        """X-Twilio-Signature; empty when there was none."""
        return self.headers.get("x-twilio-signature", "")


class Receiver:
    """Takes POSTs on a free port of 127.0.0.1.

    `answer(callback)` gives the HTTP status, on the request's own thread, so it may wait;
    without it everything is answered with 200.
    """

    def __init__(self, answer: Callable[[Callback], int] | None = None) -> None:
        self.callbacks: list[Callback] = []
        self.arrived = threading.Condition()
        self.answer = answer
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/status") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def take(self, callback: Callback) -> int:
        """Keep a callback; the status to answer."""
        with self.arrived:
            self.callbacks.append(callback)
            self.arrived.notify_all()
        return 200 if self.answer is None else self.answer(callback)

    def find(self, wanted: Callable[[Callback], bool], within_s: float = 15.0) -> Callback | None:
        """The first callback that is `wanted`, waiting for it; None when none comes in time."""

        def first() -> Callback | None:
            return next(filter(wanted, self.callbacks), None)

        with self.arrived:
            self.arrived.wait_for(lambda: first() is not None, within_s)
            return first()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def signature_of(auth_token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature as a customer computes it: written out, so that it checks the server's.

    base64 of HMAC-SHA1, keyed by the token, of the URL and every name and value in order.
    """
    text = url + "".join(name + form[name] for name in sorted(form))
    return b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        form = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        callback = Callback(self.path, headers, form, time.monotonic())
        status = cast("_Server", self.server).receiver.take(callback)
        with suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return  # it would show the callback on stderr
