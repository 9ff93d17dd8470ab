"""`hushwire settings`: every setting, its value and where it comes from."""

import os

import click

from hushwire.cli.output import print_json, print_settings
from hushwire.settings import describe, load_with_sources


@click.command()
@click.option("--data", metavar="DIR", help="The data directory whose hushwire.toml counts")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table")
def settings(data: str | None, as_json: bool) -> None:
    """Show every setting: value, unit, where it comes from, help. Secrets are masked.

    \b
    Examples:
      hushwire settings
      HUSHWIRE_PORT=9000 hushwire settings --json
    """
    rows = describe(*load_with_sources({"data": data}, os.environ))
    if as_json:
        print_json(rows)
    else:
        print_settings(rows)
