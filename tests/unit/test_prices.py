"""Prices: set once, by whatever says first that the carrier took the message."""

import asyncio
from pathlib import Path

from hushwire.actions.prices import Prices
from hushwire.carriers.base import Accepted, NotNow, Outcome, Receipt, Submission
from hushwire.dispatch.receive import Receiver
from hushwire.dispatch.submit import Dispatcher
from hushwire.dispatch.wire_log import WireLog
from hushwire.domain.extras import Extras
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.rates import read_rates
from hushwire.domain.task import Task, TaskKind
from hushwire.private import Private
from hushwire.store.records import Records
from rig import BOB, Rig, play

TABLE = read_rates(
    "destination,sender,direction,unit,price,currency\n"
    "US,*,outbound,segment,0.0075,USD\n"
    "US,short_code,outbound,segment,0.02,USD\n"
    "US,*,outbound,message,0.01,USD\n"
    "US,*,inbound,segment,0.001,USD\n"
    "GB,alphanumeric,outbound,segment,0.04,USD\n"
)


class Wire:
    """A carrier that keeps what it is given."""

    name, window = "wire", 100

    def __init__(self) -> None:
        self.open: list[Submission] = []

    def submit(self, batch: list[Submission]) -> None:
        self.open.extend(batch)


class Desk:
    """A dispatcher and a receiver that know prices."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self.rig = rig
        self.records = Records(rig.store)
        self.prices = Prices(TABLE, self.records.usage)
        self.log = WireLog(directory)
        self.log.start()
        self.wire = Wire()
        self.dispatcher = Dispatcher(
            rig.store, self.wire, rig.clock, self.log, rig.metrics, memory=10,  # type: ignore[arg-type]
            pace_ms=lambda message: 0.0, drained=lambda kind, lane: None, prices=self.prices,
        )  # fmt: skip
        self.receiver = Receiver(rig.store, rig.clock, rig.metrics, prices=self.prices)

    async def on_wire(self, **changes: object) -> Message:
        message = await self.rig.accept(callback=None, **changes)
        self.dispatcher.feed(Task(message.key, 0, TaskKind.SUBMIT, 0, 0), message)
        await asyncio.sleep(1)
        return message

    def answer(self, outcome: Outcome) -> None:
        batch, self.wire.open = self.wire.open, []
        self.dispatcher.outcomes([(submission, outcome) for submission in batch])

    def receipt(self, message: Message) -> None:
        self.receiver.receipts([Receipt("ref", message.key, True, None, "2603011200")])

    def now(self, message: Message) -> Message:
        (found,) = self.rig.store.load([message.key]).values()
        return found

    def spent(self) -> int:
        return sum(used.price for used in self.records.usage.between(1, 0, 99_999))

    def close(self) -> None:
        self.log.close()
        self.records.close()


def test_the_carrier_took_it(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        desk = Desk(rig, tmp_path)
        message = await desk.on_wire(segments=2)
        assert desk.now(message).price is None
        desk.answer(Accepted("ref"))
        await rig.settle()
        assert (desk.now(message).status, desk.now(message).price) == (Status.SENT, 1_500)
        assert desk.spent() == 1_500
        desk.receipt(message)
        await rig.settle()
        assert (desk.now(message).price, desk.spent()) == (1_500, 1_500), "once"
        desk.close()

    play(tmp_path, scene)


def test_its_receipt_came_first(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        desk = Desk(rig, tmp_path)
        message = await desk.on_wire()
        desk.receipt(message)
        desk.answer(Accepted("ref"))
        await rig.settle()
        assert (desk.now(message).status, desk.now(message).price) == (Status.DELIVERED, 750)
        assert desk.spent() == 750
        desk.close()

    play(tmp_path, scene)


def test_what_is_put_off_costs_nothing_yet(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        desk = Desk(rig, tmp_path)
        message = await desk.on_wire()
        desk.answer(NotNow(60))
        await rig.settle()
        assert (desk.now(message).price, desk.spent()) == (None, 0)
        desk.close()

    play(tmp_path, scene)


def test_what_each_costs(tmp_path: Path) -> None:
    """By kind of sender, direction and media; None where the table says nothing."""

    async def scene(rig: Rig) -> None:
        desk = Desk(rig, tmp_path)
        for price, changes in (
            (750, {}),
            (2_000, {"from_": Private("72345")}),
            (1_000, {"media": 1, "segments": 3}),
            (4_000, {"from_": Private("ACME"), "to": Private("+447700900123")}),
            (None, {"to": Private("+393331234567")}),
            (100, {"direction": Direction.INBOUND, "from_": Private(BOB), "to": Private(BOB)}),
        ):
            message = rig.message(**changes)
            assert desk.prices.of(message) == price
        for limit, over in (("0.0074", True), ("0.0075", False)):
            extras = Extras(max_price=limit).sealed()
            assert desk.prices.exceeds_limit(rig.message(extras=extras)) is over
        assert not desk.prices.exceeds_limit(rig.message(extras=Extras(tags="{}").sealed()))
        desk.close()

    play(tmp_path, scene)
