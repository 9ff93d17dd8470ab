"""The status machine of a message: its table, and what `advance` makes of it."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.domain.callback import endpoint_lane
from hushwire.domain.extras import Extras
from hushwire.domain.message import (
    CALLBACK_SLOTS,
    CALLED_BACK,
    EXPIRED_ERROR,
    FINAL,
    IN_DOUBT_WAIT_MS,
    LATE_RECEIPT_MS,
    RECEIPT_WAIT_MS,
    TABLE,
    UNKNOWN_ERROR,
    WAITING,
    Direction,
    Fact,
    FactName,
    Message,
    Status,
    advance,
    born,
    deleted,
    is_finished,
    redacted,
)
from hushwire.domain.privacy import DEFAULTS
from hushwire.domain.task import Task, TaskKind
from hushwire.private import Private

NOW = 1_760_000_000_000
LANE, CALLBACK_LANE = 7, 9
FACTS: tuple[FactName, ...] = get_args(FactName)
RANK = {
    **dict.fromkeys(WAITING, -1), Status.QUEUED: 0, Status.SENDING: 1, Status.SENT: 2,
    **dict.fromkeys(FINAL, 3), Status.READ: 4,
}  # fmt: skip


def a_message(**changes: object) -> Message:
    message = Message(
        key=NOW << 16,
        tail=bytes(8),
        sid="SM" + "0" * 32,
        account_id=1,
        direction=Direction.OUTBOUND_API,
        status=Status.QUEUED,
        from_=Private("+15005550006"),
        to=Private("+14155550123"),
        body=Private("Hi there"),
        callback=Private("https://example.com/status"),
        segments=1,
        created_ms=NOW,
        updated_ms=NOW,
        content_key=11,
        address_key=12,
        expires_ms=NOW + 36_000_000,
        lane=LANE,
        callback_lane=CALLBACK_LANE,
    )
    return replace(message, **changes)


def after(message: Message, *names: FactName) -> Message:
    for name in names:
        change = advance(message, Fact(name), NOW)
        assert change is not None
        assert change.after is not None
        message = change.after
    return message


def kinds(tasks: tuple[Task, ...]) -> set[TaskKind]:
    return {task.kind for task in tasks}


# --- The table -----------------------------------------------------------------------------


def test_every_status_is_reachable():
    reached = {*WAITING, Status.QUEUED, Status.RECEIVED}
    while True:
        more = {to for status in reached for to in TABLE[status].values()} - reached
        if not more:
            break
        reached |= more
    assert reached == set(Status) == set(TABLE)


def test_no_row_leads_backwards():
    """But for the second try, from a long code."""
    for status, facts in TABLE.items():
        for name, to in facts.items():
            assert RANK[to] >= RANK[status] or name == "rerouted"


def test_every_fact_is_used():
    assert {name for facts in TABLE.values() for name in facts} == set(FACTS)


@pytest.mark.parametrize("status", sorted(FINAL))
@pytest.mark.parametrize("name", FACTS)
def test_final_means_final(status: Status, name: FactName):
    """But for a channel's receipt that a delivered message was read."""
    message = a_message(status=status, settled=True)
    assert is_finished(message)
    change = advance(message, Fact(name, retry_ms=NOW), NOW)
    assert (change is not None) == (status is Status.DELIVERED and name == "read")


def test_callbacks_are_for_the_documented_statuses():
    """A change to sending has no callback, nor has the first status or anything inbound (5.3)."""
    assert set(Status) - CALLED_BACK == {*WAITING, Status.SENDING, Status.RECEIVED}
    into_queued = {status for status, facts in TABLE.items() if Status.QUEUED in facts.values()}
    assert into_queued - {Status.QUEUED} == WAITING, "born queued, it is not told"
    assert set(CALLBACK_SLOTS) == CALLED_BACK
    assert len({*CALLBACK_SLOTS.values(), 0, 1}) == len(CALLBACK_SLOTS) + 2


# --- Any sequence of facts -----------------------------------------------------------------

