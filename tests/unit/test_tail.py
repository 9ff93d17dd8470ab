"""The live message log: who is told what, what a slow reader loses, how it begins and ends."""

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.routing import Router

from hushwire.actions.tail import LISTENERS_MAX, Listener, Tail, Told, event_of
from hushwire.api.tail import TailResource
from hushwire.clock import Clock
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.privacy import Display
from hushwire.errors import Refusal, Unavailable
from hushwire.private import Private

NOW = 1_772_366_399_900  # 2026-03-01T11:59:59.900Z
SID = "AC" + "0" * 32
OWN, OTHER = "+15005550006", "+14155550123"


def a_message(**changes: Any) -> Message:
    message = Message(
        key=NOW << 16, tail=bytes(8), sid="SM" + "0" * 32, account_id=1,
        direction=Direction.OUTBOUND_API, status=Status.QUEUED, from_=Private(OWN),
        to=Private(OTHER), body=Private("Your code is 4711"), callback=None, segments=1,
        created_ms=NOW, updated_ms=NOW, content_key=11, address_key=12,
    )  # fmt: skip
    return replace(message, **changes)


class Switch:
    """The store's side of the hook."""

    def __init__(self) -> None:
        self.told: Told | None = None

    def __call__(self, told: Told | None) -> None:
        self.told = told


class OpenDoor:
    """A door that lets everybody in as account 1, or nobody."""

    def __init__(self, refusal: Refusal | None = None) -> None:
        self._refusal = refusal

    def path_account(self, request: Any, permission: str) -> Any:
        assert permission == "twilio/messaging/messages/list"
        if self._refusal is not None:
            raise self._refusal

        class Account:
            id = 1

        return Account


class Reader:
    """One GET of the log, driven as a server drives an application."""

    def __init__(self, resource: TailResource, method: str = "GET") -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.room = asyncio.Event()
        self.room.set()
        self._gone = asyncio.Event()
        app = Router(routes=resource.routes())
        path = f"/hushwire/v1/accounts/{SID}/tail"
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": b"", "headers": [], "root_path": "", "app": app,
        }  # fmt: skip
        self.call = asyncio.ensure_future(app(scope, self._receive, self._send))

    def leave(self) -> None:
        self._gone.set()

    async def next(self) -> dict[str, Any] | None:
        """The next line; None is the end."""
        return await asyncio.wait_for(self.lines.get(), 5)

    async def _receive(self) -> Any:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: Any) -> None:
        await self.room.wait()
        if event["type"] == "http.response.start":
            self.status, self.headers = event["status"], dict(event["headers"])
            return
        for line in event.get("body", b"").splitlines():
            self.lines.put_nowait(json.loads(line))
        if not event.get("more_body"):
            self.lines.put_nowait(None)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def resource(tail: Tail, door: Any = None, heartbeat_s: float = 15.0) -> TailResource:
    clock = Clock(read=lambda: NOW)
    return TailResource(tail, door or OpenDoor(), clock, heartbeat_s=heartbeat_s)


def last4(account_id: int) -> Display:
    return "last4"


def test_an_event_has_no_body_and_masks_the_persons_number_alone() -> None:
    event = event_of(a_message(), "last4")
    assert (event.from_, event.to) == (OWN, "+1415555XXXX")
    inbound = a_message(direction=Direction.INBOUND, from_=Private(OTHER), to=Private(OWN))
    shown = event_of(inbound, "last4")
    assert (shown.from_, shown.to) == ("+1415555XXXX", OWN)
    forgotten = a_message(to=None, to_shown="+1415555XXXX", from_=None, from_shown=OWN)
    shown = event_of(forgotten, "none")  # what was left of it then
    assert (shown.from_, shown.to) == (OWN, "+1415555XXXX")
    assert "4711" not in repr(event)


@pytest.mark.parametrize(("display", "left"), [("country", "+1…"), ("none", "")])
def test_a_listener_sees_as_much_of_a_number_as_the_account_lets(
    display: Display, left: str
) -> None:
    async def work() -> None:
        tail = Tail(Switch(), {1: display}.__getitem__)
        listener = tail.listen(1)
        assert listener is not None
        tail.told(a_message())
        tail.told(a_message(direction=Direction.INBOUND, from_=Private(OTHER), to=Private(OWN)))
        out, inbound = (await listener.take(0.01))[1]
        assert (out.from_, out.to) == (OWN, left)
        assert (inbound.from_, inbound.to) == (left, OWN)

    run(work())


def test_nobody_is_told_while_nobody_listens() -> None:
    async def work() -> None:
        switch = Switch()
        tail = Tail(switch, last4)
        assert switch.told is None
        first, second = tail.listen(1), tail.listen(2)
        assert first is not None
        assert second is not None
        assert switch.told == tail.told
        tail.leave(1, first)
        assert switch.told == tail.told
        tail.leave(2, second)
        tail.leave(2, second)  # twice is fine
        assert switch.told is None

    run(work())


