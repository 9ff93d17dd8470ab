"""Fallback to long code: which failures lead to a second try, when, and what is told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.domain.extras import Extras
from hushwire.domain.fallback import (
    FALLBACK_CAP_MS,
    FALLBACK_CODES,
    ends_ms,
    first_failure,
    may_fall_back,
)
from hushwire.domain.holds import custody_of, holds
from hushwire.domain.message import (
    EXPIRED_ERROR,
    FINAL,
    Direction,
    Fact,
    FactName,
    Message,
    Status,
    advance,
)
from hushwire.domain.privacy import Windows
from hushwire.domain.task import TaskKind
from hushwire.private import Private

NOW = 1_760_000_000_000
SHORT, LONG = Private("12345"), Private("+14155550111")
ASKED = Extras(fallback=True).sealed()
FAILED = Fact("undelivered", error_code=30005)


def a_message(**changes: object) -> Message:
    message = Message(
        key=NOW << 16, tail=bytes(8), sid="SM" + "0" * 32, account_id=1,
        direction=Direction.OUTBOUND_API, status=Status.QUEUED, from_=SHORT,
        to=Private("+14155550123"), body=Private("Hi there"),
        callback=Private("https://example.com/status"), segments=1, created_ms=NOW,
        updated_ms=NOW, content_key=11, address_key=12, expires_ms=NOW + 36_000_000,
        callback_lane=9, extras=ASKED,
    )  # fmt: skip
    return replace(message, **changes)


def after(message: Message, *facts: Fact | FactName, now_ms: int = NOW) -> Message:
    for fact in facts:
        change = advance(message, fact if isinstance(fact, Fact) else Fact(fact), now_ms)
        assert change is not None
        assert change.after is not None
        message = change.after
    return message


def told(message: Message, fact: Fact, now_ms: int = NOW) -> list[str]:
    """The statuses that the customer is told of because of `fact`."""
    change = advance(message, fact, now_ms)
    assert change is not None
    calls = (task.detail or "" for task in change.puts if task.kind is TaskKind.CALLBACK)
    return [detail.split()[0] for detail in calls]


SENDING = after(a_message(), "attempted")
SENT = after(SENDING, "handed")
REROUTED = after(SENT, FAILED)
CHOSEN = Fact("chosen", sender=LONG, due_ms=NOW)


@pytest.mark.parametrize("code", sorted(FALLBACK_CODES))
@pytest.mark.parametrize(("message", "name"), [(SENDING, "refused"), (SENT, "undelivered")])
def test_a_long_code_is_to_try(message: Message, name: FactName, code: int) -> None:
    """Refused by the carrier or by a receipt: the same message, and nobody is told of it yet."""
    change = advance(message, Fact(name, error_code=code), NOW + 1)
    assert change is not None
    now = change.after
    assert now is not None
    assert (now.sid, now.status, now.error_code) == (message.sid, Status.ACCEPTED, None)
    assert now.history.endswith(f"rerouted {NOW + 1} {code}\n")
    assert [(task.number, task.kind) for task in change.puts] == [(0, TaskKind.CHOOSE)]
    assert first_failure(now.history) == code


@pytest.mark.parametrize("code", [30001, 30003, 30004, 30007, 21610, 30010])
@pytest.mark.parametrize(
    ("message", "name", "status"),
    [(SENDING, "refused", Status.FAILED), (SENT, "undelivered", Status.UNDELIVERED)],
)
def test_a_block_or_a_filter_is_never_evaded(
    message: Message, name: FactName, status: Status, code: int
) -> None:
    now = after(message, Fact(name, error_code=code))
    assert (now.status, now.error_code) == (status, code)


@pytest.mark.parametrize(
    "changes",
    [
        {"from_": LONG},
        {"from_": Private("ACME")},
        {"extras": None},
        {"extras": Extras(tags="{}").sealed()},
    ],
)
def test_only_after_a_short_code_whose_service_asks_for_it(changes: dict[str, object]) -> None:
    assert after(replace(SENT, **changes), FAILED).status is Status.UNDELIVERED


def test_it_happens_once() -> None:
    again = after(REROUTED, CHOSEN, "attempted", "handed", FAILED)
    assert (again.status, again.error_code, again.attempt) == (Status.UNDELIVERED, 30005, 2)
    refused = after(REROUTED, CHOSEN, "attempted", Fact("refused", error_code=30008))
    assert (refused.status, refused.error_code) == (Status.UNDELIVERED, 30008)
    assert refused.history.splitlines()[-1].startswith("undelivered"), "a carrier had it"


def test_in_doubt_is_not_failure() -> None:
    """The wait ends with 30008, and nothing more is sent; a receipt is a failure."""
    doubted = after(SENDING, "doubted")
    assert after(doubted, "wait_ended").status is Status.UNDELIVERED
    assert after(doubted, FAILED).status is Status.ACCEPTED
    assert after(SENDING, FAILED).status is Status.UNDELIVERED, "the answer may still come"


def test_after_the_cap_the_failure_stands() -> None:
    late_ms = NOW + FALLBACK_CAP_MS
    assert after(SENT, FAILED, now_ms=late_ms - 1).status is Status.ACCEPTED
    late = after(SENT, FAILED, now_ms=late_ms)
    assert (late.status, late.error_code) == (Status.UNDELIVERED, 30005)
    names = [line.split()[0] for line in late.history.splitlines()]
    assert names[-2:] == ["fallback_expired", "undelivered"]


def test_the_body_lives_as_long_as_a_long_code_may_try() -> None:
    """Also where nothing else holds it; and no longer once the short code has delivered."""
    hidden = replace(SENT, callback=None, discard=True, obfuscate=True)
    windows = Windows(recovery=0)

    def names(message: Message, now_ms: int) -> set[str]:
        custody = custody_of(message, callbacks_pending=False)
        return {hold.name for hold in holds(custody, now_ms, windows)}

    assert names(hidden, NOW + FALLBACK_CAP_MS - 1) == {"fallback"}
    assert names(hidden, NOW + FALLBACK_CAP_MS) == set()
    assert names(after(hidden, "delivered"), NOW + 1) == set()
    assert names(after(hidden, FAILED), NOW + 1) == {"queue"}
    assert names(after(hidden, FAILED, CHOSEN, "attempted", "handed"), NOW + 1) == set()


def test_the_second_try_ends_with_the_cap_and_the_first_failure() -> None:
    queued = after(REROUTED, CHOSEN)
    assert ends_ms(queued.expires_ms, queued.sent_ms) == NOW + FALLBACK_CAP_MS
    assert ends_ms(NOW + 5, NOW) == NOW + 5, "or with its validity"
    slow = advance(REROUTED, Fact("chosen", sender=LONG, due_ms=NOW + 2 * FALLBACK_CAP_MS), NOW)
    assert slow is not None
    assert slow.puts[0].due_ms == NOW + FALLBACK_CAP_MS, "its turn comes too late"
    expired = after(queued, "expired")
    assert (expired.status, expired.error_code) == (Status.UNDELIVERED, 30005)
    never_taken = after(SENDING, Fact("refused", error_code=30006), CHOSEN, "expired")
    assert (never_taken.status, never_taken.error_code) == (Status.FAILED, 30006)
    assert after(a_message(), "expired").error_code == EXPIRED_ERROR


def test_a_status_is_told_once_and_no_failure_before_the_end() -> None:
    assert told(SENT, FAILED) == []
    assert told(REROUTED, CHOSEN) == []
    queued = after(REROUTED, CHOSEN)
    assert told(after(queued, "attempted"), Fact("handed")) == []
    again = after(queued, "attempted", "handed")
    assert told(again, Fact("delivered")) == ["delivered"]
    assert told(again, FAILED) == ["undelivered"]
    refused = after(SENDING, Fact("refused", error_code=30005), CHOSEN, "attempted")
    assert told(refused, Fact("handed")) == ["sent"], "it was not, at the first try"


def test_what_is_to_be_forgotten_is_held_anew() -> None:
    """The ends of the holds are dropped with the first try, and come back with the second."""
    hidden = replace(SENDING, discard=True, obfuscate=True, media=1, from_shown="12345")
    first = advance(hidden, Fact("handed"), NOW)
    assert first is not None
    assert first.after is not None
    assert {task.number for task in first.puts} >= {1, 9}
    second = advance(first.after, FAILED, NOW + 7)
    assert second is not None
    assert second.after is not None
    assert {number for _, number in second.drops} == {1, 9}
    chosen = after(second.after, CHOSEN, now_ms=NOW + 8)
    assert chosen.from_shown == LONG.reveal()
    handed = advance(after(chosen, "attempted"), Fact("handed"), NOW + 9)
    assert handed is not None
    assert {task.number for task in handed.puts} >= {1, 9}


def test_media_are_not_fetched_a_second_time() -> None:
    extras = Extras(media_urls=("https://pictures.example.com/a.png",), fallback=True).sealed()
    message = after(replace(SENT, media=1, extras=extras), FAILED)
    change = advance(message, CHOSEN, NOW)
    assert change is not None
    assert change.puts[0].kind is TaskKind.SUBMIT


def test_both_tries_are_paid_for() -> None:
    first = after(SENDING, Fact("handed", price=750), FAILED, CHOSEN, "attempted")
    assert after(first, Fact("handed", price=790)).price == 1_540


def test_nobody_can_say_rerouted() -> None:
    """It follows from a failure; it is not a fact that happens."""
    for message in (SENDING, SENT):
        assert advance(message, Fact("rerouted"), NOW) is None


def test_forgotten_parts_end_it() -> None:
    assert not may_fall_back(None, ASKED)
    assert not may_fall_back(SHORT, None)
    assert may_fall_back(SHORT, ASKED)


facts = st.builds(
    Fact,
    name=st.sampled_from([
        "chosen", "attempted", "postponed", "doubted", "handed", "refused", "expired",
        "delivered", "undelivered", "wait_ended",
    ]),
    error_code=st.none() | st.sampled_from([30003, 30005, 30006, 30008]),
    sender=st.just(LONG),
)  # fmt: skip
steps = st.lists(st.tuples(facts, st.sampled_from([0, 1_000, 300_000, FALLBACK_CAP_MS])))


@given(steps)
def test_whatever_happens_it_is_tried_again_once_and_told_once(
    steps: list[tuple[Fact, int]],
) -> None:
    """And not after the cap; what is told last is what it ends as."""
    message, now_ms, called = a_message(), NOW, list[str]()
    for fact, wait_ms in steps:
        now_ms += wait_ms
        change = advance(message, fact, now_ms)
        if change is None or change.after is None:
            continue
        if change.after.status is Status.ACCEPTED and message.status is not Status.ACCEPTED:
            assert message.from_ == SHORT
            assert message.sent_ms is None or now_ms < message.sent_ms + FALLBACK_CAP_MS
        called += told(message, fact, now_ms)
        message = change.after
    assert message.history.count("rerouted") <= 1
    assert len(set(called)) == len(called)
    ends = [status for status in called if status in ("delivered", "undelivered", "failed")]
    assert ends == called[-1:] if message.status in FINAL else not ends
