"""Lanes: who does what is due. The one loop that takes tasks from the table.

A lane is what is throttled or ordered together; here one process owns every lane. Tasks come
two ways: handed over in memory right after the commit that made them, or claimed from the
table when they are due and their worker has room. Each kind of task has one worker.
"""

import asyncio
from typing import Protocol

from hushwire.clock import Alarm, Clock
from hushwire.domain.message import Message
from hushwire.domain.task import Task, TaskKind
from hushwire.store.store import Store

CLAIM = 200  # tasks a claim: the knee of the measured curve


class Worker(Protocol):
    """Does tasks of one kind."""

    def room(self, lane: int) -> int:
        """How many more tasks of this lane it will hold in memory."""
        ...

    def feed(self, task: Task, message: Message) -> None:
        """One task to do. It is durable and held by this process."""
        ...

    def forget(self, record: int) -> None:
        """That message was redacted or deleted: what was fed of it says too much."""
        ...


class Lanes:
    """Knows when each lane's next task is due, and feeds the workers."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.workers: dict[TaskKind, Worker] = {}
        self._due: dict[tuple[TaskKind, int], int] = {}
        self._alarm = Alarm(clock, self._ring)
        self._rung = asyncio.Event()
        self._claiming = False
        self._claimed: tuple[TaskKind, int] | None = None  # the lane being claimed from

    # -- the store's outlet ---------------------------------------------------------------

    def room(self, kind: TaskKind, lane: int) -> int:
        worker = self.workers.get(kind)
        if worker is None:
            return 1  # nobody does that here: it is not to be claimed
        where = (kind, lane)
        if where == self._claimed or (where in self._due and self._is_due(self._due[where])):
            return 0  # what waits in the table goes first
        return worker.room(lane)

    def deliver(self, task: Task, message: Message) -> None:
        worker = self.workers.get(task.kind)
        if worker is not None:
            worker.feed(task, message)

    def note(self, task: Task) -> None:
        where = (task.kind, task.lane)
        known = self._due.get(where)
        if known is None or task.due_ms < known:
            self._due[where] = task.due_ms
            self._alarm.set(task.due_ms)

    def forget(self, record: int) -> None:
        for worker in self.workers.values():
            worker.forget(record)

    # -- claiming -------------------------------------------------------------------------

    def wake(self, kind: TaskKind, lane: int) -> None:
        """A worker has room again: look whether the table holds more for that lane."""
        due = self._due.get((kind, lane))
        if due is not None:
            self._alarm.set(due)

    def start(self) -> None:
        """Learn what the table holds. Call once everything that a dead process held is released."""
        for kind, lane, due_ms in self._store.lanes_due():
            self._due[kind, lane] = due_ms
        if self._due:
            self._alarm.set(min(self._due.values()))

    async def run(self) -> None:
        """Claim what is due, for ever."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            self._claiming = True
            now_ms = self._clock.now_ms()
            # Oldest first: a callback that waits is told before the hold on its body ends.
            for _, where in sorted((due, at) for at, due in self._due.items() if due <= now_ms):
                await self._drain(*where)
            self._claiming = False

    def busy(self) -> int:
        """1 while due tasks are being claimed."""
        return int(self._claiming or self._rung.is_set())

    async def _drain(self, kind: TaskKind, lane: int) -> None:
        """Feed one lane until nothing is due in it or its worker is full."""
        worker = self.workers[kind]
        while (room := worker.room(lane)) > 0:
            limit = min(CLAIM, room)
            # Taken out first: what is noted while we claim must not be overwritten.
            self._due.pop((kind, lane), None)
            self._claimed = (kind, lane)
            now_ms = self._clock.now_ms()
            tasks, following = await self._store.claim(kind, lane, now_ms, limit)
            self._claimed = None
            if following is not None:
                self._remember(kind, lane, following)
            self._feed(worker, tasks)
            if len(tasks) < limit:
                return

    def _feed(self, worker: Worker, tasks: list[Task]) -> None:
        messages = self._store.load([task.record for task in tasks], withheld=True)
        orphans: list[Task] = []
        for task in tasks:
            message = messages.get(task.record)
            if message is None:
                orphans.append(task)  # its message was deleted meanwhile
            else:
                worker.feed(task, message)
        if orphans:
            self._store.drop(orphans)

    def _remember(self, kind: TaskKind, lane: int, due_ms: int) -> None:
        known = self._due.get((kind, lane))
        self._due[kind, lane] = due_ms if known is None else min(known, due_ms)
        self._alarm.set(due_ms)  # it may have become due while we claimed

    def _is_due(self, due_ms: int) -> bool:
        return due_ms <= self._clock.now_ms()

    def _ring(self) -> None:
        self._rung.set()
        later = [due for due in self._due.values() if not self._is_due(due)]
        if later:
            self._alarm.set(min(later))
