"""What tests of forgetting share: a shelf of media with all that forgets, its lanes running."""

import asyncio
import io
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from hushwire.dispatch.expire import Expiry
from hushwire.dispatch.lanes import Lanes
from hushwire.dispatch.waits import Waits
from hushwire.domain.legal_hold import LegalHold
from hushwire.domain.message import Message
from hushwire.domain.retention import Retention
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import legal_lane
from hushwire.observe import Journal
from hushwire.private import Private
from hushwire.store.retained import Retained
from media_rig import Shelf

DAY_S = 86_400
Scene = Callable[["Ground"], Awaitable[None]]


class Ground:
    """A shelf of media with all that forgets, and its lanes running."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.store = shelf.store
        self.journal = io.StringIO()
        shelf.table.held = shelf.custodian.holds_media
        shelf.store.vanished = shelf.table.vanish
        self.lanes = Lanes(shelf.store, shelf.clock)
        waits = Waits(shelf.store, shelf.clock, shelf.custodian, shelf.table)
        self.lanes.workers[TaskKind.REDACT] = waits
        shelf.store.outlet = self.lanes
        self.retained = Retained(shelf.path)
        loop = asyncio.get_running_loop()
        self.measured_ms = lambda: int(loop.time() * 1000)
        self.expiry = Expiry(
            shelf.store, shelf.custodian, shelf.legal_holds, shelf.table, self.retained,
            shelf.clock, Journal(self.journal), measured_ms=lambda: self.measured_ms(),
        )  # fmt: skip
        shelf.store.release_held()
        self.lanes.start()
        self.running = [loop.create_task(self.lanes.run()), loop.create_task(self.expiry.run())]

    def keep(self, **days: int) -> None:
        account = self.store.accounts.by_id[1]
        self.store.accounts.change(replace(account, retention=Retention(**days)))
        self.expiry.wake()

    async def days(self, days: float) -> None:
        """Let time pass, and what is due be done."""
        await asyncio.sleep(days * DAY_S + 3_700)
        await self.shelf.quiet()

    def alive(self, message: Message) -> tuple[bool, bool]:
        """Do the keys of its content and its address live?"""
        assert message.content_key is not None
        assert message.address_key is not None
        read = self.shelf.slots.read
        return read(message.content_key) is not None, read(message.address_key) is not None

    def hold(self, message: Message | None = None, phone: str | None = None) -> LegalHold:
        holds = self.shelf.legal_holds
        hold = LegalHold(
            f"LH{len(holds.of(1)):032x}", 1, message.sid if message else None,
            holds.tag(1, phone) if phone else None, "AC", Private("Ada"), Private("case 7"),
            self.shelf.clock.now_ms(),
        )  # fmt: skip
        self.store.write_now(holds.add(hold))
        return hold

    async def lift(self, hold: LegalHold) -> None:
        now_ms = self.shelf.clock.now_ms()
        self.shelf.legal_holds.lift(hold, now_ms)
        self.store.append(lambda db: db.do("lift_legal_hold", hold.sid, now_ms))
        await self.store.hasten(TaskKind.REDACT, legal_lane(1), now_ms)
        await asyncio.sleep(1)
        await self.shelf.quiet()


def scene_on(scene: Scene) -> Callable[[Shelf], Awaitable[None]]:
    async def on(shelf: Shelf) -> None:
        ground = Ground(shelf)
        await scene(ground)
        for task in ground.running:
            task.cancel()
        await asyncio.gather(*ground.running, return_exceptions=True)
        ground.retained.close()

    return on
