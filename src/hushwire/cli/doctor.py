"""`hushwire doctor`: is this machine fit for what is promised? Without a server or beside one."""

import os

import click
from rich.text import Text

from hushwire.cli.output import print_json
from hushwire.cli.tables import console
from hushwire.keeping.facts import gather
from hushwire.keeping.findings import Finding, findings, is_well
from hushwire.settings import load

_STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


@click.command()
@click.option("--data", metavar="DIR", help="The data directory  [default: hushwire-data]")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table")
@click.pass_context
def doctor(ctx: click.Context, data: str | None, *, as_json: bool) -> None:
    """Check disks, permissions, swap, clock, backups and settings; say the cure of each.

    It changes nothing and asks nobody. Exit 1 when something is bad; a warning is no failure.

    \b
    Examples:
      hushwire doctor
      hushwire doctor --json
    """
    settings = load({"data": data}, os.environ)
    found = findings(settings, gather(settings))
    if as_json:
        print_json(found)
    else:
        _show(found)
    ctx.exit(0 if is_well(found) else 1)


def _show(found: list[Finding]) -> None:
    out = console()
    width = max(len(finding.check) for finding in found)
    for finding in found:
        line = Text(f"{finding.grade:4}  ", _STYLES[finding.grade])
        line.append(f"{finding.check:{width}}  ", "bold")
        line.append(finding.found, "default")
        out.print(line, soft_wrap=True)
        if finding.cure:
            out.print(Text(f"{'':6}{'':{width}}  {finding.cure}"), soft_wrap=True)
