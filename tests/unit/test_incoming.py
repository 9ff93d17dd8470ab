"""Pure parts of what comes in: the table of tries, what is kept of a text, loops, keywords."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.domain.holds import DEFAULTS
from hushwire.domain.incoming import (
    LOOP_MAX,
    LOOP_WINDOW_MS,
    PAIRS_MAX,
    RETRY_MS,
    LoopGuard,
    Webhook,
    asked_for,
    asked_line,
    beginning,
    is_keyword_reply,
    keyword_reply_line,
    retry_ms,
    webhook_of,
)
from hushwire.domain.message import Direction, Message, Status, history_line
from hushwire.domain.optout import OptOut
from hushwire.domain.text import BODY_MAX, body_units
from hushwire.private import Private

PAIR = (Private("+14155550101"), Private("+15005550006"))


def message(history: str, direction: Direction = Direction.INBOUND) -> Message:
    return Message(
        1, b"", "SM1", 1, direction, Status.RECEIVED, *PAIR, None, None, 1, 0, 0, None, None,
        history=history,
    )  # fmt: skip


def test_all_tries_are_within_the_hold() -> None:
    """R10: stored six hours while the webhook is tried."""
    assert 5 * 3_600_000 < sum(RETRY_MS) < DEFAULTS.inbound * 1000
    assert [retry_ms(n) for n in range(1, len(RETRY_MS) + 1)] == list(RETRY_MS)
    assert retry_ms(len(RETRY_MS) + 1) is None


def test_a_webhook_needs_a_url() -> None:
    assert webhook_of("", "POST", "http://b.example.com/", "GET") is None
    assert webhook_of("http://a/", "GET", "", "POST") == Webhook("http://a/", "GET", "", "POST")


@given(st.text(st.characters() | st.just("\U0001f600"), max_size=2_000))
def test_of_a_long_text_the_beginning_is_kept(body: str) -> None:
    """T-10: 1,600 UTF-16 units, and no half of an emoji."""
    kept = beginning(body)
    assert body.startswith(kept)
    assert body_units(kept) <= BODY_MAX
    assert kept == body or body_units(kept) >= BODY_MAX - 1


def test_a_text_at_the_limit_is_whole() -> None:
    assert beginning("x" * 1_600) == "x" * 1_600
    assert beginning("x" * 1_601) == "x" * 1_600
    assert beginning("x" * 1_599 + "\U0001f600") == "x" * 1_599


@pytest.mark.parametrize("asked", OptOut)
def test_history_says_what_was_asked(asked: OptOut) -> None:
    born = history_line("received", 5)
    assert asked_for(message(born)) is None
    assert asked_for(message(born + asked_line(asked, 5))) is asked
    assert asked_for(message(born + asked_line(asked, 5) + history_line("redacted", 9))) is asked
    assert asked_for(message(born + history_line("redacted", 9))) is None
    assert asked_for(message("")) is None


def test_history_says_what_answers_a_keyword() -> None:
    queued = history_line("queued", 5)
    said = queued + keyword_reply_line(5) + history_line("attempted", 6)
    assert is_keyword_reply(message(said, Direction.OUTBOUND_REPLY))
    assert not is_keyword_reply(message(said, Direction.OUTBOUND_API))
    assert not is_keyword_reply(message(queued, Direction.OUTBOUND_REPLY))


def test_a_loop_is_stopped_until_it_is_quiet() -> None:
    """6.8: sixteen replies within 30 s of each other, then none."""
    guard = LoopGuard()
    times = [n * (LOOP_WINDOW_MS - 1) for n in range(LOOP_MAX + 1)]
    assert all(guard.allows(PAIR, at) for at in times)
    last = times[-1]
    assert not guard.allows(PAIR, last + 1)
    assert not guard.allows(PAIR, last + LOOP_WINDOW_MS - 1)
    assert guard.allows((PAIR[1], PAIR[0]), last + 1), "another pair"
    assert guard.allows(PAIR, last + LOOP_WINDOW_MS)
    assert guard.allows(PAIR, last + LOOP_WINDOW_MS + 1)


def test_slow_replies_are_no_loop() -> None:
    guard = LoopGuard()
    assert all(guard.allows(PAIR, n * LOOP_WINDOW_MS) for n in range(100))


def test_few_pairs_are_remembered() -> None:
    guard = LoopGuard()
    for n in range(PAIRS_MAX + 10):
        assert guard.allows((Private(str(n)), PAIR[1]), n)
    assert len(guard._pairs) == PAIRS_MAX
