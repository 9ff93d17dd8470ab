"""Peppers of months that are over: destroyed once nobody of the month is to be found any more."""

import shutil
from pathlib import Path

import pytest

from forgetting_rig import DAY_S, Ground, scene_on
from hushwire.domain.message import Message, redacted
from hushwire.domain.query import MessageQuery
from hushwire.domain.retention import DAY_MS
from hushwire.errors import Defect
from hushwire.keeping.snapshot import copy_database
from hushwire.private import Private
from hushwire.store import retained
from hushwire.store.listing import Listing
from hushwire.store.sweep import sweep
from hushwire.vault.lookup import month_of, month_span
from media_rig import Shelf, arm, crash, play
from rig import ALICE, BOB, SENDER, START_MS

MARCH = 202603  # in which the rig's clock begins
MAY_S = (month_span(202605)[0] - START_MS) / 1000  # from the beginning to the first of May


def monthly(shelf: Shelf) -> list[int]:
    """The months whose peppers have a row."""
    return sorted(row[2] for row in shelf.rows("pepper") if row[1] == "msg-search")  # type: ignore[misc]


def records(shelf: Shelf) -> list[object]:
    """What the audit log tells of destroyed peppers."""
    return [row[6] for row in shelf.rows("audit") if row[3] == "pepper.destroyed"]


def found(shelf: Shelf, **wanted: Private) -> list[str]:
    """SIDs of the account's messages with that number, newest first."""
    listing = Listing(shelf.path, shelf.store.accounts, shelf.slots)
    try:
        query = MessageQuery(account_id=1, **wanted)  # type: ignore[arg-type]
        return [message.sid for message in listing.page(query, 100)]
    finally:
        listing.close()


async def sent(ground: Ground, **changes: object) -> Message:
    message = ground.shelf.finished(callback=None, **changes)
    await ground.shelf.accept_as(message)
    return message


async def forget_number(ground: Ground, message: Message) -> None:
    now_ms = ground.shelf.clock.now_ms()
    ground.store.write_now(lambda db: db.do("show_message", message.key, SENDER, "+1415555XXXX"))
    fresh = ground.store.load([message.key])[message.key]
    await ground.store.record([redacted(fresh, now_ms, body=False, address=True)])


def test_it_dies_with_the_last_number_of_its_month(tmp_path: Path) -> None:
    async def scene(ground: Ground) -> None:
        shelf = ground.shelf
        first, last = await sent(ground), await sent(ground, to=Private(BOB))
        ref = ground.store.accounts.months[1, MARCH]
        await forget_number(ground, first)
        await ground.days(MAY_S / DAY_S)
        april = await sent(ground)  # in May, by now
        assert shelf.slots.read(ref) is not None
        assert monthly(shelf) == [MARCH, 202605]
        assert found(shelf, to=Private(BOB)) == [last.sid]
        await forget_number(ground, last)
        await ground.days(0.05)
        assert shelf.slots.read(ref) is None
        assert monthly(shelf) == [202605]
        assert records(shelf) == [f"msg-search {MARCH}"]
        assert found(shelf, to=Private(BOB)) == []
        assert found(shelf, to=Private(ALICE)) == [april.sid]
        assert found(shelf, from_=Private(SENDER)) == [april.sid, last.sid, first.sid]

    play(tmp_path, scene_on(scene))


def test_none_dies_before_its_month_is_over_for_two_days(tmp_path: Path) -> None:
    """Creates are known by it for a day; and what is born in the month needs it."""

    async def scene(ground: Ground) -> None:
        await forget_number(ground, await sent(ground))
        over_days = (month_span(MARCH)[1] + 2 * DAY_MS - START_MS) / DAY_MS
        await ground.days(over_days - 0.2)
        assert monthly(ground.shelf) == [MARCH]
        await ground.days(0.2)
        assert monthly(ground.shelf) == []
        await sent(ground)
        await ground.days(0.1)
        assert monthly(ground.shelf) == [month_of(ground.shelf.clock.now_ms())]

    play(tmp_path, scene_on(scene))


