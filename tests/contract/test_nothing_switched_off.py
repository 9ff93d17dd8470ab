"""Twilio has five features switched off where all is redacted. Here they work together: one
account with both switches on, by Twilio's SDK, and nothing of it is left in the end.

Each step is a row of the table "incompatible with redaction" of the design (section 7).
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from harness import RunningServer, wait_for
from tenants import owner
from v1_checks import sdk
from webhook_app import App, Request, Said
from wire_checks import fresh_phone

HOUR = 3_600
BODY = "Your test result is here"
POLICIES = ("warn", "post", "thin")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(params=POLICIES)
def server(request: pytest.FixtureRequest, data: Path) -> Iterator[RunningServer]:
    """A server for each way to treat webhooks by GET."""
    with RunningServer(data, HUSHWIRE_GET_WEBHOOKS=request.param) as running:
        yield running


class Shop:
    """The account: a service with sticky sender, fallback, STOP and webhooks by GET."""

    def __init__(self, server: RunningServer, policy: str) -> None:
        self.server, self.policy = server, policy
        self.connect()
        self.sids: set[str] = set()
        self.people: list[str] = []
        self.app = App(self._answer)
        self.told: list[dict[str, str]] = []  # what the app knows of each text, in the end
        path = f"/hushwire/v1/accounts/{server.sid}"
        on = {"redact_body": True, "redact_numbers": True}
        assert server.json("PUT", f"{path}/privacy", on)[0] == 200
        hooks: dict[str, Any] = {
            "inbound_request_url": self.app.url(), "inbound_method": "GET",
            "fallback_url": self.app.url("/fallback"), "fallback_method": "GET",
        }  # fmt: skip
        services = self.client.messaging.v1.services
        self.shop = services.create("Shop", sticky_sender=True, **hooks)
        self.bank = services.create("Bank", fallback_to_long_code=True, **hooks)
        self.numbers = [self._number(self.shop.sid, area) for area in ("415", "415")]
        self._number(self.bank.sid, "650")
        status, code = server.json(
            "POST", f"{path}/short-codes", {"short_code": "73399", "country": "US"}
        )
        assert status == 201, code
        self.bank.short_codes.create(short_code_sid=code["sid"])

    def connect(self) -> None:
        self.client: Client = sdk(owner(self.server))
        self.client.monitor.base_url = self.server.url

    def restart(self) -> None:
        """It comes back on another port."""
        assert self.server.stop() == 0
        self.server.start()
        self.connect()

    def _number(self, service: str, area: str) -> str:
        number = self.client.incoming_phone_numbers.create(area_code=area)
        pool = self.client.messaging.v1.services(service).phone_numbers
        pool.create(phone_number_sid=number.sid)
        assert number.phone_number is not None
        return number.phone_number

    def _answer(self, request: Request) -> Said:
        """The app: with thin webhooks it claims what the query leaves out."""
        form = request.form
        if "ClaimToken" in form:
            status, form = self.server.json("GET", f"/hushwire/v1/claims/{form['ClaimToken']}")
            assert status == 200
        self.told.append({**form, "method": request.method, "path": request.path})
        return Said("<Response><Message>Come at nine</Message></Response>")

    def person(self, behaviour: str = "deliver") -> str:
        phone = fresh_phone()
        self.server.behave(phone, behaviour)
        self.people.append(phone)
        return phone

    def send(self, **form: Any) -> MessageInstance:
        message = self.client.messages.create(body=BODY, **form)
        assert message.sid is not None
        self.sids.add(message.sid)
        return message

    def read(self, sid: str | None) -> MessageInstance:
        assert sid is not None
        return self.client.messages(sid).fetch()

    def until(self, sid: str | None, status: str) -> MessageInstance:
        wait_for(lambda: self.read(sid).status == status)
        return self.read(sid)

    def text(self, from_: str, body: str) -> str:
        path = f"/sandbox/phones/{quote(from_)}/messages"
        status, made = self.server.json("POST", path, {"to": self.numbers[0], "body": body})
        assert status == 201, made
        return made["sid"]

    def forgotten(self, sid: str | None) -> bool:
        message = self.read(sid)
        person = message.from_ if message.direction == "inbound" else message.to
        return message.body == "" and person is not None and person.endswith("XXXX")

    def in_s(self, seconds: int) -> datetime:
        now = datetime.fromisoformat(self.server.json("GET", "/sandbox/clock")[1]["now"])
        return now.astimezone(UTC) + timedelta(seconds=seconds)


@pytest.fixture
def shop(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(server, request.node.callspec.params["server"])
    with made.app:
        yield made


def test_all_five_work_under_full_redaction(shop: Shop, server: RunningServer, data: Path) -> None:
    """R25 to R29, RC-7, RC-8; the issue's "nothing need be switched off"."""
    a_person_keeps_the_sender(shop)
    a_long_code_takes_over(shop)
    what_is_scheduled_goes_at_its_time(shop)
    stop_is_obeyed(shop)
    webhooks_by_get_are_told(shop)
    server.advance(7 * HOUR)
    listed = shop.client.messages.list()
    assert shop.sids <= {message.sid for message in listed}
    assert {message.body for message in listed} == {""}
    shown = json.dumps([[message.to, message.from_] for message in listed])
    for phone in shop.people:
        assert phone not in shown
        assert shop.client.messages.list(to=phone) == []
        assert shop.client.messages.list(from_=f"{phone[:-4]}XXXX") == []
    assert server.stop() == 0
    found = [path for path in data.rglob("*") if path.is_file()]
    whole = b"".join(path.read_bytes() for path in found)
    for phone in shop.people:
        assert phone[1:].encode() not in whole
    assert BODY.encode() not in whole
    assert server.sid.encode() in whole, "what is looked for is found where it is"


