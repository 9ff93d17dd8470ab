"""`hushwire backup`: take a backup, beside the running server or without it; verify one."""

import os
from pathlib import Path

import click
from msgspec import Struct

from hushwire import faults
from hushwire.cli.exits import Configuration
from hushwire.cli.output import print_json
from hushwire.cli.storage import Bar, sized, storage_errors
from hushwire.cli.tables import print_card
from hushwire.keeping.backup import Taken, take
from hushwire.keeping.manifest import DATABASE, Manifest, read_manifest, verify
from hushwire.keeping.snapshot import Snapshot
from hushwire.settings import load


class Summary(Struct, frozen=True):
    """A backup as people and programs read about it."""

    path: str
    created: str
    files: int
    size: int  # bytes
    media: str  # included, or elsewhere: in the bucket
    vault: bool
    opens_until: str | None  # the vault in it; None: there is none


@click.command()
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.option("--data", metavar="DIR", help="The data directory  [default: hushwire-data]")
@click.option("--verify", "path", metavar="PATH", type=click.Path(path_type=Path),
              help="Take none; read every file of this one and compare")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object")
def backup(dest: Path | None, data: str | None, path: Path | None, *, as_json: bool) -> None:
    """Back up the database and the media into a new folder of DEST, while the server runs.

    No message can be read with a backup alone: the keys are in the vault. Only if the setting
    vault_backup says for how many days, the vault is in it too, sealed under a key that is
    destroyed when they are over.

    \b
    Examples:
      hushwire backup /mnt/backups
      hushwire backup --verify /mnt/backups/hushwire-20260131T040000Z
    """
    faults.arm_from_environment()
    if (dest is None) == (path is None) and path is not None:
        raise click.UsageError("give DEST or --verify, not both")
    with storage_errors():
        if path is not None:
            summary = _verified(path)
        else:
            settings = load({"data": data}, os.environ)
            where = dest or settings.backups
            if where is None:
                raise Configuration("backups: no folder is set: name DEST, or set it")
            with Bar() as bar:
                summary = _summary(take(settings, where.absolute(), bar))
    if as_json:
        print_json(summary)
    else:
        _show(summary)


def _verified(path: Path) -> Summary:
    manifest = read_manifest(path)
    with Bar() as bar:
        verify(path, manifest, bar)
    database = Snapshot(path / DATABASE)
    try:
        database.check()
    finally:
        database.close()
    size = sum(file.size for file in manifest.files.values())
    return _summary(Taken(str(path), size, manifest))


def _summary(taken: Taken) -> Summary:
    manifest: Manifest = taken.manifest
    vault = manifest.vault
    return Summary(
        taken.path, manifest.created, len(manifest.files), taken.size, manifest.media,
        vault is not None, vault.until if vault is not None else None,
    )  # fmt: skip


def _show(summary: Summary) -> None:
    until = summary.opens_until
    media = "included" if summary.media == "included" else "in the bucket that media_url names"
    print_card([
        ("Backup", summary.path),
        ("Created", summary.created),
        ("Files", f"{summary.files} ({sized(summary.size)})"),
        ("Media", media),
        ("Vault", f"included; it opens until {until}" if until else "not included"),
    ])  # fmt: skip
