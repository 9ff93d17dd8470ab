"""A message and the facts that change it.

`TABLE` is the whole status machine: status → fact → status. `advance` is the only way a
message changes; it says what the fact changes and which tasks follow, and returns None for
what is late or repeated, which is not an error. Pure: no I/O, no clock, no chance.
"""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from hushwire.domain.task import Task, TaskKind, TaskRef
from hushwire.private import Private

SECOND: Final = 1000
RECEIPT_WAIT_MS: Final = 3_600 * SECOND  # then `sent` is final (twilio-messaging 5.3)
LATE_RECEIPT_MS: Final = 72 * 3_600 * SECOND  # a receipt later than this is not looked up
IN_DOUBT_WAIT_MS: Final = 3_600 * SECOND  # privacy-reliability 3.3
RECOVERY_MS: Final = 21_600 * SECOND  # D5: a discarded body outlives the hand-over by this

EXPIRED_ERROR: Final = 30036
UNKNOWN_ERROR: Final = 30008


class Status(StrEnum):
    """Twilio's words for where a message is (twilio-messaging 5.3)."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    RECEIVED = "received"


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"


FactName = Literal[
    "attempted", "postponed", "doubted", "handed", "refused",
    "expired", "delivered", "undelivered", "wait_ended",
]  # fmt: skip

_Q, _G, _S = Status.QUEUED, Status.SENDING, Status.SENT
_D, _U, _F = Status.DELIVERED, Status.UNDELIVERED, Status.FAILED

TABLE: Final[dict[Status, dict[FactName, Status]]] = {
    _Q: {"attempted": _G, "refused": _F, "expired": _F},
    _G: {
        "attempted": _G, "postponed": _G, "doubted": _G, "handed": _S, "refused": _F,
        "expired": _F, "delivered": _D, "undelivered": _U, "wait_ended": _U,
    },
    _S: {"delivered": _D, "undelivered": _U, "wait_ended": _S},
    _D: {},
    _U: {},
    _F: {},
    Status.RECEIVED: {},
}  # fmt: skip

FINAL: Final = frozenset(status for status, facts in TABLE.items() if not facts)
CALLED_BACK: Final = frozenset({_S, _D, _U, _F})  # a change to these is told to the customer


class Fact(Struct, frozen=True, gc=False):
    """Something that happened to a message."""

    name: FactName
    error_code: int | None = None
    carrier_ref: str | None = None  # the carrier's id of the message, with `handed`
    retry_ms: int | None = None  # when to try again, with `postponed`
    done_date: str | None = None  # the receipt's own "done date", YYMMDDhhmm


class Message(Struct, frozen=True, gc=False):
    """One message as the store holds it. Times are Unix milliseconds."""

    key: int
    tail: bytes
    sid: str
    account_id: int
    direction: Direction
    status: Status
    from_: Private | None  # None once the address was forgotten: see from_shown
    to: Private | None
    body: Private | None  # None once forgotten
    callback: Private | None  # StatusCallback with its fragment; forgotten with the body
    segments: int
    created_ms: int
    updated_ms: int
    content_key: int | None  # vault key reference; None once forgotten
    address_key: int | None
    expires_ms: int = 0  # end of the validity period
    sent_ms: int | None = None
    error_code: int | None = None
    attempt: int = 0  # times handed to a carrier
    in_doubt: bool = False  # on the wire when the process died; held until a receipt settles it
    settled: bool = False  # nothing more is expected: it may be deleted
    provide_feedback: bool = False
    discard: bool = False  # ContentRetention=discard
    obfuscate: bool = False  # AddressRetention=obfuscate
    from_shown: str | None = None  # what will be, or is, left of a forgotten address
    to_shown: str | None = None
    lane: int = 0  # of its own task: the trunk's lane
    callback_lane: int = 0  # hash of the callback's scheme, host and port
    history: str = ""  # a line per change: name, Unix ms, error code or "-"


class Change(Struct, frozen=True, gc=False):
    """What one fact changes: recorded in one transaction, or not at all."""

    before: Message | None  # None at birth
    after: Message | None  # None when deleted
    puts: tuple[Task, ...] = ()  # tasks to insert or replace
    drops: tuple[TaskRef, ...] = ()
    shreds: tuple[int, ...] = ()  # vault keys destroyed before the row is touched


def is_finished(message: Message) -> bool:
    """May it be deleted or redacted? (twilio-messaging 5.4)"""
    return message.status in FINAL or message.settled


def history_line(name: str, at_ms: int, error_code: int | None = None) -> str:
    """One line of a message's history. The first says its status at birth."""
    return f"{name} {at_ms} {error_code or '-'}\n"


def born(message: Message, due_ms: int) -> Change:
    """The birth of a message. Outbound ones start with a task to submit them at `due_ms`."""
    if message.direction is Direction.INBOUND:
        return Change(None, message)
    due_ms = min(due_ms, message.expires_ms)  # when its turn comes too late, it expires in time
    soon = due_ms < message.created_ms + SECOND  # worth holding in memory
    submit = Task(message.key, 0, TaskKind.SUBMIT, message.lane, due_ms, held=soon)
    return Change(None, message, (submit,))


