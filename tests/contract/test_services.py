"""Messaging Services and their pools, through Twilio's SDK and plain HTTP.

The server is this module's own: it is stopped and started.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import RunningServer
from hushwire.api import service_senders, services, support
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import Facts, golden, sdk, shown
from wire_checks import assert_refused, refusal

FACTS = Facts("messaging_v1_services")
GOLDEN = golden("services")
SERVICES, POOL = "/v1/Services", "/v1/Services/{ServiceSid}"
PAGE = Path(__file__).parents[2] / "docs/reference/messaging-services.md"
NOBODYS = "MG" + "0" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("services") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    """An account that owns nothing yet."""
    return subaccount(server)


def made(tenant: Tenant, **form: str) -> dict[str, Any]:
    return tenant.made("POST", SERVICES, 201, **{"FriendlyName": "My Service!", **form})


def number(tenant: Tenant, **form: str) -> str:
    """The SID of a new number."""
    form = form or {"AreaCode": "415"}
    return tenant.made("POST", "IncomingPhoneNumbers.json", 201, **form)["sid"]


def short_code(tenant: Tenant, digits: str) -> str:
    """The SID of a new short code of the account."""
    path = f"/hushwire/v1/accounts/{tenant.sid}/short-codes"
    status, answer = tenant.server.json("POST", path, {"short_code": digits, "country": "US"})
    assert status == 201, answer
    return answer["sid"]


# Shapes -------------------------------------------------------------------------------------


def test_a_service_has_every_property(tenant: Tenant) -> None:
    """7.6: key for key, created, fetched, listed and changed alike; absolute links."""
    answer = made(tenant)
    assert shown(answer) == GOLDEN["service"]
    assert list(answer) == list(GOLDEN["service"]), "the order of keys is stable too"
    FACTS.answers(SERVICES, "201", answer, "post")
    one = f"{SERVICES}/{answer['sid']}"
    assert answer["url"] == tenant.server.url + one
    page = tenant.made("GET", SERVICES)
    assert page["services"] == [answer] == [tenant.made("GET", one)]
    FACTS.answers(SERVICES, "200", page)
    assert shown({**page, "services": ["<service>"]}) == GOLDEN["page"]
    changed = tenant.made("POST", one)
    assert {**changed, "date_updated": answer["date_updated"]} == answer


@pytest.mark.parametrize("kind", service_senders.KINDS)
def test_a_sender_has_every_property(tenant: Tenant, kind: str) -> None:
    senders = {
        "PhoneNumbers": lambda: number(tenant, PhoneNumber="+14155550101"),
        "ShortCodes": lambda: short_code(tenant, "72345"), "AlphaSenders": lambda: "ACME",
    }  # fmt: skip
    path, found = f"{SERVICES}/{made(tenant)['sid']}/{kind}", service_senders.KINDS[kind]
    answer = tenant.made("POST", path, 201, **{found.parameter: senders[kind]()})
    assert shown(answer) == GOLDEN[kind]
    assert list(answer) == list(GOLDEN[kind])
    FACTS.answers(f"{POOL}/{kind}", "201", answer, "post")
    assert answer["url"] == f"{tenant.server.url}{path}/{answer['sid']}"
    page = tenant.made("GET", path)
    assert page[found.key] == [answer] == [tenant.made("GET", f"{path}/{answer['sid']}")]
    FACTS.answers(f"{POOL}/{kind}", "200", page)
    for other in service_senders.KINDS.keys() - {kind}:
        url = f"{path.removesuffix(kind)}{other}"
        assert tenant.made("GET", url)[service_senders.KINDS[other].key] == []
        assert_unknown(tenant.ask("GET", f"{url}/{answer['sid']}"), f"{url}/{answer['sid']}")


def test_every_operation_and_parameter_of_twilio_is_there() -> None:
    listed = {(operation.method, operation.path) for operation in support.OPERATIONS}
    assert FACTS.operations() - {("GET", "/v1/Deactivations")} <= listed
    for path in (SERVICES, f"{SERVICES}/{{Sid}}"):
        assert FACTS.form(path) == set(services.SETTINGS)
    for name, kind in service_senders.KINDS.items():
        assert FACTS.form(f"{POOL}/{name}") == {kind.parameter}


def test_the_page_names_every_parameter() -> None:
    page = PAGE.read_text("utf-8")
    names = [*services.SETTINGS, *(kind.parameter for kind in service_senders.KINDS.values())]
    assert [name for name in names if f"`{name}`" not in page] == []


# The SDK's way ------------------------------------------------------------------------------


def test_made_changed_listed_deleted(tenant: Tenant) -> None:
    """W12; dates that the SDK reads, pages that it follows by absolute URLs."""
    api = sdk(tenant).messaging.v1.services
    service = api.create(
        friendly_name="Shop", inbound_request_url="https://example.com/in", inbound_method="GET",
        sticky_sender=False, validity_period=600, usecase="marketing",
        use_inbound_webhook_on_number=True, status_callback="https://example.com/status",
    )  # fmt: skip
    assert abs(service.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert (service.sticky_sender, service.mms_converter) == (False, True)
    assert (service.validity_period, service.usecase) == (600, "marketing")
    changed = service.update(friendly_name="Store", inbound_request_url="", validity_period=60)
    assert (changed.friendly_name, changed.inbound_request_url) == ("Store", None)
    assert (changed.inbound_method, changed.validity_period) == ("GET", 60)
    assert changed.status_callback == "https://example.com/status"
    others = [api.create(friendly_name=f"Shop {n}").sid for n in range(4)]
    assert [found.sid for found in api.list(page_size=2)] == [*others[::-1], service.sid]
    assert api(service.sid).delete() is True
    assert refusal(lambda: api(service.sid).fetch()).code == 20404
    assert tenant.ask("DELETE", f"{SERVICES}/{service.sid}")[0] == 404


def test_a_pool_is_filled_listed_and_emptied(tenant: Tenant) -> None:
    """W12: 204, and the number stays with the account."""
    client = sdk(tenant)
    service = client.messaging.v1.services.create(friendly_name="Shop")
    bought = [number(tenant) for _ in range(3)]
    for sid in bought:
        added = service.phone_numbers.create(phone_number_sid=sid)
        assert (added.sid, added.country_code, added.capabilities) == (sid, "US", ["MMS", "SMS"])
    code = service.short_codes.create(short_code_sid=short_code(tenant, "60601"))
    alpha = service.alpha_senders.create(alpha_sender="ACME")
    assert (code.short_code, code.country_code) == ("60601", "US")
    assert (alpha.alpha_sender, alpha.service_sid) == ("ACME", service.sid)
    listed = service.phone_numbers.list(page_size=2)
    assert [found.sid for found in listed] == bought[::-1]
    for member in (listed[0], code, alpha):
        assert member.fetch().sid == member.sid
        assert member.delete() is True
    assert refusal(lambda: service.alpha_senders(alpha.sid).fetch()).code == 20404
    assert refusal(lambda: service.phone_numbers(listed[0].sid).delete()).code == 21711
    assert client.incoming_phone_numbers(listed[0].sid).fetch().sid == listed[0].sid
    assert service.short_codes.list() == service.alpha_senders.list() == []
    assert len(service.phone_numbers.list()) == 2


def test_a_number_is_in_one_pool(tenant: Tenant) -> None:
    """3.3: 21710, 21712. A deleted service frees its senders; a released number is in none."""
    api, sid = sdk(tenant).messaging.v1.services, number(tenant)
    one, two = (api.create(friendly_name=name) for name in ("One", "Two"))
    one.phone_numbers.create(phone_number_sid=sid)
    again = refusal(lambda: one.phone_numbers.create(phone_number_sid=sid))
    assert (again.status, again.code) == (409, 21710)
    elsewhere = refusal(lambda: two.phone_numbers.create(phone_number_sid=sid))
    assert (elsewhere.status, elsewhere.code) == (409, 21712)
    assert one.delete()
    assert two.phone_numbers.create(phone_number_sid=sid).sid == sid
    assert sdk(tenant).incoming_phone_numbers(sid).delete()
    assert two.phone_numbers.list() == []


# Refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"FriendlyName": "x" * 65}, 20002),
        ({"InboundRequestUrl": "mailto:a@example.com"}, 21402),
        ({"FallbackUrl": "http://10.1.2.3/"}, 21402),
        ({"StatusCallback": "https://a_b.example.com/"}, 21402),
        ({"InboundMethod": "PUT"}, 21403),
        ({"FallbackMethod": "get"}, 21403),
        *(
            ({name: "maybe"}, 20422)
            for name, setting in services.SETTINGS.items()
            if setting.wrong == "invalid_boolean"
        ),
        ({"ScanMessageContent": "on"}, 20422),
        *(({"ValidityPeriod": wrong}, 21624) for wrong in ("0", "36001", "-1", "1.5", "soon")),
        ({"Usecase": "spam"}, 21713),
    ],
)
def test_settings_that_are_refused(tenant: Tenant, form: dict[str, str], code: int) -> None:
    """3.3, 3.4: created or changed; nothing is made of it."""
    name = {"FriendlyName": "Shop"}
    assert_refused(tenant.ask("POST", SERVICES, **{**name, **form}), 400, code)
    assert tenant.made("GET", SERVICES)["services"] == []
    service = made(tenant)
    one = f"{SERVICES}/{service['sid']}"
    assert_refused(tenant.ask("POST", one, **form), 400, code)
    assert tenant.made("GET", one) == service


def test_what_must_be_named(tenant: Tenant) -> None:
    """20001; W5: empty is absent in a create, and a default put back in an update."""
    text = "Missing required parameter FriendlyName"
    for form in ({}, {"FriendlyName": ""}):
        assert_refused(tenant.ask("POST", SERVICES, **form), 400, 20001, text)
    one = f"{SERVICES}/{made(tenant, StickySender='False')['sid']}"
    assert tenant.made("GET", one)["sticky_sender"] is False
    assert tenant.made("POST", one, StickySender="")["sticky_sender"] is True
    assert_refused(tenant.ask("POST", one, FriendlyName=""), 400, 20002)
    for name, kind in service_senders.KINDS.items():
        code = 21708 if name == "AlphaSenders" else 20001
        for form in ({}, {kind.parameter: ""}):
            assert_refused(tenant.ask("POST", f"{one}/{name}", **form), 400, code)


def test_senders_that_are_refused(tenant: Tenant) -> None:
    one = f"{SERVICES}/{made(tenant)['sid']}"
    for wrong in ("12345", "x" * 12, "A.B"):
        assert_refused(tenant.ask("POST", f"{one}/AlphaSenders", AlphaSender=wrong), 400, 21709)
    bought = number(tenant)
    for path, form in (
        ("PhoneNumbers", {"PhoneNumberSid": "+14155550101"}),
        ("ShortCodes", {"ShortCodeSid": bought}),
    ):
        assert_refused(tenant.ask("POST", f"{one}/{path}", **form), 400, 20423)


def test_a_request_that_names_a_parameter_twice_is_refused(tenant: Tenant) -> None:
    body = b"FriendlyName=A&FriendlyName=B"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert_refused(tenant.server.request("POST", SERVICES, body, headers), 400, 20422)


# Tenants, keys, restarts --------------------------------------------------------------------


def test_what_is_foreign_is_unknown(server: RunningServer, tenant: Tenant) -> None:
    """D13: whoever asks, the parent too: these APIs name no account (2.2)."""
    theirs = made(tenant)
    sid = number(tenant)
    tenant.made("POST", f"{SERVICES}/{theirs['sid']}/PhoneNumbers", 201, PhoneNumberSid=sid)
    code = short_code(tenant, "60602")
    for other in (owner(server), subaccount(server)):
        assert theirs["sid"] not in str(other.made("GET", SERVICES))
        for service in (theirs["sid"], NOBODYS, "MG1"):
            path = f"{SERVICES}/{service}"
            for method in ("GET", "POST", "DELETE"):
                assert_unknown(other.ask(method, path, FriendlyName="Mine"), path)
            for rest in ("PhoneNumbers", "ShortCodes", "AlphaSenders"):
                assert_unknown(other.ask("GET", f"{path}/{rest}"), f"{path}/{rest}")
                form = {"PhoneNumberSid": sid, "ShortCodeSid": code, "AlphaSender": "ACME"}
                assert_unknown(other.ask("POST", f"{path}/{rest}", **form), f"{path}/{rest}")
            for method in ("GET", "DELETE"):
                one = f"{path}/PhoneNumbers/{sid}"
                assert_unknown(other.ask(method, one), one)
        own = f"{SERVICES}/{made(other)['sid']}"
        for rest, form in (
            (f"PhoneNumbers/{sid}", {"PhoneNumberSid": sid}),
            (f"ShortCodes/{code}", {"ShortCodeSid": code}),
        ):
            path = f"{own}/{rest}"
            assert_unknown(other.ask("POST", path.rpartition("/")[0], **form), path)
            assert_unknown(other.ask("DELETE", path), path)
    assert tenant.made("GET", SERVICES)["services"] == [theirs]


def test_what_a_key_may_do(tenant: Tenant) -> None:
    service = made(tenant)
    one = f"{SERVICES}/{service['sid']}"
    permission = "/twilio/messaging/services"
    calls = {
        "list": [("GET", SERVICES, {})],
        "create": [("POST", SERVICES, {"FriendlyName": "x"})],
        "read": [("GET", one, {}), ("GET", f"{one}/PhoneNumbers", {})],
        "update": [("POST", one, {}), ("POST", f"{one}/AlphaSenders", {"AlphaSender": "ACME"})],
        "delete": [("DELETE", one, {})],
    }
    for allowed in calls:
        policy = f'{{"allow":["{permission}/{allowed}"]}}'
        key = tenant.key(KeyType="restricted", Policy=policy)
        for action in calls:
            if action == allowed:
                continue
            for method, path, form in calls[action]:
                assert key.may(method, path, **form) == 70051, (allowed, action)
        for method, path, form in calls[allowed]:
            assert key.may(method, path, **form) == 0, allowed


def test_what_is_not_served_says_so(tenant: Tenant) -> None:
    """7.6: no channels, no campaigns; 20404."""
    one = f"{SERVICES}/{made(tenant)['sid']}"
    for rest in ("ChannelSenders", "DestinationAlphaSenders", "Compliance/Usa2p", "Messages"):
        for method in ("GET", "POST"):
            assert_unknown(tenant.ask(method, f"{one}/{rest}", Sid="XE1"), f"{one}/{rest}")


def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as running:
        me = owner(running)
        one = f"{SERVICES}/{made(me, InboundRequestUrl='https://u:p@example.com/')['sid']}"
        senders = (("PhoneNumberSid", number(me)), ("ShortCodeSid", short_code(me, "72345")))
        me.made("POST", f"{one}/PhoneNumbers", 201, **dict(senders[:1]))
        me.made("POST", f"{one}/ShortCodes", 201, **dict(senders[1:]))
        me.made("POST", f"{one}/AlphaSenders", 201, AlphaSender="ACME")
        paths = [SERVICES, *(f"{one}/{kind}" for kind in service_senders.KINDS)]
        before = [shown(me.made("GET", path)) for path in paths]
    with RunningServer(data) as running:
        me = owner(running)
        assert [shown(me.made("GET", path)) for path in paths] == before
        assert_refused(me.ask("POST", f"{one}/PhoneNumbers", **dict(senders[:1])), 409, 21710)