facts = st.builds(
    Fact,
    name=st.sampled_from(FACTS),
    error_code=st.none() | st.sampled_from([30003, 30005]),
    carrier_ref=st.none() | st.just("ref"),
    retry_ms=st.none() | st.integers(NOW, NOW + 50_000_000),
)
steps = st.lists(st.tuples(facts, st.integers(-5_000, 50_000)), max_size=25)
messages = st.builds(
    lambda discard, obfuscate, callback: a_message(
        discard=discard,
        obfuscate=obfuscate,
        callback=Private("https://example.com/") if callback else None,
    ),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(messages, steps)
def test_a_message_never_goes_backwards(message: Message, steps: list[tuple[Fact, int]]):
    now_ms, told, redactions = NOW, 0, 0
    for fact, wait_ms in steps:
        now_ms += wait_ms
        change = advance(message, fact, now_ms)
        if change is None:
            continue
        new = change.after
        assert change.before is message
        assert new is not None
        assert RANK[new.status] >= RANK[message.status]
        assert new.updated_ms >= message.updated_ms
        assert new.attempt >= message.attempt
        assert new.history.startswith(message.history)
        assert new.history.count("\n") == message.history.count("\n") + 1
        assert message.sent_ms is None or new.sent_ms == message.sent_ms
        assert is_finished(new) or not is_finished(message)
        assert (new.status in FINAL) == (change.drops == ((message.key, 0),))
        assert not (new.status in FINAL and any(task.number == 0 for task in change.puts))
        assert not (new.status in FINAL and new.in_doubt)
        assert change.shreds == ()
        numbers = [task.number for task in change.puts]
        assert len(set(numbers)) == len(numbers)
        told += sum(task.kind is TaskKind.CALLBACK for task in change.puts)
        redactions += sum(task.kind is TaskKind.REDACT for task in change.puts)
        message = new
    left = RANK[message.status] >= 2
    assert redactions == (left and (message.discard or message.obfuscate))
    assert told <= (3 if message.callback is not None else 0)


@given(messages, steps)
def test_an_unfinished_message_has_a_next_step(message: Message, steps: list[tuple[Fact, int]]):
    """Whatever happened, either nothing more is expected or a task of its own waits."""
    own = born(message, NOW).puts
    waiting = len(own) == 1
    for fact, _ in steps:
        change = advance(message, fact, NOW)
        if change is None:
            continue
        assert change.after is not None
        message = change.after
        if (message.key, 0) in change.drops:
            waiting = False
        waiting = waiting or any(task.number == 0 for task in change.puts)
    assert waiting or is_finished(message)


# --- Late and repeated facts ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "late"),
    [
        ((), "handed"),
        ((), "delivered"),
        ((), "wait_ended"),
        (("attempted",), "wait_ended"),  # on the wire, and not in doubt
        (("attempted", "handed"), "handed"),
        (("attempted", "handed"), "refused"),
        (("attempted", "handed"), "expired"),
        (("attempted", "handed"), "attempted"),
        (("attempted", "handed", "wait_ended"), "wait_ended"),
        (("attempted", "handed", "delivered"), "delivered"),
        (("attempted", "handed", "delivered"), "undelivered"),
        (("attempted", "delivered"), "handed"),
    ],
)
def test_late_or_repeated_facts_change_nothing(path: tuple[FactName, ...], late: FactName):
    assert advance(after(a_message(), *path), Fact(late), NOW) is None


def test_a_receipt_after_the_wait_still_counts():
    message = after(a_message(), "attempted", "handed", "wait_ended")
    assert message.status is Status.SENT
    assert is_finished(message)
    assert after(message, "delivered").status is Status.DELIVERED


# --- The tasks that follow -----------------------------------------------------------------


def test_birth_of_an_outbound_message_is_a_task_to_submit_it():
    change = born(a_message(), NOW)
    assert change.before is None
    assert change.after is not None
    assert not change.after.settled
    assert change.puts == (Task(NOW << 16, 0, TaskKind.SUBMIT, LANE, NOW, held=True),)


@pytest.mark.parametrize(
    ("due_ms", "expires_ms", "task_due_ms", "held"),
    [
        (NOW + 999, NOW + 5_000, NOW + 999, True),  # soon: kept in memory too
        (NOW + 1_000, NOW + 5_000, NOW + 1_000, False),
        (NOW + 9_000, NOW + 5_000, NOW + 5_000, False),  # its turn comes too late: it expires
    ],
)
def test_a_message_waits_for_its_turn_or_its_end(
    due_ms: int, expires_ms: int, task_due_ms: int, held: bool
):
    task = born(a_message(expires_ms=expires_ms), due_ms).puts[0]
    assert (task.due_ms, task.held) == (task_due_ms, held)


def test_birth_of_an_inbound_message_finishes_it():
    inbound = a_message(direction=Direction.INBOUND, status=Status.RECEIVED, settled=True)
    (task,) = born(inbound, NOW).puts
    assert (task.kind, task.number, task.lane) == (TaskKind.INBOUND, 0, CALLBACK_LANE)
    change = born(replace(inbound, callback_lane=0), NOW)
    assert change.puts == (), "nobody is to be told"
    assert change.after is not None
    assert is_finished(change.after)


