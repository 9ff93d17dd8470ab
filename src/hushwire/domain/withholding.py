"""Withholding: what is to be forgotten and must be kept is gone for every reader (8.7, D4).

A minimum or a legal hold keeps a key, not its use: nothing opens it any more. When nothing
keeps it, it is destroyed. `withhold` makes so much of a change as is allowed now, and says when
to look again; the store asks it of every change that destroys something. Pure.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.domain.holds import FOREVER, Custody, Part, look_again_ms, releasable, unneeded
from hushwire.domain.message import (
    SLOTS,
    Change,
    Message,
    deleted,
    history_line,
    is_finished,
    redacted,
)
from hushwire.domain.privacy import Windows
from hushwire.domain.retention import DAY_MS, Retention
from hushwire.domain.task import Task, TaskKind

CONTENT: Final = 32  # bits of `Message.withheld`, and of its row's flags
ADDRESS: Final = 64
ROW: Final = 128
ALL: Final = CONTENT | ADDRESS | ROW

LOOK: Final = 1  # number of the task that looks when a time has come
LIFTED: Final = 10  # and of the one that waits for a legal hold to be lifted
UNFINISHED_LOOK_MS: Final = 3_600_000  # what is past its time and not finished


class Kept(Struct, frozen=True):
    """What must be kept of a message although it was to be forgotten, until when (Unix ms)."""

    content_ms: int = 0
    address_ms: int = 0
    legal: bool = False


def kept(message: Message, retention: Retention, *, legal: bool) -> Kept:
    """What the minimums of its account and legal holds keep of a message."""
    if legal:
        return Kept(FOREVER, FOREVER, legal=True)
    born_ms = message.created_ms
    return Kept(
        born_ms + retention.body_minimum_days * DAY_MS,
        born_ms + retention.numbers_minimum_days * DAY_MS,
    )


def legal_lane(account_id: int) -> int:
    """The lane of what waits until a legal hold of that account is lifted."""
    return -account_id


def waiting(record: int, account_id: int) -> Task:
    """The task of what is withheld until a legal hold is lifted."""
    return Task(record, LIFTED, TaskKind.REDACT, legal_lane(account_id), FOREVER)


def withhold(change: Change, keeps: Kept, now_ms: int) -> Change:
    """The change as far as it is allowed: what is kept is withheld instead of destroyed.

    Under a legal hold a message that is deleted leaves its row, too.
    """
    before, after = change.before, change.after
    if before is None:
        return change
    parts = ((CONTENT, before.content_key, keeps.content_ms),
             (ADDRESS, before.address_key, keeps.address_ms))  # fmt: skip
    spared = {
        bit: (key, until_ms) for bit, key, until_ms in parts
        if key is not None and key in change.shreds and now_ms < until_ms
    }  # fmt: skip
    if not spared and not (after is None and keeps.legal):
        return change
    if after is None:
        after = _hidden(before, now_ms)
    for bit, (key, _) in spared.items():
        after = _withheld(after, bit, key)
    if keeps.legal:
        task = waiting(after.key, after.account_id)
    else:
        asleep = change.after is None or (before.key, LOOK) in change.drops
        until_ms = min(until_ms for _, until_ms in spared.values())
        task = _looking(after, until_ms if asleep else now_ms)
    puts = change.puts
    if not any(put.number == task.number for put in puts):
        puts += (task,)
    waits = {put.number for put in puts}
    drops = tuple((record, number) for record, number in change.drops if number not in waits)
    keys = {key for key, _ in spared.values()}
    shreds = tuple(key for key in change.shreds if key not in keys)
    return Change(before, after, puts, drops, shreds)


def due(message: Message, custody: Custody, now_ms: int, windows: Windows) -> Change:
    """What is to become of a message now: its parts that nothing keeps are destroyed, those
    that only a minimum or a legal hold keeps are withheld, and when to look again.

    `after` is `before`, and there is nothing else in it, when nothing is to be done.
    """
    over_ms = message.created_ms + custody.retention.metadata_days * DAY_MS
    if over_ms <= now_ms and custody.finished and not message.withheld & ROW:
        return deleted(message)  # what must be kept of it is withheld when it is recorded
    gone = releasable(custody, now_ms, windows)
    hidden = unneeded(custody, now_ms, windows) - custody.withheld
    change = _forgotten(message, gone | hidden, now_ms)
    if change.after is None:
        return change
    left = replace(custody, alive=custody.alive - gone, withheld=custody.withheld | hidden)
    again_ms = look_again_ms(left, now_ms, windows)
    if over_ms <= now_ms and not is_finished(message):
        later_ms = max(now_ms + UNFINISHED_LOOK_MS, message.send_at_ms)
        again_ms = later_ms if again_ms is None else min(again_ms, later_ms)
    puts = () if again_ms is None else (_looking(message, again_ms),)
    if custody.legal and left.withheld & left.alive:
        puts += (waiting(message.key, message.account_id),)
    numbers = {LOOK, LIFTED}.difference(put.number for put in puts)
    drops = {number for _, number in change.drops if number != LOOK} | numbers
    if change.after is message and not puts:
        return change
    ordered = tuple((message.key, number) for number in sorted(drops))
    return Change(message, change.after, puts, ordered, change.shreds)


def _forgotten(message: Message, parts: frozenset[Part], now_ms: int) -> Change:
    """Forget these parts, withheld or not."""
    change = redacted(message, now_ms, body="content" in parts, address="address" in parts)
    after = change.after
    assert after is not None
    shreds = change.shreds
    if "content" in parts and message.withheld & CONTENT and message.content_key is not None:
        shreds += (message.content_key,)
        after = replace(after, content_key=None, withheld=after.withheld & ~CONTENT)
    if "address" in parts and message.withheld & ADDRESS and message.address_key is not None:
        shreds += (message.address_key,)
        after = replace(after, address_key=None, withheld=after.withheld & ~ADDRESS)
    if after.withheld & ROW and after.content_key is None and after.address_key is None:
        numbers = tuple((message.key, n) for n in SLOTS)
        return Change(message, None, drops=numbers, shreds=shreds)
    return Change(message, after, change.puts, change.drops, shreds)


def _withheld(message: Message, bit: int, key: int) -> Message:
    """The message without one part, which `key` would still open."""
    message = replace(message, withheld=message.withheld | bit)
    if bit == CONTENT:
        return replace(message, content_key=key, body=None, callback=None, extras=None)
    return replace(message, address_key=key, from_=None, to=None)


def _hidden(message: Message, now_ms: int) -> Message:
    """A message that is deleted, before what must be kept of it is put back."""
    return replace(
        message, content_key=None, address_key=None, withheld=ROW,
        body=None, callback=None, extras=None, from_=None, to=None,
        updated_ms=max(now_ms, message.updated_ms),
        history=message.history + history_line("deleted", now_ms),
    )  # fmt: skip


def _looking(message: Message, due_ms: int) -> Task:
    return Task(message.key, LOOK, TaskKind.REDACT, message.lane, due_ms)
