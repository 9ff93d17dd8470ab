"""300 seeded worlds: accept, deliver, call back, forget, with crashes at every step.

`HUSHWIRE_SEEDS=10000` lives that many worlds, `HUSHWIRE_SEEDS=52-52` the one of a failure.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.judge import Verdict, judge, judge_vault
from sim.world import World, copy_of, first_start

SEEDS = 200
GROUP = 20  # worlds a test


def seeds() -> range:
    wanted = os.environ.get("HUSHWIRE_SEEDS", str(SEEDS))
    first, dash, last = wanted.partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(wanted))


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory in memory where there is one, with `first`: what a first start makes."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as name:
        first_start(Path(name) / "first")
        yield Path(name)


def live(seed: int, place: Path) -> tuple[World, Verdict]:
    """One world from its first life to its judgement."""
    verdicts: list[Verdict] = []

    async def last_day(world: World) -> None:
        verdicts.append(await judge(world))

    world = World(seed, copy_of(place / "first", place / str(seed)))
    try:
        world.run(last_day)
        judge_vault(world)
    except BaseException as error:
        error.add_note(f"HUSHWIRE_SEEDS={seed}-{seed} shows it; crashes: {world.crashes}")
        raise
    finally:
        shutil.rmtree(world.data)
    return world, verdicts[0]


@pytest.mark.parametrize("first", seeds()[::GROUP])
def test_nothing_is_lost_doubled_or_remembered(first: int, place: Path) -> None:
    """What `judge` asks for holds in every world, wherever it crashed (K-19 on the way)."""
    for seed in range(first, min(first + GROUP, seeds().stop)):
        live(seed, place)


def test_a_world_is_its_seed(place: Path) -> None:
    """A failure comes again from its number alone."""
    one, other = (live(3, place)[0] for _ in range(2))
    assert one.crashes == other.crashes
    assert one.endpoints.attempts == other.endpoints.attempts
    assert one.asked == other.asked


def test_everything_does_happen(place: Path) -> None:
    """What is judged would mean little if no world crashed, forgot or doubted."""
    points: set[str] = set()
    total = Verdict()
    for seed in range(1_000_000, 1_000_080):
        world, verdict = live(seed, place)
        points |= {crash.partition(":")[2] for crash in world.crashes}
        for name in verdict.__struct_fields__:
            setattr(total, name, getattr(total, name) + getattr(verdict, name))
    for name in total.__struct_fields__:
        assert getattr(total, name) > 3, name
    assert {"moment", "store.committed", "store.vault_written", "vault.written"} <= points
    assert {"dispatch.marked", "dispatch.logged", "network.accepted"} & points
    assert {"endpoint.called", "endpoint.answered"} & points
