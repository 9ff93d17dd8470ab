"""`hushwire keys`: show, rotate. Never a key."""

import os
import time
from typing import Final

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hushwire.actions.keyrotation import rotate_root_offline
from hushwire.api.keyrotation import PATH
from hushwire.cli.connection import Connection, Record, connect, data_option, json_option
from hushwire.cli.exits import Failed
from hushwire.cli.output import print_json
from hushwire.cli.tables import console, print_card
from hushwire.clock import Clock, SystemEntropy
from hushwire.settings import load
from hushwire.vault.providers import check_provider, shown
from hushwire.vault.rotation import VaultPlace

_LOOK_S: Final = 0.1  # between two looks at the progress


@click.group()
def keys() -> None:
    """Show how many keys there are, and rotate them. No key is ever shown.

    \b
    Examples:
      hushwire keys show
      hushwire keys rotate --all
      hushwire keys rotate --root
    """


@keys.command()
@json_option
@data_option
def show(as_json: bool, data: str | None) -> None:
    """Show how many keys there are, how old, and where the root key comes from.

    \b
    Examples:
      hushwire keys show
      hushwire keys show --json
    """
    with connect(data) as server:
        found = server.ask(PATH)
    if as_json:
        print_json(found)
        return
    print_card([
        ("root key from", found["root_provider"]),
        ("root key since", _moment(found["root_since"]) or "not known"),
        ("account keys", str(found["account_keys"])),
        ("oldest since", _moment(found["oldest_account_key"])),
        ("newest since", _moment(found["newest_account_key"])),
        ("under the root", f"{found['keys_under_root']} keys"),
        ("keys in the vault", f"{found['slots_live']:,}"),
        ("free slots", f"{found['slots_free']:,} in {found['slot_files']} files"),
        ("second copy", "yes" if found["copied"] else "no"),
        ("unfinished", str(found["rotations_unfinished"] or "") or None),
    ])  # fmt: skip


@keys.command()
@click.option("--root", is_flag=True, help="The root key")
@click.option("--account", metavar="SID", help="The key of one account")
@click.option("--all", "every", is_flag=True, help="The keys of all accounts")
@click.option("--to", metavar="PROVIDER", help="With --root: another provider, as in root_key")
@click.option("--offline", is_flag=True, help="With --root: no server runs; implied by --to")
@json_option
@data_option
def rotate(
    root: bool, account: str | None, every: bool, to: str | None, offline: bool, as_json: bool,
    data: str | None,
) -> None:  # fmt: skip
    """Exchange keys for new ones. What was sealed stays readable; the old keys open nothing.

    The server does it beside its traffic. What a stop or a crash cuts short goes on at its next
    start. Another provider for the root key needs a restart anyway: stop the server, rotate
    with --to, set root_key, and start it again.

    \b
    Examples:
      hushwire keys rotate --all
      hushwire keys rotate --account AC0123…
      hushwire keys rotate --root
      hushwire keys rotate --root --to env:HUSHWIRE_ROOT
    """
    if root + every + (account is not None) != 1:
        raise click.UsageError("give one of --root, --account and --all")
    if (to is not None or offline) and not root:
        raise click.UsageError("--to and --offline belong to --root")
    if account is not None and not account.isalnum():
        raise click.UsageError(f"{account!r} is no SID: AC and 32 hex digits")
    if to is not None or offline:
        _rotate_offline(to, data, as_json=as_json)
        return
    with connect(data) as server:
        server.post_json(f"{PATH}/rotate", {"rotate": account or ("root" if root else "all")})
        ended = _watch(server, quiet=as_json)
    if as_json:
        print_json(ended)
    elif ended["state"] != "failed":
        click.echo(_summary(ended))
    if ended["state"] == "failed":
        raise Failed(f"nothing was rotated: {ended['error']}")
    if ended["damaged"]:
        raise Failed(
            f"{ended['damaged']} keys open with neither key, so they were damaged before: see "
            "whether the disk is sound"
        )


def _rotate_offline(to: str | None, data: str | None, *, as_json: bool) -> None:
    if to is not None:
        check_provider(to)
    settings = load({"data": data}, os.environ)
    place = VaultPlace(settings.data, settings.root_key, os.environ, settings.vault_copy)
    line = rotate_root_offline(place, settings.database_path, to, Clock(), SystemEntropy())
    if as_json:
        print_json({"what": "root", "state": "done", "root_provider": shown(line)})
        return
    click.echo(f"The root key is a new one, from {shown(line)}. The old one opens nothing.")
    if line != settings.root_key:
        click.echo("Set root_key to the new provider before the server starts again.")


def _watch(server: Connection, *, quiet: bool) -> Record:
    """Wait for the end of the rotation, with a bar on a terminal."""
    out = console()
    columns = (
        TextColumn("rotating"), BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} messages"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=out, disable=quiet or not out.is_terminal) as bar:
        task = bar.add_task("", total=1)
        while True:
            progress = server.ask(f"{PATH}/rotate")
            if progress["state"] != "running":
                return progress
            total = max(progress["messages"], progress["messages_done"], 1)
            bar.update(task, total=total, completed=progress["messages_done"])
            time.sleep(_LOOK_S)


def _summary(ended: Record) -> str:
    if ended["what"] == "root":
        return f"The root key is a new one: {ended['keys']:,} keys wrapped anew under it."
    accounts = "1 account has" if ended["accounts"] == 1 else f"{ended['accounts']} accounts have"
    return f"{accounts} a new key: {ended['keys']:,} keys of messages wrapped anew."


def _moment(text: str | None) -> str | None:
    return None if text is None else f"{text[:19].replace('T', ' ')} UTC"