def test_retention_and_deletion_end_in_it_and_withholding_does(tmp_path: Path) -> None:
    """What is withheld is found by nobody: its tag is gone, though its key is kept."""

    async def scene(ground: Ground) -> None:
        message = await sent(ground)
        ground.keep(numbers_days=10, numbers_minimum_days=300)
        await ground.days(40)
        assert ground.alive(message) == (True, True)
        assert monthly(ground.shelf) == []
        assert records(ground.shelf) == [f"msg-search {MARCH}"]
        await ground.days(300)
        assert ground.alive(message) == (True, False)
        assert found(ground.shelf, from_=Private(SENDER)) == [message.sid]

    play(tmp_path, scene_on(scene))


def test_every_message_of_a_month_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained, "_CHUNK", 3)

    async def scene(ground: Ground) -> None:
        messages = [await sent(ground) for _ in range(10)]
        for message in messages[:-1]:
            await forget_number(ground, message)
        await ground.days(40)
        await sent(ground)  # of a later month: it has its own
        await ground.days(40)
        assert monthly(ground.shelf) == [MARCH, 202604]
        await forget_number(ground, messages[-1])
        await ground.days(0.05)
        assert monthly(ground.shelf) == [202604]

    play(tmp_path, scene_on(scene))


@pytest.mark.parametrize("point", ["pepper.shredded", "pepper.dropped"])
def test_a_crash_over_it_is_finished_by_the_next_start(tmp_path: Path, point: str) -> None:
    async def first(ground: Ground) -> None:
        await forget_number(ground, await sent(ground))
        arm()
        await ground.days(40)

    async def second(ground: Ground) -> None:
        await ground.days(40)
        assert monthly(ground.shelf) == []
        assert records(ground.shelf) == [f"msg-search {MARCH}"], "once"
        message = await sent(ground)
        assert found(ground.shelf, to=Private(ALICE)) == [message.sid]

    crash(tmp_path, point, scene_on(first))
    play(tmp_path, scene_on(second), start=2)


def test_a_clock_put_back_into_the_month_of_a_crash_makes_a_new_one(tmp_path: Path) -> None:
    async def first(ground: Ground) -> None:
        await forget_number(ground, await sent(ground))
        arm()
        await ground.days(40)

    async def second(ground: Ground) -> None:  # the rig's clock begins anew
        message = await sent(ground)
        assert found(ground.shelf, to=Private(ALICE)) == [message.sid]
        assert monthly(ground.shelf) == [MARCH]
        assert records(ground.shelf) == [f"msg-search {MARCH}"]

    crash(tmp_path, "pepper.shredded", scene_on(first))
    play(tmp_path, scene_on(second), start=2)


def test_an_older_database_may_name_one_that_is_destroyed(tmp_path: Path) -> None:
    """As after a restore: it starts, and the row is dropped."""
    copy = tmp_path / "older.db"

    async def first(ground: Ground) -> None:
        await sent(ground)
        await ground.shelf.settle()
        copy_database(ground.shelf.path, copy, lambda *_: None)

    async def second(ground: Ground) -> None:
        keys = [row[0] for row in ground.shelf.rows("message")]
        for message in ground.store.load(keys).values():  # type: ignore[arg-type]
            await forget_number(ground, message)
        await ground.days(40)
        assert monthly(ground.shelf) == []

    async def third(ground: Ground) -> None:
        assert found(ground.shelf, to=Private(ALICE)) == []
        shelf = ground.shelf
        await sweep(ground.store, shelf.path, shelf.slots)
        await ground.days(40)
        assert records(shelf) == [f"msg-search {MARCH}"]
        assert monthly(shelf) == []

    play(tmp_path, scene_on(first))
    play(tmp_path, scene_on(second), start=2)
    database = tmp_path / "hushwire.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.move(copy, database)
    play(tmp_path, scene_on(third), start=3)


def test_a_lasting_one_must_be_there(tmp_path: Path) -> None:
    async def first(ground: Ground) -> None:
        await sent(ground)
        refs = [row[3] for row in ground.shelf.rows("pepper") if row[1] == "own-number"]
        ground.shelf.slots.write((), refs)  # type: ignore[arg-type]

    play(tmp_path, scene_on(first))
    with pytest.raises(Defect, match="is gone while its row is not"):
        play(tmp_path, scene_on(first), start=2)
