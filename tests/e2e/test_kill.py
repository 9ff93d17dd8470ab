"""`kill -9` of the real process under load: nothing accepted is lost, nothing goes out twice.

The clients note each SID that was answered 201. The phone network notes what reached it, the
customer's endpoint what it was told; a checker that shares no code with the server compares
the three with what is left on the disk.
"""

import os
from pathlib import Path

import pytest
from deaths import Story

SEED = int(os.environ.get("TORTURE_SEED", "1"))
MANY = int(os.environ.get("TORTURE_KILLS", "300"))


def test_thirty_kills_lose_nothing_and_double_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _kill(tmp_path / "data", 30, SEED, capsys)


@pytest.mark.torture
@pytest.mark.timeout(60 + 5 * MANY)
def test_hundreds_of_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for lap in range(-(-MANY // 50)):  # a directory each: checking stays quick, seeds differ
        _kill(tmp_path / f"data{lap}", min(50, MANY - 50 * lap), SEED + lap, capsys)


def _kill(data: Path, kills: int, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with Story(data, seed) as story:
        for _ in range(kills):
            story.kill_soon()
        found = story.end()
    with capsys.disabled():
        print(f"\n  {found.line(story.deaths)} ", end="")
    assert story.deaths == kills
    assert found.messages > 10 * kills, "the load was too small to prove anything"
