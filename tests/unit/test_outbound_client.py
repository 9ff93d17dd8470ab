"""The outbound client against real sockets: good servers, slow ones, hostile ones."""

import asyncio
import contextlib
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hushwire.errors import Defect
from hushwire.outbound import Answer, Failure, Guard, HttpClient, Limits
from hushwire.outbound.url import parse_url

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SHORT = Limits(connect_ms=1000, read_ms=150, total_ms=400, max_bytes=1000)
LOOPBACK = Guard(True)

Run = Callable[[Coroutine[Any, Any, None]], None]


class Request(NamedTuple):
    head: str
    body: bytes
    connection: int  # the how many-th connection it came on
    number: int  # the how many-th request of the server


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A raw HTTP server that records what it got and answers what a test says."""

    def __init__(self, handler: Handler | bytes) -> None:
        self.handler = handler
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = head.lower().split("\r\n")
                length = next((int(li[15:]) for li in lines if li[:15] == "content-length:"), 0)
                body = await reader.readexactly(length)
                request = Request(head, body, connection, len(self.requests) + 1)
                self.requests.append(request)
                if isinstance(self.handler, bytes):
                    writer.write(self.handler)
                else:
                    await self.handler(request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()

    def url(self, path: str = "/p", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextlib.asynccontextmanager
async def serving(
    handler: Handler | bytes,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    server = Server(handler)
    listening = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


@contextlib.contextmanager
def client(guard: Guard = LOOPBACK, **options: Any):
    made = HttpClient(guard, **options)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both event loops: production runs on uvloop where there is one."""
    return request.param


async def once(handler: Handler | bytes, limits: Limits = SHORT) -> tuple[Answer | Failure, Server]:
    async with serving(handler) as server:
        with client() as http:
            return await http.post(server.url(), {}, b"a=b", limits), server


def raw(*pieces: bytes | float, close: bool = False) -> Handler:
    """Sends pieces; a number is a pause in seconds."""

    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
        if close:
            writer.close()

    return handler


# Keep-alive


def test_the_request_on_the_wire_and_keep_alive(run: Run) -> None:
    async def main() -> None:
        async with serving(OK) as server:
            with client() as http:
                for _ in range(20):
                    answer = await http.post(server.url("/p?q=1#rc=2"), {"X-A": "b"}, b"c=d")
                    assert isinstance(answer, Answer)
                    assert (answer.status, answer.body, answer.cut) == (200, b"ok", False)
                    assert answer.header("content-length") == "2"
            assert server.connections == 1
            assert server.requests[0].head == (
                f"POST /p?q=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                "User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
                "X-A: b\r\nContent-Length: 3\r\n\r\n"
            )
            assert {request.body for request in server.requests} == {b"c=d"}

    run(main())


def test_connections_per_host_are_bounded_and_everybody_is_served(run: Run) -> None:
    async def main() -> None:
        async with serving(raw(0.001, OK)) as server:
            with client(per_host=4) as http:
                posts = [http.post(server.url(), {}, b"%d" % i) for i in range(60)]
                answers = await asyncio.gather(*posts)
            assert all(isinstance(a, Answer) for a in answers)
            assert sorted(int(r.body) for r in server.requests) == list(range(60))
            assert server.most_open <= 4

    run(main())


def test_connections_overall_are_bounded_and_idle_ones_make_room(run: Run) -> None:
    async def main() -> None:
        async with serving(raw(0.001, OK)) as one, serving(raw(0.001, OK)) as two:
            with client(overall=3) as http:
                for server in (one, two) * 4:
                    assert isinstance(await http.post(server.url(), {}, b""), Answer)
                posts = [http.post((one, two)[i % 2].url(), {}, b"") for i in range(40)]
                assert all(isinstance(a, Answer) for a in await asyncio.gather(*posts))
            assert max(one.most_open, two.most_open) <= 3
            assert len(one.requests) == len(two.requests) == 24

    run(main())