def advance(
    message: Message, fact: Fact, now_ms: int, recovery_ms: int = RECOVERY_MS
) -> Change | None:
    """What `fact` changes, or None when it comes too late or twice.

    `recovery_ms`: how long a body or address to be forgotten outlives the hand-over (D5).
    """
    status = TABLE[message.status].get(fact.name)
    if status is None or (fact.name == "wait_ended" and message.settled):
        return None
    if fact.name == "wait_ended" and message.status is _G and not message.in_doubt:
        return None
    error_code = fact.error_code
    if fact.name == "expired":
        error_code = EXPIRED_ERROR
    elif fact.name == "wait_ended" and status is _U:
        error_code = UNKNOWN_ERROR
    after = replace(
        message,
        status=status,
        updated_ms=max(now_ms, message.updated_ms),
        sent_ms=now_ms if message.sent_ms is None and status in (_S, _D, _U) else message.sent_ms,
        error_code=error_code if status in (_F, _U) else message.error_code,
        attempt=message.attempt + (fact.name == "attempted"),
        in_doubt=fact.name == "doubted" or (message.in_doubt and status is _G),
        settled=status in FINAL or fact.name == "wait_ended",
        history=message.history + history_line(fact.name, now_ms, error_code),
    )
    puts: list[Task] = []
    own = _own_task(after, fact, now_ms)
    if own is not None:
        puts.append(own)
    if status is not message.status:
        if status in CALLED_BACK and message.callback is not None:
            puts.append(_callback_task(after, fact, now_ms))
        if message.status not in (_S, *FINAL) and (message.discard or message.obfuscate):
            left = status in (_S, *FINAL)
            if left:  # handed over, or never will be: the recovery hold starts
                due = now_ms + recovery_ms
                puts.append(Task(after.key, 1, TaskKind.REDACT, after.lane, due))
    return Change(message, after, tuple(puts), ((after.key, 0),) if status in FINAL else ())


def _own_task(after: Message, fact: Fact, now_ms: int) -> Task | None:
    """The message's own task after this fact: what happens to it next if nothing else does."""
    key, lane = after.key, after.lane
    match fact.name:
        case "attempted":
            return Task(key, 0, TaskKind.ATTEMPT, lane, now_ms, after.attempt, held=True)
        case "postponed":
            due = min(fact.retry_ms or now_ms, after.expires_ms)
            return Task(key, 0, TaskKind.SUBMIT, lane, due, after.attempt)
        case "doubted":
            return Task(key, 0, TaskKind.SETTLE, lane, now_ms + IN_DOUBT_WAIT_MS, after.attempt)
        case "handed":
            due = now_ms + RECEIPT_WAIT_MS
            return Task(key, 0, TaskKind.SETTLE, lane, due, after.attempt, ref=fact.carrier_ref)
        case "wait_ended" if after.status is _S:
            due = now_ms + LATE_RECEIPT_MS
            return Task(key, 0, TaskKind.LATE, lane, due, after.attempt)
        case _:
            return None


def _callback_task(after: Message, fact: Fact, now_ms: int) -> Task:
    detail = f"{after.status} {after.error_code or '-'} {fact.done_date or '-'}"
    n = CALLBACK_SLOTS[after.status]
    return Task(
        after.key, n, TaskKind.CALLBACK, after.callback_lane, now_ms, detail=detail, held=True
    )


CALLBACK_SLOTS: Final = {_S: 2, _D: 3, _U: 4, _F: 5}  # task number of each status's callback


def redacted(message: Message, now_ms: int, *, body: bool, address: bool = False) -> Change:
    """Forget the body, the address, or both; the row stays for billing and debugging.

    An address is forgotten only where `from_shown` and `to_shown` say what remains of it;
    they are recorded at birth, so that a crash in between cannot lose them.
    """
    shreds: list[int] = []
    after = message
    if body and after.content_key is not None:
        shreds.append(after.content_key)
        after = replace(after, content_key=None, body=None, callback=None)
    if address and after.address_key is not None and after.from_shown is not None:
        shreds.append(after.address_key)
        after = replace(after, address_key=None, from_=None, to=None)
    if not shreds:
        return Change(message, message)
    history = message.history + history_line("redacted", now_ms)
    after = replace(after, updated_ms=max(now_ms, message.updated_ms), history=history)
    waits = (after.discard and after.content_key is not None) or (
        after.obfuscate and after.address_key is not None and after.from_shown is not None
    )
    # A body redacted by hand leaves the hold on the address. What is still to be told the
    # customer goes with the body: the URL was sealed with it.
    numbers = (() if waits else (1,)) + (tuple(CALLBACK_SLOTS.values()) if body else ())
    return Change(
        message, after, drops=tuple((message.key, n) for n in numbers), shreds=tuple(shreds)
    )


def deleted(message: Message) -> Change:
    """Destroy both keys, then the row and all that waits for it."""
    shreds = tuple(k for k in (message.content_key, message.address_key) if k is not None)
    numbers = (0, 1, *CALLBACK_SLOTS.values())
    return Change(message, None, drops=tuple((message.key, n) for n in numbers), shreds=shreds)
