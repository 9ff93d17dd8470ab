"""Fetches the media of a message before it is submitted, and forgets them when their hold ends.

Messages wait in a lane for each server that media come from, so a slow one delays few others.
What was fetched becomes the message's, and the message goes on, in one commit: a crash before
it leaves objects that nothing opens, and the media are fetched anew.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from hushwire.actions.downloads import Downloads, Trouble
from hushwire.clock import Clock
from hushwire.domain.backoff import retry_ms
from hushwire.domain.extras import extras_of
from hushwire.domain.holds import Part, look_again_ms, unneeded
from hushwire.domain.message import UNKNOWN_ERROR, Fact, Message, Status, advance
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import Unavailable
from hushwire.faults import reach
from hushwire.observe import Journal
from hushwire.store.custodian import Custodian
from hushwire.store.media import MediaTable, SealedFile
from hushwire.store.store import Store

AT_ONCE: Final = 16  # messages whose media are fetched; each holds 5 MB at most
OF_A_LANE: Final = 4
TRIES: Final = 3  # of a server that may be back in a moment

_MEDIA: Final[frozenset[Part]] = frozenset({"media"})
_FETCHED: Final = Fact("fetched")
_EXPIRED: Final = Fact("expired")
_NOTHING_TO_SEND: Final = Fact("refused", error_code=UNKNOWN_ERROR)  # its content is gone


class Fetcher:
    """Worker for FETCH tasks."""

    def __init__(
        self, store: Store, media: MediaTable, downloads: Downloads, clock: Clock,
        journal: Journal, *, drained: Callable[[TaskKind, int], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._media = media
        self._downloads = downloads
        self._clock = clock
        self._journal = journal
        self._drained: Final = drained
        self._windows = store.accounts.windows
        self._loop = asyncio.get_running_loop()
        self._open: dict[asyncio.Task[None], int] = {}  # with the lane of each
        self._full: set[int] = set()  # lanes that were told there is no room

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        own = sum(1 for other in self._open.values() if other == lane)
        room = max(0, min(AT_ONCE - len(self._open), OF_A_LANE - own))
        if not room:
            self._full.add(lane)
        return room

    def feed(self, task: Task, message: Message) -> None:
        work = self._loop.create_task(self._fetch(task, message.key))
        self._open[work] = task.lane
        work.add_done_callback(self._over)

    def forget(self, record: int) -> None:
        return  # what is fetched for is looked up again before it goes on

    def busy(self) -> int:
        """Messages whose media are being fetched."""
        return len(self._open)

    async def stop(self) -> None:
        """Fetch no more. What was under way begins anew at the next start."""
        for work in self._open:
            work.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    # -- the work -------------------------------------------------------------------------

    async def _fetch(self, task: Task, record: int) -> None:
        message = self._current(record)
        if message is None:
            self._store.drop([task])
            return
        urls = extras_of(message.extras).media_urls
        if message.expires_ms <= self._clock.now_ms():
            self._end(message, _EXPIRED)
        elif not urls:
            self._end(message, _NOTHING_TO_SEND)
        else:
            await self._take(task, record, urls)

    async def _take(self, task: Task, record: int, urls: tuple[str, ...]) -> None:
        try:
            files = await self._downloads.take(urls)
        except Unavailable as failed:  # ours, not theirs: as long as the message is good
            self._journal.library("warning", "obstore", "", failed.__cause__)
            self._again(task)
            return
        message = self._current(record)
        if message is None:
            self._store.drop([task])
            if not isinstance(files, Trouble):
                await self._media.discard(files)
        elif not isinstance(files, Trouble):
            self._go_on(message, files)
        elif files.passing and task.attempt + 1 < TRIES:
            self._again(task)
        else:
            self._end(message, Fact("refused", error_code=files.error_code))

    def _go_on(self, message: Message, files: list[SealedFile]) -> None:
        """The files become the message's, and it goes on, in one commit."""
        reach("media.fetched")
        self._media.attach(files, message.key, message.account_id, self._clock.now_ms())
        self._end(message, _FETCHED)

    def _end(self, message: Message, fact: Fact) -> None:
        change = advance(message, fact, self._clock.now_ms(), self._windows[message.account_id])
        assert change is not None, "a queued message hears of its media"
        self._store.record((change,))

    def _again(self, task: Task) -> None:
        attempt = task.attempt + 1
        due_ms = self._clock.now_ms() + retry_ms(attempt)
        again = Task(task.record, task.number, task.kind, task.lane, due_ms, attempt)
        self._store.set_aside([again])

    def _current(self, record: int) -> Message | None:
        """The message, while it waits for its media."""
        message = self._store.latest(record)
        return message if message is not None and message.status is Status.QUEUED else None

    def _over(self, work: "asyncio.Task[None]") -> None:
        lane = self._open.pop(work)
        error = None if work.cancelled() else work.exception()
        if error is not None:  # a defect: that message waits in the table for the next start
            self._journal.defect(error)
        if not work.cancelled():
            full, self._full = self._full | {lane}, set()
            for waiting in full:
                self._drained(TaskKind.FETCH, waiting)


class MediaHolds:
    """Worker for MEDIA tasks: the hold on the media of a message ends.

    Whether another still keeps them, the table of holds says: that no webhook has taken the
    message, or that a long code may have to try.
    """

    def __init__(self, store: Store, media: MediaTable, custodian: Custodian, clock: Clock) -> None:
        self._store = store
        self._media = media
        self._custodian = custodian
        self._clock = clock
        self._windows = store.accounts.windows

    def room(self, lane: int) -> int:
        return 1_000

    def forget(self, record: int) -> None:
        return  # nothing is held here

    def feed(self, task: Task, message: Message) -> None:
        now_ms, windows = self._clock.now_ms(), self._windows[message.account_id]
        # Without their kind: when this task is due, their own hold is over.
        custody = replace(self._custodian.custody(message), alive=_MEDIA)
        again_ms = look_again_ms(custody, now_ms, windows)
        if unneeded(custody, now_ms, windows) >= _MEDIA:
            self._media.forget(self._media.of(message.key))
        elif again_ms is not None:
            self._store.set_aside([replace(task, due_ms=again_ms, held=False)])
            return
        self._store.drop([task])
