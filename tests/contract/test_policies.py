"""What the operator's settings decide of callbacks and webhooks; and what accounts are told of it.

Each server here has settings of its own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from harness import Receiver, RunningServer, wait_for
from picture_host import PNG, PictureHost
from tenants import owner
from v1_checks import sdk
from webhook_app import App, Request, Said
from wire_checks import assert_refused, create, fresh_phone, get, until

RATES = "destination,sender,direction,unit,price,currency\n*,*,outbound,segment,0.05,EUR\n"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With the profile of 2021, prices in euros, and webhooks without content."""
    folder = tmp_path_factory.mktemp("policies")
    (folder / "rates.csv").write_text(RATES)
    settings = {
        "HUSHWIRE_CALLBACK_PROFILE": "2021", "HUSHWIRE_GET_WEBHOOKS": "thin",
        "HUSHWIRE_RATES": str(folder / "rates.csv"),
    }  # fmt: skip
    with RunningServer(folder / "data", **settings) as running:
        yield running


def text(server: RunningServer, to: str, body: str) -> str:
    path = f"/sandbox/phones/{quote(fresh_phone())}/messages"
    status, answer = server.json("POST", path, {"to": to, "body": body})
    assert status == 201, answer
    return answer["sid"]


def alerts(server: RunningServer) -> list[dict[str, Any]]:
    return get(server, "/v1/Alerts?PageSize=1000")["alerts"]


def idle(server: RunningServer) -> list[str]:
    """The parameters without effect that the account was told of."""
    return [a["alert_text"] for a in alerts(server) if a["error_code"] == "20001"]


def test_by_the_old_profile_the_application_goes_first(
    old: RunningServer, receiver: Receiver
) -> None:
    """T-20, C-2: both StatusCallback and ApplicationSid: the application's wins, if it has one."""
    client = old.client()
    application = client.applications.create(message_status_callback=receiver.url("/application"))
    both = {"ApplicationSid": application.sid, "StatusCallback": receiver.url("/own")}
    create(old, **both)
    assert {c.path for c in receiver.wait(2)} == {"/application"}
    create(old, StatusCallback=receiver.url("/own"))
    assert {c.path for c in receiver.wait(4)[2:]} == {"/own"}
    application.update(message_status_callback="")
    create(old, **both)
    assert {c.path for c in receiver.wait(6)[4:]} == {"/own"}


def test_usage_is_in_the_currency_of_the_rates(old: RunningServer) -> None:
    until(old, create(old)["sid"], "delivered")
    path = f"/2010-04-01/Accounts/{old.sid}/Usage/Records.json"
    found = {record["category"]: record for record in get(old, path)["usage_records"]}
    assert {record["price_unit"] for record in found.values()} == {"eur"}
    assert found["totalprice"]["usage_unit"] == "eur"
    assert float(found["sms-outbound"]["price"]) > 0


def test_a_thin_webhook_is_signed_and_its_content_claimed_once(old: RunningServer) -> None:
    """Section 7: the query, which others log, has no content; the claim has all of it."""
    validator, claims = RequestValidator(old.token), "/hushwire/v1/claims/"
    claimed: list[dict[str, str]] = []

    def answer(request: Request) -> Said:
        assert validator.validate(request.url, {}, request.headers["x-twilio-signature"])
        token = request.form["ClaimToken"]
        assert old.request("GET", claims + token, auth=False)[0] == 401
        claimed.append(get(old, claims + token))
        assert_refused(old.request("GET", claims + token), 404, 20404)
        return Said(f"You said: {claimed[-1]['Body']}", content_type="text/plain")

    with App(answer) as app:
        old.client().incoming_phone_numbers.create(
            phone_number="+16285580001", sms_url=app.url("/sms?x=1"), sms_method="GET"
        )
        sid = text(old, "+16285580001", "A secret")
        (request,) = app.wait(1)
        wait_for(lambda: claimed)
        assert request.method == "GET"
        assert request.form.keys() == {"x", "MessageSid", "AccountSid", "ClaimToken"}
        assert "secret" not in request.path
        assert (claimed[0]["MessageSid"], claimed[0]["Body"]) == (sid, "A secret")
        assert {"From", "To", "NumMedia", "SmsStatus", "ApiVersion"} <= claimed[0].keys()
        wait_for(lambda: old.screen(claimed[0]["From"]))
        assert old.screen(claimed[0]["From"])[0]["body"] == "You said: A secret"
    assert_refused(old.request("GET", claims + "f" * 48), 404, 20404)


def test_another_account_claims_nothing_and_spoils_nothing(old: RunningServer) -> None:
    child = old.client().api.v2010.accounts.create(friendly_name="Child")
    theirs = Client(child.sid, child.auth_token)
    path: list[str] = []

    def answer(request: Request) -> Said:
        path.append(f"{old.url}/hushwire/v1/claims/{request.form['ClaimToken']}")
        return Said(status=204)

    with App(answer) as app:
        old.client().incoming_phone_numbers.create(
            phone_number="+16285580002", sms_url=app.url(), sms_method="GET"
        )
        text(old, "+16285580002", "Hello")
        app.wait(1)
    assert theirs.request("GET", path[0]).status_code == 404
    mine = old.client().request("GET", path[0])
    assert json.loads(mine.text)["Body"] == "Hello"


