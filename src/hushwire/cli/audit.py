"""`hushwire audit`: head, list, verify."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress

from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.exits import Configuration, Failed
from hushwire.cli.messages import When
from hushwire.cli.output import print_json
from hushwire.cli.tables import print_table
from hushwire.domain.audit import AuditRecord, Verdict
from hushwire.domain.audit import verify as verify_chain
from hushwire.settings import load
from hushwire.store.audit import read_chain, read_head

LIMIT: Final = 50  # records a list shows unless told otherwise
_CHAIN: Final = "/hushwire/v1/audit/chain"
_HEAD: Final = "/hushwire/v1/audit/head"
_STEP: Final = 10_000  # records between two looks of the progress bar
_SHOWN: Final = 12  # hex digits of a hash in a table

_BREAKS: Final = {
    "missing": "record {seq} is missing",
    "changed": "record {seq} was changed",
    "reordered": "record {seq} is not in its place",
    "cut": "the head that was given is not in it: it was cut at its end, or written anew",
}


class Hex(click.ParamType[bytes]):
    """A hash, 64 hex digits."""

    name = "HEX"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> bytes:
        if len(value) != 64 or not all(c in "0123456789abcdefABCDEF" for c in value):
            self.fail(f"{value!r}: give the 64 hex digits that `hushwire audit head` told")
        return bytes.fromhex(value)


class Found(Struct, frozen=True):
    """What a verification found, as JSON shows it."""

    records: int  # that hold, from the beginning
    head: str  # hash of the last of them
    broken: str | None  # `missing`, `changed`, `reordered`, `cut`
    at: int | None  # number of the record where
    seconds: float


@click.group()
def audit() -> None:
    """See what was forgotten and revealed, and prove that nobody rewrote the record of it.

    \b
    Examples:
      hushwire audit list --since 7d
      hushwire audit head
      hushwire audit verify --data hushwire-data
    """


@audit.command("list")
@click.option("--since", type=When(), help="From then on: 2026-01-31, 2026-01-31T12:00, 2h")
@click.option("--until", type=When(), help="Until then, in the same forms")
@click.option("--what", metavar="WORD", help="Only these: message.redacted, api_key.made, …")
@click.option("--subject", metavar="SID", help="Only what is about this")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N")
@json_option
@data_option
def list_(
    since: str | None, until: str | None, what: str | None, subject: str | None, limit: int,
    as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """List the records of your account and its subaccounts, newest first. Times are UTC.

    \b
    Examples:
      hushwire audit list --since 7d
      hushwire audit list --subject SM0123… --json
    """
    given = {"StartDate": since, "EndDate": until, "What": what, "Subject": subject}
    query = {name: value for name, value in given.items() if value is not None}
    with connect(data) as server:
        path = f"/hushwire/v1/accounts/{server.account_sid}/audit"
        found = list(server.pages(path, "audit", limit, query))
    if as_json:
        print_json(found)
        return
    headings = ("record", "at, UTC", "what", "of", "by", "detail")
    print_table(headings, [_row(record) for record in found])


@audit.command()
@json_option
@data_option
def head(as_json: bool, data: str | None) -> None:
    """Tell the number and hash of the newest record of the server. Keep them elsewhere.

    Whoever could change the database could write the whole chain anew; a head that was kept
    elsewhere shows it. Only the account of the first start may ask.

    \b
    Examples:
      hushwire audit head
      hushwire audit head --json >> /mnt/elsewhere/heads.jsonl
    """
    with connect(data) as server:
        found = server.ask(_HEAD)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{found['seq']} {found['hash']}")


@audit.command()
@click.option("--head", "anchor", type=Hex(), help="A hash told earlier, that must be in it")
@click.option("--data", metavar="DIR", help="Read the database in DIR itself; no server is asked")
@json_option
def verify(anchor: bytes | None, data: str | None, as_json: bool) -> None:
    """Check every hash of the chain, from its first record to its last. Exit 1 where it breaks.

    With --data the database is read, whether a server uses it or not. Else the chain is asked
    for from the server, record by record, and checked here: the account of the first start may.

    \b
    Examples:
      hushwire audit verify
      hushwire audit verify --data hushwire-data --head 5f0c…
    """
    began = time.perf_counter()
    if data is not None:
        path = load({"data": data}, os.environ).database_path
        if not path.exists():
            raise Configuration(f"{path} is not there: give a server's data directory with --data")
        verdict = _verify(read_chain(path), anchor, read_head(path).seq)
    else:
        with connect(None) as server:
            verdict = _verify(_asked(server), anchor, server.ask(_HEAD)["seq"])
    _tell(verdict, time.perf_counter() - began, anchored=anchor is not None, as_json=as_json)


def _verify(records: Iterable[AuditRecord], anchor: bytes | None, length: int) -> Verdict:
    out = Console(stderr=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("records", total=length)
        return verify_chain(_counted(records, lambda n: bar.advance(task, n)), anchor)


def _counted(
    records: Iterable[AuditRecord], advance: Callable[[int], None]
) -> Iterator[AuditRecord]:
    """The records, while the bar is told how many went by."""
    coming = iter(records)
    while some := list(islice(coming, _STEP)):
        yield from some
        advance(len(some))


def _asked(server: Connection) -> Iterator[AuditRecord]:
    """The chain as the server tells it."""
    after = 0
    while rows := server.ask(f"{_CHAIN}?After={after}")["records"]:
        yield from map(_record, rows)
        if rows[-1][0] <= after:
            return
        after = rows[-1][0]


def _record(row: list[Any]) -> AuditRecord:
    try:
        return msgspec.convert([*row[:-1], bytes.fromhex(row[-1])], AuditRecord)
    except (msgspec.ValidationError, ValueError, TypeError):
        raise Failed("the server tells records that are none: is it another version?") from None


def _tell(verdict: Verdict, seconds: float, *, anchored: bool, as_json: bool) -> None:
    head, broken = verdict.head, verdict.broken
    if as_json:
        print_json(
            Found(
                head.seq, head.hash.hex(), broken.kind if broken is not None else None,
                broken.seq if broken is not None else None, round(seconds, 3),
            )
        )  # fmt: skip
    elif broken is None:
        click.echo(f"{head.seq} records hold, {head.seq / max(seconds, 1e-9):,.0f} a second")
        click.echo(f"head {head.hash.hex()}")
        if anchored:
            click.echo("the head that was given is in it")
    if broken is not None:
        what = _BREAKS[broken.kind].format(seq=broken.seq)
        raise Failed(f"the audit log is broken: {what}. It holds up to record {head.seq}")


def _row(record: Record) -> tuple[str, ...]:
    subjects = record["subjects"]
    more = f" +{len(subjects) - 1}" if len(subjects) > 1 else ""
    detail = f"{record['detail']}: {record['reason']}" if record["reason"] else record["detail"]
    return (
        f"{record['seq']} {record['hash'][:_SHOWN]}",
        record["at"][:19].replace("T", " "),
        record["what"],
        f"{subjects[0]}{more}" if subjects else record["account_sid"],
        record["actor_sid"] or "the server",
        detail,
    )
