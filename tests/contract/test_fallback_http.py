"""Fallback to long code, as an app sees it: by Twilio's SDK; some phones refuse short codes."""

from typing import Any

import pytest
from twilio.rest import Client
from twilio.rest.messaging.v1.service import ServiceInstance

from harness import Receiver, RunningServer, wait_for
from tenants import owner
from v1_checks import sdk
from wire_checks import fresh_phone, get, until

CODE = "73345"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    return sdk(owner(server))


@pytest.fixture(scope="module")
def code(server: RunningServer) -> str:
    """The SID of the account's short code."""
    path = f"/hushwire/v1/accounts/{server.sid}/short-codes"
    status, made = server.json("POST", path, {"short_code": CODE, "country": "US"})
    assert status == 201, made
    return made["sid"]


@pytest.fixture
def phone(server: RunningServer) -> str:
    """A phone whose carrier takes nothing from short codes."""
    phone = fresh_phone()
    server.behave(phone, "no_short_codes")
    return phone


def shop(client: Client, code: str, *area_codes: str, **settings: Any) -> ServiceInstance:
    """A service with the short code and numbers of these area codes."""
    for old in client.messaging.v1.services.list():
        old.delete()  # a short code is in one pool
    service = client.messaging.v1.services.create(friendly_name="Shop", **settings)
    service.short_codes.create(short_code_sid=code)
    for area_code in area_codes:
        number = client.incoming_phone_numbers.create(area_code=area_code)
        service.phone_numbers.create(phone_number_sid=number.sid)
    return service


def told(server: RunningServer, sid: str) -> list[tuple[str, int | None]]:
    """Its history: fact and error code."""
    path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/history"
    return [(line["fact"], line["error_code"]) for line in get(server, path)["history"]]


def test_a_long_code_delivers_what_the_short_code_could_not(
    server: RunningServer, client: Client, code: str, phone: str, receiver: Receiver
) -> None:
    """The same SID, each status called back once, and no failure."""
    service = shop(client, code, "202", "628")
    message = client.messages.create(
        to=phone, messaging_service_sid=service.sid, body="Hello",
        status_callback=receiver.url("/told"),
    )  # fmt: skip
    assert message.sid is not None
    done = until(server, message.sid, "delivered")
    assert done["error_code"] is None
    assert done["from"].startswith("+1628"), "of the recipient's area"
    (shown,) = server.screen(phone)
    assert (shown["sid"], shown["from"]) == (message.sid, done["from"])
    calls = receiver.wait(3)
    assert [c.form["MessageStatus"] for c in calls] == ["queued", "sent", "delivered"]
    assert [c.form["From"] for c in calls] == [CODE, CODE, done["from"]]
    assert told(server, message.sid) == [
        ("accepted", None), ("chosen", None), ("attempted", None), ("handed", None),
        ("rerouted", 30005), ("chosen", None), ("attempted", None), ("handed", None),
        ("delivered", None),
    ]  # fmt: skip
    found = client.messages.list(from_=done["from"], to=phone)
    assert [m.sid for m in found] == [message.sid], "it is found by its new sender"
    assert client.messages.list(from_=CODE, to=phone) == []
    again = client.messages.create(to=phone, messaging_service_sid=service.sid, body="Again")
    assert again.sid is not None
    until(server, again.sid, "delivered")
    assert ("rerouted", 30005) not in told(server, again.sid), "the long code is its sender now"


def test_it_works_where_all_is_to_be_forgotten(
    server: RunningServer, client: Client, code: str, phone: str
) -> None:
    """R26, S4: Twilio asks to switch it off."""
    service = shop(client, code, "415")
    message = client.messages.create(
        to=phone, messaging_service_sid=service.sid, body="Hello",
        content_retention="discard", address_retention="obfuscate",
    )  # fmt: skip
    assert message.sid is not None
    assert until(server, message.sid, "delivered")["from"].startswith("+1415")
    assert [shown["body"] for shown in server.screen(phone)] == ["Hello"]
    server.advance(21_700)
    wait_for(lambda: until(server, message.sid or "", "delivered")["body"] == "")
    assert until(server, message.sid, "delivered")["to"] == f"{phone[:-4]}XXXX"


@pytest.mark.parametrize(
    ("behaviour", "status", "error_code"),
    [("blocked", "undelivered", 30004), ("filtered", "undelivered", 30007),
     ("unreachable", "undelivered", 30003)],
)  # fmt: skip
def test_a_block_or_a_filter_is_not_evaded(
    server: RunningServer, client: Client, code: str, behaviour: str, status: str, error_code: int
) -> None:
    service, phone = shop(client, code, "415"), fresh_phone()
    server.behave(phone, behaviour)
    message = client.messages.create(to=phone, messaging_service_sid=service.sid, body="x")
    assert message.sid is not None
    done = until(server, message.sid, status)
    assert (done["error_code"], done["from"]) == (error_code, CODE)


def test_a_second_failure_is_the_end(server: RunningServer, client: Client, code: str) -> None:
    service, phone = shop(client, code, "415"), fresh_phone()
    server.behave(phone, "landline")
    message = client.messages.create(to=phone, messaging_service_sid=service.sid, body="x")
    assert message.sid is not None
    done = until(server, message.sid, "undelivered")
    assert done["error_code"] == 30006
    assert done["from"].startswith("+1415")
    assert [fact for fact, _ in told(server, message.sid)].count("handed") == 2


def test_only_where_the_service_asks_and_a_long_code_is_there(
    server: RunningServer, client: Client, code: str, phone: str
) -> None:
    for area_codes, asked in ((("415",), False), ((), True)):
        service = shop(client, code, *area_codes, fallback_to_long_code=asked)
        message = client.messages.create(to=phone, messaging_service_sid=service.sid, body="x")
        assert message.sid is not None
        done = until(server, message.sid, "undelivered")
        assert (done["error_code"], done["from"]) == (30005, CODE)
    direct = client.messages.create(to=phone, from_=CODE, body="x")
    assert direct.sid is not None
    assert until(server, direct.sid, "undelivered")["error_code"] == 30005


def test_without_a_receipt_nothing_more_is_sent(
    server: RunningServer, client: Client, code: str
) -> None:
    """Silence is not failure: not within the cap, and not after it."""
    service, phone = shop(client, code, "415"), fresh_phone()
    server.behave(phone, "silent")
    message = client.messages.create(
        to=phone, messaging_service_sid=service.sid, body="x", content_retention="discard"
    )
    assert message.sid is not None
    until(server, message.sid, "sent")
    server.advance(4_000)
    assert until(server, message.sid, "sent")["from"] == CODE
    assert len(server.screen(phone)) == 1
