"""A connection: a backend by a name, what proves to it who asks, and what may be asked.

Pure. The whole record is sealed; what is secret in it shows itself to `reveal` alone.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.owned import Owned
from hushwire.private import Private

View = Literal["metadata", "masked", "pseudonymous", "full"]
VIEWS: Final[tuple[View, ...]] = ("metadata", "masked", "pseudonymous", "full")

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,62}[A-Za-z0-9]\Z|[A-Za-z0-9]\Z")
NAME_CURE: Final = "1 to 64 letters, digits, blanks, and . _ - between them"


class Secrets(Struct, frozen=True):
    """What of a credential is never shown: field → text; and the key of join keys, 32 bytes."""

    texts: dict[str, str]
    view_key: bytes

    def reveal(self) -> dict[str, Private]:
        """Field → secret."""
        return {name: Private(text) for name, text in self.texts.items()}

    def __repr__(self) -> str:
        return f"<private {len(self.texts)}>"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("texts", len(self.texts))]


class Connection(Owned, frozen=True, kw_only=True):
    """One of an account's. Names are told apart within an account."""

    name: str
    url: str  # of the backend; "" is this server
    kind: str  # of credential
    backend_sid: str  # the account on the backend
    shown: dict[str, str]  # what of the credential is no secret: field → text
    secrets: Secrets
    scopes: tuple[str, ...] | None  # what it may; None: all that its credential may
    view: View
    profile: str


def texts_of(secrets: Mapping[str, Private]) -> dict[str, str]:
    """Secrets as a record keeps them, which is sealed as a whole."""
    return {name: secret.reveal() for name, secret in secrets.items()}
