"""Holds: why something private still lives, and until when (D20, privacy-reliability 2.4).

A part of a message lives while a hold keeps it, and no longer. `HOLDS` is all of them; `holds`
says which of them are in force, from the record alone: after a crash it says the same again.
Every hold ends by a fact (handed over, told, canceled) or at its cap, whatever comes first.

Only the two `retain` holds have no end: they are what an account without redaction asks for.
"""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.message import (
    FINAL,
    IN_DOUBT_WAIT_MS,
    SECOND,
    Direction,
    Message,
    Status,
    is_finished,
)

CALLBACK_CAP_MS: Final = 6 * 3_600 * SECOND  # after the hand-over, told or not
FALLBACK_CAP_MS: Final = 900 * SECOND  # for the second try from a long code
LOOK_AGAIN_MS: Final = 60 * SECOND
FOREVER: Final = 1 << 62  # Unix ms: until somebody deletes it

Part = Literal["content", "address", "media", "session"]
MediaKind = Literal["mms", "link", "inbound"]
HoldName = Literal[
    "schedule", "queue", "transit", "recovery", "fallback", "callback", "webhook", "media",
    "undelivered", "session", "retain_content", "retain_address",
]  # fmt: skip


class Windows(Struct, frozen=True):
    """How long things are held, in seconds; an account may set each (its privacy settings)."""

    queue: int = 14_400  # longest validity of a message that is to be forgotten (D7)
    recovery: int = 21_600  # after the hand-over (D5)
    inbound: int = 21_600  # while the webhooks are tried
    media_us_ca: int = 900
    media_link: int = 604_800
    media_inbound: int = 86_400
    session: int = 86_400  # a WhatsApp recipient is one contact for so long
    undelivered: int = 604_800  # a channel tries again for so long


DEFAULTS: Final = Windows()


class Custody(Struct, frozen=True):
    """What decides how long the parts of one message live. Times are Unix milliseconds."""

    created_ms: int
    expires_ms: int = 0  # end of the validity period; of a scheduled one, from its time on
    send_at_ms: int | None = None  # scheduled for then
    on_wire_ms: int | None = None  # given to the carrier's socket, and no answer yet
    left_ms: int | None = None  # handed over; or failed, and never will be
    canceled: bool = False
    finished: bool = False  # nothing more is expected of it
    callback: bool = False  # it has a StatusCallback, sealed with its content
    callbacks_pending: bool = False
    fallback: bool = False  # a long code tries if the short code fails
    inbound: bool = False
    answered: bool = False  # a webhook took the inbound message, or there is none
    media: MediaKind | None = None
    channel: bool = False  # not SMS or MMS: the channel keeps trying, and counts contacts
    discard: bool = False  # content is to be forgotten
    obfuscate: bool = False  # the address is to be forgotten
    alive: frozenset[Part] = frozenset({"content", "address"})  # not destroyed yet


class Hold(Struct, frozen=True):
    """One reason for which parts of a message live."""

    name: HoldName
    reason: str
    owner: str  # who ends it, by a fact
    until_ms: int  # its cap
    keeps: frozenset[Part]


class _Rule(Struct, frozen=True):
    reason: str
    owner: str
    keeps: frozenset[Part]
    cap: Callable[[Custody, Windows], int | None]  # None: not in force


# --- When each ends ------------------------------------------------------------------------


def _schedule(custody: Custody, windows: Windows) -> int | None:
    return custody.send_at_ms if custody.left_ms is None else None


def _queue(custody: Custody, windows: Windows) -> int | None:
    waits = custody.left_ms is None and not custody.inbound
    return custody.expires_ms if waits else None


def _transit(custody: Custody, windows: Windows) -> int | None:
    if custody.left_ms is not None or custody.on_wire_ms is None:
        return None
    return custody.on_wire_ms + IN_DOUBT_WAIT_MS


def _after_leaving(custody: Custody, ms: int) -> int | None:
    if custody.left_ms is None or custody.canceled:
        return None
    return custody.left_ms + ms


def _recovery(custody: Custody, windows: Windows) -> int | None:
    return _after_leaving(custody, windows.recovery * SECOND)


def _fallback(custody: Custody, windows: Windows) -> int | None:
    waits = custody.fallback and not custody.finished
    return _after_leaving(custody, FALLBACK_CAP_MS) if waits else None


def _callback(custody: Custody, windows: Windows) -> int | None:
    waits = custody.callback and (custody.callbacks_pending or not custody.finished)
    if not waits or custody.left_ms is None:  # a cancellation is told too
        return None
    return custody.left_ms + CALLBACK_CAP_MS


def _webhook(custody: Custody, windows: Windows) -> int | None:
    waits = custody.inbound and not custody.answered
    return custody.created_ms + windows.inbound * SECOND if waits else None


