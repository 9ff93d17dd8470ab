"""Chooses a sender for each message of a Messaging Service, when it is accepted or when its time
has come (twilio-messaging 7.6). `domain.routing` has the rules.

Many messages a commit, no task or timer for one. Until the choice is on the disk nothing is
sent; a crash before it leaves the message waiting, and it is chosen anew.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.outgoing import recipient_of
from hushwire.actions.services import Services
from hushwire.clock import Clock
from hushwire.domain.fallback import ends_ms, first_failure
from hushwire.domain.message import (
    UNKNOWN_ERROR,
    WAITING,
    Change,
    Fact,
    Message,
    Status,
    advance,
)
from hushwire.domain.routing import UNREGISTERED, Chosen, NoSender, Options, Sender, choose
from hushwire.domain.service import Service, sender_of
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import PROBLEMS
from hushwire.private import Private
from hushwire.store.optouts import StickySenders
from hushwire.store.schedule import ScheduledCounts
from hushwire.store.store import Store

BATCH: Final = 256  # messages chosen for in one go
MEMORY: Final = 4_000  # messages that wait here; the others wait in the table
POOLS_MAX: Final = 1_000  # services remembered

_EXPIRED: Final = Fact("expired")
_NOTHING_TO_SEND: Final = Fact("refused", error_code=UNKNOWN_ERROR)  # its body is gone
_NO_SERVICE: Final = Fact("refused", error_code=PROBLEMS["service_not_found"].code)

Known = tuple[int, str, str]  # account, service, recipient


class _Pool(Struct):
    """A service's senders. Who was chosen last stands last: among equals they take turns."""

    service: Service
    senders: list[Sender]


