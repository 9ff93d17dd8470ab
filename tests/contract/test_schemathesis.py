"""Every served operation against our own OpenAPI, with values that nobody would think of.

Schemathesis makes the requests from `docs/reference/openapi.json`: such as fit it, and such as
do not. Whatever comes, the answer is one that the document has: its status, its type, every
property. Paths name resources of the caller, of another tenant, and of nobody.

The server is this module's own, and so are the accounts: what is closed, promoted or deleted
here is nobody else's. `make torture` asks a hundred times as often.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from belongings import KINDS, TO, Belongings
from harness import RunningServer
from tenancy import LISTS, POOL
from tenants import Tenant, owner, subaccount

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance, response_headers_conformance,
]  # fmt: skip
EXAMPLES = 6  # of each mode, for each operation; the same ones every time
OFTEN = 560  # others every time
SENT = "com.twilio.messaging.message.sent"
MARK = "Othertenantia"  # in every name and text of another tenant
ADMINISTRATION = ("/2010-04-01/Accounts.json", "/2010-04-01/Accounts/{Sid}.json")
PARENTS = (*ADMINISTRATION, "/2010-04-01/Accounts/{AccountSid}/Balance.json")
NEVER = ("CreateSinkValidate",)  # cannot succeed: the id of a test only its sink learns

# Values that get further than what is made up: each is given half the time.
KNOWN: dict[str, SearchStrategy[str]] = {
    name: st.sampled_from(values)
    for name, values in {
        "From": ["+15005550006", "+15005550001"],
        "To": [TO, "+442079460018", "+15005550009"],
        "PhoneNumber": ["+14155550190", "+442079460019", "+15005550000"],
        "AreaCode": ["415", "510", "999"],
        "CountryCode": ["US", "GB"],
        "KeyType": ["restricted", "standard", "main"],
        "Policy": ['{"allow":["/twilio/messaging/messages/read"]}', '{"allow":[]}', "[]"],
        "Body": ["", "Hello"],
        "DateSent": ["2026-02-30", "Thu, 24 Aug 2023 05:01:45 +0000", "9999-12-31T23:59:59Z"],
        "StartDate": ["2026-02-30", "-30days", "2026-10-01", "9999-12-31T23:59:59Z"],
        "Date": [str((datetime.now(UTC) - timedelta(days=days)).date()) for days in (0, 3, 4_000)],
        "Types": [f'{{"type":"{SENT}"}}', "[]", "{}"],
    }.items()
}
TIMES = ["", ".0", ".19c00000000", ".fffffffffff"]  # in page tokens
PATHS = {"CountryCode": ["US", "GB", "XX"], "PhoneNumber": [TO], "Type": [SENT]}

# Forms that succeed, by the operation: half the time one other parameter is tried with them.
GOOD: dict[str, Callable[[Belongings], dict[str, Any]]] = {
    "CreateMessage": lambda own: {"From": own.number, "To": TO, "Body": "Hello"},
    "UpdateMessage": lambda _: {"Body": ""},
    "CreateIncomingPhoneNumber": lambda _: {"AreaCode": "415"},
    "CreateIncomingPhoneNumberLocal": lambda _: {"AreaCode": "415"},
    "CreateIncomingPhoneNumberMobile": lambda _: {"PhoneNumber": "+447400123456"},
    "CreateIncomingPhoneNumberTollFree": lambda _: {"AreaCode": "800"},
    "CreateApplication": lambda _: {"FriendlyName": "Mine"},
    "CreateService": lambda _: {"FriendlyName": "Mine"},
    "CreateServicePhoneNumber": lambda own: {"PhoneNumberSid": own.sids["PN"]},
    "CreateServiceShortCode": lambda own: {"ShortCodeSid": own.sids["SC"]},
    "CreateAlphaSender": lambda _: {"AlphaSender": "Mine"},
    "CreateContent": lambda _: {"language": "en", "types": {"twilio/text": {"body": "Hello"}}},
    "UpdateContent": lambda _: {"types": {"twilio/text": {"body": "Hello"}}},
    "CreateV1Key": lambda own: {"AccountSid": own.sids["AC"]},
    "CreateSink": lambda _: {
        "Description": "Mine", "SinkType": "webhook",
        "SinkConfiguration": '{"destination":"http://127.0.0.1:9009/mine"}',
    },
    "CreateSubscription": lambda own: {
        "Description": "Mine", "SinkSid": own.sids["DG"], "Types": [f'{{"type":"{SENT}"}}'],
    },
    "CreateSubscribedEvent": lambda _: {"Type": SENT},
    "UpdateSubscribedEvent": lambda _: {"SchemaVersion": 1},
}  # fmt: skip

CONFIG = schemathesis.Config.from_dict({"generation": {"database": "none"}})
API = schemathesis.openapi.from_path(DOCUMENT, config=CONFIG)
Operation = APIOperation[Any, Any, Any, Any]
OPERATIONS: list[Operation] = [found.ok() for found in API.get_all_operations()]
LABELS = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)


class World(NamedTuple):
    """Who there is beside the tenant that asks: the parent, and another tenant."""

    parent: Tenant
    others: dict[str, str]  # another's resources, by the beginning of their SIDs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with RunningServer(tmp_path_factory.mktemp("schemathesis") / "data") as server:
        other = Belongings(subaccount(server, MARK), MARK).have_all()
        folder = server.data / "deactivations"
        folder.mkdir(exist_ok=True)
        (folder / f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}.csv").write_text("")
        yield World(owner(server).key(KeyType="main"), other.sids)
        assert server.stop() == 0
        assert "defect" not in server.log.read_text()


def prepared(world: World, operation: Operation) -> Belongings:
    """A tenant of the operation's own, by a key that allows all, with what it can succeed with."""
    if operation.path in ADMINISTRATION:
        return Belongings(world.parent.at(subaccount(world.parent.server).sid), "Mine")
    if operation.path in PARENTS:
        return Belongings(world.parent, "Mine")
    own = Belongings(subaccount(world.parent.server).key(KeyType="main"), "Mine")
    if "AuthTokens" in operation.path and operation.label != "POST /v1/AuthTokens/Secondary":
        own.post("/v1/AuthTokens/Secondary")
    listed = {kind for path, _, kind in LISTS if path.partition("?")[0] == operation.path}
    own.have({"PN"} | ({*re.findall(r"[A-Z]{2}(?=[|)\[])", named(operation))} | listed) & {*KINDS})
    if not operation.label.startswith("POST"):
        for kind, part in (("PN", "/PhoneNumbers"), ("SC", "/ShortCodes")):
            if operation.path.startswith(f"{POOL}{part}"):
                own.have([kind]).join(kind)
    return own


