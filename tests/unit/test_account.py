"""A sender's timetable: what it promises a message, and when it is full."""

from hypothesis import given
from hypothesis import strategies as st

from hushwire.domain.account import QUEUE_MS, Pace

NOW = 1_772_366_400_000

arrivals = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 10)), min_size=1, max_size=60)


@given(st.floats(0.1, 1_000), arrivals)
def test_slots_lie_a_message_apart_and_never_in_the_past(
    mps: float, messages: list[tuple[int, int]]
) -> None:
    pace = Pace(mps)
    now_ms, free_ms = NOW, 0.0
    for wait_ms, segments in messages:
        now_ms += wait_ms
        slot = pace.reserve(now_ms, segments)
        assert slot is not None
        assert slot >= now_ms
        assert slot > free_ms - 1  # whole milliseconds
        free_ms = max(free_ms, now_ms) + 1000 * segments / mps


@given(st.integers(1, 20))
def test_a_queue_of_ten_hours_is_full(segments: int) -> None:
    pace = Pace(1)
    taken = 0
    while pace.reserve(NOW, segments) is not None:
        taken += segments
    assert (taken - segments) * 1000 <= QUEUE_MS < taken * 1000
    assert pace.reserve(NOW + 1000 * segments, segments) is not None  # and moves on in time


def test_a_refused_message_takes_no_slot() -> None:
    pace = Pace(1)
    pace.occupy(NOW, QUEUE_MS // 1000 + 1)
    assert [pace.reserve(NOW, 1) for _ in range(5)] == [None] * 5
    assert pace.reserve(NOW + 1_000, 1) == NOW + 1_000 + QUEUE_MS


def test_what_is_queued_already_is_occupied() -> None:
    pace = Pace(2)
    pace.occupy(NOW, 10)
    pace.occupy(NOW, 2)
    assert pace.reserve(NOW, 1) == NOW + 6_000


def test_an_unpaced_sender_waits_for_nothing() -> None:
    pace = Pace(None)
    assert [pace.reserve(NOW, 10) for _ in range(1_000)] == [NOW] * 1_000
    assert pace.length_ms(10) == 0
