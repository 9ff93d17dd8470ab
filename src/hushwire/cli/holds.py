"""`hushwire holds`: add, list, lift."""

import click

from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.tables import print_card, print_table

account_option = click.option(
    "--account", metavar="AC…", help="A subaccount of the connection's account"
)


@click.group()
def holds() -> None:
    """Legal holds: while one is in force, nothing that it is about is destroyed.

    \b
    Examples:
      hushwire holds add --author "Ada Counsel" --reason "case 7" --phone +14155550123
      hushwire holds list
      hushwire holds lift LH0123…
    """


@holds.command()
@click.option("--author", required=True, metavar="NAME", help="Who answers for it")
@click.option("--reason", required=True, metavar="TEXT", help="Why; both are kept sealed")
@click.option("--message", metavar="SID", help="It is about this message alone")
@click.option("--phone", metavar="NUMBER", help="It is about all messages with this number")
@account_option
@json_option
@data_option
def add(
    author: str, reason: str, message: str | None, phone: str | None, account: str | None,
    as_json: bool, data: str | None,
) -> None:  # fmt: skip
    """Set a hold: on a message, on a number, or, without either, on the whole account.

    \b
    Examples:
      hushwire holds add --author "Ada Counsel" --reason "case 7"
      hushwire holds add --author "Ada Counsel" --reason "case 7" --message SM0123…
    """
    if message is not None and phone is not None:
        raise click.UsageError("give --message or --phone, not both")
    wanted = {"author": author, "reason": reason, "message_sid": message, "phone": phone}
    given = {name: value for name, value in wanted.items() if value is not None}
    with connect(data) as server:
        hold = server.post_json(_path(server, account), given)
    _print(hold, as_json=as_json)


@holds.command("list")
@account_option
@json_option
@data_option
def list_(account: str | None, as_json: bool, data: str | None) -> None:
    """List legal holds, newest first. A number is not shown: only its keyed hash is kept.

    \b
    Examples:
      hushwire holds list
      hushwire holds list --json
    """
    with connect(data) as server:
        found: list[Record] = server.ask(_path(server, account))["legal_holds"]
    if as_json:
        print_json(found)
        return
    print_table(
        ("hold", "about", "author", "set, UTC", "lifted, UTC", "reason"),
        [
            (
                hold["sid"], hold["message_sid"] or hold["scope"], hold["author"],
                _time(hold["set"]), _time(hold["lifted"]), hold["reason"],
            )
            for hold in found
        ],
    )  # fmt: skip


@holds.command()
@click.argument("sid")
@account_option
@json_option
@data_option
def lift(sid: str, account: str | None, as_json: bool, data: str | None) -> None:
    """Lift a hold. What it alone kept is destroyed within seconds.

    \b
    Examples:
      hushwire holds lift LH0123…
    """
    if not sid.isalnum():
        raise click.UsageError(f"{sid!r} is no SID: LH and 32 hex digits")
    with connect(data) as server:
        hold = server.post_json(f"{_path(server, account)}/{sid}/lift", {})
    _print(hold, as_json=as_json)


def _path(server: Connection, account: str | None) -> str:
    """The collection's path. What could not be a SID would name another path."""
    if account is not None and not account.isalnum():
        raise click.UsageError(f"{account!r} is no SID: AC and 32 hex digits")
    return f"/hushwire/v1/accounts/{account or server.account_sid}/legal-holds"


def _print(hold: Record, *, as_json: bool) -> None:
    if as_json:
        print_json(hold)
        return
    print_card([
        ("sid", hold["sid"]), ("about", hold["message_sid"] or hold["scope"]),
        ("author", hold["author"]), ("reason", hold["reason"]), ("set", _time(hold["set"])),
        ("lifted", _time(hold["lifted"])),
    ])  # fmt: skip


def _time(at: str | None) -> str:
    return at.replace("T", " ").removesuffix("Z") if at else "-"
