"""The ends of waits: a receipt that never came, a recovery hold that is over."""

from msgspec import structs

from hushwire.clock import Clock
from hushwire.domain.holds import held_until
from hushwire.domain.message import RECOVERY_MS, Change, Fact, Message, advance, redacted
from hushwire.domain.task import Task, TaskKind
from hushwire.store.store import Store

_WAIT_ENDED = Fact("wait_ended")


class Waits:
    """Worker for SETTLE, LATE and REDACT tasks: each is one fact about its message."""

    def __init__(self, store: Store, clock: Clock, recovery_ms: int = RECOVERY_MS) -> None:
        self._store = store
        self._clock = clock
        self._recovery_ms = recovery_ms

    def room(self, lane: int) -> int:
        return 1_000

    def forget(self, record: int) -> None:
        return  # nothing is held here

    def feed(self, task: Task, message: Message) -> None:
        change = self._change(task, message)
        if change is None or (change.after is change.before and not change.puts):
            self._store.drop([task])
        else:
            self._store.record([change])

    def _change(self, task: Task, message: Message) -> Change | None:
        now_ms = self._clock.now_ms()
        match task.kind:
            case TaskKind.SETTLE:
                return advance(message, _WAIT_ENDED, now_ms, self._recovery_ms)
            case TaskKind.REDACT:
                pending = self._store.callbacks_pending(message.key)
                again_ms = held_until(message, now_ms, callbacks_pending=pending)
                if again_ms is not None:
                    return Change(
                        message, message, (structs.replace(task, due_ms=again_ms, held=False),)
                    )
                return redacted(message, now_ms, body=message.discard, address=message.obfuscate)
            case _:
                return None
