"""`hushwire tail`: messages and their changes as they happen."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import click
from msgspec import Struct, json
from rich.console import Console
from rich.text import Text

from hushwire.cli.connection import connect, data_option, json_option
from hushwire.cli.exits import TryLater
from hushwire.cli.tables import WIDE, console, status_text

SILENCE_S: Final = 45.0  # three times the server's heartbeat: then nobody is there any more


class Line(Struct, frozen=True, rename={"from_": "from"}):
    """A line of the stream: a change, how many were lost, or a heartbeat."""

    sid: str = ""
    at: str = ""
    status: str = ""
    direction: str = ""
    from_: str | None = None
    to: str | None = None
    segments: int = 0
    error_code: int | None = None
    lost: int = 0


@click.command()
@json_option
@data_option
def tail(as_json: bool, data: str | None) -> None:
    """Watch messages come and go: a line a change, until Ctrl-C. Times are UTC.

    Bodies are never shown and the numbers of others are masked, by the server. --json passes
    its lines on as they come, a heartbeat every 15 s among them.

    \b
    Examples:
      hushwire tail
      hushwire tail --json | grep --line-buffered undelivered
    """
    with suppress(KeyboardInterrupt), connect(data) as server:
        path = f"/hushwire/v1/accounts/{server.account_sid}/tail"
        with server.lines(path, SILENCE_S) as lines:
            if as_json:
                for line in lines:
                    click.echo(line)
            else:
                _show(lines)
        raise TryLater("the server ended the connection: it may be starting again")


def _show(lines: Iterable[str]) -> None:
    out = console()
    for text in lines:
        line = json.decode(text, type=Line)
        if line.lost:
            out.print(Text(f"… {line.lost} changes were too fast to show", "yellow"))
        elif line.sid:
            out.print(_shown(line, out), soft_wrap=True)


def _shown(line: Line, out: Console) -> Text:
    inbound = line.direction == "inbound"
    text = Text(line.at[11:19], "dim")
    text.append(f" {line.sid} ", "default")
    text.append("↙ " if inbound else "↗ ", "cyan" if inbound else "blue")
    other = line.from_ if inbound else line.to
    if out.width < WIDE:
        text.append(f"{other or '-'} ")
    else:
        text.append(f"{line.from_ or '-'} → {line.to or '-'} ")
    return text.append_text(status_text(line.status, line.error_code))
