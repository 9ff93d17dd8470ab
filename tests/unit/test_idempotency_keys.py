"""Creates that name themselves: once is once, through ticks, months, restarts and crashes."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hushwire import faults
from hushwire.actions.idempotency import KEPT_MS, Idempotency
from hushwire.domain.message import Message, Status, born, deleted, redacted
from hushwire.errors import PROBLEMS, Refusal, Unavailable
from hushwire.private import Private
from hushwire.store.idempotency import Remembered
from hushwire.store.sweep import sweep_hourly
from hushwire.testing import simloop
from hushwire.testing.simloop import SimLoop
from rig import START_MS, Rig, play

FORM = '[["Body",["canary body"]],["To",["+14155550101"]]]'


class Crash(KeyboardInterrupt):
    """The process dies here."""


class Creates:
    """What the door does with a create that names itself, on a rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.once = Idempotency(rig.store, rig.clock)

    async def create(self, key: str = "order-1", form: str = FORM, size: int = 5) -> Message:
        named = self.once.name(self.rig.account, Private(key), Private(form))
        known = await self.once.repeated(named)
        if known is not None:
            return known
        message = self.rig.message(
            body=Private("x" * size), status=Status.DELIVERED, settled=True
        )  # finished, so that it may be forgotten
        durable = self.rig.store.record([born(message, self.rig.clock.now_ms())])
        self.once.keep(named, message, durable)
        await durable
        return message

    async def refused(self, problem: str, key: str = "order-1", form: str = FORM) -> None:
        with pytest.raises(Refusal) as caught:
            await self.create(key, form)
        assert caught.value.problem is PROBLEMS[problem]

    async def forms_at_once(self, *forms: str) -> list[object]:
        creates = (self.create(form=form) for form in forms)
        return await asyncio.gather(*creates, return_exceptions=True)


