"""`hushwire privacy`: show, set, scan, report."""

from collections.abc import Sequence
from typing import Final

import click

from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.retention import retention
from hushwire.cli.tables import print_card, print_table
from hushwire.domain.privacy import Privacy, Windows

_WINDOWS: Final = "windows_s"
_WINDOW: Final = "windows."  # how a window is named here
_WORDS: Final = {"on": True, "true": True, "off": False, "false": False}
_DEFAULT: Final = "default"
_PLAIN: Final = tuple(name for name in Privacy.__struct_fields__ if name != _WINDOWS)
_NAMES: Final = (*_PLAIN, *(f"{_WINDOW}{name}" for name in Windows.__struct_fields__))

account_option = click.option(
    "--account", metavar="AC…", help="A subaccount of the connection's account"
)


class Change(click.ParamType[tuple[str, object]]):
    """NAME=VALUE as the API takes it: `on` is true, `default` null, a window whole seconds."""

    name = "NAME=VALUE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        name, equals, word = str(value).partition("=")
        if not equals:
            self.fail(f"{name!r}: give NAME=VALUE, as in redact_body=on")
        if name not in _NAMES:
            self.fail(f"there is no setting {name!r}: there are {', '.join(_NAMES)}")
        if word == _DEFAULT:
            return name, None
        if name.startswith(_WINDOW):
            if not (word.isascii() and word.isdigit()):
                self.fail(f"{name} must be whole seconds, or {_DEFAULT}")
            return name, int(word)
        if name.startswith("redact_"):
            if word not in _WORDS:
                self.fail(f"{name} must be on, off or {_DEFAULT}")
            return name, _WORDS[word]
        return name, word


@click.group()
def privacy() -> None:
    """What the account has us forget, and what works against that.

    \b
    Examples:
      hushwire privacy set redact_body=on redact_numbers=on
      hushwire privacy show
      hushwire privacy report
    """


privacy.add_command(retention)


@privacy.command()
@account_option
@json_option
@data_option
def show(account: str | None, as_json: bool, data: str | None) -> None:
    """Show the settings in force.

    \b
    Examples:
      hushwire privacy show
      hushwire privacy show --account AC0123… --json
    """
    with connect(data) as server:
        settings = server.ask(_path(server, account))
    if as_json:
        print_json(settings)
    else:
        _card(settings)


@privacy.command("set")
@click.argument("changes", type=Change(), nargs=-1, required=True)
@account_option
@json_option
@data_option
def set_(
    changes: tuple[tuple[str, object], ...], account: str | None, as_json: bool, data: str | None
) -> None:
    """Change settings, and see what works against them. `default` puts a default back.

    \b
    redact_body, redact_numbers   on or off
    display                       last4, country or none: what is left of a number
    scan_profile                  hushwire or twilio: what the scan flags
    windows.recovery, …           seconds: how long what is to be forgotten may be held

    They count for messages that are made from now on.

    \b
    Examples:
      hushwire privacy set redact_body=on redact_numbers=on
      hushwire privacy set display=country windows.recovery=0
      hushwire privacy set windows.recovery=default
    """
    wanted: dict[str, object] = {}
    windows: dict[str, object] = {}
    for name, value in changes:
        if name.startswith(_WINDOW):
            windows[name.removeprefix(_WINDOW)] = value
        else:
            wanted[name] = value
    if windows:
        wanted[_WINDOWS] = windows
    with connect(data) as server:
        settings = server.put_json(_path(server, account), wanted)
    if as_json:
        print_json(settings)
        return
    _card(settings)
    click.echo()
    _findings(settings["scan"], on=settings["redact_body"] or settings["redact_numbers"])


@privacy.command()
@account_option
@json_option
@data_option
def scan(account: str | None, as_json: bool, data: str | None) -> None:
    """Look for settings that work against redaction, while it is on.

    What has a code is an alert, too: once a day. The rest are hints.

    \b
    Examples:
      hushwire privacy scan
      hushwire privacy scan --json
    """
    with connect(data) as server:
        path = _path(server, account)
        found: Sequence[Record] = server.post_json(f"{path}/scan", {})["scan"]
        if as_json:
            print_json(found)
            return
        settings = server.ask(path)
    _findings(found, on=settings["redact_body"] or settings["redact_numbers"])


@privacy.command()
@account_option
@json_option
@data_option
def report(account: str | None, as_json: bool, data: str | None) -> None:
    """Show how old the oldest is of what lives, by field, and what is overdue.

    \b
    Examples:
      hushwire privacy report
      hushwire privacy report --account AC0123… --json
    """
    with connect(data) as server:
        told = server.ask(f"{_path(server, account)}/report")
    if as_json:
        print_json(told)
        return
    columns = ("field", "live", "oldest", "days", "overdue", "withheld")
    print_table(
        ("field", "live", "oldest, UTC", "days", "overdue", "withheld"),
        [[_cell(row[column]) for column in columns] for row in told["fields"]],
    )
    if any(row["capped"] for row in told["fields"]):
        click.echo("\nThere are more: they were not counted further")
    holds: Sequence[Record] = told["holds"]
    if holds:
        click.echo(f"\n{len(holds)} legal hold{'' if len(holds) == 1 else 's'} in force")
    if not told["clock_trusted"]:
        click.echo("\nThe clock of the server jumped: nothing expires until it is confirmed")


def _path(server: Connection, account: str | None) -> str:
    """The resource's path. What could not be a SID would name another path."""
    if account is not None and not account.isalnum():
        raise click.UsageError(f"{account!r} is no SID: AC and 32 hex digits")
    return f"/hushwire/v1/accounts/{account or server.account_sid}/privacy"


def _card(settings: Record) -> None:
    windows: dict[str, int] = settings[_WINDOWS]
    print_card([
        *((name, _cell(settings[name])) for name in _PLAIN),
        *((f"{_WINDOW}{name}", f"{seconds} s") for name, seconds in windows.items()),
    ])  # fmt: skip


def _findings(found: Sequence[Record], *, on: bool) -> None:
    if not on:
        click.echo("Nothing is redacted: there is nothing to look for")
    elif not found:
        click.echo("Nothing works against redaction")
    else:
        print_table(
            ("code", "resource", "what, and what to do"),
            [(_cell(f["code"], "hint"), f["resource_sid"], f["cure"]) for f in found],
        )


def _cell(value: object, nothing: str = "-") -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value is None:
        return nothing
    # A moment of the API: `2026-01-31T12:00:00.000Z`, here to the second.
    text = str(value)
    return f"{text[:10]} {text[11:19]}" if text[10:11] == "T" and text.endswith("Z") else text
