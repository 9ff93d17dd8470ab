"""The sweep: what a crash cut in half is finished, and what is whole is left alone."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hushwire import faults
from hushwire.domain.message import Change, Message, Status, born, deleted, redacted
from hushwire.errors import Misconfigured
from hushwire.private import Private
from hushwire.store.sweep import Swept, require_vault_as_new, sweep
from hushwire.testing import simloop
from hushwire.testing.simloop import SimLoop
from rig import SENDER, Rig


class Crash(KeyboardInterrupt):
    """The process dies here."""


def die(directory: Path, first: Callable[[Rig], Awaitable[object]]) -> None:
    """Run `first`, which arms its own death, and leave what is on the disk."""

    async def main() -> None:
        rigs.append(Rig(directory))
        await first(rigs[0])

    rigs: list[Rig] = []
    loop = SimLoop()
    try:
        with pytest.raises(Crash):
            loop.run_until_complete(main())
    finally:
        faults.arm(None)
        loop.abandon()
        rigs[0].die()


def crash_at(point: str) -> None:
    def at(reached: str) -> None:
        if reached == point:
            raise Crash

    faults.arm(at)


def after(directory: Path, check: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        rig = Rig(directory)
        await check(rig)
        assert await clean(rig) == Swept(0, 0, 0)  # once is enough
        await rig.close()

    simloop.run(main())


async def clean(rig: Rig) -> Swept:
    return await sweep(rig.store, rig.path, rig.slots)


def finished(rig: Rig, **changes: object) -> Message:
    return rig.message(status=Status.DELIVERED, settled=True, **changes)


def test_keys_of_a_birth_that_never_was_are_destroyed(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        await rig.accept()
        crash_at("store.vault_written")
        message = rig.message()
        refs.extend((message.content_key or 0, message.address_key or 0))
        await rig.store.record([born(message, 0)])

    async def check(rig: Rig) -> None:
        assert all(rig.slots.read(ref) is not None for ref in refs)
        assert await clean(rig) == Swept(2, 0, 0)
        assert all(rig.slots.read(ref) is None for ref in refs)
        assert len(rig.rows("message")) == 1

    refs: list[int] = []
    die(tmp_path, first)
    after(tmp_path, check)


def test_half_a_deletion_reads_as_deleted_and_is_finished(tmp_path: Path) -> None:
    async def first(rig: Rig) -> None:
        message = finished(rig)
        sids.append(message.sid)
        await rig.store.record([born(message, 0)])
        await rig.accept()
        crash_at("store.vault_written")
        await rig.store.record([deleted(message)])

    async def check(rig: Rig) -> None:
        assert len(rig.rows("message")) == 2
        assert rig.store.find(1, sids[0]) is None
        assert (await clean(rig)).deleted_rows == 1
        assert len(rig.rows("message")) == 1
        assert [record for record, *_ in rig.tasks()] == [row[0] for row in rig.rows("message")]

    sids: list[str] = []
    die(tmp_path, first)
    after(tmp_path, check)


@pytest.mark.parametrize(("body", "address"), [(True, False), (False, True)])
def test_half_a_redaction_is_finished(tmp_path: Path, body: bool, address: bool) -> None:
    async def first(rig: Rig) -> None:
        message = finished(rig, from_shown=SENDER, to_shown="+1415555XXXX", obfuscate=address)
        sids.append(message.sid)
        await rig.store.record([born(message, 0)])
        crash_at("store.vault_written")
        change: Change = redacted(message, rig.clock.now_ms(), body=body, address=address)
        await rig.store.record([change])

    async def check(rig: Rig) -> None:
        found = rig.store.find(1, sids[0])
        assert found is not None
        assert (found.body is None, found.to is None) == (body, address)
        assert await clean(rig) == Swept(0, 1, 0)
        (row,) = rig.rows("message")
        assert (row[13] is None, row[15] is None, row[21] is None) == (body, address, address)

    sids: list[str] = []
    die(tmp_path, first)
    after(tmp_path, check)


def test_what_is_whole_is_left_alone_while_messages_come_and_go(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        old = [finished(rig) for _ in range(30)]
        for message in old:
            await rig.store.record([born(message, 0)])
        await rig.close()
        again = Rig(tmp_path)
        done = [again.store.record([deleted(message)]) for message in old[:10]]
        swept = asyncio.create_task(clean(again))
        new = [await again.accept(body=Private(f"text {n}")) for n in range(30)]
        await asyncio.gather(*done)
        assert (await swept).orphan_keys == 0
        for message in (*old[10:], *new):
            assert again.store.find(1, message.sid) == message
        assert all(again.store.find(1, message.sid) is None for message in old[:10])
        assert await clean(again) == Swept(0, 0, 0)
        await again.close()

    simloop.run(main())


def test_an_older_vault_is_refused_before_anything_is_put_right(tmp_path: Path) -> None:
    """A row that names a key which was never there: what is newer would be lost."""

    async def first(rig: Rig) -> None:
        for _ in range(3):
            await rig.accept()
        await rig.settle()
        shutil.copytree(tmp_path / "vault", tmp_path / "old")
        await rig.accept()
        await rig.close()

    async def second() -> None:
        rig = Rig(tmp_path)
        with pytest.raises(Misconfigured, match="older than the database"):
            require_vault_as_new(rig.path, rig.slots)
        live = rig.slots.stats().live
        with pytest.raises(Misconfigured, match="older than the database"):
            await clean(rig)
        assert rig.slots.stats().live == live
        assert len(rig.rows("message")) == 4
        await rig.close()

    async def main() -> None:
        await first(Rig(tmp_path))

    simloop.run(main())
    shutil.rmtree(tmp_path / "vault")
    shutil.move(tmp_path / "old", tmp_path / "vault")
    simloop.run(second())


def test_a_used_slot_of_an_older_vault_is_noticed_too(tmp_path: Path) -> None:
    """A slot that was used again since: blank in the old vault, under the same generation."""

    async def main() -> None:
        rig = Rig(tmp_path)
        (ref,) = rig.slots.allocate(1)
        image = (ref & 0xFFFFFFFF).to_bytes(4, "big")
        rig.slots.write([(ref, b"k" * 60 + image)], ())
        assert not rig.slots.lags(ref)
        rig.slots.write((), [ref])
        assert not rig.slots.lags(ref)  # destroyed: it was there
        assert rig.slots.lags(ref + 1)  # the next one never was
        assert rig.slots.lags(1 << 50 | 1)
        await rig.close()

    simloop.run(main())
