"""Block lists and sticky senders: found by number, never showing one."""

import asyncio
from pathlib import Path

from hushwire.store.engine import Database
from hushwire.store.optouts import STICKY_DAYS, OptOuts, StickySenders
from rig import ALICE, BOB, SENDER, START_MS, Rig

SERVICE = "MG" + "0" * 32
DAY_MS = 86_400_000


def lists(rig: Rig) -> OptOuts:
    reader = Database(rig.path, readonly=True)
    return OptOuts(reader, rig.store._commit.now, rig.store.accounts.keys)


def test_who_is_blocked_stays_blocked_and_is_not_named(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        optouts = lists(rig)
        assert not optouts.blocked(1, SERVICE, ALICE)
        optouts.add(1, SERVICE, ALICE, "STOP", START_MS)
        optouts.add(1, SERVICE, ALICE, "STOPALL", START_MS + 1)
        for again in (optouts, lists(rig)):  # as after a restart
            assert again.blocked(1, SERVICE, ALICE)
            assert not again.blocked(1, SERVICE, BOB)
            assert not again.blocked(1, "PN" + "0" * 32, ALICE), "another sender may write"
            assert again.count(1, SERVICE) == 1
        ((_, _, tag, keyword, _),) = rig.rows("optout")
        assert (len(bytes(tag)), keyword) == (16, "STOPALL")
        assert ALICE[1:].encode() not in rig.path.with_name("hushwire.db-wal").read_bytes()
        optouts.remove(1, SERVICE, ALICE)
        assert not optouts.blocked(1, SERVICE, ALICE)
        assert not lists(rig).blocked(1, SERVICE, ALICE)
        await rig.close()

    asyncio.run(main())


def test_a_sender_sticks_until_it_is_not_used_for_long(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        sticky = StickySenders(
            Database(rig.path, readonly=True), rig.store._commit.now, rig.store.accounts.keys
        )
        row = sticky.row(1, SERVICE, ALICE, SENDER, START_MS)
        rig.store._commit.now(lambda db: db.do("put_sticky", *row))
        assert sticky.get(1, SERVICE, ALICE, START_MS) == SENDER
        assert sticky.get(1, SERVICE, ALICE, START_MS + STICKY_DAYS * DAY_MS) == SENDER
        assert sticky.get(1, SERVICE, ALICE, START_MS + (STICKY_DAYS + 1) * DAY_MS) is None
        assert sticky.get(1, SERVICE, BOB, START_MS) is None
        sticky.forget(1, SERVICE, BOB)
        assert sticky.get(1, SERVICE, ALICE, START_MS) == SENDER
        sticky.forget(1, SERVICE, ALICE)
        assert sticky.get(1, SERVICE, ALICE, START_MS) is None
        await rig.close()

    asyncio.run(main())
