"""The simulated phone network: screens, receipts, behaviours, and a life beyond ours."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from hushwire import faults
from hushwire.carriers import simulator
from hushwire.carriers.base import Accepted, Carrier, NotNow, Outcome, Receipt, Submission
from hushwire.carriers.simulator import Simulator
from hushwire.clock import Clock
from hushwire.errors import Defect
from hushwire.private import Private

START_MS = 1_772_366_399_900  # 2026-03-01T11:59:59.900Z
ALICE, BOB = Private("+15550000001"), Private("+15550000002")
SENDER = Private("+15559999999")


def text(reference: int, to: Private = ALICE, body: str = "hello") -> Submission:
    return Submission(
        reference=reference, from_=SENDER, to=to, body=Private(body), segments=1,
        sid=f"SM{reference:032x}",
    )  # fmt: skip


class World:
    """A network, the clock it follows, and what it reported, call by call."""

    def __init__(self, log_path: Path | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(read=lambda: START_MS)
        self.network = Simulator(self.clock, log_path)
        self.outcomes: list[list[tuple[Submission, Outcome]]] = []
        self.receipts: list[list[Receipt]] = []
        self.network.start(
            lambda batch: self.outcomes.append(list(batch)),
            lambda batch: self.receipts.append(list(batch)),
        )

    async def pass_ms(self, ms: int = 0) -> None:
        for turn in range(8):
            if turn == 3:  # what was submitted before has its outcome by now
                self.clock.advance(ms)
            await asyncio.sleep(0)

    async def crash(self, log_path: Path) -> "World":
        """The process dies without a word; another one starts on the same file and clock."""
        self.network._alarm.cancel()
        return World(log_path, self.clock)


def run(play: Callable[[World], Awaitable[None]], log_path: Path | None = None) -> None:
    async def main() -> None:
        world = World(log_path)
        await play(world)
        await world.network.stop()

    asyncio.run(main())


def references(receipts: Sequence[Sequence[Receipt]]) -> list[int | None]:
    return [receipt.reference for call in receipts for receipt in call]


def test_it_is_a_carrier() -> None:
    network: Carrier = Simulator(Clock(), None, window=7)
    assert (network.name, network.window) == ("simulator", 7)
    with pytest.raises(Defect):
        network.submit([text(1)])


def test_outcomes_of_a_tick_come_in_one_call_at_its_end() -> None:
    async def play(world: World) -> None:
        world.network.submit([text(1), text(2)])
        world.network.submit([text(3)])
        assert world.outcomes == []
        assert world.network.busy() == 3
        await world.pass_ms()
        assert world.network.busy() == 0
        (batch,) = world.outcomes
        assert [s.reference for s, _ in batch] == [1, 2, 3]
        refs = [o.carrier_ref for _, o in batch if isinstance(o, Accepted)]
        assert len(set(refs)) == 3

    run(play)


def test_receipts_come_together_when_due_and_echo_our_reference() -> None:
    async def play(world: World) -> None:
        world.network.submit([text(1), text(2)])
        await world.pass_ms(199)
        assert world.receipts == []
        world.clock.offset_ms += 1  # before the alarm had a chance to ring
        assert world.network.busy() == 2
        await world.pass_ms()
        (call,) = world.receipts
        outcomes = {s.reference: o for s, o in world.outcomes[0]}
        for receipt in call:
            assert receipt.reference is not None
            assert outcomes[receipt.reference] == Accepted(receipt.carrier_ref)
            assert receipt.delivered
            assert receipt.error_code is None
            assert receipt.done_date == "2603011200"  # 100 ms past noon, UTC

    run(play)


def test_receipts_after_a_jump_are_in_due_order() -> None:
    async def play(world: World) -> None:
        world.network.behave(BOB, "slow")
        world.network.submit([text(1, BOB)])
        await world.pass_ms(10)
        world.network.submit([text(2)])
        await world.pass_ms(10)
        world.network.submit([text(3)])
        await world.pass_ms(3_600_000)
        assert references(world.receipts) == [2, 3, 1]
        assert len(world.receipts) == 1

    run(play)


@pytest.mark.parametrize(
    ("behaviour", "error_code"),
    [
        ("undeliverable", 30005),
        ("unreachable", 30003),
        ("blocked", 30004),
        ("landline", 30006),
        ("filtered", 30007),
    ],
)
def test_a_phone_that_is_not_reached_shows_nothing(behaviour: str, error_code: int) -> None:
    async def play(world: World) -> None:
        world.network.behave(ALICE, behaviour)
        world.network.submit([text(1), text(2, BOB)])
        await world.pass_ms(200)
        assert world.network.screen(ALICE) == []
        assert len(world.network.screen(BOB)) == 1
        bad, good = world.receipts[0]
        assert (bad.delivered, bad.error_code) == (False, error_code)
        assert (good.delivered, good.error_code) == (True, None)

        world.network.behave(ALICE, "deliver")
        world.network.submit([text(3)])
        await world.pass_ms(200)
        assert len(world.network.screen(ALICE)) == 1

    run(play)


def test_a_phone_whose_carrier_takes_no_short_codes() -> None:
    async def play(world: World) -> None:
        world.network.behave(ALICE, "no_short_codes")
        short = structs.replace(text(1), from_=Private("12345"))
        world.network.submit([short, text(2), structs.replace(short, reference=3, to=BOB)])
        await world.pass_ms(200)
        refused, number, other = world.receipts[0]
        assert (refused.delivered, refused.error_code) == (False, 30005)
        assert (number.delivered, other.delivered) == (True, True)
        assert [m.reference for m in world.network.screen(ALICE)] == [2]

    run(play)


def test_a_slow_phone_reports_after_thirty_seconds() -> None:
    async def play(world: World) -> None:
        world.network.behave(ALICE, "slow")
        world.network.submit([text(1)])
        await world.pass_ms()
        await world.pass_ms(29_999)
        assert len(world.network.screen(ALICE)) == 1
        assert world.receipts == []
        await world.pass_ms(1)
        assert world.receipts[0][0].delivered

    run(play)


def test_a_silent_phone_never_reports(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        world.network.behave(ALICE, "silent")
        world.network.submit([text(1)])
        await world.pass_ms()
        assert isinstance(world.outcomes[0][0][1], Accepted)
        assert len(world.network.screen(ALICE)) == 1
        assert world.clock.next_due_ms() is None
        again = await world.crash(tmp_path / "network.log")
        await again.pass_ms(400 * 86_400_000)
        assert world.receipts == again.receipts == []

    run(play, tmp_path / "network.log")


def test_an_unknown_behaviour_changes_nothing() -> None:
    async def play(world: World) -> None:
        world.network.behave(ALICE, "blocked")
        with pytest.raises(ValueError):
            world.network.behave(ALICE, "explode")
        world.network.submit([text(1)])
        await world.pass_ms(200)
        assert world.receipts[0][0].error_code == 30004

    run(play)


def test_the_screen_shows_the_last_200_newest_first() -> None:
    async def play(world: World) -> None:
        for n in range(203):
            world.network.submit([text(n, body=f"text {n}")])
            await world.pass_ms(1)
        screen = world.network.screen(ALICE)
        assert [m.body.reveal() for m in screen] == [f"text {n}" for n in range(202, 2, -1)]
        newest = screen[0]
        assert (newest.sid, newest.reference) == (f"SM{202:032x}", 202)
        assert (newest.from_, newest.to, newest.media_urls) == (SENDER, ALICE, ())
        assert newest.received_ms >= START_MS + 202
        assert "text" not in repr(newest)
        world.network.clear(ALICE)
        assert world.network.screen(ALICE) == []
        world.network.clear(BOB)  # nothing there: nothing happens

    run(play)


def test_the_least_recently_used_phone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "PHONES_MAX", 2)
    carol = Private("+15550000003")

    async def play(world: World) -> None:
        world.network.submit([text(1, ALICE), text(2, BOB), text(3, ALICE), text(4, carol)])
        await world.pass_ms()
        assert world.network.screen(BOB) == []
        assert len(world.network.screen(ALICE)) == 2
        assert len(world.network.screen(carol)) == 1
        for phone in (ALICE, BOB, carol):
            world.network.behave(phone, "blocked")
        world.network.submit([text(5, ALICE), text(6, BOB), text(7, carol)])
        await world.pass_ms(1000)
        codes = {r.reference: r.error_code for r in world.receipts[0]}
        assert [codes[n] for n in (5, 6, 7)] == [None, 30004, 30004]

    run(play)


def test_what_was_accepted_is_reported_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "network.log"

    async def play(world: World) -> None:
        world.network.behave(BOB, "landline")
        world.network.submit([text(1), text(2, BOB)])
        await world.pass_ms()
        first = [o for _, o in world.outcomes[0]]
        again = await world.crash(path)
        await again.pass_ms(3_600_000)
        (call,) = again.receipts
        assert [Accepted(r.carrier_ref) for r in call] == first
        assert [(r.reference, r.error_code) for r in call] == [(1, None), (2, 30006)]
        assert again.network.screen(ALICE) == []  # screens are memory

        again.network.submit([text(3)])
        await again.pass_ms()
        assert again.outcomes[0][0][1] not in first  # references stay unique

    run(play, path)


def test_it_is_logged_before_the_outcome_and_without_number_or_text(tmp_path: Path) -> None:
    path = tmp_path / "network.log"
    at_fault: list[tuple[int, int]] = []

    async def play(world: World) -> None:
        def look(point: str) -> None:
            if point == "network.accepted":
                at_fault.append((path.read_bytes().count(b"accepted"), len(world.outcomes)))

        faults.arm(look)
        world.network.submit([text(1, body="canary"), text(2, BOB, body="canary")])
        await world.pass_ms(200)
        await world.pass_ms(6_000)

    try:
        run(play, path)
    finally:
        faults.arm(None)
    assert at_fault == [(2, 0)]
    for secret in (b"canary", b"1555", b"SM"):
        assert secret not in path.read_bytes()


def test_a_receipt_lost_with_us_is_reported_again_but_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "network.log"

    async def play(world: World) -> None:
        for n in (1, 2):
            world.network.submit([text(n)])
            await world.pass_ms(200)
        assert references(world.receipts) == [1, 2]
        # The receiver may not have committed them yet.
        again = await world.crash(path)
        await again.pass_ms()
        assert references(again.receipts) == [1, 2]
        # By the next receipt, seconds later, it has.
        again.network.submit([text(3)])
        await again.pass_ms()
        await again.pass_ms(6_000)
        third = await again.crash(path)
        await third.pass_ms()
        assert references(third.receipts) == [3]

    run(play, path)


def test_a_full_disk_means_not_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            world.network.submit([text(1)])
            await world.pass_ms()
        assert isinstance(world.outcomes[0][0][1], NotNow)
        assert world.network.screen(ALICE) == []
        await world.pass_ms(60_000)
        assert world.receipts == []
        world.network.submit([text(1)])
        await world.pass_ms(200)
        assert references(world.receipts) == [1]

    run(play, tmp_path / "network.log")


def test_stop_reports_the_open_outcomes() -> None:
    async def main() -> None:
        world = World()
        world.network.submit([text(1)])
        await world.network.stop()
        assert len(world.outcomes) == 1
        assert world.clock.next_due_ms() is None
        await world.pass_ms(1000)
        assert len(world.outcomes) == 1
        assert world.receipts == []

    asyncio.run(main())
