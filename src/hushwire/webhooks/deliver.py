"""Status callbacks: signed POSTs to the customer, a lane for each endpoint.

A slow or dead endpoint delays nobody else: each has its own queue, its own few connections
and its own share of memory; what does not fit waits in the table. First attempts about one
message go out in the order of its statuses, and a retry never holds up a later status (D12).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.backoff import callback_retry_ms
from hushwire.domain.message import Message
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import DELIVERY_TEXTS
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, HttpClient
from hushwire.private import Private
from hushwire.store.store import Store
from hushwire.webhooks.overrides import Overrides, split
from hushwire.webhooks.payloads import CONTENT_TYPE, status_form
from hushwire.webhooks.signature import Signer, idempotency_token, signed_url

GONE: Final = 410  # the endpoint asks for no more of this
SHARE_MIN: Final = 20  # callbacks an endpoint may hold in memory however many others there are

Job = tuple[Task, Message]


class Endpoint:
    """One scheme, host and port: its queue and who works on it."""

    __slots__ = ("busy", "lane", "queue", "workers")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.queue: deque[Job] = deque()
        self.workers = 0
        self.busy: dict[int, deque[Job]] = {}  # message with a first attempt under way → waiting

    def take(self) -> Job | None:
        """The next job; a first attempt waits while another of its message is under way."""
        while self.queue:
            job = self.queue.popleft()
            task = job[0]
            if task.attempt:
                return job
            waiting = self.busy.get(task.record)
            if waiting is None:
                self.busy[task.record] = deque()
                return job
            waiting.append(job)
        return None

    def done(self, task: Task) -> None:
        """That attempt ended: what waited for it goes first."""
        if not task.attempt:
            self.queue.extendleft(reversed(self.busy.pop(task.record)))


class Deliverer:
    """Worker for CALLBACK tasks."""

    def __init__(
        self,
        store: Store,
        client: HttpClient,
        clock: Clock,
        journal: Journal,
        *,
        connections: int,
        memory: int,
        drained: Callable[[TaskKind, int], None],
    ) -> None:
        self._store = store
        self._client = client
        self._clock = clock
        self._journal = journal
        self._metrics = journal.metrics
        self._connections = connections
        self._memory = memory
        self._drained = drained
        self._endpoints: dict[int, Endpoint] = {}
        self._signers: dict[int, tuple[Private, Signer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[int, int] = {}  # message → its callbacks in memory
        self._outdated: set[int] = set()  # of these, what has been forgotten in part or whole
        self._first = 0  # first attempts queued or under way
        self._size = 0
        self._stopping = False

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        """An equal share of the memory, and a few whatever the others do."""
        endpoint = self._endpoints.get(lane)
        if endpoint is None:
            return max(SHARE_MIN, self._memory // (len(self._endpoints) + 1))
        return max(SHARE_MIN, self._memory // len(self._endpoints)) - len(endpoint.queue)

    def feed(self, task: Task, message: Message) -> None:
        endpoint = self._endpoints.get(task.lane)
        if endpoint is None:
            endpoint = self._endpoints[task.lane] = Endpoint(task.lane)
        endpoint.queue.append((task, message))
        self._size += 1
        self._first += task.attempt == 0
        self._held[task.record] = self._held.get(task.record, 0) + 1
        self._hire(endpoint)

    def forget(self, record: int) -> None:
        if record in self._held:
            self._outdated.add(record)

    def busy(self) -> int:
        """First attempts that are not yet over."""
        return self._first

    def held(self) -> int:
        """Callbacks in memory."""
        return self._size

    async def stop(self, within_s: float) -> None:
        """Finish the attempts under way, no new ones; the rest is in the table."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for worker in self._tasks:
            worker.cancel()
        self._client.close()

    # -- the work -------------------------------------------------------------------------

    def _hire(self, endpoint: Endpoint) -> None:
        """One worker more, if there is work for it and the endpoint may have it."""
        if self._stopping or not endpoint.queue or endpoint.workers >= self._connections:
            return
        endpoint.workers += 1
        worker = asyncio.get_running_loop().create_task(self._work(endpoint))
        self._tasks.add(worker)
        worker.add_done_callback(partial(self._left, endpoint))

    async def _work(self, endpoint: Endpoint) -> None:
        """One connection's worth of attempts, until the endpoint's queue is empty."""
        while not self._stopping and (job := endpoint.take()) is not None:
            task, message = job
            try:
                await self._attempt(task, message)
            finally:
                self._let_go(task)
                endpoint.done(task)

    def _left(self, endpoint: Endpoint, worker: "asyncio.Task[None]") -> None:
        """A worker ended: nothing was left to do, or we stop, or there is a defect."""
        self._tasks.discard(worker)
        endpoint.workers -= 1
        error = None if worker.cancelled() else worker.exception()
        if error is not None:  # that callback waits in the table for the next start
            self._journal.defect(error)
        self._hire(endpoint)  # what came since
        if endpoint.workers == 0 and not self._stopping:
            del self._endpoints[endpoint.lane]
        if not self._stopping:
            self._drained(TaskKind.CALLBACK, endpoint.lane)

    def _let_go(self, task: Task) -> None:
        self._size -= 1
        self._first -= task.attempt == 0
        left = self._held.pop(task.record) - 1
        if left:
            self._held[task.record] = left
        else:
            self._outdated.discard(task.record)

    def _current(self, message: Message) -> Message | None:
        """The message without what was forgotten of it while we held it; None when deleted."""
        return self._store.latest(message.key) if message.key in self._outdated else message

    async def _attempt(self, task: Task, message: Message) -> None:
        current = self._current(message)
        if current is None or current.callback is None:  # the URL was forgotten with the body
            self._store.drop([task])
            self._metrics.callbacks["withdrawn"] += 1
            return
        if task.attempt == 0:
            self._metrics.callback_late_s.observe((self._clock.now_ms() - task.due_ms) / 1000)
        url, overrides = split(current.callback.reveal())
        result = await self._post(url, overrides, task, current)
        self._settle(task, current, result)

    async def _post(
        self, url: str, overrides: Overrides, task: Task, message: Message
    ) -> Answer | Failure:
        """Post, and at once again as the URL's own policy asks (`#rc=…&rp=…`)."""
        account = self._store.accounts.by_id[message.account_id]
        status, error, done_date = (task.detail or "").split(" ")
        params, body = status_form(
            sid=message.sid,
            account_sid=account.sid,
            status=status,
            from_=_shown(message.from_, message.from_shown),
            to=_shown(message.to, message.to_shown),
            error_texts=DELIVERY_TEXTS,
            error_code=None if error == "-" else int(error),
            done_date=None if done_date == "-" else done_date,
        )
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-Twilio-Signature": self._signer(account).sign_text(signed_url(url), params),
            "I-Twilio-Idempotency-Token": idempotency_token(message.sid, task.number),
        }
        limits = overrides.limits
        loop = asyncio.get_running_loop()
        end = loop.time() + limits.total_ms / 1000  # of all attempts together (6.5)
        result = await self._client.post(url, headers, body, limits)
        for _ in range(overrides.retries):
            left_ms = int((end - loop.time()) * 1000)
            if left_ms <= 0 or not overrides.retries_on(result):
                break
            if message.key in self._outdated:  # what the body holds may be forgotten by now
                break
            result = await self._client.post(url, headers, body, replace(limits, total_ms=left_ms))
        return result

    def _signer(self, account: Account) -> Signer:
        """Keyed with the account's primary token, and anew when that changes."""
        token, signer = self._signers.get(account.id, (None, None))
        if signer is None or token != account.auth_token:
            signer = Signer(account.auth_token.reveal())
            self._signers[account.id] = (account.auth_token, signer)
        return signer

    def _settle(self, task: Task, message: Message, result: Answer | Failure) -> None:
        """Done, or once more later by the table of `domain/backoff.py`."""
        status = result.status if isinstance(result, Answer) else 0
        if 200 <= status < 300:
            self._store.drop([task])
            self._metrics.callbacks["answered"] += 1
            return
        attempt = task.attempt + 1
        wait_ms = None if status == GONE else callback_retry_ms(attempt)
        word = "status" if isinstance(result, Answer) else result.kind
        self._metrics.callbacks[word] += 1
        self._journal.callback_failed(message.sid, word, attempt, wait_ms)
        if wait_ms is None:
            self._store.drop([task])
            self._metrics.callbacks["given_up"] += 1
        elif (current := self._current(message)) is not None and current.callback is not None:
            due_ms = self._clock.now_ms() + wait_ms
            again = Task(
                task.record, task.number, task.kind, task.lane, due_ms, attempt, task.detail
            )
            self._store.set_aside([again])


def _shown(address: Private | None, shown: str | None) -> str:
    return address.reveal() if address is not None else shown or ""
