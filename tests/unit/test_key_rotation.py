"""Account keys are rotated beside traffic: every message opens at any moment, killed or not."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hushwire import faults
from hushwire.clock import SystemEntropy
from hushwire.domain.message import Message, born
from hushwire.domain.sid import new_sid
from hushwire.private import Private
from hushwire.store.rotation import AccountRotation, Walk, root_key_refs
from hushwire.store.sweep import sweep
from hushwire.testing import simloop
from hushwire.vault.seal import SealBroken, Wrapper
from rig import START_MS, Rig, play

ENTROPY = SystemEntropy()
ACCOUNT = 1


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def account_key(rig: Rig) -> bytes:
    accounts = rig.store.accounts
    key = accounts.keyring.unwrap_key(ACCOUNT, accounts.account_refs[ACCOUNT])
    assert key is not None
    return key


def on_disk(rig: Rig) -> bytes:
    return b"".join(path.read_bytes() for path in (rig.path.parent / "vault").iterdir())


def assert_readable(rig: Rig, messages: list[Message]) -> None:
    """Each opens: as it is in memory, and as a reader of the disk finds it."""
    rig.store._memory.clear()
    found = rig.store.load([message.key for message in messages])
    for message in messages:
        assert found[message.key].body == message.body
        assert found[message.key].to == message.to


async def rotate(rig: Rig) -> Walk:
    rotation = AccountRotation(rig.store, rig.slots, ENTROPY)
    for account_id in rotation.unfinished() or [None]:
        if account_id is None:
            rotation.begin(ACCOUNT, rig.clock.now_ms())
        elif not rotation.resume(account_id):
            return Walk(ACCOUNT)
    await rig.store.append(lambda db: None)
    walk = Walk(ACCOUNT)
    assert rotation.walk(walk)
    rotation.end(ACCOUNT)
    return walk


def test_every_message_opens_before_during_and_after(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        messages = [await rig.accept(body=Private(f"Text {n}")) for n in range(30)]
        old, ref = account_key(rig), rig.store.accounts.account_refs[ACCOUNT]
        images = [rig.slots.read(m.content_key or 0) for m in messages]
        rotation = AccountRotation(rig.store, rig.slots, ENTROPY)
        rotation.begin(ACCOUNT, START_MS + 5)
        assert_readable(rig, messages)
        messages.append(await rig.accept(body=Private("During")))
        await rig.store.append(lambda db: None)
        walk = Walk(ACCOUNT)
        assert rotation.walk(walk)
        assert (walk.messages, walk.keys, walk.damaged) == (31, 60, 0)
        assert_readable(rig, messages)
        rotation.end(ACCOUNT)
        assert_readable(rig, messages)
        new = account_key(rig)
        assert new != old
        assert rig.store.accounts.account_refs[ACCOUNT] == ref
        assert rig.store.accounts.made_ms[ACCOUNT] == START_MS + 5
        for message in messages:
            with pytest.raises(SealBroken):
                rig.slots.unwrap(Wrapper(old), ACCOUNT, message.content_key or 0)
            assert rig.slots.unwrap(Wrapper(new), ACCOUNT, message.content_key or 0)
        left = on_disk(rig)
        assert not [image for image in images if image is None or image[:28] in left]
        assert rig.store.accounts.by_id[ACCOUNT].auth_token == Private("f" * 32)

    play(tmp_path, scene)


def test_what_was_sealed_but_not_written_when_it_began_is_wrapped_anew(tmp_path: Path) -> None:
    """A batch is sealed when it is taken: its keys reach the disk after the exchange."""

    async def main() -> None:
        rig = Rig(tmp_path / "rig", threaded=True)
        rotation = AccountRotation(rig.store, rig.slots, ENTROPY)
        messages = [rig.message(body=Private(f"Text {n}")) for n in range(5)]
        waiting = rig.store.record([born(m, rig.clock.now_ms()) for m in messages])
        await asyncio.sleep(0)  # the batch is taken and sealed; its commit is under way
        rotation.begin(ACCOUNT, rig.clock.now_ms())
        await rig.store.append(lambda db: None)
        assert waiting.done()
        walk = Walk(ACCOUNT)
        assert await asyncio.to_thread(rotation.walk, walk)
        rotation.end(ACCOUNT)
        assert_readable(rig, messages)
        await rig.close()

    asyncio.run(main())


def test_a_rotation_killed_anywhere_goes_on_at_the_next_start(tmp_path: Path) -> None:
    """Between every two writes; and the next start may be killed as well."""

    async def life(directory: Path, n: int, first: bool) -> tuple[list[str], bool]:
        rig = Rig(directory)
        if first:
            for number in range(3):
                await rig.accept(body=Private(f"Text {number}"))
        points: list[str] = []

        def hook(name: str) -> None:
            if name.startswith("store."):
                return  # the commit that is waited for: it writes nothing of a rotation
            points.append(name)
            if len(points) == n:
                raise Killed

        if not first and not rig.store.accounts.formers:
            rig.die()
            return [], True
        faults.arm(hook)
        try:
            await rotate(rig)
        except Killed:
            faults.arm(None)
            rig.die()
            return points, False
        faults.arm(None)
        await rig.close()
        return points, True

    async def check(directory: Path) -> None:
        rig = Rig(directory)
        bodies = {row[0] for row in rig.rows("message")}
        found = rig.store.load([key for key in bodies if isinstance(key, int)])
        assert {m.body for m in found.values()} == {Private(f"Text {n}") for n in range(3)}
        assert not rig.store.accounts.formers
        swept = await sweep(rig.store, rig.path, rig.slots)
        assert swept.orphan_keys <= 1
        named = {ref for _, ref in root_key_refs(rig.path)}
        named |= {ref for m in found.values() for ref in (m.content_key, m.address_key) if ref}
        assert set(rig.slots.snapshot()) == named
        await rig.close()

    reached: list[str] = []
    for n in range(1, 60):
        directory = tmp_path / str(n)
        points, ended = simloop.run(life(directory, n, True))
        reached += points
        if not ended:
            again, ended = simloop.run(life(directory, 2, False))
            if not ended:
                assert len(again) == 2
                simloop.run(life(directory, 999, False))
        simloop.run(check(directory))
        if len(points) < n:
            break
    assert n < 59
    assert {
        "rotation.former_kept", "rotation.former_noted", "rotation.exchanged",
        "rotation.rewrapped", "rotation.former_gone", "rotation.former_forgotten",
        "vault.written", "vault.synced",
    } <= set(reached)  # fmt: skip


def test_a_message_deleted_meanwhile_stays_deleted(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        kept, gone = await rig.accept(), await rig.accept()
        rotation = AccountRotation(rig.store, rig.slots, ENTROPY)
        rotation.begin(ACCOUNT, START_MS)
        refs = [ref for ref in (gone.content_key, gone.address_key) if ref is not None]
        rig.slots.write((), refs)
        rig.slots.recycle(refs)
        await rig.store.append(lambda db: None)
        walk = Walk(ACCOUNT)
        assert rotation.walk(walk)
        assert (walk.keys, walk.damaged) == (2, 0)
        rotation.end(ACCOUNT)
        assert [rig.slots.read(ref) for ref in refs] == [None, None]
        assert_readable(rig, [kept])

    play(tmp_path, scene)


def test_an_older_database_still_names_the_key(tmp_path: Path) -> None:
    """A backup from before a rotation, restored beside the present vault, is read."""

    async def before() -> bytes:
        rig = Rig(tmp_path / "rig")
        await rig.accept(body=Private("Old"))
        await rig.close()
        return rig.path.read_bytes()

    async def rotated() -> None:
        rig = Rig(tmp_path / "rig")
        await rotate(rig)
        await rig.accept(body=Private("New"))
        await rig.close()

    async def restored() -> None:
        rig = Rig(tmp_path / "rig")
        (key,) = [row[0] for row in rig.rows("message")]
        assert isinstance(key, int)
        assert rig.store.load([key])[key].body == Private("Old")
        await rig.close()

    content = simloop.run(before())
    simloop.run(rotated())
    (tmp_path / "rig" / "hushwire.db").write_bytes(content)
    simloop.run(restored())


def test_a_walk_ends_where_it_is_when_the_server_stops(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        rotation = AccountRotation(rig.store, rig.slots, ENTROPY)
        rotation.begin(ACCOUNT, START_MS)
        rotation.stop()
        await rig.store.append(lambda db: None)
        assert not rotation.walk(Walk(ACCOUNT))
        assert rotation.unfinished() == [ACCOUNT]
        assert_readable(rig, [message])

    play(tmp_path, scene)
    play(tmp_path, lambda rig: _finished(rig))


async def _finished(rig: Rig) -> None:
    assert rig.store.accounts.formers
    walk = await rotate(rig)
    assert (walk.messages, walk.keys) == (1, 0)
    assert not rig.store.accounts.formers


def test_others_accounts_keep_their_keys(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        accounts = rig.store.accounts
        other = accounts.open(
            sid=new_sid("AC", os.urandom(16)), number_sid="", token=Private("e" * 32), phone=None,
            name="Two", now_ms=START_MS, owner_id=ACCOUNT,
        )  # fmt: skip
        theirs = await rig.accept(account_id=other.id, body=Private("Theirs"))
        before = rig.slots.read(theirs.content_key or 0)
        await rotate(rig)
        assert rig.slots.read(theirs.content_key or 0) == before
        assert_readable(rig, [theirs])

    play(tmp_path, scene)


def test_the_audit_log_names_it(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await rotate(rig)
        await rig.settle()
        records = rig.store.audit.chain(0, 100)
        (rotated,) = [record for record in records if record.what == "key.rotated"]
        assert rotated.subjects == rig.account.sid
        assert rotated.detail == "account key"

    play(tmp_path, scene)
