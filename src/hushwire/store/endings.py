"""Tasks that end, or go on, together with births: in their commit, and only if they are written.

A full disk refuses births and lets the rest of a commit through. What caused them must not be
over then: it would be lost with them.
"""

import asyncio
from collections.abc import Sequence

from hushwire.domain.message import Change
from hushwire.domain.task import Task, TaskRef
from hushwire.store.commit import Batch
from hushwire.store.engine import Database, Row
from hushwire.store.rows import task_row
from hushwire.store.store import Store


class Endings:
    """Records births with the end of the task they come from."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: list[TaskRef] = []  # with the births of the open batch
        self._puts: list[Row] = []
        store.writers.append(self._write)

    def end(self, task: Task, births: Sequence[Change]) -> "asyncio.Future[None]":
        """Births, if any, and the end of `task`. The future fails with `Unavailable` when a full
        disk let neither be."""
        if not births:
            return self._store.drop([task])
        self._ends.append((task.record, task.number))
        return self._store.record(births)

    def go_on(self, task: Task, births: Sequence[Change]) -> "asyncio.Future[None]":
        """Births, and `task` as it is from now on, still held by this process."""
        self._puts.append(task_row(task, held=True))
        return self._store.record(births)

    def _write(self, batch: Batch) -> None:
        if not (self._ends or self._puts):
            return
        ends, puts = self._ends, self._puts
        self._ends, self._puts = [], []

        def work(db: Database) -> None:
            if not batch.refused:
                db.many("drop_task", ends)
                db.many("put_task", puts)

        batch.work.append(work)
