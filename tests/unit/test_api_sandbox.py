"""The sandbox's HTTP door, spoken to as a server would, in front of the real network."""

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers

from hushwire.api.sandbox import sandbox_routes
from hushwire.api.wire import Scope
from hushwire.carriers.base import Submission
from hushwire.carriers.simulator import Simulator
from hushwire.clock import Clock
from hushwire.dispatch.timewarp import TimeWarp
from hushwire.errors import PROBLEMS, Refusal
from hushwire.private import Private

START_MS = 1_772_366_400_250
OWNED = "+15557654321"
PHONE = "+15550000001"
MESSAGES = f"/sandbox/phones/{PHONE}/messages"
INVALID = PROBLEMS["invalid_parameter"].code
BEHAVIOURS = [
    "deliver", "undeliverable", "unreachable", "blocked", "landline", "filtered", "slow", "silent",
]  # fmt: skip
CREDENTIALS = "Basic " + base64.b64encode(b"AC00:secret").decode()


class Door:
    """The sandbox's door with a real network and clock; texts to us are kept in a list."""

    def __init__(self) -> None:
        self.clock = Clock(read=lambda: START_MS)
        self.phones = Simulator(self.clock, None)
        self.warp = TimeWarp(self.clock, self.busy, lambda offset_ms: None)
        self.received: list[tuple[str, ...]] = []
        self.pending = 0

    def busy(self) -> int:
        return self.phones.busy()

    def authenticate(self, scope: Scope) -> None:
        if Headers(scope=scope).get("authorization") != CREDENTIALS:
            raise Refusal("authenticate")

    async def receive_text(
        self, from_: Private, to: Private, body: Private, media_urls: Sequence[Private]
    ) -> tuple[str, str]:
        if to.reveal() != OWNED:
            raise Refusal("not_found", path="/sandbox/phones")
        self.received.append((from_.reveal(), body.reveal(), *(u.reveal() for u in media_urls)))
        return "SM" + "0" * 32, "received"

    async def advance(self, seconds: int) -> int:
        return await self.warp.advance(seconds * 1000) or self.pending

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def offset_ms(self) -> int:
        return self.clock.offset_ms


class Client:
    """Calls the application in memory, as an ASGI server does."""

    def __init__(self, door: Door) -> None:
        self.app = Starlette(routes=sandbox_routes(door))

    async def __call__(
        self, method: str, path: str, body: object = None, credentials: str | None = CREDENTIALS
    ) -> tuple[int, Any, dict[str, str]]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = [(b"authorization", credentials.encode())] if credentials else []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "path": unquote(path), "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "headers": headers, "scheme": "http", "server": ("test", 80),
        }  # fmt: skip
        asked = [{"type": "http.request", "body": content, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            return asked.pop(0) if asked else {"type": "http.disconnect"}

        async def send(event: Any) -> None:
            sent.append(event)

        await self.app(scope, receive, send)
        answer = b"".join(e["body"] for e in sent if e["type"] == "http.response.body")
        fields = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], json.loads(answer) if answer else None, fields


def run(play: Any) -> None:
    async def main() -> None:
        door = Door()
        door.phones.start(lambda batch: None, lambda batch: None)
        await play(door, Client(door))
        await door.phones.stop()

    asyncio.run(main())


def text(body: str, n: int = 1) -> Submission:
    return Submission(
        reference=n, from_=Private(OWNED), to=Private(PHONE), body=Private(body), segments=1,
        sid=f"SM{n:032x}",
    )  # fmt: skip


def refused(answer: tuple[int, Any, dict[str, str]], status: int, code: int) -> None:
    assert answer[0] == status
    assert set(answer[1]) == {"code", "message", "more_info", "status"}
    assert (answer[1]["code"], answer[1]["status"]) == (code, status)
    assert answer[2]["content-type"] == "application/json"


def test_the_screen_is_read_newest_first_and_cleared() -> None:
    async def play(door: Door, call: Client) -> None:
        assert (await call("GET", MESSAGES))[:2] == (200, {"messages": []})
        door.phones.submit([text("one", 1), text("two", 2)])
        await asyncio.sleep(0)
        status, answer, _ = await call("GET", MESSAGES)
        assert status == 200
        assert [m["body"] for m in answer["messages"]] == ["two", "one"]
        assert answer["messages"][1] == {
            "sid": f"SM{1:032x}",
            "from": OWNED,
            "to": PHONE,
            "body": "one",
            "media_urls": [],
            "received_at": "2026-03-01T12:00:00.250Z",
        }
        assert (await call("GET", MESSAGES.replace("+", "%2B")))[1] == answer
        assert (await call("DELETE", MESSAGES))[:2] == (204, None)
        assert (await call("GET", MESSAGES))[1] == {"messages": []}

    run(play)


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("GET", "/messages", None),
        ("DELETE", "/messages", None),
        ("POST", "/messages", {"to": OWNED, "body": "hi"}),
        ("POST", "", {"behaviour": "blocked"}),
    ],
)
@pytest.mark.parametrize(
    "number", ["15550000001", "%2015550000001", "+0555000", "+1555x", "+1", "+" + "1" * 16, "+१२३"]
)
def test_other_forms_of_number_are_refused(
    method: str, tail: str, body: object, number: str
) -> None:
    async def play(door: Door, call: Client) -> None:
        refused(await call(method, f"/sandbox/phones/{number}{tail}", body), 400, INVALID)
        assert door.received == []

    run(play)


