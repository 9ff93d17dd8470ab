"""Event Streams: sinks, subscriptions, and the events that can be subscribed to. Pure."""

from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.owned import Owned

Numbers = Literal["masked", "full"]

INBOUND: Final = "com.twilio.messaging.inbound-message.received"
TEST: Final = "com.twilio.eventstreams.test-event"
SCHEMA_VERSION: Final = 1


class Type(Struct, frozen=True):
    """A kind of event."""

    name: str
    schema: str
    what: str


_STATUS: Final = "Messaging.MessageStatus"
TYPES: Final[dict[str, Type]] = {
    kind.name: kind
    for kind in (
        Type(INBOUND, "Messaging.InboundMessageV1", "A message was received"),
        *(
            Type(f"com.twilio.messaging.message.{status}", _STATUS, f"A message is {status}")
            for status in (
                Status.DELIVERED, Status.FAILED, Status.QUEUED, Status.SENT, Status.UNDELIVERED,
            )
        ),
    )
}  # fmt: skip


class Sink(Owned, frozen=True, kw_only=True):
    """Where events go: a webhook."""

    description: str
    destination: str  # URL; may hold credentials
    batch: bool = True  # may a post hold several events?
    numbers: Numbers = "masked"  # of people; the account's own are whole
    test_id: str = ""  # of the last test event


class Subscription(Owned, frozen=True, kw_only=True):
    """Which events go to a sink."""

    description: str
    sink_sid: str
    types: dict[str, int]  # type → version of its schema


def type_of(message: Message) -> str | None:
    """The event that the last change of a message is; None when it is none."""
    last = message.history[message.history.rfind("\n", 0, -1) + 1 :].partition(" ")[0]
    if message.direction is Direction.INBOUND:
        return INBOUND if last == Status.RECEIVED else None
    status = _REACHED_BY.get(last)
    if status is None and last == "wait_ended" and message.status is Status.UNDELIVERED:
        status = Status.UNDELIVERED
    return f"com.twilio.messaging.message.{status}" if status is not None else None


_REACHED_BY: Final[dict[str, Status]] = {
    Status.QUEUED: Status.QUEUED, "handed": Status.SENT, "delivered": Status.DELIVERED,
    "undelivered": Status.UNDELIVERED, "refused": Status.FAILED, "expired": Status.FAILED,
}  # fmt: skip
