"""Media on disk: key, row and object come and go together, whatever cuts them in half."""

from pathlib import Path

import pytest

from hushwire.domain.message import Change, Status, born, deleted
from hushwire.store.media import SweptMedia
from hushwire.store.sweep import Swept, sweep
from hushwire.vault.seal import SealBroken
from media_rig import FILES, Scene, Shelf, arm, crash, play

NOTHING = SweptMedia()


def test_media_come_and_are_read(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        media = shelf.table.of(message.key)
        assert [medium.position for medium in media] == [0, 1]
        assert [medium.content_type for medium in media] == list(FILES)
        for medium, content in zip(media, FILES.values(), strict=True):
            assert medium.sid.startswith("ME")
            assert medium.size == len(content)
            assert await shelf.read(medium) == content
            assert shelf.table.find(message.key, medium.sid) == medium
        assert shelf.files() == {medium.name for medium in media}
        other = await shelf.with_media()
        assert shelf.table.find(other.key, media[0].sid) is None
        assert len({medium.key_ref for medium in (*media, *shelf.table.of(other.key))}) == 4

    play(tmp_path, scene)


def test_nothing_of_a_file_is_on_the_disk_in_clear(tmp_path: Path) -> None:
    canary = b"canary-" + bytes(range(32, 64))

    async def scene(shelf: Shelf) -> None:
        sealed = await shelf.table.seal("text/csv", canary * 5_000)
        message = shelf.finished()
        shelf.table.attach([sealed], message.key, message.account_id, 0)
        assert repr(sealed.key)[2:-1] not in repr(sealed)
        await shelf.store.record([born(message, 0)])
        for path in tmp_path.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert canary not in content, path
                assert sealed.key not in content, path

    play(tmp_path, scene)


def test_a_medium_is_forgotten_alone(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        first, second = shelf.table.of(message.key)
        await shelf.table.forget([first])
        assert shelf.slots.read(first.key_ref) is None
        assert shelf.table.of(message.key) == [second]
        assert await shelf.read(first) is None, "whoever still knows it"
        await shelf.quiet()
        assert shelf.files() == {second.name}
        await shelf.table.forget([first])  # twice is harmless
        assert await shelf.read(second) == FILES[second.content_type]

    play(tmp_path, scene)


def test_media_go_with_their_message_and_no_other(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message, other = await shelf.with_media(), await shelf.with_media()
        media, kept = shelf.table.of(message.key), shelf.table.of(other.key)
        await shelf.store.record([deleted(message)])
        assert shelf.table.of(message.key) == []
        assert all(shelf.slots.read(medium.key_ref) is None for medium in media)
        await shelf.quiet()
        assert shelf.files() == {medium.name for medium in kept}
        assert all([await shelf.read(medium) for medium in kept])

    play(tmp_path, scene)


def test_a_file_that_becomes_nobodys_is_removed(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        sealed = await shelf.table.seal("image/png", b"x")
        assert shelf.files() == {sealed.name}
        await shelf.table.discard([sealed])
        assert shelf.files() == set()

    play(tmp_path, scene)


def test_a_damaged_object_is_not_shown_as_whole(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        medium = shelf.table.of(message.key)[0]
        path = shelf.folder / medium.name
        whole = path.read_bytes()
        other = shelf.table.of((await shelf.with_media()).key)[0]
        for damaged in (whole[:-1], whole[:65_553], (shelf.folder / other.name).read_bytes()):
            path.write_bytes(damaged)
            with pytest.raises(SealBroken):
                await shelf.read(medium)

    play(tmp_path, scene)


# --- What a crash leaves, and what the sweep makes of it -----------------------------------


def swept(directory: Path, wanted: SweptMedia, keys: int = 0, check: Scene | None = None) -> None:
    """The next start: its sweeps find so much, once."""

    async def scene(shelf: Shelf) -> None:
        assert (await sweep(shelf.store, shelf.path, shelf.slots)).orphan_keys == keys
        assert await shelf.table.sweep() == wanted
        await shelf.quiet()
        assert await sweep(shelf.store, shelf.path, shelf.slots) == Swept(0, 0, 0)
        assert await shelf.table.sweep() == NOTHING
        assert len(shelf.rows("media")) == len(shelf.files())
        if check is not None:
            await check(shelf)

    play(directory, scene, start=2)


def test_an_object_without_a_row_is_removed(tmp_path: Path) -> None:
    """Fetched, and not yet its message's: no key of it was ever on the disk."""

    async def scene(shelf: Shelf) -> None:
        await shelf.with_media()
        arm()
        await shelf.with_media()

    crash(tmp_path, "media.stored", scene)
    swept(tmp_path, SweptMedia(objects=1))


def test_keys_of_media_that_never_were_are_destroyed(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        await shelf.with_media()
        arm()
        await shelf.with_media()

    crash(tmp_path, "store.vault_written", scene)
    swept(tmp_path, SweptMedia(objects=2), keys=4)


def test_media_are_there_once_the_commit_is(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        arm()
        await shelf.with_media()

    async def check(shelf: Shelf) -> None:
        (key,) = {row[1] for row in shelf.rows("media")}
        assert [await shelf.read(medium) for medium in shelf.table.of(int(str(key)))] == [
            *FILES.values()
        ]

    crash(tmp_path, "store.committed", scene)
    swept(tmp_path, NOTHING, check=check)


@pytest.mark.parametrize("whole", [True, False])
def test_half_a_deletion_is_finished(tmp_path: Path, whole: bool) -> None:
    """The keys are gone, the rows are not: of the message with its media, or of them alone."""

    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        media = shelf.table.of(message.key)
        arm()
        if whole:
            await shelf.store.record([deleted(message)])
        else:
            await shelf.table.forget(media)

    crash(tmp_path, "store.vault_written", scene)
    swept(tmp_path, SweptMedia(rows=2))


def test_an_object_that_outlived_its_row_is_removed(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        arm()
        await shelf.store.record([deleted(message)])

    crash(tmp_path, "media.forgotten", scene)
    swept(tmp_path, SweptMedia(objects=2))


def test_a_row_whose_object_is_lost_goes(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = await shelf.with_media()
        medium = shelf.table.of(message.key)[0]
        (shelf.folder / medium.name).unlink()
        assert await shelf.read(medium) is None
        assert await shelf.table.sweep() == NOTHING, "not before the next start"

    play(tmp_path, scene)
    swept(tmp_path, SweptMedia(rows=1))


def test_nothing_is_swept_in_a_wrong_place(tmp_path: Path) -> None:
    """Another folder or bucket than before: the media are elsewhere, not lost."""

    async def scene(shelf: Shelf) -> None:
        await shelf.with_media()

    async def misplaced(shelf: Shelf) -> None:
        assert await shelf.table.sweep() == SweptMedia(elsewhere=2)
        assert len(shelf.rows("media")) == 2

    async def back(shelf: Shelf) -> None:
        (key,) = {row[1] for row in shelf.rows("media")}
        assert all([await shelf.read(medium) for medium in shelf.table.of(int(str(key)))])

    play(tmp_path, scene)
    (tmp_path / "media").rename(tmp_path / "aside")
    play(tmp_path, misplaced, start=2)
    (tmp_path / "media").rmdir()
    (tmp_path / "aside").rename(tmp_path / "media")
    play(tmp_path, back, start=3)


def test_a_file_that_a_kill_cut_in_half_is_swept(tmp_path: Path) -> None:
    async def first(shelf: Shelf) -> None:
        await shelf.with_media()
        (shelf.folder / f"{shelf.objects.new_name()}#1").write_bytes(b"torn")

    async def second(shelf: Shelf) -> None:
        assert await shelf.table.sweep() == SweptMedia(objects=1)
        assert len(shelf.files()) == 2

    play(tmp_path, first)
    play(tmp_path, second, start=2)


def test_the_sweep_leaves_alone_what_is_under_way(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        await shelf.with_media()
        sealed = await shelf.table.seal("image/png", b"x")
        assert await shelf.table.sweep() == NOTHING
        assert sealed.name in shelf.files()
        await shelf.table.discard([sealed])

    play(tmp_path, scene)


def test_media_of_a_birth_that_is_not_recorded_never_are(tmp_path: Path) -> None:
    """A full disk refuses births alone: nothing of it may stay."""

    async def scene(shelf: Shelf) -> None:
        sealed = [await shelf.table.seal("image/png", b"x")]
        message = shelf.finished()
        shelf.table.attach(sealed, message.key, message.account_id, 0)
        await shelf.store.append(lambda db: None)  # the commit without the birth
        assert shelf.rows("media") == []

    play(tmp_path, scene)


def test_an_update_without_media_costs_no_query(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        message = shelf.message(status=Status.DELIVERED, settled=True)
        await shelf.store.record([born(message, 0)])
        shelf.table._reader.close()  # whoever asks it now, fails
        await shelf.store.record([Change(message, message)])
        await shelf.store.record([deleted(message)])

    play(tmp_path, scene)