def named(operation: Operation) -> str:
    """The patterns of all that the operation's path, query and form name."""
    schemas = [*operation.path_parameters, *operation.query, *operation.body]
    return json.dumps([parameter.definition["schema"] for parameter in schemas])


def paths(
    operation: Operation, own: dict[str, str], others: dict[str, str]
) -> SearchStrategy[dict[str, str]]:
    """Values of the path's parameters: the caller's, another tenant's, nobody's, anything."""
    odd = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: t not in (".", ".."))
    values: dict[str, SearchStrategy[str]] = {}
    for parameter in operation.path_parameters:
        pattern = parameter.definition["schema"].get("pattern", "")
        kind = next((kind for kind in own if kind in pattern), None)
        if kind is not None:
            known = [*[own[kind]] * 6, others.get(kind, own[kind]), kind + "0" * 32, None]
        else:
            known = [*PATHS[parameter.name] * 3, None]
        values[parameter.name] = st.sampled_from(known).flatmap(
            lambda value: odd if value is None else st.just(value)
        )
    return st.fixed_dictionaries(values)


def known(
    operation: Operation, own: dict[str, str], others: dict[str, str]
) -> SearchStrategy[dict[str, str | None]]:
    """Values of parameters of query and form that get further; None leaves what is made up."""
    sids = st.sampled_from([*own.values(), *others.values(), "SM" + "0" * 32])
    tokens = st.builds("{}{}{}".format, st.sampled_from(["PA", "PB"]), sids, st.sampled_from(TIMES))
    values = {**KNOWN, "AccountSid": st.just(own["AC"]), "PageToken": tokens}
    return st.fixed_dictionaries({n: st.none() | values[n] for n in taken(operation) & {*values}})


