"""When something is to happen to a message: the due times of its tasks, for who asks."""

from hushwire.store.engine import Database
from hushwire.store.store import Store


class Dues:
    """Due times of single tasks. `close` it before the store's files are let go."""

    def __init__(self, store: Store) -> None:
        self._reader = Database(store.path, readonly=True)

    def of(self, key: int, number: int) -> int | None:
        """When the task of that number of the message of that key is due (Unix ms), or None."""
        row = self._reader.one("task_due", key, number)
        return row[0] if row is not None else None

    def close(self) -> None:
        self._reader.close()
