"""A cheap webhook endpoint that notes what came: thousands of callbacks a second, one thread."""

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl


class Noted(NamedTuple):
    """One callback as it was answered."""

    sid: str
    status: str
    token: str  # I-Twilio-Idempotency-Token
    answer: int


class Sink:
    """Listens on a free port of the loopback until closed. `answer(n)` for the n-th callback."""

    def __init__(self, answer: Callable[[int], int] = lambda _: 200) -> None:
        self.noted: list[Noted] = []
        self._answer = answer
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def url(self, path: str = "/status") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def take(self, headers: bytes, body: bytes) -> int:
        """Note a request; returns the status to answer."""
        form = dict(parse_qsl(body.decode()))
        answer = self._answer(len(self.noted))
        token = _header(headers, b"i-twilio-idempotency-token").decode()
        self.noted.append(Noted(form["MessageSid"], form["MessageStatus"], token, answer))
        return answer


class _Connection(asyncio.Protocol):
    """Requests of a client that waits for each answer."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        headers, end, rest = self._buffer.partition(b"\r\n\r\n")
        size = int(_header(headers, b"content-length") or b"0") if end else 0
        if not end or len(rest) < size:
            return
        self._buffer = rest[size:]
        answer = self._sink.take(headers, rest[:size])
        self._transport.write(b"HTTP/1.1 %d Noted\r\nContent-Length: 0\r\n\r\n" % answer)


def _header(headers: bytes, name: bytes) -> bytes:
    for line in headers.split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip()
    return b""
