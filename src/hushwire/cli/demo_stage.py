"""The demo's stage: what it shows in a terminal of 80 columns, at a reader's pace.

Texts given to `say` and `result` are our own and may hold rich markup; all that comes from the
server is shown as plain text.
"""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Final

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import ControlType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from hushwire.vault.seal import NONCE_BYTES, SLOT_BYTES

WIDTH: Final = 80
_TAG_BYTES: Final = 16
_INDENT: Final = (0, 0, 0, 2)
_REASONS: Final = {
    200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 404: "Not Found",
    409: "Conflict",
}  # fmt: skip

Part = tuple[str, int, str]  # name, bytes, style


def blob_parts(blob: bytes) -> tuple[Part, ...]:
    """What a sealed blob is made of (vault/seal.py)."""
    text = len(blob) - 1 - NONCE_BYTES - _TAG_BYTES
    return (
        ("version", 1, "bold white"), ("nonce", NONCE_BYTES, "cyan"),
        ("sealed text", text, "yellow"), ("tag", _TAG_BYTES, "magenta"),
    )  # fmt: skip


SLOT_PARTS: Final[tuple[Part, ...]] = (
    ("nonce", NONCE_BYTES, "cyan"),
    ("wrapped key", 32, "yellow"),
    ("tag", _TAG_BYTES, "magenta"),
    ("generation", SLOT_BYTES - NONCE_BYTES - 32 - _TAG_BYTES, "bold white"),
)


class Stage:
    """Prints scenes to `console`; `paced` waits for a reader, otherwise nothing waits."""

    def __init__(self, console: Console, *, paced: bool) -> None:
        self._console = console
        self.paced = paced

    def show(self, thing: RenderableType = "") -> None:
        self._console.print(thing)

    def scene(self, number: int, of: int, title: str) -> None:
        self.show()
        self._console.rule(
            f"[bold cyan]{number}[/]/{of}  [bold]{title}[/]", style="cyan", align="left"
        )
        self.show()

    def close(self, title: str) -> None:
        """The heading after the last scene."""
        self.show()
        self._console.rule(f"[bold]{title}[/]", style="cyan", align="left")
        self.show()

    def say(self, text: str) -> None:
        """A paragraph."""
        self.show(Padding(Text.from_markup(text), (0, 2, 1, 2)))
        self.beat(0.6)

    def result(self, text: str) -> None:
        """A line that something turned out as it should."""
        line = Table.grid(padding=(0, 1))
        line.add_row(Text("✓", "bold green"), Text.from_markup(text))
        self.show(Padding(line, (0, 2, 0, 2)))
        self.beat(0.4)

    def command(self, text: str) -> None:
        """A shell command as a reader could type it."""
        code = Syntax(text, "bash", theme="ansi_dark", background_color="default")
        self.show(Padding(code, (0, 0, 1, 2)))
        self.beat(0.8)

    def answer(self, status: int, body: Mapping[str, object] | None = None) -> None:
        """An HTTP answer: its status, and the part of its JSON worth reading."""
        style = "bold green" if status < 400 else "bold yellow"
        self.show(Padding(Text(f"← {status} {_REASONS.get(status, '')}", style), _INDENT))
        if body:
            text = json.dumps(body, indent=2, ensure_ascii=False)
            code = Syntax(
                text, "json", theme="ansi_dark", background_color="default", word_wrap=True
            )
            self.show(Padding(code, (0, 0, 0, 4)))
        self.show()
        self.beat(0.8)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names and values, aligned."""
        table = Table.grid(padding=(0, 2))
        for name, value in rows:
            table.add_row(Text(name, "dim"), Text(value))
        self.show(Padding(table, (0, 0, 1, 2)))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose last column says how it turned out."""
        table = Table(box=SIMPLE_HEAD, header_style="bold", show_edge=False)
        for heading in headings:
            table.add_column(heading, no_wrap=heading == headings[0])
        for row in rows:
            cells = [Text(cell) for cell in row]
            table.add_row(*cells[:-1], Text(row[-1], "green"))
        self.show(Padding(table, (0, 2, 1, 1)))

    def phone(self, number: str, sender: str, body: str) -> None:
        """The screen of a phone."""
        screen = Group(
            Text(f"from {sender}", "dim"),
            Panel(Text(body), box=ROUNDED, border_style="green", expand=False),
        )
        title = f"[bold]{number}[/]"
        panel = Panel(screen, title=title, box=ROUNDED, width=44, padding=(0, 1))
        self.show(Padding(panel, (0, 0, 1, 2)))
        self.beat(0.8)

    def dump(self, title: str, data: bytes, parts: Sequence[Part], most: int = 112) -> None:
        """Bytes as hex, each part in its colour, `most` of them shown."""
        styles = [style for _, size, style in parts for _ in range(size)]
        text = Text()
        for at in range(0, min(len(data), most), 16):
            row = data[at : at + 16]
            text.append(f"{at:04x}  ", "dim")
            for place, byte in enumerate(row, at):
                gap = "  " if place % 16 == 7 else " "
                text.append(f"{byte:02x}{gap}", styles[place] if byte else "dim")
            text.append("   " * (16 - len(row)) + " ")
            text.append("".join(chr(b) if 32 <= b < 127 else "·" for b in row), "dim")
            text.append("\n")
        if len(data) > most:
            text.append(f"…     {len(data) - most} more\n", "dim")
        for name, size, style in parts:
            text.append("■ ", style)
            text.append(f"{name} {size}   ", "dim")
        panel = Panel(text, title=title, title_align="left", box=ROUNDED, border_style="dim")
        self.show(Padding(panel, (0, 0, 0, 2)))
        self.beat(1.0)

    def beat(self, seconds: float) -> None:
        """A short pause for the eye."""
        if self.paced:
            time.sleep(seconds)

    def turn(self) -> None:
        """Wait until the reader has read."""
        if not self.paced:
            return
        try:
            self._console.input("\n  [dim]press Enter to go on, Ctrl-C to stop [/]")
        except EOFError:  # Ctrl-D: the reader does not want to be asked
            self.paced = False
        else:
            up = ((ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2))
            self._console.control(Control(*up))
