"""Group commit: what waits at the end of the loop's tick goes into one transaction.

Callers fill the open `Batch` on the event loop. Its statements run there too, which costs
microseconds and no fight for the interpreter's lock; what waits for the disk runs in one
writer thread: vault keys first (one fdatasync), then the commit of the database (one fsync).
Then every waiter wakes in one call. At low load a batch holds one change and costs one fsync
of each file.

Nothing is acknowledged before both are on disk. A full disk refuses births and lets the rest
through, so that erasing works when nothing else does; any other failure stops the process.
"""

import asyncio
import errno
import threading
import time
from collections.abc import Callable
from typing import Final

import apsw

from hushwire.domain.message import Message
from hushwire.domain.task import Task, TaskRef
from hushwire.errors import Unavailable
from hushwire.faults import reach
from hushwire.store.audit import Groups
from hushwire.store.engine import Database, Row
from hushwire.store.rows import update_row
from hushwire.vault.slots import KeyRef, Slots

LINGER_S: Final = 0.005  # between commits that nobody waits for, while there are many
CROWD_ROWS: Final = 32  # births in one batch from which a moment's wait gathers more
CROWD_S: Final = 0.002

Work = Callable[[Database], None]


class Durable(asyncio.Future[None]):
    """What everybody waits for whose change is in one batch.

    It cannot be cancelled: a waiter that is hears of it when the commit ends, and the others
    hear nothing of that waiter.
    """

    def cancel(self, msg: object = None) -> bool:
        return False


class Part:
    """Half of a batch: births may be refused alone, so they are kept apart."""

    __slots__ = ("done", "handed", "images", "puts")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.done = Durable(loop=loop)
        self.images: list[tuple[KeyRef, bytes]] = []
        self.puts: list[Row] = []
        self.handed: list[tuple[Task, Message]] = []  # to workers, once durable


