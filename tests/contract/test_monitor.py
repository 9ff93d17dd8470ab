"""Monitor's Alerts and Events, and the debugger webhook, through Twilio's SDK and plain HTTP.

The server is this module's own: it is stopped and started, and its clock moved.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from harness import Callback, Receiver, RunningServer, wait_for
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import Facts
from wire_checks import assert_refused, create, fresh_phone

FACTS = Facts("monitor_v1")
ALERTS, EVENTS = "/v1/Alerts", "/v1/Events"
SECRET = "hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("monitor") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    """An account with a number, to which nothing happened but that."""
    made = subaccount(server)
    made.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")
    return made


@pytest.fixture
def broken() -> Iterator[Receiver]:
    """An endpoint that answers 500, except under /debug."""
    receiver = Receiver(lambda callback: 200 if callback.path.startswith("/debug") else 500)
    yield receiver
    receiver.close()


def sdk(tenant: Tenant) -> Client:
    client = tenant.sdk()
    client.monitor.base_url = tenant.server.url
    return client


def fail(tenant: Tenant, url: str) -> str:
    """A message whose callbacks fail; its SID."""
    number = tenant.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"][0]
    form = {
        "From": number["phone_number"],
        "To": fresh_phone(),
        "Body": "Hi",
        "StatusCallback": url,
    }
    return tenant.made("POST", "Messages.json", 201, **form)["sid"]


def alerts(tenant: Tenant, **query: str) -> list[dict[str, Any]]:
    return tenant.made("GET", f"{ALERTS}?{urlencode(query)}")["alerts"]


def alerted(tenant: Tenant, url: str) -> dict[str, Any]:
    fail(tenant, url)
    wait_for(lambda: alerts(tenant))
    return alerts(tenant)[0]


def events(tenant: Tenant, **query: str) -> list[dict[str, Any]]:
    return tenant.made("GET", f"{EVENTS}?{urlencode(query)}")["events"]


def types(tenant: Tenant, count: int, **query: str) -> list[str]:
    """Of so many events, once they are there: they are written just after the change."""
    wait_for(lambda: len(events(tenant, **query)) >= count)
    return [event["event_type"] for event in events(tenant, **query)]


# Alerts -------------------------------------------------------------------------------------


def test_an_alert_has_every_property_and_nothing_private(tenant: Tenant, broken: Receiver) -> None:
    """9.1, R12: of the URL the origin, of the form and the answer sizes."""
    url = broken.url(f"/status/{SECRET}?who={SECRET}").replace("//", f"//me:{SECRET}@")
    sid = fail(tenant, url)
    wait_for(lambda: alerts(tenant))
    page = tenant.made("GET", ALERTS)
    FACTS.answers(ALERTS, "200", page)
    listed = page["alerts"][0]
    fetched = tenant.made("GET", f"{ALERTS}/{listed['sid']}")
    FACTS.answers(f"{ALERTS}/{{Sid}}", "200", fetched)
    assert fetched.items() >= listed.items()
    assert (listed["error_code"], listed["log_level"], listed["resource_sid"]) == (
        "11200", "error", sid,
    )  # fmt: skip
    assert (listed["request_method"], listed["request_url"]) == ("POST", broken.url("/"))
    assert parse_qs(listed["alert_text"])["httpResponse"] == ["500"]
    assert "MessageSid=<34>" in fetched["request_variables"]
    assert fetched["response_body"] == "<0>"
    assert SECRET not in json.dumps(fetched)
    (seen,) = [
        alert for alert in sdk(tenant).monitor.v1.alerts.list() if alert.sid == listed["sid"]
    ]
    assert (seen.error_code, seen.fetch().response_body) == ("11200", "<0>")


def test_alerts_are_filtered_by_level_and_date(tenant: Tenant, broken: Receiver) -> None:
    alert = alerted(tenant, broken.url())
    now = datetime.strptime(alert["date_created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    day, next_day = f"{now:%Y-%m-%d}", f"{now + timedelta(days=1):%Y-%m-%d}"
    monitor = sdk(tenant).monitor.v1
    assert [a.sid for a in monitor.alerts.list(log_level="error")] == [alert["sid"]]
    assert monitor.alerts.list(log_level="warning") == []
    assert monitor.alerts.list(start_date=now - timedelta(minutes=5), end_date=now)
    for query, count in (
        ({"StartDate": day, "EndDate": day}, 1), ({"StartDate": next_day}, 0),
        ({"EndDate": f"{now - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"}, 0),
        ({"StartDate": alert["date_created"], "EndDate": alert["date_created"]}, 1),
    ):  # fmt: skip
        assert len(alerts(tenant, **query)) == count, query
    assert_refused(tenant.ask("GET", f"{ALERTS}?LogLevel=fatal"), 400, 20422)
    assert_refused(tenant.ask("GET", f"{ALERTS}?StartDate=soon"), 400, 20001)


def test_a_dead_endpoint_is_one_alert_a_minute(tenant: Tenant, broken: Receiver) -> None:
    alerted(tenant, broken.url())
    for _ in range(5):
        fail(tenant, broken.url())
    broken.wait(12)
    assert len(alerts(tenant)) == 1
    tenant.server.advance(61)
    wait_for(lambda: len(alerts(tenant)) == 2)
    counted = int(parse_qs(alerts(tenant)[0]["alert_text"])["count"][0])
    assert counted >= 11


def test_what_cannot_be_reached_has_its_own_code(tenant: Tenant) -> None:
    gone = Receiver()
    url = gone.url()
    gone.close()
    assert alerted(tenant, url)["error_code"] == "11202"


def test_pages_go_back_and_forth(tenant: Tenant) -> None:
    """Newest first, by token; also when there is more of it."""
    endpoints = [Receiver(lambda callback: 500) for _ in range(5)]
    try:
        for n, endpoint in enumerate(endpoints):
            fail(tenant, endpoint.url())
            wait_for(lambda n=n: len(alerts(tenant)) == n + 1)
    finally:
        for endpoint in endpoints:
            endpoint.close()
    every = [alert["sid"] for alert in alerts(tenant)]
    pages = [tenant.made("GET", f"{ALERTS}?PageSize=2&LogLevel=error")]
    while following := pages[-1]["meta"]["next_page_url"]:
        assert "LogLevel=error" in following
        pages.append(tenant.made("GET", following.removeprefix(tenant.server.url)))
    assert [alert["sid"] for page in pages for alert in page["alerts"]] == every
    back = tenant.made("GET", pages[2]["meta"]["previous_page_url"].removeprefix(tenant.server.url))
    assert back["alerts"] == pages[1]["alerts"]
    first = tenant.made("GET", back["meta"]["previous_page_url"].removeprefix(tenant.server.url))
    assert first["alerts"] == pages[0]["alerts"]
    assert first["meta"]["previous_page_url"] is None
    assert [a["sid"] for a in alerts(tenant, PageSize="2", Page="1")] == every[2:4]


def test_foreign_alerts_and_events_are_unknown(tenant: Tenant, broken: Receiver) -> None:
    """P-20, D13."""
    theirs = subaccount(tenant.server)
    assert types(tenant, 1) == ["phone-number.created"]
    alert, event = alerted(tenant, broken.url())["sid"], events(tenant)[0]["sid"]
    assert events(theirs) == []
    for path in (f"{ALERTS}/{alert}", f"{EVENTS}/{event}", f"{ALERTS}/{event}",
                 f"{ALERTS}/NO{'0' * 32}", f"{EVENTS}/AE{'0' * 32}"):  # fmt: skip
        assert_unknown(theirs.ask("GET", path), path)
    assert alerts(theirs) == []


# The debugger webhook -----------------------------------------------------------------------


def debugger(tenant: Tenant, url: str | None) -> dict[str, Any]:
    """Set it."""
    path = f"/hushwire/v1/accounts/{tenant.sid}/debugger"
    answer = owner(tenant.server).server.json("PUT", path, {"url": url})
    assert answer[0] == 200, answer
    return answer[1]


def payload(callback: Callback) -> dict[str, Any]:
    return json.loads(callback.form["Payload"])


def test_the_debugger_webhook_is_told_of_an_alert(tenant: Tenant, broken: Receiver) -> None:
    """9.3: signed, with the token, the parent named, and of the content only sizes."""
    url = broken.url("/debug?team=ops")
    assert debugger(tenant, url) == {"url": url}
    sid = fail(tenant, broken.url(f"/status?who={SECRET}"))
    told = broken.find(lambda callback: callback.path == "/debug?team=ops")
    assert told is not None
    assert told.form.keys() == {
        "AccountSid", "Level", "ParentAccountSid", "Payload", "PayloadType", "Sid", "Timestamp",
    }  # fmt: skip
    assert RequestValidator(tenant.password).validate(url, told.form, told.signature)
    assert told.headers["i-twilio-idempotency-token"]
    alert = tenant.made("GET", f"{ALERTS}/{told.form['Sid']}")
    assert (told.form["Level"], told.form["Timestamp"]) == ("ERROR", alert["date_created"])
    assert told.form["ParentAccountSid"] == tenant.server.sid
    said = payload(told)
    assert (said["resource_sid"], said["error_code"]) == (sid, "11200")
    assert said["webhook"]["response"]["status_code"] == 500
    assert said["webhook"]["request"]["parameters"]["MessageSid"] == "<34>"
    assert SECRET not in told.form["Payload"]
    debugger(tenant, None)
    tenant.server.advance(61)
    fail(tenant, broken.url("/other"))
    wait_for(lambda: len(alerts(tenant)) >= 2)
    assert len([c for c in broken.callbacks if c.path.startswith("/debug")]) == 1


def test_a_failing_debugger_webhook_is_tried_again_and_raises_no_alert(
    tenant: Tenant, broken: Receiver
) -> None:
    answers = iter([500, 200])
    answer = broken.answer
    assert answer is not None
    broken.answer = lambda c: next(answers) if c.path == "/debug" else answer(c)
    debugger(tenant, broken.url("/debug"))
    alerted(tenant, broken.url("/status"))
    first = broken.find(lambda callback: callback.path == "/debug")
    tenant.server.advance(6)
    told = [callback for callback in broken.callbacks if callback.path == "/debug"]
    assert len(told) == 2
    assert told[0] == first
    assert told[0].form == told[1].form
    tokens = {callback.headers["i-twilio-idempotency-token"] for callback in told}
    assert len(tokens) == 1
    assert {alert["resource_sid"] for alert in alerts(tenant)} == {payload(told[0])["resource_sid"]}


@pytest.mark.parametrize("content", [{}, {"url": 7}, {"url": "x", "more": 1}, {"url": "ftp://x"}])
def test_a_debugger_url_must_be_one(tenant: Tenant, content: dict[str, Any]) -> None:
    path = f"/hushwire/v1/accounts/{tenant.sid}/debugger"
    status, answer = tenant.server.json("PUT", path, content)
    assert (status, answer["code"] in (20422, 21609)) == (400, True)
    assert tenant.server.json("GET", path)[1] == {"url": None}


# Events -------------------------------------------------------------------------------------


def test_an_event_has_every_property(tenant: Tenant) -> None:
    """9.2: who changed what, from where."""
    number = tenant.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"][0]
    key = tenant.key(KeyType="main")
    path = f"IncomingPhoneNumbers/{number['sid']}.json"
    url = f"https://me:{SECRET}@example.com/in?key={SECRET}"
    key.made("POST", path, FriendlyName="Desk", SmsUrl=url)
    assert types(tenant, 3) == ["phone-number.updated", "api-key.created", "phone-number.created"]
    page = tenant.made("GET", EVENTS)
    assert page.keys() == {"events", "meta"}
    event = page["events"][0]
    schema = FACTS.schemas["monitor.v1.event"]["properties"]
    assert event.keys() == schema.keys()
    assert tenant.made("GET", f"{EVENTS}/{event['sid']}") == event
    assert event == {
        "account_sid": tenant.sid, "actor_sid": key.user, "actor_type": "account",
        "description": None,
        "event_data": {"resource_properties": {
            "friendly_name": {"previous": "", "updated": "Desk"},
            "sms_url": {"previous": "", "updated": "https://example.com/in"},
        }},
        "event_date": event["event_date"], "event_type": "phone-number.updated",
        "links": {
            "actor": f"{tenant.server.url}{tenant.path(f'Keys/{key.user}.json')}",
            "resource": f"{tenant.server.url}{tenant.path(path)}",
        },
        "resource_sid": number["sid"], "resource_type": "phone-number", "sid": event["sid"],
        "source": "api", "source_ip_address": "127.0.0.1",
        "url": f"{tenant.server.url}{EVENTS}/{event['sid']}",
    }  # fmt: skip
    for link in event["links"].values():
        assert tenant.may("GET", link.removeprefix(tenant.server.url)) == 0
    assert sdk(tenant).monitor.v1.events.list(limit=1)[0].event_type == "phone-number.updated"


def test_every_kind_of_record_has_its_events(tenant: Tenant) -> None:
    service = tenant.made("POST", "/v1/Services", 201, FriendlyName="S")
    app = tenant.made("POST", "Applications.json", 201, FriendlyName="A")
    tenant.made("POST", f"Applications/{app['sid']}.json", FriendlyName="B")
    assert tenant.ask("DELETE", f"Applications/{app['sid']}.json")[0] == 204
    assert tenant.ask("DELETE", f"/v1/Services/{service['sid']}")[0] == 204
    assert types(tenant, 6) == [
        "messaging-service.deleted", "application.deleted", "application.updated",
        "application.created", "messaging-service.created", "phone-number.created",
    ]  # fmt: skip
    parents = [e for e in events(owner(tenant.server)) if e["resource_sid"] == tenant.sid]
    assert [event["event_type"] for event in parents] == ["account.created"]


def test_events_are_filtered_and_some_combinations_refused(tenant: Tenant) -> None:
    assert types(tenant, 1) == ["phone-number.created"]
    number = events(tenant)[0]
    key = tenant.key(KeyType="main")
    key.made("POST", "Applications.json", 201)
    for query, expected in (
        ({"ActorSid": key.user}, ["application.created"]),
        ({"EventType": "api-key.created"}, ["api-key.created"]),
        ({"ResourceSid": number["resource_sid"]}, ["phone-number.created"]),
        ({"SourceIpAddress": "127.0.0.1", "EventType": "api-key.created"}, ["api-key.created"]),
        ({"SourceIpAddress": "203.0.113.1"}, []),
        ({"EndDate": "2020-01-01"}, []),
        ({"StartDate": number["event_date"], "EventType": "phone-number.created"},
         ["phone-number.created"]),
    ):  # fmt: skip
        assert types(tenant, len(expected), **query) == expected, query
    for pair in (("ActorSid", "ResourceSid"), ("ResourceSid", "SourceIpAddress"),
                 ("ActorSid", "SourceIpAddress")):  # fmt: skip
        path = f"{EVENTS}?{urlencode(dict.fromkeys(pair, 'x'))}"
        assert_refused(tenant.ask("GET", path), 400, 400)


# What lasts ---------------------------------------------------------------------------------


def test_alerts_events_and_the_webhook_outlive_a_restart(tmp_path: Path) -> None:
    endpoint = Receiver(lambda callback: 500)
    with RunningServer(tmp_path / "data") as server:
        me = owner(server)
        debugger(me, endpoint.url("/debug"))
        create(server, StatusCallback=endpoint.url(f"/{SECRET}"))
        wait_for(lambda: alerts(me))
        seen = alerts(me), events(me)
        assert server.stop() == 0
        assert server.log.read_text().find(SECRET) < 0
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        for path in files:
            if path.name != "credentials.json":
                assert b"HTTP retrieval" not in path.read_bytes(), "an alert is sealed"
        endpoint.answer = None
        told = len([c for c in endpoint.callbacks if c.path == "/debug"])
        server.start()
        shown = [{k: v for k, v in alert.items() if k != "url"} for alert in alerts(me)[-1:]]
        assert shown == [{k: v for k, v in alert.items() if k != "url"} for alert in seen[0][-1:]]
        assert [e["sid"] for e in events(me)] == [e["sid"] for e in seen[1]]
        server.advance(6)
        wait_for(lambda: len([c for c in endpoint.callbacks if c.path == "/debug"]) > told)
    endpoint.close()
