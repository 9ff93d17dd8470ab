"""The only file that knows every part: settings → parts → services, stopped in reverse."""

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from typing import Final

from hushwire.actions.accounts import Accounts, Administration
from hushwire.actions.applications import Applications
from hushwire.actions.audit import Audits, publish_daily
from hushwire.actions.contents import Contents
from hushwire.actions.feedback import FeedbackReports
from hushwire.actions.holds import MessageHolds
from hushwire.actions.idempotency import Idempotency
from hushwire.actions.incoming import Incoming
from hushwire.actions.keyrotation import KeyRotation
from hushwire.actions.keys import Keys
from hushwire.actions.keywords import KeywordSets
from hushwire.actions.media import Media
from hushwire.actions.messages import Limits, Messages
from hushwire.actions.numbers import Numbers
from hushwire.actions.optouts import UNSUBSCRIBED_ERROR, BlockLists
from hushwire.actions.outgoing import Outgoing, Own
from hushwire.actions.prices import Prices, load_rates
from hushwire.actions.privacy import PrivacySettings
from hushwire.actions.reveal import Reveals
from hushwire.actions.services import Services
from hushwire.actions.shortcodes import ShortCodes
from hushwire.actions.tail import Tail, Told
from hushwire.actions.tombstones import Tombstones
from hushwire.api.accounts import AccountResource
from hushwire.api.app import App
from hushwire.api.applications import ApplicationResource
from hushwire.api.audit import AuditResource
from hushwire.api.auth import Authenticator
from hushwire.api.available_numbers import AvailableNumberResource
from hushwire.api.claims import ClaimResource
from hushwire.api.connections import Inside
from hushwire.api.contents import ContentResource
from hushwire.api.door import Door
from hushwire.api.feedback import FeedbackResource
from hushwire.api.front import Front
from hushwire.api.holds import HoldResource
from hushwire.api.keyrotation import KeyRotationResource
from hushwire.api.keys import KeyResource
from hushwire.api.keywords import KeywordResource
from hushwire.api.lookups import Lookups
from hushwire.api.messages import MessageResource
from hushwire.api.numbers import NumberResource
from hushwire.api.optouts import OptOutResource
from hushwire.api.privacy import PrivacyResource
from hushwire.api.reveal import RevealResource
from hushwire.api.sandbox import sandbox_routes
from hushwire.api.service_senders import ServiceSenderResource
from hushwire.api.services import ServiceResource
from hushwire.api.shortcodes import ShortCodeResource
from hushwire.api.sync import SyncResource
from hushwire.api.tail import TailResource
from hushwire.api.tombstones import TombstoneResource
from hushwire.api.wire import CURRENCY, Scope
from hushwire.attachments import Attachments
from hushwire.authorizing import Authorizing
from hushwire.carriers.simulator import Simulator
from hushwire.clock import Clock, Entropy, SystemEntropy
from hushwire.connecting import Connecting
from hushwire.dispatch.choose import Chooser
from hushwire.dispatch.lanes import Lanes
from hushwire.dispatch.receive import Receiver
from hushwire.dispatch.recover import recover
from hushwire.dispatch.restored import doubt_waiting
from hushwire.dispatch.submit import Dispatcher
from hushwire.dispatch.timewarp import TimeWarp
from hushwire.dispatch.wire_log import WireLog
from hushwire.dispatch.withheld import withhold_again
from hushwire.domain.account import Account
from hushwire.domain.magic import FROM_OK
from hushwire.domain.message import SUSPENDED_ERROR, Message
from hushwire.domain.privacy import Windows
from hushwire.domain.rates import TOO_EXPENSIVE
from hushwire.domain.sid import new_sid
from hushwire.domain.task import TaskKind
from hushwire.errors import Misconfigured, Refusal
from hushwire.forgetting import Forgetting
from hushwire.keeping.facts import disk_of
from hushwire.keeping.findings import overwrites_in_place
from hushwire.keeping.keeper import Keeper
from hushwire.keeping.state import TIMELINE, read_state, require_restored, require_same_timeline
from hushwire.monitoring import Monitoring
from hushwire.observe import Journal
from hushwire.outbound import Guard, HttpClient
from hushwire.private import Private
from hushwire.settings import Settings
from hushwire.store.dues import Dues
from hushwire.store.endings import Endings
from hushwire.store.engine import FileLock
from hushwire.store.listing import Listing
from hushwire.store.records import Records
from hushwire.store.rotation import root_key_refs
from hushwire.store.store import Store
from hushwire.store.sweep import SWEEP_FIRST, require_vault_as_new, sweep, sweep_hourly
from hushwire.vault.rotation import VaultPlace, open_vault
from hushwire.webhooks.claims import Claims
from hushwire.webhooks.cookies import Cookies
from hushwire.webhooks.deliver import Deliverer
from hushwire.webhooks.inbound import Inbox
from hushwire.webhooks.inbound_answer import Desk

