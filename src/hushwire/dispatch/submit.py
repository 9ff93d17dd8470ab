"""The dispatcher: takes messages to the carrier, at the sender's pace, inside its window.

An attempt is marked durable before the wire, so that a crash leaves it visible as in doubt
instead of lost or doubled. No task, timer or future per message: two deques, one heap, one
alarm.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Sequence

from hushwire.carriers.base import Accepted, Carrier, NotNow, Outcome, Refused, Submission, Unsure
from hushwire.clock import Alarm, Clock
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.backoff import retry_ms
from hushwire.domain.message import Change, Fact, Message, Status, advance
from hushwire.domain.task import Task, TaskKind
from hushwire.faults import reach
from hushwire.observe import Metrics
from hushwire.store.store import Store

_ATTEMPTED = Fact("attempted")
_EXPIRED = Fact("expired")
_DOUBTED = Fact("doubted")
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
    ) -> None:
        self._store = store
        self._carrier = carrier
        self._clock = clock
        self._wire_log = wire_log
        self._metrics = metrics
        self._memory = memory
        self._pace_ms = pace_ms  # milliseconds this message occupies its sender; 0 is unpaced
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Message] = deque()
        self._paced: dict[str, deque[Message]] = {}  # sender → what waits for its pace
        self._turns: list[tuple[float, str]] = []  # heap: when which sender may send again
        self._free_at: dict[str, float] = {}  # sender → when it may send again
        self._paced_count = 0
        self._open: dict[int, Message] = {}  # marked or on the wire, without an outcome
        self._alarm = Alarm(clock, self._kick)
        self._kicked = False
        self._stopping = False

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        return self._memory - len(self._ready) - self._paced_count - len(self._open)

    def feed(self, task: Task, message: Message) -> None:
        self._ready.append(message)
        self._kick()

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
        expired: list[Change] = []
        while len(messages) < room and (message := self._next(now_ms)) is not None:
            late = message.expires_ms <= now_ms
            change = advance(message, _EXPIRED if late else _ATTEMPTED, now_ms)
            if change is None or change.after is None:
                continue
            if late:
                expired.append(change)
            else:
                marked.append(change)
                messages.append(change.after)
                self._open[message.key] = change.after
        if expired:
            self._store.record(expired)
        if marked:
            self._store.record(marked).add_done_callback(lambda _: self._to_wire(messages))
        if self._turns:
            self._alarm.set(int(self._turns[0][0]) + 1)
        if self._ready and len(self._open) < self._carrier.window:
            self._kick()

    def _next(self, now_ms: int) -> Message | None:
        """The next message that may go now: one whose sender's turn has come, or a ready one."""
        if self._turns and self._turns[0][0] <= now_ms:
            _, sender = heapq.heappop(self._turns)
            queue = self._paced[sender]
            message = self._latest(queue.popleft())
            self._paced_count -= 1
            # The whole train moves: a sender that stood still does not send in a burst.
            self._free_at[sender] = now_ms + self._pace_ms(message)
            if queue:
                heapq.heappush(self._turns, (self._free_at[sender], sender))
            else:
                del self._paced[sender]
            return message
        while self._ready:
            message = self._latest(self._ready.popleft())
            pace_ms = self._pace_ms(message)
            if not pace_ms or message.from_ is None:
                return message
            sender = message.from_.reveal()
            if sender not in self._paced and self._free_at.get(sender, 0.0) <= now_ms:
                self._free_at[sender] = now_ms + pace_ms
                return message
            if sender not in self._paced:
                self._paced[sender] = deque()
                heapq.heappush(self._turns, (self._free_at[sender], sender))
            self._paced[sender].append(message)
            self._paced_count += 1
        return None

    def _latest(self, message: Message) -> Message:
        return self._store.peek(message.key) or message

    def _to_wire(self, messages: list[Message]) -> None:
        reach("dispatch.marked")
        self._wire_log.write([message.key for message in messages])
        reach("dispatch.logged")
        batch = [_submission(m) for m in messages if m.body is not None]
        self._carrier.submit(batch)
        reach("dispatch.submitted")

    # -- and back -------------------------------------------------------------------------

    def outcomes(self, reported: Sequence[tuple[Submission, Outcome]]) -> None:
        """The carrier's answers to submissions."""
        now_ms = self._clock.now_ms()
        changes: list[Change] = []
        for submission, outcome in reported:
            held = self._open.pop(submission.reference, None)
            message = self._store.peek(submission.reference) or held
            if message is None or message.status not in (Status.QUEUED, Status.SENDING):
                continue  # its receipt came first, or it was deleted
            change = advance(message, _fact(message, outcome, now_ms), now_ms)
            if change is not None:
                changes.append(change)
        if changes:
            self._store.record(changes)
        if self._ready:
            self._kick()
        elif self.room(0) >= self._memory // 2:
            self._drained(TaskKind.SUBMIT, 0)

    async def stop(self, within_s: float) -> None:
        """Take no more to the wire and wait for the answers of what is on it."""
        self._stopping = True
        self._alarm.cancel()
        for _ in range(int(within_s * 100)):
            if not self._open:
                return
            await asyncio.sleep(0.01)


def _submission(message: Message) -> Submission:
    assert message.from_ is not None
    assert message.to is not None
    assert message.body is not None
    return Submission(
        message.key, message.from_, message.to, message.body, message.segments, message.sid
    )


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
