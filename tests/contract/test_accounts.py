"""Accounts, subaccounts, balance and auth tokens, through the SDK and plain HTTP.

The server is this module's own: its accounts are opened, closed and given other tokens.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twilio.request_validator import RequestValidator

from harness import Receiver, RunningServer
from tenants import Tenant, assert_unknown, owner, subaccount
from wire_checks import FACTS, assert_facts, assert_refused, fresh_phone, refusal, shape

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "accounts.json").read_text(encoding="utf-8")
)
ACCOUNT = {"$ref": "#/components/schemas/api.v2010.account"}
LIST = FACTS["paths"]["/2010-04-01/Accounts.json"]["get"]["responses"]["200"]
ENVELOPE = LIST["content"]["application/json"]["schema"]
ACCOUNTS = "/2010-04-01/Accounts.json"
SECONDARY, PROMOTE = "/v1/AuthTokens/Secondary", "/v1/AuthTokens/Promote"
TOKEN = re.compile("[0-9a-f]{32}")
FAILED = (401, 20003, "Authenticate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("accounts") / "data") as running:
        yield running


def told(answer: dict[str, Any], *secrets: str) -> dict[str, Any]:
    """An answer without what differs each time. `secrets` must be tokens."""
    for name in secrets:
        assert TOKEN.fullmatch(answer[name]), name
    shown = {**answer, **dict.fromkeys(secrets, "<token>")}
    for name, value in shown.items():
        if isinstance(value, str):
            value = re.sub(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", "<iso>", value)
            shown[name] = re.sub(r"\Ahttp://127\.0\.0\.1:\d+", "<base>", value)
    return shown


def assert_golden(name: str, answer: dict[str, Any], *secrets: str) -> None:
    assert shape(told(answer, *secrets)) == GOLDEN[name]
    assert list(answer) == list(GOLDEN[name]), "the order of keys is stable too"


# The API itself -------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/2010-04-01", "/2010-04-01.json"])
def test_the_root_tells_right_credentials_from_wrong(server: RunningServer, path: str) -> None:
    """W1, W10: 200 for an account and for any kind of key, 401 for all else."""
    me = owner(server)
    restricted = me.key(KeyType="restricted", Policy='{"allow":["/twilio/numbers/*"]}')
    for tenant in (me, subaccount(server), me.key(), restricted):
        assert_golden("version", tenant.made("GET", path))
    assert_refused(me._replace(password="0" * 32).ask("GET", path), *FAILED)
    assert server.request("GET", path, auth=False)[0] == 401
    assert_refused(me.ask("POST", path), 405, 20004)


# Open, fetch, list ----------------------------------------------------------------------


def test_the_token_is_told_once(server: RunningServer) -> None:
    """W2, P-23, D10: by the create alone; fetch, list and update say null. Shape as in 7.1."""
    me = owner(server)
    made = me.made("POST", ACCOUNTS, 201, FriendlyName="Acme")
    assert_golden("created", made, "auth_token")
    assert_facts(ACCOUNT, made)
    path = f"/2010-04-01/Accounts/{made['sid']}.json"
    listed = me.made("GET", f"{ACCOUNTS}?PageSize=1")["accounts"][0]
    for answer in (me.made("GET", path), me.made("POST", path, FriendlyName="Acme"), listed):
        assert_golden("fetched", answer)
        assert_facts(ACCOUNT, answer)
    own = Tenant(server, made["sid"], made["auth_token"], made["sid"])
    assert own.made("GET", path)["auth_token"] is None
    assert own.made("GET", ".json")["owner_account_sid"] == server.sid
    assert me.made("GET", ".json")["owner_account_sid"] == server.sid


def test_the_sdk_opens_reads_and_lists(server: RunningServer) -> None:
    """P-21, P-24, W1: the types that the SDK reads too."""
    client = owner(server).sdk()
    made = client.api.v2010.accounts.create(friendly_name="Through the SDK")
    assert TOKEN.fullmatch(made.auth_token)
    account = client.api.v2010.accounts(made.sid).fetch()
    assert (account.friendly_name, account.status, account.type) == (
        "Through the SDK", "active", "Full",
    )  # fmt: skip
    assert account.owner_account_sid == server.sid
    assert abs(account.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert account.subresource_uris["messages"] == (
        f"/2010-04-01/Accounts/{made.sid}/Messages.json"
    )
    listed = [found.sid for found in client.api.v2010.accounts.list()]
    assert made.sid in listed
    assert server.sid in listed
    assert client.api.v2010.account.fetch().sid == server.sid


def test_without_a_name_it_gets_one(server: RunningServer) -> None:
    name = owner(server).made("POST", ACCOUNTS, 201, FriendlyName="")["friendly_name"]
    assert re.fullmatch(r"SubAccount Created at \d{4}-\d\d-\d\d (0\d|1[0-2]):\d\d [ap]m", name)


def test_filters(server: RunningServer) -> None:
    """P-22, W12: an exact name, a status, both; empty ones are none."""
    me, api = owner(server), owner(server).sdk().api.v2010.accounts
    one, two = subaccount(server, "Filter & me"), subaccount(server, "Filter & me too")
    api(two.sid).update(status="suspended")

    def sids(**filters: str) -> list[str]:
        return [account.sid for account in api.list(**filters)]

    assert sids(friendly_name="Filter & me") == [one.sid]
    assert sids(friendly_name="filter & me") == sids(friendly_name="Filter") == []
    assert two.sid in sids(status="suspended")
    assert one.sid not in sids(status="suspended")
    assert sids(friendly_name="Filter & me", status="closed") == []
    assert sids(friendly_name="Filter & me too", status="suspended") == [two.sid]
    page = me.made("GET", f"{ACCOUNTS}?FriendlyName=&Status=&PageSize=1000")
    assert {one.sid, two.sid, server.sid} <= {account["sid"] for account in page["accounts"]}
    assert_refused(
        me.ask("GET", f"{ACCOUNTS}?Status=sleeping"), 400, 21475,
        "Account Status must be one of active, suspended, closed",
    )  # fmt: skip


def test_pages(server: RunningServer) -> None:
    """W9: relative URIs that repeat the filters; newest first, the parent last."""
    me = owner(server)
    made = [subaccount(server, "Page me").sid for _ in range(3)]
    first = me.made("GET", f"{ACCOUNTS}?FriendlyName=Page+me&Status=active&PageSize=2")
    assert set(first) == set(ENVELOPE["properties"])
    envelope = {**first, "accounts": []}
    uri, _, _time = first["next_page_uri"].rpartition(".")
    envelope["next_page_uri"] = uri.replace(made[1], "<AC>")
    assert envelope == GOLDEN["page"]
    second = me.made("GET", first["next_page_uri"])
    sids = [account["sid"] for account in (*first["accounts"], *second["accounts"])]
    assert sids == made[::-1]
    assert second["next_page_uri"] is None
    assert me.made("GET", second["previous_page_uri"])["accounts"] == first["accounts"]
    streamed = [a.sid for a in me.sdk().api.v2010.accounts.stream(page_size=2)]
    assert streamed == sorted(set(streamed), key=streamed.index)
    assert streamed[-1] == server.sid
    assert set(made) < set(streamed)
    assert_refused(me.ask("GET", f"{ACCOUNTS}?PageSize=1001"), 400, 20007)


# Change ---------------------------------------------------------------------------------


def test_what_a_subaccount_is_called(server: RunningServer) -> None:
    """20002 for a name of no or of more than 64 characters; its own token may rename it."""
    me, sub = owner(server), subaccount(server)
    assert me.at(sub.sid).made("POST", ".json", FriendlyName="Ü" * 64)["friendly_name"] == "Ü" * 64
    assert sub.made("POST", ".json", FriendlyName="Ours")["friendly_name"] == "Ours"
    assert_refused(sub.ask("POST", ".json", FriendlyName="x" * 65), 400, 20002)
    assert_refused(me.ask("POST", ACCOUNTS, FriendlyName="x" * 65), 400, 20002)
    assert sub.made("GET", ".json")["friendly_name"] == "Ours"
    assert me.sdk().api.v2010.accounts(sub.sid).update(friendly_name="By SDK").status == "active"
    assert sub.made("POST", ".json", FriendlyName="")["friendly_name"] == "By SDK"


def test_suspended_is_out_at_once_with_its_keys(server: RunningServer) -> None:
    """K-4, 7.1: 401 with 20003 on everything; its parent may look, and bring it back."""
    me, sub = owner(server), subaccount(server)
    key, above = sub.key(), me.at(sub.sid)
    reads = ("Messages.json", "/2010-04-01")
    assert [t.may("GET", path) for t in (sub, key) for path in reads] == [0] * 4
    assert above.made("POST", ".json", Status="suspended")["status"] == "suspended"
    for tenant in (sub, key):
        for path in reads:
            assert_refused(tenant.ask("GET", path), *FAILED)
    assert above.made("GET", ".json")["status"] == "suspended"
    assert above.made("GET", "Messages.json")["messages"] == []
    form = {"To": fresh_phone(), "From": server.number, "Body": "x"}
    assert_refused(above.ask("POST", "Messages.json", **form), 401, 20005)
    assert above.made("POST", ".json", Status="1")["status"] == "active", "as in Twilio's example"
    assert [t.may("GET", path) for t in (sub, key) for path in reads] == [0] * 4


def test_closed_is_final(server: RunningServer) -> None:
    """21479, and out like a suspended one; it stays in the list."""
    sub = subaccount(server)
    account = owner(server).sdk().api.v2010.accounts(sub.sid)
    assert account.update(status="closed").status == "closed"
    assert_refused(sub.ask("GET", ".json"), *FAILED)
    for change in ({"status": "active"}, {"friendly_name": "Back"}, {"status": "closed"}):
        error = refusal(lambda change=change: account.update(**change))
        assert (error.status, error.code) == (400, 21479)
    above = owner(server).at(sub.sid)
    assert_refused(above.ask("POST", "Keys.json"), 401, 20005)
    closed = owner(server).sdk().api.v2010.accounts.list(status="closed")
    assert sub.sid in [found.sid for found in closed]


def test_who_may_change_a_status(server: RunningServer) -> None:
    """21477 for a parent; a subaccount's own token does not suspend or close it."""
    me, sub = owner(server), subaccount(server)
    assert_refused(me.ask("POST", ".json", Status="closed"), 400, 21477)
    assert me.made("POST", ".json", Status="active")["status"] == "active"
    assert_refused(sub.ask("POST", ".json", Status="closed"), 403, 20006)
    for status in ("2", "0", "Active", "open", "deleted"):
        assert_refused(me.at(sub.sid).ask("POST", ".json", Status=status), 400, 21475)
    assert sub.made("GET", ".json")["status"] == "active"
    assert_refused(me.ask("DELETE", ".json"), 405, 20004)


