"""The audit log on disk: written in the transaction of what it records, read as it is asked for.

No row is ever changed or removed. A commit in which messages are forgotten gets one record for
all of a kind: it costs a look at the head, an insert, and the SIDs; any other commit nothing.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from msgspec import ValidationError, convert
from msgspec.structs import astuple

from hushwire.domain.audit import BEGINNING, AuditRecord, Cause, Draft, Head, Span, What, chained
from hushwire.store.engine import Database

CHUNK: Final = 5_000  # records read at a time

Groups = dict[tuple[int, What, str, str | None], list[str]]
"""What one commit forgets: (account, what, detail, actor) → SIDs."""

_actor: ContextVar[str | None] = ContextVar("audit actor", default=None)


def acts(sid: str) -> None:
    """What is asked for from here on in this request, the account or API key `sid` asks for."""
    _actor.set(sid)


def actor() -> str | None:
    """Who asks, in a request. Workers do not ask: what they do is the server's own."""
    return _actor.get()


def requested() -> Cause:
    """The cause of what is forgotten on the word of who asks."""
    return Cause("request", actor())


class AuditLog:
    """The one chain of a database.

    `append` runs work in the next commit; `now_ms` is the time that records carry.
    """

    def __init__(
        self, path: Path, reader: Database, append: Callable[[Callable[[Database], None]], object],
        now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self.path = path
        self._reader = reader
        self._append = append
        self._now_ms = now_ms

    def write(self, db: Database, *drafts: Draft) -> None:
        """Put drafts at the end of the chain, in the transaction that `db` is in."""
        _write(db, drafts, self._now_ms())

    def write_groups(self, db: Database, groups: Groups, sids: Callable[[int], str]) -> None:
        """The same for what one commit forgets. `sids`: an account's id → its SID."""
        self.write(db, *(
            Draft(sids(account_id), what, tuple(subjects), detail, who)
            for (account_id, what, detail, who), subjects in groups.items()
        ))  # fmt: skip

    def add(self, *drafts: Draft) -> None:
        """Put drafts at the end of the chain with the next commit."""
        self._append(lambda db: self.write(db, *drafts))

    def head(self) -> Head:
        """The newest record that is on the disk."""
        return _head(self._reader)

    def page(
        self, accounts: Iterable[str], span: Span, limit: int, after: int | None = None, *,
        upwards: bool = False,
    ) -> list[AuditRecord]:  # fmt: skip
        """Up to `limit` records of the accounts of these SIDs, newest first, older than `after`.

        `upwards`: newer than `after`, and of more the ones next to it. It may take a while, on
        a connection of its own: call it from another thread.
        """
        edge = (0 if upwards else 1 << 62) if after is None else after
        name = "audit_page_up" if upwards else "audit_page"
        with closing(Database(self.path, readonly=True)) as db:
            found = db.rows(
                name, json.dumps(list(accounts)), span.from_ms, span.before_ms, span.what,
                span.subject, edge, limit,
            )  # fmt: skip
            records = [_record(row) for row in found]
        return records[::-1] if upwards else records

    def chain(self, after: int, limit: int) -> list[AuditRecord]:
        """Up to `limit` records that follow the one of that number, oldest first."""
        with closing(Database(self.path, readonly=True)) as db:
            return [_record(row) for row in db.rows("audit_chain", after, limit)]


def read_chain(path: Path) -> Iterator[AuditRecord]:
    """Every record of a database file, oldest first; a server may use it meanwhile.

    Raises Misconfigured when it is no database.
    """
    with closing(Database(path, readonly=True)) as db:
        after = -1 << 62  # a forged record may have any number
        while rows := list(db.rows("audit_chain", after, CHUNK)):
            yield from map(_record, rows)
            after = rows[-1][0]


def add_to(path: Path, at_ms: int, *drafts: Draft) -> None:
    """Put drafts at the end of the chain of a database file, durably; for a process that is not
    its server. A server may use the file meanwhile: whoever writes reads the head first.

    Raises Misconfigured when it is no database.
    """
    with closing(Database(path)) as db, db:
        _write(db, drafts, at_ms)


def read_head(path: Path) -> Head:
    """The newest record of a database file. Raises Misconfigured when it is no database."""
    with closing(Database(path, readonly=True)) as db:
        return _head(db)


def _write(db: Database, drafts: Sequence[Draft], at_ms: int) -> None:
    if drafts:
        records = chained(drafts, _head(db), at_ms)
        db.many("insert_audit", [astuple(record) for record in records])


def _head(db: Database) -> Head:
    row = db.one("audit_head")
    return BEGINNING if row is None else Head(row[0], row[1])


def _record(row: object) -> AuditRecord:
    """A row as it is. One that no server wrote has the hash of none: the chain breaks there."""
    try:
        return convert(row, AuditRecord)
    except ValidationError:
        (seq, *_) = convert(row, tuple[int, object, object, object, object, object, object, object])
        return AuditRecord(seq, 0, "", "", None, "", "", b"")
