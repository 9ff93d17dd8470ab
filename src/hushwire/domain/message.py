"""A message and the facts that change it.

`TABLE` is the whole status machine: status → fact → status. `advance` is the only way a
message changes; it says what the fact changes and which tasks follow, and returns None for
what is late or repeated, which is not an error. Pure: no I/O, no clock, no chance.
"""

from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from hushwire.domain.callback import endpoint_lane
from hushwire.domain.extras import extras_of
from hushwire.domain.fallback import (
    FALLBACK_CODES,
    TOO_LATE,
    ends_ms,
    first_failure,
    is_in_time,
    may_fall_back,
)
from hushwire.domain.media import hold_ms, kind_of
from hushwire.domain.privacy import DEFAULTS, Windows
from hushwire.domain.task import Task, TaskKind, TaskRef
from hushwire.private import Private

SECOND: Final = 1000
RECEIPT_WAIT_MS: Final = 3_600 * SECOND  # then `sent` is final (twilio-messaging 5.3)
LATE_RECEIPT_MS: Final = 72 * 3_600 * SECOND  # a receipt later than this is not looked up
IN_DOUBT_WAIT_MS: Final = 3_600 * SECOND  # privacy-reliability 3.3

SUSPENDED_ERROR: Final = 30002
EXPIRED_ERROR: Final = 30036
UNKNOWN_ERROR: Final = 30008