EXIT_TRY_LATER: Final = 75
DRAIN_S: Final = 5.0  # for each step of a stop
CLOCK_OFFSET: Final = "clock_offset_ms"


class Server:
    """All parts of one server, without its socket. `open` it on a running loop."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        *,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
        client: HttpClient | None = None,
        threaded: bool = True,
    ) -> None:
        self.settings = settings
        self.journal = journal
        # How others reach us, in links that no request asks for; the port may not be known yet.
        self.url = settings.public_url or f"http://{settings.host}:{settings.port}"
        self.ready = False
        self.first_start = False
        self._client = client
        self._threaded = threaded
        self._entropy = entropy or SystemEntropy()
        self._tasks: list[asyncio.Task[None]] = []
        data = settings.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(data / "lock")
        require_restored(data)
        self.clock = clock or Clock()
        place = VaultPlace(
            data, settings.root_key, os.environ, settings.vault_copy, settings.vault_slots_per_file
        )
        self.vault = open_vault(
            place, lambda: root_key_refs(settings.database_path),
            first_start=not settings.database_path.exists(), now_ms=self.clock.now_ms(),
            entropy=self._entropy,
        )  # fmt: skip
        self.slots = self.vault.slots
        self.guard = Guard(allow_loopback=settings.sandbox, allow=settings.outbound_allow)

    async def open(self) -> None:
        """Open the store, settle what a dead process left, start the workers."""
        settings, journal, metrics = self.settings, self.journal, self.journal.metrics
        path = settings.database_path
        self.store = store = Store(
            path, self.slots, self.vault.root, self._entropy, metrics, failed=self._failed,
            warm=settings.dispatch_memory * 2, threaded=self._threaded,
            windows=Windows(recovery=settings.recovery_s), clock=self.clock,
        )  # fmt: skip
        self.records = Records(store)
        self.dues = Dues(store)
        self.audits = Audits(store, self.records.entries)
        self._own(self.records, store)
        if settings.sandbox:
            self.clock.offset_ms += int(store.get_meta(CLOCK_OFFSET) or 0)
        self._keep()
        self.account = self._first_account()
        self.monitoring = Monitoring(
            settings, store, self.records, self.guard, self.clock, self._entropy,
            shreds_stay=self._shreds_stay,
        )  # fmt: skip
        self.listing = Listing(path, store.accounts, self.slots)
        self.attachments = Attachments(
            settings, store, self.slots, self.clock, self._entropy, lambda: self.url
        )
        if store.get_meta(SWEEP_FIRST):
            await self._sweep_first()
        store.release_held()
        store.resume_paces(self.clock.now_ms())
        wire_log = WireLog(settings.data)
        began = time.monotonic()
        in_doubt, resubmitted = await recover(store, self.clock, wire_log)
        self.lanes = lanes = Lanes(store, self.clock)
        self.network = self._network()
        rates = load_rates(settings.rates)
        self.prices = Prices(rates, self.records.usage) if rates is not None else None
        self.dispatcher = Dispatcher(
            store, self.network, self.clock, wire_log, metrics,
            memory=settings.dispatch_memory, pace_ms=self._pace_ms, drained=lanes.wake,
            obstacle=self._obstacle, prices=self.prices,
            media=self.attachments.urls,
        )  # fmt: skip
        self.chooser = Chooser(
            store, self.services, self.records.sticky, self.records.scheduled, self.clock,
            obstacle=self._obstacle, drained=lanes.wake, used=self.records.usage.chosen,
            warned=self.monitoring.alerts.once_a_day,
        )  # fmt: skip
        client = self._client or HttpClient(self.guard, per_host=settings.callback_connections)
        self.deliverer = Deliverer(
            store, client, self.clock, journal, connections=settings.callback_connections,
            memory=settings.callback_memory, drained=lanes.wake,
        )  # fmt: skip
        self.deliverer.outcomes = self.monitoring.outcomes
        self.forgetting = Forgetting(
            store, self.attachments.table, self.clock, self._entropy, journal
        )
        waits = self.forgetting.waits
        lanes.workers.update({
            TaskKind.CHOOSE: self.chooser,
            TaskKind.SUBMIT: self.dispatcher, TaskKind.CALLBACK: self.deliverer,
            TaskKind.SETTLE: waits, TaskKind.LATE: waits, TaskKind.REDACT: waits,
            **self.attachments.start(
                self._client, self.guard, journal, self.forgetting.custodian, lanes.wake
            ),
        })  # fmt: skip
        store.outlet = lanes
        receiver = Receiver(store, self.clock, metrics, self.prices)
        self.network.start(self.dispatcher.outcomes, receiver.receipts)
        lanes.start()
        self.monitoring.start(client, journal)
        self._run(self.monitoring.run())
        self._run(publish_daily(self.audits, journal))
        self._run(lanes.run())
        self._run(self._sweep())
        self.rotation = KeyRotation(
            store, self.vault, self.clock, self._entropy, disk_low=self._disk_low
        )
        self._run(self.rotation.run())
        self._run(self.keeper.run())
        self._run(self.forgetting.run())
        limits = Limits(settings.accept_backlog, self._disk_low, routable=settings.sandbox)
        self.messages = Messages(
            store, self.listing, self.clock, self.guard, metrics,
            limits,
            self.block_lists.blocks, sandbox=settings.sandbox, shift=settings.national_shift,
            landlines=settings.landlines == "accepted",
        )  # fmt: skip
        self.outgoing = self._outgoing()
        self.authorizing = Authorizing(self.records.owned, store, self.clock, self._entropy)
        self.connecting = Connecting(self.records.owned, self.guard, self.clock, self._entropy)
        self._receive(limits)
        accounts = store.accounts.by_id
        self.tail = Tail(self._follow, lambda account_id: accounts[account_id].privacy.display)
        self._measure()
        if in_doubt or resubmitted:
            ms = int((time.monotonic() - began) * 1000)
            journal.recovered(messages=resubmitted, in_doubt=in_doubt, callbacks=0, ms=ms)
        self.ready = True

    async def close(self) -> None:
        """Drain: no new work, answers awaited, all on disk. What is left goes on at next start."""
        self.ready = False
        self.chooser.stop()
        await self.rotation.stop()
        await self.attachments.stop()
        await self.dispatcher.stop(DRAIN_S)
        await self.network.stop()
        await self.monitoring.stop(DRAIN_S)
        await self.inbox.stop(DRAIN_S)
        await self.deliverer.stop(DRAIN_S)
        self.monitoring.close()
        self.connecting.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        await self.attachments.close()
        self.records.close()
        self.dues.close()
        self.forgetting.close()
        self.listing.close()
        self.slots.close()
        self.keeper.close()
        self._lock.close()

    def app(self) -> App:
        """The HTTP application of this server."""
        settings = self.settings
        accounts = Accounts(self.store)
        front = Front(settings.trusted_proxies, settings.public_url)
        auth = Authenticator(
            accounts, self.clock, front.client, settings.account_rate, self.authorizing.tokens
        )
        door = Door(auth, self.monitoring.alerts.without_effect)
        idempotency = Idempotency(self.store, self.clock)
        reports = FeedbackReports(self.store, self.clock, self._disk_low)
        currency = self.prices.currency if self.prices is not None else CURRENCY
        messages = MessageResource(
            self.messages, idempotency, reports, auth, self.clock, self.outgoing, currency
        )
        administration = Administration(self.store, self.clock, self._entropy)
        keys = Keys(self.store, self.clock, self._entropy)
        numbers = Numbers(
            self.store, self.services, self.applications, self.clock, self._entropy, self.guard,
            sandbox=settings.sandbox,
        )  # fmt: skip
        inside = Inside(auth, front.base_url)
        app = App(
            messages, self.journal, lambda: self.ready,
            [
                *FeedbackResource(self.messages, reports, auth).routes(),
                *self.attachments.routes(self.messages, door),
                *AccountResource(accounts, administration, auth, front.base_url).routes(),
                *KeyResource(keys, accounts, auth, front.base_url).routes(),
                *KeyRotationResource(self.rotation, accounts, door).routes(),
                *NumberResource(numbers, door).routes(),
                *self.monitoring.routes(door, front.base_url, currency),
                *TailResource(self.tail, door, self.clock).routes(),
                *AvailableNumberResource(numbers, door).routes(),
                *ServiceResource(self.services, door, front.base_url).routes(),
                *ServiceSenderResource(self.services, door, front.base_url).routes(),
                *ShortCodeResource(self.short_codes, door).routes(),
                *ApplicationResource(self.applications, door).routes(),
                *ClaimResource(self.claims, door).routes(),
                *ContentResource(self.contents, door, front.base_url).routes(),
                *KeywordResource(self.keywords, door).routes(),
                *PrivacyResource(self._privacy(), door).routes(),
                *self.forgetting.routes(door),
                *HoldResource(self.messages, self._holds(), door).routes(),
                *AuditResource(self.audits, door).routes(),
                *TombstoneResource(Tombstones(self.store), door).routes(),
                *RevealResource(self._reveals(), door).routes(),
                *OptOutResource(self.block_lists, door).routes(),
                *self.authorizing.routes(accounts, door, auth, front.base_url),
                *self.connecting.routes(door, auth, front.base_url),
                *SyncResource(self.connecting.connections, door, inside, self.clock).routes(),
                *Lookups(door, lambda request: front.base_url(request.scope)).routes(),
                *(sandbox_routes(Sandbox(self, auth)) if settings.sandbox else []),
            ],
            process=self._entropy.bytes(8),
        )  # fmt: skip
        self.connecting.serve(app)
        inside.app = app
        return app

    def busy(self) -> int:
        """Work in memory that is not finished; 0 when all is quiet."""
        return (
            self.store.pending()
            + self.chooser.busy()
            + self.attachments.busy()
            + self.dispatcher.busy()
            + self.network.busy()
            + self.deliverer.busy()
            + self.inbox.busy()
            + self.lanes.busy()
            + self.monitoring.busy()
            + self.forgetting.busy()
        )

    # -- parts ----------------------------------------------------------------------------

    def _own(self, records: Records, store: Store) -> None:
        """The actions on what accounts set up: those that messages ask, too."""
        owned, clock, entropy, guard = records.owned, self.clock, self._entropy, self.guard
        self.services = Services(records, store, clock, entropy, guard)
        self.short_codes = ShortCodes(
            owned, self.services, clock, entropy, guard, sandbox=self.settings.sandbox
        )
        self.block_lists = BlockLists(
            records.optouts, store, self.services, self.short_codes, clock
        )
        self.applications = Applications(owned, store, clock, entropy, guard)
        self.contents = Contents(owned, clock, entropy)
        self.keywords = KeywordSets(owned, self.services, clock)

    def _shreds_stay(self) -> bool:
        """Does a shredded key stay on the vault's disk until the root key is rotated?"""
        disk = disk_of(self.settings.data / "vault")
        return disk is not None and not overwrites_in_place(disk)

    def _privacy(self) -> PrivacySettings:
        return PrivacySettings(self.store, self.clock, self.monitoring.scan)

    def _holds(self) -> MessageHolds:
        media = Media(self.attachments.table)
        custodian, windows = self.forgetting.custodian, self.store.accounts.windows
        return MessageHolds(custodian, media, self.dues, windows, self.clock)

    def _reveals(self) -> Reveals:
        media, entries = self.attachments.table.of, self.records.entries
        return Reveals(self.store, entries, media, self.clock, self._entropy)

    def _outgoing(self) -> Outgoing:
        own = Own(
            self.services, self.short_codes, self.applications, self.contents,
            self.block_lists.blocks, self.monitoring.alerts,
        )  # fmt: skip
        return Outgoing(
            self.messages,
            self.store,
            own,
            self.records.scheduled,
            self.clock,
            honour_max_price=self.settings.max_price == "honoured",
            profile=self.settings.callback_profile,
        )

    def _receive(self, limits: Limits) -> None:
        """The way in: texts, their webhooks, and the replies to them."""
        settings, store = self.settings, self.store
        self.incoming = Incoming(
            store, self.messages, self.records.optouts, self.services, self.short_codes,
            self.applications, self.keywords, self.clock, self.journal.metrics, limits,
            self.block_lists.blocks, shift=settings.national_shift, media=self.attachments.table,
        )  # fmt: skip
        # A client of its own: webhooks that hang must not take the callbacks' connections.
        client = self._client or HttpClient(self.guard, per_host=settings.callback_connections)
        self.claims = Claims(self.clock, self._entropy)
        desk = Desk(
            self.incoming, Endings(store), client, self.clock, self.monitoring.alerts,
            self.attachments.of, claims=self.claims, get_webhooks=settings.get_webhooks,
            cookies=Cookies(self.clock, self._entropy),
        )  # fmt: skip
        self.inbox = Inbox(
            store, desk, self.clock, self.journal, connections=settings.callback_connections,
            memory=settings.callback_memory, drained=self.lanes.wake,
        )  # fmt: skip
        self.lanes.workers[TaskKind.INBOUND] = self.inbox

    def _network(self) -> Simulator:
        settings = self.settings
        return Simulator(
            self.clock, settings.data / "network.log", window=settings.carrier_window,
            receipt_ms=settings.simulator_receipt_ms,
        )  # fmt: skip

    def _first_account(self) -> Account:
        """The account of the first start: as the settings say, or made."""
        settings, accounts = self.settings, self.store.accounts
        known = accounts.by_id.get(1)
        if known is not None:
            token = settings.auth_token
            if settings.account_sid not in (None, known.sid) or token not in (
                None, known.auth_token,
            ):  # fmt: skip
                raise Misconfigured(
                    "account_sid and auth_token differ from those of the first start: unset them, "
                    "or use another data directory"
                )
            return known
        self.first_start = True
        return accounts.open(
            sid=settings.account_sid or new_sid("AC", self._entropy.bytes(16)),
            token=settings.auth_token or Private(secrets.token_hex(16)),
            name="First account",
            number_sid=new_sid("PN", self._entropy.bytes(16)),
            phone=FROM_OK if settings.sandbox else None,
            now_ms=self.clock.now_ms(),
        )

    def _pace_ms(self, message: Message) -> float:
        pace = self.store.accounts.pace_of(message)
        return pace.length_ms(message.segments) if pace is not None else 0.0

    def _obstacle(self, message: Message) -> int | None:
        """The error code of what may not be sent after all, asked right before the wire."""
        accounts = self.store.accounts
        if not accounts.is_active(accounts.by_id[message.account_id]):
            return SUSPENDED_ERROR
        if self.block_lists.stops(message):
            return UNSUBSCRIBED_ERROR
        if self.prices is not None and self.prices.exceeds_limit(message):
            return TOO_EXPENSIVE
        return None

    def _follow(self, told: Told | None) -> None:
        self.store.told = told

    def _disk_low(self) -> bool:
        now = int(time.monotonic())
        if now != self._looked:
            self._looked = now
            free_mb = self.store.free_bytes() >> 20
            self._low = free_mb < self.settings.disk_reserve_mb
            if self._low:
                self.journal.disk_low(free_mb, self.settings.disk_reserve_mb)
            else:
                self.store.restore_ballast()
        return self._low

    _looked = -1
    _low = False

    def _keep(self) -> None:
        """Before anything is destroyed: what backups need to know of it."""
        store, vault = self.store, self.settings.data / "vault"
        require_same_timeline(store.get_meta(TIMELINE) or "", read_state(vault))
        require_vault_as_new(self.settings.database_path, self.slots)
        self.keeper = Keeper(self.settings, vault, self.slots, self.clock, self._entropy)

    async def _sweep_first(self) -> None:
        """A restored database: what was erased since is gone before anybody can ask for it."""
        store, path = self.store, self.settings.database_path
        await sweep(store, path, self.slots)
        in_doubt = await doubt_waiting(store, path, self.clock)
        await self.attachments.sweep()
        await withhold_again(store, self.attachments.table, self.keeper.withheld, self.clock)
        store.put_meta(SWEEP_FIRST, "")
        self.journal.restored(in_doubt)

    async def _sweep(self) -> None:
        try:
            await sweep(self.store, self.settings.database_path, self.slots)
        except Misconfigured:
            self.store.put_meta(SWEEP_FIRST, "vault")  # the next start says why it cannot be
            raise
        await self.attachments.sweep()
        await sweep_hourly(self.store, self.clock)

    def _run(self, work: object) -> None:
        assert asyncio.iscoroutine(work)
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A service that ends with an error takes the process with it: it restarts clean."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.journal.storage_failed("store", error)
        os._exit(EXIT_TRY_LATER)

    def _measure(self) -> None:
        metrics, slots, store = self.journal.metrics, self.slots, self.store
        metrics.queue("accept", store.backlog)
        metrics.queue("choose", self.chooser.busy)
        metrics.queue("dispatch", self.dispatcher.busy)
        metrics.queue("callback", self.deliverer.held)
        metrics.queue("inbound", self.inbox.busy)
        metrics.gauge("vault_slots_live", "Keys in the vault", lambda: slots.stats().live)
        metrics.gauge("vault_slots_free", "Free slots of the vault", lambda: slots.stats().free)
        metrics.gauge("disk_free_bytes", "Free on the database's disk", store.free_bytes)
        head = self.audits.head
        metrics.gauge("audit_sequence", "Newest record of the audit log", lambda: head().seq)


