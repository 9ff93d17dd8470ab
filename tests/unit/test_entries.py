"""Alerts and the like: appended, found by kind and time, sealed, swept."""

import asyncio
from pathlib import Path

from hushwire.domain.entry import DAY_MS, KEPT_DAYS, Entry
from hushwire.store.commit import Work
from hushwire.store.engine import Database
from hushwire.store.entries import Entries
from rig import START_MS, Rig

CANARY = "https://customer.example.com/?secret"


class Alert(Entry, frozen=True, kw_only=True):
    url: str


class Event(Entry, frozen=True, kw_only=True):
    name: str


def alert(n: int, at_ms: int, subject: str | None = None) -> Alert:
    return Alert(sid=f"NO{n:032x}", account_id=1, at_ms=at_ms, subject=subject, url=CANARY)


def test_they_are_found_by_kind_time_and_page(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)

        def append(work: Work) -> None:
            rig.store._commit.open_batch(urgent=False).work.append(work)

        kinds: dict[str, type[Entry]] = {"alert": Alert, "event": Event}
        reader = Database(rig.path, readonly=True)
        entries = Entries(reader, append, rig.store.accounts.keys, kinds)
        for n in range(10):
            entries.add(alert(n, START_MS + n, subject=f"SM{n % 2}"))
        entries.add(
            Event(sid="AE" + "0" * 32, account_id=1, at_ms=START_MS, name="account.updated")
        )
        await rig.settle()

        def page(from_ms: int, before_ms: int, limit: int, after: str | None = None) -> list[int]:
            found = entries.page(
                Alert, 1, from_ms, before_ms, lambda a: a.sid[-1] != "5", limit, after
            )
            return [int(a.sid[2:], 16) for a in found]

        assert page(START_MS, START_MS + 100, 3) == [9, 8, 7]
        assert page(START_MS, START_MS + 100, 3, alert(7, 0).sid) == [6, 4, 3]
        assert page(START_MS + 2, START_MS + 7, 50) == [6, 4, 3, 2]
        assert page(START_MS, START_MS + 100, 50, "NO" + "f" * 32) == []
        assert entries.get(Alert, 1, alert(3, 0).sid) == alert(3, START_MS + 3, "SM1")
        assert entries.get(Alert, 2, alert(3, 0).sid) is None
        assert entries.get(Event, 1, alert(3, 0).sid) is None
        assert [a.at_ms - START_MS for a in entries.of(Alert, 1, "SM1")] == [1, 3, 5, 7, 9]
        assert all(CANARY.encode() not in bytes(row[6]) for row in rig.rows("entry"))
        entries.sweep(START_MS + 5 + KEPT_DAYS * DAY_MS)
        await rig.settle()
        assert page(0, START_MS + 100, 50) == [9, 8, 7, 6]
        await rig.close()

    asyncio.run(main())
