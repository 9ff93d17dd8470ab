"""Deactivations: the operator's list of a day, by a link that lasts two minutes."""

from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.actions.deactivations import LINK_MS, Deactivations
from hushwire.clock import Clock, SeededEntropy
from hushwire.errors import Refusal

NOW = 1_772_366_399_900  # 2026-03-01T11:59:59.900Z


class Hands:
    now_ms = NOW


def made(directory: Path, seed: int = 1) -> tuple[Deactivations, Hands]:
    hands = Hands()
    directory.mkdir(exist_ok=True)
    clock = Clock(read=lambda: hands.now_ms)
    return Deactivations(directory, clock, SeededEntropy(seed)), hands


def test_a_link_leads_to_the_list_for_two_minutes(tmp_path: Path) -> None:
    lists, hands = made(tmp_path)
    (tmp_path / "2026-02-27.csv").write_text("+14155550101\n")
    link = lists.link("2026-02-27")
    assert lists.open(link) == tmp_path / "2026-02-27.csv"
    for other in (
        replace(link, day="2026-02-26"), replace(link, expires_ms=link.expires_ms + 1),
        replace(link, signature="0" * 64), replace(link, signature="ü"),
    ):  # fmt: skip
        assert lists.open(other) is None
    assert made(tmp_path, seed=2)[0].open(link) is None, "of another process"
    hands.now_ms = NOW + LINK_MS
    assert lists.open(link) is not None
    hands.now_ms += 1
    assert lists.open(link) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [("2026-03-01", 30114), ("2027-01-01", 30114), ("2026-02-28", 30114), ("2026-02-25", 30113),
     ("2020-01-01", 30113), ("", 30115), ("20260227", 30115), ("2026-02-30", 30115),
     ("../lists/x", 30115), ("2026-W09-5", 30115)],
)  # fmt: skip
def test_days_without_a_list(tmp_path: Path, text: str, code: int) -> None:
    lists, _ = made(tmp_path)
    for day in (date(2026, 2, 26), date(2026, 2, 27)):
        (tmp_path / f"{day}.csv").touch()
    (tmp_path / "notes.csv").touch()
    with pytest.raises(Refusal) as refused:
        lists.link(text)
    assert refused.value.problem.code == code


def test_there_may_be_no_directory(tmp_path: Path) -> None:
    lists = Deactivations(tmp_path / "none", Clock(read=lambda: NOW), SeededEntropy(1))
    with pytest.raises(Refusal):
        lists.link("2026-02-27")
