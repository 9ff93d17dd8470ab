"""What can be done with feedback: report a message's outcome, and look at the report."""

from collections.abc import Callable

from hushwire.clock import Clock
from hushwire.domain.feedback import Feedback, Outcome
from hushwire.domain.message import Direction, Message
from hushwire.errors import Unavailable
from hushwire.store.store import Store


class FeedbackReports:
    """The actions on feedback, for every door."""

    def __init__(self, store: Store, clock: Clock, disk_low: Callable[[], bool]) -> None:
        self._store = store
        self._clock = clock
        self._disk_low = disk_low

    async def report(self, message: Message, outcome: Outcome) -> Feedback | None:
        """Report how a message turned out, or correct an earlier report.

        Any message that was sent takes it, asked for with ProvideFeedback or not. None when
        there is nothing to report about: it was received, or deleted meanwhile.
        """
        if message.direction is Direction.INBOUND:
            return None
        if self._disk_low():
            raise Unavailable("unavailable", retry_after_s=30)
        return await self._store.feedback.put(message.key, outcome, self._clock.now_ms())

    def outcome(self, message: Message) -> Outcome | None:
        """The reported outcome. Without a report it counts as unconfirmed where feedback was
        asked for (ProvideFeedback), and there is none otherwise."""
        found = self._store.feedback.find(message.key)
        if found is not None:
            return found.outcome
        return "unconfirmed" if message.provide_feedback else None