@pytest.mark.parametrize(
    ("path", "fact", "kind", "due_ms"),
    [
        (("attempted",), Fact("postponed", retry_ms=NOW + 5), TaskKind.SUBMIT, NOW + 5),
        (("attempted",), Fact("doubted"), TaskKind.SETTLE, NOW + IN_DOUBT_WAIT_MS),
        (("attempted",), Fact("handed"), TaskKind.SETTLE, NOW + RECEIPT_WAIT_MS),
        (("attempted", "handed"), Fact("wait_ended"), TaskKind.LATE, NOW + LATE_RECEIPT_MS),
    ],
)
def test_each_fact_leaves_the_messages_own_task(
    path: tuple[FactName, ...], fact: Fact, kind: TaskKind, due_ms: int
):
    change = advance(after(a_message(callback=None), *path), fact, NOW)
    assert change is not None
    assert [(t.number, t.kind, t.lane, t.due_ms) for t in change.puts] == [(0, kind, LANE, due_ms)]


def test_a_mark_leaves_the_submission_as_it_is_and_counts():
    """That the message counts one attempt more than its task is what a restart goes by."""
    change = advance(a_message(), Fact("attempted"), NOW)
    assert change is not None
    assert change.after is not None
    assert (change.puts, change.drops, change.after.attempt) == ((), (), 1)


def test_a_postponed_message_is_not_tried_after_its_validity():
    message = after(a_message(expires_ms=NOW + 10), "attempted")
    change = advance(message, Fact("postponed", retry_ms=NOW + 999), NOW)
    assert change is not None
    assert change.puts[0].due_ms == NOW + 10


def test_the_carriers_id_waits_with_the_receipt():
    change = advance(after(a_message(), "attempted"), Fact("handed", carrier_ref="c-1"), NOW)
    assert change is not None
    assert [task.ref for task in change.puts if task.number == 0] == ["c-1"]


def test_a_status_is_told_once_in_its_own_slot():
    message = after(a_message(), "attempted")
    sent = advance(message, Fact("handed"), NOW)
    assert sent is not None
    assert sent.after is not None
    calls = [task for task in sent.puts if task.kind is TaskKind.CALLBACK]
    assert [(t.number, t.lane, t.detail) for t in calls] == [(3, CALLBACK_LANE, "sent - -")]
    settled = advance(sent.after, Fact("wait_ended"), NOW)
    assert settled is not None
    assert TaskKind.CALLBACK not in kinds(settled.puts)
    receipt = Fact("undelivered", error_code=30005, done_date="2510091200")
    told = advance(sent.after, receipt, NOW)
    assert told is not None
    assert [t.detail for t in told.puts] == ["undelivered 30005 2510091200"]


def test_no_callback_url_no_callback():
    change = advance(a_message(callback=None), Fact("refused", error_code=30006), NOW)
    assert change is not None
    assert change.puts == ()


def test_errors_are_those_of_the_last_fact():
    refused = advance(a_message(), Fact("refused", error_code=30006), NOW)
    expired = advance(a_message(), Fact("expired"), NOW)
    doubted = after(a_message(), "attempted", "doubted")
    lost = advance(doubted, Fact("wait_ended"), NOW)
    assert doubted.in_doubt
    assert [c and c.after and (c.after.status, c.after.error_code) for c in (
        refused, expired, lost)] == [
        (Status.FAILED, 30006),
        (Status.FAILED, EXPIRED_ERROR),
        (Status.UNDELIVERED, UNKNOWN_ERROR),
    ]  # fmt: skip


# --- Forgetting ----------------------------------------------------------------------------

SHOWN = {"from_shown": "+15005550006", "to_shown": "+1415555XXXX"}


@pytest.mark.parametrize(
    "path", [("refused",), ("attempted", "handed"), ("attempted", "delivered")]
)
def test_the_recovery_hold_starts_when_the_message_left(path: tuple[FactName, ...]):
    *early, last = path
    change = advance(after(a_message(discard=True), *early), Fact(last), NOW)
    assert change is not None
    holds = [task for task in change.puts if task.kind is TaskKind.REDACT]
    assert [(task.number, task.due_ms) for task in holds] == [(1, NOW + DEFAULTS.recovery * 1000)]


