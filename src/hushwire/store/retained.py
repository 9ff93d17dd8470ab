"""What lives of an account's messages: the figures of its retention report, and whether anybody
of a month can still be found.

Nothing here looks at every message. The oldest live item is sought from where it was found the
last time, for what is forgotten never comes back; items are counted among the first
`LOOK_ROWS` messages from there on.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire.domain.retention import FIELDS, Field
from hushwire.domain.sid import key_at
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import legal_lane
from hushwire.store.engine import Database
from hushwire.vault.lookup import month_span

LOOK_ROWS: Final = 100_000  # messages that a count looks at: 90 ms, measured
_CHUNK: Final = 20_000

_PARTS: Final[dict[Field, tuple[bool, bool, bool]]] = {  # row, content, address
    "body": (False, True, False),
    "numbers": (False, False, True),
    "metadata": (True, False, False),
}


class Living(Struct, frozen=True):
    """What lives of one field."""

    oldest_key: int | None  # of the message it is of
    live: int
    overdue: int  # of these: born before the given key
    withheld: int  # forgotten for everybody, but its key is kept
    capped: bool = False  # there may be more: only so many messages were looked at


class Retained:
    """A reading connection of its own, for worker threads."""

    def __init__(self, path: Path) -> None:
        self._db = Database(path, readonly=True, alone=True)  # behind a lock
        self._lock = threading.Lock()
        self._oldest: dict[tuple[int, Field], int] = {}  # nothing lives below
        self._tagged_from: dict[tuple[int, int], int] = {}  # likewise, by account and month

    def fields(
        self, account_id: int, marks: dict[Field, int], cutoffs: dict[Field, int]
    ) -> dict[Field, Living]:
        """Each field. `marks`: nothing finished lives below; `cutoffs`: what is older is overdue.

        Both are message keys.
        """
        with self._lock:
            withheld = self._withheld(account_id)
            return {
                field: self._field(account_id, field, marks[field], cutoffs[field], withheld[field])
                for field in FIELDS
            }

    def untagged(self, months: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of these (account, `yyyymm`) of which no message carries a person's tag.

        A tag goes when its address is forgotten or withheld, or with its row.
        """
        return [month for month in months if not self._is_tagged(*month)]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _is_tagged(self, account_id: int, epoch: int) -> bool:
        low, high = map(key_at, month_span(epoch))
        at = self._tagged_from.get((account_id, epoch), low)
        while True:
            with self._lock:
                found, last, looked = self._db.one(
                    "oldest_live", account_id, at, _CHUNK, *_PARTS["numbers"]
                )
            if found is not None and found < high:
                self._tagged_from[account_id, epoch] = found
                return True
            if found is not None or looked < _CHUNK or last >= high:
                self._tagged_from.pop((account_id, epoch), None)
                return False
            at = last + 1

    def _field(
        self, account_id: int, field: Field, mark: int, cutoff: int, withheld: int
    ) -> Living:
        if field == "media":
            record, live, overdue = self._db.one("live_media", account_id, LOOK_ROWS, cutoff)
            return Living(record, live, overdue, withheld, live == LOOK_ROWS)
        oldest = self._find_oldest(account_id, field, mark)
        if oldest is None:
            return Living(None, 0, 0, withheld)
        live, overdue, looked = self._db.one(
            "live_count", account_id, oldest, LOOK_ROWS, *_PARTS[field], cutoff
        )
        return Living(oldest, live, overdue, withheld, looked == LOOK_ROWS)

    def _find_oldest(self, account_id: int, field: Field, mark: int) -> int | None:
        low = max(mark, self._oldest.get((account_id, field), 0))
        while True:
            found, last, looked = self._db.one(
                "oldest_live", account_id, low, _CHUNK, *_PARTS[field]
            )
            if found is not None:
                self._oldest[account_id, field] = found
                return found
            if last is not None:
                self._oldest[account_id, field] = low = last + 1
            if looked < _CHUNK:
                return None

    def _withheld(self, account_id: int) -> dict[Field, int]:
        rows, contents, addresses = self._db.one("withheld_count", TaskKind.REDACT, account_id)
        (media,) = self._db.one(
            "withheld_media_count", TaskKind.REDACT, legal_lane(account_id), account_id
        )
        return {"body": contents, "numbers": addresses, "media": media, "metadata": rows}
