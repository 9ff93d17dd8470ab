"""Holds: why something private still lives, and until when (D20, privacy-reliability 2.4).

A part of a message lives while a hold keeps it, and no longer. `HOLDS` is all of them; `holds`
says which of them are in force, from the record alone: after a crash it says the same again.
Every hold ends by a fact (handed over, told, canceled) or at its cap, whatever comes first.

What an account does not ask to be forgotten is held by its retention (`retain_…`). A minimum
(`mtl_…`) or a legal hold keeps keys, not their use: a part that nothing else keeps is withheld.
Only a legal hold has no end of its own.
"""

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.fallback import FALLBACK_CAP_MS, may_fall_back
from hushwire.domain.incoming import claimable_ms
from hushwire.domain.media import MediaKind, hold_ms
from hushwire.domain.message import (
    FINAL,
    IN_DOUBT_WAIT_MS,
    SECOND,
    Direction,
    Message,
    Status,
    is_finished,
)
from hushwire.domain.privacy import DEFAULTS as DEFAULTS
from hushwire.domain.privacy import Windows as Windows
from hushwire.domain.retention import DAY_MS, Retention, days_of

CALLBACK_CAP_MS: Final = 6 * 3_600 * SECOND  # after the hand-over, told or not
LOOK_SOON_MS: Final = 5 * SECOND
LOOK_AGAIN_MS: Final = 60 * SECOND
LATELY_MS: Final = 300 * SECOND  # after it left
RETENTION: Final = Retention()
FOREVER: Final = 1 << 62  # Unix ms: until somebody ends it

Part = Literal["content", "address", "media", "session"]
HoldName = Literal[
    "schedule", "queue", "transit", "recovery", "fallback", "callback", "webhook", "claim",
    "media", "undelivered", "session", "retain_content", "retain_address", "retain_media",
    "mtl_content", "mtl_address", "legal",
]  # fmt: skip


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
    claim_ms: int | None = None  # what its webhook left out may be claimed until then
    media: MediaKind | None = None
    channel: bool = False  # not SMS or MMS: the channel keeps trying, and counts contacts
    discard: bool = False  # content is to be forgotten
    obfuscate: bool = False  # the address is to be forgotten
    alive: frozenset[Part] = frozenset({"content", "address"})  # not destroyed yet
    withheld: frozenset[Part] = frozenset()  # of these: what nobody may open any more
    retention: Retention = Retention()  # its account's
    legal: bool = False  # a legal hold is about it


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


def _claim(custody: Custody, windows: Windows) -> int | None:
    return custody.claim_ms if custody.inbound else None


def _media(custody: Custody, windows: Windows) -> int | None:
    if custody.media is None:
        return None
    kept_ms = hold_ms(custody.media, windows)
    if custody.media == "inbound":
        return custody.created_ms + kept_ms
    return _after_leaving(custody, kept_ms)


def _undelivered(custody: Custody, windows: Windows) -> int | None:
    waits = custody.channel and not custody.finished
    return _after_leaving(custody, windows.undelivered * SECOND) if waits else None


def _session(custody: Custody, windows: Windows) -> int | None:
    if not custody.channel or custody.inbound:
        return None
    return _after_leaving(custody, windows.session * SECOND)


def _days(custody: Custody, days: int) -> int:
    return custody.created_ms + days * DAY_MS


def _retain_content(custody: Custody, windows: Windows) -> int | None:
    return None if custody.discard else _days(custody, days_of(custody.retention, "body"))


def _retain_address(custody: Custody, windows: Windows) -> int | None:
    return None if custody.obfuscate else _days(custody, days_of(custody.retention, "numbers"))


def _retain_media(custody: Custody, windows: Windows) -> int | None:
    return None if custody.discard else _days(custody, days_of(custody.retention, "media"))


def _mtl_content(custody: Custody, windows: Windows) -> int | None:
    return _days(custody, custody.retention.body_minimum_days)


def _mtl_address(custody: Custody, windows: Windows) -> int | None:
    return _days(custody, custody.retention.numbers_minimum_days)


def _legal(custody: Custody, windows: Windows) -> int | None:
    return FOREVER if custody.legal else None


_ALL: Final[frozenset[Part]] = frozenset({"content", "address", "media"})
_TEXT: Final[frozenset[Part]] = frozenset({"content", "address"})
_BODY: Final[frozenset[Part]] = frozenset({"content"})
_NUMBERS: Final[frozenset[Part]] = frozenset({"address"})
_FILES: Final[frozenset[Part]] = frozenset({"media"})

