"""`hushwire demo`: a message goes out, comes back and is forgotten, before the reader's eyes."""

import signal
import sys
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Final

import click
from msgspec import Struct
from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel

from hushwire.cli.demo_stage import WIDTH, Stage
from hushwire.cli.demo_steps import SCENES, Tour
from hushwire.cli.demo_world import DemoFailed
from hushwire.cli.output import print_json

RECEIPT_MS: Final = 100  # the simulated phone confirms after this …
RECEIPT_PACED_MS: Final = 1500  # … or slowly enough to watch

INTRO = """[bold]Hushwire in two minutes[/]

A text goes out through Twilio's API, reaches a phone, is called back,
and is then forgotten, down to the bytes on the disk. Everything you see
is a real server; everything it leaves behind is removed at the end."""

NEXT = """[bold]Where to go next[/]

[cyan]hushwire up[/]          a server to keep; it prints lines to paste
[cyan]hushwire settings[/]    what can be set, and what is in force
[cyan]docs/tutorial/[/]       your first message, step by step
[cyan]docs/reference/[/]      what is served, errors, sandbox, callbacks"""


class Seen(Struct, frozen=True):
    """A scene that went as it should."""

    scene: str
    seen: str


@click.command()
@click.option("--fast", is_flag=True, help="No pauses, as when the output is no terminal")
@click.option("--json", "as_json", is_flag=True, help="Only the final table, as one JSON array")
@click.pass_context
def demo(ctx: click.Context, fast: bool, as_json: bool) -> None:
    """Watch a message go out, come back and be forgotten.

    Starts a server of its own in a temporary directory on a free port, and removes both at the
    end or on Ctrl-C. About two minutes at a terminal, seconds with --fast. Exits 1 when
    anything does not go as shown.

    \b
    Examples:
      hushwire demo
      hushwire demo --fast
    """
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):  # an old terminal gets "?" for what it cannot show
        stdout.reconfigure(errors="replace")
    console = Console(quiet=as_json, highlight=False, emoji=False)
    console.width = WIDTH if not console.is_terminal else min(WIDTH, console.width)
    paced = console.is_terminal and sys.stdin.isatty() and not fast and not as_json
    stage = Stage(console, paced=paced)
    seen: list[Seen] = []
    try:
        home = _play(stage, seen)
    except KeyboardInterrupt:
        click.echo("\nStopped early. The server is down and its directory is gone.", err=True)
        ctx.exit(1)
    except DemoFailed as error:
        raise click.ClickException(str(error)) from None
    if home.exists():
        raise click.ClickException(f"{home} could not be removed: remove it")
    seen.append(Seen("Clean up", "directory, port and process are gone"))
    _finish(stage, seen)
    if as_json:
        print_json(seen)


def _play(stage: Stage, seen: list[Seen]) -> Path:
    """All scenes; what they started is stopped and removed whatever happens."""
    with _interruptions(), ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hushwire-demo-")))
        tour = Tour(stage, home, RECEIPT_PACED_MS if stage.paced else RECEIPT_MS)
        stack.callback(tour.close)
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)  # first: let it clean up
        stage.show(Panel(INTRO, box=ROUNDED, border_style="cyan", padding=(1, 2)))
        for number, scene in enumerate(SCENES, 1):
            stage.scene(number, len(SCENES), scene.title)
            seen.append(Seen(scene.title, scene.play(tour)))
            stage.turn()
    return home


def _finish(stage: Stage, seen: list[Seen]) -> None:
    stage.close("What you saw")
    stage.table(("scene", "seen"), [(f"✓ {row.scene}", row.seen) for row in seen])
    stage.show(Panel(NEXT, box=ROUNDED, border_style="cyan", padding=(1, 2)))


@contextmanager
def _interruptions() -> Generator[None]:
    """A closed terminal or a `kill` ends the demo as Ctrl-C does: with everything cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signs = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {sign: signal.signal(sign, interrupt) for sign in signs}
    try:
        yield
    finally:
        for sign, old in before.items():
            signal.signal(sign, old)
