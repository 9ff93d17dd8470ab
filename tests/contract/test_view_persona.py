"""The view `persona` against a Hushwire server, one that plays Twilio's cloud, and recorded
answers of Twilio's (item 21)."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from backend_fixtures import backend, cloud_server, live
from backends import RECORDED, Backend, Live, Recorded, act, recorded_messages, refusal_of
from harness import RunningServer, wait_for
from hushwire.connect.persona import INTEGRATION
from hushwire.connect.refused import SCOPE
from hushwire.connect.registry import REGISTRY
from tenants import Tenant, owner, subaccount
from wire_checks import create, fresh_phone, until

__all__ = ["backend", "cloud_server", "live"]

LIST, RETRIEVE, ACCOUNTS, ACCOUNT = INTEGRATION.actions
SCOPE_OF = {
    LIST: "messages.list", RETRIEVE: "messages.read", ACCOUNTS: "accounts.list",
    ACCOUNT: "accounts.read",
}  # fmt: skip
# The same four rights as a server's restricted keys name them.
PERMISSION_OF = {
    LIST: "/twilio/messaging/messages/list", RETRIEVE: "/twilio/messaging/messages/read",
    ACCOUNTS: "/twilio/iam/accounts/list", ACCOUNT: "/twilio/iam/accounts/read",
}  # fmt: skip
NOBODYS = "f" * 32
DAY_S = 86_400


def server_of(live: Backend) -> RunningServer:
    assert isinstance(live, Live)
    return live.server


def given_for(step: str, sid: str, message: str) -> dict[str, object]:
    """What a step needs at least."""
    return {
        LIST: {}, RETRIEVE: {"account_sid": sid, "message_sid": message}, ACCOUNTS: {},
        ACCOUNT: {"account_sid": sid},
    }[step]  # fmt: skip


def test_there_are_exactly_four_steps_that_read() -> None:
    """P-2, P-8: their titles, in order; each needs one scope, and the four are all."""
    steps = [action for action in REGISTRY if action.view == "persona"]
    assert [step.title for step in steps] == [
        "List Messages", "Retrieve Message", "List Accounts", "Retrieve Account",
    ]  # fmt: skip
    assert [step.name for step in steps] == list(INTEGRATION.actions)
    assert {step.effect for step in steps} == {"reads"}
    assert {step.name: step.scopes for step in steps} == {k: (v,) for k, v in SCOPE_OF.items()}
    assert INTEGRATION.scopes == (
        "messages.read", "messages.list", "accounts.read", "accounts.list",
    )  # fmt: skip


def test_the_prerequisites_are_told() -> None:
    """P-1."""
    told = " ".join(INTEGRATION.prerequisites)
    for words in ("Twilio account", "Account SID", "OAuth", *INTEGRATION.scopes):
        assert words in told


@pytest.mark.parametrize("step", INTEGRATION.actions)
def test_a_step_needs_its_own_scope_and_no_other(live: Backend, step: str) -> None:
    """P-5, item 12: refused before any call without it; with it alone it runs."""
    made = create(server_of(live), To=fresh_phone())["sid"]
    given = given_for(step, live.sid, made)
    transport = live.transport()
    others = set(INTEGRATION.scopes) - {SCOPE_OF[step]}
    problem = refusal_of(live, step, given, scopes=others, transport=transport)
    assert (problem.code, problem.status) == (SCOPE.code, 403)
    assert transport.asked == []  # type: ignore[attr-defined]
    assert act(live, step, given, scopes={SCOPE_OF[step]})["outcome"] == "ok"


@pytest.mark.parametrize("step", INTEGRATION.actions)
def test_the_server_refuses_what_a_credential_may_not(live: Backend, step: str) -> None:
    """P-5: 70051 without the right, on that operation only."""
    server = server_of(live)
    made = create(server, To=fresh_phone())["sid"]
    given = given_for(step, live.sid, made)
    for allowed, answered in (({step}, True), (set(PERMISSION_OF) - {step}, False)):
        asker = restricted(live, [PERMISSION_OF[name] for name in allowed])
        if answered:
            assert act(asker, step, given)["outcome"] == "ok"
        else:
            assert refusal_of(asker, step, given).code == 70051


def restricted(live: Backend, permissions: list[str]) -> Live:
    """The backend, asked with a restricted key."""
    assert isinstance(live, Live)
    policy = json.dumps({"allow": permissions})
    key = owner(live.server).key(KeyType="restricted", Policy=policy)
    return live.known_as(key.user, key.password, live.sid)


@pytest.mark.parametrize("name", ["send_message", "send_an_sms_message", "send_sms_or_mms"])
def test_it_cannot_send(live: Backend, name: str) -> None:
    """P-6: neither here, before any call, nor at the server."""
    fields = {
        "send_an_sms_message": ("recipient_number", "sender_number"),
    }.get(name, ("to", "from"))  # fmt: skip
    phone = fresh_phone()
    given = {fields[0]: phone, fields[1]: live.number, "body": "Hello"}
    transport = live.transport()
    here = refusal_of(live, name, given, scopes=INTEGRATION.scopes, transport=transport)
    assert here.code == 70051
    assert transport.asked == []  # type: ignore[attr-defined]
    asker = restricted(live, list(PERMISSION_OF.values()))
    assert refusal_of(asker, name, given).code == 70051
    assert act(live, LIST, {"to": phone})["messages"] == []


# --- List Messages ---------------------------------------------------------------------------


def test_all_filters_may_be_empty(backend: Backend) -> None:
    """P-10, P-11, item 21."""
    if isinstance(backend, Live):
        create(backend.server, To=fresh_phone())
    found = act(backend, LIST)
    assert found["outcome"] == "ok"
    assert found["messages"]
    assert found["filters_applied"] == {}


def test_sms_mms_and_whatsapp_are_read_alike() -> None:
    """P-10: every recorded message, by the list and by its SID."""
    listed = [act(Recorded(), LIST, {"page": page})["messages"] for page in (0, 1)]
    assert [m["sid"] for page in listed for m in page] == [m["sid"] for m in recorded_messages()]
    assert {m["to"][:9] for page in listed for m in page} >= {"whatsapp:"}
    for record in recorded_messages():
        given = {"account_sid": Recorded.sid, "message_sid": record["sid"]}
        found = act(Recorded(), RETRIEVE, given)["message"]
        assert {k: found[k] for k in record} == record


def test_filters_combine(live: Backend) -> None:
    """P-13, item 17: To and From by AND, the day in GMT; what was applied is told."""
    server, phone = server_of(live), fresh_phone()
    made = create(server, To=phone)["sid"]
    sent = until(server, made, "delivered")["date_sent"]
    day = parsedate_to_datetime(sent)  # by the clock of the server: other tests move it
    today = f"{day:%Y-%m-%d}"
    given = {"to": phone, "from": live.number, "date_sent": today}
    found = act(live, LIST, given)
    assert [m["sid"] for m in found["messages"]] == [made]
    assert found["filters_applied"] == {"To": phone, "From": live.number, "DateSent": today}
    assert act(live, LIST, {**given, "from": "+15005550009"})["messages"] == []
    yesterday = f"{day - timedelta(days=1):%Y-%m-%d}"
    assert act(live, LIST, {"to": phone, "date_sent": yesterday})["messages"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"date_sent": "31.01.2026"}, "date_sent"),
        ({"date_sent": "2026-01-31T12:00:00Z"}, "date_sent"),
        ({"date_sent": "2026-1-31"}, "date_sent"),
        ({"date_sent": "2026-02-30"}, "date_sent"),
        ({"date_sent": "yesterday"}, "date_sent"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"page": -1}, "page"),
        ({"date_created": "2026-01-31"}, "date_created"),
    ],
)
def test_what_is_wrong_is_refused_at_configuration_and_at_run_time(
    live: Backend, fields: dict[str, object], field: str
) -> None:
    """P-11, P-12, P-14: by the same check, before any call."""
    problem = refusal_of(live, LIST, fields)
    with pytest.raises(type(problem)) as configured:
        REGISTRY.find(LIST).read(fields)
    assert configured.value.field == problem.field == field
    assert configured.value.text == problem.text


def test_page_n_is_walked_to(live: Backend) -> None:
    """P-14, P-15, C-4: 50 a page unless told otherwise; the last page has the rest."""
    server, phone = server_of(live), fresh_phone()
    made = [create(server, To=phone)["sid"] for _ in range(5)][::-1]
    transport = live.transport()
    pages = [
        act(live, LIST, {"to": phone, "page_size": 2, "page": page}, transport=live.transport())
        for page in range(4)
    ]
    assert [[m["sid"] for m in page["messages"]] for page in pages] == [
        made[:2], made[2:4], made[4:], [],
    ]  # fmt: skip
    assert [page["more"] for page in pages] == [True, True, False, False]
    act(live, LIST, {"to": phone}, transport=transport)
    assert "PageSize=50" in str(transport.asked[0].url)  # type: ignore[attr-defined]
    assert REGISTRY.find(LIST).read({"page_size": 1000}) is not None


def test_too_far_back_is_a_result_of_its_own(backend: Backend) -> None:
    """P-16, item 21: not an empty list."""
    found = act(backend, LIST, {"date_sent": "2008-01-02"})
    assert found["outcome"] == "outside_retention"
    assert found["messages"] is None
    assert found["reason"] == RECORDED["retention"]["error"]["message"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    """A server with a message that was delivered 399 days ago."""
    with RunningServer(tmp_path_factory.mktemp("persona") / "data") as server:
        made = until(server, create(server)["sid"], "delivered")["sid"]
        kept = {"metadata_days": 500, "body_days": 500, "numbers_days": 500}
        path = f"/hushwire/v1/accounts/{server.sid}/retention"
        assert server.json("PUT", path, kept)[0] == 200
        server.advance(399 * DAY_S)
        yield server, made


def test_399_days_are_shown_and_401_are_not(old: tuple[RunningServer, str]) -> None:
    """P-16, P-17: and by its SID it is not found then."""
    server, made = old
    at = Live(server, cloud=True)
    given = {"account_sid": at.sid, "message_sid": made}
    day = datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])
    first = {"date_sent": f"{day - timedelta(days=399):%Y-%m-%d}"}
    assert [m["sid"] for m in act(at, LIST, first)["messages"]] == [made]
    assert act(at, RETRIEVE, given)["outcome"] == "ok"
    server.advance(2 * DAY_S)
    assert act(at, LIST, first)["outcome"] == "outside_retention"
    assert act(at, LIST)["messages"] == []
    assert act(at, RETRIEVE, given)["outcome"] == "not_found"


# --- Retrieve Message ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"account_sid": f"AC{NOBODYS}"}, "message_sid"),
        ({"message_sid": f"SM{NOBODYS}"}, "account_sid"),
        ({"account_sid": f"AC{NOBODYS}", "message_sid": "SM1"}, "message_sid"),
        ({"account_sid": "1", "message_sid": f"SM{NOBODYS}"}, "account_sid"),
        ({"account_sid": f"AC{NOBODYS}", "message_sid": f"XX{NOBODYS}"}, "message_sid"),
    ],
)
def test_both_sids_are_required(live: Backend, given: dict[str, object], field: str) -> None:
    """P-18."""
    assert refusal_of(live, RETRIEVE, given).field == field


def test_the_status_can_be_branched_on(live: Backend) -> None:
    """P-9, P-18: FAQ 2, the status as it changes."""
    server, phone = server_of(live), fresh_phone()
    server.behave(phone, "unreachable")
    made = create(server, To=phone)["sid"]
    given = {"account_sid": live.sid, "message_sid": made}
    assert act(live, RETRIEVE, given)["outcome"] == "ok"
    wait_for(lambda: act(live, RETRIEVE, given)["message"]["status"] == "undelivered")
    assert act(live, RETRIEVE, given)["message"]["error_code"] == 30003


def test_an_unknown_message_is_an_output(backend: Backend) -> None:
    """P-19, item 21."""
    given = {"account_sid": backend.sid, "message_sid": f"SM{NOBODYS}"}
    found = act(backend, RETRIEVE, given)
    assert found["outcome"] == "not_found"
    assert found["message"] is None
    assert "was not found" in found["reason"]


def test_a_message_of_another_account_is_not_found(live: Backend) -> None:
    """P-20: no data of it, by whichever account it is asked for."""
    server = server_of(live)
    other = subaccount(server)
    made = create(server, To=fresh_phone())["sid"]
    asker = asked_by(live, other)
    for account in (other.sid, live.sid):
        found = act(asker, RETRIEVE, {"account_sid": account, "message_sid": made})
        assert (found["outcome"], found["message"]) == ("not_found", None)


def asked_by(live: Backend, tenant: Tenant) -> Live:
    assert isinstance(live, Live)
    return live.known_as(tenant.user, tenant.password, tenant.sid)


# --- accounts --------------------------------------------------------------------------------


def test_accounts_are_listed_with_subaccounts_and_without_a_token(backend: Backend) -> None:
    """P-21, P-23, item 21: Twilio's own answer has the token in it."""
    sids = {backend.sid}
    if isinstance(backend, Live):
        sids.add(subaccount(backend.server).sid)
    found = act(backend, ACCOUNTS, {"page_size": 1000})
    assert {account["sid"] for account in found["accounts"]} >= sids
    assert "auth_token" not in json.dumps(found)
    one = act(backend, ACCOUNT, {"account_sid": backend.sid})
    assert one["account"]["sid"] == backend.sid
    assert "auth_token" not in json.dumps(one)


