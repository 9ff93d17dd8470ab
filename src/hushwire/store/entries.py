"""Alerts, events and deliveries on disk: appended with the next commit, sealed, swept by age."""

from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import json

from hushwire.domain.entry import DAY_MS, KEPT_DAYS, Entry
from hushwire.store.commit import Work
from hushwire.store.engine import Database
from hushwire.store.keys import AccountKeys

T = TypeVar("T", bound=Entry)
_CHUNK: Final = 500


class Entries:
    """All entries of the kinds of the table."""

    def __init__(
        self, reader: Database, append: Callable[[Work], object], keys: dict[int, AccountKeys],
        kinds: dict[str, type[Entry]],
    ) -> None:  # fmt: skip
        self._reader = reader
        self._append = append
        self._keys = keys
        self._names = {kind: name for name, kind in kinds.items()}

    def add(self, entry: Entry) -> None:
        """Write it with the next commit."""
        name = self._names[type(entry)]
        cipher = self._keys[entry.account_id].cipher
        sealed = cipher.seal_secret(f"{name} {entry.sid}", json.encode(entry))
        row = (entry.sid, name, entry.account_id, entry.at_ms, entry.subject, sealed)
        self._append(lambda db: db.do("insert_entry", *row))

    def get(self, kind: type[T], account_id: int, sid: str) -> T | None:
        """The account's entry of that SID; None when there is none, or it is another's."""
        row = self._reader.one("entry", sid)
        if row is None or row[1] != self._names[kind] or row[2] != account_id:
            return None
        return self._open(kind, account_id, sid, row[3])

    def page(
        self, kind: type[T], account_id: int, from_ms: int, before_ms: int,
        fits: Callable[[T], bool], limit: int, after: str | None = None, *, upwards: bool = False,
    ) -> list[T]:  # fmt: skip
        """Up to `limit` entries that fit, newest first; those older than the entry `after`.

        `upwards`: those newer than `after`, and of more the ones next to it.
        """
        found: list[T] = []
        name, query = self._names[kind], "entries_up" if upwards else "entries"
        beyond = self._place(name, account_id, after, upwards=upwards)
        while len(found) < limit:
            rows = list(
                self._reader.rows(query, account_id, name, from_ms, before_ms, beyond, _CHUNK)
            )
            for row_id, sid, sealed in rows:
                beyond = row_id
                entry = self._open(kind, account_id, sid, sealed)
                if fits(entry):
                    found.append(entry)
                    if len(found) == limit:
                        break
            if len(rows) < _CHUNK:
                break
        return found[::-1] if upwards else found

    def _place(self, name: str, account_id: int, sid: str | None, *, upwards: bool) -> int:
        """The id beyond which a page begins. Beyond what is gone, or another's, is nothing."""
        nowhere, everywhere = (1 << 62, 0) if upwards else (0, 1 << 62)
        if sid is None:
            return everywhere
        row = self._reader.one("entry", sid)
        if row is None or row[1] != name or row[2] != account_id:
            return nowhere
        return row[0]

    def of(self, kind: type[T], account_id: int, subject: str) -> list[T]:
        """What happened to one thing of the account, oldest first."""
        rows = list(self._reader.rows("entries_of", subject, self._names[kind]))
        opened = (self._open(kind, account_id, sid, sealed) for _, sid, sealed in rows)
        return list(opened)

    def sweep(self, now_ms: int) -> bool:
        """Forget some of what is kept no longer; False when there was nothing.

        They were written in the order of time, so the oldest come first.
        """
        before_ms = now_ms - KEPT_DAYS * DAY_MS
        oldest = self._reader.one("oldest_entry")
        if oldest is None or oldest[0] >= before_ms:
            return False
        self._append(lambda db: db.do("delete_entries_before", before_ms))
        return True

    def _open(self, kind: type[T], account_id: int, sid: str, sealed: bytes) -> T:
        label = f"{self._names[kind]} {sid}"
        return json.decode(self._keys[account_id].cipher.open_secret(label, sealed), type=kind)
