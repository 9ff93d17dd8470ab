"""`hushwire numbers`: list, buy, release."""

import click

from hushwire.cli.action_door import connection_option, run_through
from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.exits import Failed
from hushwire.cli.output import print_json
from hushwire.cli.tables import moment, print_table

LIMIT = 50  # numbers a list shows unless told otherwise
_PATH = "/IncomingPhoneNumbers.json"
_KEY = "incoming_phone_numbers"


@click.group()
def numbers() -> None:
    """List, buy and release the numbers you send from.

    \b
    Examples:
      hushwire numbers list
      hushwire numbers buy --area-code 415
      hushwire numbers release +14155550100
    """


@numbers.command("list")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N")
@connection_option
@json_option
@data_option
def list_(limit: int, connection: str | None, as_json: bool, data: str | None) -> None:
    """List your numbers. They are yours, so they are not masked.

    \b
    Examples:
      hushwire numbers list
      hushwire numbers list --json
    """
    if connection is not None:
        found: list[Record] = run_through(connection, "list_numbers", {"limit": limit}, data)[_KEY]
    else:
        with connect(data) as server:
            found = list(server.pages(server.account(_PATH), _KEY, limit, {}))
    if as_json:
        print_json(found)
        return
    print_table(
        ("number", "sid", "can", "since, UTC", "name"),
        [
            (
                number["phone_number"],
                number["sid"],
                " ".join(name for name, can in number["capabilities"].items() if can),
                moment(number["date_created"]),
                number["friendly_name"],
            )
            for number in found
        ],
    )


@numbers.command()
@click.argument("number", required=False)
@click.option("--area-code", metavar="NNN", help="Any number of this area (US and Canada)")
@json_option
@data_option
def buy(number: str | None, area_code: str | None, as_json: bool, data: str | None) -> None:
    """Buy a number: the one named, or any of an area.

    \b
    Examples:
      hushwire numbers buy +14155550100
      hushwire numbers buy --area-code 415
    """
    if (number is None) == (area_code is None):
        raise click.UsageError("give a number, or --area-code")
    form = {"PhoneNumber": number} if number is not None else {"AreaCode": area_code or ""}
    with connect(data) as server:
        bought = server.post(_PATH, **form)
    if as_json:
        print_json(bought)
    else:
        click.echo(f"{bought['phone_number']} is yours ({bought['sid']})")


@numbers.command()
@click.argument("number")
@click.option("--yes", is_flag=True, help="Do not ask")
@json_option
@data_option
def release(number: str, yes: bool, as_json: bool, data: str | None) -> None:
    """Release a number of yours, named by itself or by its SID. Somebody else may buy it.

    \b
    Examples:
      hushwire numbers release +14155550100
      hushwire numbers release PN0123… --yes
    """
    with connect(data) as server:
        owned = _find(server, number)
        phone: str = owned["phone_number"]
        if not yes:
            click.confirm(f"Release {phone}?", abort=True, err=True)
        server.delete(f"/IncomingPhoneNumbers/{owned['sid']}.json")
    if as_json:
        print_json({"sid": owned["sid"], "phone_number": phone, "released": True})
    else:
        click.echo(f"{phone} released")


def _find(server: Connection, number: str) -> Record:
    if number.startswith("PN") and number.isalnum():
        return server.get(f"/IncomingPhoneNumbers/{number}.json")
    # Twilio's filter takes parts of numbers too: only the whole one counts here.
    query = {"PhoneNumber": number}
    for owned in server.pages(server.account(_PATH), _KEY, 1000, query):
        if owned["phone_number"] == number:
            return owned
    raise Failed(f"{number} is not a number of this account: `hushwire numbers list` shows them")