# Tenants --------------------------------------------------------------------------------


def test_a_subaccount_sees_only_itself(server: RunningServer) -> None:
    """2.2: its list is itself, and it has no subaccounts (21101)."""
    sub = subaccount(server, "Alone")
    assert [a["sid"] for a in sub.made("GET", ACCOUNTS)["accounts"]] == [sub.sid]
    assert sub.made("GET", f"{ACCOUNTS}?FriendlyName=First+account")["accounts"] == []
    assert_refused(sub.ask("POST", ACCOUNTS, FriendlyName="x"), 400, 21101)


@pytest.mark.parametrize(
    ("method", "rest"), [("GET", ".json"), ("POST", ".json"), ("GET", "/Balance.json")]
)
def test_a_foreign_account_is_as_unknown_as_none(
    server: RunningServer, method: str, rest: str
) -> None:
    """P-20, P-24, D13: a sibling's and a parent's SID get the answer of one that nobody has."""
    one, two = subaccount(server, "One"), subaccount(server, "Two")
    form = {"FriendlyName": "Mine now", "Status": "suspended"}
    for sid in (two.sid, server.sid, "AC" + "0" * 32, "AC", two.sid.upper()):
        path = f"/2010-04-01/Accounts/{sid}{rest}"
        assert_unknown(one.ask(method, path, **form), path)
        assert_unknown(one.key(KeyType="main").ask(method, path, **form), path)
    assert two.made("GET", ".json")["friendly_name"] == "Two"
    assert owner(server).made("GET", ".json")["friendly_name"] == "First account"


