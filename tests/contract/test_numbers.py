"""Phone numbers through Twilio's SDK and plain HTTP: found, bought, changed, released, paced."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.rest import Client

from harness import RunningServer, wait_for
from hushwire.api import available_numbers, numbers
from wire_checks import (
    FACTS,
    FORM,
    Answer,
    assert_facts,
    assert_refused,
    create,
    fresh_phone,
    get,
    messages,
    post,
    refusal,
    shape,
    until,
)

LIST = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json"
INSTANCE = "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers/{Sid}.json"
NUMBER: dict[str, Any] = FACTS["components"]["schemas"]["api.v2010.account.incoming_phone_number"]
GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "numbers.json").read_text(encoding="utf-8")
)
MAGIC = "+15005550006"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: others count on what the account owns."""
    with RunningServer(tmp_path_factory.mktemp("numbers") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def child(shop: RunningServer) -> Client:
    """The SDK with a subaccount's own token."""
    made = shop.client().api.v2010.accounts.create(friendly_name="Child")
    return client_of(shop, made.sid, made.auth_token)


def client_of(server: RunningServer, user: str, password: str, account: str = "") -> Client:
    client = Client(user, password, account or user)
    client.api.base_url = server.url
    return client


def path_of(server: RunningServer, rest: str = "", sid: str = "") -> str:
    return f"/2010-04-01/Accounts/{sid or server.sid}/IncomingPhoneNumbers{rest}.json"


def buy(server: RunningServer, **form: str) -> dict[str, Any]:
    status, _, body = post(server, form, path_of(server))
    assert status == 201, body
    return json.loads(body)


def shown(answer: object) -> Any:
    return shape(json.loads(re.sub(r"\bPN[0-9a-f]{32}", "<PN>", json.dumps(answer))))


def patch(server: RunningServer, sid: str, content: object) -> Answer:
    path = f"/hushwire/v1/accounts/{server.sid}/numbers/{sid}"
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return server.request("PATCH", path, body, {"Content-Type": "application/json"})


# Shapes -------------------------------------------------------------------------------------


def test_a_number_has_every_property(shop: RunningServer) -> None:
    """7.2: key for key, created, fetched and listed alike."""
    made = buy(shop, PhoneNumber="+14155550101")
    assert shown(made) == GOLDEN["number"]
    assert list(made) == list(GOLDEN["number"]), "the order of keys is stable too"
    assert made.keys() == NUMBER["properties"].keys()
    switches = {"beta", "capabilities", "voice_caller_id_lookup"}  # as in the golden file
    kept = {name: part for name, part in NUMBER["properties"].items() if name not in switches}
    assert_facts({**NUMBER, "properties": kept}, {name: made[name] for name in kept})
    assert get(shop, made["uri"]) == made
    page = get(shop, path_of(shop) + "?" + urlencode({"PhoneNumber": made["phone_number"]}))
    assert page["incoming_phone_numbers"] == [made]
    assert shown({**page, "incoming_phone_numbers": ["<number>"]}) == GOLDEN["page"]
    envelope = FACTS["paths"][LIST]["get"]["responses"]["200"]["content"]["application/json"]
    assert_facts(envelope["schema"], {**page, "incoming_phone_numbers": []})


def test_an_offer_and_a_country_have_every_property(shop: RunningServer) -> None:
    base = f"/2010-04-01/Accounts/{shop.sid}/AvailablePhoneNumbers"
    assert shown(get(shop, f"{base}/US.json")) == GOLDEN["country"]
    found = get(shop, f"{base}/US/Local.json?AreaCode=510&Contains=5550199")
    assert shown(found) == GOLDEN["offers"]


def test_every_parameter_is_in_exactly_one_table() -> None:
    form = "application/x-www-form-urlencoded"
    shared = [*numbers.SETTINGS, *numbers.WITHOUT_EFFECT]
    for path, own in ((LIST, ["PhoneNumber", "AreaCode"]), (INSTANCE, ["AccountSid"])):
        facts = FACTS["paths"][path]["post"]["requestBody"]["content"][form]["schema"]
        assert sorted([*shared, *own]) == sorted(facts["properties"])
    query = [p["name"] for p in FACTS["paths"][LIST]["get"]["parameters"] if p["in"] == "query"]
    assert {*numbers.FILTERS, "PageSize", "Page", "PageToken"} == set(query)


def test_the_page_names_every_parameter_and_kind() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/phone-numbers.md").read_text("utf-8")
    tables = (
        numbers.SETTINGS, numbers.WITHOUT_EFFECT, numbers.FILTERS, available_numbers.FILTERS,
    )  # fmt: skip
    assert [name for table in tables for name in table if f"`{name}`" not in page] == []
    assert all(f"{kind}.json`" in page for kind in numbers.KINDS)
    assert f"{numbers.MPS_MIN} to {numbers.MPS_MAX:,}" in page


# The SDK's way ------------------------------------------------------------------------------


def test_found_bought_changed_released(shop: RunningServer) -> None:
    client = shop.client()
    (offer,) = client.available_phone_numbers("US").local.list(area_code=628, limit=1)
    assert offer.phone_number.startswith("+1628")
    assert offer.capabilities == {"sms": True, "mms": True, "voice": False, "fax": False}
    bought = client.incoming_phone_numbers.create(
        phone_number=offer.phone_number, friendly_name="Support", sms_url="https://example.com/in"
    )
    assert (bought.phone_number, bought.friendly_name) == (offer.phone_number, "Support")
    assert (bought.sms_url, bought.sms_method) == ("https://example.com/in", "POST")
    (listed,) = client.incoming_phone_numbers.list(friendly_name="Support")
    assert listed.sid == bought.sid
    changed = listed.update(
        sms_method="GET", sms_fallback_url="https://example.com/else", friendly_name=""
    )
    assert (changed.sms_method, changed.sms_fallback_url) == ("GET", "https://example.com/else")
    assert changed.friendly_name == offer.friendly_name  # an empty one goes back to the default
    assert changed.sms_url == "https://example.com/in"
    again = client.available_phone_numbers("US").local.list(area_code=628, limit=50)
    assert offer.phone_number not in [other.phone_number for other in again]
    assert changed.delete() is True
    assert refusal(lambda: client.incoming_phone_numbers(bought.sid).fetch()).code == 20404
    assert shop.request("DELETE", bought.uri)[0] == 404


def test_countries_page_by_page(shop: RunningServer) -> None:
    """W9: the SDK follows `next_page_uri`; nothing comes twice."""
    client = shop.client()
    codes = [place.country_code for place in client.available_phone_numbers.list(page_size=20)]
    assert len(codes) == len(set(codes)) > 60
    assert {"US", "CA", "GB", "DE"} <= set(codes)
    assert client.available_phone_numbers("DE").fetch().country == "Germany"
    assert refusal(lambda: client.available_phone_numbers("XX").fetch()).code == 20404
    base = f"/2010-04-01/Accounts/{shop.sid}/AvailablePhoneNumbers"
    for path in ("XX/Local", "us/Local", "US/Mobile"):  # there are no mobile ranges in the US
        assert_refused(shop.request("GET", f"{base}/{path}.json"), 404, 20404)


def test_kinds_are_found_bought_and_listed(shop: RunningServer) -> None:
    client = shop.client()
    place, own = client.available_phone_numbers("GB"), client.incoming_phone_numbers
    for offers, resource, kind in (
        (place.local, own.local, "local"), (place.mobile, own.mobile, "mobile"),
        (place.toll_free, own.toll_free, "toll_free"),
    ):  # fmt: skip
        (offer,) = offers.list(limit=1)
        bought = resource.create(phone_number=offer.phone_number)
        assert own(bought.sid).fetch().type == kind
        listed = [number.sid for number in resource.list()]
        assert bought.sid in listed
        for other in {"local", "mobile", "toll_free"} - {kind}:
            assert bought.sid not in [number.sid for number in getattr(own, other).list()]
    toll_free = place.toll_free.list(limit=1)[0].phone_number
    assert refusal(lambda: own.mobile.create(phone_number=toll_free)).code == 21422


def test_filters_of_the_search(shop: RunningServer) -> None:
    place = shop.client().available_phone_numbers("US").local
    assert all("0123" in o.phone_number for o in place.list(contains="0123", limit=20))
    vanity = place.list(contains="HUSH", limit=5)
    assert vanity
    assert all("4874" in offer.phone_number for offer in vanity)
    assert len(place.list(sms_enabled=True, limit=5)) == 5
    assert len(place.list(mms_enabled=True, limit=5)) == 5
    assert place.list(mms_enabled=False) == place.list(voice_enabled=True) == []
    british = shop.client().available_phone_numbers("GB").local
    assert british.list(mms_enabled=True) == []
    assert len(place.list(in_locality="Hilo", near_number="+1", beta=False, limit=5)) == 5
    base = f"/2010-04-01/Accounts/{shop.sid}/AvailablePhoneNumbers/US/Local.json"
    for query, code in (
        ("AreaCode=41", 21451), ("Contains=1", 20422), ("SmsEnabled=yes", 20422),
        ("PageSize=1001", 20007), ("PageSize=5&Page=1&PageToken=PAUS", 21481),
    ):  # fmt: skip
        assert_refused(shop.request("GET", f"{base}?{query}"), 400, code)
    assert get(shop, f"{base}?PageSize=1000")["page_size"] == 1000  # W12
    assert get(shop, f"{base}?Page=1")["available_phone_numbers"] == []


def test_the_list_page_by_page(shop: RunningServer) -> None:
    for _ in range(3):
        buy(shop, AreaCode="503")
    client = shop.client()
    whole = [number.sid for number in client.incoming_phone_numbers.list()]
    assert [n.sid for n in client.incoming_phone_numbers.list(page_size=2)] == whole
    assert len(client.incoming_phone_numbers.list(phone_number="+1503")) == 3
    assert len(client.incoming_phone_numbers.list(phone_number="503555*")) == 3
    assert client.incoming_phone_numbers.list(origin="hosted") == []
    assert [n.sid for n in client.incoming_phone_numbers.list(beta=True)] == whole
    raw = path_of(shop) + "?PhoneNumber=+1503"  # W3: the plus was not escaped
    assert len(get(shop, raw)["incoming_phone_numbers"]) == 3
    assert_refused(shop.request("GET", path_of(shop) + "?Beta=maybe"), 400, 20422)


# Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "code", "text"),
    [
        ({"PhoneNumber": "33"}, 21421, None),
        ({"PhoneNumber": "+15005550000"}, 21422, "+15005550000 is not available"),
        ({"PhoneNumber": "+15005550001"}, 21421, "+15005550001 is not a valid number"),
        ({"AreaCode": "533"}, 21452, "No phone numbers found in area code 533"),
        ({"AreaCode": "5a"}, 21451, None),
        ({}, 20001, "Missing required parameter PhoneNumber"),
        ({"PhoneNumber": ""}, 20001, None),  # W5
        ({"PhoneNumber": "+14155550188", "SmsMethod": "PUT"}, 21403, None),
        ({"PhoneNumber": "+14155550188", "SmsUrl": "mailto:a@example.com"}, 21402, None),
        ({"PhoneNumber": "+14155550188", "StatusCallback": "http://10.1.2.3/"}, 21402, None),
        ({"PhoneNumber": "+14155550188", "SmsFallbackUrl": "https://example.com/"}, 21406, None),
        ({"PhoneNumber": "+14155550188", "FriendlyName": "x" * 65}, 20002, None),
        ({"PhoneNumber": "+14155550188", "SmsApplicationSid": "AP" + "0" * 32}, 21420, None),
        ([("PhoneNumber", "+14155550188"), ("PhoneNumber", "+14155550189")], 20422, None),
    ],
)
def test_purchases_that_are_refused(
    shop: RunningServer, form: object, code: int, text: str | None
) -> None:
    before = get(shop, path_of(shop))
    assert_refused(post(shop, form, path_of(shop)), 400, code, text)
    assert get(shop, path_of(shop)) == before