def test_waiting_for_a_connection_counts_as_time(run: Run) -> None:
    async def main() -> None:
        async with serving(raw(1.0, OK)) as server:
            with client(per_host=1) as http:
                limits = Limits(total_ms=200)
                results = await asyncio.gather(
                    *[http.post(server.url(), {}, b"", limits) for _ in range(3)]
                )
                assert results == [Failure("timeout_total")] * 3
            assert len(server.requests) == 1

    run(main())


def test_idle_connections_are_closed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hushwire.outbound.pool.IDLE_S", 0.01)

    async def main() -> None:
        async with serving(OK) as server:
            with client() as http:
                await http.post(server.url(), {}, b"")
                assert server.open == 1
                async with asyncio.timeout(2):
                    while server.open:
                        await asyncio.sleep(0.02)
                assert isinstance(await http.post(server.url(), {}, b""), Answer)
            assert server.connections == 2

    run(main())


def test_a_cancelled_post_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async with serving(raw(5.0)) as server:
            with client(per_host=1) as http:
                posts = [asyncio.create_task(http.post(server.url(), {}, b"")) for _ in range(3)]
                while not server.requests:
                    await asyncio.sleep(0.005)
                for post in posts:
                    post.cancel()
                done = await asyncio.gather(*posts, return_exceptions=True)
                assert all(isinstance(d, asyncio.CancelledError) for d in done)
                server.handler = OK
                assert isinstance(await http.post(server.url(), {}, b"", SHORT), Answer)

    run(main())


def test_close_ends_what_is_open_and_what_comes(run: Run) -> None:
    async def main() -> None:
        async with serving(raw(5.0)) as server:
            http = HttpClient(LOOPBACK, per_host=1)
            posts = [asyncio.create_task(http.post(server.url(), {}, b"")) for _ in range(3)]
            while not server.requests:
                await asyncio.sleep(0.005)
            http.close()
            assert await asyncio.gather(*posts) == [Failure("closed")] * 3
            assert await http.post(server.url(), {}, b"") == Failure("closed")

    run(main())


# Answers


@pytest.mark.parametrize(
    ("wire", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n", 500, b""),
        (CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\nX-T: u\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
         200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Length: 2\r\n\r\nok",
         200, b"ok"),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302, b""),
    ],
)  # fmt: skip
def test_answers_in_one_piece_and_byte_by_byte(
    run: Run, wire: bytes, status: int, body: bytes
) -> None:
    async def main() -> None:
        pieces = [p for i in range(len(wire)) for p in (wire[i : i + 1], 0.0)]
        for handler in (wire, raw(*pieces)):
            async with serving(handler) as server:
                with client() as http:
                    for _ in range(2):
                        answer = await http.post(server.url(), {}, b"a", Limits())
                        assert isinstance(answer, Answer)
                        assert (answer.status, answer.body) == (status, body)
                        assert b"x-t" not in answer.headers

    run(main())


def test_a_body_that_ends_with_the_connection(run: Run) -> None:
    async def main() -> None:
        answer, _ = await once(raw(b"HTTP/1.1 200 OK\r\n\r\nhel", 0.01, b"lo", close=True))
        assert isinstance(answer, Answer)
        assert answer.body == b"hello"

    run(main())


@pytest.mark.parametrize("framing", [b"Content-Length: 99999999\r\n\r\n", b"\r\n"])
def test_a_long_body_is_cut_and_the_connection_closed(run: Run, framing: bytes) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 201 Created\r\n" + framing)
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async def main() -> None:
        answer, server = await once(endless)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body, answer.cut) == (201, b"x" * 1000, True)
        async with asyncio.timeout(2):
            while server.open:
                await asyncio.sleep(0.01)

    run(main())


