"""The load generator: pre-built requests over keep-alive connections, answers barely parsed.

It must never be the bottleneck: one protocol object a connection, no task, future or HTTP
library a request. `flat_out` is a closed loop (each connection sends when answered);
`steady` is an open loop (requests are due at a fixed rate, and latency counts from then,
whether or not a connection was free).
"""

import asyncio
import base64
import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple, cast

TEXT = b"Hello+Ada%2C+your+code+is+482913.+It+expires+in+10+minutes."
CREATED = b"201"
GRACE_S = 10.0  # how long the last answers may take


class BenchError(Exception):
    """The measurement cannot go on. The text says why."""


class Run(NamedTuple):
    """What one phase of load saw."""

    accepted: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.accepted / self.seconds


class Credentials(NamedTuple):
    account_sid: str
    auth_token: str
    phone_number: str


NOBODY = Credentials("AC" + "0" * 32, "0" * 32, "+15550000000")
_numbers = itertools.count(1)


def sends(who: Credentials, callback: str | None = None) -> Iterator[bytes]:
    """Endless requests to send one message, each to another number."""
    basic = base64.b64encode(f"{who.account_sid}:{who.auth_token}".encode())
    tail = b"&From=%%2B%s&Body=%s" % (who.phone_number[1:].encode(), TEXT)
    if callback is not None:
        tail += b"&StatusCallback=" + callback.replace(":", "%3A").replace("/", "%2F").encode()
    head = (
        b"POST /2010-04-01/Accounts/%s/Messages.json HTTP/1.1\r\n"
        b"Host: 127.0.0.1\r\n"
        b"Authorization: Basic %s\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"User-Agent: hushwire-bench\r\n"
        b"Content-Length: %d\r\n\r\nTo=%%2B1555"
    ) % (who.account_sid.encode(), basic, len("To=%2B15550000000") + len(tail))
    for number in _numbers:
        yield b"%s%07d%s" % (head, 2_000_000 + number % 8_000_000, tail)  # exchanges 2xx-9xx


def is_whole(answer: bytes) -> bool:
    """Has the whole answer arrived? Every answer carries its length."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = answer.find(b"content-length:", 0, end)
    if at < 0:
        at = answer[:end].lower().find(b"content-length:")
        if at < 0:
            raise BenchError("an answer has no Content-Length")
    length = int(answer[at + 15 : answer.find(b"\r", at)])
    return len(answer) >= end + 4 + length


class Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._part = b""
        self.transport: asyncio.Transport | None = None
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class

    def send(self, request: bytes, due: float) -> None:
        assert self.transport is not None
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._part:
            data = self._part + data
        if not is_whole(data):
            self._part = data
            return
        self._part = b""
        self._load.answered(self, data[9:12])

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost()


class Load:
    """A set of connections to one server, and the requests they send."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._port = port
        self._requests = requests
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []
        self._waiting: deque[float] = deque()  # due times of requests without a connection
        self._latencies: list[float] = []
        self._statuses: Counter[bytes] = Counter()
        self._finished: asyncio.Future[None] | None = None
        self._begun = self._until = 0.0
        self._left = 0  # requests not sent yet
        self._rate = 0.0  # of the open loop; 0 is the closed loop
        self._closing = False

    async def connect(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            made = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
            self._connections.append(made[1])
        self._idle = list(self._connections)

    def close(self) -> None:
        self._closing = True
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def flat_out(self, seconds: float, most: int) -> Run:
        """All connections busy for `seconds`, or until `most` requests were sent."""
        self._begin(0.0, most)
        self._until = self._begun + seconds
        idle, self._idle = self._idle, []
        for connection in idle:
            self._go_on(connection, self._begun)
        return await self._end(seconds)

    async def steady(self, rate: float, seconds: float) -> Run:
        """`rate` requests a second for `seconds`."""
        self._begin(rate, int(rate * seconds))
        self._until = self._begun + seconds + GRACE_S
        self._pump()
        return await self._end(seconds)

    def answered(self, connection: Connection, status: bytes) -> None:
        now = time.perf_counter()
        self._latencies.append(now - connection.due)
        self._statuses[status] += 1
        if self._waiting:
            connection.send(next(self._requests), self._waiting.popleft())
        elif self._rate:
            self._idle.append(connection)
        else:
            self._go_on(connection, now)
        if (
            len(self._idle) == len(self._connections)
            and (not self._left or now >= self._until)
            and self._finished is not None
            and not self._finished.done()
        ):
            self._finished.set_result(None)

    def lost(self) -> None:
        if not self._closing and self._finished is not None and not self._finished.done():
            self._finished.set_exception(BenchError("the server closed a connection"))

    def _begin(self, rate: float, count: int) -> None:
        self._rate, self._left = rate, count
        self._latencies, self._statuses = [], Counter()
        self._finished = asyncio.get_running_loop().create_future()
        self._begun = time.perf_counter()

    def _go_on(self, connection: Connection, now: float) -> None:
        if self._left and now < self._until:
            self._left -= 1
            connection.send(next(self._requests), now)
        else:
            self._idle.append(connection)

    def _pump(self) -> None:
        """Send what is due. It spins: a timer's millisecond would be most of the latency."""
        now = time.perf_counter()
        sent = len(self._latencies) + len(self._waiting)
        sent += len(self._connections) - len(self._idle)
        while self._left and (due := self._begun + sent / self._rate) <= now:
            self._left -= 1
            sent += 1
            if self._idle:
                self._idle.pop().send(next(self._requests), due)
            else:
                self._waiting.append(due)
        if self._left:
            asyncio.get_running_loop().call_soon(self._pump)

    async def _end(self, seconds: float) -> Run:
        assert self._finished is not None
        try:
            await asyncio.wait_for(self._finished, seconds + GRACE_S)
        except TimeoutError:
            raise BenchError("the last answers did not come") from None
        took = time.perf_counter() - self._begun
        accepted = self._statuses.pop(CREATED, 0)
        if self._statuses:
            others = ", ".join(f"{k.decode()}: {n}" for k, n in self._statuses.items())
            raise BenchError(f"not every request was accepted (201: {accepted}, {others})")
        spread = sorted(self._latencies)
        return Run(accepted, took, quantile_ms(spread, 0.5), quantile_ms(spread, 0.99))


def quantile_ms(ordered: list[float], part: float) -> float:
    """Of ordered seconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000
