"""A legal hold: while it is in force, nothing in its scope is destroyed (design 2.4)."""

from typing import Final, Literal

from msgspec import Struct

from hushwire.private import Private

AUTHOR_MAX: Final = 100  # characters
REASON_MAX: Final = 500
REMIND_MS: Final = 7 * 86_400_000  # every open hold is brought to mind so often

Scope = Literal["account", "message", "phone"]


class LegalHold(Struct, frozen=True):
    """One hold. Of a number only a keyed hash is kept. Times are Unix milliseconds."""

    sid: str
    account_id: int
    message: str | None  # SID of the one message
    tag: bytes | None  # of the one number
    set_by: str  # SID of the account or API key that set it
    author: Private  # who answers for it
    reason: Private
    set_ms: int
    lifted_ms: int | None = None  # None while it is in force

    @property
    def scope(self) -> Scope:
        if self.message is not None:
            return "message"
        return "account" if self.tag is None else "phone"
