"""What can be done with Event Streams: sinks, subscriptions, and feeding them."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.sid import new_sid
from hushwire.domain.stream import (
    SCHEMA_VERSION,
    TEST,
    TYPES,
    Numbers,
    Sink,
    Subscription,
    type_of,
)
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.commit import Batch
from hushwire.store.outbox import Draft, Outbox
from hushwire.store.owned import OwnedRecords

SINKS_MAX: Final = 100  # of an account
SUBSCRIPTIONS_MAX: Final = 100
DESCRIPTION_MAX: Final = 256


class NewSink(Struct, frozen=True):
    """A sink as it is asked for."""

    description: str
    destination: str
    batch: bool = True
    numbers: Numbers = "masked"


class Streams:
    """The actions on Event Streams, for every door."""

    def __init__(
        self, owned: OwnedRecords, outbox: Outbox, guard: Guard, clock: Clock, entropy: Entropy
    ) -> None:
        self._owned = owned
        self._outbox = outbox
        self._guard = guard
        self._clock = clock
        self._entropy = entropy
        self._wanted: dict[int, dict[str, list[str]]] = {}  # account → type → sinks
        self._learn()

    # -- sinks ----------------------------------------------------------------------------

    def sinks(self, account: Account) -> list[Sink]:
        """The account's, newest first."""
        return self._owned.of(Sink, account.id)

    def sink(self, account: Account, sid: str) -> Sink | None:
        """The account's sink of that SID, or None."""
        return self._owned.get(Sink, account.id, sid)

    def create_sink(self, account: Account, wanted: NewSink) -> Sink:
        """A webhook that events may be sent to. Raises Refusal for a URL that cannot be called."""
        if not 1 <= len(wanted.description) <= DESCRIPTION_MAX:
            raise Refusal("invalid_parameter", parameter="Description")
        if self._guard.check_syntax(wanted.destination) is not None:
            raise Refusal("invalid_parameter", parameter="SinkConfiguration")
        if len(self.sinks(account)) >= SINKS_MAX:
            raise Refusal("constraint_violation")
        now_ms = self._clock.now_ms()
        sink = Sink(
            sid=new_sid("DG", self._entropy.bytes(16)), account_id=account.id, created_ms=now_ms,
            updated_ms=now_ms, description=wanted.description, destination=wanted.destination,
            batch=wanted.batch, numbers=wanted.numbers,
        )  # fmt: skip
        self._owned.put(sink)
        return sink

    def delete_sink(self, sink: Sink) -> None:
        """What waits for it is forgotten. Its subscriptions stay, and lead nowhere."""
        self._owned.delete(sink)
        self._outbox.clear(sink.sid)
        self._learn()

    def test_sink(self, sink: Sink) -> None:
        """Send it an event whose `test_id` proves that it came: see `validate_sink`."""
        test_id = new_sid("TE", self._entropy.bytes(16))
        self._owned.put(replace(sink, test_id=test_id))
        now_ms = self._clock.now_ms()
        detail = f"{TEST} {now_ms} -"
        self._outbox.put(Draft(sink.sid, sink.account_id, test_id, detail, now_ms))

    def validate_sink(self, sink: Sink, test_id: str) -> bool:
        """Is that the id of the last test event?"""
        return bool(test_id) and test_id == sink.test_id

    # -- subscriptions --------------------------------------------------------------------

    def subscriptions(self, account: Account, sink_sid: str | None = None) -> list[Subscription]:
        """The account's, newest first; those of one sink."""
        found = self._owned.of(Subscription, account.id)
        return [sub for sub in found if sink_sid in (None, sub.sink_sid)]

    def subscription(self, account: Account, sid: str) -> Subscription | None:
        """The account's subscription of that SID, or None."""
        return self._owned.get(Subscription, account.id, sid)

    def subscribe(
        self, account: Account, description: str, sink_sid: str, types: Mapping[str, int]
    ) -> Subscription:
        """Events of these types go to the sink from now on.

        Raises Refusal for a sink that is not the account's, and types that are not there.
        """
        if not 1 <= len(description) <= DESCRIPTION_MAX:
            raise Refusal("invalid_parameter", parameter="Description")
        if self.sink(account, sink_sid) is None:
            raise Refusal("invalid_parameter", parameter="SinkSid")
        _check_types(types)
        if len(self.subscriptions(account)) >= SUBSCRIPTIONS_MAX:
            raise Refusal("constraint_violation")
        now_ms = self._clock.now_ms()
        made = Subscription(
            sid=new_sid("DF", self._entropy.bytes(16)), account_id=account.id, created_ms=now_ms,
            updated_ms=now_ms, description=description, sink_sid=sink_sid, types=dict(types),
        )  # fmt: skip
        return self._put(made)

    def update_subscription(
        self, account: Account, subscription: Subscription, description: str | None,
        sink_sid: str | None,
    ) -> Subscription:  # fmt: skip
        """Another description or sink; None leaves it. Raises Refusal as `subscribe` does."""
        if description is not None and not 1 <= len(description) <= DESCRIPTION_MAX:
            raise Refusal("invalid_parameter", parameter="Description")
        if sink_sid is not None and self.sink(account, sink_sid) is None:
            raise Refusal("invalid_parameter", parameter="SinkSid")
        if description is not None:
            subscription = replace(subscription, description=description)
        if sink_sid is not None:
            subscription = replace(subscription, sink_sid=sink_sid)
        return self._put(subscription)

    def set_type(self, subscription: Subscription, kind: str, version: int) -> Subscription:
        """Subscribe to one more type, or to another version of its schema."""
        _check_types({kind: version})
        return self._put(replace(subscription, types={**subscription.types, kind: version}))

    def unset_type(self, subscription: Subscription, kind: str) -> None:
        """No more events of that type. Raises Refusal for the last one: delete the whole."""
        types = {name: version for name, version in subscription.types.items() if name != kind}
        if not types:
            raise Refusal("constraint_violation")
        self._put(replace(subscription, types=types))

    def unsubscribe(self, subscription: Subscription) -> None:
        """No more events of this subscription. What waits already is still sent."""
        self._owned.delete(subscription)
        self._learn()

    # -- feeding --------------------------------------------------------------------------

    def feed(self, batch: Batch) -> None:
        """Write what sinks are to be told of a batch with it; called before it is written.

        Costs nothing while nobody subscribed to anything.
        """
        if not self._wanted:
            return
        newborn = {born.key for born in batch.newborn}
        drafts: list[Draft] = []
        for key, after in batch.settled:
            wanted = self._wanted.get(after.account_id) if after is not None else None
            if after is None or wanted is None:
                continue
            kind = type_of(after)
            for sink_sid in wanted.get(kind, ()) if kind is not None else ():
                at_ms = after.updated_ms
                detail = f"{kind} {at_ms} {after.error_code or '-'}"
                drafts.append(
                    Draft(
                        sink_sid, after.account_id, after.sid, detail, at_ms,
                        key if key in newborn else 0,
                    )
                )  # fmt: skip
        if drafts:
            self._outbox.put_with(batch, drafts)

    def _put(self, subscription: Subscription) -> Subscription:
        subscription = replace(subscription, updated_ms=self._clock.now_ms())
        self._owned.put(subscription)
        self._learn()
        return subscription

    def _learn(self) -> None:
        """Which sinks want what."""
        wanted: dict[int, dict[str, list[str]]] = {}
        for sub in self._owned.every(Subscription):
            if self._owned.get(Sink, sub.account_id, sub.sink_sid) is None:
                continue
            of_account = wanted.setdefault(sub.account_id, {})
            for kind in sub.types:
                sinks = of_account.setdefault(kind, [])
                if sub.sink_sid not in sinks:
                    sinks.append(sub.sink_sid)
        self._wanted = wanted


def _check_types(types: Mapping[str, int]) -> None:
    if not types:
        raise Refusal("parameter_required", parameter="Types")
    for kind, version in types.items():
        if kind not in TYPES or version != SCHEMA_VERSION:
            raise Refusal("invalid_parameter", parameter="Types")
