"""Deliveries: the log of attempts at status callbacks, without URL, number or text."""

from typing import Final

from hushwire.domain.entry import Entry

ANSWERED: Final = "answered"
ANSWER: Final = "status"  # an answer, but none of success


class Delivery(Entry, frozen=True, kw_only=True):
    """One attempt. `subject` is the message's SID."""

    status: str  # of the message, that was told
    attempt: int  # from 1
    outcome: str  # `answered`, `status`, or how the request failed: `connect`, `timeout_read`, …
    http_status: int | None
    ms: int  # how long it took
    last: bool  # no further attempt follows of itself
