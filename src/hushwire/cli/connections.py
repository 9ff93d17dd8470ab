"""`hushwire connections`: add, list, test, remove."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote

import click

from hushwire.cli.action_door import ask_server, explained
from hushwire.cli.connection import Record, data_option, find_credentials, json_option
from hushwire.cli.oauth import PORT, authorize
from hushwire.cli.output import print_json
from hushwire.cli.tables import print_table
from hushwire.connect.oauth import Client
from hushwire.private import Private

PATH: Final = "/hushwire/v1/connections"


@click.group()
def connections() -> None:
    """Connect to a backend by name: this server, another one, or Twilio's cloud.

    The server keeps the credentials, sealed, and shows them to nobody again. What runs through a
    connection may do what its scopes say, and sees what its view shows.

    \b
    Examples:
      hushwire connections add twilio --url twilio --account-sid AC0123…
      hushwire connections list
      hushwire send +14155550123 "Hello" --connection twilio
    """


@connections.command()
@click.argument("name")
@click.option("--url", metavar="URL", help="Of the backend, or twilio; this server if absent")
@click.option("--kind", default="token", show_default=True, help="Of credential: token, key, …")
@click.option("--oauth", metavar="URL", help="Of a server where you approve in your browser")
@click.option("--port", default=PORT, show_default=True, help="Where the browser comes back to")
@click.option("--account-sid", metavar="SID", help="The account there; asked for if absent")
@click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="Not for secrets")
@click.option("--secret", metavar="-", help="- reads the secrets from stdin, a line each")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="All if absent")
@click.option("--view", default="full", show_default=True,
              help="metadata, masked, pseudonymous or full")  # fmt: skip
@click.option("--profile", default="current", show_default=True, help="Whose rules it follows")
@json_option
@data_option
def add(
    name: str, url: str | None, kind: str, oauth: str | None, port: int, account_sid: str | None,
    fields: tuple[str, ...], secret: str | None, scopes: tuple[str, ...], view: str, profile: str,
    as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Add a connection. It is tested first: what does not work is not stored.

    Secrets are asked for, or read with --secret -. They are never on the command line, which
    other users of this machine can see.

    \b
    Examples:
      hushwire connections add twilio --url twilio --account-sid AC0123…
      hushwire connections add reader --account-sid AC0123… --scope messages.list --view masked
      hushwire connections add other --kind key --url https://sms.example.com --secret - < key.txt
      hushwire connections add persona --oauth https://sms.example.com
    """
    if oauth is not None:
        kind, url = "oauth", url or _elsewhere(oauth, data)
    if secret not in (None, "-"):
        raise click.UsageError("--secret takes - alone: others can see a command line")
    given = dict(_pair(field) for field in fields)
    if account_sid is not None:
        given["account_sid"] = account_sid
    content: dict[str, object] = {"name": name, "view": view, "profile": profile}
    if url is not None:
        content["url"] = url
    if scopes:
        content["scopes"] = scopes
    with explained(), ask_server(data) as server:
        asked = _fields_of(server.ask(f"{PATH}/kinds")["kinds"], kind)
        credential = _credential(asked, given, from_stdin=secret is not None)
        if oauth is not None:
            client = Client(credential["client_id"], Private(credential["client_secret"]))
            credential["refresh_token"] = authorize(oauth, client, scopes, port).reveal()
        content["credential"] = {"kind": kind, **credential}
        made = server.post_json(PATH, content)
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['name']} works, and is stored")


@connections.command("list")
@json_option
@data_option
def list_(as_json: bool, data: str | None) -> None:
    """List your connections, newest first, without their secrets.

    \b
    Examples:
      hushwire connections list
    """
    with explained(), ask_server(data) as server:
        found: list[Record] = server.ask(PATH)["connections"]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("none yet: hushwire connections add NAME", err=True)
        return
    print_table(
        ("name", "backend", "account", "credential", "view", "scopes"),
        [
            (
                each["name"], each["url"] or "this server", each["credential"]["account_sid"],
                each["credential"]["kind"], each["view"],
                "all" if each["scopes"] is None else " ".join(each["scopes"]),
            )
            for each in found
        ],
    )  # fmt: skip


@connections.command()
@click.argument("name")
@json_option
@data_option
def test(name: str, as_json: bool, data: str | None) -> None:
    """Test a connection: does its backend answer, and take its credentials?

    \b
    Examples:
      hushwire connections test twilio
    """
    with explained(), ask_server(data) as server:
        tested = server.post_json(f"{_path(name)}/test", {})
    if as_json:
        print_json(tested)
    else:
        click.echo(f"{name} works")


@connections.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask")
@json_option
@data_option
def remove(name: str, yes: bool, as_json: bool, data: str | None) -> None:
    """Remove a connection, with its secrets.

    \b
    Examples:
      hushwire connections remove twilio
    """
    with explained(), ask_server(data) as server:
        server.ask(_path(name))
        if not yes:
            click.confirm(f"Remove connection {name}?", abort=True, err=True)
        server.remove(_path(name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        click.echo(f"{name} removed")


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _elsewhere(url: str, data: str | None) -> str | None:
    """The URL, unless it is that of the server that keeps the connection."""
    return None if url.rstrip("/") == find_credentials(data, os.environ).url else url


def _pair(field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not equals or not name:
        raise click.UsageError("--field takes NAME=VALUE")
    return name, value


def _fields_of(kinds: Sequence[Record], wanted: str) -> list[Record]:
    """The fields of that kind of credential. What is no kind, the server says."""
    for kind in kinds:
        if kind["kind"] == wanted:
            return kind["fields"]
    return []


def _credential(
    asked: Sequence[Record], given: Mapping[str, str], *, from_stdin: bool
) -> dict[str, str]:
    """What was given, and what is missing of it, asked for."""
    found = dict(given)
    for field in asked:
        name, sensitive = field["name"], field["type"] == "sensitive"
        if sensitive and name in given:
            raise click.UsageError(f"{name} is a secret: it is asked for, or read with --secret -")
        if sensitive and from_stdin and field["required"]:
            found[name] = sys.stdin.readline().rstrip("\r\n")
        elif name not in given and field["required"]:
            label = f"{field['label']} ({field['description'].rstrip('.')})"
            found[name] = click.prompt(label, hide_input=sensitive, err=True)
    return found
