"""`hushwire up`: start the server and say how to use it."""

import os
import sys

import click

from hushwire import serve as server
from hushwire.cli.output import greeting
from hushwire.settings import Started, load


@click.command()
@click.option("--host", help="Address to listen on  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one  [default: 8008]")
@click.option("--data", metavar="DIR", help="Where everything is kept  [default: hushwire-data]")
@click.option("--sandbox/--no-sandbox", default=None, help="Simulated phones  [default: on]")
@click.option("--console/--no-console", default=None, help="The web console; no effect yet")
@click.option("--public-url", metavar="URL", help="What callers use when a proxy stands before it")
@click.option("--tls-cert", metavar="FILE", help="Certificate chain (PEM); with --tls-key")
@click.option("--tls-key", metavar="FILE", help="Private key (PEM); with --tls-cert")
@click.pass_context
def up(ctx: click.Context, **flags: object) -> None:
    """Start the server; Ctrl-C stops it with nothing lost.

    The first start makes an account, a token and a number, and keeps them in
    DIR/credentials.json, readable by you alone.

    \b
    Examples:
      hushwire up
      hushwire up --port 9000 --data /var/lib/hushwire
      hushwire up --no-sandbox --public-url https://sms.example.com
    """
    ctx.exit(server.run(load(flags, os.environ), _announce))


def _announce(started: Started) -> None:
    click.echo(greeting(started, terminal=sys.stdout.isatty()))
