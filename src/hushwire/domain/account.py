"""Accounts, their keys, and the numbers they own."""

from math import ceil
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.privacy import Privacy
from hushwire.domain.retention import Retention
from hushwire.errors import Refusal
from hushwire.private import Private

AccountStatus = Literal["active", "suspended", "closed"]
KeyKind = Literal["standard", "main", "restricted"]

IAM: Final = "twilio/iam/"  # permissions on accounts and keys
REVEAL: Final = "hushwire/messages/reveal"
VAULT_KEYS: Final = "hushwire/vault-keys/"
# What a standard key does not allow.
NOT_STANDARD: Final = (IAM, REVEAL, "hushwire/audit/", VAULT_KEYS)
QUEUE_MS: Final = 36_000_000  # a sender's queue holds ten hours of its pace (section 10)


class Account(Struct, frozen=True):
    """Who may use the API. Times are Unix milliseconds."""

    id: int
    sid: str
    owner_id: int  # the parent's id; a parent's own
    friendly_name: str
    status: AccountStatus
    auth_token: Private
    created_ms: int
    updated_ms: int
    secondary_token: Private | None = None  # as good as the first, until promoted or deleted
    privacy: Privacy = Privacy()
    retention: Retention = Retention()


class ApiKey(Struct, frozen=True):
    """A key of an account (`SK…`). Of its secret only a hash is kept: it is shown once."""

    sid: str
    account_id: int
    friendly_name: str | None
    kind: KeyKind
    permissions: tuple[str, ...]  # of a restricted key: `/twilio/messaging/messages/list`, …
    secret_hash: bytes  # SHA-256: a secret has 190 bits of chance, there is nothing to guess
    created_ms: int
    updated_ms: int


class Caller(Struct, frozen=True):
    """Whose credentials came with a request: an account's own, or one of its keys."""

    account: Account
    key: ApiKey | None = None

    def check(self, permission: str) -> None:
        """Raises Refusal unless these credentials allow `permission` (section 2.4).

        A permission is a path, `twilio/{product}/{resource}/{action}` or one of ours. A standard
        key allows all but accounts, keys of any kind, reveals and the audit log; a restricted one
        what it names.
        """
        key = self.key
        if key is None or key.kind == "main":
            return
        if key.kind == "standard":
            if permission.startswith(NOT_STANDARD):
                raise Refusal("authenticate")
        elif not any(covers(allowed, permission) for allowed in key.permissions):
            raise Refusal("permission_missing", permission=permission)


def covers(allowed: str, permission: str) -> bool:
    """Does an entry of a restricted key's policy (`/twilio/…`, `*` at its end) allow this?"""
    allowed = allowed.removeprefix("/")
    if allowed.endswith("/*"):
        return permission.startswith(allowed[:-1])
    return allowed == permission


class NumberSettings(Struct, frozen=True):
    """What its owner set of a number. URLs may hold credentials, so all of it is sealed."""

    friendly_name: str = ""
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"
    sms_application_sid: str = ""
    status_callback: str = ""
    status_callback_method: str = "POST"


class Number(Struct, frozen=True):
    """A number an account owns and sends from."""

    id: int
    sid: str
    account_id: int
    phone: str  # E.164: the account's own, not a person's
    mps: float | None  # segments a second; None is unpaced
    created_ms: int
    updated_ms: int
    settings: NumberSettings = NumberSettings()


class Pace:
    """A sender's timetable: gives each message its time, `mps` segments a second.

    A plain clock of the next free slot, so that the queue's length in time is known at once.
    """

    __slots__ = ("_next_ms", "mps")

    def __init__(self, mps: float | None) -> None:
        self.mps = mps
        self._next_ms = 0.0

    def length_ms(self, segments: int) -> float:
        """How long a message occupies the sender; 0 when it is unpaced."""
        return 1000 * segments / self.mps if self.mps else 0.0

    def wait_ms(self, now_ms: int) -> int:
        """How long what is queued already takes to send."""
        return max(0, int(self._next_ms - now_ms))

    def is_full(self, now_ms: int) -> bool:
        """Is there no more room in its queue?"""
        return self._next_ms - now_ms > QUEUE_MS

    def occupy(self, now_ms: int, segments: int) -> None:
        """Put so many segments into the timetable without a limit: what is queued already."""
        self._next_ms = max(float(now_ms), self._next_ms) + self.length_ms(segments)

    def at(self, mps: float | None, now_ms: int) -> "Pace":
        """The timetable at another pace: what is queued already goes first."""
        after = Pace(mps)
        if self.mps:
            after.occupy(now_ms, ceil(max(0.0, self._next_ms - now_ms) * self.mps / 1000))
        return after

    def reserve(self, now_ms: int, segments: int) -> int | None:
        """When the message may go (Unix ms), or None when the queue is full (21611)."""
        if not self.mps:
            return now_ms
        slot = max(float(now_ms), self._next_ms)
        if slot - now_ms > QUEUE_MS:
            return None
        self._next_ms = slot + self.length_ms(segments)
        return int(slot)