def a_person_keeps_the_sender(shop: Shop) -> None:
    """Sticky sender: when the number it was told by is long forgotten, too."""
    ada = shop.person()
    first = shop.send(to=ada, messaging_service_sid=shop.shop.sid)
    sender = shop.until(first.sid, "delivered").from_
    assert sender in shop.numbers
    shop.server.advance(6 * HOUR + 60)
    assert shop.forgotten(first.sid)
    for _ in range(5):
        again = shop.send(to=ada, messaging_service_sid=shop.shop.sid)
        assert shop.until(again.sid, "delivered").from_ == sender
    assert len(shop.server.screen(ada)) == 6


def a_long_code_takes_over(shop: Shop) -> None:
    """Fallback to long code: the text is held for the second try, and no longer."""
    phone = shop.person("no_short_codes")
    message = shop.send(to=phone, messaging_service_sid=shop.bank.sid)
    done = shop.until(message.sid, "delivered")
    assert done.from_ is not None
    assert done.from_.startswith("+1650")
    assert [each["body"] for each in shop.server.screen(phone)] == [BODY]
    shop.server.advance(6 * HOUR + 60)
    assert shop.forgotten(message.sid)


def what_is_scheduled_goes_at_its_time(shop: Shop) -> None:
    """Scheduled messages: through a restart, and canceled ones are forgotten at once."""
    form = {"messaging_service_sid": shop.shop.sid, "schedule_type": "fixed"}
    goes = shop.send(to=(bob := shop.person()), send_at=shop.in_s(8 * HOUR), **form)
    stays = shop.send(to=(eve := shop.person()), send_at=shop.in_s(8 * HOUR), **form)
    assert shop.read(stays.sid).update(status="canceled").status == "canceled"
    wait_for(lambda: shop.forgotten(stays.sid))
    shop.restart()
    shop.server.advance(8 * HOUR - 60)
    assert shop.server.screen(bob) == []
    assert shop.read(goes.sid).body == BODY, "outbound is readable until it is released (D5)"
    shop.server.advance(61)
    shop.until(goes.sid, "delivered")
    assert [each["body"] for each in shop.server.screen(bob)] == [BODY]
    shop.server.advance(6 * HOUR + 60)
    assert shop.forgotten(goes.sid)
    assert shop.server.screen(eve) == []


def stop_is_obeyed(shop: Shop) -> None:
    """Built-in STOP filtering: before a create, before the wire, and START ends it."""
    phone, sender = shop.person(), shop.numbers[0]
    later = shop.send(
        to=phone, messaging_service_sid=shop.shop.sid, schedule_type="fixed",
        send_at=shop.in_s(HOUR),
    )  # fmt: skip
    stop = shop.text(phone, "STOP")
    wait_for(lambda: shop.forgotten(stop))
    shop.server.advance(HOUR + 1)
    assert shop.until(later.sid, "failed").error_code == 21610
    told = len(shop.server.screen(phone))
    shop.server.advance(8 * HOUR)
    with pytest.raises(TwilioRestException) as refused:
        shop.client.messages.create(to=phone, from_=sender, body=BODY)
    assert refused.value.code == 21610, "the numbers of all its messages are forgotten by now"
    assert len(shop.server.screen(phone)) == told
    shop.text(phone, "START")
    again = shop.send(to=phone, from_=sender)
    shop.until(again.sid, "delivered")


def webhooks_by_get_are_told(shop: Shop) -> None:
    """GET webhooks: `warn` puts it all into the URL and raises 23006, `post` posts it, `thin`
    has it claimed. The app knows as much each time, and what it answers goes out."""
    phone, before = shop.person(), len(shop.told)
    sid = shop.text(phone, "Is it ready?")
    wait_for(lambda: len(shop.told) == before + 1)
    told = shop.told[-1]
    assert (told["From"], told["Body"], told["MessageSid"]) == (phone, "Is it ready?", sid)
    assert told["method"] == ("POST" if shop.policy == "post" else "GET")
    assert ("ready" in told["path"]) == (shop.policy == "warn")
    assert (phone[1:] in told["path"]) == (shop.policy == "warn")
    wait_for(lambda: [each["body"] for each in shop.server.screen(phone)] == ["Come at nine"])
    wait_for(lambda: shop.forgotten(sid))
    codes = {alert.error_code for alert in shop.client.monitor.v1.alerts.list()}
    assert ("23006" in codes) == (shop.policy == "warn")
