"""How a command runs an action: by itself against its backend, or through a named connection.

Without a connection the action runs here, with the command's own credentials, so that it works
against Twilio's cloud as well. With one it runs on the server, which alone has its secrets.
"""

import asyncio
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import click
import httpx
import msgspec

from hushwire.cli.connection import Connection, Record, find_credentials
from hushwire.cli.exits import Configuration, Failed, TryLater
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import UNREACHABLE, Refused
from hushwire.connect.run import AUTHENTICATE, Connected, run
from hushwire.connect.wire import Wire

ACTIONS: Final = "/hushwire/v1/actions"

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_LATER: Final = (429, UNREACHABLE.status)

connection_option = click.option(
    "--connection", metavar="NAME", help="Through a connection of yours: `hushwire connections`"
)
content_retention_option = click.option(
    "--content-retention", type=click.Choice(["retain", "discard"]),
    help="Keep or forget its text, whatever the account says",
)  # fmt: skip
address_retention_option = click.option(
    "--address-retention", type=click.Choice(["retain", "obfuscate"]),
    help="Keep or forget the recipient's number, whatever the account says",
)  # fmt: skip


def run_action(
    name: str, given: Mapping[str, object], connection: str | None, data: str | None
) -> Record:
    """Run an action and give its output. Raises Refused; `explained` says it to people."""
    if connection is None:
        return asyncio.run(_run_here(name, given, data))
    with ask_server(data) as server:
        content = {"input": given, "connection": connection}
        return server.post_json(f"{ACTIONS}/{name}", content)


def run_through(
    connection: str, name: str, given: Mapping[str, object], data: str | None
) -> Record:
    """Run an action through a connection with what is not None. Raises what `explained` does."""
    with explained():
        said = {field: value for field, value in given.items() if value is not None}
        return run_action(name, said, connection, data)


async def _run_here(name: str, given: Mapping[str, object], data: str | None) -> Record:
    credentials = find_credentials(data, os.environ)
    # This machine is not asked for by way of a proxy.
    own = urlsplit(credentials.url).hostname in _LOOPBACK
    transport = httpx.AsyncHTTPTransport() if own else None
    basic = Basic(credentials.account_sid, credentials.auth_token)
    wire = Wire(credentials.url, basic, transport=transport)
    try:
        return await run(name, given, Connected(wire, credentials.account_sid))
    finally:
        await wire.close()


class ActionServer(Connection):
    """A server whose actions and connections a command asks for."""

    def remove(self, path: str) -> None:
        """DELETE `path`, from the root."""
        self._ask("DELETE", path)

    def _refuse(self, answer: httpx.Response) -> NoReturn:
        """What an action refuses says which field is to blame; the rest is the API's."""
        problem = _json(answer)
        if "field" in problem:
            raise Refused(
                problem["code"], answer.status_code, problem["message"], field=problem["field"]
            )
        super()._refuse(answer)
        raise AssertionError("it raises")


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


@contextmanager
def ask_server(data: str | None) -> Generator[ActionServer]:
    """The server that `--data`, the environment or the default directory names."""
    server = ActionServer(find_credentials(data, os.environ))
    try:
        yield server
    finally:
        server.close()


@contextmanager
def explained() -> Generator[None]:
    """What is refused, as a sentence and an exit code."""
    try:
        yield
    except Refused as problem:
        text = f"{problem.text.rstrip('.')} ({problem.code})"
        if problem.code == AUTHENTICATE:
            raise Configuration(text) from None
        raise (TryLater(text) if problem.status in _LATER else Failed(text)) from None
