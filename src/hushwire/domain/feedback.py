"""Feedback: what the customer reports of a message's outcome (twilio-messaging 5.8)."""

from typing import Literal

from msgspec import Struct

Outcome = Literal["confirmed", "unconfirmed"]


class Feedback(Struct, frozen=True):
    """The last report about a message. Times are Unix milliseconds."""

    outcome: Outcome
    created_ms: int  # of the first report
    updated_ms: int
