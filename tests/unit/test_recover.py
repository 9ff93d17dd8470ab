"""The restart: of what a dead process had marked, who never left and who may have arrived."""

from pathlib import Path

from hushwire.dispatch.recover import recover
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.message import Fact, Message, Status, advance
from hushwire.domain.task import TaskKind
from hushwire.testing import simloop
from rig import Outlet, Rig, kinds


async def marked(rig: Rig, count: int) -> list[Message]:
    """Messages whose attempt is marked, as just before the wire."""
    rig.store.outlet = Outlet()
    messages = [await rig.accept() for _ in range(count)]
    changes = [advance(message, Fact("attempted"), message.created_ms) for message in messages]
    await rig.store.record([change for change in changes if change is not None])
    assert kinds(rig.tasks()) == [TaskKind.SUBMIT] * count
    return messages


def after_a_crash(directory: Path, on_wire: int, expected: tuple[int, int]) -> list[Message | None]:
    """Of three marked messages the first `on_wire` are in the wire log: what they are now."""

    async def main() -> list[Message | None]:
        rig = Rig(directory)
        messages = await marked(rig, 3)
        if on_wire >= 0:
            log = WireLog(directory)
            log.start()
            log.write([message.key for message in messages[:on_wire]])
            log.close()
        rig.die()
        again = Rig(directory)
        assert await recover(again.store, again.clock, WireLog(directory)) == expected
        assert await recover(again.store, again.clock, WireLog(directory)) == (0, 0)
        found = [again.store.latest(message.key) for message in messages]
        tasks.extend(kinds(again.tasks()))
        await again.close()
        return found

    tasks: list[TaskKind] = []
    found = simloop.run(main())
    assert tasks == sorted(
        TaskKind.SETTLE if message is not None and message.in_doubt else TaskKind.SUBMIT
        for message in found
    )
    return found


def test_an_attempt_that_the_wire_log_does_not_know_is_made_again(tmp_path: Path) -> None:
    for message in after_a_crash(tmp_path, 0, (0, 3)):
        assert message is not None
        assert (message.status, message.in_doubt, message.attempt) == (Status.SENDING, False, 1)


def test_an_attempt_that_may_have_arrived_is_in_doubt_and_held(tmp_path: Path) -> None:
    found = after_a_crash(tmp_path, 2, (2, 1))
    assert [message is not None and message.in_doubt for message in found] == [True, True, False]


def test_after_a_loss_of_power_all_are_in_doubt(tmp_path: Path) -> None:
    """The log is of another boot: what the page cache held then, nobody knows."""
    (tmp_path / "wire.0").write_bytes(b"another boot".ljust(36))
    found = after_a_crash(tmp_path, -1, (3, 0))
    assert all(message is not None and message.in_doubt for message in found)


def test_the_restart_releases_what_was_held_but_for_the_marked(tmp_path: Path) -> None:
    """Nobody may submit again what was marked before `recover` said what became of it."""

    async def main() -> None:
        rig = Rig(tmp_path)
        (message,) = await marked(rig, 1)
        waiting = await rig.accept()
        rig.die()
        again = Rig(tmp_path)
        again.store.release_held()
        held = {task[0]: task[3] for task in again.tasks()}
        assert held == {message.key: 1, waiting.key: 0}
        assert [task.record for task in again.store.attempts()] == [message.key]
        await again.close()

    simloop.run(main())


def test_a_clean_stop_leaves_nothing_to_recover(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        await rig.accept()
        assert await recover(rig.store, rig.clock, WireLog(tmp_path)) == (0, 0)
        assert kinds(rig.tasks()) == [TaskKind.SUBMIT]
        await rig.close()

    simloop.run(main())


def test_a_mark_whose_message_ended_all_the_same_is_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        (message,) = await marked(rig, 1)
        with rig.store._db:
            rig.store._db._execute("UPDATE message SET status = 'failed'", ())
        rig.die()
        again = Rig(tmp_path)
        again.store.release_held()
        assert await recover(again.store, again.clock, WireLog(tmp_path)) == (0, 0)
        assert again.store.lanes_due() == []  # nobody does attempts
        found = again.store.latest(message.key)
        assert found is not None
        assert found.status is Status.FAILED
        await again.close()

    simloop.run(main())
