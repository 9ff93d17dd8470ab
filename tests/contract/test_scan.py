"""The account scan through Twilio's SDK: what is set up, which switch is turned on, which alerts.

Every test has a subaccount of its own, which is well set up but for one thing.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from twilio.rest import Client

from belongings import JSON, fresh_code, send
from harness import RunningServer, wait_for
from tenants import assert_unknown, owner, subaccount
from v1_checks import sdk
from wire_checks import fresh_phone

URL, FALLBACK = "https://one.example.com/in", "https://two.example.com/in"
DAY_S = 86_400

Finding = dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its clock is moved."""
    with RunningServer(tmp_path_factory.mktemp("scan") / "data") as running:
        yield running


class Shop:
    """A subaccount that nothing can be said against: number, service and application."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.tenant = subaccount(server)
        self.client: Client = sdk(self.tenant)
        self.client.monitor.base_url = server.url
        self.number = self.client.incoming_phone_numbers.create(
            area_code="415", sms_url=URL, sms_fallback_url=FALLBACK
        )
        self.service = self.client.messaging.v1.services.create(
            "Shop", inbound_request_url=URL, fallback_url=FALLBACK, sticky_sender=False,
            fallback_to_long_code=False,
        )  # fmt: skip
        self.service.phone_numbers.create(phone_number_sid=self.number.sid)
        self.application = self.client.applications.create(sms_url=URL, sms_fallback_url=FALLBACK)
        self.filter(self.service.sid, filtering=False)

    def filter(self, scope: str | None, **keywords: object) -> None:
        assert self.put(f"opt-out-keywords/{scope}", keywords)[0] == 200

    def put(self, path: str, content: object) -> tuple[int, Any]:
        """With the account's own credentials."""
        path = f"/hushwire/v1/accounts/{self.tenant.sid}/{path}"
        status, _, body = send(self.tenant, "PUT", path, json.dumps(content).encode(), JSON)
        return status, json.loads(body)

    def switch(self, **settings: object) -> list[Finding]:
        """Change privacy settings; what the scan then finds."""
        status, answer = self.put("privacy", settings)
        assert status == 200, answer
        return answer["scan"]

    def short_code(self) -> str:
        path = f"/hushwire/v1/accounts/{self.tenant.sid}/short-codes"
        content = {"short_code": fresh_code(), "country": "US"}
        status, made = self.server.json("POST", path, content)
        assert status == 201
        urls = {"sms_url": URL, "sms_fallback_url": FALLBACK}
        return self.client.short_codes(made["sid"]).update(**urls).sid

    def alerts(self) -> list[tuple[int, str]]:
        """Code and resource of each alert, oldest first, once all that was raised is written."""
        # Alerts and events are written in their order: once the event is there, they all are.
        last = self.client.applications.create(friendly_name="Nobody's")
        events = self.client.monitor.v1.events
        wait_for(lambda: events.list(resource_sid=last.sid))
        found = self.client.monitor.v1.alerts.list()
        return [(int(alert.error_code), alert.resource_sid) for alert in found][::-1]


def coded(found: list[Finding]) -> list[tuple[int, str]]:
    return [(finding["code"], finding["resource_sid"]) for finding in found if finding["code"]]


def hints(found: list[Finding]) -> list[str]:
    """The resources of hints, but for the one about the disk that these tests run on."""
    return [
        finding["resource_sid"]
        for finding in found
        if finding["code"] is None and "filesystem" not in finding["cure"]
    ]


def _lone_number(shop: Shop) -> str:
    number = shop.client.incoming_phone_numbers.create(
        area_code="650", sms_url=URL, sms_fallback_url=FALLBACK
    )
    return number.sid


def _own_words(shop: Shop) -> str:
    rule = {"type": "STOP", "keywords": ["BASTA"], "text": "You are out."}
    shop.filter(shop.service.sid, filtering=True, rules=[rule])
    return shop.service.sid