def test_a_redacted_body_takes_its_key_and_callbacks():
    message = after(a_message(discard=True), "refused")
    change = redacted(message, NOW - 5, body=True, address=False)
    assert change.after is not None
    assert (change.after.body, change.after.callback, change.after.content_key) == (None,) * 3
    assert change.after.to is message.to
    assert change.after.updated_ms == message.updated_ms
    assert change.shreds == (11,)
    assert change.drops == tuple((message.key, n) for n in (1, *CALLBACK_SLOTS.values()))


def test_redacting_the_body_by_hand_leaves_the_hold_on_the_address():
    message = after(a_message(obfuscate=True, **SHOWN), "refused")
    by_hand = redacted(message, NOW, body=True)
    assert (message.key, 1) not in by_hand.drops
    assert by_hand.after is not None
    at_the_end = redacted(by_hand.after, NOW, body=False, address=True)
    assert at_the_end.drops == ((message.key, 1),)


def test_a_forgotten_address_leaves_what_is_shown_and_its_callbacks():
    message = after(a_message(obfuscate=True, **SHOWN), "refused")
    change = redacted(message, NOW, body=False, address=True)
    assert change.after is not None
    assert (change.after.from_, change.after.to, change.after.address_key) == (None,) * 3
    assert change.after.to_shown == "+1415555XXXX"
    assert change.shreds == (12,)
    assert change.drops == ((message.key, 1),)


def test_an_address_stays_until_it_is_known_what_to_show():
    message = after(a_message(), "refused")
    assert redacted(message, NOW, body=False, address=True).after is message


def test_redacting_twice_changes_nothing():
    message = after(a_message(**SHOWN), "refused")
    once = redacted(message, NOW, body=True, address=True).after
    assert once is not None
    assert redacted(once, NOW, body=True, address=True).after is once


def test_deleting_destroys_both_keys_and_every_task():
    change = deleted(after(a_message(), "refused"))
    assert change.after is None
    assert change.shreds == (11, 12)
    assert {number for _, number in change.drops} == {0, 1, *CALLBACK_SLOTS.values(), 9, 10}


# --- Media ---------------------------------------------------------------------------------

MEDIA_URL = "https://pictures.example.com/a.png"
WITH_MEDIA = {"media": 1, "extras": Extras(media_urls=(MEDIA_URL,)).sealed()}


def test_media_are_fetched_before_the_message_goes():
    """At once or once a sender is chosen, by the lane of the server they come from."""
    waiting = a_message(status=Status.ACCEPTED, callback=None, **WITH_MEDIA)
    chosen = advance(waiting, Fact("chosen", due_ms=NOW + 7), NOW)
    fresh = born(a_message(callback=None, **WITH_MEDIA), NOW + 7)
    for change in (fresh, chosen):
        assert change is not None
        (task,) = change.puts
        assert (task.number, task.kind, task.due_ms) == (0, TaskKind.FETCH, NOW + 7)
        assert task.lane == endpoint_lane(MEDIA_URL)
        assert change.after is not None
        fetched = advance(change.after, Fact("fetched"), NOW + 9)
        assert fetched is not None
        (submit,) = fetched.puts
        assert (submit.number, submit.kind, submit.lane) == (0, TaskKind.SUBMIT, LANE)
        assert submit.due_ms == NOW + 9


@pytest.mark.parametrize(
    ("to", "hold_s"), [("+14155550123", 900), ("+16135550123", 900), ("+447911123456", 604_800)]
)
def test_media_to_be_forgotten_are_held_until_they_were_fetched(to: str, hold_s: int):
    """R16, R17: 15 minutes after the hand-over to the US or Canada, elsewhere seven days."""
    message = after(a_message(to=Private(to), discard=True, **WITH_MEDIA), "attempted")
    handed = advance(message, Fact("handed"), NOW)
    assert handed is not None
    held = [(t.number, t.due_ms) for t in handed.puts if t.kind is TaskKind.MEDIA]
    assert held == [(9, NOW + hold_s * 1000)]
    kept = advance(after(a_message(**WITH_MEDIA), "attempted"), Fact("handed"), NOW)
    assert kept is not None
    assert TaskKind.MEDIA not in kinds(kept.puts), "nobody asked to have them forgotten"


def test_inbound_media_to_be_forgotten_are_held_for_a_day():
    """R18."""
    message = a_message(
        direction=Direction.INBOUND, status=Status.RECEIVED, discard=True, media=1, callback_lane=0
    )
    hold, task = born(message, NOW).puts
    assert (hold.number, hold.kind, hold.due_ms) == (1, TaskKind.REDACT, NOW + 21_600_000)
    assert (task.number, task.kind, task.due_ms) == (9, TaskKind.MEDIA, NOW + 86_400_000)