def test_what_a_key_may_do_with_accounts(server: RunningServer) -> None:
    """2.1, 2.4, P-5: a standard key nothing, a restricted one what it names, a main one all."""
    me, sub = owner(server), subaccount(server)
    other = me.at(sub.sid).path(".json")
    asks = {
        "list": ("GET", ACCOUNTS), "create": ("POST", ACCOUNTS), "read": ("GET", other),
        "update": ("POST", other),
    }  # fmt: skip
    standard, main = me.key(), me.key(KeyType="main")
    for action, (method, path) in asks.items():
        assert_refused(standard.ask(method, path), *FAILED)
        assert main.may(method, path) == 0
        policy = json.dumps({"allow": [f"/twilio/iam/accounts/{action}"]})
        restricted = me.key(KeyType="restricted", Policy=policy)
        for named, (verb, where) in asks.items():
            assert restricted.may(verb, where) == (0 if named == action else 70051)
    assert standard.may("GET", "Balance.json") == 0
    assert restricted.may("GET", "Balance.json") == 70051


def test_the_balance(server: RunningServer) -> None:
    """7.1: what has been charged, and nothing has a price yet; a subaccount has none."""
    me, sub = owner(server), subaccount(server)
    assert_golden("balance", me.made("GET", "Balance.json"))
    balance = me.sdk().balance.fetch()
    assert (balance.balance, balance.currency) == ("0.00", "USD")
    for tenant in (sub, me.at(sub.sid)):
        assert_unknown(tenant.ask("GET", "Balance.json"), sub.path("Balance.json"))


# Tokens ---------------------------------------------------------------------------------


