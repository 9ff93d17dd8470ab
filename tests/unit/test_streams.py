"""Event Streams: which change is which event, fed with the change, and what an event says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import apsw
import pytest
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from hushwire.actions.streams import NewSink, Streams
from hushwire.clock import SeededEntropy
from hushwire.domain.message import (
    Direction,
    Fact,
    FactName,
    Message,
    Status,
    advance,
    deleted,
    history_line,
    redacted,
)
from hushwire.domain.privacy import Privacy
from hushwire.domain.stream import INBOUND, TYPES, Sink, type_of
from hushwire.errors import Refusal, Unavailable
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.store.outbox import Parcel
from hushwire.store.records import Records
from hushwire.webhooks.cloud_events import EventWriter
from hushwire.webhooks.courier import Letter
from rig import ALICE, SENDER, START_MS, Rig, play

MESSAGE = "com.twilio.messaging.message"
URL = "http://127.0.0.1:9009/events"


class World:
    """Streams of a rig's account, and the letters that would go to its sinks."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.records = Records(rig.store)
        self.streams = Streams(
            self.records.owned, self.records.outbox, Guard(True), rig.clock, SeededEntropy(2)
        )
        rig.store.writers.append(self.streams.feed)
        self.writer = EventWriter(self.records.owned, rig.store)

    def sink(self, **options: object) -> Sink:
        return self.streams.create_sink(
            self.rig.account,
            NewSink("My sink", options.pop("url", URL), **options),  # type: ignore[arg-type]
        )

    def subscribe(self, sink: Sink, *types: str) -> None:
        self.streams.subscribe(self.rig.account, "Mine", sink.sid, dict.fromkeys(types, 1))

    def tell(self, message: Message, *names: FactName) -> Message:
        for name in names:
            change = advance(message, Fact(name, error_code=30006), self.rig.clock.now_ms())
            assert change is not None
            assert change.after is not None
            message = change.after
            self.rig.store.record([type(change)(change.before, message)])
        return message

    async def parcels(self, sink: Sink) -> list[Parcel]:
        await self.rig.settle()
        return self.records.outbox.due(sink.sid, 1 << 62, 99)

    async def letter(self, sink: Sink) -> Letter:
        letter = self.writer.letter(sink.sid, await self.parcels(sink))
        assert letter is not None
        return letter

    async def events(self, sink: Sink) -> list[dict[str, object]]:
        return json.loads((await self.letter(sink)).body)


def run(directory: Path, scene: Callable[[World], Awaitable[None]]) -> None:
    async def main(rig: Rig) -> None:
        world = World(rig)
        await scene(world)
        await rig.settle()
        world.records.close()

    play(directory, main)


@pytest.mark.parametrize(
    ("facts", "event"),
    [((), "queued"), (("attempted",), None), (("attempted", "postponed"), None),
     (("attempted", "handed"), "sent"), (("attempted", "handed", "delivered"), "delivered"),
     (("attempted", "handed", "undelivered"), "undelivered"), (("refused",), "failed"),
     (("expired",), "failed"), (("attempted", "doubted", "wait_ended"), "undelivered"),
     (("attempted", "handed", "wait_ended"), None)],
)  # fmt: skip
def test_which_change_is_which_event(
    tmp_path: Path, facts: tuple[FactName, ...], event: str | None
) -> None:
    async def scene(w: World) -> None:
        message = w.rig.message()
        for name in facts:
            change = advance(message, Fact(name), START_MS)
            assert change is not None
            assert change.after is not None
            message = change.after
        wanted = f"{MESSAGE}.{event}" if event is not None else None
        assert type_of(message) == wanted
        assert wanted is None or wanted in TYPES
        change = redacted(message, START_MS, body=True)
        assert change.after is not None
        assert type_of(change.after) is None

    run(tmp_path, scene)