def _number(**settings: str) -> Callable[[Shop], str]:
    return lambda shop: shop.number.update(**settings).sid


def _service(**settings: object) -> Callable[[Shop], str]:
    return lambda shop: shop.service.update(**settings).sid


def _application(**settings: str) -> Callable[[Shop], str]:
    return lambda shop: shop.application.update(**settings).sid


NUMBERS, BOTH = ("redact_numbers",), ("redact_body", "redact_numbers")
HERE, EVERYWHERE = ("twilio",), ("twilio", "hushwire")
MISTAKES: dict[str, tuple[Callable[[Shop], str], int, tuple[str, ...], tuple[str, ...]]] = {
    "R25": (_service(sticky_sender=True), 23003, NUMBERS, HERE),
    "R26": (_service(fallback_to_long_code=True), 23005, BOTH, HERE),
    "R28 long code": (_lone_number, 23001, NUMBERS, HERE),
    "R28 short code": (lambda shop: shop.short_code(), 23002, NUMBERS, HERE),
    "R28 own words": (_own_words, 23004, NUMBERS, HERE),
    "R29 R30 number": (_number(sms_method="GET"), 23006, BOTH, EVERYWHERE),
    "R29 R30 number's fallback": (_number(sms_fallback_method="GET"), 23006, BOTH, EVERYWHERE),
    "R29 R30 service": (_service(inbound_method="GET"), 23006, BOTH, EVERYWHERE),
    "R29 R30 service's fallback": (_service(fallback_method="GET"), 23006, BOTH, EVERYWHERE),
    "R29 R30 application": (_application(sms_method="GET"), 23006, BOTH, EVERYWHERE),
    "R29 R30 application's fallback": (
        _application(sms_fallback_method="GET"), 23006, BOTH, EVERYWHERE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("switch", BOTH)
@pytest.mark.parametrize("profile", EVERYWHERE)
@pytest.mark.parametrize("name", MISTAKES)
def test_exactly_these_alerts(server: RunningServer, name: str, profile: str, switch: str) -> None:
    """RC-7, R25, R26, R28, R29, R30, R32: through Twilio's Monitor, and the same from PUT."""
    make, code, switches, profiles = MISTAKES[name]
    shop = Shop(server)
    assert shop.switch(scan_profile=profile) == []  # nothing is switched on
    sid = make(shop)
    expected = [(code, sid)] if switch in switches and profile in profiles else []
    found = shop.switch(**{switch: True})
    assert coded(found) == expected
    assert hints(found) == []
    assert shop.alerts() == expected
    for alert in shop.client.monitor.v1.alerts.list():
        assert (alert.log_level, alert.service_sid) == ("warning", None)
        assert alert.resource_sid == sid


def test_twilios_rules_all_at_once(server: RunningServer) -> None:
    """RC-1, RC-7, R32: each switch flags its own, and what both work against is told once."""
    shop = Shop(server)
    sid = _own_words(shop)
    _service(sticky_sender=True, fallback_to_long_code=True, inbound_method="GET")(shop)
    code = shop.short_code()
    both = [(23005, sid), (23006, sid)]
    assert coded(shop.switch(scan_profile="twilio", redact_body=True)) == both
    of_numbers = [(23003, sid), (23002, code), (23004, sid)]
    everything = coded(shop.switch(redact_numbers=True))
    assert sorted(everything) == sorted(both + of_numbers)
    assert sorted(shop.alerts()) == sorted(everything)
    assert coded(shop.switch(scan_profile="hushwire")) == [(23006, sid)]
    assert shop.switch(redact_body=False, redact_numbers=False) == []


def test_scheduled_messages_are_a_hint_where_twilios_rules_count(server: RunningServer) -> None:
    """R27: they go with redaction here."""
    shop = Shop(server)
    now = datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])
    form = {
        "MessagingServiceSid": shop.service.sid, "To": fresh_phone(), "Body": "Later",
        "ScheduleType": "fixed", "SendAt": (now + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    shop.tenant.made("POST", "Messages.json", 201, **form)
    assert hints(shop.switch(redact_body=True)) == []
    found = shop.switch(scan_profile="twilio")
    assert (coded(found), hints(found)) == ([], [shop.tenant.sid])
    assert shop.alerts() == []


def test_a_webhook_without_a_fallback_is_a_hint(server: RunningServer) -> None:
    """R14: and so is none at all."""
    shop = Shop(server)
    for settings in ({"fallback_url": ""}, {"inbound_request_url": "", "fallback_url": ""}):
        sid = _service(**settings)(shop)
        found = shop.switch(redact_body=True)
        assert (coded(found), hints(found)) == ([], [sid])
    assert shop.alerts() == []


def test_what_urls_give_away_is_a_hint(server: RunningServer) -> None:
    """RC-7: numbers, passwords, and http:// beyond this machine; no finding repeats a URL."""
    shop = Shop(server)
    bad = "http://me:secret@one.example.com/?who=%2B14155550101"
    shop.application.update(message_status_callback=bad)
    found = shop.switch(redact_numbers=True)
    assert (coded(found), hints(found)) == ([], [shop.application.sid] * 3)
    assert "secret" not in json.dumps(found)
    assert "14155550101" not in json.dumps(found)
    shop.application.update(message_status_callback="http://127.0.0.1:9000/status")
    assert hints(shop.switch()) == []


def test_it_looks_again_when_things_change_and_once_a_day(server: RunningServer) -> None:
    """R30, R32: a webhook that becomes one by GET; told once, and again the next day."""
    shop = Shop(server)
    assert coded(shop.switch(redact_body=True)) == []
    sid = _number(sms_method="GET")(shop)
    server.advance(2)
    wait_for(lambda: shop.alerts() == [(23006, sid)])
    server.advance(3_600)
    assert shop.alerts() == [(23006, sid)]
    for days in (1, 2):
        server.advance(DAY_S + 3_600)
        wait_for(lambda days=days: shop.alerts() == [(23006, sid)] * (days + 1))
    shop.number.update(sms_method="POST")
    server.advance(2 * DAY_S)
    assert shop.alerts() == [(23006, sid)] * 3


def test_scanning_on_demand_and_what_a_key_must_name(server: RunningServer) -> None:
    """RC-7: the same list as on enabling. A restricted key names each right."""
    shop = Shop(server)
    _service(inbound_method="GET")(shop)
    found = shop.switch(redact_body=True)
    path = f"/hushwire/v1/accounts/{shop.tenant.sid}/privacy/scan"
    assert shop.tenant.made("POST", path) == {"scan": found}
    assert owner(server).made("POST", path) == {"scan": found}
    assert_unknown(subaccount(server).ask("POST", path), path)
    rights = {
        "/hushwire/privacy/scan": 0, "/hushwire/privacy/read": 70051, "/twilio/*": 70051,
        "/hushwire/privacy/update": 70051,
    }  # fmt: skip
    for right, refusal in rights.items():
        key = shop.tenant.key(KeyType="restricted", Policy=json.dumps({"allow": [right]}))
        assert key.may("POST", path) == refusal
    assert shop.tenant.key().may("POST", path) == 0


def test_a_subaccounts_findings_are_its_own(server: RunningServer) -> None:
    """outside.md: switches and alerts of one account touch no other."""
    one, other = Shop(server), Shop(server)
    for shop in (one, other):
        _service(inbound_method="GET")(shop)
    one.switch(redact_body=True)
    assert [code for code, _ in one.alerts()] == [23006]
    assert other.alerts() == []
    privacy = f"/hushwire/v1/accounts/{owner(server).sid}/privacy"
    assert_unknown(one.tenant.ask("GET", privacy), privacy)
