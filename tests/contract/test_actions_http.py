"""The HTTP door of the actions: what it lists, runs and refuses, with whose permissions."""

import json
from typing import Any
from uuid import uuid4

import pytest
from schemathesis.openapi import from_dict

from action_checks import ACTIONS, act, as_caller, refused
from harness import RunningServer, wait_for
from hushwire.api.actions_openapi import document
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import run as run  # with it come all actions
from tenants import owner, subaccount

ALICE = "+14155550171"
CORE = {
    "send_message", "list_messages", "retrieve_message", "update_message", "cancel_message",
    "redact_message", "delete_message", "list_accounts", "retrieve_account", "list_numbers",
    "look_up_phone",
}  # fmt: skip


def done(server: RunningServer, name: str, **given: object) -> dict[str, Any]:
    status, output = act(server, name, given)
    assert status == 200, output
    return output


def test_it_lists_every_action_with_its_schemas(server: RunningServer) -> None:
    status, answer = server.json("GET", ACTIONS)
    assert status == 200
    found = {action["name"]: action for action in answer["actions"]}
    assert found.keys() == {action.name for action in REGISTRY}
    assert found.keys() >= CORE
    send = found["send_message"]
    assert (send["effect"], send["idempotency"], send["scopes"]) == (
        "sends", "key", ["messages.send"],
    )  # fmt: skip
    assert (send["pii"]["to"], send["pii"]["body"]) == ("number", "body")
    assert server.json("GET", f"{ACTIONS}/send_message") == (200, send)


def test_a_messages_life_by_actions(server: RunningServer) -> None:
    sent = done(server, "send_message", to=ALICE, **{"from": server.number}, body="Hello")
    sid = sent["sid"]
    wait_for(lambda: done(server, "retrieve_message", sid=sid)["status"] == "delivered")
    listed = done(server, "list_messages", to=ALICE, limit=1)
    assert (listed["messages"][0]["sid"], listed["filters_applied"]) == (sid, {"To": ALICE})
    assert done(server, "look_up_phone", phone_number=ALICE)["messages_to"] >= 1
    assert done(server, "redact_message", message_sid=sid)["body"] == ""
    assert done(server, "delete_message", sid=sid) == {"sid": sid, "deleted": True,
                                                       "already": False}  # fmt: skip
    assert done(server, "delete_message", sid=sid)["already"]
    refused(act(server, "retrieve_message", {"sid": sid}), 404, 20404)
    assert done(server, "list_accounts")["accounts"][0]["sid"]
    assert done(server, "retrieve_account", sid=server.sid)["status"] == "active"
    own = [n["phone_number"] for n in done(server, "list_numbers")["incoming_phone_numbers"]]
    assert server.number in own


def test_a_repetition_with_its_key_sends_once(server: RunningServer) -> None:
    given = {"to": ALICE, "from": server.number, "body": "Once"}
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    body = json.dumps({"input": given}).encode()
    sids = {
        json.loads(server.request("POST", f"{ACTIONS}/send_message", body, headers)[2])["sid"]
        for _ in range(3)
    }
    assert len(sids) == 1


@pytest.mark.parametrize("key", ["é", "a\tb", "x" * 256])
def test_a_key_that_cannot_be_passed_on(server: RunningServer, key: str) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    status, _, body = server.request("POST", f"{ACTIONS}/send_message", b"{}", headers)
    assert (status, json.loads(body)["status"]) == (400, 400)


def test_what_is_not_as_it_must_be(server: RunningServer) -> None:
    """Unknown action 404, bad field 400, each in one sentence."""
    problem = refused(act(server, "sned_message"), 404, 20404)
    assert problem["message"] == "there is no action 'sned_message': did you mean send_message?"
    refused(server.json("GET", f"{ACTIONS}/bogus"), 404, 20404)
    bad = refused(act(server, "list_messages", {"page_size": 1001}), 400, 20001)
    assert bad["field"] == "page_size"
    assert refused(act(server, "list_messages", {"bogus": 1}), 400, 20001)["field"] == "bogus"
    assert refused(act(server, "list_messages", connection="nope"), 404, 20404)["field"] == (
        "connection"
    )
    assert refused(act(server, "list_messages", [1]), 400, 20001)["field"] == "input"
    assert refused(act(server, "list_messages", connection=7), 400, 20001)["field"] == "connection"
    assert refused(act(server, "list_messages", bogus=7), 400, 20001)["field"] == "bogus"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"x"', b"null", b"\xff", b'{"a":' + b"[" * 60_000, b"To=%2B1"]
)
def test_what_is_no_json_object(server: RunningServer, body: bytes) -> None:
    status, _, answer = server.request("POST", f"{ACTIONS}/list_messages", body)
    problem = refused((status, json.loads(answer)), 400, 20001)
    assert problem["message"] == "the body of the request must be a JSON object"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ACTIONS), ("GET", f"{ACTIONS}/send_message"), ("POST", f"{ACTIONS}/send_message"),
     ("POST", f"{ACTIONS}/bogus")],
)  # fmt: skip
def test_nobody_is_answered_without_credentials(
    server: RunningServer, method: str, path: str
) -> None:
    """K-4: 20003 before anything else is looked at."""
    status, _, body = server.request(method, path, b"{", auth=False)
    assert (status, json.loads(body)["code"]) == (401, 20003)


def test_an_action_may_what_its_caller_may(server: RunningServer) -> None:
    """A restricted key, a standard key, a subaccount: the API decides, not the door."""
    reader = owner(server).key(
        KeyType="restricted", Policy='{"allow": ["/twilio/messaging/messages/list"]}'
    )
    assert as_caller(reader, "list_messages", {"limit": 1})[0] == 200
    status, problem = as_caller(reader, "send_message", {"to": ALICE, "from": server.number,
                                                         "body": "x"})  # fmt: skip
    assert (status, problem["code"]) == (401, 70051)
    child = subaccount(server)
    assert as_caller(child, "list_messages", {"limit": 1})[1]["messages"] == []
    status, problem = as_caller(child, "list_messages", {"account_sid": server.sid})
    assert (status, problem["code"]) == (404, 20404)


def test_the_published_document_is_valid_and_that_of_the_server(server: RunningServer) -> None:
    status, _, body = server.request("GET", "/hushwire/v1/openapi.json", auth=False)
    assert status == 200
    found = json.loads(body)
    assert found == json.loads(json.dumps(document(server.url)))
    from_dict(found).validate()
    assert {path.rpartition("/")[2] for path in found["paths"]} == {a.name for a in REGISTRY}
    for item in found["paths"].values():
        assert item["servers"] == [{"url": server.url}]  # W16


def test_integrations_say_what_they_are_before_anybody_connects(server: RunningServer) -> None:
    """G-1, P-1, P-2: version, description, actions, scopes and prerequisites."""
    status, answer = server.json("GET", "/hushwire/v1/integrations")
    assert status == 200
    found = {each["view"]: each for each in answer["integrations"]}
    assert found.keys() == {"kognitos", "persona", "tealium"}
    assert found["kognitos"]["version"] == "2.0.1"
    assert found["persona"]["scopes"] == [
        "messages.read", "messages.list", "accounts.read", "accounts.list",
    ]  # fmt: skip
    assert {name for each in found.values() for name in each["actions"]} <= {
        action.name for action in REGISTRY
    }
    assert server.request("GET", "/hushwire/v1/integrations", auth=False)[0] == 401
