"""API keys by both APIs, and what each kind of key may do.

The server is this module's own: keys come and go, and one restart is in it.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness import RunningServer
from tenants import Tenant, assert_unknown, owner, subaccount
from wire_checks import FACTS, assert_facts, assert_refused, fresh_phone, refusal, shape

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "keys.json").read_text(encoding="utf-8")
)
KEY = {"$ref": "#/components/schemas/api.v2010.account.key"}
NEW_KEY = {"$ref": "#/components/schemas/api.v2010.account.new_key"}
KEYS_JSON = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Keys.json"]["get"]["responses"]
ENVELOPE = KEYS_JSON["200"]["content"]["application/json"]["schema"]
V1 = "/v1/Keys"
READ, LIST, CREATE = (
    f"/twilio/messaging/messages/{action}" for action in ("read", "list", "create")
)
FAILED = (401, 20003, "Authenticate")
WRONG_SID = (400, 70002, "Invalid Sid provided in the request")
NAMES = pytest.mark.parametrize("name", ["Keys", "SigningKeys"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("keys") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    """An account whose keys no other test makes."""
    return subaccount(server)


def allow(*permissions: str) -> str:
    return json.dumps({"allow": permissions})


def assert_golden(name: str, answer: dict[str, Any]) -> None:
    if "secret" in answer:
        assert re.fullmatch("[0-9A-Za-z]{32}", answer["secret"])
        answer = {**answer, "secret": "<secret>"}
    text = re.sub(r"SK[0-9a-f]{32}", "<SK>", json.dumps(shape(answer)))
    text = re.sub(r"http://127\.0\.0\.1:\d+", "<base>", text)
    assert json.loads(text) == GOLDEN[name]
    assert list(answer) == list(GOLDEN[name]), "the order of keys is stable too"


# 2010-04-01 -----------------------------------------------------------------------------


@NAMES
def test_the_secret_is_told_once(tenant: Tenant, name: str) -> None:
    """2.4: by the create alone; `SigningKeys` is the same set by another name."""
    made = tenant.made("POST", f"{name}.json", 201, FriendlyName="Deploy")
    assert_golden("created", made)
    assert_facts(NEW_KEY, made)
    one = f"{name}/{made['sid']}.json"
    page = tenant.made("GET", f"{name}.json")
    (listed,) = page["signing_keys" if name == "SigningKeys" else "keys"]
    for answer in (tenant.made("GET", one), tenant.made("POST", one), listed):
        assert_golden("fetched", answer)
        assert_facts(KEY, answer)
    for alias in ("Keys", "SigningKeys"):
        assert tenant.made("GET", f"{alias}/{made['sid']}.json") == listed
    if name == "Keys":
        assert_facts(ENVELOPE, page)
    assert_golden(f"{name} page", {key: v for key, v in page.items() if not key.endswith("keys")})


def test_the_sdk_makes_uses_renames_and_deletes(tenant: Tenant) -> None:
    """W10, W12: `SK…` as user with `AC…` in the path; deleted, it is out at once."""
    client = tenant.sdk()
    made = client.new_keys.create(friendly_name="Through the SDK")
    assert abs(made.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    key = Tenant(tenant.server, made.sid, made.secret, tenant.sid)
    assert key.sdk().messages.list() == []
    assert client.keys(made.sid).fetch().friendly_name == "Through the SDK"
    assert client.keys(made.sid).update(friendly_name="Renamed").friendly_name == "Renamed"
    signing = client.new_signing_keys.create(friendly_name=None)
    assert signing.friendly_name is None
    assert {k.sid for k in client.keys.list()} == {made.sid, signing.sid}
    assert {k.sid for k in client.signing_keys.list()} == {made.sid, signing.sid}
    assert client.keys(made.sid).delete()
    error = refusal(lambda: key.sdk().messages("SM" + "0" * 32).fetch())
    assert (error.status, error.code) == (401, 20003)
    assert_unknown(tenant.ask("GET", f"Keys/{made.sid}.json"), tenant.path(f"Keys/{made.sid}.json"))
    status, _, body = tenant.ask("DELETE", f"SigningKeys/{signing.sid}.json")
    assert (status, body) == (204, b"")
    assert client.keys.list() == []


def test_names_of_keys(tenant: Tenant) -> None:
    """70001 above 64 characters; none is null, an empty one leaves what there is."""
    assert tenant.made("POST", "Keys.json", 201)["friendly_name"] is None
    made = tenant.made("POST", "Keys.json", 201, FriendlyName="é" * 64)
    one = f"Keys/{made['sid']}.json"
    assert tenant.made("POST", one, FriendlyName="")["friendly_name"] == "é" * 64
    text = "The request has constraint violations"
    for path in ("Keys.json", one, f"{V1}/{made['sid']}"):
        assert_refused(tenant.ask("POST", path, FriendlyName="é" * 65), 400, 70001, text)
    form = {"AccountSid": tenant.sid, "FriendlyName": "é" * 65}
    assert_refused(tenant.ask("POST", V1, **form), 400, 70001, text)


def test_the_2010_api_makes_standard_keys_whatever_is_asked(tenant: Tenant) -> None:
    """2.4: it silently ignores KeyType and Policy, as at Twilio."""
    for form in ({"KeyType": "restricted", "Policy": allow(READ)}, {"KeyType": "main"}):
        made = tenant.made("POST", "Keys.json", 201, **form)
        key = Tenant(tenant.server, made["sid"], made["secret"], tenant.sid)
        assert key.may("GET", "Messages.json") == 0
        assert_refused(key.ask("GET", "Keys.json"), *FAILED)
        assert tenant.made("GET", f"{V1}/{made['sid']}")["policy"] is None


def test_pages_of_keys(tenant: Tenant) -> None:
    """W9: relative URIs in one API, absolute ones with the account in the other; newest first."""
    sids = [tenant.made("POST", "Keys.json", 201)["sid"] for _ in range(5)]
    first = tenant.made("GET", "Keys.json?PageSize=2")
    assert first["next_page_uri"].startswith(
        tenant.path("Keys.json?PageSize=2&Page=1&PageToken=PA")
    )
    second = tenant.made("GET", first["next_page_uri"])
    assert tenant.made("GET", second["previous_page_uri"])["keys"] == first["keys"]
    listed = [key.sid for key in tenant.sdk().keys.list(page_size=2)]
    assert sorted(listed) == sorted(sids)
    meta = tenant.made("GET", f"{V1}?AccountSid={tenant.sid}&PageSize=2")["meta"]
    url = f"{tenant.server.url}{V1}?AccountSid={tenant.sid}&PageSize=2&Page="
    assert meta["first_page_url"] == meta["url"] == f"{url}0"
    assert meta["next_page_url"].startswith(f"{url}1&PageToken=PASK")
    streamed = tenant.sdk().iam.v1.get_api_keys.stream(account_sid=tenant.sid, page_size=2)
    assert [key.sid for key in streamed] == listed
    for path in (tenant.path("Keys.json?"), f"{V1}?AccountSid={tenant.sid}&"):
        assert_refused(tenant.ask("GET", f"{path}PageSize=1001"), 400, 20007)
        assert_refused(tenant.ask("GET", f"{path}PageToken=PASK{'0' * 32}"), 400, 21481)


@pytest.mark.parametrize("sid", ["SM" + "0" * 32, "AC" + "0" * 32, "SK", "SK" + "0" * 31, "x"])
def test_a_sid_of_another_kind(tenant: Tenant, sid: str) -> None:
    """70002 in the path of a key."""
    for path in (f"Keys/{sid}.json", f"SigningKeys/{sid}.json", f"{V1}/{sid}"):
        for method in ("GET", "POST", "DELETE"):
            assert_refused(tenant.ask(method, path), *WRONG_SID)


# v1 -------------------------------------------------------------------------------------


def test_the_v1_shapes(tenant: Tenant) -> None:
    """2.4: a policy beside the rest; the list has neither policy nor secret, under `meta`."""
    form = {"AccountSid": tenant.sid, "FriendlyName": "Deploy"}
    standard = tenant.made("POST", V1, 201, **form)
    assert_golden("v1 created", standard)
    restricted = tenant.made("POST", V1, 201, KeyType="restricted", Policy=allow(READ), **form)
    assert_golden("v1 created restricted", restricted)
    one = f"{V1}/{restricted['sid']}"
    assert_golden("v1 fetched restricted", tenant.made("GET", one))
    assert_golden("v1 fetched", tenant.made("GET", f"{V1}/{standard['sid']}"))
    page = tenant.made("GET", f"{V1}?AccountSid={tenant.sid}")
    assert_golden("v1 page", page)
    assert tenant.ask("DELETE", one)[0::2] == (204, b"")
    assert_unknown(tenant.ask("GET", one), one)


def test_the_sdk_speaks_v1(tenant: Tenant) -> None:
    """Policies are set, read and changed; a changed one holds at once."""
    iam = tenant.sdk().iam.v1
    made = iam.new_api_key.create(
        account_sid=tenant.sid, friendly_name="Reader", key_type="restricted",
        policy={"allow": [READ]},
    )  # fmt: skip
    assert made.policy == {"allow": [READ]}
    key = Tenant(tenant.server, made.sid, made.secret, tenant.sid)
    assert key.may("GET", "Messages.json") == 70051
    changed = iam.api_key(made.sid).update(policy={"allow": [READ, LIST]})
    assert (changed.friendly_name, changed.policy) == ("Reader", {"allow": [READ, LIST]})
    assert key.may("GET", "Messages.json") == 0
    assert iam.api_key(made.sid).update(friendly_name="Lister").policy == changed.policy
    assert iam.api_key(made.sid).fetch().friendly_name == "Lister"
    assert [k.friendly_name for k in iam.get_api_keys.list(account_sid=tenant.sid)] == ["Lister"]
    assert iam.api_key(made.sid).delete()
    assert_refused(key.ask("GET", "Messages.json"), *FAILED)


def test_the_account_must_be_named(tenant: Tenant) -> None:
    """20001 for a missing parameter of a v1 API."""
    text = "Missing required parameter AccountSid"
    for path in (V1, f"{V1}?AccountSid="):
        assert_refused(tenant.ask("GET", path), 400, 20001, text)
    assert_refused(tenant.ask("POST", V1, FriendlyName="x"), 400, 20001, text)


@pytest.mark.parametrize(
    ("form", "code"),
    [({"KeyType": "superb"}, 20422), ({"KeyType": "Restricted", "Policy": allow(READ)}, 20422),
     ({"KeyType": "restricted"}, 20001), ({"Policy": allow(READ)}, 20422),
     ({"KeyType": "main", "Policy": allow(READ)}, 20422)]
    + [({"KeyType": "restricted", "Policy": policy}, code) for policy, code in [
        ("{", 20422), ("[]", 20422), ("null", 20422), ("{}", 20422), ('{"allow":"x"}', 20422),
        ('{"allow":[1]}', 20422), ('{"allow":[],"deny":["/twilio/*"]}', 20422), (allow(), 70001),
        (allow(*[READ] * 101), 70001), (allow(READ, "messages.read"), 70002),
        (allow("/twilio/messaging/messages"), 70002), (allow("*"), 70002),
    ]],
)  # fmt: skip
def test_policies_that_are_none(tenant: Tenant, form: dict[str, str], code: int) -> None:
    """Refused, and no key is made: one that ignored its policy would do more than it says."""
    assert_refused(tenant.ask("POST", V1, AccountSid=tenant.sid, **form), 400, code)
    assert tenant.made("GET", "Keys.json")["keys"] == []


def test_a_wrong_permission_is_named(tenant: Tenant) -> None:
    form = {"AccountSid": tenant.sid, "KeyType": "restricted", "Policy": allow("/twilio/x")}
    answer = tenant.ask("POST", V1, **form)
    assert_refused(answer, 400, 70002, "assertion '/twilio/x' is invalid")
    assert_refused(
        tenant.ask("POST", f"{V1}/{tenant.key().user}", Policy=allow(READ)), 400, 20422
    )  # a standard key has no policy to change


# What a key may do ----------------------------------------------------------------------


def test_what_each_kind_may_do(tenant: Tenant) -> None:
    """2.1, W10: standard: no accounts, no keys; main: all; restricted: what it names."""
    main, standard = tenant.key(KeyType="main"), tenant.key()
    reader = tenant.key(KeyType="restricted", Policy=allow("/twilio/messaging/messages/*"))
    asks = [("GET", "Messages.json"), ("GET", ".json"), ("GET", "Keys.json"), ("POST", "Keys.json")]
    assert [main.may(*ask) for ask in asks] == [0, 0, 0, 0]
    assert [standard.may(*ask) for ask in asks] == [0, 20003, 20003, 20003]
    assert [reader.may(*ask) for ask in asks] == [0, 70051, 70051, 70051]
    for path in (V1, f"{V1}?AccountSid={tenant.sid}", f"{V1}/{main.user}"):
        assert_refused(standard.ask("GET", path), *FAILED)
    text = "Authorization Error: required permission twilio/iam/api-keys/list is missing"
    assert_refused(reader.ask("GET", "Keys.json"), 401, 70051, text)


@pytest.mark.parametrize(
    ("action", "method", "path"),
    [("list", "GET", "Keys.json"), ("create", "POST", "Keys.json"),
     ("read", "GET", "Keys/{key}.json"), ("update", "POST", "Keys/{key}.json"),
     ("delete", "DELETE", "Keys/{key}.json"), ("list", "GET", "/v1/Keys?AccountSid={account}"),
     ("read", "GET", "/v1/Keys/{key}"), ("update", "POST", "/v1/Keys/{key}"),
     ("delete", "DELETE", "/v1/Keys/{key}")],
)  # fmt: skip
def test_each_operation_has_a_permission(
    tenant: Tenant, action: str, method: str, path: str
) -> None:
    """P-5: with its permission alone it passes, with every other it does not.

    A restricted key that may create keys still makes no standard one (20006).
    """
    path = path.format(key=tenant.key().user, account=tenant.sid)
    every = ("list", "create", "read", "update", "delete")
    others = [f"/twilio/iam/api-keys/{other}" for other in every if other != action]
    lacks = tenant.key(KeyType="restricted", Policy=allow("/twilio/messaging/*", *others))
    text = f"Authorization Error: required permission twilio/iam/api-keys/{action} is missing"
    assert_refused(lacks.ask(method, path), 401, 70051, text)
    has = tenant.key(KeyType="restricted", Policy=allow(f"/twilio/iam/api-keys/{action}"))
    assert has.may(method, path) == (20006 if action == "create" else 0)


def test_a_restricted_key_gives_no_more_than_it_has(tenant: Tenant) -> None:
    """Through v1 it makes keys with as much as its own, and cannot widen itself."""
    maker = tenant.key(KeyType="restricted", Policy=allow("/twilio/iam/api-keys/*", READ))
    less = maker.key(KeyType="restricted", Policy=allow(READ))
    assert less.may("GET", "Messages.json") == 70051
    for form in ({}, {"KeyType": "main"}, {"KeyType": "restricted", "Policy": allow(LIST)}):
        answer = maker.ask("POST", V1, AccountSid=tenant.sid, **form)
        assert_refused(answer, 403, 20006, "Access Denied")
    for sid in (maker.user, less.user):
        assert_refused(maker.ask("POST", f"{V1}/{sid}", Policy=allow("/twilio/*")), 403, 20006)
    assert maker.may("GET", "Messages.json") == 70051


def test_a_parents_key_reaches_subaccounts(server: RunningServer, tenant: Tenant) -> None:
    """2.2: as its token does; a message is sent on the other's behalf and is the other's."""
    me = owner(server)
    key = me.key().at(tenant.sid)
    assert key.may("GET", "Messages.json") == 0
    number = me.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="628")["phone_number"]
    form = {"To": fresh_phone(), "From": number, "Body": "x"}
    assert key.may("POST", "Messages.json", **form) == 21606, "the number is the parent's own"
    assert me.key().may("POST", "Messages.json", **form) == 0
    assert tenant.key().at(me.sid).may("GET", "Messages.json") == 20404


# Tenants --------------------------------------------------------------------------------


@NAMES
@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("POST", ""), ("GET", "/{key}"), ("POST", "/{key}"), ("DELETE", "/{key}")],
)
def test_foreign_keys_are_as_unknown_as_none(
    server: RunningServer, tenant: Tenant, method: str, rest: str, name: str
) -> None:
    """P-20, D13: another account's path, and another's key under one's own, say nothing."""
    other = subaccount(server)
    theirs, own = other.key(), tenant.key()
    path = f"{name}{rest}.json"
    nobody = "SK" + "0" * 32
    cases = [(sid, key) for sid in (other.sid, server.sid, "AC" + "0" * 32)
             for key in (theirs.user, own.user, nobody)]  # fmt: skip
    if rest:
        cases += [(tenant.sid, theirs.user), (tenant.sid, nobody)]
    for sid, key in cases:
        foreign = tenant.at(sid).path(path.format(key=key))
        for asks in (tenant, tenant.key(KeyType="main")):
            assert_unknown(asks.ask(method, foreign, FriendlyName="Mine"), foreign)
    assert theirs.may("GET", "Messages.json") == 0
    assert other.made("GET", f"Keys/{theirs.user}.json")["friendly_name"] is None
    assert len(other.made("GET", "Keys.json")["keys"]) == 1


