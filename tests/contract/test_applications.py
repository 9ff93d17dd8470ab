"""Applications through Twilio's SDK and plain HTTP, and the numbers that name them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import RunningServer
from hushwire.api import applications
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import golden, shown
from wire_checks import FACTS, assert_facts, assert_refused, refusal

LIST = "/2010-04-01/Accounts/{AccountSid}/Applications.json"
INSTANCE = "/2010-04-01/Accounts/{AccountSid}/Applications/{Sid}.json"
APPLICATION = FACTS["components"]["schemas"]["api.v2010.account.application"]
SWITCHES = {"public_application_connect_enabled", "voice_caller_id_lookup"}
GOLDEN = golden("applications")
HOOK = "https://user:secret@example.com/in"
NOBODYS = "AP" + "0" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("applications") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return subaccount(server)


def made(tenant: Tenant, **form: str) -> dict[str, Any]:
    return tenant.made("POST", "Applications.json", 201, **form)


def one(answer: dict[str, Any]) -> str:
    return f"Applications/{answer['sid']}.json"


def test_an_application_has_every_property(tenant: Tenant) -> None:
    """7.4: key for key, created, fetched, listed and changed alike."""
    answer = made(tenant, FriendlyName="Desk")
    assert shown(answer) == GOLDEN["application"]
    assert list(answer) == list(GOLDEN["application"]), "the order of keys is stable too"
    assert answer.keys() == APPLICATION["properties"].keys()
    plain = {k: part for k, part in APPLICATION["properties"].items() if k not in SWITCHES}
    assert_facts({**APPLICATION, "properties": plain}, {name: answer[name] for name in plain})
    assert tenant.made("GET", answer["uri"]) == answer
    page = tenant.made("GET", "Applications.json")
    assert page["applications"] == [answer]
    assert shown({**page, "applications": ["<application>"]}) == GOLDEN["page"]
    assert tenant.made("POST", one(answer), ApiVersion="2008-08-01") == answer


def test_every_parameter_is_in_exactly_one_table() -> None:
    tables = sorted([*applications.SETTINGS, *applications.WITHOUT_EFFECT])
    for path in (LIST, INSTANCE):
        content = FACTS["paths"][path]["post"]["requestBody"]["content"]
        schema = content["application/x-www-form-urlencoded"]["schema"]
        assert tables == sorted(schema["properties"])
    query = {p["name"] for p in FACTS["paths"][LIST]["get"]["parameters"] if p["in"] == "query"}
    assert {*applications.FILTERS, "PageSize", "Page", "PageToken"} == query


def test_the_page_names_every_parameter() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/applications.md").read_text("utf-8")
    names = [*applications.SETTINGS, *applications.WITHOUT_EFFECT]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_made_changed_listed_deleted_by_the_sdk(tenant: Tenant) -> None:
    """W9, W12: what is set is shown, voice too; a filter is an exact name."""
    api = tenant.sdk().applications
    first = api.create(
        friendly_name="Desk", sms_url=HOOK, sms_method="GET", message_status_callback=HOOK,
        voice_url=HOOK, voice_caller_id_lookup=True, public_application_connect_enabled=True,
    )  # fmt: skip
    assert abs(first.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert (first.sms_url, first.sms_method, first.voice_url) == (HOOK, "GET", HOOK)
    assert (first.voice_caller_id_lookup, first.public_application_connect_enabled) == (True, True)
    assert first.message_status_callback == HOOK
    changed = first.update(sms_fallback_url=HOOK, sms_method="", friendly_name="Front desk")
    assert (changed.sms_fallback_url, changed.sms_method) == (HOOK, "POST")
    assert changed.sms_url == HOOK
    plain = api.create()
    assert (plain.friendly_name, plain.sms_url) == (None, None)
    assert [found.sid for found in api.list(page_size=1)] == [plain.sid, first.sid]
    assert [found.sid for found in api.list(friendly_name="Front desk")] == [first.sid]
    assert api.list(friendly_name="Front") == []
    assert api(first.sid).delete() is True
    assert refusal(lambda: api(first.sid).fetch()).code == 20404
    assert tenant.ask("DELETE", f"Applications/{first.sid}.json")[0] == 404


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"FriendlyName": "x" * 65}, 20002),
        *(
            ({name: "http://10.1.2.3/"}, 21402)
            for name in applications.SETTINGS
            if name.endswith(("Url", "Callback"))
        ),
        *(({name: "PUT"}, 21403) for name in applications.SETTINGS if name.endswith("Method")),
        ({"SmsFallbackUrl": HOOK}, 21406),
        ({"VoiceFallbackUrl": HOOK}, 21405),
        ({"VoiceCallerIdLookup": "maybe"}, 20422),
        ({"PublicApplicationConnectEnabled": "1"}, 20422),
    ],
)
def test_settings_that_are_refused(tenant: Tenant, form: dict[str, str], code: int) -> None:
    assert_refused(tenant.ask("POST", "Applications.json", **form), 400, code)
    application = made(tenant)
    assert_refused(tenant.ask("POST", one(application), **form), 400, code)
    assert tenant.made("GET", "Applications.json")["applications"] == [application]


def test_a_number_names_an_application(server: RunningServer, tenant: Tenant) -> None:
    """21420 unless it is the account's; a deleted one is taken off its numbers."""
    client = tenant.sdk()
    application, foreign = made(tenant)["sid"], made(owner(server))["sid"]
    number = client.incoming_phone_numbers.create(area_code="415", sms_application_sid=application)
    assert number.sms_application_sid == application
    for unknown in (foreign, NOBODYS, "AP1"):
        error = refusal(lambda sid=unknown: number.update(sms_application_sid=sid))
        assert (error.status, error.code) == (400, 21420)
    assert client.incoming_phone_numbers(number.sid).fetch().sms_application_sid == application
    assert client.applications(application).delete()
    assert client.incoming_phone_numbers(number.sid).fetch().sms_application_sid is None


