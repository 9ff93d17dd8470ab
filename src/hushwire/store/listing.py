"""Pages of an account's messages, newest first, by number and by date.

An exact number is found by its keyed hashes, one as a person's and one as the account's own, a
stretch at a time (a day, or a part of a busy one: docs/adr/0004), and verified after opening: a
hash of 8 bytes may collide.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from hushwire.domain.message import Message
from hushwire.domain.query import MessageQuery
from hushwire.domain.sid import key_at
from hushwire.domain.withholding import ROW
from hushwire.store.accounts import Accounts
from hushwire.store.engine import Database, Value
from hushwire.store.rows import MessageRow, read_message, read_row
from hushwire.vault.lookup import DAY_MS, PARTS, first_stretch
from hushwire.vault.slots import Slots

SENT_WITHIN_MS = 36 * DAY_MS  # a message is sent at most this long after its birth
_CHUNK = 200


class Listing:
    """A reading connection of its own, for worker threads."""

    def __init__(self, path: Path, accounts: Accounts, slots: Slots) -> None:
        self._db = Database(path, readonly=True, alone=True)  # behind a lock
        self._accounts = accounts
        self._slots = slots
        self._lock = threading.Lock()

    def page(self, query: MessageQuery, limit: int) -> list[Message]:
        """Up to `limit` messages, newest first; of more, the end that `query` asks for."""
        with self._lock:
            low, high = self._span(query)
            if low >= high:
                return []
            if query.to is None and query.from_ is None:
                found = self._scan("list", query, low, high, limit, ())
            else:
                found = self._by_number(query, low, high, limit)
        return found[::-1] if query.upwards else found

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _span(self, query: MessageQuery) -> tuple[int, int]:
        oldest, newest = self._db.one("key_span", query.account_id)
        if newest is None:
            return 0, 0
        low, high = oldest, newest + 1
        if query.below_key is not None:
            high = min(high, query.below_key)
        if query.above_key is not None:
            low = max(low, query.above_key + 1)
        if query.sent_before_ms is not None:
            high = min(high, key_at(query.sent_before_ms))  # sent after it was born
        if query.sent_from_ms is not None:
            low = max(low, key_at(max(0, query.sent_from_ms - SENT_WITHIN_MS)))
        return low, high

    def _by_number(self, query: MessageQuery, low: int, high: int, limit: int) -> list[Message]:
        keys = self._accounts.keys[query.account_id]
        number = query.to if query.to is not None else query.from_
        assert number is not None
        name = "list_to" if query.to is not None else "list_from"
        found: list[Message] = []
        for stretch in self._stretches(low, high, upwards=query.upwards):
            peppers = keys.searched_with(stretch // PARTS * DAY_MS)
            wanted, here = limit - len(found), list[Message]()
            for tag in {pepper.tag8(number.reveal()) for pepper in peppers}:
                here += self._scan(name, query, low, high, wanted, (stretch, tag))
            here.sort(key=lambda message: message.key, reverse=not query.upwards)
            found += here[:wanted]
            if len(found) == limit:
                break
        return found

    def _stretches(self, low: int, high: int, *, upwards: bool) -> Iterator[int]:
        """Those in which messages with keys from `low` up to `high` may be, in that order."""
        first, end = first_stretch(low >> 16), first_stretch((high - 1) >> 16) + PARTS
        at: int | None = first - 1 if upwards else end
        while at is not None:
            if upwards:
                (at,) = self._db.one("stretch_above", at, end)
            else:
                (at,) = self._db.one("stretch_below", at, first)
            if at is not None:
                yield at

    def _scan(
        self, name: str, query: MessageQuery, low: int, high: int, limit: int,
        more: tuple[int, ...],
    ) -> list[Message]:  # fmt: skip
        """As many as the limit, in the order of the search: newest first, or oldest first."""
        keys = self._accounts.keys[query.account_id]
        name = f"{name}_up" if query.upwards else f"{name}_down"
        found: list[Message] = []
        while len(found) < limit and low < high:
            chunk = min(_CHUNK, limit - len(found))
            rows = self._rows(name, query, low, high, chunk, more)
            for row in rows:
                low, high = (row.key + 1, high) if query.upwards else (low, row.key)
                message = read_message(row, keys, self._slots)
                if message is None or message.withheld & ROW:
                    continue
                if _matches(message, query):
                    found.append(message)
            if len(rows) < chunk:
                break
        return found

    def _rows(
        self, name: str, query: MessageQuery, low: int, high: int, limit: int,
        more: tuple[int, ...],
    ) -> list[MessageRow]:  # fmt: skip
        values: tuple[Value, ...] = (
            query.account_id, high, low, query.sent_from_ms, query.sent_before_ms, limit, *more,
        )  # fmt: skip
        return [read_row(row) for row in self._db.rows(name, *values)]


def _matches(message: Message, query: MessageQuery) -> bool:
    """Verify what a keyed hash found: the numbers themselves must be equal."""
    if query.to is not None and message.to != query.to:
        return False
    if query.from_ is None or message.from_ == query.from_:
        return True
    # A forgotten address still shows the account's own number in full.
    return message.from_ is None and message.from_shown == query.from_.reveal()
