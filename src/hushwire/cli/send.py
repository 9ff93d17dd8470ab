"""`hushwire send`: a message in one line."""

import sys

import click

from hushwire.cli.action_door import (
    address_retention_option,
    connection_option,
    content_retention_option,
    explained,
    run_action,
)
from hushwire.cli.connection import data_option, json_option
from hushwire.cli.exits import Failed
from hushwire.cli.output import print_json
from hushwire.connect.refused import SCOPE, Refused


@click.command()
@click.argument("to", metavar="NUMBER")
@click.argument("text")
@click.option("--from", "from_", metavar="NUMBER", help="A number of yours, if you own several")
@click.option("--service", metavar="SID", help="A Messaging Service, whose pool sends it")
@click.option("--media", metavar="URL", multiple=True, help="A file to send with it")
@content_retention_option
@address_retention_option
@connection_option
@json_option
@data_option
def send(
    to: str, text: str, from_: str | None, service: str | None, media: tuple[str, ...],
    content_retention: str | None, address_retention: str | None, connection: str | None,
    as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Send a message. It is accepted when the command ends; `hushwire tail` follows it.

    TEXT may be - to read standard input: other users of this machine can see a command line.

    \b
    Examples:
      hushwire send +14155550123 "Your table is ready"
      echo "Your code is 4711" | hushwire send +14155550123 -
      hushwire send +14155550123 "Hello" --connection twilio --from +15005550006
    """
    body = sys.stdin.read().rstrip("\n") if text == "-" else text
    given: dict[str, object] = {"to": to, "body": body}
    if media:
        given["media_url"] = list(media)
    if service is not None:
        given["messaging_service_sid"] = service
    if content_retention is not None:
        given["content_retention"] = content_retention
    if address_retention is not None:
        given["address_retention"] = address_retention
    with explained():
        if from_ is not None or service is None:
            given["from"] = from_ or _only_number(connection, data)
        message = run_action("send_message", given, connection, data)
    if as_json:
        print_json(message)
    else:
        click.echo(f"{message['sid']} {message['status']}")


def _only_number(connection: str | None, data: str | None) -> str:
    try:
        found = run_action("list_numbers", {"limit": 2}, connection, data)
    except Refused as problem:
        if problem.status != SCOPE.status:
            raise
        raise Failed("say with --from which number to send from") from None
    owned = found["incoming_phone_numbers"]
    if len(owned) != 1:
        own = "several numbers" if owned else "no number"
        raise Failed(f"this account has {own}: say with --from which one to send from")
    phone: str = owned[0]["phone_number"]
    return phone
