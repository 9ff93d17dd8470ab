"""Runs the commands that documents show, as a reader would: see CONTRIBUTING.md.

A fenced block of shell or Python says after its language what becomes of it: `run`,
`run exit=78`, `file=NAME` or `norun=WHY`. A block `text output` after it is what it prints,
with `…` for anything.
"""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

RUNNABLE = ("sh", "bash", "console", "python")
TIMEOUT_S = 30

_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=fence)[ ]*$", re.M | re.S
)
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.M)


class Block(NamedTuple):
    """One fenced block."""

    line: int
    language: str
    action: str  # what follows the language
    text: str


class Wrong(AssertionError):
    """A document says what is not so."""


def blocks(markdown: str) -> list[Block]:
    """The fenced blocks of a document, in order."""
    found: list[Block] = []
    for match in _FENCE.finditer(markdown):
        language, _, action = match["info"].strip().partition(" ")
        line = markdown.count("\n", 0, match.start()) + 1
        found.append(Block(line, language, action.strip(), match["text"]))
    return found


def links(markdown: str) -> list[str]:
    """Targets of links outside fenced blocks and code spans."""
    prose = re.sub(r"`[^`\n]*`", lambda code: "x" * len(code[0]), _FENCE.sub("", markdown))
    return _LINK.findall(prose)


def anchors(markdown: str) -> set[str]:
    """What `#…` may name: the headings, as GitHub spells them."""
    texts = (re.sub(r"[`*]", "", heading) for heading in _HEADING.findall(_FENCE.sub("", markdown)))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in texts}


def shows(expected: str, printed: str) -> bool:
    """Is `printed` what the document shows? A `…` alone on its line stands for any lines."""
    lines = []
    for line in expected.strip().splitlines():
        if line.strip() == "…":
            lines.append(r"[\s\S]*")
        else:
            lines.append(".*".join(re.escape(part) for part in re.split(r" *… *", line)))
    trimmed = "\n".join(line.rstrip() for line in printed.strip().splitlines())
    return re.fullmatch("\n".join(lines), trimmed) is not None


class Reader:
    """Somebody who follows a page in one shell, in `directory`, with nothing in the environment."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / ".shell"
        self._state.unlink(missing_ok=True)
        self._groups: list[int] = []
        self._port = str(_free_port())
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "COLUMNS": "200",
        }

    def follow(self, page: list[Block]) -> int:
        """Do what the page says, from top to bottom. Returns how many blocks were run."""
        count = 0
        for block, following in zip(page, [*page[1:], None], strict=True):
            if block.action.startswith("file="):
                (self._directory / block.action.removeprefix("file=")).write_text(self._text(block))
            elif block.action == "run" or block.action.startswith("run "):
                printed = self._run(block)
                count += 1
                if following is not None and following.action == "output":
                    self._compare(following, printed)
        return count

    def leave(self) -> None:
        """End what the page left running."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def _text(self, block: Block) -> str:
        return block.text.replace("9000", self._port)

    def _run(self, block: Block) -> str:
        wanted = int(block.action.partition("exit=")[2] or "0")
        state, text = self._state, self._text(block)
        if block.language == "python":
            text = f"python3 - <<'END OF BLOCK'\n{text}END OF BLOCK\n"
        script = (
            f"[ ! -f {state} ] || . {state}\nset -eu -o pipefail -a\n{text}\n"
            f"{{ export -p; declare -f; }} > {state}\n"
        )
        # Into a file, not a pipe: what a block leaves running would hold a pipe open.
        with (self._directory / ".printed").open("w+") as output:
            process = subprocess.Popen(
                ["bash", "-c", script], cwd=self._directory, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            self._groups.append(process.pid)
            with suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT_S)
            output.seek(0)
            printed = output.read()
        if process.returncode is None:
            raise Wrong(f"line {block.line}: not done after {TIMEOUT_S} s:\n{printed}")
        if process.returncode != wanted:
            raise Wrong(f"line {block.line}: exit {process.returncode}, not {wanted}:\n{printed}")
        return printed

    def _compare(self, block: Block, printed: str) -> None:
        if not shows(self._text(block), printed):
            raise Wrong(f"line {block.line} shows\n{block.text}\nbut this is printed:\n{printed}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
