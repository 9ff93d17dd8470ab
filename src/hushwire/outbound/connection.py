"""One HTTP/1.1 connection, one exchange at a time; llhttp (httptools) reads the answers.

Everything a server may do to hold us is bounded here: header bytes, interim (1xx) answers,
body, framing around the body, silence and total time.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from hushwire.outbound.answer import Answer, Failure, FailureKind, Limits

HEAD_MAX: Final = 16 * 1024  # bytes of all headers of an exchange, interim ones and trailers too
INTERIM_MAX: Final = 8  # 1xx answers before the answer
_CODINGS: Final = ((b"content-encoding", b"identity"), (b"transfer-encoding", b"chunked"))
_SET_COOKIE: Final = b"set-cookie"
FRAMING_MAX: Final = 8  # bytes on the wire for a byte of body allowed: chunks of one byte pass

Key = tuple[str, str, int, str]
"""Scheme, host, port and checked IP: what a connection may be used again for."""

Ended = Callable[[Answer | Failure], None]


class Connection(asyncio.Protocol):
    """A connection to one checked address. `on_idle` is called when it may be used again."""

    __slots__ = (
        "_chunks", "_complete", "_cut", "_ended", "_failed", "_head_bytes", "_head_done",
        "_headers", "_heard_at", "_interim", "_keep", "_limits", "_loop", "_on_idle", "_on_lost",
        "_parser", "_size", "_status", "_total_by", "_transport", "_wire_bytes",
        "idle_since", "key", "used",
    )  # fmt: skip

    def __init__(
        self,
        key: Key,
        loop: asyncio.AbstractEventLoop,
        on_idle: "Callable[[Connection], None]",
        on_lost: "Callable[[Connection], None]",
    ) -> None:
        self.key = key
        self.used = 0  # exchanges begun
        self.idle_since = 0.0
        self._loop = loop
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._ended: Ended | None = None  # an exchange is open

    def send(self, request: bytes, limits: Limits, total_by: float, ended: Ended) -> None:
        """Write one request; `ended` is told how it ended. Only on an idle connection.

        `total_by` is a time of the loop.
        """
        assert self._ended is None
        assert self._transport is not None
        self._ended = ended
        self._limits = limits
        self._total_by = total_by
        self._heard_at = self._loop.time()
        self._failed: FailureKind | None = None
        self._complete = self._cut = self._keep = self._head_done = False
        self._head_bytes = self._interim = self._size = self._status = self._wire_bytes = 0
        self._headers: dict[bytes, bytes] = {}
        self._chunks: list[bytes] = []
        self.used += 1
        self._transport.write(request)

    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def addresses(self) -> tuple[str, str]:
        """Ours and the peer's IP, as the kernel has them; "" when it does not say."""
        if self._transport is None:
            return "", ""
        own: tuple[str, ...] = self._transport.get_extra_info("sockname") or ("",)
        peer: tuple[str, ...] = self._transport.get_extra_info("peername") or ("",)
        return own[0], peer[0]

    def expire(self, now: float) -> None:
        """End the open exchange if its time is over."""
        if self._ended is None:
            return
        if now >= self._total_by:
            self._end(Failure("timeout_total", partial=self._wire_bytes > 0))
        elif now - self._heard_at >= self._limits.read_ms / 1000:
            self._end(Failure("timeout_read", partial=self._wire_bytes > 0))

    def abort(self) -> None:
        """Close at once; an open exchange ends as `closed`."""
        if self._transport is not None:
            self._transport.abort()
        if self._ended is not None:
            self._end(Failure("closed", partial=self._wire_bytes > 0))

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._ended is None:
            self.abort()  # nobody asked: an answer to come would be taken for another's
            return
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._keep = False
            if not self._complete:
                self._failed = self._failed or "protocol"
        if self._failed is not None:
            self._end(Failure(self._failed, partial=True))
        elif self._complete:
            self._end(self._answer())
        elif self._oversized():
            self._end(Failure("too_large", partial=True))
        else:
            self._heard_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None:
            ends_by_closing = (
                exc is None
                and self._head_done
                and self._status >= 200
                and b"content-length" not in self._headers
                and b"transfer-encoding" not in self._headers
            )
            partial = self._wire_bytes > 0
            self._end(self._answer() if ends_by_closing else Failure("closed", partial=partial))
        self._on_lost(self)

    # httptools' callbacks, in the order of an answer

    def on_message_begin(self) -> None:
        if self._complete:
            self._keep = False  # more than was asked for
            return
        self._head_done = False
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > HEAD_MAX:
            self._failed = "too_large"
        elif not self._head_done:
            name = name.lower()
            if name == _SET_COOKIE and name in self._headers:  # RFC 9110, 5.3: not a list
                value = self._headers[name] + b"\n" + value
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._head_done = True
        self._status = self._parser.get_status_code()
        headers = self._headers
        for name, only in _CODINGS:
            if name in headers and headers[name].lower() != only:
                self._failed = self._failed or "protocol"

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._size += len(body)
        self._chunks.append(body)
        if self._size > self._limits.max_bytes:
            self._complete = self._cut = True

    def on_message_complete(self) -> None:
        if self._complete:
            return
        if self._status >= 200:
            self._complete = True
            self._keep = self._parser.should_keep_alive()
            return
        self._interim += 1
        if self._interim > INTERIM_MAX:
            self._failed = "protocol"

    def _oversized(self) -> bool:
        if not self._head_done:
            return self._wire_bytes > HEAD_MAX
        return self._wire_bytes > HEAD_MAX + FRAMING_MAX * self._limits.max_bytes

    def _answer(self) -> Answer:
        body = b"".join(self._chunks) if self._chunks else b""
        if self._cut:
            body = body[: self._limits.max_bytes]
        return Answer(self._status, self._headers, body, self._cut)

    def _end(self, result: Answer | Failure) -> None:
        ended, self._ended = self._ended, None
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if self._complete and self._keep:
                self.idle_since = self._loop.time()
                self._on_idle(self)
            else:
                transport.abort()
        if ended is not None:  # last: who hears of it may send the next request at once
            ended(result)
