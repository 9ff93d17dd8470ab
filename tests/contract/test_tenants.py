"""No operation leaks between tenants: what is foreign answers exactly as what nobody has.

Each operation has a row in `tests/tenancy.py` that says what its path and form name. Every kind
of caller asks every operation with every mixture of own and foreign names, and again with names
that nobody has: the two answers are the same, byte for byte but for those names (D13). And no
answer holds anything of the other tenant's.

The server is this module's own. It believes `X-Forwarded-For`, so that every request of a
revoked key comes from another address and none is held up.
"""

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from starlette.routing import Route

from belongings import JSON, TO, Belongings, fresh_code, send
from harness import RunningServer, wait_for
from hushwire.api.support import ACCOUNT, OPERATIONS, V2010
from hushwire.assemble import Server
from hushwire.observe import Journal
from hushwire.settings import Settings
from tenancy import EVERY, FORMS, LISTS, NAMING, OUR_ROWS, OURS, ROWS, Operation, Row
from tenants import Tenant, owner, subaccount
from wire_checks import FORM, Answer, assert_refused

KINDS = ["token", "main key", "standard key", "restricted to all", "restricted to reading"]
ALL_RIGHTS = ("token", "main key", "restricted to all")
LISTED = pytest.mark.parametrize(("path", "key", "kind"), LISTS)
_addresses = itertools.count(1)