@pytest.mark.parametrize(
    ("handler", "failure"),
    [
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 20x OK\r\n\r\n"), Failure("protocol", partial=True)),
        (raw(b"HTTP/3.7 200 OK\r\nContent-Length: 2\r\n\r\nok"), Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
         Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
         Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
         Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
         Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 9), Failure("protocol", partial=True)),
        (raw(CHUNKED + b"zz\r\n"), Failure("protocol", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 17_000), Failure("too_large", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000 + b"Content-Length: 0\r\n\r\n"),
         Failure("too_large", partial=True)),
        (raw(CHUNKED + b"1;" + b"e" * 30_000), Failure("too_large", partial=True)),
        (raw(CHUNKED + b"0\r\n" + b"T: y\r\n" * 4000), Failure("too_large", partial=True)),
        (raw(close=True), Failure("closed")),
        (raw(b"HTTP/1.1 200", close=True), Failure("closed", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", close=True),
         Failure("closed", partial=True)),
        (raw(CHUNKED + b"2\r\nok\r\n", close=True), Failure("closed", partial=True)),
        (raw(5.0), Failure("timeout_read")),
        (raw(b"HTTP/1.1 ", 5.0), Failure("timeout_read", partial=True)),
        (raw(OK[:-1], 5.0), Failure("timeout_read", partial=True)),
        (raw(*[b"H", 0.03] * 1, *[p for c in OK[1:] for p in (bytes([c]), 0.03)]),
         Failure("timeout_total", partial=True)),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", *[b"x", 0.03] * 500),
         Failure("timeout_total", partial=True)),
    ],
    ids=[
        "ssh", "bad-status", "http3", "two-lengths", "gzip", "gzip-transfer", "101", "1xx-flood",
        "bad-chunk", "long-header", "many-headers", "long-chunk-extension", "many-trailers",
        "closed-at-once", "closed-in-head", "closed-in-body", "closed-in-chunks", "silent",
        "silent-in-head", "silent-in-body", "slow-head", "slow-body",
    ],
)  # fmt: skip
def test_bad_servers(handler: Handler, failure: Failure) -> None:
    async def main() -> None:
        result, server = await once(handler)
        assert result == failure
        assert len(server.requests) == 1

    uvloop.run(main())


def test_a_reset_is_closed(run: Run) -> None:
    async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()

    async def main() -> None:
        result, _ = await once(reset)
        assert result == Failure("closed")

    run(main())


# Connections that go bad between two exchanges