def test_magic_purchases(shop: RunningServer) -> None:
    """3.4: the number that is always had, by itself and by its area code."""
    client = shop.client()
    first = client.incoming_phone_numbers.create(phone_number=MAGIC)
    again = client.incoming_phone_numbers.create(area_code="500", friendly_name="Magic")
    assert (again.sid, again.phone_number, again.friendly_name) == (first.sid, MAGIC, "Magic")
    assert client.incoming_phone_numbers.local.create(phone_number=MAGIC).sid == first.sid


def test_what_has_no_effect_changes_nothing(shop: RunningServer) -> None:
    made = buy(shop, AreaCode="775")
    given = dict.fromkeys(numbers.WITHOUT_EFFECT, "https://example.com/voice")
    status, _, body = post(shop, {**given, "Colour": "blue"}, made["uri"])
    assert (status, json.loads(body)) == (200, made)
    query = urlencode(dict.fromkeys(available_numbers.WITHOUT_EFFECT, "x"))
    base = f"/2010-04-01/Accounts/{shop.sid}/AvailablePhoneNumbers/US/Local.json?PageSize=3"
    plain, asked = (
        get(shop, path)["available_phone_numbers"] for path in (base, f"{base}&{query}")
    )
    assert plain == asked


@pytest.mark.parametrize("kind", ["National", "Voip", "SharedCost", "MachineToMachine"])
def test_kinds_that_are_not_sold(shop: RunningServer, kind: str) -> None:
    base = f"/2010-04-01/Accounts/{shop.sid}/AvailablePhoneNumbers/US/{kind}.json"
    assert_refused(shop.request("GET", base), 404, 20404)


