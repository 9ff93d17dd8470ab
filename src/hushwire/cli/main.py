"""The command `hushwire`: the list of its commands, exit codes, errors in one sentence.

Exit codes: 0 done, 1 failed, 2 usage, 75 try later, 78 configuration.
"""

from importlib import import_module
from typing import Final

import click

from hushwire import __version__
from hushwire.cli.exits import Configuration, TryLater
from hushwire.errors import Misconfigured, Unavailable
from hushwire.observe import Journal, install_exception_hook

# Name → module under hushwire.cli that defines a click command (or a group of them) of that
# name, and its summary.
# A module is imported only when its command is called, so that help and errors come at once.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("up", "Start the server; the first start makes an account and a number."),
    "demo": ("demo", "Watch a message go out, come back and be forgotten."),
    "send": ("send", "Send a message in one line."),
    "messages": ("messages", "List, show, send, reveal, redact and delete messages."),
    "accounts": ("accounts", "List and show accounts."),
    "numbers": ("numbers", "List, buy and release the numbers you send from."),
    "privacy": ("privacy", "What is forgotten, and what works against that: show, set, scan."),
    "holds": ("holds", "Legal holds: what must not be destroyed for now."),
    "callbacks": ("callbacks", "See what became of status callbacks; have them posted again."),
    "connections": ("connections", "Connect to backends by name: add, list, test, remove."),
    "actions": ("actions", "List every action, and run one, here or through a connection."),
    "mcp": ("mcp", "Serve agents by the Model Context Protocol: read only, numbers masked."),
    "sync": ("sync", "Sync messages and accounts to a warehouse, what went included."),
    "tail": ("tail", "Watch messages come and go, numbers masked."),
    "audit": ("audit", "See what was forgotten and revealed; verify the record of it."),
    "backup": ("backup", "Take a backup while the server runs, or verify one."),
    "restore": ("restore", "Put a backup in place; what was erased stays erased."),
    "doctor": ("doctor", "Check the machine: disks, permissions, clock, settings."),
    "keys": ("keys", "Show how many keys there are, and rotate them."),
    "settings": ("settings", "Show every setting: value, unit, where it comes from, help."),
}

HELP = """A private-by-design messaging platform that speaks Twilio's Messaging API.

\b
Examples:
  hushwire up                      start on http://127.0.0.1:8008
  hushwire up --port 0 --data /var/lib/hushwire
  hushwire demo                    two minutes that show what it does
  hushwire messages send --to +14155550123 --body Hello
  hushwire messages list           the newest, numbers masked
  hushwire tail                    what happens right now
  hushwire settings                what can be set, and what is in force
  HUSHWIRE_PORT=9000 hushwire up   every setting is a variable, too

The commands that talk to a server find it by HUSHWIRE_URL, HUSHWIRE_ACCOUNT_SID and
HUSHWIRE_AUTH_TOKEN, else by credentials.json in the data directory.

A setting comes from its flag, else HUSHWIRE_NAME, else DIR/hushwire.toml, else its default.
"""


class _Commands(click.Group):
    """The commands of the table, with our errors turned into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"hushwire.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Misconfigured as error:
            raise Configuration(str(error)) from None
        except Unavailable as error:
            raise TryLater(error.text) from None


@click.group(cls=_Commands, help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hushwire", message="%(prog)s %(version)s")
def cli() -> None:
    pass


def main() -> None:
    """The entry point. An error nobody caught ends in one line of the journal and exit 1."""
    install_exception_hook(Journal())
    cli(prog_name="hushwire")
