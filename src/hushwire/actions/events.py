"""What can be done with events: record every change of what an account has, list and fetch.

The stores of records tell of each change, so no action has to. Who made it is what the door
said last in the same request (`acting`).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Final, cast

from msgspec import Struct
from msgspec.structs import asdict

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account, ApiKey, Caller, Number
from hushwire.domain.alert import without_query
from hushwire.domain.content import Template
from hushwire.domain.debugger import Debugger
from hushwire.domain.entry import DAY_MS, KEPT_DAYS
from hushwire.domain.event import Changed, Event, Value
from hushwire.domain.owned import Owned
from hushwire.domain.service import Service
from hushwire.domain.sid import new_sid
from hushwire.store.accounts import Accounts
from hushwire.store.audit import acts
from hushwire.store.entries import Entries

Record = Account | ApiKey | Number | Owned

_TYPES: Final[dict[type[Record], str]] = {  # where Twilio's word is not that of our class
    ApiKey: "api-key", Number: "phone-number", Service: "messaging-service",
    Template: "content-template", Debugger: "debugger-webhook",
}  # fmt: skip
_NAMES: Final = {"phone": "phone_number", "secondary_token": "secondary_auth_token"}
_UNTOLD: Final = frozenset({
    "id", "sid", "owner_id", "created_ms", "updated_ms", "secret_hash", "test_id", "texts",
})  # fmt: skip
# Texts that are shown. Of any other only that it changed: it may be secret, or about a person.
_SHOWN: Final = re.compile(
    r"(friendly_name|status|kind|phone|digits|account_id|numbers|permissions|use_?case|country"
    r"|description|.*_(method|sid))\Z"
)
_URL: Final = re.compile(r"https?://", re.IGNORECASE)


class Actor(Struct, frozen=True):
    """Who makes a request."""

    sid: str  # of the account or the API key
    ip: str


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


def acting(caller: Caller, ip: str) -> None:
    """What changes from here on in this request, `caller` did."""
    sid = caller.key.sid if caller.key is not None else caller.account.sid
    _actor.set(Actor(sid, ip))
    acts(sid)


class Events:
    """The actions on events, for every door."""

    def __init__(
        self, entries: Entries, accounts: Accounts, clock: Clock, entropy: Entropy
    ) -> None:
        self._entries = entries
        self._accounts = accounts
        self._clock = clock
        self._entropy = entropy

    def changed(self, before: Record | None, after: Record | None) -> None:
        """A record was made (no `before`), changed, or deleted (no `after`), and is on disk."""
        record = after if after is not None else before
        assert record is not None
        changes = self._changes(before, after) if after is not None else {}
        if before is not None and after is not None and not changes:
            return
        what = "updated" if before is not None else "created"
        kind = _TYPES.get(type(record)) or _kebab(type(record).__name__)
        actor = _actor.get()
        self._entries.add(
            Event(
                sid=new_sid("AE", self._entropy.bytes(16)),
                account_id=_whose(before if before is not None else record),
                at_ms=self._clock.now_ms(),
                subject=record.sid,
                type=f"{kind}.{what if after is not None else 'deleted'}",
                resource_type=kind,
                actor_sid=actor.sid if actor is not None else None,
                source="api" if actor is not None else "twilio",
                ip=actor.ip if actor is not None else None,
                changes=changes,
            )
        )

    def page(
        self, account: Account, fits: Callable[[Event], bool], from_ms: int, before_ms: int,
        limit: int, after: str | None = None, *, upwards: bool = False,
    ) -> Sequence[Event]:  # fmt: skip
        """Up to `limit` of the account's events that fit, newest first: see `Entries.page`."""
        from_ms = max(from_ms, self._oldest_ms())
        return self._entries.page(
            Event, account.id, from_ms, before_ms, fits, limit, after, upwards=upwards
        )

    def fetch(self, account: Account, sid: str) -> Event | None:
        """The account's event of that SID, or None."""
        event = self._entries.get(Event, account.id, sid)
        return event if event is not None and event.at_ms >= self._oldest_ms() else None

    def _oldest_ms(self) -> int:
        return self._clock.now_ms() - KEPT_DAYS * DAY_MS

    def _changes(self, before: Record | None, after: Record) -> dict[str, Changed]:
        """Property → its values before and after, where they differ."""
        old = dict(_fields(before)) if before is not None else {}
        changes: dict[str, Changed] = {}
        for name, value in _fields(after):
            known = old.get(name)
            if value == known or (before is None and (not value or name == "account_id")):
                continue
            values = (self._value(name, known), self._value(name, value))
            if name == "account_id":
                name = "account_sid"
            changes[_NAMES.get(name, name)] = values
        return changes

    def _value(self, name: str, value: object) -> Value:
        """The value as an event may show it."""
        if name == "account_id" and isinstance(value, int):
            return self._accounts.by_id[value].sid
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, str):
            if _URL.match(value):
                return without_query(value)
            return value if not value or _SHOWN.match(name) else None
        if isinstance(value, tuple) and name == "permissions":
            return " ".join(cast("tuple[str, ...]", value))
        return None


def _whose(record: Record) -> int:
    """Whose log an event goes to: an account's changes are its parent's to see."""
    return record.owner_id if isinstance(record, Account) else record.account_id


def _fields(record: Struct) -> Iterator[tuple[str, object]]:
    """What events tell of a record, settings within it too."""
    for name, value in asdict(record).items():
        if isinstance(value, Struct):
            yield from _fields(value)
        elif name not in _UNTOLD:
            yield name, value


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()