# Accounts and keys --------------------------------------------------------------------------


def test_a_foreign_number_is_as_unknown_as_none(shop: RunningServer, child: Client) -> None:
    """D13: same status, code and text, whoever asks and however."""
    own = buy(shop, AreaCode="206")
    theirs = child.incoming_phone_numbers.create(area_code="206")
    for resource, foreign in (
        (child.incoming_phone_numbers, own["sid"]),
        (shop.client().incoming_phone_numbers, theirs.sid),
    ):
        for sid in (foreign, "PN" + "0" * 32):
            number = resource(sid)
            for call in (number.fetch, number.update, number.delete):
                error = refusal(call)
                assert (error.status, error.code) == (404, 20404)
                assert error.msg.endswith(f"{error.uri} was not found")
    assert [n.sid for n in child.incoming_phone_numbers.list()] == [theirs.sid]
    assert refusal(
        lambda: child.incoming_phone_numbers.create(phone_number=own["phone_number"])
    ).code == 21422  # fmt: skip
    # The parent reaches it under the child's path.
    under = shop.client().api.v2010.accounts(theirs.account_sid)
    assert under.incoming_phone_numbers(theirs.sid).fetch().sid == theirs.sid
    assert theirs.delete()


def test_a_number_is_handed_over(shop: RunningServer, child: Client) -> None:
    client = shop.client()
    number = client.incoming_phone_numbers.create(area_code="212", friendly_name="Gift")
    moved = number.update(account_sid=child.account_sid)
    assert (moved.sid, moved.account_sid) == (number.sid, child.account_sid)
    assert child.incoming_phone_numbers(number.sid).fetch().friendly_name == "Gift"
    assert refusal(number.fetch).code == 20404
    theirs = child.incoming_phone_numbers(number.sid)
    assert refusal(lambda: theirs.update(account_sid=shop.sid)).code == 21474
    under = client.api.v2010.accounts(child.account_sid).incoming_phone_numbers(number.sid)
    assert refusal(lambda: under.update(account_sid="AC1")).code == 21470
    assert refusal(lambda: under.update(account_sid="AC" + "0" * 32)).code == 21471
    assert under.update(account_sid=shop.sid).account_sid == shop.sid
    assert number.delete()


