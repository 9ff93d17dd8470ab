"""What commands print: tables, JSON, the greeting of the server. To stdout, never secrets
unless it is a terminal."""

from collections.abc import Sequence

import click
from msgspec import json
from rich.console import Console
from rich.table import Table

from hushwire.settings import Plain, Row, Started

_SHOWN_TO = "+14155550123"  # a number reserved for examples


def print_json(value: object) -> None:
    """`value` (structs, lists, plain values) as indented JSON."""
    click.echo(json.format(json.encode(value), indent=2))


def print_settings(rows: Sequence[Row]) -> None:
    """Name, value, unit, source and help of every setting as a table."""
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 200  # a pipe has no width: do not fold lines that a program reads
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("setting", "value", "unit", "source", "help"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("setting", "source"))
    for row in rows:
        style = None if row.source == "default" else "bold green"
        table.add_row(row.name, _text(row.value), row.unit, row.source, row.help, style=style)
    console.print(table)


def greeting(started: Started, *, terminal: bool) -> str:
    """What `hushwire up` says when it accepts requests.

    A terminal gets the token and lines to paste; anything else (a file, a pipe, the log of a
    service) the path of the file that holds it.
    """
    parts = [f"Hushwire is ready at {started.url}"]
    if terminal:
        parts += [_account(started), _python(started), _curl(started)]
    else:
        parts.append(f"Credentials are in {started.credentials_path} (mode 0600)")
    if started.sandbox:
        parts.append(
            "The sandbox is on: phones are simulated, nothing leaves for a carrier, and callbacks "
            "to this\nmachine (loopback) are allowed. Turn it off with --no-sandbox."
        )
    return ("\n\n" if terminal else "\n").join(parts) + ("\n" if terminal else "")


def _account(started: Started) -> str:
    made = "made at this first start; " if started.first_start else ""
    return (
        f"  Account SID   {started.account_sid}\n"
        f"  Auth token    {started.auth_token.reveal()}\n"
        f"  Your number   {started.phone_number}\n"
        f"  ({made}kept in {started.credentials_path}, readable by you alone)"
    )


def _python(started: Started) -> str:
    return (
        "Send a message with Twilio's own SDK (pip install twilio):\n\n"
        "  from twilio.rest import Client\n"
        f'  client = Client("{started.account_sid}", "{started.auth_token.reveal()}")\n'
        f'  client.api.base_url = "{started.url}"\n'
        f'  client.messages.create(to="{_SHOWN_TO}", from_="{started.phone_number}", '
        'body="Hello")'
    )


def _curl(started: Started) -> str:
    sid = started.account_sid
    return (
        "or with curl:\n\n"
        f"  curl -u {sid}:{started.auth_token.reveal()} \\\n"
        f"    {started.url}/2010-04-01/Accounts/{sid}/Messages.json \\\n"
        f"    --data-urlencode To={_SHOWN_TO} --data-urlencode From={started.phone_number} \\\n"
        "    --data-urlencode Body=Hello"
    )


def _text(value: Plain) -> str:
    if value is None or value == [] or value == "":
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list) else str(value)