class Chooser:
    """Worker for CHOOSE tasks."""

    def __init__(
        self, store: Store, services: Services, sticky: StickySenders, scheduled: ScheduledCounts,
        clock: Clock, *, obstacle: Callable[[Message], int | None],
        drained: Callable[[TaskKind, int], None],
        used: Callable[[Sequence[Message], int], None] = lambda messages, now_ms: None,
        warned: Callable[[int, int, str | None], None] = lambda account_id, code, country: None,
    ) -> None:  # fmt: skip
        """`used` counts messages, with the time, once: when they have their first sender.
        `warned` hears of an account, an alert's code, and a country (ISO 3166)."""
        self._store = store
        self._services = services
        self._sticky = sticky
        self._scheduled = scheduled
        self._clock = clock
        self._obstacle: Final = obstacle  # the error code of what may not be sent from there
        self._drained: Final = drained
        self._used: Final = used
        self._warned: Final = warned
        self._windows = store.accounts.windows
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[int] = deque()
        self._pools: dict[str, _Pool] = {}
        self._fresh: dict[Known, str] = {}  # senders that persons know, not yet on the disk
        self._kicked = False
        self._stopping = False

    # -- Worker ---------------------------------------------------------------------------

    def room(self, lane: int) -> int:
        return MEMORY - len(self._waiting)

    def feed(self, task: Task, message: Message) -> None:
        self._waiting.append(message.key)
        self._kick()

    def forget(self, record: int) -> None:
        return  # what waits is looked up again when it is its turn

    def busy(self) -> int:
        """Messages that wait for their choice."""
        return len(self._waiting)

    def stop(self) -> None:
        """Choose no more; what waits is in the table."""
        self._stopping = True

    def _kick(self) -> None:
        if not self._kicked:
            self._kicked = True
            self._loop.call_soon(self._pump)

    # -- choosing -------------------------------------------------------------------------

    def _pump(self) -> None:
        self._kicked = False
        if self._stopping:
            return
        now_ms = self._clock.now_ms()
        changes: list[Change] = []
        known: dict[Known, str] = {}
        for _ in range(min(BATCH, len(self._waiting))):
            message = self._store.latest(self._waiting.popleft())
            if message is None or message.status not in WAITING:
                continue  # it was canceled meanwhile
            if message.attempt:  # its short code failed: the sender is to be written anew
                message = replace(message, from_=None)
            fact, windows = self._fact(message, now_ms, known), self._windows[message.account_id]
            change = advance(message, fact, now_ms, windows)
            if change is not None:
                changes.append(change)
                if message.status is Status.SCHEDULED:
                    self._scheduled.remove(message.account_id)
        if changes:
            self._remember(known, now_ms)
            self._used([c.after for c in changes if c.after and _is_first(c.after)], now_ms)
            self._store.record(changes)
        if self._waiting:
            self._kick()
        else:
            self._drained(TaskKind.CHOOSE, 0)

    def _fact(self, message: Message, now_ms: int, known: dict[Known, str]) -> Fact:
        """What becomes of a message: it is sent from there, then; or why it is not sent."""
        if ends_ms(message.expires_ms, message.sent_ms) <= now_ms:
            return _EXPIRED
        if message.to is None or message.body is None:
            return _NOTHING_TO_SEND
        service = self._services.find(message.account_id, message.service or "")
        if service is None:
            return _NO_SERVICE
        person: Known = (message.account_id, service.sid, message.to.reveal())
        found = self._choose(message, service, person, now_ms)
        if isinstance(found, NoSender):  # after a short code's failure, that is what counts
            error_code = first_failure(message.history) or found.error_code
            return Fact("refused", error_code=error_code)
        if found.alpha == "registration":
            self._warned(message.account_id, UNREGISTERED, recipient_of(person[2]).country)
        address = found.sender.address
        error_code = self._obstacle(replace(message, from_=Private(address)))
        if error_code is not None:
            return Fact("refused", error_code=error_code)
        pace = self._store.accounts.paces.get(address)
        due_ms = pace.reserve(now_ms, message.segments) if pace is not None else now_ms
        assert due_ms is not None, "a sender that is full was chosen"
        if service.settings.sticky_sender and found.why != "from":
            self._fresh[person] = known[person] = address
        return Fact("chosen", sender=Private(address), due_ms=due_ms)

    def _choose(
        self, message: Message, service: Service, person: Known, now_ms: int
    ) -> Chosen | NoSender:
        pool, settings = self._pool(service), service.settings
        options = Options(
            media=message.media > 0,
            from_=message.from_.reveal() if message.from_ is not None else None,
            sticky=self._sid_known_to(person, pool, now_ms) if settings.sticky_sender else None,
            area_code_geomatch=settings.area_code_geomatch,
            mms_converter=settings.mms_converter,
            long_code_only=message.attempt > 0,
        )
        senders = [self._loaded(sender, place, now_ms) for place, sender in enumerate(pool.senders)]
        found = choose(senders, recipient_of(person[2]), options)
        if isinstance(found, Chosen):
            place = senders.index(found.sender)
            pool.senders.append(pool.senders.pop(place))
        return found

    def _pool(self, service: Service) -> _Pool:
        pool = self._pools.get(service.sid)
        if pool is None or pool.service is not service:
            if len(self._pools) >= POOLS_MAX:
                self._pools.clear()
            pool = _Pool(service, [sender_of(member) for member in service.pool])
            self._pools[service.sid] = pool
        return pool

    def _loaded(self, sender: Sender, place: int, now_ms: int) -> Sender:
        """The sender with what waits for it. Its place decides between equals: there are at most
        400, so that it weighs less than half a second."""
        pace = self._store.accounts.paces.get(sender.address)
        if pace is None:
            return replace(sender, load_ms=place)
        load_ms = pace.wait_ms(now_ms) + place
        return replace(sender, load_ms=load_ms, full=pace.is_full(now_ms))

    # -- the sender a person knows --------------------------------------------------------

    def _sid_known_to(self, person: Known, pool: _Pool, now_ms: int) -> str | None:
        """The SID of that sender while it is in the pool."""
        address = self._fresh.get(person)
        if address is None:
            address = self._sticky.get(*person, now_ms)
        if address is None:
            return None
        return next((sender.sid for sender in pool.senders if sender.address == address), None)

    def _remember(self, known: dict[Known, str], now_ms: int) -> None:
        """Write who knows which sender, in the commit of the choice itself."""
        if not known:
            return
        rows = [self._sticky.row(*person, sender, now_ms) for person, sender in known.items()]
        written = self._store.append(lambda db: db.many("put_sticky", rows))
        written.add_done_callback(lambda _: self._written(known))

    def _written(self, known: dict[Known, str]) -> None:
        for person, sender in known.items():
            if self._fresh.get(person) == sender:
                del self._fresh[person]


def _is_first(after: Message) -> bool:
    """Has it its first sender, not the second of a fallback, and not none?"""
    return after.status is Status.QUEUED and not after.attempt
