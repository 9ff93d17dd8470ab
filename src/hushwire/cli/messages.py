"""`hushwire messages`: list, show, send, reveal, redact, delete."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from hushwire.cli.action_door import (
    address_retention_option,
    connection_option,
    content_retention_option,
    run_through,
)
from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.exits import Failed
from hushwire.cli.output import print_json
from hushwire.cli.tables import (
    WIDE,
    console,
    moment,
    one_line,
    parties,
    print_card,
    print_table,
    status_text,
)

LIMIT: Final = 20  # messages a list shows unless told otherwise

_AGO: Final = re.compile(r"(\d{1,6})([smhd])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

show_numbers = click.option(
    "--show-numbers", is_flag=True, help="Do not mask the numbers of others"
)


class When(click.ParamType[str]):
    """A date, a time in UTC, or how long ago: what Twilio's `DateSent` takes."""

    name = "WHEN"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        ago = _AGO.match(value)
        if ago is not None:
            at = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return f"{at:%Y-%m-%dT%H:%M:%SZ}"
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r}: give 2026-01-31, 2026-01-31T12:00, or 30m, 2h, 7d ago")
        if len(value) == len("2026-01-31"):
            return value
        at = at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@click.group()
def messages() -> None:
    """List, show, send, reveal, redact and delete messages.

    \b
    Examples:
      hushwire messages send --to +14155550123 --body "Your table is ready"
      hushwire messages list --since 2h
      hushwire messages redact SM0123…
    """