class Party(NamedTuple):
    """A tenant: credentials by kind of caller, what it has, and what nobody else may learn."""

    callers: dict[str, Tenant]
    own: Belongings
    private: frozenset[str]

    @property
    def sids(self) -> dict[str, str]:
        return self.own.sids

    def path(self, template: str) -> str:
        """The path of a list of this tenant's."""
        return template.format(AccountSid=self.sids["AC"], ServiceSid=self.sids["MG"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("tenants") / "data"
    with RunningServer(folder, HUSHWIRE_TRUSTED_PROXIES="127.0.0.1/32") as running:
        yield running


@pytest.fixture(scope="module")
def parent(server: RunningServer) -> Party:
    return party(owner(server), "Parentia")


@pytest.fixture(scope="module")
def mine(server: RunningServer) -> Party:
    return party(subaccount(server), "Minea")


@pytest.fixture(scope="module")
def sibling(server: RunningServer) -> Party:
    return party(subaccount(server), "Siblingia")


@pytest.fixture
def other(request: pytest.FixtureRequest) -> Party:
    """The party that the test's parameter names."""
    return request.getfixturevalue(request.param)


def party(tenant: Tenant, mark: str) -> Party:
    """Give a tenant one resource of each kind, and one key of each kind."""
    path = f"{V2010}/Accounts/{tenant.sid}.json"
    tenant.made("POST", path, 200, FriendlyName=f"The account of {mark}")
    own = Belongings(tenant, mark).have_all()
    second = tenant.made("POST", "/v1/AuthTokens/Secondary", 201)["secondary_auth_token"]
    addresses = {own.made["SC"]["short_code"], own.made["AI"]["alpha_sender"], own.number}
    secrets = {tenant.password, second, own.made["SK"]["secret"]}
    sids = set(own.sids.values())
    known = callers(tenant)
    last = known["restricted to reading"].user  # its event is written a little later
    wait_for(lambda: last in {event["resource_sid"] for event in own.list("/v1/Events", "events")})
    return Party(known, own, frozenset({mark} | addresses | secrets | sids))


def callers(tenant: Tenant) -> dict[str, Tenant]:
    """Who can ask in an account's name, and who no longer can."""
    reading = json.dumps({"allow": ["/twilio/messaging/messages/read"]})
    ours = ["/hushwire/messages/reveal", "/hushwire/legal-holds/update"]
    everything = json.dumps({"allow": ["/twilio/*", *ours]})
    revoked = tenant.key()
    assert tenant.ask("DELETE", f"/v1/Keys/{revoked.user}")[0] == 204
    return {
        "token": tenant,
        "main key": tenant.key(KeyType="main"),
        "standard key": tenant.key(),
        "restricted to all": tenant.key(KeyType="restricted", Policy=everything),
        "restricted to reading": tenant.key(KeyType="restricted", Policy=reading),
        "revoked key": revoked,
    }


def unknown(sid: str) -> str:
    """A SID that nobody has; a message's is of the same moment as the given one."""
    return sid[:-1] + ("0" if sid[-1] != "0" else "1")


def request(
    who: Tenant, operation: Operation, row: Row, names: dict[str, str], number: str = ""
) -> Answer:
    """Ask the operation, with these values of what it names."""
    method, path = operation
    values = {"CountryCode": "US", "PhoneNumber": TO, "number": number, **names}
    values["code"] = fresh_code()
    values["Type"] = "com.twilio.messaging.message.failed"
    url = path.format_map(values) + (f"?{row.query.format_map(values)}" if row.query else "")
    form = {name: text.format_map(values) for name, text in row.form.items()}
    content = re.sub("<([A-Za-z]+)>", lambda name: values[name[1]], row.json).encode()
    body = content or (urlencode(form).encode() if method == "POST" else None)
    n = next(_addresses)
    headers = {"X-Forwarded-For": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
    return send(who, method, url, body, {**headers, **(JSON if row.json else FORM)})


def comparable(answer: Answer, names: dict[str, str]) -> tuple[int, dict[str, str], str]:
    """An answer without what differs by nature: which SIDs were asked for, when, and its id."""
    status, headers, body = answer
    text = body.decode()
    for name, sid in names.items():
        text = text.replace(sid, f"<{name}>")
    kept = {k: v for k, v in headers.items() if k not in ("date", "twilio-request-id")}
    return status, kept, text


def assert_untold(told: str, other: Party, *asked: str) -> None:
    """Nothing of the other tenant is told, but for the SIDs that were asked for."""
    assert [word for word in other.private - set(asked) if word in told] == []


def mixtures(row: Row) -> Iterator[tuple[str, ...]]:
    """Which names are foreign: every selection of them but none."""
    for count in range(1, len(row.names) + 1):
        yield from itertools.combinations(row.names, count)


def state(of: Party) -> list[object]:
    """All that the tenant has, as it sees it itself: nothing of it may change by others' hands.

    Alerts come by themselves, with each retry of the callback that nobody takes.
    """
    paths = [path for path, _, _ in LISTS if path != "/v1/Alerts"]
    paths.append(f"{V2010}/Accounts/{{AccountSid}}.json")
    return [of.own.tenant.made("GET", of.path(path)) for path in paths]


# The table ------------------------------------------------------------------------------------


def test_every_served_operation_has_its_row() -> None:
    served = {(o.method, o.path) for o in OPERATIONS if o.served}
    assert served - ROWS.keys() == set(), "add their rows to tests/tenancy.py"
    assert ROWS.keys() - served == set(), "they are not served any more"
    for operation, row in [*EVERY.items(), *FORMS]:
        where = " ".join((operation[1], row.query, *row.form.values()))
        where += re.sub("<([A-Za-z]+)>", r"{\1}", row.json)
        assert row.names.keys() <= set(re.findall(r"\{(\w+)\}", where)), operation
        assert set(re.findall(r"\{(\w*[sS]id)\}", where)) <= row.names.keys(), operation


def test_every_path_of_ours_that_names_an_account_has_its_row(tmp_path: Path) -> None:
    async def routes() -> set[Operation]:
        settings = Settings(data=tmp_path, vault_slots_per_file=1024)
        server = Server(settings, Journal(StringIO()))
        await server.open()
        found = [route for route in server.app()._rest.routes if isinstance(route, Route)]
        await server.close()
        return {
            (method, route.path)
            for route in found
            if route.path.startswith("/hushwire/") and "account_sid" in route.path
            for method in (route.methods or set()) - {"HEAD"}
        }

    spelled = {"AccountSid": "{account_sid}", "Sid": "{sid}", "Scope": "{scope}"}
    assert asyncio.run(routes()) == {(m, path.format_map(spelled)) for m, path in OUR_ROWS}


# Foreign is unknown -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, "revoked key"])
@pytest.mark.parametrize("other", ["sibling", "parent"], indirect=True)
def test_what_is_foreign_answers_as_what_nobody_has(mine: Party, other: Party, kind: str) -> None:
    """P-20, D13: another tenant's account and resources, under its path and under one's own:
    a sibling's, and for a subaccount its parent's."""
    before, asked = state(other), 0
    for operation, row in NAMING:
        own = {name: mine.sids[of] for name, of in row.names.items()}
        for spots in mixtures(row):
            theirs = {**own, **{spot: other.sids[row.names[spot]] for spot in spots}}
            nobodys = {**own, **{spot: unknown(theirs[spot]) for spot in spots}}
            found, reference = (
                request(mine.callers[kind], operation, row, names, mine.own.number)
                for names in (theirs, nobodys)
            )
            assert comparable(found, theirs) == comparable(reference, nobodys), (operation, spots)
            assert found[0] >= 400, (operation, spots)
            assert_untold(f"{found[1]}{found[2].decode()}", other, *theirs.values())
            if kind == "revoked key":
                assert_refused(found, 401, 20003, "Authenticate")
            elif kind in ALL_RIGHTS and any(f"{{{spot}}}" in operation[1] for spot in spots):
                assert_refused(found, 404, 20404)
            asked += 1
    assert asked > len(NAMING)
    assert state(other) == before


def test_v1_resources_of_a_child_are_asked_for_with_its_own_credentials(
    parent: Party, mine: Party
) -> None:
    """The v1 APIs name no account but by credentials: a parent's own are others."""
    for operation, row in NAMING:
        if not operation[1].startswith(("/v1/Services", "/v1/Content")):
            continue
        theirs = {name: mine.sids[of] for name, of in row.names.items()}
        nobodys = {name: unknown(sid) for name, sid in theirs.items()}
        found, reference = (
            request(parent.callers["token"], operation, row, names) for names in (theirs, nobodys)
        )
        assert comparable(found, theirs) == comparable(reference, nobodys), operation
        assert_refused(found, 404, 20404)


def test_a_number_is_handed_over_by_parents_only(mine: Party, sibling: Party) -> None:
    """A subaccount gives its number neither to a sibling nor to nobody, with the same words."""
    operation = ("POST", f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json")
    names = {"AccountSid": mine.sids["AC"], "Sid": mine.sids["PN"]}
    row = Row({}, {"AccountSid": "{Heir}"})
    for heir in (sibling.sids["AC"], unknown(sibling.sids["AC"])):
        answer = request(mine.callers["token"], operation, row, {**names, "Heir": heir})
        assert_refused(answer, 400, 21474)


@pytest.mark.parametrize("other", ["sibling", "parent"], indirect=True)
@pytest.mark.parametrize("sender", ["PN", "SC"])
def test_a_foreign_sender_is_as_unknown_as_one_that_nobody_owns(
    mine: Party, other: Party, sender: str
) -> None:
    """T-5: the same refusal for both, which tells no more than the sender that was given."""
    made = other.own.made[sender]
    theirs = str(made["phone_number" if sender == "PN" else "short_code"])
    operation, names = ("POST", f"{ACCOUNT}/Messages.json"), {"AccountSid": mine.sids["AC"]}
    texts: list[str] = []
    for phone in (theirs, unknown(theirs)):
        answer = request(mine.callers["token"], operation, ROWS[operation], names, phone)
        assert answer[0] == 400, answer[2]
        texts.append(answer[2].decode().replace(phone, ""))
    assert texts[0] == texts[1]


# Lists ----------------------------------------------------------------------------------------


def with_query(path: str, **query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{urlencode(query)}" if query else path


@LISTED
def test_a_list_holds_what_is_ones_own(
    mine: Party, sibling: Party, parent: Party, path: str, key: str, kind: str
) -> None:
    """Whatever filter asks for the others' names and numbers."""
    who = mine.callers["token"]
    assert mine.sids[kind] in {record["sid"] for record in who.made("GET", mine.path(path))[key]}
    for other in (sibling, parent):
        queries: list[dict[str, str]] = [
            {}, {"PageSize": "1000"}, {"To": TO}, {"From": other.own.number},
            {"PhoneNumber": other.own.number}, {"FriendlyName": other.own.name(kind)},
            {"FriendlyName": f"The account of {other.own.mark}"}, {"Status": "active"},
            {"ShortCode": other.own.made["SC"]["short_code"]},
        ]  # fmt: skip
        for query in queries:
            page = who.made("GET", with_query(mine.path(path), **query))
            # A subaccount is told whose it is; URIs of pages repeat the filters.
            assert_untold(json.dumps(page[key]), other, parent.sids["AC"])


@LISTED
def test_a_foreign_page_token_shows_nothing_foreign(
    mine: Party, sibling: Party, path: str, key: str, kind: str
) -> None:
    """It answers as a token that names what nobody has, forwards and backwards."""
    who, theirs = mine.callers["token"], sibling.own.tenant
    named = theirs.made("GET", sibling.path(path))[key][-1]["sid"]
    shown = theirs.made("GET", with_query(sibling.path(path), PageSize="1"))
    token = re.search(r"PageToken=PA([^\"&]+)", json.dumps(shown))
    rest = token[1] if token is not None else f"{named}.19c00000000"
    for way, place in itertools.product(("PA", "PB"), (rest, f"{named}.0", f"{named}.fffffffffff")):
        answers: list[object] = []
        for sid in (place[:34], unknown(place[:34])):
            query = with_query(mine.path(path), PageToken=way + place.replace(place[:34], sid))
            answer = who.ask("GET", query)
            assert answer[0] == 200, answer[2]
            assert_untold(answer[2].decode(), sibling, place[:34])
            answers.append(comparable(answer, {"named": sid}))
        assert answers[0] == answers[1]


def test_an_own_page_token_goes_on(mine: Party) -> None:
    """So the tokens of the test above are such as would show something."""
    who = mine.callers["token"]
    page = who.made("GET", "Keys.json?PageSize=1")
    query = parse_qs(urlsplit(str(page["next_page_uri"])).query)
    assert who.made("GET", with_query("Keys.json", PageToken=query["PageToken"][0]))["keys"]


# Parent and child -------------------------------------------------------------------------------

CHILDS = [
    (operation, row)
    for operation, row in NAMING
    if "Account" in operation[1] or operation[1].startswith("/v1/Keys")
    if operation != ("GET", f"{OURS}/tail")  # does not end; see test_tail_http.py
    if operation[0] != "PATCH"  # a subaccount's pace is its parent's to set; see test_numbers.py
    if "Heir" not in row.names  # a number is its parent's to hand over; see test_numbers.py
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_parent_may_what_its_child_may(server: RunningServer, parent: Party, kind: str) -> None:
    """2.2: with the parent's credentials each operation on a child answers as with its own."""
    by_itself, by_parent = (subaccount(server) for _ in range(2))
    askers = {by_itself: callers(by_itself)[kind], by_parent: parent.callers[kind]}
    succeeded = 0
    for operation, row in CHILDS:
        answers: list[tuple[int, object]] = []
        for child, who in askers.items():
            kinds = {*row.names.values()} - {"AC"}
            own = Belongings(child, "Child").have(kinds | ({"PN"} if row.form else set()))
            names = {name: own.sids[of] for name, of in row.names.items()}
            answers.append(outline(request(who, operation, row, names, own.number)))
        assert answers[0] == answers[1], operation
        succeeded += answers[1][0] < 300
    assert succeeded >= {"standard key": 24, "restricted to reading": 1}.get(kind, 40), succeeded


def outline(answer: Answer) -> tuple[int, object]:
    """The status, and the properties of what is answered or the code of the refusal."""
    status, headers, body = answer
    is_json = headers.get("content-type") == "application/json"
    content: dict[str, Any] = json.loads(body) if is_json and body else {}
    return status, sorted(content) if status < 300 else content["code"]


# Around the API ---------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", EVERY, ids=" ".join)
def test_nothing_is_answered_without_credentials(
    mine: Party, server: RunningServer, operation: Operation
) -> None:
    """K-4: 20003 for none and for wrong ones, whatever the path names and whether it is there."""
    row = EVERY[operation]
    own = {name: mine.sids[of] for name, of in row.names.items()}
    for names in (own, {name: unknown(sid) for name, sid in own.items()}):
        nobody = Tenant(server, mine.sids["AC"], "0" * 32, "")
        assert_refused(request(nobody, operation, row, names), 401, 20003, "Authenticate")
        path = operation[1].format_map(
            {"CountryCode": "US", "PhoneNumber": TO, "Type": "x", **names}
        )
        assert_refused(server.request(operation[0], path, auth=False), 401, 20003)


@pytest.mark.parametrize("kind", ["token", "main key", "standard key"])
def test_the_sandbox_is_the_first_accounts(mine: Party, kind: str) -> None:
    """Its phones see the messages of all tenants."""
    for method, path in (
        ("GET", "/sandbox/clock"), ("GET", f"/sandbox/phones/{TO}/messages"),
        ("DELETE", f"/sandbox/phones/{TO}/messages"),
    ):  # fmt: skip
        assert_refused(mine.callers[kind].ask(method, path), 401, 20003, "Authenticate")


def test_what_another_tenant_does_to_its_tokens_is_its_own(mine: Party, sibling: Party) -> None:
    """`AuthTokens` names no account: it is the caller's, and nobody else's."""
    before, who = state(sibling), mine.callers["main key"]
    assert who.ask("DELETE", "/v1/AuthTokens/Secondary")[0] == 204
    assert who.ask("POST", "/v1/AuthTokens/Secondary")[0] == 201
    assert who.ask("POST", "/v1/AuthTokens/Promote")[0] == 200
    assert state(sibling) == before
    assert sibling.own.tenant.ask("DELETE", "/v1/AuthTokens/Secondary")[0] == 204
