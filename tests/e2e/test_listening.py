"""Standing in the open: requests that never end, certificates that are renewed."""

import json
import re
import shutil
import signal
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from real_process import HELLO, Process
from self_signed import certificate

from harness import RunningServer, wait_for

LIMIT_S = 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("open") / "data"
    with RunningServer(data, HUSHWIRE_REQUEST_TIMEOUT_S=str(LIMIT_S)) as running:
        yield running


class Peer:
    """A client that says what it likes, when it likes."""

    def __init__(self, server: RunningServer, receive_bytes: int | None = None) -> None:
        parts = urlsplit(server.url)
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(10)
        self.socket.connect((parts.hostname, parts.port))
        self.began = time.monotonic()

    def says(self, content: bytes) -> None:
        self.socket.sendall(content)

    def trickles(self, content: bytes, within_s: float = 10) -> bytes:
        """A byte now and then, until the other end closes; what it said before."""
        said, left = b"", content
        self.socket.settimeout(0.05)
        while time.monotonic() - self.began < within_s:
            try:
                self.socket.sendall(left[:1])
                left = left[1:]
                heard = self.socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError:  # reset, because we went on talking
                return said
            if not heard:
                return said
            said += heard
        raise AssertionError(f"still open after {within_s} s")

    def hears(self) -> bytes:
        """Everything until the other end closes."""
        said = b""
        while heard := self.socket.recv(65_536):
            said += heard
        return said

    @property
    def waited_s(self) -> float:
        return time.monotonic() - self.began

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def head(server: RunningServer, size: int) -> bytes:
    basic = b64encode(f"{server.sid}:{server.token}".encode()).decode()
    path = f"/2010-04-01/Accounts/{server.sid}/Messages.json"
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {basic}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


def count(server: RunningServer) -> int:
    path = f"/2010-04-01/Accounts/{server.sid}/Messages.json?PageSize=1000"
    return len(server.json("GET", path)[1]["messages"])


# Requests that never end ------------------------------------------------------------------


def test_headers_that_trickle_end_with_408(server: RunningServer) -> None:
    with Peer(server) as peer:
        said = peer.trickles(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 10_000)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in said
        assert LIMIT_S <= peer.waited_s < LIMIT_S + 1


def test_a_body_that_trickles_ends_with_408_and_sends_nothing(server: RunningServer) -> None:
    before = count(server)
    with Peer(server) as peer:
        peer.says(head(server, len(HELLO) + 1_000) + HELLO)
        said = peer.trickles(b"x" * 1_000)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert LIMIT_S <= peer.waited_s < LIMIT_S + 1
    assert count(server) == before


def test_a_request_cut_off_is_no_request(server: RunningServer) -> None:
    """What came of the body would be a message of its own: shorter, to the same number."""
    before = count(server)
    for more in (b"", HELLO):
        with Peer(server) as peer:
            peer.says(head(server, len(HELLO) + 2) + more)
    time.sleep(0.1)  # nothing tells that a message does not come
    assert count(server) == before
    with Peer(server) as peer:
        peer.says(head(server, len(HELLO)) + HELLO)
        assert peer.socket.recv(100).startswith(b"HTTP/1.1 201 ")
    assert count(server) == before + 1


def test_a_connection_that_says_nothing_is_closed(server: RunningServer) -> None:
    with Peer(server) as peer:
        assert peer.hears() == b""
        assert LIMIT_S <= peer.waited_s < LIMIT_S + 1


