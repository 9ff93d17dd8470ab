"""The contract between a carrier (code that speaks to a network) and the dispatcher.

What the network does is a value, never an exception: an `Outcome` per submission, later a
`Receipt`. A carrier is told to `submit`; it reports through the two callables it was given,
in batches, on the event loop. No task, timer or future per message.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from hushwire.private import Private


class Submission(Struct, frozen=True, gc=False):
    """One message for the wire. `reference` is ours and comes back in receipts."""

    reference: int  # the message's key (SMPP: user_message_reference)
    from_: Private
    to: Private
    body: Private
    segments: int
    sid: str  # for networks that show it, as the simulated one does
    media: tuple[Private, ...] = ()  # URLs the network, or the phone, gets files from


class Accepted(Struct, frozen=True, gc=False):
    carrier_ref: str  # the network's id of the message


class Refused(Struct, frozen=True):
    error_code: int  # Twilio's delivery code (twilio-messaging 3.5)


class NotNow(Struct, frozen=True):
    retry_after_s: float


class Unsure(Struct, frozen=True):
    reason: str  # a fixed word, never text from the wire


Outcome = Accepted | Refused | NotNow | Unsure


class Receipt(Struct, frozen=True, gc=False):
    """The network's word on a submitted message."""

    carrier_ref: str
    reference: int | None  # our reference, when the network echoes it
    delivered: bool
    error_code: int | None  # Twilio's delivery code when not delivered
    done_date: str  # YYMMDDhhmm, as receipts carry it


ReportOutcomes = Callable[[Sequence[tuple[Submission, Outcome]]], None]
ReportReceipts = Callable[[Sequence[Receipt]], None]


class Carrier(Protocol):
    """A network to hand messages to."""

    name: str
    window: int  # submissions that may wait for their outcome at once

    def start(self, outcomes: ReportOutcomes, receipts: ReportReceipts) -> None:
        """Begin to work; outcomes and receipts are reported from now on."""
        ...

    def submit(self, batch: Sequence[Submission]) -> None:
        """Put the batch on the wire. Every submission gets exactly one outcome, unless we die."""
        ...

    def busy(self) -> int:
        """How many submissions wait for their outcome, and receipts due now are unreported."""
        ...

    async def stop(self) -> None:
        """Wait for open outcomes (bounded), then leave."""
        ...