def test_what_is_foreign_is_unknown(server: RunningServer, tenant: Tenant) -> None:
    """D13; a parent asks under its subaccount's path, and sees what is there."""
    theirs, parent, stranger = made(tenant), owner(server), subaccount(server)
    assert parent.at(tenant.sid).made("GET", one(theirs)) == theirs
    for other in (parent, stranger):
        assert theirs["sid"] not in str(other.made("GET", "Applications.json"))
        for sid in (theirs["sid"], NOBODYS, "x"):
            path = other.path(f"Applications/{sid}.json")
            for method in ("GET", "POST", "DELETE"):
                assert_unknown(other.ask(method, path, FriendlyName="Mine"), path)
    for rest in ("Applications.json", one(theirs)):
        path = tenant.path(rest)
        for method in ("GET", "POST"):
            assert_unknown(stranger.ask(method, path, FriendlyName="Mine"), path)
    assert tenant.made("GET", one(theirs)) == theirs


def test_what_a_key_may_do(tenant: Tenant) -> None:
    application = one(made(tenant))
    calls = {
        "list": ("GET", "Applications.json"), "create": ("POST", "Applications.json"),
        "read": ("GET", application), "update": ("POST", application),
        "delete": ("DELETE", application),
    }  # fmt: skip
    for allowed in calls:
        policy = f'{{"allow":["/twilio/messaging/applications/{allowed}"]}}'
        key = tenant.key(KeyType="restricted", Policy=policy)
        answers = {action: key.may(*call) for action, call in calls.items() if action != allowed}
        assert set(answers.values()) == {70051}, answers
        assert key.may(*calls[allowed]) == 0


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as running:
        answer = made(owner(running), FriendlyName="Desk", SmsUrl=HOOK, StatusCallback=HOOK)
    with RunningServer(data) as running:
        assert owner(running).made("GET", one(answer)) == answer
