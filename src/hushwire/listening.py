"""Listening: the socket, a certificate that may be renewed, and requests that do not arrive."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from hushwire.api.wire import WHOLE
from hushwire.errors import Misconfigured

REQUEST_BYTES_MAX: Final = 1 << 20  # with headers; after the first piece, of 256 KiB at most


_CLOSE: Final = b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout" + _CLOSE
_TOO_LARGE: Final = b"HTTP/1.1 413 Content Too Large" + _CLOSE
_Stamps = tuple[tuple[int, int, int], ...]


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; `port` 0 takes a free one. Raises Misconfigured."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"host and port: cannot listen on {host}:{port} "
            f"({error.strerror}); stop what uses it, or give --port another number (0: any free)"
        ) from None
    listener.listen(2048)
    return listener


class Certificate:
    """The certificate we show, and its key. Files that change are taken up by `renew`.

    `context` is the listener's, for ever. A renewed pair gets a context of its own, to which
    each handshake is led: loading it into the old one would leave that one without a usable
    key when the files do not fit each other yet.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises Misconfigured when they cannot be used."""
        self._cert = cert
        self._key = key
        try:
            self._seen = self._stamps()
            self.context = self._newest = self._load()
        except OSError as error:  # SSLError is one
            raise Misconfigured(
                f"tls_cert and tls_key cannot be used ({getattr(error, 'reason', error.strerror)}):"
                " give a certificate chain and its key, both PEM, the key without a passphrase"
            ) from None
        self.context.sni_callback = self._lead

    def for_uvicorn(self, config: uvicorn.Config, default: object) -> ssl.SSLContext:
        """The listener's context, in the form of uvicorn's `ssl_context_factory`."""
        return self.context

    def renew(self) -> bool:
        """Use the files as they are now; False when they are still the same.

        Raises OSError (SSLError is one) when they cannot be used: the old pair stays in use.
        """
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._newest = self._load()
        self._seen = stamps
        return True

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._cert, self._key, password=lambda: "")
        return context

    def _lead(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _stamps(self) -> _Stamps:
        found = [path.stat() for path in (self._cert, self._key)]
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in found)


def _nothing(scope: Any) -> bool:
    return False


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with two bounds that it lacks, and a short way for what is hot.

    It reads on only when it has answered what it read: uvicorn reads on after each answer, so
    requests sent ahead by the thousand would fill the memory. And a request has a size, with
    its headers: the parser joins a value again with each piece of it, so one that has no end
    would take all the time there is.
    """

    is_hot: ClassVar[Callable[[Any], bool]] = staticmethod(_nothing)  # by a request's scope

    _counted: object = None  # the request that comes in pieces
    _bytes: int = 0  # of it, after its first piece
    _reading = False
    _begun: "tuple[RequestResponseCycle, Any] | None" = None  # by the bytes being read

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.flow = _Flow(transport, self)

    def data_received(self, data: bytes) -> None:
        self._reading = True
        HttpToolsProtocol.data_received(self, data)
        while self._begun is not None:
            self._begin(*self._begun)
        self._reading = False
        cycle = self.cycle
        if not cycle or cycle.more_body or cycle.scope is not self.scope:
            self._count(len(data))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._reading and Protocol.is_hot(cycle.scope):
            self._begun = (cycle, app)  # its body is most likely in the same bytes
        else:
            super()._start_asgi_task(cycle, app)

    def _begin(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._begun = None
        if cycle.more_body:
            super()._start_asgi_task(cycle, app)
        else:
            if cycle is self.cycle:  # nothing was sent ahead behind it
                cast("dict[str, Any]", cycle.scope)[WHOLE] = self
            drive(cycle.run_asgi(app))

    def whole_body(self) -> bytes:
        """The body of the request whose scope names this connection; while it begins."""
        return bytes(self.cycle.body)

    def answer_whole(self, scope: object, answer: bytes) -> bool:
        """Write an answer from its status line to its last byte; False: it must go by `send`.

        Event by event, with a look for forbidden characters in every header, it costs as much
        as parsing the request. What is given here must be known to be well formed.
        """
        cycle = self.cycle
        if (
            cycle.scope is not scope
            or self.flow.write_paused
            or cycle.disconnected
            or not cycle.keep_alive
        ):
            return False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(answer)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _count(self, size: int) -> None:
        """A piece came, and the request is not whole."""
        if self._counted is not self.scope:  # this one may have begun behind many others
            self._counted, self._bytes = self.scope, 0
            return
        self._bytes += size
        if self._bytes > REQUEST_BYTES_MAX:
            _refuse(self, _TOO_LARGE)


def drive(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` as far as it goes now, and on whenever what it waits for is done.

    As a task would, without one: a create waits once, for its commit, and a task for it costs
    more than that. Only for what waits for plain futures and asks for no current task.
    """
    try:
        waits: asyncio.Future[object] | None = work.send(None)
    except StopIteration:
        return
    if waits is None:  # it only lets others go first
        asyncio.get_running_loop().call_soon(drive, work)
        return
    # As asyncio's own tasks answer a future that is awaited.
    waits._asyncio_future_blocking = False  # pyright: ignore[reportPrivateUsage]
    waits.add_done_callback(lambda _: drive(work))


class _Flow(FlowControl):
    def __init__(self, transport: asyncio.Transport, protocol: Protocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if self.read_paused and not self._protocol.pipeline:
            super().resume_reading()


class _Wait(Struct, frozen=True, eq=False):
    """What a connection was seen to wait for, and since when."""

    request: object  # its scope, kept so that no later one is taken for it; None before any
    unsent: int  # bytes of an answer that the other end has not taken
    since_s: float


class Patience:
    """Ends connections whose request does not arrive, or whose answer nobody takes.

    uvicorn ends those that are idle between two requests. This looks at the others now and
    then from outside, so a request that comes at once costs nothing.
    """

    def __init__(self, state: ServerState, limit_s: float) -> None:
        self._state = state
        self._limit_s = limit_s
        self._waits: dict[HttpToolsProtocol, _Wait] = {}

    def look(self, now_s: float) -> None:
        """End what has waited for the same thing for `limit_s`; `now_s` is of a steady clock."""
        waits: dict[HttpToolsProtocol, _Wait] = {}
        for connection in list(self._state.connections):
            assert isinstance(connection, HttpToolsProtocol)
            if not _waits(connection):
                continue
            unsent = connection.transport.get_write_buffer_size()
            wait = self._waits.get(connection)
            if wait is None or wait.request is not connection.scope or wait.unsent != unsent:
                wait = _Wait(connection.scope, unsent, now_s)
            if now_s - wait.since_s >= self._limit_s:
                _end(connection)
            else:
                waits[connection] = wait
        self._waits = waits


def _waits(connection: HttpToolsProtocol) -> bool:
    """Is it the other end's turn, with nobody else counting?"""
    cycle = _cycle(connection)
    if _takes_nothing(connection):
        return True
    if connection.pipeline:  # an earlier request is being answered
        return False
    if cycle is None:  # the first request has not arrived
        return True
    if cycle.response_complete:  # with a timer uvicorn counts; without, the next has begun
        return connection.timeout_keep_alive_task is None
    return cycle.more_body


def _takes_nothing(connection: HttpToolsProtocol) -> bool:
    """Is there something to send that the other end has yet to take?"""
    return connection.flow.write_paused or connection.transport.is_closing()


def _end(connection: HttpToolsProtocol) -> None:
    if _takes_nothing(connection):
        connection.transport.abort()
    else:
        _refuse(connection, _TIMEOUT)


def _refuse(connection: HttpToolsProtocol, answer: bytes) -> None:
    """Close it, with an answer when a request has begun and has none."""
    cycle, request = _cycle(connection), _request(connection)
    if cycle is not None:
        cycle.disconnected = True  # nothing that still arrives makes the request whole
    answered = cycle is not None and cycle.response_started and cycle.scope is request
    if request is not None and not answered:
        connection.transport.write(answer)
    connection.transport.close()


# uvicorn's types do not say that both are None until a request arrives.


def _cycle(connection: HttpToolsProtocol) -> RequestResponseCycle | None:
    return connection.cycle


def _request(connection: HttpToolsProtocol) -> object | None:
    return connection.scope