class Sandbox:
    """What the sandbox's door needs of the server."""

    def __init__(self, server: Server, auth: Authenticator) -> None:
        self._server = server
        self._auth = auth
        self._warp = TimeWarp(server.clock, server.busy, self._persist)

    @property
    def phones(self) -> Simulator:
        return self._server.network

    def authenticate(self, scope: Scope) -> None:
        caller = self._auth.caller(scope)
        if caller.account.id != self._server.account.id:
            raise Refusal("authenticate")
        caller.check("twilio/sandbox/phones/update")  # a restricted key does not allow it

    async def receive_text(
        self, from_: Private, to: Private, body: Private, media_urls: Sequence[Private]
    ) -> tuple[str | None, str]:
        attachments = self._server.attachments
        files = await attachments.take(media_urls) if media_urls else []
        message = None
        try:
            message = await self._server.incoming.receive(from_, to, body, files)
        finally:
            if message is None and files:
                await attachments.table.discard(files)
        return (message.sid, message.status) if message is not None else (None, "disabled")

    async def advance(self, seconds: int) -> int:
        pending = await self._warp.advance(seconds * 1000)
        self._server.journal.clock_moved(seconds, pending)
        return pending

    def now_ms(self) -> int:
        return self._server.clock.now_ms()

    def offset_ms(self) -> int:
        return self._server.clock.offset_ms

    def _persist(self, offset_ms: int) -> None:
        self._server.store.put_meta(CLOCK_OFFSET, str(offset_ms))
