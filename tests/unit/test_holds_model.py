"""Holds against a model: whatever happens, in whatever order, however the clock jumps.

The model says in its own words what a message is still needed for. What a sweep destroys must
not be needed; when every cap is over nothing may be left; a crash changes nothing.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from hushwire.domain.holds import (
    CALLBACK_CAP_MS,
    FOREVER,
    HOLDS,
    Custody,
    Windows,
    custody_of,
    holds,
    next_look_ms,
    releasable,
    unneeded,
)
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.privacy import DEFAULTS
from hushwire.domain.retention import Retention
from hushwire.private import Private

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_700_000_000_000
PARTS = frozenset({"content", "address", "media", "session"})
TWILIO = Retention(body_minimum_days=30, numbers_minimum_days=120)
RETENTIONS = [Retention(), TWILIO, Retention(body_days=10, numbers_days=20, media_days=3)]
LONGEST = 7 * DAY  # of all windows and caps, after the last thing that happened


def names(custody: Custody, now_ms: int, windows: Windows = DEFAULTS) -> set[str]:
    return {hold.name for hold in holds(custody, now_ms, windows)}


class MessageLife(RuleBasedStateMachine):
    """One message, from its birth until nothing of it is left."""

    @initialize(
        kind=st.sampled_from(["api", "scheduled", "inbound"]),
        discard=st.booleans(),
        obfuscate=st.booleans(),
        callback=st.booleans(),
        fallback=st.booleans(),
        channel=st.booleans(),
        media=st.sampled_from([None, "mms", "link"]),
        validity_ms=st.integers(1, 10 * HOUR),
        retention=st.sampled_from(RETENTIONS),
    )
    def birth(
        self, kind: str, validity_ms: int, media: Any, retention: Retention, **chosen: bool
    ) -> None:
        self.now = START
        self.changed = START  # when something last happened
        inbound = kind == "inbound"
        send_at = START + 3 * DAY if kind == "scheduled" else None
        self.custody = Custody(
            created_ms=START,
            expires_ms=0 if inbound else (send_at or START) + validity_ms,
            send_at_ms=send_at,
            inbound=inbound,
            media="inbound" if inbound and media else media,
            discard=chosen["discard"],
            obfuscate=chosen["obfuscate"],
            callback=chosen["callback"] and not inbound,
            fallback=chosen["fallback"] and not inbound,
            channel=chosen["channel"],
            retention=retention,
            alive=frozenset(
                {"content", "address"} | ({"media"} if media else set())
                | ({"session"} if chosen["channel"] and not inbound else set())
            ),
        )  # fmt: skip

    def happens(self, **changes: Any) -> None:
        self.custody = replace(self.custody, **changes)
        self.changed = self.now

    @property
    def waits(self) -> bool:
        return self.custody.left_ms is None and not self.custody.inbound

    # -- facts ----------------------------------------------------------------------------

    @precondition(lambda self: self.waits and self.now < self.custody.expires_ms)
    @rule()
    def attempted(self) -> None:
        if self.now >= (self.custody.send_at_ms or 0):
            assert "content" in self.custody.alive  # it is needed now
            assert "address" in self.custody.alive
            self.happens(on_wire_ms=self.now)

    @precondition(lambda self: self.waits and self.custody.on_wire_ms is not None)
    @rule(answer=st.sampled_from(["handed", "postponed", "refused"]))
    def carrier_answers(self, answer: str) -> None:
        if answer == "postponed":
            self.happens(on_wire_ms=None)
        else:
            tells = self.custody.callback
            finished = answer == "refused"
            self.happens(left_ms=self.now, finished=finished, callbacks_pending=tells)

    @precondition(lambda self: self.waits and self.now >= self.custody.expires_ms)
    @rule()
    def expired(self) -> None:
        self.happens(left_ms=self.now, finished=True, callbacks_pending=self.custody.callback)

    @precondition(lambda self: self.waits and self.custody.send_at_ms is not None)
    @rule()
    def canceled(self) -> None:
        if self.now < (self.custody.send_at_ms or 0):
            pending = self.custody.callback
            self.happens(left_ms=self.now, canceled=True, finished=True, callbacks_pending=pending)

    @precondition(lambda self: self.custody.left_ms is not None and not self.custody.finished)
    @rule()
    def receipt(self) -> None:
        self.happens(finished=True, callbacks_pending=self.custody.callback)

    @precondition(lambda self: self.custody.callbacks_pending)
    @rule()
    def told(self) -> None:
        self.happens(callbacks_pending=False)

    @precondition(lambda self: self.custody.inbound)
    @rule()
    def answered(self) -> None:
        self.happens(answered=True)

    @precondition(lambda self: self.custody.inbound and not self.custody.answered)
    @rule()
    def answered_and_not_claimed(self) -> None:
        self.happens(answered=True, claim_ms=self.now + MINUTE)

    @rule(legal=st.booleans())
    def legal_hold_is_set_or_lifted(self, legal: bool) -> None:
        self.custody = replace(self.custody, legal=legal)

    # -- time, crashes, the sweep ---------------------------------------------------------

    @rule(ms=st.sampled_from([1, 999, MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 40 * DAY]))
    def clock_jumps(self, ms: int) -> None:
        self.now += ms

    @rule()
    def clock_jumps_to_the_next_end(self) -> None:
        end = next_look_ms(self.custody, self.now)
        if end is not None:
            assert end > self.now
            before = names(self.custody, end - 1)
            assert before == names(self.custody, self.now)  # nothing ends before
            assert names(self.custody, end) < before
            self.now = end

    @rule()
    def crash(self) -> None:
        stored = msgspec.json.encode(self.custody)
        again = msgspec.json.decode(stored, type=Custody)
        assert holds(again, self.now) == holds(self.custody, self.now)
        self.custody = again

    @rule()
    def sweep(self) -> None:
        gone = releasable(self.custody, self.now)
        hidden = unneeded(self.custody, self.now)
        assert gone <= hidden
        assert not hidden & self.needed()
        assert not gone & self.kept()
        alive = self.custody.alive - gone
        self.custody = replace(
            self.custody, alive=alive, withheld=(self.custody.withheld | hidden) & alive
        )

    def kept(self) -> set[str]:
        """The parts whose keys must not go, whoever asks."""
        custody = self.custody
        if custody.legal:
            return {"content", "address", "media"}
        age = self.now - custody.created_ms
        kept: set[str] = set()
        if age < custody.retention.body_minimum_days * DAY:
            kept.add("content")
        if age < custody.retention.numbers_minimum_days * DAY:
            kept.add("address")
        return kept

    def needed(self) -> set[str]:
        """What each part is for, in plain words."""
        custody, now = self.custody, self.now
        needed: set[str] = set()
        age = now - custody.created_ms
        if not custody.discard and age < custody.retention.body_days * DAY:
            needed |= {"content"}
        if not custody.discard and age < custody.retention.media_days * DAY:
            needed |= {"media"}
        if not custody.obfuscate and age < custody.retention.numbers_days * DAY:
            needed |= {"address"}
        everything = {"content", "address", "media"}
        if self.waits:
            if now < custody.expires_ms:  # it may still be sent
                needed |= everything
            if custody.on_wire_ms is not None and now < custody.on_wire_ms + HOUR:
                needed |= everything  # we do not know whether it was
        if custody.inbound:
            if not custody.answered and now < START + 6 * HOUR:
                needed |= everything
            if custody.claim_ms is not None and now < custody.claim_ms:
                needed |= {"content", "address"}
            if now < START + DAY:
                needed |= {"media"}
        if custody.left_ms is None:
            return needed - custody.withheld
        since = now - custody.left_ms
        if custody.callbacks_pending and since < 6 * HOUR:
            needed |= {"content", "address"}
        if not custody.canceled:
            if since < 6 * HOUR:
                needed |= {"content", "address"}
            if since < {"mms": 15 * MINUTE, "link": 7 * DAY}.get(custody.media or "", 0):
                needed |= {"media"}
            if not custody.finished and custody.fallback and since < 15 * MINUTE:
                needed |= everything
            if not custody.finished and custody.channel and since < 7 * DAY:
                needed |= everything
            if custody.channel and since < DAY:
                needed |= {"session"}
        return needed - custody.withheld

    @invariant()
    def holds_say_what_is_true(self) -> None:
        custody = getattr(self, "custody", None)
        if custody is None:
            return
        found = holds(custody, self.now)
        assert len({hold.name for hold in found}) == len(found)
        for hold in found:
            assert self.now < hold.until_ms
            assert hold.keeps
            assert hold.keeps <= custody.alive

    @invariant()
    def nothing_outlives_the_caps(self) -> None:
        custody = getattr(self, "custody", None)
        if custody is None:
            return
        end = max(self.changed, custody.expires_ms) + LONGEST
        kept = (set() if custody.discard else {"content", "media"}) | (
            set() if custody.obfuscate else {"address"}
        )
        assert custody.alive - unneeded(custody, end) <= kept
        end += 500 * DAY  # longer than anything is retained
        assert custody.alive - unneeded(custody, end) == set()
        lasting = custody.alive & {"content", "address", "media"} if custody.legal else set()
        assert custody.alive - releasable(custody, end) == lasting


MessageLife.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestMessageLife = MessageLife.TestCase


# --- Any record ----------------------------------------------------------------------------

TIMES = st.integers(START, START + 9 * DAY)
CUSTODIES = st.builds(
    Custody,
    created_ms=TIMES,
    expires_ms=TIMES,
    send_at_ms=st.none() | TIMES,
    on_wire_ms=st.none() | TIMES,
    left_ms=st.none() | TIMES,
    canceled=st.booleans(),
    finished=st.booleans(),
    callback=st.booleans(),
    callbacks_pending=st.booleans(),
    fallback=st.booleans(),
    inbound=st.booleans(),
    answered=st.booleans(),
    claim_ms=st.none() | TIMES,
    media=st.sampled_from([None, "mms", "link", "inbound"]),
    channel=st.booleans(),
    discard=st.booleans(),
    obfuscate=st.booleans(),
    alive=st.frozensets(st.sampled_from(sorted(PARTS))),
    withheld=st.frozensets(st.sampled_from(sorted(PARTS))),
    retention=st.sampled_from(RETENTIONS),
    legal=st.booleans(),
)
WINDOWS = st.builds(Windows, **dict.fromkeys(Windows.__struct_fields__, st.integers(0, 864_000)))


@settings(deadline=None)
@given(CUSTODIES, TIMES, st.integers(0, 20 * DAY), WINDOWS)
def test_time_alone_begins_no_hold(custody: Custody, now_ms: int, later: int, windows: Windows):
    assert names(custody, now_ms + later, windows) <= names(custody, now_ms, windows)


@settings(deadline=None)
@given(CUSTODIES, TIMES, WINDOWS)
def test_a_part_lives_just_when_a_hold_keeps_it(custody: Custody, now_ms: int, windows: Windows):
    kept = {part for hold in holds(custody, now_ms, windows) for part in hold.keeps}
    assert releasable(custody, now_ms, windows) == custody.alive - kept


@settings(deadline=None)
@given(CUSTODIES, WINDOWS)
def test_every_hold_but_a_legal_one_has_an_end(custody: Custody, windows: Windows):
    far = START + 500 * DAY
    assert names(custody, far, windows) <= {"legal"}
    lifted = replace(custody, legal=False)
    assert releasable(lifted, far, windows) == custody.alive


def test_the_table_is_whole():
    """Each row says why, who ends it, and what it keeps."""
    assert set(HOLDS) == {
        "schedule", "queue", "transit", "recovery", "fallback", "callback", "webhook", "claim",
        "media", "undelivered", "session", "retain_content", "retain_address", "retain_media",
        "mtl_content", "mtl_address", "legal",
    }  # fmt: skip
    for held in HOLDS.values():
        assert held.reason
        assert held.owner
        assert held.keeps <= PARTS


# --- By example ----------------------------------------------------------------------------

FORGET = Custody(START, START + 4 * HOUR, discard=True, obfuscate=True)


@pytest.mark.parametrize(
    ("changes", "after_ms", "expected"),
    [
        ({}, 0, {"queue"}),
        ({}, 4 * HOUR, set()),  # it expires, then
        ({"on_wire_ms": START + 4 * HOUR}, 5 * HOUR - 1, {"transit"}),
        ({"on_wire_ms": START + 4 * HOUR}, 5 * HOUR, set()),
        ({"left_ms": START, "finished": True}, 6 * HOUR - 1, {"recovery"}),
        ({"left_ms": START, "finished": True}, 6 * HOUR, set()),
        ({"left_ms": START, "canceled": True, "finished": True}, 0, set()),  # at once
        ({"send_at_ms": START + HOUR}, HOUR - 1, {"schedule", "queue"}),
        ({"send_at_ms": START + HOUR}, HOUR, {"queue"}),
        ({"left_ms": START, "fallback": True}, 15 * MINUTE - 1, {"recovery", "fallback"}),
        ({"left_ms": START, "fallback": True}, 15 * MINUTE, {"recovery"}),
        ({"left_ms": START, "fallback": True, "finished": True}, 0, {"recovery"}),
        ({"left_ms": START, "callback": True}, HOUR, {"recovery", "callback"}),
        ({"inbound": True, "expires_ms": 0}, 6 * HOUR - 1, {"webhook"}),
        ({"inbound": True, "expires_ms": 0}, 6 * HOUR, set()),
        ({"inbound": True, "expires_ms": 0, "answered": True}, 0, set()),
        ({"discard": False}, 400 * DAY - 1, {"retain_content"}),
        ({"discard": False}, 400 * DAY, set()),
        ({"obfuscate": False}, 400 * DAY - 1, {"retain_address"}),
        ({"retention": TWILIO}, 30 * DAY - 1, {"mtl_content", "mtl_address"}),
        ({"retention": TWILIO}, 30 * DAY, {"mtl_address"}),
        ({"retention": TWILIO}, 120 * DAY, set()),
        ({"legal": True}, 4_000 * DAY, {"legal"}),
    ],
)
def test_by_example(changes: dict[str, Any], after_ms: int, expected: set[str]):
    assert names(replace(FORGET, **changes), START + after_ms) == expected


@pytest.mark.parametrize(
    ("media", "lives_ms"), [("mms", 15 * MINUTE), ("link", 7 * DAY), ("inbound", DAY)]
)
def test_media_have_their_own_time(media: Any, lives_ms: int):
    """Seed rules R16, R17, R18: 15 minutes, 7 days, 24 hours."""
    inbound = media == "inbound"
    custody = replace(
        FORGET, media=media, inbound=inbound, answered=inbound, expires_ms=0,
        left_ms=None if inbound else START, finished=True, alive=frozenset({"media"}),
    )  # fmt: skip
    assert releasable(custody, START + lives_ms - 1) == set()
    assert releasable(custody, START + lives_ms) == {"media"}


def test_a_contact_of_a_channel_is_remembered_for_a_day():
    """Seed rule R20."""
    custody = replace(
        FORGET, channel=True, left_ms=START, finished=True, alive=frozenset({"session"})
    )
    assert names(custody, START + DAY - 1) == {"session"}
    assert releasable(custody, START + DAY) == {"session"}


def test_a_channel_that_still_tries_holds_a_text_until_it_is_delivered_or_a_week_went_by():
    """R21, R22; RC-6."""
    trying = replace(FORGET, channel=True, left_ms=START, alive=frozenset({"content"}))
    windows = Windows(recovery=0)
    assert {hold.name for hold in holds(trying, START + DAY, windows)} == {"undelivered"}
    assert releasable(replace(trying, finished=True), START + DAY, windows) == {"content"}
    assert releasable(trying, START + 7 * DAY, windows) == {"content"}


def test_the_next_look_passes_over_what_has_no_end():
    retained = replace(FORGET, discard=False)
    assert next_look_ms(retained, START) == START + 4 * HOUR
    assert next_look_ms(retained, START + 4 * HOUR) == START + 400 * DAY
    held = replace(retained, legal=True)
    assert next_look_ms(held, START + 400 * DAY) is None
    assert max(hold.until_ms for hold in holds(held, START)) == FOREVER


# --- Today's messages ----------------------------------------------------------------------


@settings(deadline=None)
@given(
    status=st.sampled_from([Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED]),
    settled=st.booleans(),
    callback=st.booleans(),
    pending=st.booleans(),
    recovery_s=st.sampled_from([0, 3_600, DEFAULTS.recovery]),
    after_ms=st.integers(0, 2_000 * DEFAULTS.recovery),
)
def test_agrees_with_the_task_that_redacts(
    status: Status, settled: bool, callback: bool, pending: bool, recovery_s: int, after_ms: int
):
    """The body lives while it may be lost by the carrier, or its status is still to be told."""
    message = Message(
        key=1, tail=b"", sid="SM", account_id=1, direction=Direction.OUTBOUND_API, status=status,
        from_=None, to=None, body=Private("x"), segments=1, created_ms=START - HOUR,
        callback=Private("https://example.com/s") if callback else None, discard=True,
        updated_ms=START, sent_ms=None if status is Status.FAILED else START, content_key=1,
        address_key=2, settled=settled or status is not Status.SENT,
    )  # fmt: skip
    now_ms = START + after_ms
    due = after_ms >= recovery_s * 1000
    told = not callback or (message.settled and not pending) or after_ms >= CALLBACK_CAP_MS
    forgets = due and told
    windows = Windows(recovery=recovery_s)
    gone = releasable(custody_of(message, callbacks_pending=pending), now_ms, windows)
    assert ("content" in gone) == forgets
    assert "address" not in gone  # it is not to be forgotten


@pytest.mark.parametrize(
    ("status", "direction", "expected"),
    [
        (Status.QUEUED, Direction.OUTBOUND_API, {"queue"}),
        (Status.SENDING, Direction.OUTBOUND_API, {"queue", "transit"}),
        (Status.SENT, Direction.OUTBOUND_API, {"recovery"}),
        (Status.RECEIVED, Direction.INBOUND, {"webhook"}),
    ],
)
def test_custody_of_a_message(status: Status, direction: Direction, expected: set[str]):
    message = Message(
        key=1, tail=b"", sid="SM", account_id=1, direction=direction, status=status, from_=None,
        to=None, body=Private("x"), callback=None, segments=1, created_ms=START, updated_ms=START,
        sent_ms=START if status is Status.SENT else None, content_key=1, address_key=None,
        expires_ms=START + HOUR, discard=True, obfuscate=True,
    )  # fmt: skip
    custody = custody_of(message, callbacks_pending=False, answered=False)
    assert custody.alive == {"content"}
    assert names(custody, START) == expected