@messages.command("list")
@click.option("--to", metavar="NUMBER", help="Only to this number")
@click.option("--from", "from_", metavar="NUMBER", help="Only from this number")
@click.option("--since", type=When(), help="Sent at or after: 2026-01-31, 2026-01-31T12:00, 2h")
@click.option("--until", type=When(), help="Sent at or before, in the same forms")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N")
@show_numbers
@connection_option
@json_option
@data_option
def list_(
    to: str | None, from_: str | None, since: str | None, until: str | None, limit: int,
    show_numbers: bool, connection: str | None, as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """List messages, newest first.

    Bodies are cut to the terminal's width and the numbers of others are masked. With --json
    each message is whole, as Twilio's API shows it. Times are UTC.

    \b
    Examples:
      hushwire messages list
      hushwire messages list --to +14155550123 --since 7d --show-numbers
      hushwire messages list --limit 1000 --json
    """
    if connection is not None:
        asked = {"to": to, "from": from_, "date_sent_after": since, "date_sent_before": until}
        listed = run_through(connection, "list_messages", {**asked, "limit": limit}, data)
        found: list[Record] = listed["messages"]
    else:
        given = {"To": to, "From": from_, "DateSent>": since, "DateSent<": until}
        query = {name: value for name, value in given.items() if value is not None}
        with connect(data) as server:
            path = server.account("/Messages.json")
            found = list(server.pages(path, "messages", limit, query))
    if as_json:
        print_json(found)
        return
    _table(found, show_numbers=show_numbers, wide=console().width >= WIDE)


@messages.command()
@click.argument("sid")
@show_numbers
@connection_option
@json_option
@data_option
def show(
    sid: str, show_numbers: bool, connection: str | None, as_json: bool, data: str | None
) -> None:
    """Show one message with its whole body, what happened to it, and what still holds what.

    A hold keeps a part of it alive. It ends at the time that is shown, or before. What happened,
    and holds, are known of messages of this server alone.

    \b
    Examples:
      hushwire messages show SM0123…
      hushwire messages show SM0123… --json
    """
    if connection is not None:
        message = run_through(connection, "retrieve_message", {"sid": sid}, data)
        if as_json:
            print_json(message)
        else:
            _card(message, show_numbers=show_numbers)
        return
    with connect(data) as server:
        message = server.get(_path(sid))
        if as_json:
            print_json(message)
            return
        own = f"/hushwire/v1/accounts/{server.account_sid}/messages/{sid}"
        lived, kept = server.ask(f"{own}/history"), server.ask(f"{own}/holds")
    changes = [
        f"{change['at']}  {change['fact']}"
        + (f" {change['error_code']}" if change["error_code"] else "")
        for change in lived["history"]
    ]
    _card(message, show_numbers=show_numbers, history="\n".join(changes), kept=kept)


@messages.command()
@click.option("--to", required=True, metavar="NUMBER", help="The recipient, E.164")
@click.option("--from", "from_", metavar="NUMBER", help="A number of yours, if you own several")
@click.option("--body", required=True, metavar="TEXT", help="The text; - reads standard input")
@click.option("--status-callback", metavar="URL", help="Called when the status changes")
@content_retention_option
@address_retention_option
@connection_option
@json_option
@data_option
def send(
    to: str, from_: str | None, body: str, status_callback: str | None,
    content_retention: str | None, address_retention: str | None, connection: str | None,
    as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Send a message. It is queued when the command ends; `hushwire tail` follows it.

    Other users of this machine can see a command line: --body - keeps the text off it.

    \b
    Examples:
      hushwire messages send --to +14155550123 --body "Your table is ready"
      echo "Your code is 4711" | hushwire messages send --to +14155550123 --body -
    """
    text = sys.stdin.read().rstrip("\n") if body == "-" else body
    if connection is not None:
        given = {
            "to": to, "from": from_, "body": text, "status_callback": status_callback,
            "content_retention": content_retention, "address_retention": address_retention,
        }  # fmt: skip
        message = run_through(connection, "send_message", given, data)
    else:
        asked = {
            "StatusCallback": status_callback, "ContentRetention": content_retention,
            "AddressRetention": address_retention,
        }  # fmt: skip
        form = {"To": to, "Body": text} | {n: v for n, v in asked.items() if v is not None}
        with connect(data) as server:
            message = server.post("/Messages.json", **form, From=from_ or _only_number(server))
    if as_json:
        print_json(message)
    else:
        click.echo(f"{message['sid']} {message['status']}")


@messages.command()
@click.argument("sid")
@click.option("--reason", required=True, metavar="TEXT", help="Why; - reads standard input")
@json_option
@data_option
def reveal(sid: str, reason: str, as_json: bool, data: str | None) -> None:
    """Show what lives of a message, body and numbers, for a reason, on the record.

    The audit log names the message, who asked and when, before anything is shown. The reason,
    up to 200 characters, is sealed and kept for 30 days.

    \b
    Examples:
      hushwire messages reveal SM0123… --reason "Complaint 4711"
      echo "Complaint 4711" | hushwire messages reveal SM0123… --reason -
    """
    text = sys.stdin.read().strip() if reason == "-" else reason
    _path(sid)
    with connect(data) as server:
        path = f"/hushwire/v1/accounts/{server.account_sid}/messages/{sid}/reveal"
        found = server.post_json(path, {"reason": text})
    if as_json:
        print_json(found)
        return
    media = found["media"]
    print_card([
        ("sid", found["sid"]),
        ("from", found["from"] or "(forgotten)"),
        ("to", found["to"] or "(forgotten)"),
        ("body", "(forgotten)" if found["body"] is None else found["body"]),
        ("media", "(forgotten)" if media is None else "\n".join(m["uri"] for m in media) or None),
        ("forgotten", found["forgotten_at"]),
    ])  # fmt: skip


@messages.command()
@click.argument("sid")
@connection_option
@json_option
@data_option
def redact(sid: str, connection: str | None, as_json: bool, data: str | None) -> None:
    """Forget the body of a finished message. It cannot be brought back; the rest stays.

    \b
    Examples:
      hushwire messages redact SM0123…
    """
    if connection is not None:
        message = run_through(connection, "redact_message", {"sid": sid}, data)
    else:
        with connect(data) as server:
            message = server.post(_path(sid), Body="")
    if as_json:
        print_json(message)
    else:
        click.echo(f"{message['sid']} body forgotten")


@messages.command()
@click.argument("sid")
@click.option("--yes", is_flag=True, help="Do not ask")
@connection_option
@json_option
@data_option
def delete(sid: str, yes: bool, connection: str | None, as_json: bool, data: str | None) -> None:
    """Forget a finished message altogether. It cannot be brought back.

    \b
    Examples:
      hushwire messages delete SM0123…
      hushwire messages delete SM0123… --yes
    """
    if not yes:
        click.confirm(f"Forget message {sid} for ever?", abort=True, err=True)
    if connection is not None:
        run_through(connection, "delete_message", {"sid": sid}, data)
    else:
        with connect(data) as server:
            server.delete(_path(sid))
    if as_json:
        print_json({"sid": sid, "deleted": True})
    else:
        click.echo(f"{sid} deleted")


def _path(sid: str) -> str:
    """The resource's path. What could not be a SID would name another path."""
    if not sid.isalnum():
        raise click.UsageError(f"{sid!r} is no SID: SM and 32 hex digits")
    return f"/Messages/{sid}.json"


def _only_number(server: Connection) -> str:
    path = server.account("/IncomingPhoneNumbers.json")
    owned = list(server.pages(path, "incoming_phone_numbers", 2, {}))
    if len(owned) != 1:
        own = "several numbers" if owned else "no number"
        raise Failed(f"this account has {own}: say with --from which one to send from")
    phone: str = owned[0]["phone_number"]
    return phone


def _table(found: Sequence[Record], *, show_numbers: bool, wide: bool) -> None:
    """In 80 columns there is room for a SID, but not for the year and both numbers."""
    rows = [
        (
            message["sid"],
            moment(message["date_sent"] or message["date_created"])[0 if wide else 5 :],
            status_text(message["status"], message["error_code"] if wide else None),
            parties(message, show=show_numbers, both=wide),
            one_line(message["body"]),
        )
        for message in found
    ]
    print_table(("sid", "UTC", "status", "from → to" if wide else "with", "body"), rows)


def _card(
    message: Record, *, show_numbers: bool, history: str | None = None, kept: Record | None = None
) -> None:
    code, kept = message["error_code"], kept or {"holds": [], "forgotten": []}
    held = [
        f"{row['part']}  until {row['until'] or 'it is lifted'}: {row['reason']}"
        for row in kept["holds"]
    ]
    gone = [f"{row['part']}  {row['at'] or ''}".rstrip() for row in kept["forgotten"]]
    print_card([
        ("sid", message["sid"]),
        ("status", status_text(message["status"], code)),
        ("error", message["error_message"]),
        ("direction", message["direction"]),
        ("from → to", parties(message, show=show_numbers, both=True)),
        ("segments", message["num_segments"]),
        ("media", None if message["num_media"] == "0" else message["num_media"]),
        ("created", moment(message["date_created"])),
        ("sent", moment(message["date_sent"])),
        ("body", message["body"] or "(forgotten or empty)"),
        ("history", history),
        ("held", "\n".join(held) or None),
        ("forgotten", "\n".join(gone) or None),
    ])  # fmt: skip
