"""Receipts: the network's word on messages it accepted.

They come late, twice, before the answer to the submission, or for messages nobody knows.
`advance` says what each one changes; what it does not change is counted, not an error.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from hushwire.actions.prices import Prices
from hushwire.carriers.base import Receipt
from hushwire.clock import Clock
from hushwire.domain.fallback import first_failure
from hushwire.domain.message import Change, Fact, Message, Status, advance
from hushwire.observe import Metrics
from hushwire.store.store import Store


class Receiver:
    """Turns receipts into facts, a batch at a time."""

    def __init__(
        self, store: Store, clock: Clock, metrics: Metrics,
        prices: Prices | None = None,
    ) -> None:  # fmt: skip
        self._prices = prices
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._windows = store.accounts.windows

    def receipts(self, batch: Sequence[Receipt]) -> None:
        """Record what a batch of receipts changes."""
        keys: dict[int, Receipt] = {}
        twice: list[tuple[int, Receipt]] = []
        for receipt in batch:
            key = receipt.reference
            if key is None:
                key = self._store.key_by_ref(receipt.carrier_ref)
            if key is None:
                self._metrics.receipts["unknown"] += 1
            elif key in keys:
                twice.append((key, receipt))
            else:
                keys[key] = receipt
        self._apply(keys)
        for key, receipt in twice:
            self._apply({key: receipt})

    def _apply(self, receipts: dict[int, Receipt]) -> None:
        now_ms = self._clock.now_ms()
        found = self._store.load(list(receipts))
        changes: list[Change] = []
        for key, receipt in receipts.items():
            message = found.get(key)
            if message is None:
                self._metrics.receipts["unknown"] += 1
                continue
            if self._is_of_the_first_try(message, receipt):
                self._metrics.receipts["repeated"] += 1
                continue
            fact = _fact(receipt)
            if self._prices is not None and message.status is Status.SENDING:
                fact = replace(fact, price=self._prices.of(message))  # nothing else will say it
            change = advance(message, fact, now_ms, self._windows[message.account_id])
            if change is None:
                self._metrics.receipts["repeated"] += 1
                continue
            changes.append(change)
            if fact.price is not None and self._prices is not None:
                self._prices.charge(message, fact.price)
        if changes:
            self._metrics.receipts["applied"] += len(changes)
            self._store.record(changes)

    def _is_of_the_first_try(self, message: Message, receipt: Receipt) -> bool:
        """Did a long code take over since? Then a failure is the short code's, told again, unless
        it has the carrier's id that is waited for."""
        if receipt.delivered or message.attempt < 2 or first_failure(message.history) is None:
            return False
        return self._store.key_by_ref(receipt.carrier_ref) != message.key


def _fact(receipt: Receipt) -> Fact:
    return Fact(
        "delivered" if receipt.delivered else "undelivered",
        error_code=receipt.error_code,
        done_date=receipt.done_date,
    )
