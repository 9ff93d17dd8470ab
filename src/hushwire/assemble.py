"""The only file that knows every part: settings → parts → services, stopped in reverse."""

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from typing import Final

from hushwire.actions.accounts import Accounts
from hushwire.actions.messages import Limits, Messages
from hushwire.api.app import App
from hushwire.api.auth import Authenticator, peer
from hushwire.api.messages import MessageResource
from hushwire.api.sandbox import sandbox_routes
from hushwire.api.wire import Scope
from hushwire.carriers.simulator import Simulator
from hushwire.clock import Clock, Entropy, SystemEntropy
from hushwire.dispatch.lanes import Lanes
from hushwire.dispatch.receive import Receiver
from hushwire.dispatch.recover import recover
from hushwire.dispatch.submit import Dispatcher
from hushwire.dispatch.timewarp import TimeWarp
from hushwire.dispatch.waits import Waits
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.account import Account
from hushwire.domain.magic import FROM_OK
from hushwire.domain.message import Message
from hushwire.domain.sid import new_sid
from hushwire.domain.task import TaskKind
from hushwire.errors import Misconfigured, Refusal
from hushwire.observe import Journal
from hushwire.outbound import Guard, HttpClient
from hushwire.private import Private
from hushwire.settings import Settings
from hushwire.store.engine import FileLock
from hushwire.store.listing import Listing
from hushwire.store.store import Store
from hushwire.store.sweep import sweep
from hushwire.vault.keyring import load_or_create_root
from hushwire.vault.slots import Slots
from hushwire.webhooks.deliver import Deliverer

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
        self.ready = False
        self.first_start = False
        self._client = client
        self._threaded = threaded
        self._entropy = entropy or SystemEntropy()
        self._tasks: list[asyncio.Task[None]] = []
        data = settings.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(data / "lock")
        for what, path in (("root key", data / "root.key"), ("vault", data / "vault")):
            if settings.database_path.exists() and not path.exists():
                raise Misconfigured(
                    f"the {what} {path} is missing while its database is there: restore it, or "
                    "start with another data directory"
                )
        self._root = load_or_create_root(data / "root.key")
        self.slots = Slots.open(
            data / "vault", self._root, slots_per_file=settings.vault_slots_per_file
        )
        self.clock = clock or Clock()
        self.guard = Guard(allow_loopback=settings.sandbox, allow=settings.outbound_allow)

    async def open(self) -> None:
        """Open the store, settle what a dead process left, start the workers."""
        settings, journal, metrics = self.settings, self.journal, self.journal.metrics
        path = settings.database_path
        self.store = store = Store(
            path, self.slots, self._root, self._entropy, metrics, failed=self._failed,
            warm=settings.dispatch_memory * 2, threaded=self._threaded,
        )  # fmt: skip
        if settings.sandbox:
            self.clock.offset_ms += int(store.get_meta(CLOCK_OFFSET) or 0)
        self.account = self._first_account()
        self.listing = Listing(path, store.accounts, self.slots)
        store.release_held()
        store.resume_paces(self.clock.now_ms())
        recovery_ms = settings.recovery_s * 1000
        wire_log = WireLog(settings.data)
        began = time.monotonic()
        in_doubt, resubmitted = await recover(store, self.clock, wire_log)
        self.lanes = lanes = Lanes(store, self.clock)
        self.network = self._network()
        self.dispatcher = Dispatcher(
            store, self.network, self.clock, wire_log, metrics,
            memory=settings.dispatch_memory, pace_ms=self._pace_ms, drained=lanes.wake,
            recovery_ms=recovery_ms,
        )  # fmt: skip
        client = self._client or HttpClient(self.guard, per_host=settings.callback_connections)
        self.deliverer = Deliverer(
            store, client, self.clock, journal, connections=settings.callback_connections,
            memory=settings.callback_memory, drained=lanes.wake,
        )  # fmt: skip
        waits = Waits(store, self.clock, recovery_ms)
        lanes.workers.update({
            TaskKind.SUBMIT: self.dispatcher, TaskKind.CALLBACK: self.deliverer,
            TaskKind.SETTLE: waits, TaskKind.LATE: waits, TaskKind.REDACT: waits,
        })  # fmt: skip
        store.outlet = lanes
        self.network.start(
            self.dispatcher.outcomes, Receiver(store, self.clock, metrics, recovery_ms).receipts
        )
        lanes.start()
        self._run(lanes.run())
        self._run(self._sweep())
        self.messages = Messages(
            store, self.listing, self.clock, self.guard, metrics,
            Limits(settings.accept_backlog, self._disk_low, routable=settings.sandbox),
            sandbox=settings.sandbox,
        )  # fmt: skip
        self._measure()
        if in_doubt or resubmitted:
            ms = int((time.monotonic() - began) * 1000)
            journal.recovered(messages=resubmitted, in_doubt=in_doubt, callbacks=0, ms=ms)
        self.ready = True

    async def close(self) -> None:
        """Drain: no new work, answers awaited, all on disk. What is left goes on at next start."""
        self.ready = False
        await self.dispatcher.stop(DRAIN_S)
        await self.network.stop()
        await self.deliverer.stop(DRAIN_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.store.close()
        self.listing.close()
        self.slots.close()
        self._lock.close()

    def app(self) -> App:
        """The HTTP application of this server."""
        settings = self.settings
        accounts = Accounts(self.store)
        auth = Authenticator(accounts, self.clock, peer, settings.account_rate)
        messages = MessageResource(self.messages, auth, self.clock)
        return App(
            messages, self.journal, lambda: self.ready,
            [*(sandbox_routes(Sandbox(self, auth)) if settings.sandbox else [])],
            process=self._entropy.bytes(8),
        )  # fmt: skip

    def busy(self) -> int:
        """Work in memory that is not finished; 0 when all is quiet."""
        return (
            self.store.pending()
            + self.dispatcher.busy()
            + self.network.busy()
            + self.deliverer.busy()
            + self.lanes.busy()
        )

    # -- parts ----------------------------------------------------------------------------

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

    async def _sweep(self) -> None:
        await sweep(self.store, self.settings.database_path, self.slots)

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
        metrics.queue("dispatch", self.dispatcher.busy)
        metrics.queue("callback", self.deliverer.held)
        metrics.gauge("vault_slots_live", "Keys in the vault", lambda: slots.stats().live)
        metrics.gauge("vault_slots_free", "Free slots of the vault", lambda: slots.stats().free)
        metrics.gauge("disk_free_bytes", "Free on the database's disk", store.free_bytes)


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
    ) -> tuple[str, str]:
        if media_urls:
            raise Refusal("parameter_not_supported", parameter="media_urls")
        message = await self._server.messages.receive(from_, to, body)
        return message.sid, message.status

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
