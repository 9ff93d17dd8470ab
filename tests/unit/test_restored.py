"""The first start of a restored database: what may have been sent since is not sent again."""

from pathlib import Path

from msgspec.structs import replace

from hushwire.dispatch.recover import recover
from hushwire.dispatch.restored import doubt_waiting
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.message import UNKNOWN_ERROR, Fact, Status, advance, born
from hushwire.domain.task import TaskKind
from hushwire.testing import simloop
from rig import Outlet, Rig, kinds


def test_what_was_due_is_in_doubt_and_what_is_due_later_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        rig.store.outlet = Outlet()
        queued = await rig.accept()
        marked = await rig.accept()
        change = advance(marked, Fact("attempted"), rig.clock.now_ms())
        assert change is not None
        await rig.store.record([change])
        later = rig.message()
        change = born(later, rig.clock.now_ms())
        due_ms = rig.clock.now_ms() + 86_400_000
        await rig.store.record(
            [replace(change, puts=tuple(replace(put, due_ms=due_ms) for put in change.puts))]
        )
        rig.die()

        again = Rig(tmp_path)
        (tmp_path / "wire.0").write_bytes(b"restored from a backup".ljust(36))
        assert await doubt_waiting(again.store, again.path, again.clock) == 2
        assert await recover(again.store, again.clock, WireLog(tmp_path)) == (0, 0)
        await again.settle()
        for message in (queued, marked):
            found = again.store.latest(message.key)
            assert found is not None
            assert (found.status, found.in_doubt) == (Status.SENDING, True)
        found = again.store.latest(later.key)
        assert found is not None
        assert found.status == Status.QUEUED
        assert kinds(again.tasks()).count(TaskKind.SUBMIT) == 1
        assert await doubt_waiting(again.store, again.path, again.clock) == 0
        await again.close()

    simloop.run(main())


def test_what_has_no_sender_yet_fails(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        rig.store.outlet = Outlet()
        waiting = rig.message(status=Status.ACCEPTED)
        change = born(waiting, rig.clock.now_ms())
        puts = tuple(
            replace(put, kind=TaskKind.CHOOSE) if put.kind is TaskKind.SUBMIT else put
            for put in change.puts
        )
        await rig.store.record([replace(change, puts=puts)])
        assert await doubt_waiting(rig.store, rig.path, rig.clock) == 1
        await rig.settle()
        found = rig.store.latest(waiting.key)
        assert found is not None
        assert (found.status, found.error_code) == (Status.FAILED, UNKNOWN_ERROR)
        await rig.close()

    simloop.run(main())