def test_a_claim_ends_after_a_minute(old: RunningServer) -> None:
    path: list[str] = []

    def answer(request: Request) -> Said:
        path.append(f"/hushwire/v1/claims/{request.form['ClaimToken']}")
        return Said(status=204)

    with App(answer) as app:
        old.client().incoming_phone_numbers.create(
            phone_number="+16285580003", sms_url=app.url(), sms_method="GET"
        )
        text(old, "+16285580003", "Hello")
        app.wait(1)
    old.advance(60)
    assert_refused(old.request("GET", path[0]), 404, 20404)


def test_a_claim_holds_a_text_that_is_to_be_forgotten(old: RunningServer) -> None:
    """Section 7: answered first and claimed then; held for that, and forgotten with the claim."""
    account = owner(old)
    path = f"/hushwire/v1/accounts/{account.sid}"
    asked: list[Request] = []

    def answer(request: Request) -> Said:
        asked.append(request)
        return Said(status=204)

    with App(answer) as app:
        old.client().incoming_phone_numbers.create(
            phone_number="+16285580004", sms_url=app.url(), sms_method="GET"
        )
        assert old.json("PUT", f"{path}/privacy", {"redact_body": True})[0] == 200
        try:
            sids = [text(old, "+16285580004", "A secret") for _ in range(2)]
            app.wait(2)
        finally:
            assert old.json("PUT", f"{path}/privacy", {"redact_body": None})[0] == 200
    holds = [f"{path}/messages/{sid}/holds" for sid in sids]
    wait_for(lambda: all(claimable(old, each) for each in holds))
    token = {request.form["MessageSid"]: request.form["ClaimToken"] for request in asked}[sids[0]]
    assert get(old, f"/hushwire/v1/claims/{token}")["Body"] == "A secret"
    wait_for(lambda: get(old, holds[0])["forgotten"])
    assert claimable(old, holds[1]), "the other is held still"
    old.advance(61)
    assert [each["part"] for each in get(old, holds[1])["forgotten"]] == ["content"]


def claimable(server: RunningServer, path: str) -> bool:
    return any(each["hold"] == "claim" for each in get(server, path)["holds"])


# With the settings as they are unless set ------------------------------------------------------


def test_a_long_text_goes_by_get(server: RunningServer) -> None:
    """Its query has more characters than a URL may have."""
    with App(lambda request: Said(status=204)) as app:
        server.client().incoming_phone_numbers.create(
            phone_number="+16285580004", sms_url=app.url(), sms_method="GET"
        )
        text(server, "+16285580004", "€" * 1_600)
        (request,) = app.wait(1)
    assert len(request.path) > 14_400
    assert request.form["Body"] == "€" * 1_600


def test_numbers_of_the_us_and_canada_send_media_without_a_converter(
    server: RunningServer,
) -> None:
    """7.6: `MmsConverter=false` sends no links: media go where phones take them."""
    client = sdk(owner(server))
    service = client.messaging.v1.services.create(friendly_name="Pictures", mms_converter=False)
    for number in ("+447700900181", "+16285580005"):
        found = client.incoming_phone_numbers.create(phone_number=number)
        service.phone_numbers.create(phone_number_sid=found.sid)
    shown = {n.phone_number: n.capabilities for n in service.phone_numbers.list()}
    assert shown == {"+447700900181": ["SMS"], "+16285580005": ["MMS", "SMS"]}
    with PictureHost() as host:
        to, form = fresh_phone(), {"From": None, "MessagingServiceSid": service.sid}
        made = create(server, To=to, MediaUrl=host.url("/cat.png"), **form)
        done = until(server, made["sid"], "delivered")
        assert done["from"] == "+16285580005", "the sender that can send them"
        (picture,) = server.screen(to)
        path = picture["media_urls"][0].removeprefix(server.url)
        assert server.request("GET", path, auth=False)[2] == PNG
        abroad = create(server, To="+447700900182", MediaUrl=host.url("/cat.png"), **form)
        assert until(server, abroad["sid"], "failed")["error_code"] == 21703


def test_whoever_gives_a_parameter_without_effect_is_told_once_a_day(tmp_path: Path) -> None:
    """D11: also of numbers, applications, short codes and services."""
    with RunningServer(tmp_path / "data") as server:
        client = sdk(owner(server))
        for _ in range(2):
            client.incoming_phone_numbers.create(area_code="628", voice_url="https://example.com/")
        application = client.applications.create(friendly_name="A")
        wait_for(lambda: idle(server))
        assert len(idle(server)) == 1
        assert "VoiceUrl" in idle(server)[0]
        application.update(voice_method="GET")
        service = client.messaging.v1.services.create(
            friendly_name="S", synchronous_validation=True
        )
        service.update(scan_message_content="enable")
        path = f"/hushwire/v1/accounts/{server.sid}/short-codes"
        _, code = server.json("POST", path, {"short_code": "73346", "country": "US"})
        client.short_codes(code["sid"]).update(api_version="2010-04-01")
        wait_for(lambda: len(idle(server)) == 5)
        told = " ".join(idle(server))
        names = ("VoiceMethod", "SynchronousValidation", "ScanMessageContent", "ApiVersion")
        assert [name for name in names if name not in told] == []