def test_accounts_are_filtered(live: Backend) -> None:
    """P-22: the exact name, case and all; the three statuses."""
    tenant = owner(server_of(live))
    name = f"Desk {fresh_phone()}"
    made = tenant.made("POST", "/2010-04-01/Accounts.json", 201, FriendlyName=name)["sid"]

    def named(text: str, **more: object) -> list[str]:
        found = act(live, ACCOUNTS, {"friendly_name": text, **more})
        assert found["filters_applied"]["FriendlyName"] == text
        return [account["sid"] for account in found["accounts"]]

    assert named(name) == [made]
    assert named(name[:-1]) == named(name.lower()) == []
    assert named(name, status="active") == [made]
    assert named(name, status="suspended") == []
    assert refusal_of(live, ACCOUNTS, {"status": "open"}).field == "status"
    assert refusal_of(live, ACCOUNTS, {"page_size": 1001}).field == "page_size"


def test_pages_of_accounts_are_walked(live: Backend) -> None:
    """P-22: every account once."""
    for _ in range(3):
        subaccount(server_of(live))
    whole = act(live, ACCOUNTS, {"page_size": 1000})["accounts"]
    size = -(-len(whole) // 2)
    halves = [act(live, ACCOUNTS, {"page_size": size, "page": n})["accounts"] for n in (0, 1)]
    assert halves[0] + halves[1] == whole


def test_one_account(live: Backend) -> None:
    """P-24: the SID is required; an unknown one is an output."""
    assert refusal_of(live, ACCOUNT, {}).field == "account_sid"
    assert refusal_of(live, ACCOUNT, {"account_sid": "AC1"}).field == "account_sid"
    found = act(live, ACCOUNT, {"account_sid": f"AC{NOBODYS}"})
    assert (found["outcome"], found["account"]) == ("not_found", None)


def test_another_problem_is_an_error(live: Backend) -> None:
    """P-19: only what is not there is an output; a wrong credential is not."""
    assert isinstance(live, Live)
    asker = live.known_as(live.sid, "0" * 32, live.sid)
    for step in INTEGRATION.actions:
        assert refusal_of(asker, step, given_for(step, live.sid, f"SM{NOBODYS}")).code == 20003


def test_the_outputs_say_what_a_workflow_may_branch_on() -> None:
    """P-9, P-16, P-19: the outcomes are in the published schema."""
    outcomes: dict[str, Any] = {}
    for step in REGISTRY:
        if step.view == "persona":
            (found,) = [
                part["properties"]["outcome"]
                for part in step.describe()["output"]["$defs"].values()  # type: ignore[index]
                if "outcome" in part.get("properties", {})
            ]
            outcomes[step.name] = set(found["enum"])
    assert outcomes == {
        LIST: {"ok", "outside_retention"}, RETRIEVE: {"ok", "not_found"}, ACCOUNTS: {"ok"},
        ACCOUNT: {"ok", "not_found"},
    }  # fmt: skip
