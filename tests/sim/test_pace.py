"""A paced sender keeps its rate, through restarts, late claims and outages of the network."""

import errno
import io
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw
import pytest

from hushwire.actions.messages import SendMessage
from hushwire.carriers.base import Submission
from hushwire.clock import SeededEntropy
from hushwire.domain.magic import FROM_OK
from hushwire.domain.message import Status
from hushwire.errors import Refusal
from hushwire.observe import Journal
from hushwire.private import Private
from hushwire.settings import Settings
from hushwire.testing.simloop import SimLoop, clock_of
from sim.world import START_MS, Endpoints, MortalServer, copy_of, first_start

SEGMENT = "x" * 153  # each but a single one of 160


@pytest.fixture(scope="module")
def first() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        first_start(Path(name) / "first")
        yield Path(name) / "first"


@pytest.fixture
def make(first: Path, tmp_path: Path) -> Iterator["Make"]:
    """Makes the street of a test, and leaves it."""
    made: list[Street] = []

    def street(mps: float | None, memory: int = 10_000) -> Street:
        made.append(Street(copy_of(first, tmp_path / "data"), mps, memory))
        made[0].start()
        return made[0]

    yield street
    made[0].loop.abandon()


class Street:
    """A server with one sender at `mps`, and what it put on the wire."""

    def __init__(self, directory: Path, mps: float | None, memory: int) -> None:
        self.data = directory
        db = apsw.Connection(str(directory / "hushwire.db"))
        db.execute("UPDATE number SET mps = ?", (mps,))
        db.close()
        self.settings = Settings(
            data=directory, vault_slots_per_file=1024, disk_reserve_mb=0, dispatch_memory=memory
        )
        self.loop = SimLoop()
        self.sent: list[tuple[int, int]] = []  # ms since the start, segments
        self.lives = 0
        self.outage = False

    def now_ms(self) -> int:
        return round(self.loop.time() * 1000)

    def start(self) -> None:
        self.lives += 1
        self.server = MortalServer(
            self.settings, Journal(io.StringIO()), clock=clock_of(self.loop, START_MS),
            entropy=SeededEntropy(self.lives), client=Endpoints(random.Random(0), self.now_ms),
            threaded=False,
        )  # fmt: skip
        self.loop.run_until_complete(self.server.open())
        network = self.server.network
        submit, accepted = network.submit, network._log.accepted

        def watched(batch: Sequence[Submission]) -> None:
            self.sent.extend((self.now_ms(), submission.segments) for submission in batch)
            submit(batch)

        def unless_down(batch: object) -> None:
            if self.outage:
                raise OSError(errno.ENOSPC, "the network says: not now")
            accepted(batch)  # type: ignore[arg-type]

        network.submit = watched  # type: ignore[method-assign]
        network._log.accepted = unless_down  # type: ignore[method-assign]

    def send(self, segments: int = 1) -> str:
        wanted = SendMessage(
            to=Private("+14155550101"), from_=Private(FROM_OK), body=Private(SEGMENT * segments)
        )

        async def send() -> str:
            message, durable = self.server.messages.send(self.server.account, wanted)
            assert message.segments == segments
            await durable
            return message.sid

        return self.loop.run_until_complete(send())

    def wait(self, seconds: float) -> None:
        async def nothing() -> None:
            self.loop.call_later(seconds, done.set_result, None)
            await done

        done = self.loop.create_future()
        self.loop.run_until_complete(nothing())

    def stop(self) -> None:
        self.loop.run_until_complete(self.server.close())
        self.loop.abandon()
        self.loop = SimLoop(self.loop.time())

    def statuses(self, sids: list[str]) -> set[Status]:
        found = [self.server.store.find(1, sid) for sid in sids]
        return {message.status for message in found if message is not None}


Make = Callable[..., Street]


def keeps_its_rate(sent: list[tuple[int, int]], mps: float) -> bool:
    """In any window no more than the rate times its length, and one message."""
    for i, (from_ms, _) in enumerate(sent):
        gone = 0
        for (_, segments), (at_ms, _) in zip(sent[i:], sent[i + 1 :], strict=False):
            gone += segments
            if gone * 1000 / mps > at_ms - from_ms + 1:  # whole milliseconds
                return False
    return True


def a_day(street: Street, rng: random.Random, *, restarts: bool) -> list[str]:
    """Bursts and pauses, outages, restarts; then time enough for all that waits."""
    sids: list[str] = []
    for _ in range(25):
        for _ in range(rng.choice((0, 1, 1, 2, 6))):
            sids.append(street.send(1 if restarts else rng.randint(1, 4)))
        street.wait(rng.choice((0, 0.01, 0.5, 3, 20)))
        if rng.random() < 0.2:
            street.outage = not street.outage
        if restarts and rng.random() < 0.3:
            street.stop()
            street.loop = SimLoop(street.loop.time() + rng.choice((0, 0.2, 5, 600)))
            street.start()
    street.outage = False
    street.wait(3_000)
    return sids


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_a_sender_never_exceeds_its_rate(make: Make, seed: int, restarts: bool) -> None:
    rng = random.Random(seed)
    mps = rng.choice((0.5, 1, 3.3, 20, 100))
    street = make(mps, memory=rng.choice((3, 10_000)))
    sids = a_day(street, rng, restarts=restarts)
    assert keeps_its_rate(street.sent, mps), street.sent
    assert street.statuses(sids) == {Status.DELIVERED}  # and every message had its turn
    street.stop()


@pytest.mark.parametrize("mps", [0.5, 7, 100])
def test_a_sender_uses_its_rate(make: Make, mps: float) -> None:
    street = make(mps)
    sids = [street.send() for _ in range(250)]
    street.wait(255 / mps + 0.3)  # the last receipt comes 0.2 s later
    assert street.statuses(sids) == {Status.DELIVERED}
    assert keeps_its_rate(street.sent, mps)
    street.stop()


def test_a_queue_of_ten_hours_is_full_and_a_restart_does_not_empty_it(make: Make) -> None:
    """21611, as Twilio documents it."""
    street = make(0.001)  # one in 1,000 s
    for _ in range(37):
        street.send()
    for _ in range(2):
        with pytest.raises(Refusal) as refused:
            street.send()
        assert refused.value.problem.code == 21611
        street.stop()
        street.start()
    street.wait(2_000)
    street.send()
    street.stop()


def test_what_cannot_have_its_turn_in_time_expires_in_time(make: Make) -> None:
    """An outage of five hours on a queue of eight: the first ones go, the last fail (30036)."""
    street = make(0.01)  # one in 100 s
    sids = [street.send() for _ in range(288)]
    street.stop()
    street.loop = SimLoop(5 * 3_600)
    street.start()
    street.wait(10 * 3_600)
    assert keeps_its_rate(street.sent, 0.01)
    assert street.statuses(sids) == {Status.DELIVERED, Status.FAILED}
    assert 178 <= len(street.sent) <= 181
    found = [street.server.store.find(1, sid) for sid in sids]
    late_ms = [m.updated_ms - m.expires_ms for m in found if m and m.status is Status.FAILED]
    assert max(late_ms) < 100
    street.stop()


def test_an_unpaced_sender_waits_for_nothing(make: Make) -> None:
    street = make(None)
    sids = [street.send() for _ in range(200)]
    street.wait(1)
    assert street.statuses(sids) == {Status.DELIVERED}
    assert len(street.sent) == 200
    assert max(at_ms for at_ms, _ in street.sent) < 50
    street.stop()
