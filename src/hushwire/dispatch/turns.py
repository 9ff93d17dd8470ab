"""Whose turn it is: messages that wait in memory for their sender's pace.

A sender that is paced sends its next message only when the last one's time on the air is
over. Each has a queue of its own, so a slow sender delays nobody else; the heap holds one
entry a sender, not one a message.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil
from typing import Final

from hushwire.domain.message import Message

HELD_MAX: Final = 100  # messages of one sender in memory; the others wait in the table

Fit = Callable[[Message, int], Message | None]  # given the time as well


class _Sender:
    __slots__ = ("aside_ms", "free_ms", "queue", "queued_ms")

    def __init__(self, free_ms: float) -> None:
        self.free_ms = free_ms  # when it may send again
        self.queue: deque[tuple[Message, float]] = deque()  # with the length of each, in ms
        self.queued_ms = 0.0  # how long the queue takes
        self.aside_ms = 0.0  # end of the timetable of what was put aside


class Turns:
    """The queues of all paced senders. Lengths are how long a message occupies its sender."""

    def __init__(self, began_ms: int) -> None:
        # What a process before us sent last is not known: a sender's first message waits its
        # own length from here, so that a restart is no way around the pace.
        self._began_ms = began_ms
        self._senders: dict[str, _Sender] = {}
        self._turns: list[tuple[float, str]] = []  # heap: when whose turn comes
        self._held = 0

    def __len__(self) -> int:
        """How many messages wait here."""
        return self._held

    def next_ms(self) -> int | None:
        """When the next turn comes (Unix ms), or None when nobody waits."""
        return ceil(self._turns[0][0]) if self._turns else None

    def offer(self, name: str, message: Message, length_ms: float, now_ms: int) -> int | None:
        """When `message` may go: `now_ms`, and then its turn is taken; None: it waits here;
        later: it is not kept here, and is to come again then."""
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = _Sender(self._began_ms + length_ms)
        if not sender.queue and sender.free_ms <= now_ms:
            sender.free_ms = now_ms + length_ms
            return now_ms
        turn_ms = sender.free_ms + sender.queued_ms
        if len(sender.queue) >= HELD_MAX:
            turn_ms = max(turn_ms, sender.aside_ms)
            sender.aside_ms = turn_ms + length_ms
            return min(max(ceil(turn_ms), now_ms + 1), message.expires_ms)
        if turn_ms >= message.expires_ms:
            return message.expires_ms  # its turn comes too late: it expires in time
        if not sender.queue:
            heappush(self._turns, (sender.free_ms, name))
        sender.queue.append((message, length_ms))
        sender.queued_ms += length_ms
        self._held += 1
        return None

    def take(self, now_ms: int, fit: Fit) -> Message | None:
        """The next message whose turn has come, as `fit` returns it: a message that `fit`
        refuses takes no turn."""
        while self._turns and self._turns[0][0] <= now_ms:
            _, name = heappop(self._turns)
            sender = self._senders[name]
            message = self._first(sender, now_ms, fit)
            if message is not None:
                # The whole train moves: a sender that stood still does not send in a burst.
                sender.free_ms = now_ms + message[1]
            if sender.queue:
                heappush(self._turns, (sender.free_ms, name))
            if message is not None:
                return message[0]
        return None

    def _first(self, sender: _Sender, now_ms: int, fit: Fit) -> tuple[Message, float] | None:
        while sender.queue:
            held, length_ms = sender.queue.popleft()
            self._held -= 1
            sender.queued_ms = sender.queued_ms - length_ms if sender.queue else 0.0
            message = fit(held, now_ms)
            if message is not None:
                return message, length_ms
        return None
