"""Resources for people: tables and cards, the numbers of others masked unless asked for."""

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hushwire.domain.phone import mask

GAP: Final = 2  # columns between columns
WIDE: Final = 100  # from here on there is room for both numbers
PIPE_WIDTH: Final = 200  # a pipe has no width: do not fold lines that a program reads
BODY_MIN: Final = 10  # less of a body says nothing

STYLES: Final = {
    "delivered": "green", "received": "green", "read": "green",
    "undelivered": "red", "failed": "red", "canceled": "yellow",
}  # fmt: skip


def console() -> Console:
    """Standard output. What comes from a server is text, never markup."""
    made = Console(markup=False, highlight=False, emoji=False)
    if not made.is_terminal:
        made.width = PIPE_WIDTH
    return made


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table; its last column is cut to the width that is left."""
    out = console()
    cells = [[_plain(cell) for cell in row] for row in rows]
    fixed = [
        max(len(text) for text in column) + GAP
        for column in zip(headings, *([cell.plain for cell in row] for row in cells), strict=True)
    ][:-1]
    left = out.width - sum(fixed)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    shown = len(headings) if left >= BODY_MIN else len(headings) - 1
    for heading in headings[:shown]:
        table.add_column(heading, no_wrap=True)
    for row in cells:
        row[-1].truncate(max(left, 1), overflow="ellipsis")
        table.add_row(*row[:shown])
    # As wide as it must be: a SID cut in two is of no use to anybody.
    out.width = max(out.width, sum(fixed))
    _print(out, table)


def print_card(facts: Sequence[tuple[str, str | Text | None]]) -> None:
    """Names and values of one thing; what is None is left out."""
    table = Table.grid(padding=(0, GAP))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None:
            table.add_row(Text(name, "bold"), _plain(value))
    _print(console(), table)


def status_text(status: str, error_code: int | None = None) -> Text:
    """A status in its colour, with its error code."""
    return Text(f"{status} {error_code}" if error_code else status, STYLES.get(status, ""))


def parties(message: dict[str, Any], *, show: bool, both: bool) -> str:
    """Who texts whom: `+15005550006 → +1415555XXXX`; without `both`, the other side alone.

    The account's own number is never masked, the other one unless `show`.
    """
    own, other = message["from"] or "-", message["to"] or "-"
    inbound = message["direction"] == "inbound"
    if inbound:
        own, other = other, own
    other = other if show or other == "-" else mask(other)
    if not both:
        return f"{'←' if inbound else '→'} {other}"
    return f"{other} → {own}" if inbound else f"{own} → {other}"


def moment(date: str | None) -> str:
    """An RFC 2822 date as `2026-01-31 12:00`, in UTC; `-` for none."""
    return "-" if date is None else f"{parsedate_to_datetime(date):%Y-%m-%d %H:%M}"


def one_line(body: str | None) -> str:
    """A body on one line."""
    return " ".join((body or "").split())


def _print(out: Console, table: Table) -> None:
    if out.is_terminal:
        out.print(table)
        return
    with out.capture() as captured:
        out.print(table)
    for line in captured.get().splitlines():  # without the blanks that fill the last column
        out.print(line.rstrip(), soft_wrap=True)


def _plain(value: str | Text) -> Text:
    """Its own copy, without what a terminal would obey."""
    text = value.copy() if isinstance(value, Text) else Text(value)
    text.plain = "".join(c if c.isprintable() or c == "\n" else "�" for c in text.plain)
    return text
