"""A customer's app for tests: its answers are scripted; and a proxy before it."""

import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self, cast
from urllib.parse import parse_qsl

from msgspec import Struct


class Request(Struct, frozen=True):
    """A webhook request as it arrived."""

    method: str
    path: str  # with its query
    headers: dict[str, str]  # names in lower case
    form: dict[str, str]
    at_s: float  # monotonic

    @property
    def url(self) -> str:
        """The URL the customer configured, as an app behind a proxy rebuilds it."""
        scheme = self.headers.get("x-forwarded-proto", "http")
        host = self.headers.get("x-forwarded-host", self.headers["host"])
        return f"{scheme}://{host}{self.path}"


class Said(Struct, frozen=True):
    """What the app answers."""

    body: str = ""
    status: int = 200
    content_type: str = "text/xml"
    cookies: tuple[str, ...] = ()


Answer = Callable[[Request], Said]


class App:
    """Takes GET and POST on a free port of 127.0.0.1, each request on a thread of its own."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.take = self._take
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/sms") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait(self, count: int, within_s: float = 15) -> list[Request]:
        """The requests once there are at least `count`."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, within_s), (
                f"{len(self.requests)} of {count} requests came"
            )
            return list(self.requests)

    def _take(self, request: Request) -> Said:
        with self.arrived:
            self.requests.append(request)
            self.arrived.notify_all()
        return self.answer(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Proxy(App):
    """Forwards to an app as nginx would: another host and port, the original in `X-Forwarded-*`."""

    def __init__(self, app: App) -> None:
        super().__init__(self._forward)
        self._app = app

    def _forward(self, request: Request) -> Said:
        connection = HTTPConnection("127.0.0.1", self._app.port, timeout=10)
        headers = {
            **request.headers, "host": "internal", "x-forwarded-host": request.headers["host"],
            "x-forwarded-proto": "http",
        }  # fmt: skip
        connection.request(request.method, request.path, self.body, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return Said(body, answer.status, answer.headers["content-type"])

    @property
    def body(self) -> bytes:
        return getattr(_LOCAL, "body", b"")


_LOCAL = threading.local()  # the raw body of the request this thread answers


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    take: Callable[[Request], Said]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        _LOCAL.body = self.rfile.read(size)
        text = _LOCAL.body.decode() or self.path.partition("?")[2]
        form = dict(parse_qsl(text, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, form, time.monotonic())
        said = cast("_Server", self.server).take(request)
        body = said.body.encode()
        self.send_response(said.status)
        self.send_header("Content-Type", said.content_type)
        for cookie in said.cookies:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815  the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:
        return  # it would show the request on stderr