class Status(StrEnum):
    """Twilio's words for where a message is (twilio-messaging 5.3)."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    CANCELED = "canceled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    READ = "read"
    RECEIVED = "received"


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"
    OUTBOUND_REPLY = "outbound-reply"


INBOUND: Final = Direction.INBOUND  # to look a member up costs more than a call


FactName = Literal[
    "chosen", "canceled", "fetched", "read", "attempted", "postponed", "doubted", "handed",
    "refused", "expired", "delivered", "undelivered", "wait_ended", "rerouted",
]  # fmt: skip

_Q, _G, _S = Status.QUEUED, Status.SENDING, Status.SENT
_D, _U, _F = Status.DELIVERED, Status.UNDELIVERED, Status.FAILED
(
    _SUBMIT, _SETTLE, _LATE, _REDACT, _CALLBACK, _CHOOSE, _INBOUND, _FETCH, _MEDIA,
) = TaskKind  # fmt: skip

TABLE: Final[dict[Status, dict[FactName, Status]]] = {
    Status.ACCEPTED: {"chosen": _Q, "refused": _F, "expired": _F},
    Status.SCHEDULED: {"chosen": _Q, "canceled": Status.CANCELED, "refused": _F, "expired": _F},
    Status.CANCELED: {},
    _Q: {"fetched": _Q, "attempted": _G, "refused": _F, "expired": _F},
    _G: {
        "attempted": _G, "postponed": _G, "doubted": _G, "handed": _S, "refused": _F,
        "expired": _F, "delivered": _D, "undelivered": _U, "wait_ended": _U,
        "rerouted": Status.ACCEPTED,
    },
    _S: {
        "delivered": _D, "undelivered": _U, "read": Status.READ, "wait_ended": _S,
        "rerouted": Status.ACCEPTED,  # a short code failed: a long code is to be chosen
    },
    _D: {"read": Status.READ},
    _U: {},
    _F: {},
    Status.READ: {},
    Status.RECEIVED: {},
}  # fmt: skip

FINAL: Final = frozenset(status for status, facts in TABLE.items() if not facts) | {_D}
WAITING: Final = frozenset({Status.ACCEPTED, Status.SCHEDULED})  # for a sender
OPEN: Final = frozenset({_Q, _G})  # not taken by a carrier yet
_LEFT: Final = frozenset({_S, *FINAL})  # with the network, or never to be
_REACHED: Final = frozenset({_S, _D, _U})  # these say when the message was sent
_WITH_ERROR: Final = frozenset({_F, _U})
# A change to these is told to the customer; to `queued` only from `accepted` or `scheduled`.
CALLED_BACK: Final = frozenset({_Q, _S, _D, _U, _F, Status.CANCELED, Status.READ})


class Fact(Struct, frozen=True, gc=False):
    """Something that happened to a message."""

    name: FactName
    error_code: int | None = None
    carrier_ref: str | None = None  # the carrier's id of the message, with `handed`
    retry_ms: int | None = None  # when to try again, with `postponed`
    done_date: str | None = None  # the receipt's own "done date", YYMMDDhhmm
    sender: Private | None = None  # with `chosen`
    due_ms: int = 0  # with `chosen`: when the sender has its turn
    price: int | None = None  # 1/100,000 of the currency, with `handed`


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
    service: str | None = None  # SID of its Messaging Service
    extras: Private | None = None  # JSON of what few messages have; forgotten with the body
    media: int = 0  # how many it has, or had
    send_at_ms: int = 0  # when a scheduled one is due
    price: int | None = None  # 1/100,000 of the currency; None until it is known
    withheld: int = 0  # bits: what is forgotten but for its key (domain/withholding.py)


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


def born(message: Message, due_ms: int, windows: Windows = DEFAULTS) -> Change:
    """The birth of a message, with its first task at `due_ms`.

    An outbound one is submitted, or first waits for its sender; an inbound one with a lane to
    a webhook is told there.
    """
    key = message.key
    if message.direction is INBOUND:
        tasks: tuple[Task, ...] = ()
        if message.callback_lane:
            tasks = (Task(key, 0, _INBOUND, message.callback_lane, due_ms, held=True),)
        if message.discard or message.obfuscate:  # told or not, it is held no longer
            due_ms = message.created_ms + windows.inbound * SECOND
            tasks += (Task(key, 1, _REDACT, message.lane, due_ms),)
        if message.media and message.discard:
            tasks += (_media_task(message, message.created_ms, windows),)
        return Change(None, message, tasks)
    soon = due_ms < message.created_ms + SECOND  # worth holding in memory
    if message.status in WAITING:
        return Change(None, message, (Task(key, 0, _CHOOSE, 0, due_ms, held=soon),))
    due_ms = min(due_ms, message.expires_ms)  # when its turn comes too late, it expires in time
    if message.media:
        return Change(None, message, (_ready_task(message, due_ms, held=soon),))
    submit = Task(key, 0, _SUBMIT, message.lane, due_ms, held=soon)
    return Change(None, message, (submit,))


def advance(
    message: Message, fact: Fact, now_ms: int, windows: Windows = DEFAULTS
) -> Change | None:
    """What `fact` changes, or None when it comes too late or twice.

    `windows`: its account's; how long what is to be forgotten outlives the hand-over (D5).
    """
    name, error_code, history = fact.name, fact.error_code, message.history
    if error_code in FALLBACK_CODES and may_fall_back(message.from_, message.extras):
        name, history = _second_try(message, name, now_ms)
    elif name == "rerouted":  # a conclusion from a failure, not a fact of its own
        return None
    status = TABLE[message.status].get(name)
    if status is None:
        return None
    if name == "wait_ended":
        if message.settled or (message.status is _G and not message.in_doubt):
            return None
        if status is _U:
            error_code = UNKNOWN_ERROR
    elif name == "expired":
        error_code = first_failure(history) or EXPIRED_ERROR
    if status is _F and message.sent_ms is not None:  # a carrier had taken its first try
        status, name = _U, "undelivered"
    reached = message.sent_ms is None and status in _REACHED
    final = status in FINAL
    after = replace(
        message,
        status=status,
        from_=message.from_ if fact.sender is None else fact.sender,
        price=message.price if fact.price is None else (message.price or 0) + fact.price,
        updated_ms=now_ms if now_ms > message.updated_ms else message.updated_ms,
        sent_ms=now_ms if reached else message.sent_ms,
        error_code=error_code if status in _WITH_ERROR else message.error_code,
        attempt=message.attempt + (name == "attempted"),
        in_doubt=name == "doubted" or (message.in_doubt and status is _G),
        settled=final or name == "wait_ended",
        history=history + history_line(name, now_ms, error_code),
    )
    if name == "rerouted":  # what was held from the hand-over on is held anew from the next
        choose = Task(after.key, 0, _CHOOSE, 0, now_ms, after.attempt, held=True)
        return Change(message, after, (choose,), ((after.key, 1), (after.key, 9)))
    if fact.sender is not None and message.obfuscate:  # what will be left of its address
        after = replace(after, from_shown=fact.sender.reveal())
    own = None if final or name == "read" else _own_task(after, fact, now_ms)
    puts = () if own is None else (own,)
    if status is not message.status:
        if status in CALLED_BACK and message.callback is not None and not _heard(message, status):
            puts += (_callback_task(after, fact, now_ms),)
        if status in _LEFT and message.status not in _LEFT:
            puts += _hold_tasks(after, now_ms, windows)
    return Change(message, after, puts, ((after.key, 0),) if final else ())


def _hold_tasks(after: Message, now_ms: int, windows: Windows) -> tuple[Task, ...]:
    """The ends of the holds that start when a message leaves."""
    tasks: tuple[Task, ...] = ()
    if after.discard or after.obfuscate:  # the recovery hold
        wait_s = 0 if after.status is Status.CANCELED else windows.recovery  # nobody can lose it
        tasks = (Task(after.key, 1, _REDACT, after.lane, now_ms + wait_s * SECOND),)
    if after.discard and after.media:
        tasks += (_media_task(after, now_ms, windows),)
    return tasks


def _second_try(message: Message, name: FactName, now_ms: int) -> tuple[FactName, str]:
    """What the failure of a short code leads to, and the history before it: a long code is to
    try, or it is too late for that.

    A receipt that comes before the carrier's answer is a plain failure: the answer might come
    when the second try is under way.
    """
    clear = message.status is _S or message.in_doubt or name == "refused"
    if not clear or "rerouted" not in TABLE[message.status]:
        return name, message.history
    if is_in_time(message.sent_ms, now_ms):
        return "rerouted", message.history
    return name, message.history + history_line(TOO_LATE, now_ms)


def _heard(message: Message, status: Status) -> bool:
    """Was the customer told this status already, at the message's first try?"""
    return (status is _Q and message.attempt > 0) or (status is _S and message.sent_ms is not None)


