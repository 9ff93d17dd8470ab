"""`hushwire mcp`: serve agents."""

import hmac
import os
import secrets
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, cast

import click

from hushwire.cli.connection import Credentials, data_option, find_credentials
from hushwire.cli.exits import Configuration
from hushwire.client.sources import transport_to
from hushwire.connect.credentials import Basic
from hushwire.connect.run import Connected
from hushwire.connect.view import VIEWS, View
from hushwire.connect.wire import Wire
from hushwire.hardening import harden_process
from hushwire.listening import listen
from hushwire.mcp.backends import Backend, Direct, Named
from hushwire.mcp.policy import Http, Policy, read_recipients
from hushwire.observe import Journal, route_logging
from hushwire.private import Private
from hushwire.settings import Settings

TOKEN_FILE: Final = "mcp-token"  # noqa: S105  a file's name, in the data directory

_TOKEN_BYTES: Final = 32
_SDK: Final = ("mcp", "mcp_types")

Serve = Callable[[Backend, Policy, Http | None], None]


@click.command()
@click.option("--http", "port", type=click.IntRange(0, 65535), metavar="PORT",
              help="Over HTTP on this port, 0 for a free one; else by standard input")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where the token of this start is put  [default: DIR/mcp-token]")  # fmt: skip
@click.option("--connection", metavar="NAME", help="Through a connection of the server's")
@click.option("--allow-send", is_flag=True, help="Offer sending; needs --recipients")
@click.option("--recipients", metavar="LIST|FILE",
              help="Whom an agent may write to: +1…,+1…, or a file with one a line")  # fmt: skip
@click.option("--hourly", type=click.IntRange(1), default=10, show_default=True,
              help="How many messages an agent may ask to send in an hour")  # fmt: skip
@click.option("--view", type=click.Choice(VIEWS), default="masked", show_default=True,
              help="How much of what is private an agent sees")  # fmt: skip
@data_option
def mcp(
    port: int | None, host: str, token_file: Path | None, connection: str | None, allow_send: bool,
    recipients: str | None, hourly: int, view: View, data: str | None,
) -> None:  # fmt: skip
    """Serve agents by the Model Context Protocol: they read, numbers masked.

    Sending is off. With --allow-send an agent may ask: the message goes only to recipients on
    your list, after you said yes to it in your agent's program, and so many times an hour.
    Nothing can be changed, redacted or deleted.

    \b
    Examples:
      hushwire mcp                     for a program that starts it
      hushwire mcp --http 8010         for programs that reach it; the token is in a file
      hushwire mcp --allow-send --recipients +14155550123 --hourly 5
      hushwire mcp --connection cloud --view metadata
    """
    if allow_send != (recipients is not None):
        raise click.UsageError("--allow-send and --recipients go together: give both, or neither")
    policy = Policy(view, read_recipients(recipients) if recipients is not None else None, hourly)
    serve = _sdk()
    credentials = find_credentials(data, os.environ)
    harden_process()
    route_logging(Journal(level="warning"))
    backend = _backend(credentials, connection, view)
    if port is None:
        serve(backend, policy, None)
        return
    folder = Path(data or os.environ.get("HUSHWIRE_DATA") or Settings().data)
    path = token_file or folder / TOKEN_FILE
    http = Http(listen(host, port), Private(secrets.token_urlsafe(_TOKEN_BYTES)))
    _keep(path, http.token)
    _announce(host, http, path)
    serve(backend, policy, http)


def _sdk() -> Serve:
    """What serves. Raises Configuration when the SDK is not installed."""
    try:
        return cast("Serve", import_module("hushwire.mcp.serve").serve)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _SDK:
            raise
        raise Configuration(
            "the SDK of the Model Context Protocol is not installed: pip install 'hushwire[mcp]'"
        ) from None


def _backend(credentials: Credentials, connection: str | None, view: View) -> Backend:
    url, sid, token = credentials.url, credentials.account_sid, credentials.auth_token
    # Join keys stay the same from start to start.
    view_key = hmac.digest(token.reveal().encode(), b"hushwire mcp view", "sha256")
    if connection is not None:
        return Named(
            url, Basic(sid, token), connection, view, view_key, transport=transport_to(url)
        )
    wire = Wire(url, Basic(sid, token), transport=transport_to(url))
    connected = Connected(wire, sid, view=view, view_key=view_key)
    return Direct(connected, f"the account at {url}")


def _keep(path: Path, token: Private) -> None:
    """Write the token, readable by its owner alone, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(f"{token.reveal()}\n")
        part.replace(path)
    except OSError as error:
        raise Configuration(
            f"{path} cannot be written ({error.strerror}): name a file with --token-file"
        ) from None


def _announce(host: str, http: Http, path: Path) -> None:
    """Where we are, to standard error. The token itself only to a terminal."""
    place = f"[{host}]" if ":" in host else host
    click.echo(
        f"Agents reach this at http://{place}:{http.listener.getsockname()[1]}/mcp", err=True
    )
    click.echo(f"The bearer token of this start is in {path} (mode 0600)", err=True)
    if sys.stderr.isatty():
        click.echo(f"  {http.token.reveal()}", err=True)
