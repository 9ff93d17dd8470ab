"""`hushwire actions batch`: an action for each row of a file."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import httpx
from msgspec import DecodeError, json
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from hushwire.cli.action_door import ACTIONS, connection_option, explained
from hushwire.cli.connection import Credentials, data_option, find_credentials, json_option
from hushwire.cli.exits import Failed
from hushwire.cli.output import print_json
from hushwire.connect.batch import Act, Results, Stopped, Tally, read_rows, run_batch
from hushwire.connect.credentials import Basic
from hushwire.connect.fields import fields_of
from hushwire.connect.mapping import Attribute, Constant, Source, Template, read_mapping
from hushwire.connect.refused import INPUT, UNREACHABLE, UNSURE, Refused, refused
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import Connected, run
from hushwire.connect.wire import Wire

TIMEOUT_S: Final = 60.0
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
Sources = dict[str, Source]


@click.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapped", multiple=True, metavar="FIELD=COLUMN", help="From a column")
@click.option("--set", "fixed", multiple=True, metavar="FIELD=VALUE", help="The same for all")
@click.option(
    "--template", "templates", multiple=True, metavar="FIELD=TEXT",
    help="A text with {{column}} in it",
)  # fmt: skip
@click.option(
    "--mapping", "whole", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="JSON", help='A file: {"to": {"attribute": "phone"}, "body": {"constant": "Hi"}}',
)  # fmt: skip
@click.option("--batch", "title", metavar="NAME", help="Names the batch; else the file's name does")
@click.option("--id", "id_column", metavar="COLUMN", help="By which a row is known again")
@click.option("--dry-run", is_flag=True, help="Send nothing; say what would be refused")
@click.option("--again", is_flag=True, help="Send what may have been sent before, too")
@connection_option
@json_option
@data_option
def batch(
    name: str, file: Path, mapped: tuple[str, ...], fixed: tuple[str, ...],
    templates: tuple[str, ...], whole: Path | None, title: str | None, id_column: str | None,
    dry_run: bool, again: bool, connection: str | None, as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Run a sending action for each row of a .csv or .jsonl file; a row is sent only once.

    What came of each row is in NAME.results.jsonl beside the file. Run the same command again
    after correcting rows, or after a crash: what was sent is left out.

    \b
    Examples:
      hushwire actions batch send_sms_or_mms guests.csv --map to=phone \\
        --set from=+15005550006 --template body="Hello {{first_name}}"
      hushwire actions batch send_sms_or_mms guests.csv --mapping sms.json --dry-run
    """
    with explained():
        action = REGISTRY.find(name)
        if action.idempotency != "key":
            raise refused(INPUT, f"{name} sends nothing: a batch runs an action that sends")
        if dry_run and all(field.name != "dry_run" for field in fields_of(action.input)):
            raise refused(INPUT, f"{name} has no dry run: send_sms_or_mms has")
        mapping = _mapping(mapped, fixed, templates, whole)
        if dry_run:
            mapping["dry_run"] = Constant(True)
        title = title or file.stem
        results = file.with_name(f"{title}{'.dry-run' if dry_run else ''}.results.jsonl")
        if dry_run:
            results.unlink(missing_ok=True)
        total = sum(1 for _ in read_rows(file, title, id_column=id_column))
        rows = read_rows(file, title, id_column=id_column)

        async def go(progress: Callable[[], None]) -> Tally:
            async with _open(name, connection, data) as (act, knows_keys):
                with Results(results) as kept:
                    return await run_batch(
                        rows, mapping, _checked(act) if dry_run else act, kept,
                        knows_keys=knows_keys, again=again, dry_run=dry_run, progress=progress,
                    )  # fmt: skip

        with _bar(total) as progress:
            _report(go, progress, results, dry_run=dry_run, as_json=as_json)