def taken(operation: Operation) -> set[str]:
    """Names of the parameters of query and form."""
    form = operation.body[0].definition["schema"]["properties"] if len(operation.body) else {}
    return {*form, *(parameter.name for parameter in operation.query)}


def vary(
    case: schemathesis.Case, path: dict[str, str], values: dict[str, str | None],
    form: dict[str, Any] | None,
) -> None:  # fmt: skip
    """Put these values into a request that was made up."""
    case.path_parameters = path
    has_form = isinstance(case.body, dict)
    given_: Any = case.body if has_form else case.query
    if isinstance(given_, dict):
        given_.update({name: value for name, value in values.items() if value is not None})
    if has_form and form is not None:  # with one parameter more
        case.body = {**dict(sorted(case.body.items())[:1]), **form}


def ask(
    world: World, operation: Operation, modes: list[GenerationMode], examples: int
) -> Counter[int]:
    """Ask with so many examples of each mode; the statuses that were answered."""
    mine, seen = prepared(world, operation), Counter[int]()
    who, good = mine.tenant, GOOD.get(operation.definition.raw["operationId"])
    forms = st.sampled_from([None, good(mine)]) if good is not None else st.none()
    strategies = [operation.as_strategy(generation_mode=mode) for mode in modes]
    plan = settings(
        max_examples=examples * len(modes), derandomize=examples < OFTEN, deadline=None,
        database=None, phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment has no part in this

        @plan
        @given(
            case=st.one_of(strategies), path=paths(operation, mine.sids, world.others),
            values=known(operation, mine.sids, world.others), form=forms,
        )  # fmt: skip
        def every(
            case: schemathesis.Case, path: dict[str, str], values: dict[str, str | None],
            form: dict[str, Any] | None,
        ) -> None:  # fmt: skip
            vary(case, path, values, form)
            answer = case.call_and_validate(
                who.server.url, session, checks=CHECKS, auth=(who.user, who.password),
                allow_redirects=False,
            )  # fmt: skip
            assert operation.path in PARENTS or MARK.encode() not in answer.content
            seen[answer.status_code] += 1

        every()
    return seen


def modes_of(operation: Operation) -> list[GenerationMode]:
    """What fits, and what does not; where there is nothing to get wrong, only the first."""
    takes = len(operation.query) + len(operation.headers) + len(operation.body)
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]


def succeeded(seen: Counter[int]) -> bool:
    return any(status < 400 for status in seen)


@LABELS
def test_every_answer_is_as_documented(world: World, operation: Operation) -> None:
    """W16 and 1.3: no 5xx, no undocumented status, and no property more or less; and it is
    reached: each operation succeeds at least once."""
    can = operation.definition.raw["operationId"] not in NEVER
    seen = ask(world, operation, modes_of(operation), EXAMPLES)
    if can and not succeeded(seen):  # few examples may all be wrong ones
        seen += ask(world, operation, [GenerationMode.POSITIVE], 8 * EXAMPLES)
    assert succeeded(seen) is can, seen


@pytest.mark.torture
@pytest.mark.timeout(900)
@LABELS
def test_and_so_it_is_however_often(world: World, operation: Operation) -> None:
    makes_accounts = operation.label == "POST /2010-04-01/Accounts.json"  # there may be 1,000
    ask(world, operation, modes_of(operation), OFTEN // 2 if makes_accounts else OFTEN)


def test_the_checks_see_what_is_wrong(world: World) -> None:
    """A document that says something else of an answer is found out."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    document["components"]["schemas"]["Balance"]["properties"]["balance"] = {"type": "integer"}
    path = "/2010-04-01/Accounts/{AccountSid}/Balance.json"
    operation = schemathesis.openapi.from_dict(document, config=CONFIG)[path]["GET"]
    with pytest.raises(BaseExceptionGroup):
        ask(world, operation, [GenerationMode.POSITIVE], EXAMPLES)