class Batch:
    """Everything one transaction writes."""

    __slots__ = (
        "address_rows",
        "addressed",
        "audits",
        "births",
        "commit_s",
        "deletes",
        "drops",
        "forget_address",
        "forget_content",
        "named",
        "newborn",
        "others",
        "refused",
        "rows",
        "settled",
        "shreds",
        "updates",
        "withheld",
        "work",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.births = Part(loop)
        self.others = Part(loop)
        self.newborn: list[Message] = []
        self.rows: list[Row] = []  # of the newborn, sealed when the batch is taken
        self.named: list[Row] = []  # idempotency keys of some of the newborn
        self.updates: dict[int, Message] = {}  # by key: the latest whole state wins
        self.addressed: list[Message] = []
        self.address_rows: list[Row] = []
        self.drops: list[TaskRef] = []
        self.forget_content: list[tuple[int, KeyRef]] = []
        self.forget_address: list[tuple[int, KeyRef]] = []
        self.deletes: list[tuple[int]] = []
        self.shreds: list[KeyRef] = []
        self.withheld: list[int] = []  # notes of keys that live on: see vault/withheld.py
        self.audits: Groups = {}  # what it forgets, for the audit log
        self.work: list[Work] = []
        self.settled: list[tuple[int, Message | None]] = []  # what memory may forget after
        self.commit_s = 0.0
        self.refused = False  # its births, by a full disk


class GroupCommit:
    """Owns the writing connection and the thread that uses it."""

    def __init__(
        self,
        db: Database,
        slots: Slots,
        *,
        seal: Callable[[Batch], None],
        finished: Callable[[Batch], None],
        failed: Callable[[BaseException], None],
        make_room: Callable[[], None],
        threaded: bool = True,
    ) -> None:
        self._db = db
        self._slots = slots
        self._seal: Final = seal
        self._finished: Final = finished
        self._failed: Final = failed
        self._make_room: Final = make_room
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._given = threading.Semaphore(0)
        self._batch = Batch(self._loop)
        self._taken: Batch | None = None
        self._asked = False  # something was put into the open batch
        self._armed = False  # it is taken when this tick ends
        self._lingering: asyncio.TimerHandle | None = None
        self._began = 0.0  # loop time of the last commit's beginning
        self._crowded = False  # the last batch held a crowd: the rest of it is on its way
        self._interval_s = 0.1  # between the beginnings of commits, a moving average
        self._closing = False
        self.busy = False
        self.commits = 0
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._run, name="hushwire-writer", daemon=True)
            self._thread.start()

    def open_batch(self, *, urgent: bool = True) -> Batch:
        """The batch to fill now; it is taken when the loop's tick ends.

        What nobody waits for is not urgent: while commits follow each other closely it waits
        for company, so that there is one commit instead of ten.
        """
        self._asked = True
        if self.busy:
            return self._batch
        if self._lingering is not None and urgent:
            self._lingering.cancel()
            self._lingering = None
            self._armed = False
        if not self._armed:
            self._armed = True
            if urgent and self._crowded:
                self._loop.call_later(CROWD_S, self._take)
            elif urgent or self._interval_s > 2 * LINGER_S:
                self._loop.call_soon(self._take)
            else:
                self._lingering = self._loop.call_at(self._began + LINGER_S, self._take)
        return self._batch

    def now(self, work: Work) -> None:
        """Write at once, on the calling thread. For rare things that must be durable first."""
        with self._lock, self._db:
            work(self._db)

    def backlog(self) -> int:
        """How many births wait in the open batch."""
        return len(self._batch.newborn)

    def uncommitted(self) -> set[int]:
        """Keys of messages whose latest change is not yet on disk."""
        batches = (self._batch, self._taken) if self._taken is not None else (self._batch,)
        return {key for batch in batches for key, _ in batch.settled}

    def pending(self) -> bool:
        """Is anything not yet on disk?"""
        return self.busy or self._armed

    async def close(self) -> None:
        """Commit what waits, then stop the thread."""
        while self.pending():
            await self.open_batch().others.done
        self._closing = True
        if self._thread is not None:
            self._given.release()
            await asyncio.to_thread(self._thread.join)

    def _take(self) -> None:
        """The tick is over: the open batch is taken, its statements run, its commit begins."""
        self._armed = False
        self._asked = False
        self._lingering = None
        self.busy = True
        now = self._loop.time()
        self._crowded = len(self._batch.newborn) >= CROWD_ROWS
        self._interval_s += (min(now - self._began, 0.1) - self._interval_s) / 8
        self._began = now
        batch, self._batch = self._batch, Batch(self._loop)
        self._taken = batch
        self._seal(batch)  # all at once: one thing many times is cheaper than many things once
        self._lock.acquire()  # until the commit: `now` must not write into this transaction
        try:
            self._fill_or_refuse(batch)
        except (apsw.Error, OSError) as error:
            self._failed(error)
            return
        if self._thread is None:
            self._commit(batch)
            self._loop.call_soon(self._wake, batch)
        else:
            self._given.release()

    def _run(self) -> None:
        while True:
            self._given.acquire()
            batch = self._taken
            if self._closing or batch is None:
                return
            try:
                self._commit(batch)
            except BaseException as error:  # noqa: BLE001  nothing may follow a failed commit
                self._failed(error)
                return
            self._loop.call_soon_threadsafe(self._wake, batch)

    def _wake(self, batch: Batch) -> None:
        self.commits += 1
        self.busy = False
        self._taken = None
        if self._asked:
            waiting = self._batch
            self.open_batch(urgent=bool(waiting.newborn or waiting.work or waiting.shreds))
        if batch.refused and batch.newborn:
            batch.births.done.set_exception(Unavailable("unavailable", retry_after_s=30))
        else:
            batch.births.done.set_result(None)
        batch.others.done.set_result(None)
        self._finished(batch)
        batch.work.clear()  # work that knows its batch would keep all of it for the collector

    def _fill_or_refuse(self, batch: Batch) -> None:
        try:
            self._fill(batch)
        except apsw.FullError:
            self._refuse_births(batch)

    def _fill(self, batch: Batch) -> None:
        """Run the batch's statements in a transaction that is not yet committed."""
        db = self._db
        db.begin()
        if not batch.refused:
            db.many("insert_message", batch.rows)
            db.many("put_task", batch.births.puts)
            db.many("put_idempotency", batch.named)
        db.many("put_task", batch.others.puts)
        db.many("update_message", [update_row(message) for message in batch.updates.values()])
        db.many("address_message", batch.address_rows)
        db.many("drop_task", batch.drops)
        db.many("forget_content", batch.forget_content)
        db.many("forget_address", batch.forget_address)
        db.many("delete_message", batch.deletes)
        for work in batch.work:  # last: a claim finds every task noted before it was asked for
            work(db)

    def _commit(self, batch: Batch) -> None:
        """Keys to disk, then the transaction. A full disk refuses the births, once."""
        began = time.perf_counter()
        try:
            self._write(batch)
        except (apsw.FullError, OSError) as error:
            if batch.refused or (isinstance(error, OSError) and error.errno != errno.ENOSPC):
                raise
            self._refuse_births(batch)
            self._write(batch)
        self._lock.release()
        batch.commit_s = time.perf_counter() - began

    def _write(self, batch: Batch) -> None:
        images = batch.others.images
        if not batch.refused:
            images = images + batch.births.images
        if batch.withheld and self._slots.withholding is not None:
            self._slots.withholding(batch.withheld)
            reach("store.withheld_noted")
        if images or batch.shreds:
            self._slots.write(images, batch.shreds)
        reach("store.vault_written")
        self._db.commit()
        reach("store.committed")
        if batch.shreds:
            self._slots.recycle(batch.shreds)

    def _refuse_births(self, batch: Batch) -> None:
        """The disk is full: nothing new, so that what frees space still goes through."""
        self._db.undo()
        batch.refused = True
        self._make_room()
        self._slots.release([ref for ref, _ in batch.births.images])
        self._fill(batch)
