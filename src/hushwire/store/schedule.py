"""How many messages of each account are scheduled: there is a limit (twilio-messaging 5.6)."""

from collections import Counter

from hushwire.domain.message import Status
from hushwire.domain.task import TaskKind
from hushwire.store.engine import Database


class ScheduledCounts:
    """Counted once at start, and from then on by who schedules, sends and cancels."""

    def __init__(self, reader: Database) -> None:
        rows = reader.rows("scheduled_counts", TaskKind.CHOOSE, Status.SCHEDULED)
        self._counts: Counter[int] = Counter(dict(rows))

    def of(self, account_id: int) -> int:
        """How many messages of that account are scheduled now."""
        return self._counts[account_id]

    def add(self, account_id: int) -> None:
        """One more."""
        self._counts[account_id] += 1

    def remove(self, account_id: int) -> None:
        """It was sent, canceled, or never recorded."""
        self._counts[account_id] -= 1
