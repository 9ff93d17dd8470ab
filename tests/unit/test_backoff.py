"""When to try again: the tables say what the documents promise."""

from itertools import takewhile

from hushwire.domain.backoff import CALLBACK_MS, CARRIER_MS, callback_retry_ms, retry_ms

HOUR_MS = 3_600_000


def test_a_callback_is_tried_ten_times_over_75_hours_and_35_minutes() -> None:
    waits = list(takewhile(lambda wait: wait is not None, map(callback_retry_ms, range(1, 50))))
    assert len(waits) + 1 == 10
    assert sum(wait or 0 for wait in waits) == 75 * HOUR_MS + 35 * 60_000 + 5_000
    assert waits == sorted(CALLBACK_MS)


def test_a_carrier_is_asked_again_after_seconds_at_first_and_minutes_for_ever() -> None:
    assert retry_ms(1) == 1_000
    assert [retry_ms(n) for n in range(1, 9)] == sorted(CARRIER_MS)
    assert retry_ms(10_000) == 300_000


def test_an_attempt_that_was_not_counted_waits_as_the_first_does() -> None:
    assert retry_ms(0) == retry_ms(1)
