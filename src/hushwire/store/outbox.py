"""What is to be posted beside status callbacks: to debugger webhooks and to sinks, a lane each.

A parcel names what it tells of and holds nothing private: what is posted is made when its turn
comes, so what was forgotten by then is not in it. Parcels are written with the change they tell
of, in one transaction, and stay until they are answered or given up: at least once, in no
promised order. A lane holds so many; what comes beyond is not taken and counted.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from hushwire.store.commit import Batch, Work
from hushwire.store.engine import Database

PARCELS_MAX: Final = 10_000  # of one lane
Durable = asyncio.Future[None]


class Parcel(Struct, frozen=True):
    """Something to tell an addressee."""

    id: int
    account_id: int
    subject: str  # SID of what it tells of
    detail: str  # our own words and numbers
    attempt: int  # posts that failed


class Draft(Struct, frozen=True):
    """A parcel that is about to be written. `lane` is the SID of its addressee."""

    lane: str
    account_id: int
    subject: str
    detail: str
    due_ms: int
    key: int = 0  # of the message whose birth it tells of: not written when that is refused


class Outbox:
    """The parcels of all lanes."""

    def __init__(self, reader: Database, append: Callable[[Work], Durable]) -> None:
        self._reader = reader
        self._append = append
        self._held: defaultdict[str, int] = defaultdict(int)
        for lane, count, _ in reader.rows("outbox_lanes"):
            self._held[lane] = count
        self.lost = 0  # not taken, because their lane was full
        self.told: Callable[[str, int], None] | None = None  # hears of a lane with news, and when

    def size(self) -> int:
        """Parcels that wait."""
        return sum(self._held.values())

    def lanes(self) -> list[tuple[str, int]]:
        """At start: every lane with parcels, and when its first one is due (Unix ms)."""
        return [(lane, due_ms) for lane, _, due_ms in self._reader.rows("outbox_lanes")]

    def put(self, draft: Draft) -> None:
        """Write a parcel with the next commit, which is that of this tick's changes."""
        if self._room([draft]):
            row = _row(draft)
            done = self._append(lambda db: db.do("put_parcel", *row))
            done.add_done_callback(lambda _: self._tell([draft]))

    def put_with(self, batch: Batch, drafts: Sequence[Draft]) -> None:
        """Write parcels with a batch that is about to be written, but for births it refuses."""
        taken = self._room(drafts)

        def work(db: Database) -> None:
            db.many("put_parcel", [_row(d) for d in taken if not (d.key and batch.refused)])

        if taken:
            batch.work.append(work)
            batch.others.done.add_done_callback(lambda _: self._tell(taken))

    def due(self, lane: str, now_ms: int, limit: int) -> list[Parcel]:
        """What is to be posted in a lane, oldest first."""
        rows = self._reader.rows("outbox_due", lane, now_ms, limit)
        return [Parcel(*row) for row in rows]

    def next_due(self, lane: str) -> int | None:
        """When the lane's next parcel is due."""
        (due_ms,) = self._reader.one("outbox_next", lane)
        return due_ms

    def drop(self, lane: str, parcels: Sequence[Parcel]) -> Durable:
        """They are answered, or given up."""
        self._held[lane] -= len(parcels)
        ids = [(parcel.id,) for parcel in parcels]
        return self._append(lambda db: db.many("drop_parcel", ids))

    def later(self, parcels: Sequence[Parcel], due_ms: Sequence[int]) -> Durable:
        """They failed once more, and are due again at those times."""
        rows = [(at_ms, parcel.id) for parcel, at_ms in zip(parcels, due_ms, strict=True)]
        return self._append(lambda db: db.many("put_off_parcel", rows))

    def clear(self, lane: str) -> None:
        """The addressee is gone."""
        self._held.pop(lane, None)
        self._append(lambda db: db.do("clear_lane", lane))

    def _room(self, drafts: Sequence[Draft]) -> list[Draft]:
        taken: list[Draft] = []
        for draft in drafts:
            if self._held[draft.lane] < PARCELS_MAX:
                self._held[draft.lane] += 1
                taken.append(draft)
            else:
                self.lost += 1
        return taken

    def _tell(self, drafts: Sequence[Draft]) -> None:
        if self.told is not None:
            for lane in {draft.lane for draft in drafts}:
                self.told(lane, min(draft.due_ms for draft in drafts if draft.lane == lane))


def _row(draft: Draft) -> tuple[str, int, str, str, int]:
    return draft.lane, draft.account_id, draft.subject, draft.detail, draft.due_ms