def test_a_restricted_key_does_what_it_names(shop: RunningServer) -> None:
    allow = [f"/twilio/numbers/incoming-phone-numbers/{action}" for action in ("list", "read")]
    form = {
        "AccountSid": shop.sid, "KeyType": "restricted", "Policy": json.dumps({"allow": allow}),
    }  # fmt: skip
    status, _, body = post(shop, form, "/v1/Keys")
    assert status == 201, body
    made = json.loads(body)
    client = client_of(shop, made["sid"], made["secret"], shop.sid)
    first = client.incoming_phone_numbers.list(limit=1)[0]
    number = client.incoming_phone_numbers(first.sid)
    assert number.fetch().sid == first.sid
    lacks = "required permission twilio/numbers/{} is missing"
    for call, permission in (
        (lambda: client.incoming_phone_numbers.create(area_code="503"), "create"),
        (lambda: number.update(friendly_name="x"), "update"),
        (number.delete, "delete"),
    ):
        error = refusal(call)
        assert (error.status, error.code) == (401, 70051)
        assert lacks.format(f"incoming-phone-numbers/{permission}") in error.msg
    error = refusal(client.available_phone_numbers("US").fetch)
    assert lacks.format("available-phone-numbers/list") in error.msg


def test_nobody_is_asked_for_credentials(shop: RunningServer) -> None:
    base = f"/2010-04-01/Accounts/{shop.sid}"
    for path in (path_of(shop), path_of(shop, "/PN1"), f"{base}/AvailablePhoneNumbers/US.json"):
        assert shop.request("GET", path, auth=False)[0] == 401