def test_a_sink_is_told_of_what_it_subscribed_to(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink, other = w.sink(), w.sink()
        await w.rig.accept()
        assert await w.parcels(sink) == [], "nobody subscribed yet"
        w.subscribe(sink, f"{MESSAGE}.sent", f"{MESSAGE}.delivered")
        w.subscribe(sink, f"{MESSAGE}.delivered", INBOUND)
        w.subscribe(other, f"{MESSAGE}.failed")
        message = w.tell(await w.rig.accept(), "attempted", "handed", "delivered")
        w.tell(await w.rig.accept(), "refused")
        await w.rig.accept(
            direction=Direction.INBOUND, status=Status.RECEIVED, from_=Private(ALICE),
            to=Private(SENDER), history=history_line(Status.RECEIVED, START_MS),
        )  # fmt: skip
        events = await w.events(sink)
        assert [event["type"] for event in events] == [
            f"{MESSAGE}.sent", f"{MESSAGE}.delivered", INBOUND,
        ], "once each, though two subscriptions ask for one"  # fmt: skip
        assert events[1]["data"] == {
            "accountSid": w.rig.account.sid, "messageSid": message.sid,
            "eventName": f"{MESSAGE}.delivered", "messageStatus": "delivered",
            "timestamp": events[1]["time"], "errorCode": None, "direction": "outbound-api",
            "from": SENDER, "to": "+1415555XXXX", "numSegments": 1, "numMedia": 0,
        }  # fmt: skip
        assert (await w.events(other))[0]["data"]["errorCode"] == 30006  # type: ignore[index]
        w.tell(await w.rig.accept(media=2), "attempted", "handed")
        assert (await w.events(sink))[-1]["data"]["numMedia"] == 2  # type: ignore[index]

    run(tmp_path, scene)


def test_the_same_event_has_the_same_id_and_another_another(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink = w.sink()
        w.subscribe(sink, f"{MESSAGE}.queued", f"{MESSAGE}.sent")
        for _ in range(3):
            w.tell(await w.rig.accept(), "attempted", "handed")
        ids = [event["id"] for event in await w.events(sink)]
        assert len(set(ids)) == len(ids) == 6
        assert [event["id"] for event in await w.events(sink)] == ids

    run(tmp_path, scene)


def test_a_post_is_signed_for_its_body(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink = w.sink(url=f"{URL}?tenant=1#rc=2")
        w.subscribe(sink, f"{MESSAGE}.queued")
        await w.rig.accept()
        letter = await w.letter(sink)
        url, fragment = letter.url.split("#")
        assert fragment == "rc=2"
        assert parse_qs(urlsplit(url).query).keys() == {"tenant", "bodySHA256"}
        validator = RequestValidator(w.rig.account.auth_token.reveal())
        signature = letter.headers["X-Twilio-Signature"]
        assert validator.validate(url, letter.body.decode(), signature)
        assert not validator.validate(url, letter.body.decode() + " ", signature)

    run(tmp_path, scene)


def test_numbers_are_masked_unless_asked_for_and_forgotten_ones_never_told(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        masked, full = w.sink(), w.sink(numbers="full")
        for sink in (masked, full):
            w.subscribe(sink, f"{MESSAGE}.queued")
        message = await w.rig.accept(from_shown=SENDER, to_shown="+1415555XXXX")

        async def numbers(sink: Sink) -> object:
            data = (await w.events(sink))[0]["data"]
            assert isinstance(data, dict)
            assert "Hello" not in str(data)
            return data.get("to")

        assert (await numbers(masked), await numbers(full)) == ("+1415555XXXX", ALICE)
        account = w.rig.store.accounts.by_id[1]
        w.rig.store.accounts.change(replace(account, privacy=Privacy(display="country")))
        assert (await numbers(masked), await numbers(full)) == ("+1…", ALICE)
        change = redacted(message, START_MS, body=True, address=True)
        await w.rig.store.record([change])
        assert await numbers(full) == "+1415555XXXX"
        assert change.after is not None
        await w.rig.store.record([deleted(change.after)])
        assert await numbers(full) is None

    run(tmp_path, scene)


def test_a_refused_birth_is_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(w: World) -> None:
        sink = w.sink()
        w.subscribe(sink, f"{MESSAGE}.queued")
        db = w.rig.store._db
        whole = db.many

        def many(name: str, rows: object) -> None:
            if name == "insert_message":
                raise apsw.FullError
            whole(name, rows)  # type: ignore[arg-type]

        monkeypatch.setattr(db, "many", many)
        with pytest.raises(Unavailable):
            await w.rig.accept()
        assert await w.parcels(sink) == []

    run(tmp_path, scene)


def test_a_deleted_sink_gets_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink = w.sink()
        w.subscribe(sink, f"{MESSAGE}.queued")
        await w.rig.accept()
        parcels = await w.parcels(sink)
        w.streams.delete_sink(sink)
        assert w.writer.letter(sink.sid, parcels) is None
        await w.rig.accept()
        assert await w.parcels(sink) == []
        (left,) = w.streams.subscriptions(w.rig.account)
        w.streams.unsubscribe(left)
        assert w.streams.subscriptions(w.rig.account) == []

    run(tmp_path, scene)


def test_types_come_and_go(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink = w.sink()
        w.subscribe(sink, f"{MESSAGE}.queued")
        (found,) = w.streams.subscriptions(w.rig.account)
        found = w.streams.set_type(found, INBOUND, 1)
        w.streams.unset_type(found, f"{MESSAGE}.queued")
        await w.rig.accept()
        assert await w.parcels(sink) == []
        (found,) = w.streams.subscriptions(w.rig.account)
        assert found.types == {INBOUND: 1}
        for wrong in (
            lambda: w.streams.unset_type(found, INBOUND),
            lambda: w.streams.set_type(found, "com.twilio.voice.insights.call-summary.complete", 1),
            lambda: w.streams.set_type(found, INBOUND, 7),
            lambda: w.streams.subscribe(w.rig.account, "x", "DG" + "0" * 32, {INBOUND: 1}),
            lambda: w.streams.subscribe(w.rig.account, "x", sink.sid, {}),
            lambda: w.streams.subscribe(w.rig.account, "", sink.sid, {INBOUND: 1}),
            lambda: w.sink(url="http://10.0.0.1/"),
        ):
            with pytest.raises(Refusal):
                wrong()

    run(tmp_path, scene)


def test_a_test_event_proves_a_sink(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        sink = w.sink(batch=False)
        assert (w.writer.at_once(sink.sid), w.writer.at_once("DG")) == (1, 100)
        w.streams.test_sink(sink)
        (event,) = await w.events(sink)
        test_id = event["data"]["test_id"]  # type: ignore[index]
        now = w.streams.sink(w.rig.account, sink.sid)
        assert now is not None
        assert w.streams.validate_sink(now, test_id)
        assert not w.streams.validate_sink(now, "TE" + "0" * 32)
        assert not w.streams.validate_sink(sink, "")
        await asyncio.sleep(0)

    run(tmp_path, scene)
