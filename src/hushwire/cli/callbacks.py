"""`hushwire callbacks`: list, redeliver."""

import click

from hushwire.cli.connection import connect, data_option, json_option
from hushwire.cli.output import print_json
from hushwire.cli.tables import print_table

LIMIT = 50  # attempts a list shows unless told otherwise


@click.group()
def callbacks() -> None:
    """See what became of status callbacks, and have them posted again.

    \b
    Examples:
      hushwire callbacks list --outcome connect
      hushwire callbacks redeliver SM0123…
      hushwire callbacks redeliver --from 2026-03-01T10:00:00Z --to 2026-03-01T12:00:00Z
    """


@callbacks.command("list")
@click.option("--message", metavar="SID", help="Only those of one message")
@click.option("--outcome", metavar="WORD", help="Only these: answered, status, connect, …")
@click.option("--limit", type=click.IntRange(1), default=LIMIT, show_default=True, metavar="N")
@json_option
@data_option
def list_(
    message: str | None, outcome: str | None, limit: int, as_json: bool, data: str | None
) -> None:
    """List the attempts that the log keeps, newest first. It holds no URL and no content.

    \b
    Examples:
      hushwire callbacks list
      hushwire callbacks list --message SM0123… --json
    """
    given = {"MessageSid": message, "Outcome": outcome}
    query = {name: value for name, value in given.items() if value is not None}
    with connect(data) as server:
        path = f"/hushwire/v1/accounts/{server.account_sid}/callbacks"
        found = list(server.pages(path, "callbacks", limit, query))
    if as_json:
        print_json(found)
        return
    print_table(
        ("message", "told", "try", "outcome", "ms", "at, UTC"),
        [
            (
                attempt["message_sid"],
                attempt["message_status"],
                str(attempt["attempt"]),
                f"{attempt['outcome']} {attempt['http_status'] or ''}".strip(),
                str(attempt["duration_ms"]),
                attempt["at"].replace("T", " ").removesuffix("Z"),
            )
            for attempt in found
        ],
    )


@callbacks.command()
@click.argument("sid", required=False)
@click.option("--from", "from_", metavar="TIME", help="What failed since then, …")
@click.option("--to", metavar="TIME", help="… and until then")
@json_option
@data_option
def redeliver(
    sid: str | None, from_: str | None, to: str | None, as_json: bool, data: str | None
) -> None:
    """Post the callbacks of one message again, or those that failed in a span of time.

    \b
    Examples:
      hushwire callbacks redeliver SM0123…
      hushwire callbacks redeliver --from 2026-03-01T10:00:00Z --to 2026-03-01T12:00:00Z
    """
    if (sid is None) == (from_ is None or to is None):
        raise click.UsageError("give a message's SID, or --from and --to")
    given = {"message_sid": sid, "from": from_, "to": to}
    wanted = {name: value for name, value in given.items() if value is not None}
    with connect(data) as server:
        path = f"/hushwire/v1/accounts/{server.account_sid}/callbacks/redeliver"
        answer = server.post_json(path, wanted)
    if as_json:
        print_json(answer)
    else:
        count = answer["redelivered"]
        click.echo(f"{count} callback{'' if count == 1 else 's'} will be posted again")
