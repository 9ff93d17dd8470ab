"""What can be done with status callbacks: log the attempts, list them, have them posted again."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.delivery import ANSWERED, Delivery
from hushwire.domain.entry import DAY_MS, KEPT_DAYS
from hushwire.domain.message import CALLBACK_SLOTS, Message, Status
from hushwire.domain.sid import new_sid
from hushwire.domain.task import Task, TaskKind
from hushwire.store.entries import Entries
from hushwire.store.store import Store

Keep = Literal["failures", "all", "none"]

PREFIX: Final = "CB"  # our own: Twilio shows no such log
_CHUNK: Final = 200  # lines of the log looked at before others get their turn


class CallbackLog:
    """The log, and what it is good for."""

    def __init__(
        self, store: Store, entries: Entries, clock: Clock, entropy: Entropy, keep: Keep
    ) -> None:
        self._store = store
        self._entries = entries
        self._clock = clock
        self._entropy = entropy
        self.keep: Final = keep

    def add(
        self, message: Message, task: Task, outcome: str, http_status: int | None, ms: int, *,
        last: bool,
    ) -> None:  # fmt: skip
        """An attempt ended. Kept are failures, and what then succeeded; all; or none."""
        if self.keep == "none":
            return
        if self.keep == "failures" and outcome == ANSWERED and not task.attempt:
            return
        self._entries.add(
            Delivery(
                sid=new_sid(PREFIX, self._entropy.bytes(16)),
                account_id=message.account_id,
                at_ms=self._clock.now_ms(),
                subject=message.sid,
                status=(task.detail or "").partition(" ")[0],
                attempt=task.attempt + 1,
                outcome=outcome,
                http_status=http_status,
                ms=ms,
                last=last,
            )
        )

    def page(
        self, account: Account, fits: Callable[[Delivery], bool], from_ms: int, before_ms: int,
        limit: int, after: str | None = None, *, upwards: bool = False,
    ) -> Sequence[Delivery]:  # fmt: skip
        """Up to `limit` attempts that fit, newest first: see `Entries.page`."""
        from_ms = max(from_ms, self._clock.now_ms() - KEPT_DAYS * DAY_MS)
        return self._entries.page(
            Delivery, account.id, from_ms, before_ms, fits, limit, after, upwards=upwards
        )

    async def redeliver(self, account: Account, sid: str) -> int | None:
        """Post every callback of a message again; how many. None: there is no such message.

        With the same tokens, each with all its attempts. None are posted once the URL is
        forgotten, which goes with the body.
        """
        message = self._store.find(account.id, sid)
        if message is None:
            return None
        return await self._again(list(tasks_of(message, self._clock.now_ms())))

    async def redeliver_failed(self, account: Account, from_ms: int, before_ms: int) -> int:
        """Post again what failed in that span (Unix ms) and was not answered since; how many.

        It goes by the log, so with `callback_log = "none"` there is nothing to go by.
        """
        seen: set[tuple[str, str]] = set()
        after: str | None = None
        count = 0
        while found := self.page(account, _failed, from_ms, before_ms, _CHUNK, after):
            after = found[-1].sid
            told = {(entry.subject or "", entry.status) for entry in found} - seen
            seen |= told
            tasks: list[Task] = []
            for sid in {sid for sid, _ in told}:
                statuses = {status for of, status in told if of == sid}
                tasks += self._unanswered(account, sid, statuses)
            count += await self._again(tasks)
            await asyncio.sleep(0)
        return count

    def _unanswered(self, account: Account, sid: str, statuses: set[str]) -> Iterator[Task]:
        message = self._store.find(account.id, sid)
        if message is None:
            return
        latest = {d.status: d.outcome for d in self._entries.of(Delivery, account.id, sid)}
        for task in tasks_of(message, self._clock.now_ms()):
            status = (task.detail or "").partition(" ")[0]
            if status in statuses and latest.get(status) != ANSWERED:
                yield task

    async def _again(self, tasks: Sequence[Task]) -> int:
        if tasks:
            self._store.set_aside(tasks)
            await self._store.append(lambda db: None)  # until they are durable
        return len(tasks)


def tasks_of(message: Message, now_ms: int) -> Iterator[Task]:
    """The callbacks of a message that its history asks for, due now; none without a URL.

    The receipt's own date is not in the history, so these do not tell it.
    """
    if message.callback is None:
        return
    for line in message.history.splitlines():
        fact, _, code = line.split(" ")
        status = _TOLD.get(fact)
        if fact == "wait_ended" and message.status is Status.UNDELIVERED:
            status = Status.UNDELIVERED
        if status is not None:
            number, detail = CALLBACK_SLOTS[status], f"{status} {code} -"
            lane = message.callback_lane
            yield Task(message.key, number, TaskKind.CALLBACK, lane, now_ms, detail=detail)


_TOLD: Final = {
    "handed": Status.SENT, "delivered": Status.DELIVERED, "undelivered": Status.UNDELIVERED,
    "refused": Status.FAILED, "expired": Status.FAILED,
}  # fmt: skip


def _failed(entry: Delivery) -> bool:
    return entry.outcome != ANSWERED
