"""A create that came in one piece is answered in one, where nothing stands against it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
import uvicorn
from uvicorn.server import ServerState

from hushwire.api.wire import REQUEST_ID, Receive, Scope, Send, create_body, respond_created
from hushwire.errors import Refusal
from hushwire.listening import Protocol

REQUEST = b"POST /m HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n%s\r\na=%d"
ANSWER = (
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 3\r\n"
    b"twilio-request-id: RQ1\r\n%s\r\na=%d"
)


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> None:
        return None

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    scope[REQUEST_ID] = b"RQ1"
    body = await create_body(scope, receive)
    await asyncio.get_running_loop().run_in_executor(None, int)  # its commit
    await respond_created(scope, send, body)


def exchange(monkeypatch: pytest.MonkeyPatch, act: Callable[[Protocol], None]) -> Wire:
    """What a connection wrote once `act` did something to it and all requests were answered."""
    monkeypatch.setattr(Protocol, "is_hot", staticmethod(lambda scope: True))

    async def main() -> Wire:
        config = uvicorn.Config(
            echo, http=Protocol, ws="none", lifespan="off", log_config=None,
            proxy_headers=False, server_header=False, date_header=False,
        )  # fmt: skip
        config.load()
        connection, wire = Protocol(config, ServerState(), {}), Wire()
        connection.connection_made(cast(asyncio.Transport, wire))
        act(connection)
        for _ in range(500):
            await asyncio.sleep(0.001)
            if connection.cycle.response_complete and not connection.pipeline:
                break
        connection.connection_lost(None)
        return wire

    return asyncio.run(main())


def sent(*data: bytes) -> Callable[[Protocol], None]:
    def act(connection: Protocol) -> None:
        for piece in data:
            connection.data_received(piece)

    return act


def test_it_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = exchange(monkeypatch, sent(REQUEST % (b"", 1)))
    assert wire.written == [ANSWER % (b"", 1)]


def test_one_that_comes_in_pieces_has_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    request = REQUEST % (b"", 1)
    wire = exchange(monkeypatch, sent(request[:-2], request[-2:]))
    assert b"".join(wire.written) == ANSWER % (b"", 1)


def test_requests_sent_ahead_are_answered_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [REQUEST % (b"", n) for n in (1, 2, 3)]
    for act in (sent(b"".join(ahead)), sent(*ahead)):
        wire = exchange(monkeypatch, act)
        assert b"".join(wire.written) == b"".join(ANSWER % (b"", n) for n in (1, 2, 3))


def test_a_connection_to_be_closed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = exchange(monkeypatch, sent(REQUEST % (b"Connection: close\r\n", 1)))
    assert b"".join(wire.written) == ANSWER % (b"connection: close\r\n", 1)
    assert wire.closed


def test_who_takes_no_answers_is_not_sent_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(connection: Protocol) -> None:
        connection.data_received(REQUEST % (b"", 1))
        connection.pause_writing()
        asyncio.get_running_loop().call_later(0.02, look, connection)

    def look(connection: Protocol) -> None:
        seen.append(list(cast(Wire, connection.transport).written))
        connection.resume_writing()

    seen: list[list[bytes]] = []
    wire = exchange(monkeypatch, act)
    assert seen == [[]]
    assert b"".join(wire.written) == ANSWER % (b"", 1)


def test_a_body_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[int] = []

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_ID] = b"RQ1"
        try:
            await create_body(scope, receive)
        except Refusal as refusal:
            refused.append(refusal.problem.status)
        await respond_created(scope, send, b"{}")

    monkeypatch.setitem(globals(), "echo", guarded)
    size = 65_537
    request = b"POST /m HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (size, bytes(size))
    exchange(monkeypatch, partial(Protocol.data_received, data=request))
    assert refused == [413]
