"""An action through a connection: scopes first, then the input, then the backend and the view."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from msgspec import inspect
from msgspec.structs import replace

from hushwire.connect.credentials import Basic
from hushwire.connect.models import Message, Messages
from hushwire.connect.refused import Refused
from hushwire.connect.registry import REGISTRY, SCOPES
from hushwire.connect.run import Connected, run
from hushwire.connect.view import VIEWS, View, shown
from hushwire.connect.wire import Wire
from hushwire.private import Private

SID = "AC" + "0" * 32
ALICE, OWN, TEXT = "+14155550123", "+15005550006", "Your code is 4711"
MESSAGE: dict[str, Any] = {
    "sid": "SM" + "0" * 32, "account_sid": SID, "status": "delivered",
    "direction": "outbound-api", "to": ALICE, "from": OWN, "body": TEXT, "num_segments": "1",
}  # fmt: skip
KEY = b"k" * 32

# An input that each action takes.
FINE: dict[str, dict[str, object]] = {
    "send_message": {"to": ALICE, "from": OWN, "body": TEXT},
    "list_messages": {}, "list_accounts": {}, "list_numbers": {},
    "update_message": {"sid": MESSAGE["sid"], "body": ""},
    "retrieve_account": {"sid": SID}, "look_up_phone": {"phone_number": ALICE},
    **{f"{verb}_message": {"sid": MESSAGE["sid"]}
       for verb in ("retrieve", "cancel", "redact", "delete")},
}  # fmt: skip


def connected(answer: httpx.Response | None = None, **changes: Any) -> Connected:
    """A connection to a backend that gives this answer; without one, it must not be asked."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert answer is not None, "the backend was asked"
        return answer

    wire = Wire("http://backend", Basic(SID, Private("x")), transport=httpx.MockTransport(handle))
    return replace(Connected(wire, SID), **changes)


def refusal(name: str, given: dict[str, object], through: Connected) -> Refused:
    with pytest.raises(Refused) as refused:
        asyncio.run(run(name, given, through))
    return refused.value


@pytest.mark.parametrize("name", FINE)
def test_a_missing_scope_is_refused_before_any_call(name: str) -> None:
    """P-4: the scope that is missing, and whose it is; each of an action's scopes counts."""
    for missing in REGISTRY.find(name).scopes:
        scopes = frozenset(SCOPES) - {missing}
        refused = refusal(name, FINE[name], connected(name="reader", scopes=scopes))
        assert (refused.code, refused.status) == (70051, 403)
        assert refused.text.startswith(f"connection 'reader' lacks the scope {missing}: ")


@pytest.mark.parametrize("name", FINE)
def test_its_scopes_alone_are_enough(name: str) -> None:
    """P-4: with them the backend is asked, whatever else is missing."""
    answer = httpx.Response(503, json={"code": 20503, "message": "asked", "status": 503})
    through = connected(answer, scopes=frozenset(REGISTRY.find(name).scopes))
    assert refusal(name, FINE[name], through).text == "asked"


def test_a_wrong_input_is_refused_before_any_call() -> None:
    assert refusal("send_message", {"to": 7}, connected()).field == "to"
    assert refusal("bogus", {}, connected()).status == 404


@pytest.mark.parametrize("view", VIEWS)
def test_who_sees_no_texts_cannot_look_for_one(view: View) -> None:
    """Item 11: a filter by text would tell what the view hides. A send has its text still."""
    given = {"body": TEXT}
    asked = httpx.Response(503, json={"code": 20503, "message": "asked", "status": 503})
    refused = refusal("read_some_sms_messages", given, connected(asked, view=view))
    if view == "full":
        assert refused.text == "asked"
        return
    assert (refused.code, refused.status, refused.field) == (20001, 400, "body")
    assert view in refused.text
    assert TEXT not in refused.text
    assert (
        refusal("send_message", FINE["send_message"], connected(asked, view=view)).text == "asked"
    )


