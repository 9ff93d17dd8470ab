"""The ends of waits: a receipt that never came, a recovery hold that is over."""

from hushwire.clock import Clock
from hushwire.domain.message import Change, Fact, Message, advance
from hushwire.domain.task import Task, TaskKind
from hushwire.domain.withholding import LIFTED, due
from hushwire.store.custodian import Custodian
from hushwire.store.media import MediaTable
from hushwire.store.store import Store

_WAIT_ENDED = Fact("wait_ended")


class Waits:
    """Worker for SETTLE, LATE and REDACT tasks: each is one fact about its message."""

    def __init__(
        self, store: Store, clock: Clock, custodian: Custodian, media: MediaTable | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._custodian = custodian
        self._media = media
        self._windows = store.accounts.windows

    def room(self, lane: int) -> int:
        return 1_000

    def forget(self, record: int) -> None:
        return  # nothing is held here

    def feed(self, task: Task, message: Message) -> None:
        if task.number == LIFTED and self._media is not None:
            self._media.forget(self._media.withheld(message.key))
        change = self._change(task, message)
        if change is None or (change.after is change.before and not change.puts):
            self._store.drop([task])
        else:
            self._store.record([change])

    def _change(self, task: Task, message: Message) -> Change | None:
        now_ms = self._clock.now_ms()
        match task.kind:
            case TaskKind.SETTLE:
                return advance(message, _WAIT_ENDED, now_ms, self._windows[message.account_id])
            case TaskKind.REDACT:
                custody = self._custodian.custody(message)
                return due(message, custody, now_ms, self._windows[message.account_id])
            case _:
                return None