def test_a_stale_connection_is_replaced_once(run: Run) -> None:
    async def closes_every_second(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 2:  # read, but the connection closes without an answer
            writer.close()
        else:
            writer.write(OK)

    async def main() -> None:
        async with serving(closes_every_second) as server:
            with client() as http:
                for i in range(3):
                    assert isinstance(await http.post(server.url(), {}, b"%d" % i), Answer)
            assert [(r.body, r.connection) for r in server.requests] == [
                (b"0", 1), (b"1", 1), (b"1", 2), (b"2", 2),
            ]  # fmt: skip

    run(main())


def test_a_server_that_always_closes_gets_the_request_twice_at_most(run: Run) -> None:
    async def answers_once(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 1:
            writer.write(OK)
        else:
            writer.close()

    async def main() -> None:
        async with serving(answers_once) as server:
            with client() as http:
                assert isinstance(await http.post(server.url(), {}, b""), Answer)
                assert await http.post(server.url(), {}, b"") == Failure("closed")
            assert len(server.requests) == 3

    run(main())


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
def test_an_answer_nobody_asked_for_is_not_the_next_one(run: Run, pause_s: float) -> None:
    async def main() -> None:
        extra = OK.replace(b"ok", b"no")
        handler = raw(OK + extra) if pause_s == 0 else raw(OK, pause_s, extra)
        async with serving(handler) as server:
            with client() as http:
                for _ in range(3):
                    answer = await http.post(server.url(), {}, b"")
                    assert isinstance(answer, Answer)
                    assert answer.body == b"ok"
                    async with asyncio.timeout(2):
                        while server.open:  # until what nobody asked for has come
                            await asyncio.sleep(0.005)
            assert server.connections == 3

    run(main())


# At once, on an idle connection


async def now(http: HttpClient, url: str, body: bytes) -> Answer | Failure | None:
    """`post_now` as an awaitable; None when it could not."""
    done: asyncio.Future[Answer | Failure] = asyncio.get_running_loop().create_future()
    begun = http.post_now(url, "X-A: b\r\n", body, SHORT, done.set_result)
    return await done if begun else None


def test_a_post_at_once_needs_an_idle_connection(run: Run) -> None:
    async def main() -> None:
        async with serving(OK) as server:
            with client(per_host=1) as http:
                assert await now(http, server.url(), b"") is None  # no address is known yet
                assert isinstance(await http.post(server.url(), {}, b"1"), Answer)
                assert isinstance(await now(http, server.url(), b"2"), Answer)
                under_way = asyncio.create_task(now(http, server.url(), b"3"))
                await asyncio.sleep(0)
                assert await now(http, server.url(), b"") is None  # that one is busy
                assert isinstance(await under_way, Answer)
                assert await now(http, "http://10.0.0.1/p", b"") is None
                http.close()
                assert await now(http, server.url(), b"") is None
            assert [r.body for r in server.requests] == [b"1", b"2", b"3"]
            assert server.connections == 1
            assert "X-A: b\r\n" in server.requests[1].head

    run(main())


def test_a_post_at_once_follows_redirects(run: Run) -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(redirect_to(307, b"/q") if request.number == 2 else OK)

    async def main() -> None:
        async with serving(handler) as server:
            with client() as http:
                assert isinstance(await http.post(server.url(), {}, b"1"), Answer)
                answer = await now(http, server.url(), b"2")
                assert isinstance(answer, Answer)
                assert answer.status == 200
            assert [r.body for r in server.requests] == [b"1", b"2", b"2"]
            assert server.requests[2].head.startswith("POST /q ")

    run(main())


@pytest.mark.parametrize(("again", "requests"), [(True, 3), (False, 3)])
def test_a_post_at_once_on_a_stale_connection_goes_out_once_more(
    run: Run, again: bool, requests: int
) -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 2 or (request.number > 2 and not again):
            writer.close()
        else:
            writer.write(OK)

    async def main() -> None:
        async with serving(handler) as server:
            with client() as http:
                assert isinstance(await http.post(server.url(), {}, b"1"), Answer)
                result = await now(http, server.url(), b"2")
                assert isinstance(result, Answer) if again else result == Failure("closed")
            assert len(server.requests) == requests
            assert [r.connection for r in server.requests] == [1, 1, 2]

    run(main())


def test_a_post_at_once_has_its_time(run: Run) -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 1:
            writer.write(OK)

    async def main() -> None:
        async with serving(handler) as server:
            with client() as http:
                assert isinstance(await http.post(server.url(), {}, b""), Answer)
                late = await now(http, server.url(), b"")
                assert late in (Failure("timeout_read"), Failure("timeout_total"))

    run(main())


# Connecting


def test_nobody_listens(run: Run) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        async def main() -> None:
            with client() as http:
                refused = await http.post(f"http://127.0.0.1:{port}/p", {}, b"")
                assert refused == Failure("connect", "refused")

        run(main())


def test_connecting_takes_too_long(run: Run) -> None:
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # fill the queue of connections that nobody accepts
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}/p"

        async def main() -> None:
            with client() as http:
                slow = await http.post(url, {}, b"", Limits(connect_ms=100))
                assert slow == Failure("timeout_connect")
                slow = await http.post(url, {}, b"", Limits(total_ms=100))
                assert slow == Failure("timeout_total")

        run(main())


def test_a_certificate_that_is_over(run: Run, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "hook.example.com", days=-2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def loopback(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def main() -> None:
        trusting = ssl.create_default_context(cafile=str(cert))
        async with serving(OK, tls=context) as server:
            with client(Guard(True, lookup=loopback), tls=trusting) as http:
                url = server.url("/p", "hook.example.com", "https")
                assert await http.post(url, {}, b"") == Failure("tls", "expired")

    run(main())


def certificate(folder: Path, name: str, days: int = 1) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file


def test_tls(run: Run, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "hook.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    trusting = ssl.create_default_context(cafile=str(cert))

    async def loopback(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def main() -> None:
        guard = Guard(True, lookup=loopback)
        async with serving(OK, tls=context) as server, serving(OK) as plain:
            url = server.url("/p", "hook.example.com", "https")
            with client(guard) as http:  # a self-signed certificate
                assert await http.post(url, {}, b"") == Failure("tls", "untrusted")
            with client(guard, tls=trusting) as http:
                for _ in range(3):
                    assert isinstance(await http.post(url, {}, b"a"), Answer)
                other = server.url("/p", "other.example.com", "https")
                assert await http.post(other, {}, b"") == Failure("tls", "host")
                mute = await http.post(plain.url("/p", scheme="https"), {}, b"", SHORT)
                assert mute == Failure("timeout_total")
            assert (len(server.requests), plain.requests) == (3, [])
            assert f"Host: hook.example.com:{server.port}\r\n" in server.requests[0].head

    run(main())


# Names


class Names:
    """A resolver whose answers a test sets, one after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.now_s = 0.0

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def guard(self, *allow: str) -> Guard:
        networks = [IPv4Network(network) for network in allow]
        return Guard(False, networks, lookup=self.lookup, monotonic_s=lambda: self.now_s)


def test_a_name_bound_again_to_an_inner_address_is_not_called(run: Run) -> None:
    async def main() -> None:
        async with serving(OK, "0.0.0.0") as server:
            names = Names(["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"])
            with client(names.guard("127.0.0.2/32")) as http:
                url = server.url("/p", "rebind.example.com")
                assert isinstance(await http.post(url, {}, b""), Answer)
                names.now_s = 31.0
                for _ in range(3):
                    refused = await http.post(url, {}, b"")
                    assert refused == Failure("refused_by_guard", "address")
                    names.now_s += 3.0
            assert server.connections == 1

    run(main())


def test_the_next_address_is_tried_and_remembered(run: Run) -> None:
    async def main() -> None:
        async with serving(OK, "127.0.0.2") as server:
            guard = Names(["127.0.0.3", "127.0.0.2"]).guard("127.0.0.0/8")
            with client(guard) as http:
                url = server.url("/p", "two.example.com")
                assert isinstance(await http.post(url, {}, b""), Answer)
                assert isinstance(await http.post(url, {}, b""), Answer)
            found = guard.known("two.example.com")
            assert isinstance(found, list)
            assert [address.ip for address in found] == ["127.0.0.2", "127.0.0.3"]
            assert server.connections == 1

    run(main())


def test_names_without_an_address_and_resolvers_without_an_answer(run: Run) -> None:
    async def silent(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(5)
        return []

    async def main() -> None:
        with client(Names([]).guard()) as http:
            assert await http.post("http://none.example.com/p", {}, b"") == Failure("resolve")
        with client(Guard(False, lookup=silent)) as http:
            slow = await http.post("http://a.example.com/p", {}, b"", Limits(connect_ms=50))
            assert slow == Failure("resolve")

    run(main())


class Careless(Guard):
    """A guard that finds every address public."""

    def allowed(self, ip: object) -> bool:
        return True

    def may_be_own(self, ip: object) -> bool:
        return False


def test_an_address_of_this_machine_is_refused_after_connecting(run: Run) -> None:
    async def main() -> None:
        async with serving(OK) as server:
            with client(Careless(False)) as http:
                refused = await http.post(server.url(), {}, b"")
                assert refused == Failure("refused_by_guard", "address")
            assert server.requests == []

    run(main())


# The guard: nothing reaches the sentinel

LOOPBACK_HOSTS = [
    "localhost", "LocalHost", "localhost.", "a.localhost", "localhost.localdomain", "127.0.0.1",
    "127.0.0.2", "127.1", "127.0.1", "127.255.255.254", "0", "0.0.0.0", "0x7f000001", "0x7F.1",
    "0177.0.0.1", "017700000001", "2130706433", "0x7f.0x0.0x0.0x1", "127.0.0.1.", "127.0.0.01",
    "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "[::1]", "[::]", "[0:0::1]", "[::127.0.0.1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[fe80::1%25lo]", "[::1%25lo]", "[fec0::1]",
    "user@127.0.0.1", "example.com@127.0.0.1", "example.com:80@localhost", "a:b@[::1]",
    "example.com\\@127.0.0.1", "127.0.0.1\\@example.com", "in.example.com", "mixed.example.com",
]  # fmt: skip


def sentinel_urls(port: int) -> list[str]:
    forms = ("http://{}:{}/p", "https://{}:{}/p?q=1#rc=1", "HTTP://{}:{}")
    urls = [form.format(host, port) for host in LOOPBACK_HOSTS for form in forms]
    other = ("gopher", "file", "ftp", "dict", "ws", "unix", "tftp", "ldap")
    return urls + [f"{scheme}://127.0.0.1:{port}/p" for scheme in other]


def inner_guard() -> Guard:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", "127.0.0.1"] if host.startswith("mixed") else ["127.0.0.1", "::1"]

    return Guard(False, lookup=lookup)


def test_no_url_reaches_the_sentinel(run: Run) -> None:
    async def main() -> None:
        async with serving(OK, "0.0.0.0") as sentinel:
            urls = sentinel_urls(sentinel.port)
            assert len(urls) >= 120
            with client(inner_guard()) as http:
                for url in urls:
                    result = await http.post(url, {}, b"", SHORT)
                    assert isinstance(result, Failure)
                    assert result.kind == "refused_by_guard", url
                    assert "127" not in repr(result)
            assert sentinel.connections == 0

    run(main())


def test_no_redirect_reaches_the_sentinel(run: Run) -> None:
    async def main() -> None:
        async with serving(OK, "127.0.0.1") as sentinel:
            urls = sentinel_urls(sentinel.port)
            # The redirecting server is the one address this guard allows.
            inner = inner_guard()

            class OneDoor(Guard):
                def allowed(self, ip: Any) -> bool:
                    return ip == ip_address("127.0.0.77") or inner.allowed(ip)

            async def lookup(host: str, port: int) -> Sequence[str]:
                return ["127.0.0.77"] if host == "door.example.com" else ["127.0.0.1"]

            async def redirect(request: Request, writer: asyncio.StreamWriter) -> None:
                location = urls[int(request.body)].encode()
                writer.write(
                    b"HTTP/1.1 307 T\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"
                )

            guard = OneDoor(False, [IPv4Network("127.0.0.77/32")], lookup=lookup)
            async with serving(redirect, "127.0.0.77") as door:
                with client(guard) as http:
                    for i, url in enumerate(urls):
                        door_url = door.url("/p", "door.example.com")
                        result = await http.post(door_url, {}, b"%d" % i, SHORT)
                        assert isinstance(result, Failure), url
                        assert result.kind == "refused_by_guard", url
                assert len(door.requests) == len(urls)
                assert door.connections == 1
            assert sentinel.connections == 0

    run(main())


# Redirects


def redirect_to(status: int, location: bytes) -> bytes:
    return b"HTTP/1.1 %d R\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % (status, location)


SECRETS = {
    "Content-Type": "text/x", "X-Twilio-Signature": "sig", "authorization": "Bearer x",
    "Cookie": "c=d", "I-Twilio-Idempotency-Token": "t",
}  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_on_the_same_server(run: Run, status: int) -> None:
    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        first = request.number == 1
        writer.write(redirect_to(status, "../n\u00e9w?a=ü b".encode()) if first else OK)

    async def main() -> None:
        async with serving(handler) as server:
            with client() as http:
                url = server.url("/a/b").replace("//", "//user:p%40ss@")
                headers = {"Content-Type": "text/x", "X-Twilio-Signature": "sig"}
                answer = await http.post(url, headers, b"a=b", SHORT)
                assert isinstance(answer, Answer)
                assert answer.status == 200
            assert server.connections == 1
            second = server.requests[1]
            method = "POST" if status in (307, 308) else "GET"
            assert second.head.startswith(f"{method} /n%C3%A9w?a=%C3%BC%20b HTTP/1.1\r\n")
            assert second.body == (b"a=b" if method == "POST" else b"")
            assert ("Content-Type: text/x" in second.head) == (method == "POST")
            assert ("Content-Length" in second.head) == (method == "POST")
            for request in server.requests:
                assert "Authorization: Basic dXNlcjpwQHNz\r\n" in request.head
                assert "X-Twilio-Signature: sig\r\n" in request.head

    run(main())


def test_credentials_and_signature_stay_with_their_server(run: Run) -> None:
    async def main() -> None:
        async with serving(OK) as other:
            location = other.url("/x").replace("//", "//evil:pw@").encode()
            async with serving(redirect_to(308, location)) as server:
                with client() as http:
                    url = server.url().replace("//", "//user:pass@")
                    assert isinstance(await http.post(url, SECRETS, b"a=b"), Answer)
        head = other.requests[0].head.lower()
        for name in ("authorization", "cookie", "x-twilio-signature"):
            assert name in server.requests[0].head.lower()
            assert name not in head
        assert "i-twilio-idempotency-token: t\r\n" in head
        assert other.requests[0].body == b"a=b"

    run(main())


COOKIES = (
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: 1\r\nset-cookie: b=2; Path=/\r\nX-A: 2\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_every_cookie_of_an_answer_is_told(run: Run) -> None:
    async def main() -> None:
        answer, _ = await once(COOKIES)
        assert isinstance(answer, Answer)
        assert answer.header("set-cookie").split("\n") == ["a=1", "b=2; Path=/"]
        assert answer.header("x-a") == "2"

    run(main())


def test_who_was_led_to_sets_no_cookies_for_who_was_asked(run: Run) -> None:
    async def within(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(COOKIES if request.number > 1 else redirect_to(307, b"/there"))

    async def main() -> None:
        async with serving(COOKIES) as other:
            answer, _ = await once(redirect_to(302, other.url("/x").encode()))
            assert isinstance(answer, Answer)
            assert (answer.status, answer.header("set-cookie"), answer.header("x-a")) == (
                200, "", "2",
            )  # fmt: skip
        answer, _ = await once(within)
        assert isinstance(answer, Answer)
        assert "b=2" in answer.header("set-cookie")

    run(main())


@pytest.mark.parametrize(("limit", "requests"), [(0, 1), (1, 2), (5, 6)])
def test_redirects_are_counted(run: Run, limit: int, requests: int) -> None:
    async def main() -> None:
        limits = Limits(redirects=limit)
        result, server = await once(redirect_to(307, b"/again"), limits)
        assert result == Failure("redirects")
        assert len(server.requests) == requests

    run(main())


@pytest.mark.parametrize("location", [b"http://[::1", b"http://@/p", b"mailto:a@b", b"//x_y/p"])
def test_a_redirect_to_no_url(run: Run, location: bytes) -> None:
    async def main() -> None:
        result, _ = await once(redirect_to(307, location))
        assert isinstance(result, Failure)
        assert result.kind == "refused_by_guard"

    run(main())


def test_redirects_share_the_total_time(run: Run) -> None:
    async def main() -> None:
        result, server = await once(raw(0.1, redirect_to(307, b"/again")), Limits(total_ms=250))
        assert result == Failure("timeout_total")
        assert len(server.requests) <= 4

    run(main())


# What callers hand in


@pytest.mark.parametrize(
    "headers",
    [{"A": "b\r\nC: d"}, {"A": "b\n"}, {"A": "b\r"}, {"A\n": "b"}, {"A": "\0"}, {"A": "é"}],
)
def test_a_header_that_is_none_is_our_bug(headers: dict[str, str]) -> None:
    async def main() -> None:
        with client() as http, pytest.raises(Defect) as caught:
            await http.post("http://127.0.0.1:65000/p", headers, b"")
        assert "b" not in str(caught.value).split()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("userinfo", "basic"),
    [("user:pass", "dXNlcjpwYXNz"), ("user", "dXNlcjo="), ("u%0D%0A:%C3%A9", "dQ0KOsOp")],
)
def test_userinfo_becomes_basic_credentials(userinfo: str, basic: str) -> None:
    async def main() -> None:
        async with serving(OK) as server:
            with client() as http:
                url = server.url().replace("//", f"//{userinfo}@")
                assert isinstance(await http.post(url, {}, b""), Answer)
        assert f"\r\nAuthorization: Basic {basic}\r\n" in server.requests[0].head
        assert "@" not in server.requests[0].head

    asyncio.run(main())


def test_a_get_has_no_body() -> None:
    async def main() -> None:
        async with serving(OK) as server:
            with client() as http:
                assert isinstance(await http.request("GET", server.url(), {}), Answer)
        assert server.requests[0].head.startswith("GET /p HTTP/1.1\r\n")
        assert "Content-Length" not in server.requests[0].head

    asyncio.run(main())


def test_a_query_goes_with_the_request_and_is_not_remembered(run: Run) -> None:
    """However long it is: other than a URL, it may have more than 4,000 characters."""
    private = "Body=" + "%E2%82%AC" * 1_600

    async def main() -> None:
        async with serving(OK) as server:
            parse_url.cache_clear()
            with client() as http:
                for path in ("/sms", "/sms?x=1", "/sms?"):
                    answer = await http.request("GET", server.url(path), {}, query=private)
                    assert isinstance(answer, Answer)
                for bad in ("a b", "a#b", "a\r\nX: y", "é"):
                    with pytest.raises(Defect):
                        await http.request("GET", server.url(), {}, query=bad)
            targets = [request.head.split(" ")[1] for request in server.requests]
            assert targets == [f"/sms?{private}", f"/sms?x=1&{private}", f"/sms?{private}"]
            assert parse_url.cache_info().currsize == 4
            parse_url(server.url("/sms"))
            parse_url(server.url("/sms?x=1"))
            assert parse_url.cache_info().currsize == 4, "known without what was private"

    run(main())


def test_a_query_does_not_follow_a_redirect(run: Run) -> None:
    """Also not a relative one; what a Location repeats of it is not remembered."""
    answers = (
        "307 Moved\r\nLocation: #top\r\nContent-Length: 0",
        "307 Moved\r\nLocation: /next?Body=secret\r\nContent-Length: 0",
        "204 No Content",
    )

    async def handler(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {answers[request.number - 1]}\r\n\r\n".encode())

    async def main() -> None:
        async with serving(handler) as server:
            parse_url.cache_clear()
            with client() as http:
                answer = await http.request("GET", server.url("/a"), {}, query="Body=secret")
            assert isinstance(answer, Answer)
            assert answer.status == 204
            targets = [request.head.split(" ")[1] for request in server.requests]
            assert targets == ["/a?Body=secret", "/a", "/next?Body=secret"]
            assert parse_url.cache_info().currsize == 1

    run(main())
