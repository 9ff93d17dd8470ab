"""The restart: what a dead process had marked and not settled.

A marked attempt that the wire log does not know never left: it is submitted again. One that
the log knows may have arrived: it is in doubt, visible as such, and held until a receipt
settles it or the wait ends (docs/explanation/in-doubt.md).
"""

from hushwire.clock import Clock
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.message import Change, Fact, advance
from hushwire.domain.task import Task
from hushwire.store.store import Store

_DOUBTED = Fact("doubted")


async def recover(store: Store, clock: Clock, wire_log: WireLog) -> tuple[int, int]:
    """Settle the attempts of a dead process. Returns (in doubt, submitted again)."""
    on_wire = wire_log.read()
    attempts = store.attempts()
    messages = store.load([task.record for task in attempts])
    now_ms = clock.now_ms()
    changes: list[Change] = []
    orphans: list[Task] = []
    doubted = 0
    for task in attempts:
        message = messages.get(task.record)
        left = on_wire is None or task.record in on_wire
        fact = _DOUBTED if left else Fact("postponed", retry_ms=now_ms)
        change = advance(message, fact, now_ms) if message is not None else None
        if change is None:
            orphans.append(task)
        else:
            changes.append(change)
            doubted += left
    if orphans:
        await store.drop(orphans)  # before the lanes look at what the table holds
    if changes:
        await store.record(changes)
    wire_log.start()
    return doubted, len(changes) - doubted
