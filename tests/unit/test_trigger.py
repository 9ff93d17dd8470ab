"""Triggers: what came is told once to each subscriber, whichever way it was learned."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from hushwire.connect.credentials import Basic
from hushwire.connect.refused import Refused
from hushwire.connect.run import Connected
from hushwire.connect.signed import Secrets, Webhook, sign
from hushwire.connect.trigger import Event, Intake, Polling, Receipt, Recent, receive
from hushwire.connect.wire import Wire
from hushwire.private import Private

TOKEN = Private("a" * 32)
SECRETS = Secrets((TOKEN,))
URL = "https://example.com/sms"
ALICE, OWN = "+14155550123", "+15005550006"
SID = "AC" + "0" * 32
INBOUND = {"MessageSid": "SM1", "SmsStatus": "received", "To": OWN, "From": ALICE, "Body": "Hi"}
SENT = {"MessageSid": "SM2", "MessageStatus": "sent", "To": ALICE, "From": OWN}


class Bench:
    """An intake on a clock that is moved."""

    def __init__(self, room: int = 100, most: int = 1_000) -> None:
        self.time = 1_000_000.0
        self.known = Recent(lambda: self.time, window_s=3600, most=most)
        self.intake = Intake(self.known, lambda: self.time, window_s=3600, room=room)

    def post(self, params: dict[str, str], **headers: str) -> Receipt:
        return receive(form(params, **headers), SECRETS, self.intake)


def form(params: dict[str, str], **headers: str) -> Webhook:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    signature = {"x-twilio-signature": sign(TOKEN, URL, params.items())}
    content = {"content-type": "application/x-www-form-urlencoded"}
    return Webhook("POST", URL, {**content, **signature, **named}, urlencode(params).encode())


def stream(*items: dict[str, Any]) -> Webhook:
    body = json.dumps(items).encode()
    url = f"{URL}?bodySHA256={sha256(body).hexdigest()}"
    headers = {"content-type": "application/json", "x-twilio-signature": sign(TOKEN, url)}
    return Webhook("POST", url, headers, body)


def play(scene: Callable[[Bench], Coroutine[Any, Any, None]], **bench: int) -> None:
    async def go() -> None:
        await scene(Bench(**bench))

    asyncio.run(go())


def test_each_subscriber_is_told_what_it_wants() -> None:
    """Several subscribers share the one URL of a number; none takes it from another."""

    async def scene(bench: Bench) -> None:
        every = bench.intake.subscribe("every")
        inbound = bench.intake.subscribe("inbound", kinds=["received"], numbers=[OWN])
        other = bench.intake.subscribe("other", numbers=["+15005550001"])
        assert bench.post(INBOUND) == Receipt(200, "told")
        assert bench.post(SENT) == Receipt(200, "told")
        assert [(await anext(every)).sid for _ in range(2)] == ["SM1", "SM2"]
        event = await anext(inbound)
        assert (event.kind, event.status, event.number) == ("received", "received", OWN)
        assert event.content["Body"] == "Hi"
        for subscription in (every, inbound, other):
            assert subscription.waiting.empty()
        bench.intake.leave("inbound")
        assert [event async for event in inbound] == []
        bench.intake.subscribe("inbound")
        with pytest.raises(Refused) as refused:
            bench.intake.subscribe("every")
        assert (refused.value.status, refused.value.field) == (409, "name")

    play(scene)


def test_what_came_before_does_not_count_again() -> None:
    """The identity is what is signed: another token in a header makes no other event."""

    async def scene(bench: Bench) -> None:
        told = bench.intake.subscribe("one")
        assert bench.post(INBOUND, i_twilio_idempotency_token="t1").why == "told"
        assert bench.post(INBOUND, i_twilio_idempotency_token="t1").why == "repeated"
        assert bench.post(INBOUND, i_twilio_idempotency_token="t2") == Receipt(200, "repeated")
        assert bench.post(SENT, i_twilio_idempotency_token="t1").why == "told"
        assert bench.post({**SENT, "MessageStatus": "delivered"}).why == "told"
        assert told.waiting.qsize() == 3

    play(scene)


def test_without_a_sid_the_token_names_it() -> None:
    async def scene(bench: Bench) -> None:
        assert bench.post({"Digits": "1"}, i_twilio_idempotency_token="t1").why == "told"
        assert bench.post({"Digits": "1"}, i_twilio_idempotency_token="t1").why == "repeated"
        assert bench.post({"Digits": "2"}).why == "told"
        assert bench.post({"Digits": "2"}).why == "repeated"

    play(scene)


def test_the_window() -> None:
    """What is older than the window is stale where it says its time; ids are kept as long."""

    async def scene(bench: Bench) -> None:
        item = {"id": "EZ1", "type": "t", "time": "1970-01-12T13:46:40Z", "data": {"a": 1}}
        told = bench.intake.subscribe("one")
        assert receive(stream(item), SECRETS, bench.intake) == Receipt(200, "told")
        event = await anext(told)
        assert (event.kind, event.content["data"]) == ("event", {"a": 1})
        bench.time += 3599
        assert receive(stream(item), SECRETS, bench.intake).why == "repeated"
        bench.time += 2
        assert not bench.known.has("EZ1")
        assert receive(stream(item), SECRETS, bench.intake).why == "stale"
        newer = {**item, "id": "EZ2", "time": "1970-01-12T14:46:40Z"}
        assert receive(stream(item, newer), SECRETS, bench.intake).why == "stale,told"

    play(scene)


def test_no_more_ids_than_there_is_room_for() -> None:
    async def scene(bench: Bench) -> None:
        for at in range(5):
            bench.known.add(f"id{at}")
        assert [bench.known.has(f"id{at}") for at in range(5)] == [False, False, True, True, True]

    play(scene, most=3)


def test_who_is_full_has_it_come_again() -> None:
    """All are told, or none, so that the repetition is no repetition for anybody."""

    async def scene(bench: Bench) -> None:
        slow, fast = bench.intake.subscribe("slow"), bench.intake.subscribe("fast")
        assert bench.post(INBOUND).status == 200
        await anext(fast)
        assert bench.post(SENT) == Receipt(503, "busy")
        assert fast.waiting.empty()
        await anext(slow)
        assert bench.post(SENT) == Receipt(200, "told")
        assert (await anext(slow)).sid == (await anext(fast)).sid == "SM2"

    play(scene, room=1)


def test_what_is_not_to_be_believed_is_told_to_nobody() -> None:
    async def scene(bench: Bench) -> None:
        told = bench.intake.subscribe("one")
        whole = form(INBOUND)
        forged = Webhook("POST", URL, whole.headers, whole.body.replace(b"Hi", b"Ho"))
        assert receive(forged, SECRETS, bench.intake) == Receipt(403, "signature")
        for content in ("7", "[]]", '{"id": "EZ1"}', '[{"id":"E","type":"t","time":"soon"}]'):
            body = content.encode()
            url = f"{URL}?bodySHA256={sha256(body).hexdigest()}"
            headers = {"content-type": "application/json", "x-twilio-signature": sign(TOKEN, url)}
            webhook = Webhook("POST", url, headers, body)
            assert receive(webhook, SECRETS, bench.intake) == Receipt(400, "unreadable")
        assert told.waiting.empty()
        assert bench.post(INBOUND).why == "told"

    play(scene)


def test_a_get_has_its_parameters_in_the_url() -> None:
    async def scene(bench: Bench) -> None:
        url = f"{URL}?{urlencode(INBOUND)}"
        webhook = Webhook("GET", url, {"x-twilio-signature": sign(TOKEN, url)})
        assert receive(webhook, SECRETS, bench.intake).why == "told"
        assert bench.post(INBOUND).why == "repeated"

    play(scene)


def test_an_event_shows_nothing_private() -> None:
    event = Event("SM1:received", "received", {"Body": "secret", "From": ALICE}, "SM1", number=OWN)
    assert "secret" not in repr(event)
    assert "555" not in repr(event)


# --- polling ---------------------------------------------------------------------------------


def message(sid: str, status: str, minute: int) -> dict[str, Any]:
    inbound = status == "received"
    at = f"Sat, 21 Nov 2026 09:{minute:02}:00 +0000"
    return {
        "sid": sid, "account_sid": SID, "status": status, "direction": "inbound",
        "to": OWN if inbound else ALICE, "from": ALICE if inbound else OWN, "body": "Hi",
        "date_created": at, "date_sent": at, "date_updated": at,
    }  # fmt: skip


def connected(messages: list[dict[str, Any]], **more: Any) -> Connected:
    """A backend that has these messages, newest first."""

    def handle(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("PageToken", "0"))
        size = int(request.url.params["PageSize"])
        end = start + size
        uri = f"{request.url.path}?PageSize={size}"
        following = f"{uri}&Page=1&PageToken={end}" if end < len(messages) else None
        page = {"messages": messages[start:end], "first_page_uri": uri, "next_page_uri": following}
        return httpx.Response(200, json=page)

    wire = Wire("http://backend", Basic(SID, TOKEN), transport=httpx.MockTransport(handle))
    return Connected(wire, SID, **more)


def test_polling_tells_the_same_events_as_webhooks() -> None:
    async def scene(bench: Bench) -> None:
        messages = [message("SM1", "sent", 1)]
        polling = Polling(connected(messages), bench.intake, page_size=2)
        told = bench.intake.subscribe("one")
        assert await polling.look() == 0  # what was there before nobody asked for
        assert await polling.look() == 0
        messages[0] = message("SM1", "delivered", 1)
        messages[:0] = [message(f"SM{at}", "received", at) for at in (5, 4, 3, 2)]
        assert bench.post({**INBOUND, "MessageSid": "SM3"}).why == "told"
        assert await polling.look() == 4
        assert bench.post({**INBOUND, "MessageSid": "SM2"}).why == "repeated"
        found = [await anext(told) for _ in range(5)]
        assert [event.id for event in found] == [
            "SM3:received", "SM5:received", "SM4:received", "SM2:received", "SM1:delivered",
        ]  # fmt: skip
        assert {event.number for event in found} == {OWN}
        assert found[1].content["Body"] == "Hi"

    play(scene)


def test_polling_goes_no_further_back_than_it_is_told() -> None:
    async def scene(bench: Bench) -> None:
        messages = [message(f"SM{at}", "received", at) for at in range(59, 0, -1)]
        asked: list[str] = []
        backend = connected(messages)
        get = backend.wire.get

        async def counted(path: str, *rest: Any) -> dict[str, Any]:
            asked.append(path)
            return await get(path, *rest)

        backend.wire.get = counted  # type: ignore[method-assign]
        await Polling(backend, bench.intake, lookback=timedelta(minutes=9), page_size=5).look()
        assert len(asked) == 3  # 59 … 45

    play(scene)


def test_polling_goes_on_where_a_subscriber_was_full() -> None:
    async def scene(bench: Bench) -> None:
        messages: list[dict[str, Any]] = [message("SM1", "received", 1)]
        polling = Polling(connected(messages), bench.intake)
        await polling.look()
        told = bench.intake.subscribe("one")
        messages[:0] = [message("SM3", "received", 3), message("SM2", "received", 2)]
        assert await polling.look() == 1
        assert (await anext(told)).sid == "SM3"
        assert await polling.look() == 1
        assert (await anext(told)).sid == "SM2"

    play(scene, room=1)


def test_polling_obeys_scope_and_view() -> None:
    """The view of the connection holds for events, too; the scope is looked at before any call."""

    async def scene(bench: Bench) -> None:
        with pytest.raises(Refused) as refused:
            Polling(connected([], scopes=frozenset({"messages.read"})), bench.intake)
        assert refused.value.code == 70051
        messages: list[dict[str, Any]] = []
        polling = Polling(connected(messages, view="masked"), bench.intake)
        await polling.look()
        told = bench.intake.subscribe("one", numbers=[OWN])
        messages.append(message("SM1", "received", 1))
        await polling.look()
        content = (await anext(told)).content
        assert (content["From"], "Body" in content) == ("+1415555XXXX", False)

    play(scene)
