"""`hushwire privacy retention`: show, set, confirm-clock."""

from typing import Final

import click

from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.tables import print_card
from hushwire.domain.retention import Retention

_NAMES: Final = Retention.__struct_fields__
_DEFAULT: Final = "default"
_MINIMUMS: Final = "minimums"

account_option = click.option(
    "--account", metavar="AC…", help="A subaccount of the connection's account"
)


class Days(click.ParamType[tuple[str, object]]):
    """NAME=DAYS as the API takes it; `default` is null."""

    name = "NAME=DAYS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        name, equals, word = str(value).partition("=")
        if not equals:
            self.fail(f"{name!r}: give NAME=DAYS, as in body_days=30")
        if name == _MINIMUMS:
            return name, word
        if name not in _NAMES:
            self.fail(f"there is no setting {name!r}: there are {', '.join(_NAMES)}, {_MINIMUMS}")
        if word == _DEFAULT:
            return name, None
        if not (word.isascii() and word.isdigit()):
            self.fail(f"{name} must be whole days, or {_DEFAULT}")
        return name, int(word)


@click.group()
def retention() -> None:
    """How long messages are kept at most, and at least.

    \b
    Examples:
      hushwire privacy retention show
      hushwire privacy retention set body_days=30 numbers_days=90
      hushwire privacy retention set minimums=twilio
    """


@retention.command()
@account_option
@json_option
@data_option
def show(account: str | None, as_json: bool, data: str | None) -> None:
    """Show the settings in force, in days.

    \b
    Examples:
      hushwire privacy retention show
      hushwire privacy retention show --account AC0123… --json
    """
    with connect(data) as server:
        settings = server.ask(_path(server, account))
    _print(settings, as_json=as_json)


@retention.command("set")
@click.argument("changes", type=Days(), nargs=-1, required=True)
@account_option
@json_option
@data_option
def set_(
    changes: tuple[tuple[str, object], ...], account: str | None, as_json: bool, data: str | None
) -> None:
    """Change settings. `default` puts a default back; `minimums=twilio` sets Twilio's minimums.

    \b
    body_days, numbers_days, media_days   forgotten so many days after its message was made
    metadata_days                         then the whole message goes
    body_minimum_days, numbers_minimum_days
                                          what is deleted earlier is gone for every reader, its
                                          key is destroyed after so many days

    They count for every message there is: what is too old by them goes within seconds.

    \b
    Examples:
      hushwire privacy retention set body_days=30
      hushwire privacy retention set minimums=twilio
      hushwire privacy retention set body_days=default
    """
    with connect(data) as server:
        settings = server.put_json(_path(server, account), dict(changes))
    _print(settings, as_json=as_json)


@retention.command("confirm-clock")
@json_option
@data_option
def confirm_clock(as_json: bool, data: str | None) -> None:
    """Say that the machine's clock is right, after it jumped: what is due by it is forgotten.

    \b
    Examples:
      hushwire privacy retention confirm-clock
    """
    with connect(data) as server:
        answer = server.post_json("/hushwire/v1/clock/confirm", {})
    if as_json:
        print_json(answer)
    else:
        click.echo("What is due is forgotten now" if answer["doubted"] else "It was not in doubt")


def _path(server: Connection, account: str | None) -> str:
    """The resource's path. What could not be a SID would name another path."""
    if account is not None and not account.isalnum():
        raise click.UsageError(f"{account!r} is no SID: AC and 32 hex digits")
    return f"/hushwire/v1/accounts/{account or server.account_sid}/retention"


def _print(settings: Record, *, as_json: bool) -> None:
    if as_json:
        print_json(settings)
    else:
        print_card([(name, f"{settings[name]} days") for name in _NAMES])
