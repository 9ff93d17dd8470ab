"""What was forgotten of messages, in the order in which it was: read off the audit log."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec import Struct, convert

from hushwire.domain.audit import AuditRecord
from hushwire.domain.tombstone import Tombstone, tombstones
from hushwire.store.engine import Database

RECORDS: Final = 100  # of the log, read at a time; each is about up to 1,000 messages


class Forgotten(Struct, frozen=True):
    """Some tombstones, oldest first."""

    tombstones: list[Tombstone]
    after: int  # number of the record of the audit log that all of this goes up to
    more: bool


def read_tombstones(path: Path, accounts: Iterable[str], after: int, wanted: int) -> Forgotten:
    """What follows the record number `after`: at least `wanted` tombstones, if there are.

    What one record tells of is never parted, so there may be some hundreds more. A place beyond
    the end is one of before a restore: all is told again. `accounts`: by SID. It may take a
    while, on a connection of its own: call it from another thread.
    """
    with closing(Database(path, readonly=True)) as db:
        head = db.one("audit_head")
        newest = 0 if head is None else int(head[0])
        after = after if after <= newest else 0
        found: list[Tombstone] = []
        named = json.dumps(list(accounts))
        while len(found) < wanted:
            rows = list(db.rows("tombstones", named, after, newest, RECORDS))
            for row in rows:
                record = convert(row, AuditRecord)
                found += tombstones(record)
                after = record.seq
                if len(found) >= wanted:
                    return Forgotten(found, after, more=after < newest)
            if len(rows) < RECORDS:
                break
        return Forgotten(found, newest, more=False)
