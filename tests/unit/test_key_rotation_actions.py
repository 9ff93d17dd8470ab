"""The actions on keys: one rotation at a time, in the background, beside what is under way."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hushwire.actions.keyrotation import KeyRotation, RotationProgress, rotate_root_offline
from hushwire.clock import Clock, SystemEntropy
from hushwire.domain.message import born
from hushwire.errors import Misconfigured, Refusal
from hushwire.store.engine import FileLock
from hushwire.vault.providers import DEFAULT, make_root, read_root
from hushwire.vault.rotation import OpenVault, RootRecord, VaultPlace
from media_rig import FILES, Shelf, play
from rig import ROOT

Scene = Callable[[Shelf, KeyRotation], Awaitable[None]]


def with_rotation(directory: Path, scene: Scene, provider: str = DEFAULT) -> None:
    """Run `scene` beside a rotation that waits for work."""

    async def main(shelf: Shelf) -> None:
        place = VaultPlace(directory, provider, {})
        if provider == DEFAULT and not (directory / "root.key").exists():
            make_root(DEFAULT, place.around)
            (directory / "root.key").chmod(0o600)
            (directory / "root.key").write_bytes(ROOT)
            (directory / "root.key").chmod(0o400)
        vault = OpenVault(place, shelf.slots, ROOT, RootRecord(provider, 0))
        rotation = KeyRotation(shelf.store, vault, shelf.clock, SystemEntropy(), lambda: False)
        running = asyncio.create_task(rotation.run())
        await scene(shelf, rotation)
        await rotation.stop()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(directory, main)


async def ended(rotation: KeyRotation) -> RotationProgress:
    while rotation.look().state == "running":
        await asyncio.sleep(0.001)
    return rotation.look()


def test_what_was_sealed_before_it_began_is_awaited(tmp_path: Path) -> None:
    """A medium's key is wrapped when it is attached, and on the disk with the next commit."""

    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        sealed = [await shelf.table.seal(kind, content) for kind, content in FILES.items()]
        message = shelf.finished()
        shelf.store._commit._crowded = True  # the commit waits a moment for more
        shelf.table.attach(sealed, message.key, message.account_id, 0)
        shelf.store.record([born(message, 0)])
        rotation.rotate_accounts(None)
        progress = await ended(rotation)
        assert (progress.accounts_done, progress.keys, progress.damaged) == (1, 2, 0)
        for medium in shelf.table.of(message.key):
            assert await shelf.read(medium) == FILES[medium.content_type]

    with_rotation(tmp_path, scene)


def test_media_are_read_after_a_rotation(tmp_path: Path) -> None:
    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        message = await shelf.with_media()
        rotation.rotate_accounts([shelf.account])
        progress = await ended(rotation)
        assert (progress.messages, progress.messages_done, progress.keys) == (1, 1, 4)
        for medium in shelf.table.of(message.key):
            assert await shelf.read(medium) == FILES[medium.content_type]
        assert rotation.inventory().unfinished == 0

    with_rotation(tmp_path, scene)


def test_the_root_is_rotated_and_new_accounts_keys_are_under_it(tmp_path: Path) -> None:
    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        rotation.rotate_root()
        progress = await ended(rotation)
        assert (progress.state, progress.keys) == ("done", 4)
        root = read_root(DEFAULT, VaultPlace(tmp_path, DEFAULT, {}).around)
        assert root != ROOT
        shelf.store.accounts.keys[1].lasting_pepper("made after it")
        assert not shelf.store.accounts.keyring.wrapper.is_exchanging
        shown = rotation.inventory()
        assert (shown.keys_under_root, shown.account_keys) == (5, 1)

    with_rotation(tmp_path, scene)


def test_a_second_rotation_waits_for_the_first(tmp_path: Path) -> None:
    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        rotation.rotate_accounts(None)
        for again in (rotation.rotate_root, lambda: rotation.rotate_accounts(None)):
            with pytest.raises(Refusal, match="rotation_running"):
                again()
        assert (await ended(rotation)).state == "done"
        rotation.rotate_accounts(None)
        assert (await ended(rotation)).accounts_done == 1

    with_rotation(tmp_path, scene)


def test_a_provider_that_only_gives_a_key_is_refused_at_once(tmp_path: Path) -> None:
    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        with pytest.raises(Refusal, match="root_key_given"):
            rotation.rotate_root()
        assert rotation.look().state == "never"

    with_rotation(tmp_path, scene, provider="env:SOMEWHERE")


def test_a_provider_that_cannot_make_a_key_now_changes_nothing(tmp_path: Path) -> None:
    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        (tmp_path / "root.key.next").mkdir()  # where the new key is to be kept
        rotation.rotate_root()
        progress = await ended(rotation)
        assert progress.state == "failed"
        assert "root key" in progress.error
        assert rotation.rotate_accounts(None).state == "running"
        assert (await ended(rotation)).state == "done"

    with_rotation(tmp_path, scene)


def test_without_a_server_the_root_is_rotated_on_the_files(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds no vault"):
        rotate_root_offline(
            VaultPlace(tmp_path, DEFAULT, {}), tmp_path / "hushwire.db", None, Clock(),
            SystemEntropy(),
        )  # fmt: skip

    async def scene(shelf: Shelf, rotation: KeyRotation) -> None:
        await shelf.with_media()

    with_rotation(tmp_path, scene)
    place = VaultPlace(tmp_path, DEFAULT, {})

    def rotate() -> str:
        database = tmp_path / "hushwire.db"
        return rotate_root_offline(place, database, None, Clock(), SystemEntropy())

    lock = FileLock(tmp_path / "lock")
    with pytest.raises(Misconfigured, match="another server"):
        rotate()
    lock.close()
    assert rotate() == DEFAULT
    root = read_root(DEFAULT, place.around)
    assert root != ROOT
    assert rotate() == DEFAULT
    assert read_root(DEFAULT, place.around) != root
