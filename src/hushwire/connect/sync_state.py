"""Where a sync goes on from: what Singer calls state. It holds SIDs, times and counts alone.

The place in a list is a watermark (time, SID), and never "until that SID is met": what it names
may be erased by then. What was seen lately is kept with a version, so that the same is not told
twice; the version is made of nothing private.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct, json

from hushwire.connect.models import Message
from hushwire.connect.refused import INPUT, refused
from hushwire.connect.singer import FORGOTTEN

VERSION: Final = 1
FINAL: Final = frozenset({
    "delivered", "undelivered", "failed", "canceled", "received", "read", "partially_delivered",
})  # fmt: skip
SETTLES: Final = "sent"  # may stay so for ever, where no receipt comes
SEEN_MAX: Final = 10_000  # finished messages that are remembered, of an account

Mark = tuple[int, str]  # Unix seconds, SID: a place in a list


class Seen(Struct, frozen=True, array_like=True):
    """A message as it was told."""

    created: int  # Unix seconds
    updated: int
    is_open: bool  # its status may still change
    has_text: bool
    version: str


class Scan(Struct, frozen=True, omit_defaults=True):
    """A walk through a list that is not at its end."""

    top: Mark  # the newest message when it began
    until: int  # what is updated later, the next scan tells
    next: str  # path of the page that follows


class AccountState(Struct, frozen=True, omit_defaults=True):
    """Of the messages of one account."""

    top: Mark | None = None  # all up to it was told
    since: int | None = None  # Unix seconds: what was updated before was told
    seen: dict[str, Seen] = {}
    scan: Scan | None = None


class State(Struct, frozen=True, omit_defaults=True):
    """Of everything."""

    version: int = VERSION
    messages: dict[str, AccountState] = {}  # by SID of the account
    tombstones: int | None = None  # place in the backend's list of them
    accounts: dict[str, str] = {}  # SID → when it was updated, as it was told


def read_state(value: object) -> State:
    """The value of a STATE line; None and {} are the beginning. Raises Refused."""
    try:
        state = msgspec.convert(value or {}, State)
    except msgspec.ValidationError:
        state = State(version=0)
    if state.version != VERSION:
        raise refused(
            INPUT, "the state is none of hushwire sync: give the last STATE value that a target "
            "wrote, or none to begin anew", field="state",
        )  # fmt: skip
    return state


def state_json(state: State) -> object:
    """The value of a STATE line."""
    return {"version": VERSION, **msgspec.to_builtins(state)}


def seconds(date: str | None) -> int | None:
    """A date of the API (RFC 2822) as Unix seconds."""
    return None if date is None else int(parsedate_to_datetime(date).timestamp())


def iso(second: int) -> str:
    """2026-01-31T12:00:00Z."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def created_of(message: Message) -> int:
    return seconds(message.date_created) or 0


def updated_of(message: Message) -> int:
    """When it changed last; a backend that does not say so is believed not to know of any."""
    return seconds(message.date_updated) or created_of(message)


def listed_of(message: Message) -> int:
    """Where it stands in a list, at the latest: Twilio orders by when it was sent, we by birth."""
    return max(created_of(message), seconds(message.date_sent) or 0)


def seen_of(message: Message, settled: int) -> Seen:
    """`settled`: what was made before and is `sent` stays so (Unix seconds)."""
    created = created_of(message)
    stays = message.status == SETTLES and created < settled
    parts = (
        message.status, message.date_updated, message.date_sent, message.price,
        message.error_code, message.num_segments, message.num_media, bool(message.body),
        _is_shown(message.to), _is_shown(message.from_),
    )  # fmt: skip
    return Seen(
        created, updated_of(message), message.status not in FINAL and not stays,
        bool(message.body), blake2b(json.encode(parts), digest_size=5).hexdigest(),
    )  # fmt: skip


def kept(seen: dict[str, Seen], since: int, floor: int) -> dict[str, Seen]:
    """What need be remembered: what may change, what was updated since, what is above the floor.

    Of what is finished `SEEN_MAX` at most, the newest: the rest may be told once more.
    """
    opened = {sid: each for sid, each in seen.items() if each.is_open}
    others = [
        (sid, each) for sid, each in seen.items()
        if not each.is_open and (each.updated >= since or each.created >= floor)
    ]  # fmt: skip
    if len(others) > SEEN_MAX:
        others = sorted(others, key=lambda pair: pair[1].created)[-SEEN_MAX:]
    return {**opened, **dict(others)}


def _is_shown(number: str | None) -> bool:
    return bool(number) and not str(number).endswith(FORGOTTEN)
