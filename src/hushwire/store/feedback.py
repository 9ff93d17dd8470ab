"""What was reported of messages' outcomes: a row a message, which goes with it."""

from msgspec import convert

from hushwire.domain.feedback import Feedback, Outcome
from hushwire.store.commit import GroupCommit
from hushwire.store.engine import Database


class FeedbackTable:
    """Reports, read by the store's reader and written in its group commits."""

    def __init__(self, reader: Database, commit: GroupCommit) -> None:
        self._reader = reader
        self._commit = commit

    def find(self, record: int) -> Feedback | None:
        """The report about the message of that key, or None."""
        row = self._reader.one("find_feedback", record)
        return None if row is None else _read(row)

    async def put(self, record: int, outcome: Outcome, now_ms: int) -> Feedback | None:
        """Report an outcome, durably; None when the message was deleted meanwhile."""
        written: list[Feedback] = []

        def work(db: Database) -> None:
            # Again from the start, when a full disk undid the transaction.
            written[:] = map(_read, db.rows("put_feedback", record, outcome, now_ms))

        batch = self._commit.open_batch()
        batch.work.append(work)
        await batch.others.done
        return written[0] if written else None


def _read(row: object) -> Feedback:
    outcome, created_ms, updated_ms = convert(row, tuple[Outcome, int, int])
    return Feedback(outcome, created_ms, updated_ms)
