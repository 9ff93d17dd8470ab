"""The customer's side: a tiny HTTP server that counts distinct status callbacks."""

import asyncio
import time
from typing import Self, cast

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def field(body: bytes, name: bytes) -> bytes:
    """A form field's raw value, or nothing."""
    at = body.find(name + b"=")
    if at < 0:
        return b""
    end = body.find(b"&", at)
    return body[at + len(name) + 1 : end if end >= 0 else len(body)]


class Sink:
    """Answers every callback at once and remembers each (MessageSid, MessageStatus)."""

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, bytes]] = set()
        self.repeated = 0
        self.unsigned = 0
        self.last_at = 0.0  # when the last new pair came (perf_counter)
        self.url = ""
        self._server: asyncio.Server | None = None
        self._enough = 0
        self._reached: asyncio.Event = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Callbacks(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/status"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def note(self, head: bytes, body: bytes) -> None:
        pair = field(body, b"MessageSid"), field(body, b"MessageStatus")
        if pair in self.seen:
            self.repeated += 1
            return
        self.seen.add(pair)
        if b"signature: " not in head and b"Signature: " not in head:
            self.unsigned += 1
        self.last_at = time.perf_counter()
        if len(self.seen) >= self._enough:
            self._reached.set()

    async def until(self, count: int, timeout_s: float) -> bool:
        """Wait for `count` distinct callbacks; False when they did not come in time."""
        self._enough = count
        self._reached.clear()
        if len(self.seen) >= count:
            return True
        try:
            await asyncio.wait_for(self._reached.wait(), timeout_s)
        except TimeoutError:
            return False
        return True


class Callbacks(asyncio.Protocol):
    """One connection of the server to the sink."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._part = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        data = self._part + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end]
            at = head.find(b"ontent-Length:")
            if at < 0:
                at = head.lower().find(b"ontent-length:")
            length = int(head[at + 14 :].split(b"\r", 1)[0]) if at >= 0 else 0
            if len(data) < end + 4 + length:
                break
            self._sink.note(head, data[end + 4 : end + 4 + length])
            self._transport.write(ANSWER)
            data = data[end + 4 + length :]
        self._part = data