def _own_task(after: Message, fact: Fact, now_ms: int) -> Task | None:
    """The message's own task after this fact: what happens to it next if nothing else does."""
    key, lane = after.key, after.lane
    match fact.name:
        case "chosen":
            due = min(fact.due_ms, ends_ms(after.expires_ms, after.sent_ms))
            return _ready_task(after, due, held=due < now_ms + SECOND)
        case "fetched":
            return Task(key, 0, _SUBMIT, lane, now_ms, after.attempt, held=True)
        case "postponed":
            due = min(fact.retry_ms or now_ms, ends_ms(after.expires_ms, after.sent_ms))
            return Task(key, 0, _SUBMIT, lane, due, after.attempt)
        case "doubted":
            return Task(key, 0, _SETTLE, lane, now_ms + IN_DOUBT_WAIT_MS, after.attempt)
        case "handed":
            due = now_ms + RECEIPT_WAIT_MS
            return Task(key, 0, _SETTLE, lane, due, after.attempt, ref=fact.carrier_ref)
        case "wait_ended" if after.status is _S:
            due = now_ms + LATE_RECEIPT_MS
            return Task(key, 0, _LATE, lane, due, after.attempt)
        case _:
            return None


def _ready_task(message: Message, due_ms: int, *, held: bool) -> Task:
    """What comes next for a message that has its sender: its media are fetched, or it goes.

    Media are fetched by a lane for each server they come from: that of the first.
    """
    urls = () if message.attempt else extras_of(message.extras).media_urls  # got once
    kind, lane = (_FETCH, endpoint_lane(urls[0])) if urls else (_SUBMIT, message.lane)
    return Task(message.key, 0, kind, lane, due_ms, message.attempt, held=held)


def _media_task(message: Message, from_ms: int, windows: Windows) -> Task:
    """The end of the hold on its media, which begins at `from_ms`."""
    kind = kind_of(message.to, inbound=message.direction is INBOUND)
    due_ms = from_ms + hold_ms(kind, windows)
    return Task(message.key, 9, _MEDIA, message.lane, due_ms)


def _callback_task(after: Message, fact: Fact, now_ms: int) -> Task:
    detail = f"{after.status} {after.error_code or '-'} {fact.done_date or '-'}"
    n = CALLBACK_SLOTS[after.status]
    return Task(after.key, n, _CALLBACK, after.callback_lane, now_ms, detail=detail, held=True)


# Task number of each status's callback, in the order of statuses: what becomes due in the same
# millisecond is told by number.
CALLBACK_SLOTS: Final = {
    _Q: 2, _S: 3, _D: 4, _U: 5, _F: 6, Status.CANCELED: 7, Status.READ: 8,
}  # fmt: skip
SLOTS: Final = range(11)  # 9: the hold on its media; 10: what waits for a legal hold to end


def redacted(message: Message, now_ms: int, *, body: bool, address: bool = False) -> Change:
    """Forget the body, the address, or both; the row stays for billing and debugging.

    An address is forgotten only where `from_shown` and `to_shown` say what remains of it;
    they are recorded at birth, so that a crash in between cannot lose them.
    """
    shreds: list[int] = []
    after = message
    if body and after.content_key is not None and after.body is not None:
        shreds.append(after.content_key)
        after = replace(after, content_key=None, body=None, callback=None, extras=None)
    visible = after.to is not None and after.from_shown is not None
    if address and after.address_key is not None and visible:
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
    return Change(message, None, drops=tuple((message.key, n) for n in SLOTS), shreds=shreds)
