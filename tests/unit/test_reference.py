"""The reference is what the code says: its generated parts are fresh, and staleness shows."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hushwire.cli.main import COMMANDS
from hushwire.domain.message import TABLE, Status
from hushwire.errors import DELIVERY_TEXTS, PROBLEMS
from hushwire.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"


def docs(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "docs.py", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PAGES, tmp_path / "reference"))


def test_the_reference_is_fresh() -> None:
    found = docs("--check")
    assert found.returncode == 0, f"{found.stdout}{found.stderr}"


def test_a_stale_page_is_named_with_the_cure_and_put_right(pages: Path) -> None:
    page = pages / "settings.md"
    fresh = page.read_text()
    page.write_text(fresh.replace("| `port` |", "| `prot` |"))
    stale = page.read_text()
    assert stale != fresh
    found = docs("--check", "--pages", pages)
    assert found.returncode == 1
    assert "settings.md" in found.stderr
    assert "make docs" in found.stderr
    assert page.read_text() == stale  # a check changes nothing
    assert docs("--pages", pages).returncode == 0
    assert page.read_text() == fresh


def test_what_is_written_by_hand_stays(pages: Path) -> None:
    page = pages / "metrics.md"
    page.write_text(f"{page.read_text()}\nA line of mine.\n")
    assert docs("--check", "--pages", pages).returncode == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<!-- generated: metrics -->", "<!-- generated: matrix -->"),
        ("<!-- generated: metrics -->", ""),
        ("<!-- end -->", ""),
    ],
)
def test_a_page_that_lost_its_block_is_an_error(pages: Path, old: str, new: str) -> None:
    page = pages / "metrics.md"
    page.write_text(page.read_text().replace(old, new))
    assert docs("--check", "--pages", pages).returncode == 1


def test_the_makefile_has_the_cure() -> None:
    assert "\ndocs: dev\n" in (ROOT / "Makefile").read_text()


def test_every_setting_command_error_and_status_has_its_line() -> None:
    def page(name: str) -> str:
        return (PAGES / name).read_text()

    assert all(f"\n| `{name}` |" in page("settings.md") for name in Settings.__struct_fields__)
    assert all(f"\n## hushwire {name}\n" in page("cli.md") for name in COMMANDS)
    lines = page("errors.md").splitlines()
    for problem in PROBLEMS.values():
        assert any(
            line.startswith(f"| {problem.code} | {problem.status} | `") and problem.message in line
            for line in lines
        )
    assert all(f"| {code} | {text} |" in page("errors.md") for code, text in DELIVERY_TEXTS.items())
    assert all(f"\n| `{status}` |" in page("messages.md") for status in Status)
    for before, facts in TABLE.items():
        for fact, after in facts.items():
            assert any(
                line.strip().startswith(f"{before} --> {after}: ") and fact in line
                for line in page("messages.md").splitlines()
            )


def test_only_what_can_be_answered_now_is_marked_so() -> None:
    lines = (PAGES / "errors.md").read_text().splitlines()
    marked = {line.split(" | ")[0] for line in lines if line.endswith("| now |")}
    assert {"| 20009", "| 21211", "| 20404", "| 30003"} <= marked
    assert "| 20426" not in marked
