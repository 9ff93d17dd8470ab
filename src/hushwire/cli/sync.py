"""`hushwire sync`: messages and accounts as Singer messages, for a warehouse.

Standard output has Singer lines alone. What there is to say to whoever runs it goes to standard
error, and so does a count of rows when that is a terminal.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import click
import httpx
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.status import Status

from hushwire.cli.action_door import ActionServer, explained
from hushwire.cli.connection import Credentials, data_option, find_credentials
from hushwire.cli.exits import Configuration
from hushwire.cli.output import print_json
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import UNREACHABLE, Refused, refused
from hushwire.connect.run import Connected
from hushwire.connect.singer import catalog as all_streams
from hushwire.connect.sync import Chunk
from hushwire.connect.sync import sync as run_sync
from hushwire.connect.sync_config import read_json, read_plan
from hushwire.connect.sync_state import read_state
from hushwire.connect.wire import Wire

PATH: Final = "/hushwire/v1/sync"
NARROWEST: Final = "masked"  # a warehouse gets less, unless its configuration says otherwise

_SILENCE_S: Final = 400.0  # a backend may be busy for minutes, and is asked again
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_NO_LINE: Final = (b'{"type":"NOTE"', b'{"type":"REFUSED"')

Given = dict[str, dict[str, Any] | None]


class _Out(Struct, frozen=True):
    """Where lines, notes and counts go."""

    stdout: IO[bytes]
    note: Callable[[str], None]
    count: Callable[[int], None]

    def lines(self, lines: bytes, rows: int) -> None:
        """Nothing waits in a buffer: who reads a STATE may rely on all before it."""
        self.stdout.write(lines)
        self.stdout.flush()
        self.count(rows)


@click.command()
@click.option("--config", metavar="FILE", help="JSON: start_date, columns, view …")
@click.option("--state", metavar="FILE", help="JSON: the last STATE value of an earlier run")
@click.option("--catalog", metavar="FILE", help="JSON: which streams and columns")
@click.option("--discover", is_flag=True, help="Print every stream and column, as a catalog")
@click.option(
    "--connection", metavar="NAME", help="Through a connection of yours: `hushwire connections`"
)
@data_option
def sync(
    config: str | None, state: str | None, catalog: str | None, discover: bool,
    connection: str | None, data: str | None,
) -> None:  # fmt: skip
    """Sync messages and accounts to a warehouse: what is new, changed, and gone.

    Prints Singer messages (SCHEMA, RECORD, STATE) for a target to read. The state file is read,
    never written: the target says what has arrived. Without a view in the configuration, numbers
    come masked and texts not at all; through a connection, as its view has it.

    \b
    Examples:
      hushwire sync --config sync.json | target-jsonl > state.jsonl
      tail -1 state.jsonl > state.json
      hushwire sync --config sync.json --state state.json | target-jsonl >> state.jsonl
      hushwire sync --discover > catalog.json
    """
    if discover:
        print_json(all_streams())
        return
    with explained():
        given: Given = {
            "config": _read(config, "config"), "state": _read(state, "state"),
            "catalog": _read(catalog, "catalog"),
        }  # fmt: skip
        credentials = find_credentials(data, os.environ)
        console = Console(stderr=True, markup=False, highlight=False)
        with console.status("syncing") as status:
            out = _Out(
                sys.stdout.buffer, lambda text: click.echo(text, err=True),
                _counter(status),
            )  # fmt: skip
            if connection is None:
                asyncio.run(_run_here(credentials, given, out))
            else:
                _run_there(credentials, connection, given, out)


def _counter(status: Status) -> Callable[[int], None]:
    total = 0

    def count(rows: int) -> None:
        nonlocal total
        total += rows
        status.update(f"{total:,} rows")

    return count


def _read(path: str | None, what: str) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise Configuration(
            f"{path} cannot be read ({error.strerror}): --{what} names it"
        ) from None
    # Before the first run there is no state: an empty file says so.
    return read_json(content, what) if content.strip() else None


async def _run_here(credentials: Credentials, given: Given, out: _Out) -> None:
    """Against the backend itself, with the command's own credentials."""
    own = urlsplit(credentials.url).hostname in _LOOPBACK  # not by way of a proxy
    basic = Basic(credentials.account_sid, credentials.auth_token)
    wire = Wire(credentials.url, basic, transport=httpx.AsyncHTTPTransport() if own else None)
    now = datetime.now(UTC)
    try:
        plan = read_plan(
            given["config"] or {}, given["catalog"], "full", b"", now, narrowest=NARROWEST
        )
        state = read_state(given["state"])
        connected = Connected(wire, credentials.account_sid)
        async with aclosing(run_sync(connected, plan, state, now)) as all_told:
            async for told in all_told:
                if isinstance(told, Chunk):
                    out.lines(told.lines, told.rows)
                else:
                    out.note(told.text)
    finally:
        await wire.close()


def _run_there(credentials: Credentials, connection: str, given: Given, out: _Out) -> None:
    """On the server, which has the connection's secrets."""
    server = _SyncServer(credentials)
    try:
        server.follow({"connection": connection, **given}, out)
    finally:
        server.close()


class _SyncServer(ActionServer):
    """A server that syncs through one of its connections."""

    def follow(self, content: Given | dict[str, object], out: _Out) -> None:
        """Pass its lines on. Raises Refused when it ends before its end."""
        timeout = httpx.Timeout(30.0, read=_SILENCE_S)
        with self._errors(), self._http.stream(
            "POST", self._url(PATH), json=content, timeout=timeout
        ) as answer:  # fmt: skip
            if answer.status_code != 200:
                answer.read()
                self._refuse(answer)
            rest = b""
            for piece in answer.iter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                self._pass_on(lines, out)
        if rest:
            raise refused(UNREACHABLE, "the server broke off: go on from the last STATE")

    def _pass_on(self, lines: list[bytes], out: _Out) -> None:
        singer = [line for line in lines if not line.startswith(_NO_LINE)]
        if singer:
            rows = sum(line.startswith(b'{"type":"RECORD"') for line in singer)
            out.lines(b"\n".join(singer) + b"\n", rows)
        for line in lines:
            if line.startswith(_NO_LINE):
                said = msgspec.json.decode(line, type=dict[str, Any])
                if said["type"] == "NOTE":
                    out.note(said["text"])
                else:
                    raise Refused(
                        said["code"], said["status"], said["message"], field=said["field"]
                    )
