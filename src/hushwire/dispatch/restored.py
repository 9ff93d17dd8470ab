"""The first start of a restored database: what it believes is still to be sent may be sent.

Between the backup and the loss the server went on, and nothing remembers what it did. So what
was due by now is not sent again: it is in doubt, as after a crash (docs/explanation/in-doubt.md).
What had no sender yet, or no files, and never was on the wire as far as the backup knows, fails
with the same code. What is scheduled for later is sent when its time comes.
"""

from pathlib import Path

from hushwire.clock import Clock
from hushwire.domain.message import UNKNOWN_ERROR, Change, Fact, Message, advance
from hushwire.domain.task import Task, TaskKind
from hushwire.store.engine import Database
from hushwire.store.rows import read_task
from hushwire.store.store import Store

_CHUNK = 1_000
_ATTEMPTED, _DOUBTED = Fact("attempted"), Fact("doubted")
_FAILED = Fact("refused", error_code=UNKNOWN_ERROR)


async def doubt_waiting(store: Store, path: Path, clock: Clock) -> int:
    """Settle what waits and was due. How many messages. Before any worker runs."""
    now_ms = clock.now_ms()
    due = _waiting(path, now_ms)
    count = 0
    for at in range(0, len(due), _CHUNK):
        chunk = due[at : at + _CHUNK]
        messages = store.load([task.record for task in chunk])
        changes: list[Change] = []
        for task in chunk:
            message = messages.get(task.record)
            followed = _doubt(task, message, now_ms) if message is not None else []
            changes += followed
            count += bool(followed)
        if changes:
            await store.record(changes)
    return count


def _doubt(task: Task, message: Message, now_ms: int) -> list[Change]:
    """The changes of one message that is not to be sent any more."""
    if task.kind is not TaskKind.SUBMIT:
        facts = (_FAILED,)
    elif message.attempt > task.attempt:  # it was under way already
        facts = (_DOUBTED,)
    else:
        facts = (_ATTEMPTED, _DOUBTED)
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
