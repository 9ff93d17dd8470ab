"""Following an account's messages: what changed is told to whoever listens, masked, at once.

Nothing here is kept: a listener holds the last changes it has not taken, and loses the oldest.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct

from hushwire.domain.message import Direction, Message
from hushwire.domain.privacy import Display, shown
from hushwire.private import Private

QUEUE_MAX: Final = 1_000  # changes that a slow listener is behind, before it loses the oldest
LISTENERS_MAX: Final = 16  # of one account

Told = Callable[[Message], None]


class Event(Struct, frozen=True):
    """A message after a change, as a log may show it: no body, and the person's number masked."""

    sid: str
    at_ms: int
    status: str
    direction: str
    from_: str | None
    to: str | None
    segments: int
    error_code: int | None


def event_of(message: Message, display: Display) -> Event:
    """`message` as it may be shown. The account's own number is whole; of the person's, what
    the account's `display` leaves."""
    inbound = message.direction is Direction.INBOUND
    return Event(
        sid=message.sid,
        at_ms=message.updated_ms,
        status=message.status,
        direction=message.direction,
        from_=_shown(message.from_, message.from_shown, display if inbound else None),
        to=_shown(message.to, message.to_shown, None if inbound else display),
        segments=message.segments,
        error_code=message.error_code,
    )


def _shown(live: Private | None, left: str | None, display: Display | None) -> str | None:
    """`display`: None for the account's own number."""
    if live is None:
        return left  # what remains of a forgotten number is masked already
    return live.reveal() if display is None else shown(live.reveal(), display)


class Listener:
    """One who listens: takes what happened since the last time."""

    def __init__(self, most: int = QUEUE_MAX) -> None:
        self._most: Final = most
        self._events: deque[Event] = deque()
        self._lost = 0
        self._news = asyncio.Event()
        self.over = False  # nothing more will come

    def put(self, event: Event) -> None:
        if len(self._events) == self._most:
            self._events.popleft()
            self._lost += 1
        self._events.append(event)
        self._news.set()

    def end(self) -> None:
        self.over = True
        self._news.set()

    async def take(self, within_s: float) -> tuple[int, list[Event]]:
        """How many changes were lost, and those that followed; waits `within_s` for the first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._news.wait()
        lost, events = self._lost, list(self._events)
        self._lost = 0
        self._events.clear()
        if not self.over:
            self._news.clear()
        return lost, events


class Tail:
    """Tells listeners what changed. While nobody listens it is not asked to.

    `switch` gets what is to be called for every message that changed, or None for nobody.
    `display` says how much an account (its id) lets be seen of a person's number.
    """

    def __init__(
        self, switch: Callable[[Told | None], None], display: Callable[[int], Display]
    ) -> None:
        self._switch = switch
        self._display = display
        self._listeners: dict[int, list[Listener]] = {}  # by account

    def told(self, message: Message) -> None:
        """`message` is now on disk as it is here. On the loop's thread."""
        listeners = self._listeners.get(message.account_id)
        if listeners:
            event = event_of(message, self._display(message.account_id))
            for listener in listeners:
                listener.put(event)

    def listen(self, account_id: int) -> Listener | None:
        """A new listener, to be given back to `leave`; None when the account has enough."""
        listeners = self._listeners.setdefault(account_id, [])
        if len(listeners) >= LISTENERS_MAX:
            return None
        listener = Listener()
        listeners.append(listener)
        self._switch(self.told)
        return listener

    def leave(self, account_id: int, listener: Listener) -> None:
        """It listens no more."""
        listeners = self._listeners.get(account_id, [])
        if listener in listeners:
            listeners.remove(listener)
        if not listeners:
            self._listeners.pop(account_id, None)
        if not self._listeners:
            self._switch(None)

    def close(self) -> None:
        """The server stops: every listener ends after what it has."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()
