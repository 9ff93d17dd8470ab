"""Short codes through Twilio's SDK and plain HTTP, and how the operator registers them."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import RunningServer
from hushwire.api import shortcodes
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import golden, shown
from wire_checks import FACTS, Answer, assert_facts, assert_refused, refusal

LIST = "/2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes.json"
INSTANCE = "/2010-04-01/Accounts/{AccountSid}/SMS/ShortCodes/{Sid}.json"
CODES = "SMS/ShortCodes.json"
SHORT_CODE = FACTS["components"]["schemas"]["api.v2010.account.short_code"]
GOLDEN = golden("short_codes")
HOOK = "https://user:secret@example.com/in"
NOBODYS = "SC" + "0" * 32
_digits = itertools.count(60_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("shortcodes") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return subaccount(server)


def register(tenant: Tenant, content: object) -> tuple[int, dict[str, Any]]:
    """As its parent, under the account's path."""
    path = f"/hushwire/v1/accounts/{tenant.sid}/short-codes"
    return tenant.server.json("POST", path, content)


def registered(tenant: Tenant, digits: str = "") -> dict[str, Any]:
    wanted = {"short_code": digits or str(next(_digits)), "country": "US"}
    status, answer = register(tenant, wanted)
    assert status == 201, answer
    return answer


def one(answer: dict[str, Any]) -> str:
    return f"SMS/ShortCodes/{answer['sid']}.json"


def ours(tenant: Tenant, sid: str = "") -> str:
    return f"/hushwire/v1/accounts/{tenant.sid}/short-codes" + (f"/{sid}" if sid else "")


def give_back(tenant: Tenant, sid: str) -> Answer:
    return tenant.ask("DELETE", ours(tenant, sid))


def test_a_short_code_has_every_property(tenant: Tenant) -> None:
    """7.3: key for key, fetched, listed and changed alike; the registration tells its country."""
    answer = registered(tenant, "72345")
    assert shown(answer) == GOLDEN["registered"]
    fetched = tenant.made("GET", answer["uri"])
    assert {"country": "US", **fetched} == answer
    assert list(fetched) == list(GOLDEN["short_code"]), "the order of keys is stable too"
    assert fetched.keys() == SHORT_CODE["properties"].keys()
    assert_facts(SHORT_CODE, fetched)
    page = tenant.made("GET", CODES)
    assert page["short_codes"] == [fetched]
    assert shown({**page, "short_codes": ["<short_code>"]}) == GOLDEN["page"]
    assert tenant.made("POST", one(answer), ApiVersion="2008-08-01") == fetched


def test_every_parameter_is_in_exactly_one_table() -> None:
    content = FACTS["paths"][INSTANCE]["post"]["requestBody"]["content"]
    schema = content["application/x-www-form-urlencoded"]["schema"]
    tables = [*shortcodes.SETTINGS, *shortcodes.WITHOUT_EFFECT]
    assert sorted(tables) == sorted(schema["properties"])
    query = {p["name"] for p in FACTS["paths"][LIST]["get"]["parameters"] if p["in"] == "query"}
    assert {*shortcodes.FILTERS, "PageSize", "Page", "PageToken"} == query


def test_the_page_names_every_parameter() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/short-codes.md").read_text("utf-8")
    names = [*shortcodes.SETTINGS, *shortcodes.WITHOUT_EFFECT, *shortcodes.FILTERS]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_listed_and_changed_by_the_sdk(tenant: Tenant) -> None:
    """W9: the SDK follows `next_page_uri`. Names are exact, digits a pattern."""
    api = tenant.sdk().short_codes
    sids = [registered(tenant)["sid"] for _ in range(3)]
    assert [code.sid for code in api.list(page_size=2)] == sids[::-1]
    code = api(sids[0]).fetch()
    assert code.friendly_name == code.short_code
    changed = code.update(friendly_name="Votes", sms_url=HOOK, sms_method="GET")
    assert (changed.friendly_name, changed.sms_url, changed.sms_method) == ("Votes", HOOK, "GET")
    assert [found.sid for found in api.list(friendly_name="Votes")] == [code.sid]
    assert [found.sid for found in api.list(short_code=f"{code.short_code[:3]}**")] == sids[::-1]
    assert [found.sid for found in api.list(short_code=code.short_code)] == [code.sid]
    back = changed.update(friendly_name="", sms_url="", sms_method="")
    assert (back.friendly_name, back.sms_url, back.sms_method) == (code.short_code, None, "POST")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"FriendlyName": "x" * 65}, 20002),
        ({"SmsUrl": "http://10.1.2.3/"}, 21402),
        ({"SmsFallbackUrl": "x"}, 21402),
        ({"SmsFallbackUrl": HOOK}, 21406),
        ({"SmsMethod": "PUT"}, 21403),
        ({"SmsFallbackMethod": "PUT"}, 21403),
    ],
)
def test_settings_that_are_refused(tenant: Tenant, form: dict[str, str], code: int) -> None:
    answer = registered(tenant)
    assert_refused(tenant.ask("POST", one(answer), **form), 400, code)
    assert {"country": "US", **tenant.made("GET", one(answer))} == answer


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({}, 400), ([], 400), ({"short_code": "60123"}, 400), ({"country": "US"}, 400),
        ({"short_code": 60123, "country": "US"}, 400),
        ({"short_code": "60123", "country": "US", "mps": 3}, 400),
        ({"short_code": "601", "country": "US"}, 20422),
        ({"short_code": "60123", "country": "United States"}, 20422),
    ],
)  # fmt: skip
def test_registrations_that_are_refused(tenant: Tenant, content: object, code: int) -> None:
    status, answer = register(tenant, content)
    assert (status, answer["code"]) == (400, code)
    assert tenant.made("GET", CODES)["short_codes"] == []


