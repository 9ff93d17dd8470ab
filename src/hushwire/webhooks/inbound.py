"""Inbound webhooks: a lane for each endpoint, each conversation in order.

A slow or dead endpoint delays nobody else: each lane has its own queue, its own few
connections and its own share of memory; what does not fit waits in the table. Once many
connections are in use, each lane has only a few. First tries of one conversation (who wrote,
and to which number) go out one after the other, in the order the texts came; a text that
nobody took is tried again by the table of `domain/incoming.py`, and holds up no later one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.incoming import Pair, Webhook, claimable_ms, retry_ms
from hushwire.domain.message import SECOND, Message
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import Unavailable
from hushwire.faults import reach
from hushwire.observe import Journal
from hushwire.store.store import Store
from hushwire.webhooks.inbound_answer import Desk, Telling

SHARE_MIN: Final = 20  # texts an endpoint may hold in memory however many others there are
CROWD: Final = 128  # webhooks under way at once, from which each endpoint has only a few
FEW: Final = 2


class _Job(Struct, frozen=True, gc=False):
    task: Task
    message: Message

    @property
    def talk(self) -> Pair:
        """The conversation it belongs to."""
        message = self.message
        assert message.from_ is not None
        assert message.to is not None
        return message.from_, message.to


class _Lane:
    """One endpoint: its queue, and how much is under way."""

    __slots__ = ("held", "queue", "under_way")

    def __init__(self) -> None:
        self.queue: deque[_Job] = deque()
        self.under_way = 0
        self.held = 0  # in memory: queued, under way, or waiting for its conversation


class Inbox:
    """Worker for INBOUND tasks."""

    def __init__(
        self, store: Store, desk: Desk, clock: Clock, journal: Journal, *, connections: int,
        memory: int, drained: Callable[[TaskKind, int], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._desk = desk
        self._clock = clock
        self._journal = journal
        self._connections = connections
        self._memory = memory
        self._drained = drained
        self._lanes: dict[int, _Lane] = {}
        self._talks: dict[Pair, deque[_Job]] = {}  # with a text under way → what waits for it
        self._running: dict[asyncio.Task[None], _Job] = {}
        self._forgotten: dict[int, bool] = {}  # message in memory → was any of it forgotten?
        self._stopping = False
        if desk.claims is not None:
            desk.claims.taken = self._claimed

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        """An equal share of the memory, and a few whatever the others do."""
        at = self._lanes.get(lane)
        share = max(SHARE_MIN, self._memory // (len(self._lanes) + (at is None)))
        return share - (at.held if at is not None else 0)

    def feed(self, task: Task, message: Message) -> None:
        if message.from_ is None or message.to is None:
            self._store.drop([task])  # there is nobody left to tell of
            return
        lane = self._lanes.setdefault(task.lane, _Lane())
        lane.held += 1
        lane.queue.append(_Job(task, message))
        self._forgotten[task.record] = False
        asyncio.get_running_loop().call_soon(self._pump, task.lane)

    def forget(self, record: int) -> None:
        if self._desk.claims is not None:
            self._desk.claims.forget(record)
        if record in self._forgotten:
            self._forgotten[record] = True

    def _claimed(self, record: int) -> None:
        """Somebody has the content of that message. Was its webhook answered, too? It is told."""
        message = self._store.latest(record) if record not in self._forgotten else None
        if message is not None and claimable_ms(message) is not None:
            self._desk.incoming.told(message)

    def busy(self) -> int:
        """Texts that are being told, or are to be told now."""
        return len(self._forgotten)

    async def stop(self, within_s: float) -> None:
        """Finish what is under way, nothing new; the rest is in the table."""
        self._stopping = True
        running = list(self._running)
        if running:
            await asyncio.wait(running, timeout=within_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._desk.client.close()

    # -- whose turn it is -----------------------------------------------------------------

    def _pump(self, at: int) -> None:
        """Begin what a lane may have under way at once."""
        lane = self._lanes.get(at)
        if lane is None or self._stopping:
            return
        while lane.queue and lane.under_way < self._limit():
            job = lane.queue.popleft()
            waiting = self._talks.get(job.talk)
            if waiting is None:
                self._talks[job.talk] = deque()
                self._begin(lane, job)
            else:
                waiting.append(job)
        if not lane.held:
            del self._lanes[at]
        if not lane.queue:
            self._drained(TaskKind.INBOUND, at)

    def _limit(self) -> int:
        """How many webhooks an endpoint may have under way now."""
        return self._connections if len(self._running) < CROWD else min(FEW, self._connections)

    def _begin(self, lane: _Lane, job: _Job) -> None:
        lane.under_way += 1
        running = asyncio.get_running_loop().create_task(self._tell(job))
        self._running[running] = job
        running.add_done_callback(self._over)

    def _over(self, running: "asyncio.Task[None]") -> None:
        """That try is over, whatever became of it; what waited for it goes first."""
        job = self._running.pop(running)
        error = None if running.cancelled() else running.exception()
        if error is not None:  # a defect: it waits in the table for the next start
            self._journal.defect(error)
        del self._forgotten[job.task.record]
        lane = self._lanes[job.task.lane]
        lane.under_way -= 1
        lane.held -= 1
        lanes = {job.task.lane}
        for waiting in reversed(self._talks.pop(job.talk)):
            self._lanes[waiting.task.lane].queue.appendleft(waiting)
            lanes.add(waiting.task.lane)
        if len(self._running) == CROWD - 1:  # there is room for all again
            lanes.update(self._lanes)
        for at in lanes:
            self._pump(at)

    # -- the work -------------------------------------------------------------------------

    async def _tell(self, job: _Job) -> None:
        """Tell of one text: its webhook, then the fallback; then later, or never."""
        task = job.task
        message = self._current(job)
        if message is None or None in (message.body, message.from_, message.to):
            self._store.drop([task])  # it was deleted, or its body forgotten
            return
        accounts = self._store.accounts
        account = accounts.by_id[message.account_id]
        if not accounts.is_active(account):
            self._put_off(task, message, None)
            return
        webhook = self._desk.incoming.webhook(message)
        if webhook is None:
            self._store.drop([task])  # nobody wants to be told any more
            self._desk.incoming.told(message)
            return
        telling = Telling(self._desk, account, message, task)
        try:
            if await self._ask(telling, webhook) or telling.replied:
                await telling.end()
            else:
                self._put_off(task, message, webhook)
        except Unavailable as later:
            due_ms = self._clock.now_ms() + later.retry_after_s * SECOND
            self._store.set_aside([replace(telling.task, due_ms=due_ms, held=False)])

    async def _ask(self, telling: Telling, webhook: Webhook) -> bool:
        """Was it taken, by the webhook or by its fallback?"""
        reach("inbound.calling")
        failed = await telling.ask(webhook.url, webhook.method)
        if failed is None:
            return True
        if not webhook.fallback_url:
            return False
        return await telling.ask(webhook.fallback_url, webhook.fallback_method, failed) is None

    def _current(self, job: _Job) -> Message | None:
        """The message without what was forgotten of it while we held it; None when deleted."""
        if self._forgotten[job.task.record]:
            return self._store.latest(job.message.key)
        return job.message

    def _put_off(self, task: Task, message: Message, webhook: Webhook | None) -> None:
        """Once more later, where it is told by then; or never, once the hold on it is over."""
        attempt = task.attempt + 1
        wait_ms = retry_ms(attempt)
        due_ms = self._clock.now_ms() + (wait_ms or 0)
        held_ms = self._store.accounts.windows[message.account_id].inbound * SECOND
        if wait_ms is None or due_ms >= message.created_ms + held_ms:
            self._journal.callback_failed(message.sid, "inbound_webhook", attempt)
            self._store.drop([task])
            self._desk.incoming.told(message)
            return
        self._journal.callback_failed(message.sid, "inbound_webhook", attempt, wait_ms)
        lane = endpoint_lane(webhook.url) if webhook is not None else task.lane
        again = Task(task.record, task.number, task.kind, lane, due_ms, attempt)
        self._store.set_aside([again])