def test_the_second_request_has_the_same_limit(server: RunningServer) -> None:
    """After an answer uvicorn counts; the first byte of the next request stops its clock."""
    with Peer(server) as peer:
        peer.says(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.socket.recv(1_000).startswith(b"HTTP/1.1 200 ")
        peer.began = time.monotonic()
        said = peer.trickles(b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 10_000)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert peer.waited_s < LIMIT_S + 1


def test_the_rest_of_a_refused_body_has_the_same_limit(server: RunningServer) -> None:
    """The answer came early: there is no second one, and still an end."""
    with Peer(server) as peer:
        peer.says(head(server, 200_000).replace(b"Basic", b"Wrong") + HELLO)
        assert peer.socket.recv(1_000).startswith(b"HTTP/1.1 401 ")
        peer.began = time.monotonic()
        assert b"408" not in peer.trickles(b"x" * 10_000)
        assert peer.waited_s < LIMIT_S + 1


def test_many_requests_on_one_connection_outlive_the_limit(server: RunningServer) -> None:
    with Peer(server) as peer:
        for _ in range(15):
            for part in (b"GET /healthz HT", b"TP/1.1\r\nHost: a\r\n", b"\r\n"):
                peer.says(part)
                time.sleep(LIMIT_S / 30)
            assert peer.socket.recv(1_000).startswith(b"HTTP/1.1 200 ")
        assert peer.waited_s > LIMIT_S


def test_who_takes_no_answer_is_let_go_and_fills_no_memory(server: RunningServer) -> None:
    """Much is asked for and nothing read: no more is taken in than is answered, and it ends."""
    left = memoryview(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 200_000)
    with Peer(server, receive_bytes=4_096) as peer:
        peer.socket.setblocking(False)
        while True:
            assert peer.waited_s < 15
            with suppress(BlockingIOError):
                try:
                    left = left[peer.socket.send(left or b"x") :]
                except ConnectionError:
                    break
            time.sleep(0.001)
    assert server.request("GET", "/healthz")[0] == 200
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    (peak_kb,) = re.findall(r"VmHWM:\s*(\d+) kB", status)
    assert int(peak_kb) < 200_000  # all 200,000 requests in memory would be 500,000 and more


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /healthz HTTP/1.1\r\nX-Long: ",
        b"GET /healthz?",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ",
    ],
    ids=["header", "query", "trailer"],
)
def test_a_request_without_end_is_cut_off(server: RunningServer, begin: bytes) -> None:
    """Before the time is up: what has no end must not be kept, nor be joined again and again."""
    ended = False
    with Peer(server) as peer:
        peer.says(begin)
        for _ in range(1_000):
            try:
                peer.says(b"a" * 100_000)
            except ConnectionError:
                ended = True
                break
    assert ended
    assert peer.waited_s < LIMIT_S
    assert server.request("GET", "/healthz")[0] == 200


def test_a_large_request_is_refused_by_name(server: RunningServer) -> None:
    """Up to a megabyte is read to its end, so that the refusal arrives."""
    with Peer(server) as peer:
        peer.says(head(server, 1_000_000) + b"a" * 1_000_000)
        assert peer.socket.recv(100).startswith(b"HTTP/1.1 413 ")


def test_requests_sent_ahead_are_answered_one_after_another(server: RunningServer) -> None:
    """Many more than are read at once; each is answered, in order, and none before its turn."""
    paths = [f"/2010-04-01/{number:05}" for number in range(3_000)]
    asked = b"".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in paths)
    with Peer(server) as peer:
        threading.Thread(target=peer.says, args=(asked,), daemon=True).start()
        said = b""
        while said.count(b"HTTP/1.1 ") < len(paths) or not said.endswith(b"}"):
            said += peer.socket.recv(1 << 20)
    assert re.findall(r"resource (\S+) was", said.decode()) == paths


def test_work_that_takes_its_time_is_not_cut_off(server: RunningServer) -> None:
    """The limit is on the caller's part. The sandbox clock works for longer than that."""
    server.behave("+14155550171", "deliver")
    status, answer = server.json("POST", "/sandbox/clock", {"advance_s": 3_600})
    assert status == 200, answer


# Certificates -----------------------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path) -> list[tuple[Path, Path]]:
    """Three pairs of certificate and key; the first is the one in use."""
    made: list[tuple[Path, Path]] = []
    for name in ("live", "second", "third"):
        (tmp_path / name).mkdir()
        made.append(certificate(tmp_path / name))
    return made


def shown(server: Process) -> str:
    parts = urlsplit(server.url)
    return ssl.get_server_certificate((str(parts.hostname), int(parts.port or 0)), timeout=10)


def put(source: Path, target: Path) -> None:
    """As renewal tools do: a new file takes the place of the old one."""
    part = target.with_suffix(".new")
    shutil.copyfile(source, part)
    part.replace(target)


def lines(server: Process, event: str) -> list[str]:
    return [line for line in server.log.read_text().splitlines() if f'"event":"{event}"' in line]


def test_a_renewed_certificate_is_taken_up(tmp_path: Path, pairs: list[tuple[Path, Path]]) -> None:
    (cert, key), second, third = pairs
    first = cert.read_text()
    server = Process(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key))
    server.launch()
    try:
        wait_for(lambda: (server.data / "credentials.json").exists())
        server.credentials = json.loads((server.data / "credentials.json").read_text())
        assert shown(server) == first
        _look_again(server)
        assert shown(server) == first, "nothing changed"
        for renewed in (second, third):
            before = shown(server)
            put(renewed[0], cert)
            told = len(lines(server, "library"))
            _look_again(server)
            wait_for(lambda told=told: len(lines(server, "library")) > told)
            assert shown(server) == before, "half a pair is not used, and does not spoil the old"
            put(renewed[1], key)
            _look_again(server)
            wait_for(lambda renewed=renewed: shown(server) == renewed[0].read_text())
    finally:
        assert server.stop() == 0


def _look_again(server: Process) -> None:
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
