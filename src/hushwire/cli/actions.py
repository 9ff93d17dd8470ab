"""`hushwire actions`: list, show, run."""

import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from msgspec import DecodeError, json

from hushwire.cli.action_door import connection_option, explained, run_action
from hushwire.cli.batch import batch
from hushwire.cli.connection import Record, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.tables import moment, one_line, print_card, print_table
from hushwire.connect.fields import fields_of
from hushwire.connect.registry import REGISTRY, AnyAction
from hushwire.connect.run import run as run  # with it come all actions
from hushwire.connect.view import hidden
from hushwire.domain.phone import mask

# What a table has room for, if the records have it.
COLUMNS: Final = (
    "sid", "date_sent", "date_created", "status", "phone_number", "from", "to", "sender_number",
    "recipient_number", "friendly_name", "body",
)  # fmt: skip
DATES: Final = ("date_sent", "date_created")


@click.group()
def actions() -> None:
    """List the actions, and run them: here, or through a connection.

    \b
    Examples:
      hushwire actions list
      hushwire actions show send_message
      hushwire actions run list_messages to=+14155550123 limit=5
      hushwire actions run list_accounts --connection twilio --json
    """


actions.add_command(batch)


@actions.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all actions: what each does to the world, and the scopes it needs.

    \b
    Examples:
      hushwire actions list
      hushwire actions list --json     with the JSON Schemas of input and output
    """
    if as_json:
        print_json([action.describe() for action in REGISTRY])
        return
    print_table(
        ("action", "effect", "scopes", "what it does"),
        [(a.name, a.effect, " ".join(a.scopes), a.title) for a in REGISTRY],
    )


@actions.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show one action: what it takes, and what of that is private.

    \b
    Examples:
      hushwire actions show send_message
    """
    with explained():
        action = REGISTRY.find(name)
    if as_json:
        print_json(action.describe())
        return
    print_card([
        ("action", f"{action.name}: {action.title}"), ("", action.summary),
        ("effect", action.effect), ("scopes", " ".join(action.scopes)),
    ])  # fmt: skip
    click.echo()
    print_table(
        ("field", "", "private", "what it is"),
        [
            (field.name, "required" if field.required else "", field.pii or "", field.description)
            for field in fields_of(action.input)
        ],
    )


@actions.command("run")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@click.option("--input", "whole", metavar="JSON", help="The fields as an object; - reads stdin")
@click.option("--show-numbers", is_flag=True, help="Do not mask numbers")
@connection_option
@json_option
@data_option
def run_(
    name: str, fields: tuple[str, ...], whole: str | None, show_numbers: bool,
    connection: str | None, as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Run an action. A field given twice is a list; --json prints the output as it is.

    Other users of this machine can see a command line: --input - keeps texts off it.

    \b
    Examples:
      hushwire actions run send_message to=+14155550123 from=+15005550006 body="Hello"
      hushwire actions run list_messages to=+14155550123 limit=5
      echo '{"to": "+14155550123", "body": "4711", "from": "+15005550006"}' |
        hushwire actions run send_message --input -
    """
    given = {**_object(whole), **_pairs(fields)}
    with explained():
        action = REGISTRY.find(name)
        output = run_action(action.name, given, connection, data)
    if as_json:
        print_json(output)
    else:
        _print(action, output, show_numbers=show_numbers)


def _pairs(fields: Sequence[str]) -> dict[str, object]:
    """`to=+1415…` → field and value; what comes twice is a list."""
    found: dict[str, list[str]] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not name:
            raise click.UsageError("a field is given as NAME=VALUE, such as limit=5")
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _object(whole: str | None) -> dict[str, object]:
    if whole is None:
        return {}
    text = sys.stdin.read() if whole == "-" else whole
    try:
        return json.decode(text, type=dict[str, object])
    except DecodeError:
        raise click.UsageError('--input must be a JSON object, such as {"limit": 5}') from None


def _print(action: AnyAction, output: Record, *, show_numbers: bool) -> None:
    """A table of the records, or a card of the one thing."""

    def hide(private: str, value: Any) -> Any:
        masked = private == "number" and isinstance(value, str) and value.startswith("+")
        return mask(value) if masked and not value.endswith("XXXX") else value

    output = output if show_numbers else hidden(action.output, output, hide)
    key = next((name for name, value in output.items() if isinstance(value, list)), None)
    if key is None:
        print_card([(name, _cell(value)) for name, value in output.items() if value is not None])
        return
    rows: list[Record] = output[key]
    columns = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    if "date_sent" in columns and "date_created" in columns:
        columns.remove("date_created")
    if rows:
        cells = [[_date(row.get(c)) if c in DATES else _cell(row.get(c)) for c in columns]
                 for row in rows]  # fmt: skip
        print_table([f"{c}, UTC" if c in DATES else c for c in columns], cells)
    else:
        click.echo("none", err=True)
    applied: dict[str, Any] = output.get("filters_applied") or {}
    if applied:
        told = ", ".join(f"{name} {_cell(value)}" for name, value in applied.items())
        click.echo(f"filters applied: {told}", err=True)
    if output.get("more"):
        click.echo("there are more: give a higher limit", err=True)


def _date(value: str | None) -> str:
    """Twilio's dates are RFC 2822; a view may have others."""
    try:
        return moment(value)
    except ValueError:
        return str(value)


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return json.encode(value).decode()
        case _:
            return one_line(str(value))
