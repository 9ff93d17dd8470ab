"""Creates that named themselves: which message each became, for as long as it is remembered.

Tag and fingerprint are keyed hashes, so nothing of the caller's key or form is on the disk.
A row is written in the transaction of its message's birth: a crash leaves both or neither, and
so does a full disk.
"""

from typing import Final

from msgspec import Struct

from hushwire.store.commit import GroupCommit
from hushwire.store.engine import Database

_CHUNK: Final = 1_000  # expired rows dropped in one transaction: births go between


class Remembered(Struct, frozen=True):
    """One create that named itself."""

    account_id: int
    tag: bytes  # of its key
    fingerprint: bytes  # of its form
    record: int  # the key of its message
    expires_ms: int  # Unix


class IdempotencyTable:
    """What is remembered, read by the store's reader and written with the births."""

    def __init__(self, reader: Database, commit: GroupCommit) -> None:
        self._reader = reader
        self._commit = commit

    def find(self, account_id: int, tag: bytes, now_ms: int) -> tuple[bytes, int] | None:
        """Fingerprint and message key of a create that is on the disk and has not expired."""
        row = self._reader.one("find_idempotency", account_id, tag, now_ms)
        return None if row is None else (row[0], row[1])

    def put(self, new: Remembered) -> None:
        """Remember a create. Call it in the tick that recorded the birth: one batch has both."""
        batch = self._commit.open_batch()
        batch.named.append((new.account_id, new.tag, new.fingerprint, new.record, new.expires_ms))

    async def drop_expired(self, now_ms: int) -> int:
        """Forget what expired, a chunk a transaction; how many there were."""
        dropped: list[object] = []
        total = 0

        def work(db: Database) -> None:
            dropped[:] = db.rows("drop_expired_idempotency", now_ms, _CHUNK)

        while True:
            batch = self._commit.open_batch()
            batch.work.append(work)
            await batch.others.done
            total += len(dropped)
            if len(dropped) < _CHUNK:
                return total