def test_foreign_keys_of_v1(server: RunningServer, tenant: Tenant) -> None:
    """P-20, D13: a sibling's, a parent's and nobody's; a parent manages a subaccount's."""
    me, other = owner(server), subaccount(server)
    theirs, parents = other.key(), me.key()
    for sid in (other.sid, server.sid, "AC" + "0" * 32, "AC"):
        path = f"{V1}?AccountSid={sid}"
        assert_unknown(tenant.ask("GET", path), path)
        assert_unknown(tenant.ask("POST", V1, AccountSid=sid), V1)
    for key in (theirs.user, parents.user, "SK" + "0" * 32):
        for method in ("GET", "POST", "DELETE"):
            path = f"{V1}/{key}"
            assert_unknown(tenant.ask(method, path, FriendlyName="Mine"), path)
    assert me.made("GET", f"{V1}/{theirs.user}")["friendly_name"] is None
    assert me.made("POST", f"{V1}/{theirs.user}", FriendlyName="Ours")["friendly_name"] == "Ours"
    assert me.ask("DELETE", f"{V1}/{theirs.user}")[0] == 204
    assert_refused(theirs.ask("GET", "Messages.json"), *FAILED)
    assert parents.may("GET", "Messages.json") == 0


def test_without_credentials_no_path_says_anything(tenant: Tenant) -> None:
    key = tenant.key()
    for method, path in (
        ("GET", tenant.path("Keys.json")), ("POST", tenant.path("Keys.json")),
        ("DELETE", tenant.path(f"Keys/{key.user}.json")), ("GET", V1), ("POST", V1),
        ("GET", f"{V1}/{key.user}"), ("GET", f"{V1}/x"),
    ):  # fmt: skip
        answer = tenant.server.request(method, path, b"" if method == "POST" else None, auth=False)
        assert_refused(answer, 401, 20003, "Authentication Error - No credentials provided")
    assert key.may("GET", "Messages.json") == 0


# What lasts -----------------------------------------------------------------------------


def test_keys_outlive_a_restart_and_their_secrets_are_nowhere(tmp_path: Path) -> None:
    """Only a hash is kept: neither disk nor log has a secret, nor a token."""
    with RunningServer(tmp_path / "data") as server:
        sub = subaccount(server)
        kept = [sub.key(), sub.key(KeyType="main"), owner(server).key().at(sub.sid)]
        reader = sub.key(KeyType="restricted", Policy=allow(READ))
        gone = sub.key()
        assert sub.ask("DELETE", f"Keys/{gone.user}.json")[0] == 204
        assert server.stop() == 0
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert server.log in files
        for secret in [key.password for key in (*kept, reader, gone)] + [sub.password]:
            assert [path.name for path in files if secret.encode() in path.read_bytes()] == []

        server.start()
        assert [key.may("GET", "Messages.json") for key in kept] == [0, 0, 0]
        assert kept[1].may("GET", "Keys.json") == 0
        assert reader.may("GET", "Messages.json") == 70051
        assert_refused(gone.ask("GET", "Messages.json"), *FAILED)
        assert sub.made("GET", f"{V1}/{reader.user}")["policy"] == {"allow": [READ]}