def test_the_same_key_is_the_same_message_and_no_other(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        first = await creates.create()
        assert (await creates.create()).sid == first.sid
        assert (await creates.create("order-2")).sid != first.sid
        await creates.refused("idempotency_mismatch", form="[]")
        assert (await creates.create()).sid == first.sid
        assert len(rig.rows("message")) == 2

    play(tmp_path, scene)


def test_a_key_counts_for_one_account(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        first = await creates.create()
        rig.account = rig.store.accounts.open(
            sid="AC" + "1" * 32, number_sid="PN" + "1" * 32, token=Private("e" * 32),
            phone=None, name="Two", now_ms=START_MS,
        )  # fmt: skip
        assert (await creates.create(form="[]")).sid != first.sid
        assert len(rig.rows("idempotency")) == 2

    play(tmp_path, scene)


def test_equal_creates_of_one_tick_wait_for_one_commit(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        found = await creates.forms_at_once(FORM, FORM, "other", FORM)
        sids = {message.sid for message in found if isinstance(message, Message)}
        assert len(sids) == len(rig.rows("message")) == len(rig.rows("idempotency")) == 1
        assert isinstance(found[2], Refusal)
        assert found[2].problem is PROBLEMS["idempotency_mismatch"]
        assert not creates.once._open  # what is on the disk is not kept in memory too

    play(tmp_path, scene)


def test_a_day_later_the_key_is_free_again(tmp_path: Path) -> None:
    """24 hours by the server's clock, to the millisecond; the row gives way to the new one."""

    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        before = rig.clock.now_ms()
        first = await creates.create()
        rig.clock.advance(KEPT_MS - 1 - (rig.clock.now_ms() - before))
        assert (await creates.create()).sid == first.sid
        rig.clock.advance(1)
        again = await creates.create(form="another form")
        assert again.sid != first.sid
        assert (await creates.create(form="another form")).sid == again.sid
        assert len(rig.rows("idempotency")) == 1

    play(tmp_path, scene)


def test_a_key_is_found_after_the_month_has_changed(tmp_path: Path) -> None:
    """Each month has a pepper of its own; for a day both are tried."""

    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        midnight = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp() * 1000)
        rig.clock.advance(midnight - 60_000 - rig.clock.now_ms())
        first = await creates.create()
        rig.clock.advance(120_000)
        assert (await creates.create()).sid == first.sid
        await creates.refused("idempotency_mismatch", form="[]")
        assert (await creates.create("order-2")).sid != first.sid
        assert (await creates.create("order-2")).sid != first.sid
        assert len(rig.store.accounts.keys[1].peppers) == 2

    play(tmp_path, scene)


def test_it_is_known_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        first = await Creates(rig).create()
        rig.die()
        again = Rig(tmp_path)
        assert await Creates(again).create() == first
        await Creates(again).refused("idempotency_mismatch", form="[]")
        await again.close()

    simloop.run(main())


@pytest.mark.parametrize("point", ["store.vault_written", "store.committed"])
def test_a_crash_leaves_message_and_key_or_neither(tmp_path: Path, point: str) -> None:
    async def first() -> None:
        rigs.append(Rig(tmp_path))
        creates = Creates(rigs[0])
        await creates.create("before")
        faults.arm(crash)
        await creates.create()

    def crash(reached: str) -> None:
        if reached == point:
            raise Crash

    rigs: list[Rig] = []
    loop = SimLoop()
    try:
        with pytest.raises(Crash):
            loop.run_until_complete(first())
    finally:
        faults.arm(None)
        loop.abandon()
        rigs[0].die()

    async def after(rig: Rig) -> None:
        there = 2 if point == "store.committed" else 1
        assert len(rig.rows("message")) == len(rig.rows("idempotency")) == there
        await Creates(rig).create()
        assert len(rig.rows("message")) == len(rig.rows("idempotency")) == 2

    play(tmp_path, after)


def test_a_birth_refused_by_a_full_disk_leaves_no_key(tmp_path: Path) -> None:
    """Who waited for the same commit is refused alike; later it is a first time again."""

    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        (pages,) = next(iter(rig.store._db._execute("PRAGMA page_count", ())))
        rig.store._db._execute(f"PRAGMA max_page_count={pages}", ())
        large = (creates.create(size=100_000), creates.create(size=100_000))
        ends = await asyncio.gather(*large, return_exceptions=True)
        assert [type(end) for end in ends] == [Unavailable, Unavailable]
        assert rig.rows("message") == rig.rows("idempotency") == []
        rig.store._db._execute("PRAGMA max_page_count=1000000", ())
        await creates.create(form="another form")
        assert len(rig.rows("message")) == len(rig.rows("idempotency")) == 1

    play(tmp_path, scene)


def test_a_repetition_shows_the_message_as_it_is_now(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        creates = Creates(rig)
        first = await creates.create()
        await rig.store.record([redacted(first, rig.clock.now_ms(), body=True)])
        again = await creates.create()
        assert (again.sid, again.body) == (first.sid, None)
        await rig.store.record([deleted(again)])
        await creates.refused("idempotency_deleted")
        await creates.refused("idempotency_mismatch", form="[]")
        assert rig.rows("message") == []

    play(tmp_path, scene)


def test_neither_key_nor_form_is_on_the_disk(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await Creates(rig).create("canary-+14155550101")
        ((_, tag, fingerprint, _, _),) = rig.rows("idempotency")
        assert (len(tag), len(fingerprint)) == (16, 16)
        assert tag != fingerprint
        for path in tmp_path.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert b"canary" not in content, path.name
            assert b"4155550101" not in content, path.name

    play(tmp_path, scene)


def test_the_hash_of_a_form_needs_its_key_too(tmp_path: Path) -> None:
    """A guessed text cannot be verified without the key, which nobody keeps."""

    async def scene(rig: Rig) -> None:
        once = Idempotency(rig.store, rig.clock)
        one, other = (once.name(rig.account, Private(k), Private(FORM)).names[0] for k in "ab")
        assert one.fingerprint != other.fingerprint

    play(tmp_path, scene)


def test_what_expired_is_swept_every_hour(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        now_ms = rig.clock.now_ms()
        for n in range(2_500):
            at_ms = now_ms + (0 if n < 2_100 else 1_800_000 if n < 2_400 else KEPT_MS)
            rig.store.idempotency.put(Remembered(1, n.to_bytes(16, "big"), b"f" * 16, n, at_ms))
        await rig.settle()
        sweeping = asyncio.create_task(sweep_hourly(rig.store, rig.clock))
        await asyncio.sleep(60)
        assert len(rig.rows("idempotency")) == 400
        await asyncio.sleep(3_600)
        assert len(rig.rows("idempotency")) == 100
        sweeping.cancel()

    play(tmp_path, scene)
