"""The object store, once in a folder and once in a bucket: the same in all that is promised."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from hushwire.clock import SeededEntropy
from hushwire.errors import Misconfigured, Unavailable
from hushwire.store.objects import Objects
from s3 import S3

OWNER = "0a" * 16
Scene = Callable[[Objects], Awaitable[None]]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as running:
        yield running


@pytest.fixture(params=["folder", "bucket"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where this test's objects lie."""
    if request.param == "folder":
        return "file:///media"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    s3: S3 = request.getfixturevalue("s3")
    return s3.url(f"tests/{tmp_path.name}")


def made(url: str, data: Path, owner: str = OWNER, start: int = 1) -> Objects:
    return Objects(url, data, owner, SeededEntropy(start))


def play(objects: Objects, scene: Scene) -> None:
    async def main() -> None:
        try:
            await scene(objects)
        finally:
            objects.close()

    asyncio.run(main())


async def read(objects: Objects, name: str) -> bytes | None:
    stream = await objects.get(name)
    return None if stream is None else b"".join([chunk async for chunk in stream])


def test_what_was_put_is_got(url: str, tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        large = os.urandom(5 * 1024 * 1024 + 99)
        contents = (b"", b"x", large)
        names = [objects.new_name() for _ in contents]
        assert len(set(names)) == 3
        for name, content in zip(names, contents, strict=True):
            cuts = [content[at : at + 70_000] for at in range(0, len(content), 70_000)]
            await objects.put(name, iter(cuts))
        for name, content in zip(names, contents, strict=True):
            assert await read(objects, name) == content
        assert await objects.names() == set(names)
        assert await objects.get(objects.new_name()) is None

    play(made(url, tmp_path), scene)


def test_a_large_object_comes_in_pieces(url: str, tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("large", [bytes(3_000_000)])
        stream = await objects.get("large")
        assert stream is not None
        pieces = [len(chunk) async for chunk in stream]
        assert sum(pieces) == 3_000_000
        assert max(pieces) <= 1_000_000

    play(made(url, tmp_path), scene)


def test_what_was_deleted_is_gone(url: str, tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        for name in ("a", "b", "c"):
            await objects.put(name, [b"x"])
        await objects.delete(["a", "never there", "b"])
        assert await objects.names() == {"c"}
        assert await objects.get("a") is None

    play(made(url, tmp_path), scene)


def test_two_servers_may_share_a_place(url: str, tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        other = made(url, tmp_path, owner="0b" * 16)
        assert await objects.names() is None, "nothing was ever put here"
        await objects.put("mine", [b"x"])
        assert await other.names() is None
        await other.put("theirs", [b"y"])
        assert (await objects.names(), await other.names()) == ({"mine"}, {"theirs"})
        assert await objects.get("theirs") is None
        await objects.delete(["mine", "theirs"])
        assert await objects.names() == set(), "empty, and still ours"
        assert await read(other, "theirs") == b"y"
        other.close()

    play(made(url, tmp_path), scene)


def test_names_tell_the_start_that_made_them(url: str, tmp_path: Path) -> None:
    before, now = made(url, tmp_path, start=1), made(url, tmp_path, start=2)
    name = before.new_name()
    assert before.is_new(name)
    assert not now.is_new(name)
    before.close()
    now.close()


def test_a_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("name", [b"x"])
        assert stat.S_IMODE((tmp_path / "media").stat().st_mode) == 0o700
        assert (tmp_path / "media" / OWNER / "name").read_bytes() == b"x"

    play(made("file:///media", tmp_path), scene)


def test_a_folder_may_lie_elsewhere(tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        await objects.put("name", [b"x"])
        assert (tmp_path / "elsewhere" / OWNER / "name").exists()

    play(made(f"file:///{tmp_path}/elsewhere", tmp_path / "data"), scene)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file")
    with pytest.raises(Misconfigured, match="media_url"):
        made("file:///media", tmp_path)


def test_a_place_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    async def scene(objects: Objects) -> None:
        for asked in (objects.put("a", [b"x"]), objects.get("a"), objects.names()):
            with pytest.raises(Unavailable):
                await asked

    nobody = "s3://pictures/x?region=us-east-1&endpoint=http://127.0.0.1:1"
    play(made(nobody, tmp_path), scene)


def test_a_bucket_that_is_not_there(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    async def scene(objects: Objects) -> None:
        with pytest.raises(Unavailable):
            await objects.put("a", [b"x"])

    play(made(s3.url().replace("pictures", "nothing"), tmp_path), scene)


def test_after_the_end_nothing_is_read(tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        objects.close()
        with pytest.raises(Unavailable):
            await objects.names()

    play(made("file:///media", tmp_path), scene)


def test_what_a_death_left_of_a_write_is_removed_by_a_later_start(tmp_path: Path) -> None:
    """The library writes to `name#1` first, and lists no such file: a kill leaves it there."""
    folder = tmp_path / "media" / OWNER

    async def first(objects: Objects) -> None:
        await objects.put(objects.new_name(), [b"whole"])
        (folder / f"{objects.new_name()}#1").write_bytes(b"torn")
        (folder / "place#1").write_bytes(b"")
        assert await objects.remove_torn() == 0, "it may be under way"

    async def second(objects: Objects) -> None:
        under_way = folder / f"{objects.new_name()}#2"
        under_way.write_bytes(b"half")
        assert await objects.remove_torn() == 1
        await objects.put(name := objects.new_name(), [b"whole"])
        assert {path.name for path in folder.iterdir() if "#" in path.name} == {under_way.name}
        assert name in (await objects.names() or ())
        assert len(await objects.names() or ()) == 2

    play(made("file:///media", tmp_path), first)
    play(made("file:///media", tmp_path, start=2), second)


def test_a_bucket_keeps_nothing_of_a_torn_write(url: str, tmp_path: Path) -> None:
    async def scene(objects: Objects) -> None:
        assert await objects.remove_torn() == 0

    play(made(url, tmp_path), scene)
