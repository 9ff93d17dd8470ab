"""What accounts used, counted with the commit that makes the messages: a line a day and category.

Only the finest categories are kept (`sms-outbound-longcode`); the sums of them are made when
somebody asks.
"""

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct

from hushwire.domain.message import INBOUND, WAITING, Message
from hushwire.domain.usage import category_of
from hushwire.store.commit import Batch, Work
from hushwire.store.engine import Database
from hushwire.vault.lookup import day_of


class Used(Struct, frozen=True):
    """What one account used in one finest category on one day."""

    day: int  # UTC, since the epoch
    category: str
    count: int  # messages
    usage: int  # segments; messages with media count as one
    price: int  # 1/100,000 of the currency


class UsageTable:
    """Counts, and reads what was counted."""

    def __init__(self, reader: Database, append: Callable[[Work], "asyncio.Future[None]"]) -> None:
        self._reader = reader
        self._append = append

    def count(self, batch: Batch) -> None:
        """Count the messages that a batch gives birth to; called before it is written.

        One that waits for its sender is counted when it has one, by `chosen`.

        On the hot path: nothing but a look-up and two additions for a message. A batch is born
        within milliseconds, so all of it counts for the day of its first message.
        """
        newborn = batch.newborn
        if not newborn:
            return
        tally: dict[tuple[int, bool, str, str], list[int]] = {}
        for born in newborn:
            if born.status in WAITING:
                continue
            inbound = born.direction is INBOUND
            own = born.to if inbound else born.from_
            # How it begins tells a number from a short code; no more of it is looked at here.
            begins = own.reveal()[:1] if own is not None else ""
            kind = (born.account_id, inbound, born.sid[:2], begins)
            counted = tally.get(kind)
            if counted is None:
                tally[kind] = [1, born.segments]
            else:
                counted[0] += 1
                counted[1] += born.segments
        day = day_of(newborn[0].created_ms)
        rows = [
            (account_id, day, category_of(prefix, begins, inbound=inbound), count, segments, 0)
            for (account_id, inbound, prefix, begins), (count, segments) in tally.items()
        ]
        # A full disk refuses the births, and then there is nothing to count.
        if rows:
            batch.work.append(lambda db: None if batch.refused else db.many("add_usage", rows))

    def chosen(self, messages: Sequence[Message], now_ms: int) -> None:
        """Messages of services have their senders: with the commit of the choice itself."""
        day = day_of(now_ms)
        rows = [
            (m.account_id, day, category_of(m.sid[:2], m.from_.reveal()[:1], inbound=False), 1,
             m.segments, 0)
            for m in messages
            if m.from_ is not None
        ]  # fmt: skip
        if rows:
            self._append(lambda db: db.many("add_usage", rows))

    def charge(self, message: Message, price: int) -> None:
        """A message was charged for: with the next commit, that of the tick's other changes."""
        inbound = message.direction is INBOUND
        own = message.to if inbound else message.from_
        shown = message.to_shown if inbound else message.from_shown
        address = own.reveal() if own is not None else shown or ""
        category = category_of(message.sid[:2], address[:1], inbound=inbound)
        row = (message.account_id, day_of(message.created_ms), category, 0, 0, price)
        self._append(lambda db: db.do("add_usage", *row))

    def between(self, account_id: int, first_day: int, last_day: int) -> list[Used]:
        """What an account used from a day to a day (UTC), both included."""
        rows = self._reader.rows("usage_days", account_id, first_day, last_day)
        return [Used(*row) for row in rows]
