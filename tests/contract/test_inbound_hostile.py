"""F14, F15: a webhook host that hangs, floods, redirects or resets hurts nobody but itself."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import RunningServer, wait_for
from webhook_app import App, Request, Said
from wire_checks import fresh_phone, get

Attack = Callable[[socket.socket], None]
TOTAL_MS = 1_500


def _hang(peer: socket.socket) -> None:
    time.sleep(30)


def _reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def _drip(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 100\r\n\r\n")
    while True:
        peer.sendall(b" ")
        time.sleep(0.1)


def _flood(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 9999999999\r\n\r\n")
    while True:
        peer.sendall(b"<Response>" * 100_000)


def _headers(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.sendall(b"X-Again: and again\r\n" * 1_000)


def _informs(peer: socket.socket) -> None:
    while True:
        peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        time.sleep(0.01)


def _redirects(peer: socket.socket) -> None:
    peer.sendall(
        b"HTTP/1.1 307 Again\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )


def _answers(body: bytes) -> Attack:
    def answer(peer: socket.socket) -> None:
        peer.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )

    return answer


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><Response>&e9;</Response>'.encode()


ATTACKS: dict[str, tuple[Attack, str]] = {
    "hangs": (_hang, "11203"),
    "resets": (_reset, "11205"),
    "drips": (_drip, "11203"),
    "floods with a body": (_flood, "11750"),
    "floods with headers": (_headers, "11206"),
    "informs for ever": (_informs, "11206"),
    "redirects for ever": (_redirects, "11215"),
    "laughs": (_answers(_laughs()), "12100"),
    "is deep": (_answers(b"<a>" * 20_000), "12100"),
    "is no text": (_answers(b"\xff\xfe\x00" * 1_000), "12100"),
    "redirects in TwiML": (_answers(b"<Response><Redirect/></Response>"), "14106"),
}


class Hostile:
    """Listens on a port of 127.0.0.1 and treats who comes as told."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                threading.Thread(target=self._meet, args=(peer,), daemon=True).start()

    def _meet(self, peer: socket.socket) -> None:
        with suppress(OSError), peer:
            peer.recv(65_536)
            self._attack(peer)


def text(server: RunningServer, from_: str, to: str) -> str:
    path = f"/sandbox/phones/{quote(from_)}/messages"
    status, answer = server.json("POST", path, {"to": to, "body": "Hello"})
    assert status == 201, answer
    return answer["sid"]


def number(server: RunningServer, phone: str, url: str) -> str:
    server.client().incoming_phone_numbers.create(phone_number=phone, sms_url=url)
    return phone


def memory_mb(server: RunningServer) -> int:
    assert server.process is not None
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) >> 10
    raise AssertionError


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_as_an_alert(server: RunningServer, name: str) -> None:
    attack, code = ATTACKS[name]
    hostile = Hostile(attack)
    place = 3000 + list(ATTACKS).index(name)
    own = number(
        server, f"+1628556{place}", f"http://127.0.0.1:{hostile.port}/sms#tt={TOTAL_MS}&rc=0"
    )
    sid = text(server, fresh_phone(), own)

    def codes() -> list[str]:
        found = get(server, "/v1/Alerts?PageSize=1000")["alerts"]
        return [alert["error_code"] for alert in found if alert["resource_sid"] == sid]

    wait_for(lambda: codes() == [code])
    assert server.client().messages(sid).fetch().status == "received"
    hostile.close()


def test_others_are_told_at_once_and_the_memory_stays(server: RunningServer) -> None:
    """Twenty hosts that hang or flood, ten texts to each; meanwhile an honest app."""
    hosts = [Hostile(attack) for attack in (_hang, _flood, _headers, _drip) * 5]
    own = [
        number(server, f"+1628557{n:04d}", f"http://127.0.0.1:{host.port}/sms#tt=5000")
        for n, host in enumerate(hosts)
    ]
    before_mb = memory_mb(server)
    for phone in own:
        for _ in range(10):
            text(server, fresh_phone(), phone)

    def answer(request: Request) -> Said:
        return Said("here", 200, "text/plain")

    with App(answer) as app:
        honest = number(server, "+16285579999", app.url())
        for _ in range(5):
            phone, began = fresh_phone(), time.monotonic()
            text(server, phone, honest)
            wait_for(lambda phone=phone: server.screen(phone), within_s=5)
            assert time.monotonic() - began < 2.5, "two cores, and others who use them"
    assert memory_mb(server) - before_mb < 60
    for host in hosts:
        host.close()
