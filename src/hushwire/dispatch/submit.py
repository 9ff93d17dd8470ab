"""The dispatcher: takes messages to the carrier, at the sender's pace, inside its window.

An attempt is marked durable before the wire, so that a crash leaves it visible as in doubt
instead of lost or doubled. No task, timer or future per message: queues, and one alarm.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from hushwire.actions.prices import Prices
from hushwire.carriers.base import Accepted, Carrier, NotNow, Outcome, Refused, Submission, Unsure
from hushwire.clock import Alarm, Clock
from hushwire.dispatch.lanes import CLAIM
from hushwire.dispatch.turns import Turns
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.backoff import retry_ms
from hushwire.domain.fallback import ends_ms
from hushwire.domain.media import as_link, takes_mms
from hushwire.domain.message import (
    OPEN,
    UNKNOWN_ERROR,
    Change,
    Fact,
    Message,
    advance,
)
from hushwire.domain.task import Task, TaskKind
from hushwire.faults import reach
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.store import Store

_ATTEMPTED = Fact("attempted")
_EXPIRED = Fact("expired")
_DOUBTED = Fact("doubted")
_NOTHING_TO_SEND = Fact("refused", error_code=UNKNOWN_ERROR)  # its body is gone
_LOG_RETRY_S = 1.0
BATCH = 256  # messages marked in one commit, so that their commit is not a long one


class Dispatcher:
    """Worker for SUBMIT tasks of one carrier."""

    def __init__(
        self,
        store: Store,
        carrier: Carrier,
        clock: Clock,
        wire_log: WireLog,
        metrics: Metrics,
        *,
        memory: int,
        pace_ms: Callable[[Message], float],
        drained: Callable[[TaskKind, int], None],
        obstacle: Callable[[Message], int | None] = lambda message: None,
        prices: Prices | None = None,
        media: Callable[[Message], tuple[Private, ...]] = lambda message: (),
    ) -> None:
        self._media: Final = media  # the URLs where a network gets the files of a message
        self._prices = prices
        self._obstacle: Final = obstacle  # the error code of what may not be sent after all
        self._store = store
        self._carrier = carrier
        self._clock = clock
        self._wire_log = wire_log
        self._metrics = metrics
        self._memory = memory
        self._windows = store.accounts.windows
        self._pace_ms = pace_ms  # milliseconds this message occupies its sender; 0 is unpaced
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Message] = deque()
        self._turns = Turns(clock.now_ms())  # what waits for its sender's pace
        self._ended: list[Change] = []  # what this tick ends without sending it
        self._open: dict[int, Message] = {}  # marked or on the wire, without an outcome
        self._alarm = Alarm(clock, self._kick)
        self._on_time = False  # what is marked in this tick is paced: its commit must not wait
        self._kicked = False
        self._stopping = False

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        return self._memory - len(self._ready) - len(self._turns) - len(self._open)

    def feed(self, task: Task, message: Message) -> None:
        self._ready.append(message)
        self._kick()

    def forget(self, record: int) -> None:
        return  # what is held is looked up again before it goes to the wire

    def busy(self) -> int:
        """Messages that are to be submitted now or wait for their outcome."""
        return len(self._ready) + len(self._open)

    def _kick(self) -> None:
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._pump)

    # -- to the wire ----------------------------------------------------------------------

    def _pump(self) -> None:
        self._kicked = False
        if self._stopping:
            return
        now_ms = self._clock.now_ms()
        room = min(self._carrier.window - len(self._open), BATCH)
        marked: list[Change] = []
        messages: list[Message] = []
        self._ended.clear()
        self._on_time = False
        while len(messages) < room and (message := self._next(now_ms)) is not None:
            change = advance(message, _ATTEMPTED, now_ms)
            if change is None or change.after is None:
                continue
            marked.append(change)
            messages.append(change.after)
            self._open[message.key] = change.after
        if self._ended:
            self._store.record(self._ended)
        if marked:
            done = self._store.record(marked, urgent=self._on_time)
            done.add_done_callback(lambda _: self._to_wire(messages))
        self._go_on(now_ms)

    def _go_on(self, now_ms: int) -> None:
        """Come again when there is more to do, and ask for more when there is room for it."""
        turn_ms = self._turns.next_ms()
        if len(self._open) < self._carrier.window:  # else the next outcome brings us back
            if self._ready or (turn_ms is not None and turn_ms <= now_ms):
                self._kick()
            elif turn_ms is not None:
                self._alarm.set(turn_ms)
        if not self._ready and self.room(0) >= min(self._memory // 2, CLAIM):
            self._drained(TaskKind.SUBMIT, 0)

    def _next(self, now_ms: int) -> Message | None:
        """The next message that may go now: one whose sender's turn has come, or a ready one."""
        message = self._turns.take(now_ms, self._fit)
        self._on_time |= message is not None
        while message is None and self._ready:
            fresh = self._fit(self._ready.popleft(), now_ms)
            if fresh is not None and self._may_go(fresh, now_ms):
                return fresh
        return message

    def _may_go(self, message: Message, now_ms: int) -> bool:
        """Is it unpaced, or its sender's turn? If not, it waits for it, here or in the table."""
        pace_ms = self._pace_ms(message)
        if not pace_ms or message.from_ is None:
            return True
        self._on_time = True
        come_ms = self._turns.offer(message.from_.reveal(), message, pace_ms, now_ms)
        if come_ms is not None and come_ms > now_ms:
            self._store.set_aside([_again(message, come_ms)])
        return come_ms == now_ms

    def _fit(self, message: Message, now_ms: int) -> Message | None:
        """The message as it is now, if it is still to be sent; what came too late ends here."""
        latest = self._store.latest(message.key)
        if latest is None or latest.status not in OPEN:
            return None  # its receipt came, or it was deleted
        if ends_ms(latest.expires_ms, latest.sent_ms) <= now_ms:
            fact = _EXPIRED
        elif latest.body is None:
            fact = _NOTHING_TO_SEND
        else:
            error_code = self._obstacle(latest)
            if error_code is None:
                return latest
            fact = Fact("refused", error_code=error_code)
        change = advance(latest, fact, now_ms, self._windows[latest.account_id])
        if change is not None:
            self._ended.append(change)
        return None

    def _to_wire(self, messages: list[Message]) -> None:
        reach("dispatch.marked")
        batch = [
            _submission(m, self._media(m) if m.media else ())
            for m in messages
            if m.body is not None
        ]
        try:
            self._wire_log.write([message.key for message in messages])
        except OSError:  # a full disk: what a restart could not know of is not sent
            self.outcomes([(submission, NotNow(_LOG_RETRY_S)) for submission in batch])
            return
        reach("dispatch.logged")
        self._carrier.submit(batch)
        reach("dispatch.submitted")

    # -- and back -------------------------------------------------------------------------

    def outcomes(self, reported: Sequence[tuple[Submission, Outcome]]) -> None:
        """The carrier's answers to submissions."""
        now_ms = self._clock.now_ms()
        changes: list[Change] = []
        for submission, outcome in reported:
            self._open.pop(submission.reference, None)
            message = self._store.latest(submission.reference)
            if message is None or message.status not in OPEN:
                continue  # its receipt came first, or it was deleted
            fact = _fact(message, outcome, now_ms)
            if self._prices is not None and isinstance(outcome, Accepted):
                fact = replace(fact, price=self._prices.of(message))
            change = advance(message, fact, now_ms, self._windows[message.account_id])
            if change is not None:
                changes.append(change)
                if fact.price is not None and self._prices is not None:
                    self._prices.charge(message, fact.price)
        if changes:
            self._store.record(changes)
        self._go_on(now_ms)

    async def stop(self, within_s: float) -> None:
        """Take no more to the wire and wait for the answers of what is on it."""
        self._stopping = True
        self._alarm.cancel()
        for _ in range(int(within_s * 100)):
            if not self._open:
                return
            await asyncio.sleep(0.01)


def _again(message: Message, due_ms: int) -> Task:
    return Task(message.key, 0, TaskKind.SUBMIT, message.lane, due_ms, message.attempt)


def _submission(message: Message, media: tuple[Private, ...]) -> Submission:
    from_, to, body = message.from_, message.to, message.body
    assert from_ is not None
    assert to is not None
    assert body is not None
    if media and not takes_mms(from_.reveal(), to.reveal()):
        body, media = Private(as_link(body.reveal(), [url.reveal() for url in media])), ()
    return Submission(message.key, from_, to, body, message.segments, message.sid, media)


def _fact(message: Message, outcome: Outcome, now_ms: int) -> Fact:
    match outcome:
        case Accepted(carrier_ref):
            return Fact("handed", carrier_ref=carrier_ref)
        case Refused(error_code):
            return Fact("refused", error_code=error_code)
        case NotNow(retry_after_s):
            wait_ms = max(int(retry_after_s * 1000), retry_ms(message.attempt))
            return Fact("postponed", retry_ms=now_ms + wait_ms)
        case Unsure():
            return _DOUBTED