def test_a_code_has_one_owner(server: RunningServer, tenant: Tenant) -> None:
    """The last four of its digits are not told. Given back, it may be registered anew."""
    first = registered(tenant)
    other = subaccount(server)
    status, answer = register(other, {"short_code": first["short_code"], "country": "GB"})
    assert (status, answer["code"]) == (400, 21422)
    assert first["short_code"] not in answer["message"]
    status, _, body = give_back(tenant, first["sid"])
    assert (status, body) == (204, b"")
    path = tenant.path(one(first))
    assert_unknown(tenant.ask("GET", path), path)
    assert registered(other, first["short_code"])["sid"] != first["sid"]


def test_there_is_no_create_and_no_delete_at_twilio(tenant: Tenant) -> None:
    code = registered(tenant)
    assert_refused(tenant.ask("POST", CODES, ShortCode="60123"), 405, 20004)
    assert_refused(tenant.ask("DELETE", one(code)), 405, 20004)
    error = refusal(lambda: tenant.sdk().short_codes("SC" + "1" * 32).fetch())
    assert error.code == 20404


def test_what_is_foreign_is_unknown(server: RunningServer, tenant: Tenant) -> None:
    """D13; a parent asks under its subaccount's path, and sees what is there."""
    theirs, parent, stranger = registered(tenant), owner(server), subaccount(server)
    fetched = tenant.made("GET", one(theirs))
    assert parent.at(tenant.sid).made("GET", one(theirs)) == fetched
    for other in (parent, stranger):
        assert theirs["sid"] not in str(other.made("GET", CODES))
        for sid in (theirs["sid"], NOBODYS, "x"):
            path = other.path(f"SMS/ShortCodes/{sid}.json")
            for method in ("GET", "POST"):
                assert_unknown(other.ask(method, path, FriendlyName="Mine"), path)
            path = ours(other, sid)
            assert_unknown(other.ask("DELETE", path), path)
    for method, path in (
        ("GET", tenant.path(CODES)), ("GET", tenant.path(one(theirs))),
        ("POST", tenant.path(one(theirs))), ("POST", ours(tenant)),
        ("DELETE", ours(tenant, theirs["sid"])),
    ):  # fmt: skip
        assert_unknown(stranger.ask(method, path, FriendlyName="Mine"), path)
    assert tenant.made("GET", one(theirs)) == fetched


def test_what_a_key_may_do(tenant: Tenant) -> None:
    code = registered(tenant)
    calls = {
        "list": ("GET", CODES), "read": ("GET", one(code)), "update": ("POST", one(code)),
        "create": ("POST", ours(tenant)), "delete": ("DELETE", ours(tenant, code["sid"])),
    }  # fmt: skip
    for allowed in calls:
        policy = f'{{"allow":["/twilio/messaging/short-codes/{allowed}"]}}'
        key = tenant.key(KeyType="restricted", Policy=policy)
        answers = {action: key.may(*call) for action, call in calls.items() if action != allowed}
        assert set(answers.values()) == {70051}, answers
        # The plain form is no JSON: a create that is allowed gets as far as that.
        assert key.may(*calls[allowed]) == (400 if allowed == "create" else 0)


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as running:
        me = owner(running)
        changed = me.made("POST", one(registered(me, "72345")), SmsUrl=HOOK)
    with RunningServer(data) as running:
        me = owner(running)
        assert me.made("GET", one(changed)) == changed
        status, answer = register(me, {"short_code": "72345", "country": "US"})
        assert (status, answer["code"]) == (400, 21422)