def test_credentials_that_are_not_taken_any_more_are_the_connections() -> None:
    answer = httpx.Response(401, json={"code": 20003, "message": "Authenticate", "status": 401})
    refused = refusal("list_messages", {}, connected(answer, name="old"))
    assert (refused.code, refused.status, refused.field) == (20003, 401, "connection")
    assert "connection 'old'" in refused.text
    assert refusal("list_messages", {}, connected(answer)).text == "Authenticate"


def seen(view: View, to: str | None = ALICE, filters: dict[str, str] | None = None) -> Any:
    message = replace(convert(), to=to)
    return shown(Messages([message], filters or {"To": ALICE}, more=False), view, KEY)


def convert() -> Message:
    return Message(
        sid=MESSAGE["sid"], account_sid=SID, status="delivered", direction="outbound-api",
        to=ALICE, from_=OWN, body=TEXT,
    )  # fmt: skip


def test_each_view_gives_so_much_of_what_is_private() -> None:
    full, masked, metadata, pseudonymous = (
        seen(view)["messages"][0] for view in ("full", "masked", "metadata", "pseudonymous")
    )
    assert (full["to"], full["from"], full["body"]) == (ALICE, OWN, TEXT)
    assert (masked["to"], masked["from"], masked["body"]) == ("+1415555XXXX", "+1500555XXXX", None)
    assert (metadata["to"], metadata["from"], metadata["body"]) == (None, None, None)
    assert pseudonymous["body"] is None
    assert pseudonymous["to"].startswith("ph_")
    assert len({pseudonymous["to"], pseudonymous["from"]}) == 2
    assert {each["sid"] for each in (full, masked, metadata, pseudonymous)} == {MESSAGE["sid"]}


@pytest.mark.parametrize("view", [view for view in VIEWS if view != "full"])
def test_nothing_private_is_anywhere_else_in_the_output(view: View) -> None:
    text = json.dumps(seen(view))
    assert not any(private in text for private in (ALICE, OWN, TEXT, ALICE[1:]))


def test_a_join_key_is_the_same_for_one_connection_and_no_other() -> None:
    again = seen("pseudonymous")["filters_applied"]["To"]
    assert again == seen("pseudonymous")["messages"][0]["to"]
    other = shown(convert(), "pseudonymous", b"o" * 32)
    assert other["to"] != again


def test_what_is_forgotten_joins_nothing() -> None:
    for view in ("masked", "pseudonymous"):
        assert seen(view, to="+1415555XXXX")["messages"][0]["to"] == "+1415555XXXX"


def test_a_date_is_no_number() -> None:
    filters = {"DateSent>": "2026-01-31", "From": OWN}
    applied = seen("masked", filters=filters)["filters_applied"]
    assert applied == {"DateSent>": "2026-01-31", "From": "+1500555XXXX"}


def always_shown(kind: inspect.Type, where: str) -> list[str]:
    """Places of a model that are private and may not be null."""
    match kind:
        case inspect.Metadata():
            private = (kind.extra or {}).get("pii")
            return [where] if private else always_shown(kind.type, where)
        case inspect.UnionType(types=types):
            if any(isinstance(each, inspect.NoneType) for each in types):
                types = tuple(each for each in types if not isinstance(each, inspect.Metadata))
            return [one for each in types for one in always_shown(each, where)]
        case inspect.StructType(fields=fields):
            inner = [(field.type, f"{where}.{field.encode_name}") for field in fields]
            return [one for each, place in inner for one in always_shown(each, place)]
        case inspect.ListType(item_type=item):
            return always_shown(item, f"{where}[]")
        case inspect.DictType(value_type=value):
            return always_shown(value, f"{where}{{}}")
        case _:
            return []


@pytest.mark.parametrize("name", [action.name for action in REGISTRY])
def test_what_a_view_leaves_fits_the_published_schema(name: str) -> None:
    """Item 11: a view gives null where it hides: every private place of an output may be null."""
    assert always_shown(inspect.type_info(REGISTRY.find(name).output), name) == []