def _media(custody: Custody, windows: Windows) -> int | None:
    match custody.media:
        case "mms":
            return _after_leaving(custody, windows.media_us_ca * SECOND)
        case "link":
            return _after_leaving(custody, windows.media_link * SECOND)
        case "inbound":
            return custody.created_ms + windows.media_inbound * SECOND
        case None:
            return None


def _undelivered(custody: Custody, windows: Windows) -> int | None:
    waits = custody.channel and not custody.finished
    return _after_leaving(custody, windows.undelivered * SECOND) if waits else None


def _session(custody: Custody, windows: Windows) -> int | None:
    if not custody.channel or custody.inbound:
        return None
    return _after_leaving(custody, windows.session * SECOND)


def _retain_content(custody: Custody, windows: Windows) -> int | None:
    return None if custody.discard else FOREVER


def _retain_address(custody: Custody, windows: Windows) -> int | None:
    return None if custody.obfuscate else FOREVER


_ALL: Final[frozenset[Part]] = frozenset({"content", "address", "media"})
_TEXT: Final[frozenset[Part]] = frozenset({"content", "address"})

HOLDS: Final[dict[HoldName, _Rule]] = {
    "schedule": _Rule("its time has not come", "dispatcher", _ALL, _schedule),
    "queue": _Rule("it waits for its turn", "dispatcher", _ALL, _queue),
    "transit": _Rule("the carrier has not answered", "dispatcher", _ALL, _transit),
    "recovery": _Rule("the carrier may lose it", "dispatcher", _TEXT, _recovery),
    "fallback": _Rule("a long code may have to try", "dispatcher", _ALL, _fallback),
    "callback": _Rule("its status is still to be told", "deliverer", _TEXT, _callback),
    "webhook": _Rule("no webhook has taken it", "deliverer", _ALL, _webhook),
    "media": _Rule("they are still being fetched", "clock", frozenset({"media"}), _media),
    "undelivered": _Rule("the channel still tries", "channel", _ALL, _undelivered),
    "session": _Rule("contacts are counted by the day", "clock", frozenset({"session"}), _session),
    "retain_content": _Rule(
        "the account keeps it", "account", frozenset({"content", "media"}), _retain_content
    ),
    "retain_address": _Rule(
        "the account keeps it", "account", frozenset({"address"}), _retain_address
    ),
}


# --- What is in force ----------------------------------------------------------------------


def holds(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> list[Hold]:
    """The holds in force, with what is left of what they keep. None: it may all be forgotten."""
    found: list[Hold] = []
    for name, rule in HOLDS.items():
        keeps = rule.keeps & custody.alive
        until_ms = rule.cap(custody, windows) if keeps else None
        if until_ms is not None and now_ms < until_ms:
            found.append(Hold(name, rule.reason, rule.owner, until_ms, keeps))
    return found


def releasable(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> frozenset[Part]:
    """The parts that live and that nothing keeps: to be destroyed now."""
    kept = (hold.keeps for hold in holds(custody, now_ms, windows))
    return custody.alive.difference(*kept)


def next_look_ms(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> int | None:
    """When the first hold ends by its cap (Unix ms); None when none does."""
    ends = [hold.until_ms for hold in holds(custody, now_ms, windows)]
    return min((end for end in ends if end < FOREVER), default=None)


def custody_of(message: Message, *, callbacks_pending: bool, answered: bool = True) -> Custody:
    """The custody of a message as it is stored.

    `answered`: for an inbound one, whether a webhook took it or there is none.
    """
    final = message.status in FINAL
    gone_ms = message.sent_ms if message.sent_ms is not None else message.updated_ms
    parts: set[Part] = set()
    if message.content_key is not None:
        parts.add("content")
    if message.address_key is not None:
        parts.add("address")
    inbound = message.direction is Direction.INBOUND
    return Custody(
        created_ms=message.created_ms,
        expires_ms=message.expires_ms,
        send_at_ms=message.send_at_ms or None,
        canceled=message.status is Status.CANCELED,
        on_wire_ms=message.updated_ms if message.status is Status.SENDING else None,
        left_ms=gone_ms if not inbound and (final or message.status is Status.SENT) else None,
        finished=is_finished(message),
        callback=message.callback is not None,
        callbacks_pending=callbacks_pending,
        inbound=inbound,
        answered=answered,
        discard=message.discard,
        obfuscate=message.obfuscate,
        alive=frozenset(parts),
    )


def held_until(message: Message, now_ms: int, *, callbacks_pending: bool) -> int | None:
    """When to look again (Unix ms), or None when nothing holds the body any longer.

    For the task that ends the recovery hold: it looks at the one hold that may outlast that.
    """
    handed_ms = message.sent_ms if message.sent_ms is not None else message.updated_ms
    if message.callback is None or now_ms >= handed_ms + CALLBACK_CAP_MS:
        return None
    if callbacks_pending or not is_finished(message):
        return now_ms + LOOK_AGAIN_MS
    return None