def _report(
    go: Callable[[Callable[[], None]], Any], progress: Callable[[], None], results: Path, *,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    try:
        tally: Tally = asyncio.run(go(progress))
    except Stopped as stopped:
        click.echo(f"stopped: {_words(stopped.tally, dry_run=dry_run)}", err=True)
        raise stopped.problem from None
    if as_json:
        print_json({
            "sent": tally.sent, "sent_before": tally.before, "refused": tally.refused,
            "unsure": tally.unsure, "results": str(results),
        })  # fmt: skip
    else:
        click.echo(f"{_words(tally, dry_run=dry_run)}; each row is in {results}")
    if tally.refused or tally.unsure:
        what = "would be refused" if dry_run else "were not sent"
        raise Failed(f"rows that {what}: {tally.refused + tally.unsure}")


def _words(tally: Tally, *, dry_run: bool) -> str:
    if dry_run:
        return f"{tally.sent} would be sent, {tally.refused} would be refused"
    words = f"{tally.sent} sent, {tally.refused} refused"
    if tally.before:
        words += f", {tally.before} sent before"
    return words + (f", {tally.unsure} may have been sent" if tally.unsure else "")


# --- where from ------------------------------------------------------------------------------


def _mapping(
    mapped: tuple[str, ...], fixed: tuple[str, ...], templates: tuple[str, ...],
    whole: Path | None,
) -> Sources:  # fmt: skip
    found: Sources = {}
    if whole is not None:
        try:
            found = read_mapping(json.decode(whole.read_bytes(), type=dict[str, object]))
        except DecodeError:
            raise refused(INPUT, f"{whole.name} is no JSON object: field → source") from None
    for texts, make in ((mapped, Attribute), (fixed, Constant), (templates, Template)):
        for text in texts:
            field, equals, value = text.partition("=")
            if not equals or not field:
                raise click.UsageError("give FIELD=…, such as to=phone")
            found[field] = make(value)
    return found


@asynccontextmanager
async def _open(
    name: str, connection: str | None, data: str | None
) -> AsyncGenerator[tuple[Act, bool]]:
    """What runs a row, and whether the backend knows keys."""
    credentials = find_credentials(data, os.environ)
    own = urlsplit(credentials.url).hostname in _LOOPBACK
    # This machine is not asked for by way of a proxy.
    transport = httpx.AsyncHTTPTransport() if own else None
    if connection is not None:
        async with httpx.AsyncClient(
            base_url=credentials.url, transport=transport, timeout=TIMEOUT_S,
            auth=(credentials.account_sid, credentials.auth_token.reveal()),
        ) as http:  # fmt: skip
            yield _through(http, name, connection), False
        return
    wire = Wire(credentials.url, _basic(credentials), transport=transport)
    try:
        connected = Connected(wire, credentials.account_sid)

        async def act(given: dict[str, object], key: str) -> Mapping[str, Any]:
            return await run(name, given, connected, key=key)

        yield act, not wire.is_cloud
    finally:
        await wire.close()


def _basic(credentials: Credentials) -> Basic:
    return Basic(credentials.account_sid, credentials.auth_token)


def _through(http: httpx.AsyncClient, name: str, connection: str) -> Act:
    """By the server's door: it alone has the connection's secrets."""

    async def act(given: dict[str, object], key: str) -> Mapping[str, Any]:
        content = {"input": given, "connection": connection}
        try:
            answer = await http.post(
                f"{ACTIONS}/{name}", json=content, headers={"Idempotency-Key": key}
            )
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise refused(UNREACHABLE, "no answer from the server: is it running?") from None
        except httpx.TransportError:
            raise refused(UNSURE, "the connection to the server broke: it may be sent") from None
        try:
            found = json.decode(answer.content, type=dict[str, Any])
        except DecodeError:
            raise refused(UNREACHABLE, "the server does not answer as Hushwire does") from None
        if answer.status_code >= 300:
            raise Refused(int(found.get("code", answer.status_code)), answer.status_code,
                          str(found.get("message", "")), field=found.get("field"))  # fmt: skip
        return found

    return act


def _checked(act: Act) -> Act:
    """A dry run's faults, as the refusal they would be."""

    async def checked(given: dict[str, object], key: str) -> Mapping[str, Any]:
        output = await act(given, key)
        wrong: dict[str, str] = output.get("problems") or {}
        for field, reason in wrong.items():
            code, _, text = reason.partition(": ")
            raise Refused(int(code), INPUT.status, text, field=field)
        return {}

    return checked


@contextmanager
def _bar(total: int) -> Generator[Callable[[], None]]:
    """A bar on standard error, if that is a terminal."""
    err = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        rows = bar.add_task("rows", total=total)
        yield lambda: bar.advance(rows)
