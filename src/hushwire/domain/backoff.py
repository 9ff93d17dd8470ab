"""When to try again: literal tables, no chance."""

from typing import Final

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE

# A carrier that says "not now": seconds at first, minutes later, until the validity ends.
CARRIER_MS: Final = (1_000, 2_000, 5_000, 10_000, 30_000, MINUTE, 2 * MINUTE, 5 * MINUTE)

# A callback nobody took, after its immediate retries: ten attempts over 75 h 35 min
# (the schedule of Standard Webhooks).
CALLBACK_MS: Final = (
    5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR,
)  # fmt: skip


def retry_ms(attempt: int) -> int:
    """How long to wait after the `attempt`-th refusal "not now" (from 1)."""
    return CARRIER_MS[min(max(attempt, 1), len(CARRIER_MS)) - 1]


def callback_retry_ms(attempt: int) -> int | None:
    """How long to wait after the `attempt`-th failed attempt (from 1); None: give up."""
    return CALLBACK_MS[attempt - 1] if attempt <= len(CALLBACK_MS) else None
