"""Records that belong to an account: few and small, so they live in memory; sealed on disk.

They may hold URLs with credentials and texts of people, so the whole record is sealed with the
account's key. What changes them is durable when it returns.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import json

from hushwire.domain.owned import Owned
from hushwire.errors import Defect
from hushwire.store.engine import Database
from hushwire.store.keys import AccountKeys

WriteNow = Callable[[Callable[[Database], None]], None]
T = TypeVar("T", bound=Owned)


class OwnedRecords:
    """All records of the kinds of the table, by kind and SID."""

    def __init__(
        self, reader: Database, write: WriteNow, keys: dict[int, AccountKeys],
        kinds: dict[str, type[Owned]],
    ) -> None:  # fmt: skip
        self._write = write
        self._keys = keys
        self._names = {kind: name for name, kind in kinds.items()}
        self.changed: Callable[[Owned | None, Owned | None], None] | None = None  # before, after
        self._records: dict[type[Owned], dict[str, Owned]] = {kind: {} for kind in kinds.values()}
        for sid, name, account_id, sealed in reader.rows("owned"):
            kind = kinds.get(name)
            if kind is None:
                raise Defect(f"the database holds a record of the unknown kind {name}")
            opened = keys[account_id].cipher.open_secret(f"{name} {sid}", sealed)
            self._records[kind][sid] = json.decode(opened, type=kind)

    def get(self, kind: type[T], account_id: int, sid: str) -> T | None:
        """The account's record of that SID; None when there is none, or it is another's."""
        record = self._records[kind].get(sid)
        if record is None or record.account_id != account_id:
            return None
        assert isinstance(record, kind)
        return record

    def of(self, kind: type[T], account_id: int) -> list[T]:
        """The account's records of a kind, newest first."""
        return [record for record in self.every(kind) if record.account_id == account_id][::-1]

    def every(self, kind: type[T]) -> Iterable[T]:
        """All accounts' records of a kind, oldest first."""
        for record in tuple(self._records[kind].values()):
            assert isinstance(record, kind)
            yield record

    def put(self, record: Owned) -> None:
        """A record as it is from now on."""
        name = self._names[type(record)]
        label = f"{name} {record.sid}"
        sealed = self._keys[record.account_id].cipher.seal_secret(label, json.encode(record))
        self._write(lambda db: db.do("put_owned", record.sid, name, record.account_id, sealed))
        before = self._records[type(record)].get(record.sid)
        self._records[type(record)][record.sid] = record
        if self.changed is not None:
            self.changed(before, record)

    def delete(self, record: Owned) -> None:
        """A record that is no more."""
        self._write(lambda db: db.do("delete_owned", record.sid))
        del self._records[type(record)][record.sid]
        if self.changed is not None:
            self.changed(record, None)
