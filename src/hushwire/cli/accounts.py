"""`hushwire accounts`: list, show."""

import click

from hushwire.cli.action_door import connection_option, run_through
from hushwire.cli.connection import Record, connect, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.tables import moment, print_card, print_table

LIMIT = 50  # accounts a list shows unless told otherwise


@click.group()
def accounts() -> None:
    """List and show accounts: your own and its subaccounts.

    \b
    Examples:
      hushwire accounts list
      hushwire accounts show
    """


@accounts.command("list")
@click.option("--status", type=click.Choice(["active", "suspended", "closed"]), help="Only these")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N")
@connection_option
@json_option
@data_option
def list_(
    status: str | None, limit: int, connection: str | None, as_json: bool, data: str | None
) -> None:
    """List your account and its subaccounts.

    \b
    Examples:
      hushwire accounts list
      hushwire accounts list --status suspended --json
    """
    if connection is not None:
        asked = {"status": status, "limit": limit}
        found: list[Record] = run_through(connection, "list_accounts", asked, data)["accounts"]
    else:
        query = {"Status": status} if status else {}
        with connect(data) as server:
            found = list(server.pages("/2010-04-01/Accounts.json", "accounts", limit, query))
    if as_json:
        print_json(found)
        return
    print_table(
        ("sid", "status", "created, UTC", "name"),
        [
            (
                account["sid"],
                account["status"],
                moment(account["date_created"]),
                account["friendly_name"],
            )
            for account in found
        ],
    )


@accounts.command()
@click.argument("sid", required=False)
@connection_option
@json_option
@data_option
def show(sid: str | None, connection: str | None, as_json: bool, data: str | None) -> None:
    """Show an account: your own, or the one named. Tokens are never shown.

    \b
    Examples:
      hushwire accounts show
      hushwire accounts show AC0123… --json
    """
    if sid is not None and not sid.isalnum():
        raise click.UsageError(f"{sid!r} is no SID: AC and 32 hex digits")
    if connection is not None:
        if sid is None:
            raise click.UsageError("with --connection, name the account by its SID")
        account = run_through(connection, "retrieve_account", {"sid": sid}, data)
    else:
        with connect(data) as server:
            account = server.ask(f"/2010-04-01/Accounts/{sid or server.account_sid}.json")
    if as_json:
        print_json(account)
        return
    parent = account["owner_account_sid"]
    print_card([
        ("sid", account["sid"]),
        ("name", account["friendly_name"]),
        ("status", account["status"]),
        ("type", account["type"]),
        ("parent", None if parent == account["sid"] else parent),
        ("created", moment(account["date_created"])),
        ("updated", moment(account["date_updated"])),
    ])  # fmt: skip
