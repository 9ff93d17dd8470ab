"""Writes the generated parts of the reference, or tells which are stale.

    python tools/docs.py              fill them in (`make docs`)
    python tools/docs.py --check      exit 1 and name the cure when a page would change

Pages are written by hand around blocks that are filled from the code:

    <!-- generated: settings -->
    …
    <!-- end -->

`openapi.json` and `actions-openapi.json` beside them are made as a whole, and so are the pictures
of docs/explanation.
"""

import argparse
import difflib
import re
import sys
from pathlib import Path

import docs_actions
import openapi
import timelines
from docs_blocks import BLOCKS as OTHER_BLOCKS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
BLOCKS = {**OTHER_BLOCKS, **docs_actions.BLOCKS}
_BLOCK = re.compile(r"<!-- generated: ([a-z -]+) -->\n(.*?)<!-- end -->\n", re.DOTALL)


class Broken(Exception):
    """A page and the blocks do not fit together. The text says where."""


def fill(name: str, text: str) -> tuple[str, set[str]]:
    """The page with all its blocks filled in, and which blocks it has. Raises Broken."""
    used: set[str] = set()

    def block(found: re.Match[str]) -> str:
        if found[1] not in BLOCKS:
            raise Broken(f"{name}: no block is called {found[1]!r}; tools/docs_blocks.py has them")
        used.add(found[1])
        return f"<!-- generated: {found[1]} -->\n\n{BLOCKS[found[1]]()}\n\n<!-- end -->\n"

    filled = _BLOCK.sub(block, text)
    if len(_BLOCK.findall(text)) != text.count("<!-- generated:"):
        raise Broken(f"{name}: a block has no <!-- end -->")
    return filled, used


def _put(path: Path, before: str, after: str, *, check: bool) -> None:
    """Write what changed, or show it."""
    if check:
        lines = before.splitlines(), after.splitlines()
        print(*difflib.unified_diff(*lines, path.name, "generated", lineterm="", n=0), sep="\n")
    else:
        path.write_text(after, encoding="utf-8")
        print(f"wrote {path.name}")


def main() -> int:
    given = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given.add_argument("--check", action="store_true", help="change nothing; exit 1 when stale")
    given.add_argument("--pages", type=Path, default=PAGES, help="directory of the pages")
    arguments = given.parse_args()
    stale: list[str] = []
    used: set[str] = set()
    texts: list[tuple[Path, str, str]] = []  # of each file: as it is, as it should be
    for path in sorted(arguments.pages.glob("*.md")):
        before = path.read_text(encoding="utf-8")
        after, here = fill(path.name, before)
        used |= here
        texts.append((path, before, after))
    for name, text in (
        (openapi.NAME, openapi.text()), (docs_actions.OPENAPI, docs_actions.openapi_text()),
    ):  # fmt: skip
        path = arguments.pages / name
        texts.append((path, path.read_text("utf-8") if path.exists() else "", text))
    texts += timelines.texts()
    for path, before, after in texts:
        if after != before:
            stale.append(path.name)
            _put(path, before, after, check=arguments.check)
    if used != BLOCKS.keys():
        raise Broken(f"on no page: {', '.join(sorted(BLOCKS.keys() - used))}")
    if stale and arguments.check:
        print(f"the reference is stale ({', '.join(stale)}): run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as error:
        sys.exit(str(error))
