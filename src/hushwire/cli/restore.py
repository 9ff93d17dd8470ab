"""`hushwire restore`: put a backup in place of a data directory, or into a new one."""

import os
import sys
from pathlib import Path

import click
from msgspec.structs import replace

from hushwire import faults
from hushwire.cli.output import print_json
from hushwire.cli.storage import Bar, storage_errors
from hushwire.cli.tables import print_card
from hushwire.clock import SystemEntropy
from hushwire.keeping.restore import Target, replaces
from hushwire.keeping.restore import restore as put_back
from hushwire.settings import Settings, load
from hushwire.vault.providers import Surroundings, read_root

WITHHELD = "{} keys at most; set lost holds and minimums again within 7 days"


@click.command()
@click.argument("backup", type=click.Path(path_type=Path))
@click.option("--data", metavar="DIR", help="The data directory  [default: hushwire-data]")
@click.option("--into", metavar="NEWDIR", type=click.Path(path_type=Path),
              help="A data directory without a database; settings as of --data")  # fmt: skip
@click.option("--erasures", metavar="FILE", type=click.Path(path_type=Path),
              help="The erasure log, if it is not where the settings say")  # fmt: skip
@click.option("--yes", is_flag=True, help="Replace the database that is there, without asking")
@click.option("--json", "as_json", is_flag=True, help="One JSON object")
def restore(
    backup: Path, data: str | None, into: Path | None, erasures: Path | None, *, yes: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Check the BACKUP whole, then put it in place. The server must be stopped.

    A vault that is there stays: what was erased since the backup stays erased. Only where there
    is none is the vault of the backup put back, without what the erasure log names. What came
    after the backup is lost, and at the next start its keys are destroyed.

    Killed on the way, it leaves the old state, or one that the server does not start from: run
    it again.

    \b
    Examples:
      hushwire restore /mnt/backups/hushwire-20260131T040000Z
      hushwire restore /mnt/backups/hushwire-20260131T040000Z --into /var/lib/hushwire --json
    """
    faults.arm_from_environment()
    settings = load({"data": data or into}, os.environ)
    target = _target(settings, into, erasures, overwrite=yes)
    if not yes and into is None and replaces(settings) and sys.stdin.isatty():
        click.confirm(
            f"Replace the database of {settings.data}? What came after the backup is lost",
            abort=True, err=True,
        )  # fmt: skip
        target = replace(target, overwrite=True)
    with storage_errors(), Bar() as bar:
        restored = put_back(backup, target, SystemEntropy(), bar)
    if as_json:
        print_json(restored)
        return
    print_card([
        ("Restored", restored.backup),
        ("Into", restored.data),
        ("As it was", restored.created),
        ("Vault", restored.vault),
        ("Erased again", str(restored.erased) if restored.vault == "restored" else None),
        ("Withheld", WITHHELD.format(restored.withheld) if restored.withheld else None),
    ])  # fmt: skip


def _target(
    settings: Settings, into: Path | None, erasures: Path | None, *, overwrite: bool
) -> Target:
    keys, log = settings.backup_keys_path, settings.erasure_log_path
    if into is not None:
        settings = replace(settings, data=into.absolute())
    around = Surroundings(settings.data, os.environ)
    return Target(
        settings=settings,
        keys=keys,
        erasures=erasures.absolute() if erasures is not None else log,
        root=lambda: read_root(settings.root_key, around),
        overwrite=overwrite and into is None,
    )
