"""What unit tests of store, dispatch and webhooks share: a real store on a loop of virtual time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec.structs import replace

from hushwire.clock import SeededEntropy
from hushwire.domain.account import Account
from hushwire.domain.message import Direction, Message, Status, born, history_line
from hushwire.domain.sid import message_sid
from hushwire.domain.task import Task, TaskKind
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.custodian import Custodian
from hushwire.store.engine import Database
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.store import Store
from hushwire.testing import simloop
from hushwire.vault.slots import Slots

START_MS = 1_772_366_399_900  # 2026-03-01T11:59:59.900Z
ROOT = b"r" * 32
SENDER, ALICE, BOB = "+15005550006", "+14155550101", "+14155550102"
URL = "http://customer.example.com/status"
LANE, CALLBACK_LANE = 0, 77


class Rig:
    """A store in `directory` with an account and a number. Make it on a running loop."""

    def __init__(self, directory: Path, *, warm: int = 20_000, threaded: bool = False) -> None:
        directory.mkdir(exist_ok=True)
        self.path = directory / "hushwire.db"
        (directory / "ballast").touch()  # 8 MB of zeros would only cost time
        self.clock = simloop.clock_of(asyncio.get_running_loop(), START_MS)
        self.slots = Slots.open(directory / "vault", ROOT, slots_per_file=1024)
        self.metrics = Metrics()
        self.failures: list[BaseException] = []
        self.store = Store(
            self.path, self.slots, ROOT, SeededEntropy(1), self.metrics,
            failed=self.failures.append, warm=warm, threaded=threaded,
        )  # fmt: skip
        known = self.store.accounts.by_id.get(1)
        self.account = known or self._open_account()
        self._holds = Database(self.path, readonly=True)
        self.legal_holds = LegalHolds(self._holds, self.store.accounts.keys)
        self.custodian = Custodian(self.store, self.legal_holds, self.clock)

    def _open_account(self) -> Account:
        return self.store.accounts.open(
            sid="AC" + "0" * 32, number_sid="PN" + "0" * 32, token=Private("f" * 32),
            phone=SENDER, name="One", now_ms=START_MS,
        )  # fmt: skip

    def message(self, **changes: object) -> Message:
        """A message about to be born: to Alice, called back, good for ten hours."""
        now_ms = self.clock.now_ms()
        ident, content_key, address_key = self.store.reserve(now_ms)
        message = Message(
            key=ident.key, tail=ident.tail, sid=message_sid("SM", ident),
            account_id=self.account.id, direction=Direction.OUTBOUND_API, status=Status.QUEUED,
            from_=Private(SENDER), to=Private(ALICE), body=Private("Hello"),
            callback=Private(URL), segments=1, created_ms=ident.key >> 16,
            updated_ms=ident.key >> 16, content_key=content_key, address_key=address_key,
            expires_ms=now_ms + 36_000_000, lane=LANE, callback_lane=CALLBACK_LANE,
            history=history_line(Status.QUEUED, ident.key >> 16),
        )  # fmt: skip
        return replace(message, **changes)

    async def accept(self, **changes: object) -> Message:
        """A message accepted as the action does it: durable when this returns."""
        message = self.message(**changes)
        await self.store.record([born(message, self.clock.now_ms())])
        return message

    async def settle(self) -> None:
        """Wait until all that was recorded is on the disk."""
        while self.store.pending():
            await asyncio.sleep(0.001)

    def tasks(self) -> list[tuple[int, int, TaskKind, int]]:
        """What stands in the table: (record, number, kind, held)."""
        return [(row[0], row[1], TaskKind(row[2]), row[8]) for row in self.rows("task")]

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """Every row that is on the disk."""
        db = Database(self.path, readonly=True)
        try:
            return [tuple(row) for row in db._execute(f"SELECT * FROM {table}", ())]
        finally:
            db.close()

    async def close(self) -> None:
        await self.settle()
        self._holds.close()
        await self.store.close()
        self.slots.close()
        assert not self.failures

    def die(self) -> None:
        """End as a killed process does: nothing is committed any more, its files are free."""
        self._holds.close()
        self.store._reader.close()
        self.store._db.close()
        self.slots.close()


class Outlet:
    """The workers as the store sees them; it remembers what it was told."""

    def __init__(self, room: int = 1_000) -> None:
        self.free = room
        self.delivered: list[tuple[Task, Message]] = []
        self.noted: list[Task] = []
        self.forgotten: list[int] = []

    def room(self, kind: TaskKind, lane: int) -> int:
        return self.free

    def deliver(self, task: Task, message: Message) -> None:
        self.delivered.append((task, message))

    def note(self, task: Task) -> None:
        self.noted.append(task)

    def forget(self, record: int) -> None:
        self.forgotten.append(record)


def play(directory: Path, scene: Callable[[Rig], Awaitable[None]]) -> None:
    """Run `scene` with a fresh rig, in virtual time, and close it."""

    async def main() -> None:
        rig = Rig(directory)
        await scene(rig)
        await rig.close()

    simloop.run(main())


def kinds(tasks: Sequence[tuple[int, int, TaskKind, int]]) -> list[TaskKind]:
    return sorted(kind for _, _, kind, _ in tasks)
