"""The documents are true: their commands run, their links lead somewhere."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs_runner import RUNNABLE, Block, Reader, Wrong, anchors, blocks, links, shows
from harness import RunningServer

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
ALL = sorted([*ROOT.glob("*.md"), *DOCS])
# `make bench` runs what this page shows, for minutes, and writes part of it.
EXEMPT = ROOT / "docs" / "reference" / "performance.md"


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _page(path: Path) -> list[Block]:
    return blocks(path.read_text())


def _has(path: Path, action: str) -> bool:
    return any(block.action.partition(" ")[0] == action for block in _page(path))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Path]:
    """A directory as the reader's: the repository's .venv, and a server on ./hushwire-data.

    Each page has its own, so that a reader may begin with any.
    """
    (tmp_path / ".venv").symlink_to(sys.prefix)
    with RunningServer(tmp_path / "hushwire-data"):
        yield tmp_path


@pytest.mark.parametrize("path", [path for path in ALL if _has(path, "run")], ids=_name)
def test_the_commands_of_a_page_do_what_it_says(path: Path, desk: Path) -> None:
    reader, lie = Reader(desk), ""
    try:
        assert reader.follow(_page(path)) > 0
    except Wrong as wrong:
        lie = str(wrong)
    finally:
        reader.leave()
    if lie:
        pytest.fail(f"{_name(path)}: {lie}", pytrace=False)


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_every_block_says_what_becomes_of_it(path: Path) -> None:
    for block in _page(path):
        where = f"{_name(path)}:{block.line}"
        if block.language not in RUNNABLE or path == EXEMPT:
            continue
        word, _, rest = block.action.partition("=")
        known = block.action == "run" or block.action.startswith("run exit=") or rest
        if not known or word.partition(" ")[0] not in ("run", "file", "norun"):
            pytest.fail(f"{where}: this block must say run, file=NAME or norun=WHY", pytrace=False)


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken: list[str] = []
    for link in links(path.read_text()):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        there = (path.parent / target).resolve() if target else path
        found = there.exists() and ROOT in (there, *there.parents)
        if not found or (anchor and anchor not in anchors(there.read_text())):
            broken.append(link)
    assert not broken, f"{_name(path)} links to {broken}"


def test_every_document_can_be_found_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    seen, ahead = set[Path](), [index]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        targets = (link.partition("#")[0] for link in links(page.read_text()) if "://" not in link)
        ahead += [(page.parent / target).resolve() for target in targets if target]
    assert [_name(path) for path in DOCS if path not in seen] == []


def test_the_runner_finds_what_is_wrong(tmp_path: Path) -> None:
    """The positive control: a page that lies fails, in each way that a page can lie."""

    def lies(page: str) -> str:
        reader = Reader(tmp_path)
        with pytest.raises(Wrong) as found:
            reader.follow(blocks(page))
        reader.leave()
        return str(found.value)

    assert "exit 3" in lies("```sh run\nexit 3\n```\n")
    assert "exit 0, not 78" in lies("```sh run exit=78\ntrue\n```\n")
    assert "line 4 shows" in lies("```sh run\necho no\n```\n```text output\nyes\n```\n")
    assert "exit 1" in lies("```python run\nassert 1 == 2\n```\n")
    assert "exit 1" in lies("```sh run\nfalse | true\n```\n")
    assert shows("a … c\n…\nlast", "a b c\nanything\nat all\nlast\n")
    assert not shows("a … c", "a b\nc")
    assert links("see [x](y.md#z) and `[a](b)`\n```sh\n[c](d)\n```\n") == ["y.md#z"]
    assert anchors("# The vault, *and* what\n## `x` & y\n") == {"the-vault-and-what", "x--y"}


def test_a_page_is_one_shell(tmp_path: Path) -> None:
    page = """
```sh run
word=first say() { echo "$word $1"; }
```
```sh run
say second
```
```text output
first second
```
```python file=p.py
print("9000".isdigit())
```
```sh run
python3 p.py
```
```text output
True
```
""".replace("word=first say", "word=first\nsay")
    reader = Reader(tmp_path)
    assert reader.follow(blocks(page)) == 3
    reader.leave()
