"""Runs an action through a connection: its scopes, its input, the backend, its view."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

# Each module declares its actions when it is imported.
from hushwire.connect import accounts as accounts
from hushwire.connect import kognitos as kognitos
from hushwire.connect import messages as messages
from hushwire.connect import persona as persona
from hushwire.connect import tealium as tealium
from hushwire.connect.fields import fields_of
from hushwire.connect.refused import INPUT, SCOPE, Refused, refused
from hushwire.connect.registry import REGISTRY, AnyAction, Call
from hushwire.connect.view import View, shown
from hushwire.connect.wire import Wire

ALL_SCOPES: Final = None
AUTHENTICATE: Final = 20003  # what a backend says to credentials that it does not take


class Connected(Struct, frozen=True):
    """An open connection: whom an action speaks to, and what it may."""

    wire: Wire
    account_sid: str
    name: str = ""
    scopes: frozenset[str] | None = ALL_SCOPES
    view: View = "full"
    view_key: bytes = b""  # for join keys
    profile: str = "current"


async def run(
    name: str, given: Mapping[str, object], connected: Connected, *, key: str | None = None
) -> dict[str, Any]:
    """Run an action; its output as the connection's view has it.

    `key`: a repetition with the same one is the same request. Raises Refused; where a scope is
    missing, or the input is wrong, before anything is sent.
    """
    action = REGISTRY.find(name)
    check_scopes(action, connected)
    wanted = action.read(given)
    _check_filters(action, given, connected)
    call = Call(connected.wire, connected.account_sid, key, connected.profile)
    try:
        output = await action.run(call, wanted)
    except Refused as problem:
        if problem.code == AUTHENTICATE and connected.name:
            raise _not_accepted(connected.name) from None
        raise
    return shown(output, connected.view, connected.view_key)


def check_scopes(action: AnyAction, connected: Connected) -> None:
    """Raises Refused when the connection lacks a scope that the action needs."""
    if connected.scopes is None:
        return
    missing = [scope for scope in action.scopes if scope not in connected.scopes]
    if missing:
        whose = f"connection {connected.name!r}" if connected.name else "this connection"
        raise refused(
            SCOPE, f"{whose} lacks the scope {missing[0]}: {action.title.lower()} needs it"
        )


def _check_filters(action: AnyAction, given: Mapping[str, object], connected: Connected) -> None:
    """Who does not see texts may not look for one: what is found would tell it."""
    if connected.view == "full" or action.effect != "reads":
        return
    for field in fields_of(action.input):
        if field.pii == "body" and given.get(field.name) is not None:
            raise refused(
                INPUT, f"{field.name} cannot be filtered by: the view {connected.view} of this "
                "connection shows no texts; leave it out", field=field.name,
            )  # fmt: skip


def _not_accepted(name: str) -> Refused:
    """Whose credentials they are, so that nobody looks at those of the request."""
    text = f"connection {name!r}: its backend does not accept its credentials any more"
    return Refused(AUTHENTICATE, 401, f"{text}; add it anew", field="connection")
