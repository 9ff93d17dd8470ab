"""Status callbacks: signed POSTs to the customer, a lane for each endpoint.

A slow or dead endpoint delays nobody else: each has its own queue, its own few connections
and its own share of memory; what does not fit waits in the table. First attempts about one
message go out in the order of its statuses, and a retry never holds up a later status (D12).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.backoff import callback_retry_ms
from hushwire.domain.message import Message
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import DELIVERY_TEXTS
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, HttpClient, Limits
from hushwire.private import Private
from hushwire.store.store import Store
from hushwire.webhooks.outcomes import Outcomes
from hushwire.webhooks.overrides import Overrides, split
from hushwire.webhooks.payloads import CONTENT_TYPE, status_form
from hushwire.webhooks.signature import Signer, idempotency_token, signed_url

GONE: Final = 410  # the endpoint asks for no more of this
SHARE_MIN: Final = 20  # callbacks an endpoint may hold in memory however many others there are

_CALLBACK: Final = TaskKind.CALLBACK  # to look a member up costs more than a call

Job = tuple[Task, Message]


class Endpoint:
    """One scheme, host and port: its queue, and how much is under way."""

    __slots__ = ("busy", "kicked", "lane", "queue", "under_way")

    def __init__(self, lane: int) -> None:
        self.lane = lane
        self.queue: deque[Job] = deque()
        self.under_way = 0
        self.kicked = False  # the queue is looked at when this tick ends
        # Message with a first attempt under way → what waits for its end.
        self.busy: dict[int, deque[Job] | None] = {}

    def take(self) -> Job | None:
        """The next job; a first attempt waits while another of its message is under way."""
        while self.queue:
            job = self.queue.popleft()
            task = job[0]
            if task.attempt:
                return job
            if task.record not in self.busy:
                self.busy[task.record] = None
                return job
            waiting = self.busy[task.record]
            if waiting is None:
                self.busy[task.record] = deque((job,))
            else:
                waiting.append(job)
        return None

    def done(self, task: Task) -> None:
        """That attempt ended: what waited for it goes first."""
        if not task.attempt:
            waiting = self.busy.pop(task.record)
            if waiting is not None:
                self.queue.extendleft(reversed(waiting))


class Client(Protocol):
    """What is needed of an HTTP client. Only a real one can post at once (`post_now`)."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure: ...

    def close(self) -> None: ...


class Attempt(Struct, frozen=True, gc=False):
    """A callback on its way."""

    endpoint: Endpoint
    task: Task
    message: Message
    url: str
    signature: str
    token: str
    body: bytes
    overrides: Overrides
    end: float  # of it and its retries together (6.5); a time of the loop

    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": CONTENT_TYPE,
            "X-Twilio-Signature": self.signature,
            "I-Twilio-Idempotency-Token": self.token,
        }

    def lines(self) -> str:
        """The same as they are on the wire: base64, hex digits and a constant."""
        return (
            f"Content-Type: {CONTENT_TYPE}\r\nX-Twilio-Signature: {self.signature}\r\n"
            f"I-Twilio-Idempotency-Token: {self.token}\r\n"
        )


