"""What can be asked of usage: how much, in which category, in which period."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.usage import (
    CATEGORIES,
    Period,
    Sum,
    counts_for,
    day_at,
    day_number,
    spans,
)
from hushwire.store.store import Store
from hushwire.store.usage import UsageTable
from hushwire.vault.lookup import day_of

RECORDS_MAX: Final = 10_000  # of one answer; the newest


class UsageRecord(Struct, frozen=True):
    """What an account used in one category, from a day to a day, both included (UTC)."""

    category: str
    start: date
    end: date
    used: Sum

    @property
    def sid(self) -> str:
        """What names it in a page token: Twilio gives usage no SID."""
        return f"{self.category}_{self.start:%Y%m%d}_{self.end:%Y%m%d}"

    @property
    def created_ms(self) -> int:
        return day_number(self.start) * 86_400_000


class Usage:
    """The actions on usage, for every door."""

    def __init__(self, store: Store, table: UsageTable, clock: Clock) -> None:
        self._accounts = store.accounts
        self._table = table
        self._clock = clock

    def today(self) -> date:
        """The day in UTC."""
        return day_at(day_of(self._clock.now_ms()))

    def records(
        self, account: Account, period: Period, first: date | None, last: date | None,
        categories: Sequence[str] = tuple(CATEGORIES), *, subaccounts: bool = True,
    ) -> list[UsageRecord]:  # fmt: skip
        """Usage by period, newest first, and by category; zeros too.

        Days, months and years are those of the account's life so far, from `first` to `last`.
        `subaccounts`: add what they used.
        """
        opened = day_at(day_of(account.created_ms))
        start, end = first or opened, last or self.today()
        if period != "all":
            start, end = max(start, opened), min(end, self.today())
        days = self._days(account, start, end, subaccounts=subaccounts)
        found: list[UsageRecord] = []
        for begins, ends in spans(period, start, end):
            if len(found) >= RECORDS_MAX:
                break
            found += _summed(days, begins, ends, categories)
        return found

    def _days(
        self, account: Account, first: date, last: date, *, subaccounts: bool
    ) -> dict[int, dict[str, Sum]]:
        """Day → finest category → what was used."""
        days: defaultdict[int, dict[str, Sum]] = defaultdict(dict)
        for account_id in self._whose(account, subaccounts=subaccounts):
            for used in self._table.between(account_id, day_number(first), day_number(last)):
                day = days[used.day]
                add = Sum(used.count, used.usage, used.price)
                day[used.category] = day.get(used.category, Sum()) + add
        return days

    def _whose(self, account: Account, *, subaccounts: bool) -> Iterator[int]:
        yield account.id
        if subaccounts:
            for other in self._accounts.by_id.values():
                if other.owner_id == account.id != other.id:
                    yield other.id


def _summed(
    days: dict[int, dict[str, Sum]], first: date, last: date, categories: Sequence[str]
) -> Iterator[UsageRecord]:
    finest: dict[str, Sum] = {}
    low, high = day_number(first), day_number(last)
    for number, day in days.items():
        if low <= number <= high:
            for name, used in day.items():
                finest[name] = finest.get(name, Sum()) + used
    for category in categories:
        parts = (used for name, used in finest.items() if counts_for(category, name))
        yield UsageRecord(category, first, last, sum(parts, Sum()))
