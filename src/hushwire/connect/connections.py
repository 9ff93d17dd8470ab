"""A connection as it is asked for: read and checked, each mistake in one sentence."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from hushwire.connect.fields import either, no_such_field, what_is_wrong
from hushwire.connect.kinds import ACCOUNT, KINDS, CredentialField, CredentialKind
from hushwire.connect.refused import INPUT, Refused, refused
from hushwire.connect.registry import PROFILES, SCOPES
from hushwire.connect.wire import CLOUD
from hushwire.domain.connection import NAME, NAME_CURE, View
from hushwire.private import Private

HERE: Final = ""  # the URL of this server
TWILIO: Final = "twilio"  # the word for that of Twilio's cloud
RESERVED: Final = ("kinds",)  # names that paths have already

_WHOLE: Final = "a connection"
_URL: Final = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?\Z", re.IGNORECASE)


class NewConnection(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A connection as it is asked for."""

    name: Annotated[str, Meta(description=NAME_CURE)]
    credential: Annotated[
        dict[str, str],
        Meta(description='{"kind": "token", "account_sid": …, "auth_token": …}',
             extra={"pii": "secret"}),
    ]  # fmt: skip
    url: (
        Annotated[
            str,
            Meta(description="Of the backend, or twilio; this server if absent",
                 extra={"pii": "url"}),
        ] | None
    ) = None  # fmt: skip
    scopes: Annotated[list[str], Meta(description="What it may; all if absent")] | None = None
    view: Annotated[View, Meta(description="How much of what is private it gives")] = "full"
    profile: Annotated[str, Meta(description="Whose rules it follows")] = "current"


class Wanted(Struct, frozen=True):
    """A connection that was read: it is spelled as it should be."""

    name: str
    url: str  # without a slash at its end; HERE
    kind: CredentialKind
    values: dict[str, Private]  # of the credential's fields
    scopes: tuple[str, ...] | None
    view: View
    profile: str

    @property
    def backend_sid(self) -> str:
        return self.values[ACCOUNT].reveal()


def read_new(given: Mapping[str, object]) -> Wanted:
    """Raises Refused with one sentence that names the field; no value of a credential is in it."""
    try:
        new = msgspec.convert(given, NewConnection)
    except msgspec.ValidationError as error:
        field, text = what_is_wrong(NewConnection, given, str(error), _WHOLE)
        raise refused(INPUT, text, field=field) from None
    if NAME.match(new.name) is None or new.name in RESERVED:
        raise refused(INPUT, f"name {new.name!r:.70} must be other: {NAME_CURE}", field="name")
    if new.profile not in PROFILES:
        raise refused(INPUT, f"profile {new.profile!r:.40} must be {either(tuple(PROFILES))}",
                      field="profile")  # fmt: skip
    kind, values = _credential(new.credential)
    return Wanted(new.name, _url(new.url), kind, values, _scopes(new.scopes), new.view, new.profile)


def _url(given: str | None) -> str:
    if given is None or given == HERE:
        return HERE
    if given == TWILIO:
        return CLOUD
    if _URL.match(given) is None:
        raise refused(INPUT, "url must be https:// and a host, without user or query; or twilio",
                      field="url")  # fmt: skip
    return given.rstrip("/")


def _scopes(given: list[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    for scope in given:
        if scope not in SCOPES:
            raise refused(INPUT, f"scopes {scope!r:.40} is none: there are {', '.join(SCOPES)}",
                          field="scopes")  # fmt: skip
    if not given:
        raise refused(INPUT, "scopes must not be empty: leave it out for all", field="scopes")
    return tuple(scope for scope in SCOPES if scope in given)


def _credential(given: Mapping[str, str]) -> tuple[CredentialKind, dict[str, Private]]:
    kind = KINDS.get(given.get("kind", ""))
    if kind is None:
        raise refused(INPUT, f"credential.kind must be {either(tuple(KINDS))}",
                      field="credential.kind")  # fmt: skip
    fields = {field.name: field for field in kind.fields}
    for name in given:
        if name not in fields and name != "kind":
            _, text = no_such_field(name, tuple(fields), f"the credential kind {kind.name}")
            raise refused(INPUT, text, field="credential")
    for field in kind.fields:
        problem = _wrong(field, given.get(field.name))
        if problem is not None:
            raise problem
    return kind, {name: Private(given[name]) for name in fields if name in given}


def _wrong(field: CredentialField, value: str | None) -> Refused | None:
    name = f"credential.{field.name}"
    if value is None:
        text = f"{name} is missing: {field.description}"
        return refused(INPUT, text, field=name) if field.required else None
    if re.fullmatch(field.pattern, value) is None:
        return refused(INPUT, f"{name} must be {field.cure}: {field.description}", field=name)
    return None