HOLDS: Final[dict[HoldName, _Rule]] = {
    "schedule": _Rule("its time has not come", "dispatcher", _ALL, _schedule),
    "queue": _Rule("it waits for its turn", "dispatcher", _ALL, _queue),
    "transit": _Rule("the carrier has not answered", "dispatcher", _ALL, _transit),
    "recovery": _Rule("the carrier may lose it", "dispatcher", _TEXT, _recovery),
    "fallback": _Rule("a long code may have to try", "dispatcher", _ALL, _fallback),
    "callback": _Rule("its status is still to be told", "deliverer", _TEXT, _callback),
    "webhook": _Rule("no webhook has taken it", "deliverer", _ALL, _webhook),
    "claim": _Rule("what its webhook left out may be claimed", "customer", _TEXT, _claim),
    "media": _Rule("they are still being fetched", "clock", frozenset({"media"}), _media),
    "undelivered": _Rule("the channel still tries", "channel", _ALL, _undelivered),
    "session": _Rule("contacts are counted by the day", "clock", frozenset({"session"}), _session),
    "retain_content": _Rule("its account keeps it", "account", _BODY, _retain_content),
    "retain_address": _Rule("its account keeps it", "account", _NUMBERS, _retain_address),
    "retain_media": _Rule("its account keeps it", "account", _FILES, _retain_media),
    "mtl_content": _Rule("its account has a minimum", "account", _BODY, _mtl_content),
    "mtl_address": _Rule("its account has a minimum", "account", _NUMBERS, _mtl_address),
    "legal": _Rule("a legal hold is about it", "who set it", _ALL, _legal),
}


_BY_CLOCK: Final = frozenset(
    {"recovery", "claim", "media", "session", "mtl_content", "mtl_address"}
)
_RETAIN: Final = frozenset({"retain_content", "retain_address", "retain_media"})
_WITHHOLD: Final = frozenset({"mtl_content", "mtl_address", "legal"})  # they keep keys alone

# --- What is in force ----------------------------------------------------------------------


def holds(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> list[Hold]:
    """The holds in force, with what is left of what they keep. None: it may all be forgotten."""
    found: list[Hold] = []
    for name, rule in HOLDS.items():
        keeps = rule.keeps & custody.alive
        if name not in _WITHHOLD:
            keeps -= custody.withheld
        until_ms = rule.cap(custody, windows) if keeps else None
        if until_ms is not None and now_ms < until_ms:
            found.append(Hold(name, rule.reason, rule.owner, until_ms, keeps))
    return found


def releasable(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> frozenset[Part]:
    """The parts that live and that nothing keeps: to be destroyed now."""
    kept = (hold.keeps for hold in holds(custody, now_ms, windows))
    return custody.alive.difference(*kept)


def unneeded(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> frozenset[Part]:
    """The parts that live and that only a minimum or a legal hold keeps, if anything: gone for
    every reader now."""
    found = holds(custody, now_ms, windows)
    return custody.alive.difference(*(h.keeps for h in found if h.name not in _WITHHOLD))


def next_look_ms(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> int | None:
    """When the first hold ends by its cap (Unix ms); None when none does."""
    caps = (hold.until_ms for hold in holds(custody, now_ms, windows))
    return min((cap for cap in caps if cap < FOREVER), default=None)


def look_again_ms(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> int | None:
    """When something may be released or withheld (Unix ms); None when nobody need look.

    Some holds only the clock ends. The others end by a fact, before their cap, so that it is
    worth looking: soon after the message left, and seldom later. For what is retained the
    expiry looks, and for what a legal hold keeps who lifts it.
    """
    found = holds(custody, now_ms, windows)
    lately = custody.left_ms is not None and now_ms < custody.left_ms + LATELY_MS
    soon_ms = now_ms + (LOOK_SOON_MS if lately else LOOK_AGAIN_MS)
    looks: list[int] = []
    for part in custody.alive:
        wanted = part in custody.withheld
        ends = {
            hold.name: hold.until_ms
            for hold in found
            if part in hold.keeps and (hold.name in _WITHHOLD) is wanted
        }
        if not ends or "legal" in ends or _RETAIN & ends.keys():
            continue
        steady = [end for name, end in ends.items() if name in _BY_CLOCK]
        looks.append(max(steady) if steady else min(soon_ms, *ends.values()))
    return min(looks, default=None)


def custody_of(
    message: Message, *, callbacks_pending: bool, answered: bool = True,
    retention: Retention = RETENTION, legal: bool = False,
) -> Custody:  # fmt: skip
    """The custody of a message as it is stored.

    `answered`: for an inbound one, whether a webhook took it or there is none. `retention`: its
    account's. `legal`: is a legal hold about it?
    """
    final = message.status in FINAL
    gone_ms = message.sent_ms if message.sent_ms is not None else message.updated_ms
    parts: set[Part] = set()
    withheld: set[Part] = set()
    if message.content_key is not None:
        parts.add("content")
        if message.withheld and message.body is None:
            withheld.add("content")
    if message.address_key is not None:
        parts.add("address")
        if message.withheld and message.to is None:
            withheld.add("address")
    inbound = message.direction is Direction.INBOUND
    return Custody(
        created_ms=message.created_ms,
        expires_ms=message.expires_ms,
        send_at_ms=message.send_at_ms or None,
        canceled=message.status is Status.CANCELED,
        on_wire_ms=message.updated_ms if message.status is Status.SENDING else None,
        left_ms=gone_ms if not inbound and (final or message.status is Status.SENT) else None,
        finished=is_finished(message),
        fallback=may_fall_back(message.from_, message.extras),
        callback=message.callback is not None,
        callbacks_pending=callbacks_pending,
        inbound=inbound,
        answered=answered,
        claim_ms=claimable_ms(message) if inbound else None,
        discard=message.discard,
        obfuscate=message.obfuscate,
        alive=frozenset(parts),
        withheld=frozenset(withheld),
        retention=retention,
        legal=legal,
    )