# What a number is for -----------------------------------------------------------------------


def test_a_bought_number_sends_and_receives_and_a_released_one_does_not(
    shop: RunningServer,
) -> None:
    """T-5: a number that is not owned is no sender: 21606."""
    number = buy(shop, AreaCode="312")
    own, phone = number["phone_number"], fresh_phone()
    sent = until(shop, create(shop, From=own, To=phone)["sid"], "delivered")
    assert sent["from"] == own
    assert shop.screen(phone)[0]["from"] == own
    text = {"to": own, "body": "Back to you"}
    status, inbound = shop.json("POST", f"/sandbox/phones/{phone}/messages", text)
    assert status == 201

    assert shop.request("DELETE", number["uri"])[::2] == (204, b"")  # W12
    form = {"To": phone, "From": own, "Body": "Hello"}
    assert_refused(post(shop, form), 400, 21606)
    assert shop.json("POST", f"/sandbox/phones/{phone}/messages", text)[0] == 404
    kept = get(shop, messages(shop, inbound["sid"]))
    assert (kept["to"], kept["body"]) == (own, "Back to you")  # its messages stay
    assert get(shop, messages(shop, sent["sid"]))["from"] == own


def test_what_was_bought_is_kept_over_a_restart(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server:
        made = buy(server, PhoneNumber="+14155550177", SmsUrl="https://u:p@example.com/in")
        gone = buy(server, PhoneNumber="+14155550178")
        assert server.request("DELETE", gone["uri"])[0] == 204
        assert patch(server, made["sid"], {"mps": 4})[0] == 200
        server.kill()  # what was answered is on the disk
        server.start()
        assert {**get(server, made["uri"]), "date_updated": ""} == {**made, "date_updated": ""}
        assert get(server, path_of(server))["incoming_phone_numbers"][0]["sid"] == made["sid"]
        assert server.request("GET", gone["uri"])[0] == 404
        pace = get(server, f"/hushwire/v1/accounts/{server.sid}/numbers/{made['sid']}")
        assert pace == {"sid": made["sid"], "phone_number": "+14155550177", "mps": 4.0}


def test_without_the_sandbox_the_operator_registers_what_the_carriers_gave(
    tmp_path: Path,
) -> None:
    with RunningServer(tmp_path / "data", "--no-sandbox") as server:
        client = server.client()
        assert client.available_phone_numbers("US").local.list(area_code=510) == []
        assert client.available_phone_numbers.list() == []
        assert refusal(lambda: client.incoming_phone_numbers.create(area_code="510")).code == 21452
        made = client.incoming_phone_numbers.create(phone_number="+14155550101")
        assert [number.sid for number in client.incoming_phone_numbers.list()] == [made.sid]
        sub = client.api.v2010.accounts.create(friendly_name="Tenant")
        tenant = client_of(server, sub.sid, sub.auth_token)
        order = {"phone_number": "+14155550102"}
        assert refusal(lambda: tenant.incoming_phone_numbers.create(**order)).code == 21422
        given = client.api.v2010.accounts(sub.sid).incoming_phone_numbers.create(**order)
        assert [number.sid for number in tenant.incoming_phone_numbers.list()] == [given.sid]
        key = client.new_keys.create()
        by_key = client_of(server, key.sid, key.secret, server.sid)
        order = {"phone_number": "+14155550103"}
        assert refusal(lambda: by_key.incoming_phone_numbers.create(**order)).code == 21422


# Pace ---------------------------------------------------------------------------------------


def test_a_pace_is_set_and_holds(shop: RunningServer) -> None:
    number = buy(shop, AreaCode="702")
    own = number["phone_number"]
    path = f"/hushwire/v1/accounts/{shop.sid}/numbers/{number['sid']}"
    assert get(shop, path) == {"sid": number["sid"], "phone_number": own, "mps": None}
    status, _, body = patch(shop, number["sid"], {"mps": 0.01})  # a segment in 100 seconds
    assert (status, json.loads(body)["mps"]) == (200, 0.01)
    first, second = (create(shop, From=own)["sid"] for _ in range(2))
    shop.advance(101)
    until(shop, first, "delivered")
    assert get(shop, messages(shop, second))["status"] == "queued"
    shop.advance(100)
    until(shop, second, "delivered")
    assert json.loads(patch(shop, number["sid"], {})[2])["mps"] == 0.01
    assert json.loads(patch(shop, number["sid"], {"mps": None})[2])["mps"] is None
    for _ in range(3):
        until(shop, create(shop, From=own)["sid"], "delivered")


@pytest.mark.parametrize(
    "content",
    [{"mps": 0}, {"mps": -1}, {"mps": "1"}, {"mps": 1e9}, {"pace": 1}, [], b"", b"{", b"\xff"],
)
def test_a_pace_that_is_none_changes_nothing(shop: RunningServer, content: object) -> None:
    number = get(shop, path_of(shop))["incoming_phone_numbers"][0]
    path = f"/hushwire/v1/accounts/{shop.sid}/numbers/{number['sid']}"
    before = get(shop, path)
    assert_refused(patch(shop, number["sid"], content), 400, 20422)
    assert get(shop, path) == before


def test_a_subaccount_reads_its_pace_and_does_not_set_it(
    shop: RunningServer, child: Client
) -> None:
    number = child.incoming_phone_numbers.create(area_code="808")
    url = f"{shop.url}/hushwire/v1/accounts/{child.account_sid}/numbers/{number.sid}"
    read = child.http_client.request("GET", url, auth=child.auth)
    assert (read.status_code, json.loads(read.text)["mps"]) == (200, None)
    for client, status in ((child, 403), (shop.client(), 200)):
        set_ = client.http_client.request(
            "PATCH", url, data={"mps": 3}, auth=client.auth,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert set_.status_code == status, set_.text
    assert_refused(patch(shop, number.sid, {"mps": 1}), 404, 20404)  # not under its own path


def test_a_method_that_is_not_served(shop: RunningServer) -> None:
    status, headers, _ = shop.request("DELETE", path_of(shop), None, FORM)
    assert (status, {*headers["allow"].split(", ")}) == (405, {"GET", "HEAD", "POST"})


def test_the_magic_sender_is_everybodys(shop: RunningServer, child: Client) -> None:
    """3.4: +15005550006 passes as From for every account, also when nobody owns it."""
    number = buy(shop, PhoneNumber=MAGIC)
    for owned in (True, False):
        for client in (child, shop.client()):
            to = fresh_phone()
            made = client.messages.create(to=to, from_=MAGIC, body="Hello")
            wait_for(lambda made=made: made.fetch().status == "delivered")
            assert shop.screen(to)[0]["from"] == MAGIC
        if owned:
            assert shop.request("DELETE", number["uri"])[0] == 204
    assert buy(shop, PhoneNumber=MAGIC)["sid"] != number["sid"]
