"""The kinds of credential that a connection may have: which fields each asks for, and what of them
is secret. A form, a prompt and the check of a request are made from this table."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import httpx
from msgspec import Struct

from hushwire.connect.credentials import Basic
from hushwire.connect.oauth import Client, OAuth
from hushwire.connect.wire import Credential
from hushwire.private import Private

ACCOUNT: Final = "account_sid"  # every kind has it: the account on the backend


class CredentialField(Struct, frozen=True):
    """A field of a credential. A sensitive one is never shown again, nor logged, nor returned."""

    name: str
    label: str
    description: str
    type: Literal["text", "sensitive"]
    pattern: str
    cure: str  # how it is spelled
    required: bool = True


class Opening(Struct, frozen=True):
    """What a credential is made of."""

    url: str  # of the backend
    values: Mapping[str, Private]  # field → value
    transport: httpx.AsyncBaseTransport | None  # for what the credential itself asks
    keep: Callable[[Mapping[str, Private]], None]  # seal what it renewed, by field


class CredentialKind(Struct, frozen=True):
    """A way to prove who asks."""

    name: str
    title: str
    fields: tuple[CredentialField, ...]
    open: Callable[[Opening], Credential]
    probe: str  # GET of the backend that is answered if the credential is right; {sid}


ACCOUNT_SID: Final = CredentialField(
    ACCOUNT, "Account SID", "The Account SID from your Twilio account.", "text",
    r"AC[0-9a-fA-F]{32}", "AC and 32 hex digits",
)  # fmt: skip
VISIBLE: Final = r"[!-~]{1,512}"
VISIBLE_CURE: Final = "visible ASCII characters, 512 at most"
MESSAGES: Final = "/2010-04-01/Accounts/{sid}/Messages.json?PageSize=1"


def _basic(user: str, password: str) -> Callable[[Opening], Credential]:
    """HTTP Basic with the values of these two fields."""

    def make(opening: Opening) -> Credential:
        return Basic(opening.values[user].reveal(), opening.values[password])

    return make


TOKEN: Final = CredentialKind(
    "token", "Connect using Account SID and Auth Token",
    (
        ACCOUNT_SID,
        CredentialField(
            "auth_token", "Auth Token", "The Auth Token from your Twilio account.", "sensitive",
            VISIBLE, VISIBLE_CURE,
        ),
    ),
    _basic(ACCOUNT, "auth_token"), "/2010-04-01/Accounts/{sid}.json",
)  # fmt: skip
KEY: Final = CredentialKind(
    "key", "Connect using an API key",
    (
        ACCOUNT_SID,
        CredentialField(
            "key_sid", "API Key SID", "The SID of an API key of that account.", "text",
            r"SK[0-9a-fA-F]{32}", "SK and 32 hex digits",
        ),
        CredentialField(
            "key_secret", "API Key Secret", "Its secret, which was shown when it was made.",
            "sensitive", VISIBLE, VISIBLE_CURE,
        ),
    ),
    _basic("key_sid", "key_secret"), MESSAGES,  # a standard key may not read accounts
)  # fmt: skip


def _oauth(opening: Opening) -> Credential:
    client = Client(opening.values["client_id"].reveal(), opening.values["client_secret"])
    refresh = opening.values.get("refresh_token")
    return OAuth(opening.url, client, refresh, opening.transport, opening.keep)


OAUTH: Final = CredentialKind(
    "oauth", "Connect using OAuth",
    (
        ACCOUNT_SID,
        CredentialField(
            "client_id", "Client ID", "The Client ID of an OAuth app of that account.", "text",
            r"OQ[0-9a-fA-F]{32}", "OQ and 32 hex digits",
        ),
        CredentialField(
            "client_secret", "Client Secret", "Its secret, which was shown when it was made.",
            "sensitive", VISIBLE, VISIBLE_CURE,
        ),
        CredentialField(
            "refresh_token", "Refresh Token",
            "What came of an approval; without it the app acts for itself.", "sensitive",
            VISIBLE, VISIBLE_CURE, required=False,
        ),
    ),
    _oauth, "/2010-04-01/Accounts/{sid}.json",
)  # fmt: skip
KINDS: Final[dict[str, CredentialKind]] = {kind.name: kind for kind in (TOKEN, KEY, OAUTH)}
