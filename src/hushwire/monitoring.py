"""The parts that watch: alerts, events, usage, the callback log, and who is told of them.

`assemble` makes one `Monitoring` a server. What it knows of the others it hears from the store
and the deliverer.
"""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

from starlette.routing import Route

from hushwire.actions.alerts import Alerts
from hushwire.actions.callbacks import CallbackLog
from hushwire.actions.deactivations import Deactivations
from hushwire.actions.debugger import PREFIX, Debuggers
from hushwire.actions.events import Events, Record
from hushwire.actions.scan import AccountScan
from hushwire.actions.streams import Streams
from hushwire.actions.usage import Usage
from hushwire.api.callbacks import CallbackResource
from hushwire.api.deactivations import DeactivationResource
from hushwire.api.debugger import DebuggerResource
from hushwire.api.door import Door
from hushwire.api.monitor import MonitorResource
from hushwire.api.sinks import SinkResource
from hushwire.api.subscriptions import SubscriptionResource
from hushwire.api.usage import UsageResource
from hushwire.api.wire import Scope
from hushwire.clock import Clock, Entropy
from hushwire.observe import Journal
from hushwire.outbound import Guard, HttpClient
from hushwire.settings import Settings
from hushwire.store.records import Records
from hushwire.store.store import Store
from hushwire.webhooks.cloud_events import EventWriter
from hushwire.webhooks.courier import Courier
from hushwire.webhooks.debugger import DebuggerWriter
from hushwire.webhooks.outcomes import Outcomes

SINKS: Final = "DG"  # how their SIDs begin
SWEEP_S: Final = 3_600.0


class Monitoring:
    """Make it once records and accounts are there; `start` it when the server starts working."""

    def __init__(
        self, settings: Settings, store: Store, records: Records, guard: Guard, clock: Clock,
        entropy: Entropy, *, shreds_stay: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        """`shreds_stay`: may the vault's filesystem keep what is overwritten? None: not known."""
        owned, outbox, entries = records.owned, records.outbox, records.entries
        self._store = store
        self._records = records
        self._clock = clock
        self.debuggers = Debuggers(owned, outbox, guard, clock, entropy)
        self.alerts = Alerts(entries, self.debuggers, clock, entropy)
        self.events = Events(entries, store.accounts, clock, entropy)
        self.log = CallbackLog(store, entries, clock, entropy, settings.callback_log)
        self.streams = Streams(owned, outbox, guard, clock, entropy)
        self.usage = Usage(store, records.usage, clock)
        self.outcomes = Outcomes(self.alerts, self.log)
        self.deactivations = Deactivations(settings.data / "deactivations", clock, entropy)
        store.writers += [records.usage.count, self.streams.feed]
        store.accounts.changed = owned.changed = self._changed
        self.scan = AccountScan(
            store, records, self.alerts, clock, get_webhooks=settings.get_webhooks,
            shreds_stay=shreds_stay,
        )  # fmt: skip
        self._courier: Courier | None = None

    def start(self, client: HttpClient, journal: Journal) -> None:
        """Tell what is to be told, from now on."""
        records, store = self._records, self._store
        self._courier = Courier(
            records.outbox, client, self._clock, journal,
            {
                PREFIX: DebuggerWriter(records.owned, records.entries, store.accounts),
                SINKS: EventWriter(records.owned, store),
            },
        )  # fmt: skip
        journal.metrics.queue("outbox", records.outbox.size)
        self._courier.start()
        self.scan.start()

    async def stop(self, within_s: float) -> None:
        """Post nothing more; before the client is closed."""
        self.scan.stop()
        if self._courier is not None:
            await self._courier.stop(within_s)

    def close(self) -> None:
        """Write what is counted and not yet told; once nothing fails any more."""
        self.alerts.close()

    async def run(self) -> NoReturn:
        """Once an hour, forget what is kept no longer. It is not shown any more already."""
        while True:
            self._records.sticky.sweep(self._clock.now_ms())
            while self._records.entries.sweep(self._clock.now_ms()):
                await self._store.append(lambda db: None)
            await asyncio.sleep(SWEEP_S)

    def _changed(self, before: Record | None, after: Record | None) -> None:
        """Something that an account has set up is another from now on."""
        self.events.changed(before, after)
        self.scan.changed(before, after)

    def busy(self) -> int:
        """Posts under way."""
        return self._courier.busy() if self._courier is not None else 0

    def routes(self, door: Door, base: Callable[[Scope], str], currency: str) -> list[Route]:
        """Of all resources that show this. `currency`: of all prices, ISO 4217."""
        return [
            *MonitorResource(self.alerts, self.events, door, base).routes(),
            *DebuggerResource(self.debuggers, door).routes(),
            *CallbackResource(self.log, door).routes(),
            *UsageResource(self.usage, door, self._clock, currency).routes(),
            *DeactivationResource(self.deactivations, door, base).routes(),
            *SinkResource(self.streams, door, base).routes(),
            *SubscriptionResource(self.streams, door, base).routes(),
        ]
