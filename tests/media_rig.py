"""What tests of media share: a store with media, in a folder, on a loop of virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hushwire import faults
from hushwire.clock import SeededEntropy
from hushwire.domain.media import Medium
from hushwire.domain.message import Message, Status, born
from hushwire.store.media import MediaTable
from hushwire.store.objects import Objects
from hushwire.testing import simloop
from hushwire.testing.simloop import SimLoop
from rig import Rig

FILES = {"image/png": b"\x89PNG\r\n\x1a\n" + bytes(70_000), "text/vcard": b"BEGIN:VCARD\r\n"}


class Shelf(Rig):
    """A rig with media."""

    def __init__(self, directory: Path, start: int) -> None:
        super().__init__(directory)
        owner = self.slots.vault_id.hex()
        self.objects = Objects("file:///media", directory, owner, SeededEntropy(start))
        self.table = MediaTable(self.store, self.slots, self.objects, SeededEntropy(start))
        self.folder = directory / "media" / owner
        self.nobody = self.store.outlet

    def files(self) -> set[str]:
        """The names of all objects."""
        found = self.folder.iterdir() if self.folder.exists() else ()
        return {path.name for path in found} - {"place"}

    def finished(self, **changes: object) -> Message:
        return self.message(status=Status.DELIVERED, settled=True, media=len(FILES), **changes)

    def accept_as(self, message: Message) -> "asyncio.Future[None]":
        """This very message, accepted."""
        return self.store.record([born(message, self.clock.now_ms())])

    async def with_media(self, **changes: object) -> Message:
        """A finished message that has media, durably."""
        sealed = [await self.table.seal(kind, content) for kind, content in FILES.items()]
        message = self.finished(**changes)
        self.table.attach(sealed, message.key, message.account_id, self.clock.now_ms())
        await self.store.record([born(message, 0)])
        return message

    async def read(self, medium: Medium) -> bytes | None:
        content = await self.table.open(medium)
        return None if content is None else b"".join([chunk async for chunk in content])

    async def quiet(self) -> None:
        await self.settle()
        while self.table.busy():
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        await super().close()
        await self.table.close()

    def die(self) -> None:
        super().die()
        self.objects.close()


class Crash(KeyboardInterrupt):
    """The process dies here."""


Scene = Callable[[Shelf], Awaitable[None]]


def play(directory: Path, scene: Scene, start: int = 1) -> None:
    async def main() -> None:
        shelf = Shelf(directory, start)
        await scene(shelf)
        await shelf.quiet()
        await shelf.close()

    simloop.run(main())


def crash(directory: Path, point: str, scene: Scene) -> None:
    """Live until `scene`, once it armed the crash, reaches `point`; leave what is on the disk."""

    async def main() -> None:
        shelves.append(Shelf(directory, start=1))
        await scene(shelves[0])
        await shelves[0].quiet()

    def at(reached: str) -> None:
        if reached == point:
            raise Crash

    shelves: list[Shelf] = []
    loop = SimLoop()
    armed.append(lambda: faults.arm(at))
    try:
        with pytest.raises(Crash):
            loop.run_until_complete(main())
    finally:
        armed.clear()
        faults.arm(None)
        loop.abandon()
        shelves[0].die()


armed: list[Callable[[], None]] = []


def arm() -> None:
    """From here on the crash may come."""
    armed[0]()
