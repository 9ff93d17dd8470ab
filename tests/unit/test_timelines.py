"""The pictures of what is held until when: fresh, whole, and of what the server really does."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from hushwire.domain.holds import HOLDS, holds
from hushwire.domain.privacy import Windows

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "what-it-forgets.md"
PICTURES = PAGE.parent / "pictures"
SVG = "{http://www.w3.org/2000/svg}"
# What these accounts do not use: what is kept longer than redaction asks, and minimums.
NOT_DRAWN = {"retain_content", "retain_address", "retain_media", "mtl_content", "mtl_address"}


@pytest.fixture
def timelines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import timelines

    return timelines


def test_the_pictures_are_fresh(timelines: ModuleType) -> None:
    drawn = timelines.pictures()
    assert {path.name for path in PICTURES.iterdir()} == drawn.keys()
    stale = [name for name, text in drawn.items() if (PICTURES / name).read_text() != text]
    assert stale == [], "run `make docs`"


def test_make_docs_names_a_stale_picture(timelines: ModuleType, tmp_path: Path) -> None:
    (path, before, after) = timelines.texts()[0]
    assert (path.parent, before) == (PICTURES, after)
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); sys.argv[1:] = ['--check']\n"
        f"import pathlib, timelines; timelines.PICTURES = pathlib.Path({str(tmp_path)!r})\n"
        "import docs; sys.exit(docs.main())"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert path.name in found.stderr
    assert list(tmp_path.iterdir()) == []  # a check changes nothing


def test_every_picture_is_on_the_page_with_words_for_who_does_not_see_it() -> None:
    page = PAGE.read_text()
    for path in PICTURES.iterdir():
        picture = ElementTree.parse(path).getroot()
        title, description = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
        assert title is not None
        assert description is not None
        assert "forgotten after" in (description.text or "")
        assert f"](pictures/{path.name})" in page
    shown = [
        (path, target)
        for path in (ROOT / "README.md", PAGE)
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", path.read_text())
        if alt
    ]
    assert len(shown) == len(list(PICTURES.iterdir())) + 1
    assert all((path.parent / target).is_file() for path, target in shown)


def test_every_hold_is_in_a_picture(timelines: ModuleType) -> None:
    played = [timelines.play(story) for story in timelines.stories(Windows())]
    drawn = {bar.name for timeline in played for bar in timeline.bars}
    assert drawn == HOLDS.keys() - NOT_DRAWN


def test_a_part_is_there_as_long_as_a_hold_keeps_it(timelines: ModuleType) -> None:
    """What is drawn is what `holds` says: bars without gaps, up to the end of each part."""
    for story in timelines.stories(Windows()):
        timeline = timelines.play(story)
        for part, gone_ms in timeline.destroyed_ms.items():
            spans = [s for bar in timeline.bars for s in bar.spans if s.part == part]
            reached = min(span.from_ms for span in spans)
            for span in sorted(spans, key=lambda span: span.from_ms):
                assert span.from_ms <= reached, (story.name, part)
                reached = max(reached, span.until_ms)
            assert reached == gone_ms, (story.name, part)


def test_other_windows_draw_other_pictures(timelines: ModuleType) -> None:
    """A hold that lasts longer, or a rule that is gone, cannot stay unseen."""
    hour = replace(Windows(), recovery=3_600)
    story = next(iter(timelines.stories(hour)))
    assert timelines.play(story, hour).gone_ms == {"content": 3_602_000, "address": 3_602_000}
    before, after = timelines.pictures(), timelines.pictures(hour)
    changed = {name for name in before if before[name] != after[name]}
    assert "outbound-sms.svg" in changed
    assert "inbound-taken.svg" not in changed


def test_the_defaults_are_those_of_the_guide(timelines: ModuleType) -> None:
    """R6, R8, R10, R16, R17, R18, R20, R22: as drawn, in hours after it was accepted."""
    played = {s.name: timelines.play(s) for s in timelines.stories(Windows())}
    gone = {
        name: {part: round(ms / 3_600_000, 2) for part, ms in timeline.gone_ms.items()}
        for name, timeline in played.items()
    }
    assert gone["outbound-sms"] == {"content": 6, "address": 6}
    assert gone["outbound-mms"]["media"] == 0.25
    assert gone["outbound-link"]["media"] == 7 * 24
    assert gone["inbound-taken"] == {"content": 0, "address": 0}
    assert gone["inbound-untaken"] == {"content": 6, "address": 6}
    assert gone["inbound-mms"]["media"] == 24
    assert gone["whatsapp"] == {"content": 7 * 24, "address": 7 * 24, "session": 24}
    (queue,) = (bar for bar in played["outbound-sms"].bars if bar.name == "queue")
    assert queue.cap_ms == 4 * 3_600_000
    custody = played["legal-hold"].story.custody
    assert [hold.name for hold in holds(custody, 1 << 50)] == ["legal"]
