"""Group commit: one transaction a tick, nothing acknowledged before it, no waiter for another."""

import asyncio
from pathlib import Path

import apsw
import pytest

from hushwire import faults
from hushwire.domain.message import born, deleted
from hushwire.errors import Unavailable
from hushwire.private import Private
from hushwire.testing import simloop
from rig import Outlet, Rig, play


def test_what_one_tick_asks_for_goes_into_one_commit(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        before = rig.store.commits
        messages = [rig.message() for _ in range(50)]
        await asyncio.gather(*(rig.store.record([born(m, m.created_ms)]) for m in messages))
        assert rig.store.commits == before + 1
        assert len(rig.rows("message")) == 50
        assert rig.store.backlog() == 0

    play(tmp_path, scene)


def test_nothing_is_acknowledged_before_both_files_have_it(tmp_path: Path) -> None:
    """The vault first, then the database; only then does anybody hear of it."""

    async def scene(rig: Rig) -> None:
        seen: list[tuple[str, bool, int, bool]] = []
        message = rig.message()
        assert message.content_key is not None
        key = message.content_key

        def at(point: str) -> None:
            seen.append(
                (point, rig.slots.read(key) is not None, len(rig.rows("message")), done.done())
            )

        done = rig.store.record([born(message, message.created_ms)])
        faults.arm(at)
        try:
            await done
        finally:
            faults.arm(None)
        points = {point: state for point, *state in seen}
        assert points["store.vault_written"] == [True, 0, False]
        assert points["store.committed"] == [True, 1, False]

    play(tmp_path, scene)


def test_a_key_is_destroyed_before_its_row_is_touched(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        assert message.content_key is not None
        key = message.content_key
        states: dict[str, tuple[bool, int]] = {}

        def at(point: str) -> None:
            states[point] = (rig.slots.read(key) is not None, len(rig.rows("message")))

        faults.arm(at)
        try:
            await rig.store.record([deleted(message)])
        finally:
            faults.arm(None)
        assert states["store.vault_written"] == (False, 1)
        assert states["store.committed"] == (False, 0)

    play(tmp_path, scene)


@pytest.mark.parametrize("threaded", [False, True])
def test_a_waiter_that_is_cancelled_takes_nobody_with_it(tmp_path: Path, threaded: bool) -> None:
    """The others are acknowledged, their tasks handed over, its own message is there too."""

    async def main() -> None:
        rig = Rig(tmp_path, threaded=threaded)
        outlet = rig.store.outlet = Outlet()
        messages = [rig.message() for _ in range(3)]

        async def accept(n: int) -> None:
            await rig.store.record([born(messages[n], messages[n].created_ms)])

        waiters = [asyncio.create_task(accept(n)) for n in range(3)]
        await asyncio.sleep(0)
        waiters[1].cancel()
        ends = await asyncio.gather(*waiters, return_exceptions=True)
        assert [type(end) for end in ends] == [type(None), asyncio.CancelledError, type(None)]
        assert [message for _, message in outlet.delivered] == messages
        assert len(rig.rows("message")) == 3
        await rig.close()

    if threaded:
        asyncio.run(main())
    else:
        simloop.run(main())


def full(rig: Rig, *, spare_pages: int = 0) -> None:
    """The database's disk is full, but for that many pages."""
    (pages,) = next(iter(rig.store._db._execute("PRAGMA page_count", ())))
    rig.store._db._execute(f"PRAGMA max_page_count={pages + spare_pages}", ())


def test_a_full_disk_refuses_births_and_lets_the_rest_through(tmp_path: Path) -> None:
    """Erasing works when nothing else does; what was refused leaves nothing behind."""

    async def scene(rig: Rig) -> None:
        old = await rig.accept()
        live = rig.slots.stats().live
        full(rig)
        births = [rig.message(body=Private("x" * 5_000)) for _ in range(20)]
        refused = [rig.store.record([born(m, m.created_ms)]) for m in births]
        erased = rig.store.record([deleted(old)])
        ends = await asyncio.gather(*refused, erased, return_exceptions=True)
        assert [type(end) for end in ends] == [*[Unavailable] * 20, type(None)]
        assert rig.rows("message") == []
        assert rig.tasks() == []
        assert all(rig.store.latest(m.key) is None for m in (*births, old))
        assert all(rig.slots.read(m.content_key or 0) is None for m in births)
        rig.store._db._execute("PRAGMA max_page_count=1000000", ())
        await rig.accept()
        assert rig.slots.stats().live == live - 2 * 21  # the stock is reused, not leaked

    play(tmp_path, scene)


def test_a_disk_too_full_for_anything_stops_the_process(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        full(rig)
        tasks = [born(rig.message(), 0).puts[0] for _ in range(2_000)]
        rig.store.set_aside(tasks)
        await asyncio.sleep(1)
        assert [type(error) for error in rig.failures] == [apsw.FullError]
        rig.failures.clear()
        rig.die()

    simloop.run(main())


def test_a_failed_commit_acknowledges_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, threaded=True)
        done = rig.store.record([born(rig.message(), 0)])
        rig.slots.close()  # as after a failed write: every later one fails too
        while not rig.failures:
            await asyncio.sleep(0.001)
        assert isinstance(rig.failures[0], OSError)
        assert not done.done()
        rig.store._reader.close()

    asyncio.run(main())


def test_what_nobody_waits_for_goes_with_company_under_load(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        async def birth() -> None:
            message = rig.message()
            await rig.store.record([born(message, message.created_ms)])

        rig.store.drop([])
        await asyncio.sleep(0)  # at low load it is taken when the tick ends
        assert rig.store.commits == 1 or rig.store.pending()
        for _ in range(60):  # load: commits follow each other closely
            await birth()
        before = rig.store.commits
        rig.store.drop([])
        await asyncio.sleep(0.001)
        assert rig.store.pending()
        await birth()
        assert rig.store.commits == before + 1
        rig.store.drop([])  # and without births it goes alone, a moment later
        await asyncio.sleep(0.1)
        assert not rig.store.pending()
        assert rig.store.commits == before + 2

    play(tmp_path, scene)


def test_closing_commits_what_waits(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, threaded=True)
        messages = [rig.message() for _ in range(5)]
        for message in messages[:3]:
            rig.store.record([born(message, message.created_ms)])
        await asyncio.sleep(0)
        for message in messages[3:]:  # while the first are on their way
            rig.store.record([born(message, message.created_ms)])
        await rig.store.close()
        rig.slots.close()
        assert len(rig.rows("message")) == 5

    asyncio.run(main())