class Deliverer:
    """Worker for CALLBACK tasks."""

    def __init__(
        self,
        store: Store,
        client: Client,
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
        self._loop = asyncio.get_running_loop()
        self._posts: set[asyncio.Task[Answer | Failure]] = set()  # those that could not go at once
        self._held: dict[int, int] = {}  # message → its callbacks in memory
        self._outdated: set[int] = set()  # of these, what has been forgotten in part or whole
        self._first = 0  # first attempts queued or under way
        self._size = 0
        self.outcomes: Outcomes | None = None  # hears of attempts that fail, and of some others
        self._stopping = False
        self._quiet: asyncio.Future[None] | None = None  # when we stop: nothing is under way
        self._closed = False

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
        self._kick(endpoint)

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
        if self._under_way():
            self._quiet = self._loop.create_future()
            await asyncio.wait([self._quiet], timeout=within_s)
        self._closed = True  # what ends from now on was not answered
        for post in self._posts:
            post.cancel()
        self._client.close()

    def _under_way(self) -> int:
        return sum(endpoint.under_way for endpoint in self._endpoints.values())

    # -- the work -------------------------------------------------------------------------

    def _kick(self, endpoint: Endpoint) -> None:
        if not endpoint.kicked:
            endpoint.kicked = True
            self._loop.call_soon(self._pump, endpoint)

    def _pump(self, endpoint: Endpoint) -> None:
        """Begin what the endpoint may have under way at once."""
        endpoint.kicked = False
        if self._stopping:
            return
        while endpoint.under_way < self._connections and (job := endpoint.take()) is not None:
            self._begin(endpoint, *job)
        if not endpoint.queue:
            lane = endpoint.lane
            if endpoint.under_way == 0 and self._endpoints.get(lane) is endpoint:
                del self._endpoints[lane]
            self._drained(_CALLBACK, lane)

    def _begin(self, endpoint: Endpoint, task: Task, message: Message) -> None:
        """Post a callback; `_answered` hears of it. One whose URL was forgotten ends here."""
        endpoint.under_way += 1
        begun = False
        try:
            current = self._current(message)
            if current is None or current.callback is None:  # the URL went with the body
                self._store.drop([task])
                self._metrics.callbacks["withdrawn"] += 1
            else:
                attempt = self._attempt(endpoint, task, current, current.callback)
                self._post(attempt, attempt.overrides.limits, attempt.overrides.retries)
                begun = True
        finally:
            if not begun:  # after a defect it waits in the table for the next start
                self._over(endpoint, task)
                self._kick(endpoint)

    def _post(self, attempt: Attempt, limits: Limits, retries: int) -> None:
        """Post; `_answered` hears of the end. At once if we can, else a task finds the way."""
        client, url, body = self._client, attempt.url, attempt.body
        ended = partial(self._answered, attempt, retries)
        if not isinstance(client, HttpClient) or not client.post_now(
            url, attempt.lines(), body, limits, ended
        ):
            post = self._loop.create_task(client.post(url, attempt.headers(), body, limits))
            self._posts.add(post)
            post.add_done_callback(partial(self._posted, attempt, retries))

    def _posted(
        self, attempt: Attempt, retries: int, post: "asyncio.Task[Answer | Failure]"
    ) -> None:
        self._posts.discard(post)
        error = None if post.cancelled() else post.exception()
        if error is not None:  # a defect: that callback waits in the table for the next start
            self._journal.defect(error)
            self._over(attempt.endpoint, attempt.task)
            self._pump(attempt.endpoint)
        elif not post.cancelled():
            self._answered(attempt, retries, post.result())

    def _answered(self, attempt: Attempt, retries: int, result: Answer | Failure) -> None:
        if self._closed:
            return
        goes_on = False
        try:
            goes_on = self._settle(attempt, retries, result)
        finally:
            if not goes_on:
                self._over(attempt.endpoint, attempt.task)
                self._pump(attempt.endpoint)

    def _settle(self, attempt: Attempt, retries: int, result: Answer | Failure) -> bool:
        """Done, or later, or never; or, and then it is True, once more at once."""
        if isinstance(result, Answer) and 200 <= result.status < 300:
            self._store.drop((attempt.task,))
            self._metrics.callbacks["answered"] += 1
            if self.outcomes is not None and (attempt.task.attempt or self.outcomes.wants_all):
                self._tell(attempt, result, last=True)
            return False
        if retries and attempt.overrides.retries_on(result) and self._retry(attempt, retries):
            return True
        last = self._put_off(attempt.task, attempt.message, result)
        if self.outcomes is not None:
            self._tell(attempt, result, last=last)
        return False

    def _retry(self, attempt: Attempt, retries: int) -> bool:
        """Post again at once, as the URL's own policy asks (`#rc=…&rp=…`), while there is time."""
        left_ms = int((attempt.end - self._loop.time()) * 1000)
        # What the body holds may be forgotten by now.
        if left_ms <= 0 or attempt.message.key in self._outdated:
            return False
        limits = replace(attempt.overrides.limits, total_ms=left_ms)
        self._post(attempt, limits, retries - 1)
        return True

    def _over(self, endpoint: Endpoint, task: Task) -> None:
        """The attempt under way is over, whatever became of it."""
        endpoint.under_way -= 1
        self._let_go(task)
        endpoint.done(task)
        if self._quiet is not None and not self._quiet.done() and not self._under_way():
            self._quiet.set_result(None)

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

    def _attempt(
        self, endpoint: Endpoint, task: Task, message: Message, callback: Private
    ) -> Attempt:
        """The signed request that tells the status in `task`."""
        if task.attempt == 0:
            self._metrics.callback_late_s.observe((self._clock.now_ms() - task.due_ms) / 1000)
        url, overrides = split(callback.reveal())
        if overrides.problem is not None and self.outcomes is not None:
            self.outcomes.misread(message.account_id, overrides.problem)
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
            service_sid=message.service,
        )
        signature = self._signer(account).sign_text(signed_url(url), params)
        token = idempotency_token(message.sid, task.number)
        end = self._loop.time() + overrides.limits.total_ms / 1000
        return Attempt(endpoint, task, message, url, signature, token, body, overrides, end)

    def _signer(self, account: Account) -> Signer:
        """Keyed with the account's primary token, and anew when that changes."""
        token, signer = self._signers.get(account.id, (None, None))
        if signer is None or token is not account.auth_token:
            signer = Signer(account.auth_token.reveal())
            self._signers[account.id] = (account.auth_token, signer)
        return signer

    def _tell(self, attempt: Attempt, result: Answer | Failure, *, last: bool) -> None:
        assert self.outcomes is not None
        left_ms = int((attempt.end - self._loop.time()) * 1000)
        self.outcomes.ended(
            attempt.task, attempt.message, attempt.url, attempt.body, result,
            attempt.overrides.limits.total_ms - left_ms, last=last,
        )  # fmt: skip

    def _put_off(self, task: Task, message: Message, result: Answer | Failure) -> bool:
        """Once more later by the table of `domain/backoff.py`, or never: then True."""
        attempt = task.attempt + 1
        gone = isinstance(result, Answer) and result.status == GONE
        wait_ms = None if gone else callback_retry_ms(attempt)
        word = "status" if isinstance(result, Answer) else result.kind
        self._metrics.callbacks[word] += 1
        self._journal.callback_failed(message.sid, word, attempt, wait_ms)
        if wait_ms is None:
            self._store.drop([task])
            self._metrics.callbacks["given_up"] += 1
            return True
        if (current := self._current(message)) is not None and current.callback is not None:
            due_ms = self._clock.now_ms() + wait_ms
            again = Task(
                task.record, task.number, task.kind, task.lane, due_ms, attempt, task.detail
            )
            self._store.set_aside([again])
        return False


def _shown(address: Private | None, shown: str | None) -> str:
    return address.reveal() if address is not None else shown or ""
