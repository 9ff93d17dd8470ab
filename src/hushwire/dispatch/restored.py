"""The first start of a restored database: what it believes is still to be sent may be sent.

Between the backup and the loss the server went on, and nothing remembers what it did. So what
was due by now is not sent again: it is in doubt, as after a crash (docs/explanation/in-doubt.md).
What had no sender yet, or no files, and never was on the wire as far as the backup knows, fails
with the same code. What is scheduled for later is sent when its time comes.
"""

from collections.abc import Container
from pathlib import Path

from hushwire.clock import Clock
from hushwire.domain.holds import FOREVER
from hushwire.domain.message import UNKNOWN_ERROR, Change, Fact, Message, advance
from hushwire.domain.task import Task, TaskKind
from hushwire.store.engine import Database
from hushwire.store.rows import read_task
from hushwire.store.store import Store

_CHUNK = 1_000
_ATTEMPTED, _DOUBTED, _WAIT_ENDED = Fact("attempted"), Fact("doubted"), Fact("wait_ended")
_FAILED = Fact("refused", error_code=UNKNOWN_ERROR)


async def doubt_waiting(
    store: Store, path: Path, clock: Clock, only: Container[int] | None = None
) -> int:
    """Settle what waits and was due. How many messages. Before any worker runs.

    `only`: end what waits of messages of these keys, due or not; nobody waits for a receipt.
    """
    now_ms = clock.now_ms()
    due = _waiting(path, now_ms if only is None else FOREVER)
    if only is not None:
        due = [task for task in due if task.record in only]
    count = 0
    for at in range(0, len(due), _CHUNK):
        chunk = due[at : at + _CHUNK]
        messages = store.load([task.record for task in chunk])
        changes: list[Change] = []
        for task in chunk:
            message = messages.get(task.record)
            facts = _facts(task, message) if message is not None else ()
            if only is not None:
                facts += (_WAIT_ENDED,)
            followed = _followed(message, facts, now_ms)
            changes += followed
            count += bool(followed)
        if changes:
            await store.record(changes)
    return count


def _facts(task: Task, message: Message) -> tuple[Fact, ...]:
    """What is to be believed of one message that is not to be sent any more."""
    if task.kind is not TaskKind.SUBMIT:
        return (_FAILED,)
    if message.attempt > task.attempt:  # it was under way already
        return (_DOUBTED,)
    return _ATTEMPTED, _DOUBTED


def _followed(message: Message | None, facts: tuple[Fact, ...], now_ms: int) -> list[Change]:
    changes: list[Change] = []
    latest: Message | None = message
    for fact in facts:
        change = advance(latest, fact, now_ms) if latest is not None else None
        if change is not None:
            changes.append(change)
            latest = change.after
    return changes


def _waiting(path: Path, now_ms: int) -> list[Task]:
    db = Database(path, readonly=True)
    try:
        kinds = (TaskKind.SUBMIT, TaskKind.CHOOSE, TaskKind.FETCH)
        return [read_task(row) for kind in kinds for row in db.rows("waiting_tasks", kind, now_ms)]
    finally:
        db.close()