def test_an_account_hears_its_own_messages_only() -> None:
    async def work() -> None:
        tail = Tail(Switch(), last4)
        mine, theirs = tail.listen(1), tail.listen(2)
        assert mine is not None
        assert theirs is not None
        tail.told(a_message())
        tail.told(a_message(status=Status.SENT))
        assert [event.status for event in (await mine.take(0.01))[1]] == ["queued", "sent"]
        assert await theirs.take(0.01) == (0, [])

    run(work())


def test_a_slow_listener_loses_the_oldest_and_is_told_how_many() -> None:
    async def work() -> None:
        listener = Listener(most=3)
        for n in range(5):
            listener.put(event_of(a_message(segments=n), "last4"))
        lost, events = await listener.take(0.01)
        assert (lost, [event.segments for event in events]) == (2, [2, 3, 4])
        listener.put(event_of(a_message(segments=5), "last4"))
        lost, events = await listener.take(0.01)
        assert (lost, [event.segments for event in events]) == (0, [5])

    run(work())


def test_listeners_of_an_account_are_bounded_and_give_their_place_back() -> None:
    async def work() -> None:
        tail = Tail(Switch(), last4)
        listeners = [tail.listen(1) for _ in range(LISTENERS_MAX)]
        assert None not in listeners
        assert tail.listen(1) is None
        assert tail.listen(2) is not None
        assert listeners[0] is not None
        tail.leave(1, listeners[0])
        assert tail.listen(1) is not None

    run(work())


def test_the_answer_begins_at_once_and_goes_on_until_the_reader_leaves() -> None:
    async def work() -> None:
        switch = Switch()
        reader = Reader(resource(Tail(switch, last4)))
        assert await reader.next() == {"heartbeat": "2026-03-01T11:59:59.900Z"}
        assert reader.status == 200
        assert reader.headers[b"content-type"] == b"application/x-ndjson"
        assert switch.told is not None
        switch.told(a_message(status=Status.UNDELIVERED, error_code=30003))
        assert await reader.next() == {
            "sid": "SM" + "0" * 32, "at": "2026-03-01T11:59:59.900Z", "status": "undelivered",
            "direction": "outbound-api", "from": OWN, "to": "+1415555XXXX", "segments": 1,
            "error_code": 30003,
        }  # fmt: skip
        reader.leave()
        await asyncio.wait_for(reader.call, 5)
        assert switch.told is None

    run(work())


def test_a_reader_that_does_not_take_loses_the_oldest() -> None:
    async def work() -> None:
        switch = Switch()
        reader = Reader(resource(Tail(switch, last4)))
        await reader.next()
        reader.room.clear()
        assert switch.told is not None
        switch.told(a_message(segments=0))
        await asyncio.sleep(0)  # let it be on its way: it is stuck in the socket now
        await asyncio.sleep(0)
        for n in range(1, 1_004):
            switch.told(a_message(segments=n))
        reader.room.set()
        assert (await reader.next() or {})["segments"] == 0
        assert await reader.next() == {"lost": 3}
        assert (await reader.next() or {})["segments"] == 4
        reader.leave()
        await reader.call

    run(work())


def test_silence_is_filled_with_heartbeats() -> None:
    async def work() -> None:
        reader = Reader(resource(Tail(Switch(), last4), heartbeat_s=0.01))
        assert [list(await reader.next() or {}) for _ in range(3)] == [["heartbeat"]] * 3
        reader.leave()
        await reader.call

    run(work())


def test_a_stop_of_the_server_ends_the_answer() -> None:
    async def work() -> None:
        tail = Tail(Switch(), last4)
        reader = Reader(resource(tail))
        await reader.next()
        tail.told(a_message())
        tail.close()
        assert (await reader.next() or {})["status"] == "queued"
        assert await reader.next() is None
        await asyncio.wait_for(reader.call, 5)

    run(work())


def test_a_head_request_ends() -> None:
    async def work() -> None:
        switch = Switch()
        reader = Reader(resource(Tail(switch, last4)), "HEAD")
        await asyncio.wait_for(reader.call, 5)
        assert (reader.status, switch.told) == (200, None)

    run(work())


@pytest.mark.parametrize("name", ["authenticate", "not_found"])
def test_whom_the_door_refuses_hears_nothing(name: str) -> None:
    async def work() -> None:
        switch = Switch()
        refusal = Refusal(name, path="/")
        with pytest.raises(Refusal) as found:
            await Reader(resource(Tail(switch, last4), OpenDoor(refusal))).call
        assert found.value is refusal
        assert switch.told is None

    run(work())


def test_one_listener_too_many_is_told_to_come_later() -> None:
    async def work() -> None:
        tail = Tail(Switch(), last4)
        for _ in range(LISTENERS_MAX):
            tail.listen(1)
        with pytest.raises(Unavailable) as found:
            await Reader(resource(tail)).call
        assert (found.value.problem.status, found.value.problem.code) == (429, 20429)

    run(work())
