"""The rows of a sync: a message or an account as its view and its columns have it, or as gone."""

from typing import Final

from hushwire.connect.models import Account, Message
from hushwire.connect.singer import DELETED, STREAMS, Name, Row
from hushwire.connect.sync_config import Plan
from hushwire.connect.sync_state import iso, seconds
from hushwire.connect.tombstones import Tombstone
from hushwire.connect.view import shown

UNKNOWN: Final = "unknown"  # why it went, where the backend does not say


class Rows:
    """Makes rows after one plan. `now`: Unix seconds, of the run."""

    def __init__(self, plan: Plan, now: int) -> None:
        self._plan = plan
        self._now = now

    def alive(self, stream: Name, output: Message | Account) -> Row:
        """As it is; dates in ISO 8601, and no longer deleted if a tombstone had said so."""
        content = shown(output, self._plan.view, self._plan.view_key)
        for name, kind in STREAMS[stream].columns.items():
            if kind == "date-time":
                second = seconds(content.get(name))
                content[name] = None if second is None else iso(second)
        return self._plan.shapes[stream].row({**content, DELETED: None})

    def gone(self, stream: Name, tombstone: Tombstone) -> Row:
        """What is left to tell of it."""
        return self._plan.shapes[stream].row({
            "sid": tombstone.sid, "account_sid": tombstone.account_sid,
            "deleted_at": tombstone.deleted_at, "reason": tombstone.reason,
            "forgotten": tombstone.forgotten, DELETED: tombstone.deleted_at,
        })  # fmt: skip

    def found_gone(self, stream: Name, account: str, sid: str, part: str) -> Row:
        """The same, where the backend says neither when nor why."""
        return self.gone(stream, Tombstone(sid, account, iso(self._now), [part], UNKNOWN))
