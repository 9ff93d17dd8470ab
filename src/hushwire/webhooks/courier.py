"""The courier: posts what stands in the outbox, to debugger webhooks and sinks.

Each addressee has a lane of its own, with one post under way at a time, so a dead one delays
nobody else. What fails is due again by the table of the status callbacks, then given up.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from hushwire.clock import Alarm, Clock
from hushwire.domain.backoff import callback_retry_ms
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, HttpClient
from hushwire.store.outbox import Outbox, Parcel
from hushwire.webhooks.overrides import split

GONE: Final = 410  # the endpoint asks for no more of this


class Letter(Struct, frozen=True):
    """What is to be posted. The URL may have a fragment with connection overrides."""

    url: str
    headers: dict[str, str]
    body: bytes


class Writer(Protocol):
    """Turns parcels into letters."""

    def at_once(self, lane: str) -> int:
        """How many parcels of that lane one letter may hold."""
        ...

    def letter(self, lane: str, parcels: Sequence[Parcel]) -> Letter | None:
        """What tells the addressee of these; None when there is nobody or nothing to tell."""
        ...


class Courier:
    """Posts for all lanes. `writers`: how a lane's SID begins → who writes its letters."""

    def __init__(
        self, outbox: Outbox, client: HttpClient, clock: Clock, journal: Journal,
        writers: Mapping[str, Writer],
    ) -> None:  # fmt: skip
        self._outbox = outbox
        self._client = client
        self._clock = clock
        self._journal = journal
        self._writers = writers
        self._due: dict[str, int] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._alarm = Alarm(clock, self._ring)
        self._stopping = False

    def start(self) -> None:
        """Go on with what stands in the outbox, and hear of what comes."""
        self._outbox.told = self.note
        for lane, due_ms in self._outbox.lanes():
            self.note(lane, due_ms)

    async def stop(self, within_s: float) -> None:
        """Finish what is under way, nothing new; the rest stands in the outbox."""
        self._stopping = True
        self._outbox.told = None
        self._alarm.cancel()
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=within_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def busy(self) -> int:
        """Lanes with a post under way."""
        return len(self._running)

    def note(self, lane: str, due_ms: int) -> None:
        """A lane has a parcel that is due then."""
        known = self._due.get(lane)
        if known is None or due_ms < known:
            self._due[lane] = due_ms
        if not self._stopping:
            self._alarm.set(due_ms)

    def _ring(self) -> None:
        now_ms = self._clock.now_ms()
        for lane, due_ms in list(self._due.items()):
            if due_ms <= now_ms and lane not in self._running:
                del self._due[lane]
                task = asyncio.get_running_loop().create_task(self._serve(lane))
                self._running[lane] = task
                task.add_done_callback(lambda done, lane=lane: self._over(lane, done))
        later = [due_ms for lane, due_ms in self._due.items() if lane not in self._running]
        if later:
            self._alarm.set(min(later))

    def _over(self, lane: str, task: "asyncio.Task[None]") -> None:
        del self._running[lane]
        error = None if task.cancelled() else task.exception()
        if error is not None:  # its parcels wait for the next start
            self._journal.defect(error)
            return
        due_ms = self._outbox.next_due(lane)
        if due_ms is not None:
            self.note(lane, due_ms)

    async def _serve(self, lane: str) -> None:
        """Post until nothing is due in the lane."""
        writer = self._writers[lane[:2]]
        while not self._stopping:
            now_ms = self._clock.now_ms()
            parcels = self._outbox.due(lane, now_ms, writer.at_once(lane))
            if not parcels:
                return
            letter = writer.letter(lane, parcels)
            if letter is None:
                await self._outbox.drop(lane, parcels)
                continue
            url, overrides = split(letter.url)
            result = await self._client.post(url, letter.headers, letter.body, overrides.limits)
            if not self._stopping or isinstance(result, Answer):  # else it was cut short by us
                await self._settle(lane, parcels, result)

    async def _settle(self, lane: str, parcels: Sequence[Parcel], result: Answer | Failure) -> None:
        """Done, or once more later. A failure raises no alert: it might be that of an alert."""
        status = result.status if isinstance(result, Answer) else 0
        if 200 <= status < 300:
            await self._outbox.drop(lane, parcels)
            return
        now_ms = self._clock.now_ms()
        waits = [None if status == GONE else callback_retry_ms(p.attempt + 1) for p in parcels]
        word = "status" if isinstance(result, Answer) else result.kind
        self._journal.callback_failed(lane, word, parcels[0].attempt + 1, waits[0])
        over = [parcel for parcel, wait in zip(parcels, waits, strict=True) if wait is None]
        left = [(p, now_ms + wait) for p, wait in zip(parcels, waits, strict=True) if wait]
        if over:
            await self._outbox.drop(lane, over)
        if left:
            await self._outbox.later([p for p, _ in left], [due_ms for _, due_ms in left])