def test_a_token_is_rotated(server: RunningServer) -> None:
    """2.3: both are good; then the new one alone. Dates are such that the SDK reads them."""
    sub = subaccount(server)
    client = sub.sdk()
    second = client.accounts.v1.secondary_auth_token().create()
    assert second.account_sid == sub.sid
    assert abs(second.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert second.url == f"{server.url}{SECONDARY}"
    new = sub._replace(password=second.secondary_auth_token)
    assert [tenant.may("GET", ".json") for tenant in (sub, new)] == [0, 0]
    assert_refused(new.ask("POST", SECONDARY), 409, 20409)
    promoted = new.sdk().accounts.v1.auth_token_promotion().update()
    assert promoted.auth_token == second.secondary_auth_token
    assert promoted.url == f"{server.url}{PROMOTE}"
    assert_refused(sub.ask("GET", ".json"), *FAILED)
    assert new.may("GET", ".json") == 0


def test_a_second_token_is_taken_back(server: RunningServer) -> None:
    """W12: 204, no body; and there is no second one to delete or to promote."""
    sub = subaccount(server)
    for method, path in (("DELETE", SECONDARY), ("POST", PROMOTE)):
        assert_unknown(sub.ask(method, path), path)
    made = sub.made("POST", SECONDARY, 201)
    assert_golden("secondary", made, "secondary_auth_token")
    second = sub._replace(password=made["secondary_auth_token"])
    assert second.may("GET", ".json") == 0
    assert sub.sdk().accounts.v1.secondary_auth_token().delete()
    assert_refused(second.ask("GET", ".json"), *FAILED)
    assert sub.made("POST", SECONDARY, 201)["secondary_auth_token"] != second.password
    status, _, body = sub.ask("DELETE", SECONDARY)
    assert (status, body) == (204, b"")
    sub.made("POST", SECONDARY, 201)
    assert_golden("promoted", sub.made("POST", PROMOTE), "auth_token")


def test_which_keys_may_rotate_tokens(server: RunningServer) -> None:
    """A token allows everything, so no restricted key may have one, whatever it names."""
    sub = subaccount(server)
    everything = sub.key(KeyType="restricted", Policy='{"allow":["/twilio/*"]}')
    messages = sub.key(KeyType="restricted", Policy='{"allow":["/twilio/messaging/*"]}')
    for action, method, path in (
        ("create", "POST", SECONDARY), ("delete", "DELETE", SECONDARY), ("update", "POST", PROMOTE),
    ):  # fmt: skip
        assert_refused(sub.key().ask(method, path), *FAILED)
        assert_refused(everything.ask(method, path), 403, 20006)
        text = f"required permission twilio/iam/auth-tokens/{action} is missing"
        assert_refused(messages.ask(method, path), 401, 70051, f"Authorization Error: {text}")
    main = sub.key(KeyType="main")
    token = main.made("POST", SECONDARY, 201)["secondary_auth_token"]
    assert main.made("POST", PROMOTE)["auth_token"] == token
    assert_refused(sub.ask("GET", ".json"), *FAILED)
    assert main.may("GET", ".json") == 0, "keys outlive a rotation"


def test_callbacks_are_signed_with_the_first_token(tmp_path: Path, receiver: Receiver) -> None:
    """W14, 2.3: also while there is a second one, and with that once it is promoted.

    All of it is so again after a restart.
    """
    with RunningServer(tmp_path / "data") as server:
        me = owner(server)
        second = me.made("POST", SECONDARY, 201)["secondary_auth_token"]
        sub, closed = subaccount(server, "Kept"), subaccount(server, "Closed")
        me.at(closed.sid).made("POST", ".json", Status="closed")
        key, url = sub.key(), receiver.url()

        def signed_with(sender: Tenant) -> set[str]:
            before = len(receiver.callbacks)
            form = {"To": fresh_phone(), "From": server.number, "Body": "Hi"}
            sender.made("POST", "Messages.json", 201, StatusCallback=url, **form)
            came = receiver.wait(before + 2)[before:]
            return {
                token
                for token in (me.password, second)
                for callback in came
                if RequestValidator(token).validate(url, callback.form, callback.signature)
            }

        assert signed_with(me._replace(password=second)) == {me.password}
        me.made("POST", PROMOTE)
        new = me._replace(password=second)
        assert signed_with(new) == {second}
        assert server.stop() == 0

        server.start()
        assert server.token == second, "credentials.json follows"
        assert_refused(me.ask("GET", ".json"), *FAILED)
        assert signed_with(new) == {second}
        assert [t.may("GET", "Messages.json") for t in (sub, key)] == [0, 0]
        assert_refused(closed.ask("GET", ".json"), *FAILED)
        statuses = {a["sid"]: a["status"] for a in new.made("GET", ACCOUNTS)["accounts"]}
        assert statuses == {server.sid: "active", sub.sid: "active", closed.sid: "closed"}
