"""Event Streams, through Twilio's SDK and as n8n uses them (W17)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from harness import RunningServer
from hushwire.domain.stream import TYPES
from json_receiver import JsonReceiver
from tenants import Tenant, assert_unknown, owner, subaccount
from wire_checks import FORM, assert_refused, create, fresh_phone, until

SINKS, SUBSCRIPTIONS = "/v1/Sinks", "/v1/Subscriptions"
DELIVERED, INBOUND = (
    "com.twilio.messaging.message.delivered", "com.twilio.messaging.inbound-message.received",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("streams") / "data") as running:
        yield running


@pytest.fixture
def me(server: RunningServer) -> Iterator[Tenant]:
    """The first account; what it made is deleted."""
    tenant = owner(server)
    yield tenant
    for path, key in ((SUBSCRIPTIONS, "subscriptions"), (SINKS, "sinks")):
        for found in tenant.made("GET", path)[key]:
            assert tenant.ask("DELETE", f"{path}/{found['sid']}")[0] == 204


@pytest.fixture
def endpoint() -> Iterator[JsonReceiver]:
    receiver = JsonReceiver()
    yield receiver
    receiver.close()


def sdk(tenant: Tenant) -> Client:
    client = tenant.sdk()
    client.events.base_url = tenant.server.url
    return client


def sink(tenant: Tenant, url: str, **options: object) -> dict[str, Any]:
    configuration = json.dumps({"destination": url, "method": "POST", **options})
    form = {"Description": "Mine", "SinkType": "webhook", "SinkConfiguration": configuration}
    return tenant.made("POST", SINKS, 201, **form)


def subscribe(tenant: Tenant, sink_sid: str, *types: str) -> dict[str, Any]:
    chosen = json.dumps([{"type": kind} for kind in types])
    form = {"Description": "Mine", "SinkSid": sink_sid, "Types": chosen}
    return tenant.made("POST", SUBSCRIPTIONS, 201, **form)


def test_n8n_s_trigger(me: Tenant, endpoint: JsonReceiver) -> None:
    """W17: sink, subscription with one JSON object, types, subscribed events, deletes of both."""
    made = sink(me, endpoint.url())
    form = {"Description": "7", "SinkSid": made["sid"], "Types": json.dumps({"type": DELIVERED})}
    subscription = me.made("POST", SUBSCRIPTIONS, 201, **form)
    types = me.made("GET", "/v1/Types?PageSize=200")["types"]
    assert DELIVERED in [kind["type"] for kind in types]
    path = f"{SUBSCRIPTIONS}/{subscription['sid']}/SubscribedEvents"
    assert [kind["type"] for kind in me.made("GET", path)["types"]] == [DELIVERED]
    message = create(me.server)
    (event,) = endpoint.events(1)
    assert (event["type"], event["data"]["messageSid"]) == (DELIVERED, message["sid"])
    for gone in (f"{SINKS}/{made['sid']}", f"{SUBSCRIPTIONS}/{subscription['sid']}"):
        assert me.ask("DELETE", gone)[0] == 204
        assert_unknown(me.ask("GET", gone), gone)


def test_types_may_be_repeated_as_the_sdk_does(me: Tenant, endpoint: JsonReceiver) -> None:
    events = sdk(me).events.v1
    made = events.sinks.create(
        description="Mine", sink_configuration={"destination": endpoint.url()},
        sink_type="webhook",
    )  # fmt: skip
    assert (made.status, made.sink_type, made.fetch().sid) == ("active", "webhook", made.sid)
    assert [found.sid for found in events.sinks.list()] == [made.sid]
    kinds = [{"type": DELIVERED, "schema_version": 1}, {"type": INBOUND}]
    subscription = events.subscriptions.create(description="d", sink_sid=made.sid, types=kinds)
    subscribed = subscription.subscribed_events
    assert {kind.type for kind in subscribed.list()} == {DELIVERED, INBOUND}
    assert subscription.update(description="e").description == "e"
    sent = subscribed.create(type="com.twilio.messaging.message.sent")
    assert (sent.schema_version, sent.fetch().type) == (1, sent.type)
    assert subscribed(INBOUND).delete()
    assert {kind.type for kind in subscribed.list()} == {DELIVERED, sent.type}
    assert events.event_types(DELIVERED).fetch().status == "available"
    assert {kind.type for kind in events.event_types.list()} == TYPES.keys()
    assert subscription.delete()
    assert made.delete()


def test_events_are_signed_masked_and_without_text(me: Tenant, endpoint: JsonReceiver) -> None:
    made = sink(me, endpoint.url("/events?team=7"))
    subscribe(me, made["sid"], *TYPES)
    phone = fresh_phone()
    message = create(me.server, To=phone, Body="A secret")
    events = endpoint.events(3)
    assert [event["type"].rpartition(".")[2] for event in events] == ["queued", "sent", "delivered"]
    validator = RequestValidator(me.password)
    for post in endpoint.posts:
        url = endpoint.url(post.path)
        assert validator.validate(url, post.body, post.signature)
        assert not validator.validate(url, post.body + " ", post.signature)
        assert "A secret" not in post.body
        assert phone not in post.body
    event = events[-1]
    assert event.keys() == {
        "specversion", "type", "source", "id", "dataschema", "datacontenttype", "time", "data",
    }  # fmt: skip
    assert event["specversion"] == "1.0"
    assert event["source"] == me.path(f"Messages/{message['sid']}.json")
    assert event["data"]["from"] == me.server.number
    assert event["data"]["to"] == f"{phone[:-4]}XXXX"
    assert len({event["id"] for event in events}) == 3
    text = {"to": me.server.number, "body": "Another secret"}
    me.server.json("POST", f"/sandbox/phones/%2B{phone[1:]}/messages", text)
    inbound = endpoint.events(4)[-1]
    assert (inbound["type"], inbound["data"]["from"]) == (INBOUND, f"{phone[:-4]}XXXX")


def test_a_sink_may_ask_for_whole_numbers(me: Tenant, endpoint: JsonReceiver) -> None:
    made = sink(me, endpoint.url(), numbers="full")
    assert made["sink_configuration"]["numbers"] == "full"
    subscribe(me, made["sid"], DELIVERED)
    phone = fresh_phone()
    create(me.server, To=phone)
    assert endpoint.events(1)[0]["data"]["to"] == phone


def test_what_a_sink_does_not_take_comes_again_with_the_same_id(
    me: Tenant, endpoint: JsonReceiver
) -> None:
    refused: list[str] = []

    def answer(post: Any) -> int:
        refused.append(post.events[0]["id"])
        return 500 if len(refused) == 1 else 204

    endpoint.answer = answer
    subscribe(me, sink(me, endpoint.url())["sid"], DELIVERED)
    until(me.server, create(me.server)["sid"], "delivered")
    me.server.advance(6)
    (event,) = endpoint.events(1)
    assert refused == [event["id"]] * 2


def test_events_wait_for_a_sink_through_a_restart(tmp_path: Path, endpoint: JsonReceiver) -> None:
    """At least once: what was not answered is told after the next start."""
    with RunningServer(tmp_path / "data") as server:
        me = owner(server)
        endpoint.answer = lambda post: 503
        subscribe(me, sink(me, endpoint.url())["sid"], DELIVERED)
        sids = [create(server)["sid"] for _ in range(5)]
        for sid in sids:
            until(server, sid, "delivered")
        assert server.stop() == 0
        endpoint.answer = lambda post: 204
        server.start()
        server.advance(6)
        assert {event["data"]["messageSid"] for event in endpoint.events(5)} == set(sids)
        assert [found["sink_type"] for found in me.made("GET", SINKS)["sinks"]] == ["webhook"]


def test_a_test_event_is_validated(me: Tenant, endpoint: JsonReceiver) -> None:
    path = f"{SINKS}/{sink(me, endpoint.url())['sid']}"
    assert me.made("POST", f"{path}/Test", 201) == {"result": "submitted"}
    test_id = endpoint.events(1)[0]["data"]["test_id"]
    assert me.made("POST", f"{path}/Validate", 201, TestId=test_id) == {"result": "valid"}
    assert_refused(me.ask("POST", f"{path}/Validate", TestId="TE0"), 400, 20422)


GOOD = {
    "Description": "x", "SinkType": "webhook",
    "SinkConfiguration": '{"destination":"http://127.0.0.1:9009/"}',
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"Description": ""}, 20001), ({"SinkType": ""}, 20001), ({"SinkConfiguration": ""}, 20001),
     ({"SinkType": "kinesis"}, 20422), ({"SinkConfiguration": "{"}, 20422),
     ({"SinkConfiguration": '{"destination":7}'}, 20422),
     ({"SinkConfiguration": '{"destination":"http://10.0.0.1/"}'}, 20422),
     ({"SinkConfiguration": '{"destination":"http://127.0.0.1:9009/","method":"GET"}'}, 20422),
     ({"SinkConfiguration": '{"destination":"http://127.0.0.1:9009/","numbers":"all"}'}, 20422)],
)  # fmt: skip
def test_sinks_that_are_none(me: Tenant, changes: dict[str, str], code: int) -> None:
    assert_refused(me.ask("POST", SINKS, **{**GOOD, **changes}), 400, code)
    assert me.made("GET", SINKS)["sinks"] == []


@pytest.mark.parametrize(
    ("types", "code"),
    [("", 20001), ("delivered", 20422), ("{}", 20422), ("[]", 20001), ('{"type":"x"}', 20422),
     ('{"type":"com.twilio.voice.insights.call-summary.complete"}', 20422),
     (json.dumps({"type": DELIVERED, "schema_version": 9}), 20422)],
)  # fmt: skip
def test_types_that_are_none(me: Tenant, types: str, code: int) -> None:
    made = sink(me, "http://127.0.0.1:9009/")
    form = {"Description": "x", "SinkSid": made["sid"], "Types": types}
    assert_refused(me.ask("POST", SUBSCRIPTIONS, **form), 400, code)
    form = {"Description": "x", "SinkSid": "DG" + "0" * 32, "Types": json.dumps({"type": INBOUND})}
    assert_refused(me.ask("POST", SUBSCRIPTIONS, **form), 400, 20422)


def test_repeated_types_in_one_form(me: Tenant) -> None:
    made = sink(me, "http://127.0.0.1:9009/")
    pairs = [("Description", "x"), ("SinkSid", made["sid"])]
    pairs += [("Types", json.dumps({"type": kind})) for kind in (DELIVERED, INBOUND)]
    status, _, body = me.server.request("POST", SUBSCRIPTIONS, urlencode(pairs).encode(), FORM)
    assert status == 201
    path = f"{SUBSCRIPTIONS}/{json.loads(body)['sid']}/SubscribedEvents"
    assert len(me.made("GET", path)["types"]) == 2


def test_foreign_sinks_and_subscriptions_are_unknown(me: Tenant) -> None:
    """P-20, D13; and a foreign sink cannot be subscribed."""
    theirs = subaccount(me.server)
    made = sink(me, "http://127.0.0.1:9009/")
    subscription = subscribe(me, made["sid"], DELIVERED)
    for path in (f"{SINKS}/{made['sid']}", f"{SUBSCRIPTIONS}/{subscription['sid']}",
                 f"{SUBSCRIPTIONS}/{subscription['sid']}/SubscribedEvents"):  # fmt: skip
        assert_unknown(theirs.ask("GET", path), path)
    form = {"Description": "x", "SinkSid": made["sid"], "Types": json.dumps({"type": DELIVERED})}
    assert_refused(theirs.ask("POST", SUBSCRIPTIONS, **form), 400, 20422)
    assert theirs.made("GET", SINKS)["sinks"] == []
