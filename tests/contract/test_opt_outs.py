"""Opt-outs kept by hand, and what they stop: at once, and what waits too."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from harness import RunningServer
from tenants import Tenant, owner, subaccount
from v1_checks import sdk
from wire_checks import assert_refused, create, fresh_phone, post, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("optouts") / "data") as running:
        yield running


class Lists:
    """The opt-outs of an account over HTTP."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.path = f"/hushwire/v1/accounts/{server.sid}/opt-outs"

    def change(self, method: str, phone: str, scope: str) -> int:
        body = json.dumps({"phone": phone, "scope": scope}).encode()
        return self.server.request(method, self.path, body)[0]

    def check(self, phone: str) -> dict[str, Any]:
        status, answer = self.server.json("GET", f"{self.path}/check?phone={quote(phone)}")
        assert status == 200
        return answer


@pytest.fixture(scope="module")
def lists(server: RunningServer) -> Lists:
    return Lists(server)


def own_number(server: RunningServer) -> str:
    """The SID of the first number."""
    return server.client().incoming_phone_numbers.list(phone_number=server.number)[0].sid


def test_who_opted_out_of_a_number_gets_nothing_from_it(
    server: RunningServer, lists: Lists
) -> None:
    """6.9: 400/21610 before it is accepted; others, and other senders, are as before."""
    phone, scope = fresh_phone(), own_number(server)
    other = server.client().incoming_phone_numbers.create(area_code="415")
    assert lists.change("POST", phone, scope) == 204
    assert lists.check(phone) == {"blocked": True, "scopes": [scope]}
    form = {"To": phone, "From": server.number, "Body": "x"}
    assert_refused(post(server, form), 400, 21610, "Attempt to send to unsubscribed recipient")
    assert_refused(post(server, {**form, "Tags": "{}"}), 400, 21610)
    assert create(server)["status"] == "queued"
    assert create(server, To=phone, From=other.phone_number)["status"] == "queued"
    assert lists.change("DELETE", phone, scope) == 204
    assert lists.check(phone) == {"blocked": False, "scopes": []}
    assert create(server, To=phone)["status"] == "queued"


def test_who_opted_out_of_a_service_gets_nothing_from_its_pool(
    server: RunningServer, lists: Lists
) -> None:
    """6.9: the message is created, and fails with 21610; from the number itself it is refused."""
    client = sdk(owner(server))
    service = client.messaging.v1.services.create(friendly_name="Shop")
    number = client.incoming_phone_numbers.create(area_code="415")
    service.phone_numbers.create(phone_number_sid=number.sid)
    phone = fresh_phone()
    assert lists.change("POST", phone, service.sid) == 204
    for sender in (None, number.phone_number):
        made = create(server, To=phone, From=sender, MessagingServiceSid=service.sid)
        failed = until(server, made["sid"], "failed")
        assert failed["error_code"] == 21610
        assert failed["error_message"]
    form = {"To": phone, "From": number.phone_number, "Body": "x"}
    assert_refused(post(server, form), 400, 21610)
    assert server.screen(phone) == []


def test_what_waits_for_its_turn_is_stopped_too(server: RunningServer, lists: Lists) -> None:
    """Asked again right before the wire: a scheduled message finds out at its time."""
    client = sdk(owner(server))
    service = client.messaging.v1.services.create(friendly_name="Shop")
    number = client.incoming_phone_numbers.create(area_code="415")
    service.phone_numbers.create(phone_number_sid=number.sid)
    at = datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])
    phone = fresh_phone()
    made = client.messages.create(
        to=phone, body="x", messaging_service_sid=service.sid, schedule_type="fixed",
        send_at=at + timedelta(seconds=600),
    )  # fmt: skip
    assert lists.change("POST", phone, number.sid) == 204
    server.advance(601)
    assert until(server, made.sid or "", "failed")["error_code"] == 21610
    assert server.screen(phone) == []


def test_opt_outs_outlive_a_restart_and_no_number_is_on_the_disk(
    server: RunningServer, lists: Lists
) -> None:
    phone, scope = fresh_phone(), own_number(server)
    assert lists.change("POST", phone, scope) == 204
    server.stop()
    server.start()
    assert lists.check(phone)["blocked"]
    files = [path.read_bytes() for path in server.data.rglob("*") if path.is_file()]
    assert not any(phone[2:].encode() in content for content in files)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", 400), (b"phone=%2B1", 400), (b'{"phone": "+14155550111"}', 400),
        (b'{"phone": "+14155550111", "scope": "PN", "x": 1}', 400),
        (b'{"phone": "12", "scope": "%s"}', 20422),
        (b'{"phone": "+14155550111", "scope": "PN00000000000000000000000000000000"}', 20422),
        (b'{"phone": "+14155550111", "scope": "AC00000000000000000000000000000000"}', 20422),
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_cannot_be_kept(
    server: RunningServer, lists: Lists, method: str, body: bytes, code: int
) -> None:
    body = body.replace(b"%s", own_number(server).encode())
    assert_refused(server.request(method, lists.path, body), 400, code)


def test_a_check_needs_a_number(server: RunningServer, lists: Lists) -> None:
    assert_refused(server.request("GET", f"{lists.path}/check"), 400, 20001)
    assert_refused(server.request("GET", f"{lists.path}/check?phone=Ada"), 400, 20422)


def test_whose_they_are(server: RunningServer, lists: Lists) -> None:
    """D13; and a restricted key needs the permission."""
    other = subaccount(server)
    phone, scope = fresh_phone(), own_number(server)
    assert lists.change("POST", phone, scope) == 204
    assert other.may("GET", f"{lists.path}/check?phone={quote(phone)}") == 20404
    theirs = f"/hushwire/v1/accounts/{other.sid}/opt-outs/check?phone={quote(phone)}"
    assert other.made("GET", theirs) == {"blocked": False, "scopes": []}
    for permission, code in (("read", 0), ("create", 70051)):
        policy = json.dumps({"allow": [f"/twilio/messaging/opt-outs/{permission}"]})
        key: Tenant = owner(server).key(KeyType="restricted", Policy=policy)
        assert key.may("GET", f"{lists.path}/check?phone={quote(phone)}") == code