def test_a_phone_texts_us() -> None:
    async def play(door: Door, call: Client) -> None:
        body = {"to": OWNED, "body": "hi é😀", "media_urls": ["https://example.com/a.png"]}
        assert (await call("POST", MESSAGES, body))[:2] == (
            201,
            {"sid": "SM" + "0" * 32, "status": "received"},
        )
        await call("POST", MESSAGES.replace("+", "%2B"), {"to": OWNED, "body": "plain"})
        await call("POST", MESSAGES, {"to": OWNED, "media_urls": ["https://example.com/b"]})
        assert door.received == [
            (PHONE, "hi é😀", "https://example.com/a.png"),
            (PHONE, "plain"),
            (PHONE, "", "https://example.com/b"),
        ]
        refused(await call("POST", MESSAGES, {"to": "+15550009999", "body": "x"}), 404, 20404)

    run(play)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff", b'{"to": "\\ud800", "body": "x"}', b"[]", b"null", {}, {"body": "hi"},
        {"to": OWNED}, {"to": 5, "body": "hi"}, {"to": OWNED, "body": None},
        {"to": OWNED, "body": ["hi"]}, {"to": OWNED, "body": "hi", "media_urls": "https://a"},
        {"to": OWNED, "body": "hi", "media_urls": [7]},
        {"to": OWNED, "body": "hi", "media_urls": ["https://a"] * 11},
        {"to": OWNED, "body": "hi", "from": PHONE}, {"to": OWNED, "body": "x" * 70_000},
    ],
)  # fmt: skip
def test_a_text_that_is_none_is_refused(body: object) -> None:
    async def play(door: Door, call: Client) -> None:
        refused(await call("POST", MESSAGES, body), 400, INVALID)
        assert door.received == []

    run(play)


def test_the_refusal_names_the_field_and_repeats_nothing() -> None:
    async def play(door: Door, call: Client) -> None:
        answer = await call("POST", MESSAGES, {"to": 123456789, "body": "hi"})
        assert "to" in answer[1]["message"]
        assert "123456789" not in answer[1]["message"]
        answer = await call("POST", MESSAGES, {"to": OWNED, "canary": "hi"})
        assert "canary" not in answer[1]["message"]

    run(play)


def test_a_phone_is_told_how_to_behave() -> None:
    async def play(door: Door, call: Client) -> None:
        path = f"/sandbox/phones/{PHONE}"
        answer = await call("POST", path, {"behaviour": "blocked"})
        assert answer[:2] == (200, {"behaviour": "blocked"})
        for bad in ({"behaviour": "explode"}, {"behaviour": 5}, {}, {"behavior": "slow"}, b"x"):
            refused(await call("POST", path, bad), 400, INVALID)
        door.phones.submit([text("one")])
        await asyncio.sleep(0)
        assert door.phones.screen(Private(PHONE)) == []  # still blocked
        for name in BEHAVIOURS:
            assert (await call("POST", path, {"behaviour": name}))[0] == 200

    run(play)


def test_the_clock_is_read_and_moved() -> None:
    async def play(door: Door, call: Client) -> None:
        start = {"now": "2026-03-01T12:00:00.250Z", "offset_s": 0}
        assert (await call("GET", "/sandbox/clock"))[:2] == (200, start)
        moved = {"now": "2026-03-02T12:00:00.250Z", "offset_s": 86_400}
        assert (await call("POST", "/sandbox/clock", {"advance_s": 86_400}))[:2] == (200, moved)
        assert (await call("GET", "/sandbox/clock"))[1] == moved
        assert (await call("POST", "/sandbox/clock", {"advance_s": 34_560_000}))[0] == 200
        door.pending = 4
        status, answer, _ = await call("POST", "/sandbox/clock", {"advance_s": 1})
        assert status == 202
        assert answer == {**answer, "offset_s": 34_646_401, "pending": 4}
        assert set(answer) == {"now", "offset_s", "pending"}

    run(play)


@pytest.mark.parametrize(
    "body",
    [
        {"advance_s": 0}, {"advance_s": -1}, {"advance_s": 34_560_001}, {"advance_s": "60"},
        {"advance_s": 1.5}, {"advance_s": True}, {"advance_s": None}, {"advance_s": 10**30},
        {}, {"advance": 5}, b"{]", b"60",
    ],
)  # fmt: skip
def test_the_clock_refuses_what_is_out_of_range(body: object) -> None:
    async def play(door: Door, call: Client) -> None:
        refused(await call("POST", "/sandbox/clock", body), 400, INVALID)
        assert door.clock.offset_ms == 0

    run(play)


@pytest.mark.parametrize("credentials", [None, "Basic !", "Bearer x"])
def test_every_path_asks_for_credentials_first(credentials: str | None) -> None:
    async def play(door: Door, call: Client) -> None:
        for method, path in [
            ("GET", MESSAGES), ("POST", MESSAGES), ("DELETE", MESSAGES),
            ("GET", "/sandbox/phones/nonsense/messages"), ("POST", f"/sandbox/phones/{PHONE}"),
            ("GET", "/sandbox/clock"), ("POST", "/sandbox/clock"),
        ]:  # fmt: skip
            answer = await call(method, path, b"nonsense", credentials)
            refused(answer, 401, 20003)
            assert answer[2]["www-authenticate"].startswith("Basic ")

    run(play)
