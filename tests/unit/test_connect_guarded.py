"""HTTP to a customer's backend: checked addresses only, no redirects, no second send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from hushwire.connect.credentials import Basic
from hushwire.connect.guarded import GuardedTransport
from hushwire.connect.refused import Refused
from hushwire.connect.wire import OutcomeUnknown, Wire
from hushwire.outbound import Guard
from hushwire.private import Private

SECRET = "canary0123456789"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
PUBLIC = "93.184.215.14"


class Backend:
    """Records the heads of requests, and answers each with the next of its answers."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = answers
        self.heads: list[str] = []
        self.connections = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head.decode())
                answer = self.answers[min(len(self.heads), len(self.answers)) - 1]
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


def looked_up(*answers: str) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A lookup that gives these addresses, one after the other."""
    left = list(answers)

    async def lookup(host: str, port: int) -> Sequence[str]:
        return [left.pop(0) if len(left) > 1 else left[0]]

    return lookup


async def ask(url: str, guard: Guard, work: Callable[[Wire], Awaitable[Any]]) -> Any:
    transport = GuardedTransport(guard)
    wire = Wire(url, Basic("AC0", Private(SECRET)), transport=transport)
    try:
        return await work(wire)
    finally:
        await wire.close()
        transport.close()


def refusal(url: str, guard: Guard) -> Refused:
    async def work(wire: Wire) -> None:
        await wire.get("/x")

    with pytest.raises(Refused) as refused:
        asyncio.run(ask(url, guard, work))
    return refused.value


def test_a_request_says_who_asks_and_what() -> None:
    async def main() -> None:
        backend = Backend(OK)
        async with backend.open() as port:

            async def work(wire: Wire) -> None:
                assert await wire.get("/a", {"To": "+1 &é", "DateSent>": "2026-01-31"}) == {}
                assert await wire.post("/b", {"Body": "x"}, key="k") == {}

            await ask(f"http://localhost:{port}", Guard(True), work)
        read, made = backend.heads
        assert read.startswith("GET /a?To=%2B1+%26%C3%A9&DateSent%3E=2026-01-31 HTTP/1.1\r\n")
        assert "Authorization: Basic " in read.replace("authorization", "Authorization")
        assert made.lower().count("idempotency-key: k\r\n") == 1
        assert all(head.lower().count("\r\nhost: ") == 1 for head in backend.heads)
        assert made.lower().count("content-length: 6\r\n") == 1

    asyncio.run(main())


@pytest.mark.parametrize("address", ["10.0.0.5", "169.254.169.254", "::ffff:10.0.0.1", "fd00::1"])
def test_a_name_that_leads_inwards_is_refused(address: str) -> None:
    refused = refusal("https://sms.example.com", Guard(True, lookup=looked_up(address)))
    assert (refused.status, refused.field) == (400, "url")


def test_a_name_that_moves_inwards_is_refused_then() -> None:
    """Each call asks the guard anew, once its answer is old."""
    now = [0.0]
    guard = Guard(False, lookup=looked_up("127.0.0.1"), monotonic_s=lambda: now[0])
    assert refusal("https://sms.example.com", guard).field == "url"


def test_secrets_go_in_the_clear_to_this_machine_alone() -> None:
    guard = Guard(True, lookup=looked_up(PUBLIC))
    refused = refusal("http://sms.example.com", guard)
    assert refused.text == "url must begin with https://: it carries secrets"


def test_nobody_there_is_told() -> None:
    refused = refusal("http://127.0.0.1:1024", Guard(True))
    assert refused.status == 503
    assert SECRET not in refused.text


def test_credentials_follow_no_redirect() -> None:
    async def main() -> None:
        other = Backend(OK)
        async with other.open() as elsewhere:
            location = f"Location: http://127.0.0.1:{elsewhere}/\r\n"
            head = f"HTTP/1.1 307 Moved\r\n{location}Content-Length: 0\r\n\r\n"
            backend = Backend(head.encode())
            async with backend.open() as port:
                for work in (lambda w: w.get("/x"), lambda w: w.post("/x", {"a": "b"})):
                    with pytest.raises(Refused, match="leads elsewhere"):
                        await ask(f"http://127.0.0.1:{port}", Guard(True), work)
        assert len(backend.heads) == 2
        assert other.connections == 0

    asyncio.run(main())


def test_what_may_have_been_done_is_not_done_again() -> None:
    """The connection ends after the request was read: once, whatever was kept open before."""

    async def main() -> None:
        backend = Backend(OK, b"", OK)
        async with backend.open() as port:

            async def work(wire: Wire) -> None:
                await wire.get("/first")  # a connection that is kept
                with pytest.raises(OutcomeUnknown):
                    await wire.post("/send", {"Body": "x"})

            await ask(f"http://127.0.0.1:{port}", Guard(True), work)
        assert [head.partition(" HTTP")[0] for head in backend.heads] == [
            "GET /first",
            "POST /send",
        ]

    asyncio.run(main())
