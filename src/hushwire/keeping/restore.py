"""Restoring a backup: looked at whole, written beside, then put in place.

    look     manifest, every hash, which vault; nothing is changed
    stage    everything that will be put in place, written and synced beside it
    mark     `restore.unfinished` names the backup: from here on no server starts
    place    media, vault, database, each by a rename; the wire log says "nothing is known"
    unmark   the first start sweeps before it serves

A crash before the mark leaves the old state; one after it leaves the mark, and the same restore
again begins from the beginning.

A vault that is there stays: it is newer than any backup, and what it has forgotten stays
forgotten. Only where there is none is that of the backup put in place, without the keys that
the erasure log names.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from hushwire.clock import Entropy
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.keeping.backup import alone
from hushwire.keeping.manifest import (
    DATABASE,
    Manifest,
    Progress,
    SealedVault,
    Unusable,
    read_manifest,
    verify,
)
from hushwire.keeping.snapshot import Snapshot
from hushwire.keeping.staging import (
    Places,
    clear,
    places_of,
    put_in_place,
    stage_database,
    stage_media,
    stage_vault,
    staged,
)
from hushwire.keeping.state import CLOCK_OFFSET, UNFINISHED, State, read_state
from hushwire.settings import VAULT_BACKUP_DAYS_MAX, Settings
from hushwire.store.engine import FileLock
from hushwire.vault.backup_keys import BackupKeys
from hushwire.vault.erasures import ErasureLog
from hushwire.vault.files import sync_directory, write_whole
from hushwire.vault.slots import Slots
from hushwire.vault.withheld import beside, carry

_VAULT_TOO = "the vault, too"  # in the mark: what is there of a vault, this restore has put there


class Restored(Struct, frozen=True):
    """What a restore did."""

    backup: str
    data: str
    created: str  # when the backup was made
    vault: str  # "kept", or "restored"
    erased: int  # keys that the erasure log destroyed in the restored vault
    withheld: int  # keys that the withheld log names: what of them lives is withheld again


class Target(Struct, frozen=True):
    """Where to, and with what."""

    settings: Settings  # of the data directory that is written to
    keys: Path  # backup keys
    erasures: Path  # erasure log
    root: Callable[[], bytes]  # the root key, 32 bytes; raises Misconfigured
    overwrite: bool  # may a database that is there be replaced?


def replaces(settings: Settings) -> bool:
    """Is there a database, that no unfinished restore has put there?"""
    return settings.database_path.exists() and not (settings.data / UNFINISHED).exists()


def restore(backup: Path, target: Target, entropy: Entropy, progress: Progress) -> Restored:
    """Put the backup in place.

    Raises Misconfigured, Unusable, Busy, and OSError when a disk fails.
    """
    backup, data = backup.resolve(), target.settings.data
    manifest = read_manifest(backup)
    verify(backup, manifest, progress)
    if replaces(target.settings) and not target.overwrite:
        raise Unusable(f"{data} holds a database: give --yes to replace it, or another directory")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(data):
        lock = FileLock(data / "lock")
        places = places_of(target.settings, manifest.vault_id)
        try:
            clear(places)
            return _restore(backup, manifest, target, places, entropy, progress)
        finally:
            clear(places)
            lock.close()


def _restore(
    backup: Path, manifest: Manifest, target: Target, places: Places, entropy: Entropy,
    progress: Progress,
) -> Restored:  # fmt: skip
    mark = places.data / UNFINISHED
    database = Snapshot(backup / DATABASE)
    try:
        sealed = _vault_to_restore(manifest, places, target.settings.vault_copy)
        erased, timeline = 0, manifest.timeline
        if sealed is None:
            _require_this_vault(places.vault, manifest, database, target)
        else:
            key, refs = _unlock(sealed, target, int(database.meta(CLOCK_OFFSET) or 0))
            began = State(sealed.pair, entropy.bytes(16).hex(), backup.name)
            erased = stage_vault(backup, manifest, key, refs, places, began, progress)
            _require_this_vault(staged(places.vault), manifest, database, target, began.timeline)
            timeline = began.timeline
    finally:
        database.close()
    reach("restore.vault_staged")
    stage_database(backup, manifest, places, timeline, time.time_ns() // 1_000_000)
    reach("restore.database_staged")
    stage_media(backup, manifest, places, progress)
    reach("restore.staged")
    there = beside(target.settings.erasure_log_path)
    withheld = carry(beside(target.erasures), there, bytes.fromhex(manifest.vault_id))
    reach("restore.withheld_carried")
    said = f"{backup}\n{_VAULT_TOO if sealed is not None else ''}\n"
    write_whole(mark, said.encode())
    reach("restore.marked")
    put_in_place(places)
    mark.unlink()
    sync_directory(places.data)
    reach("restore.unmarked")
    kept = "kept" if sealed is None else "restored"
    return Restored(str(backup), str(places.data), manifest.created, kept, erased, withheld)


def _vault_to_restore(manifest: Manifest, places: Places, copy: Path | None) -> SealedVault | None:
    """The vault of the backup, if that is to be put in place; None when the one there stays."""
    mark = places.data / UNFINISHED
    placed_by_us = mark.exists() and _VAULT_TOO in mark.read_text(encoding="utf-8").splitlines()
    if any(places.vault.glob("*.slots")) and not placed_by_us:
        return None
    if copy is not None and any(copy.glob("*.slots")):
        raise Misconfigured(
            f"vault: {places.vault} holds none, but its copy {copy} does, and that is newer than "
            "any backup: copy its files there first"
        )
    if manifest.vault is None:
        raise Misconfigured(
            f"vault: this backup holds no keys (vault_backup was none) and there are none in "
            f"{places.vault}: put back the vault that the backup was made with"
        )
    return manifest.vault


def _unlock(sealed: SealedVault, target: Target, offset_ms: int) -> tuple[bytes, Sequence[int]]:
    """The backup key, and what was erased since. Raises Unusable, Misconfigured."""
    now_ms = time.time_ns() // 1_000_000 + offset_ms
    keys = BackupKeys.open(target.keys)
    try:
        keys.expire(now_ms, VAULT_BACKUP_DAYS_MAX)
        log = ErasureLog.open(target.erasures)
        try:
            for path, pair in ((target.keys, keys.pair), (target.erasures, log.pair)):
                if pair.hex() != sealed.pair:
                    raise Misconfigured(
                        f"{path} does not belong to this backup: name the one that was in use "
                        "when it was made"
                    )
            found = keys.find(bytes.fromhex(sealed.key), now_ms)
            if found is None:
                raise Unusable(
                    f"the vault in this backup opened until {sealed.until}: its key is destroyed, "
                    "nothing in it can be read any more"
                )
            return found.key, log.since(found.erasures_from)
        finally:
            log.close()
    finally:
        keys.close()


def _require_this_vault(
    vault: Path, manifest: Manifest, database: Snapshot, target: Target, timeline: str | None = None
) -> None:
    """Does it open with the root key, is it the one of the backup, has it the accounts' keys?"""
    slots = Slots.open(vault, target.root())
    try:
        if slots.vault_id.hex() != manifest.vault_id:
            raise Misconfigured(
                "vault: this backup was made with another vault: put back that one, or restore "
                "into another directory"
            )
        if read_state(vault).timeline != (timeline or manifest.timeline):
            raise Misconfigured(
                "vault: it was itself restored from a backup, and this backup is of the time that "
                "was lost: use a newer one"
            )
        for sid, ref in database.rows("account_keys"):
            if slots.read(ref) is None and slots.lags(ref):
                raise Misconfigured(f"vault: it is older than {sid}: put back the newest one")
            if slots.read(ref) is None:
                raise Unusable(
                    f"the key of {sid} was destroyed or rotated since this backup: nothing of that "
                    "account opens; use a newer backup"
                )
    finally:
        slots.close()
