"""Taking a backup, while the server runs or not.

The database first, as it was at one moment. Then, by policy, the vault under a backup key of
its own; whatever the rows of that moment name is in the vault by then, or was destroyed. Then
the media that the rows name. All of it is written and synced under a name that ends in `.part`;
the manifest comes last, and the name of a whole backup after it.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from hushwire import __version__
from hushwire.clock import Entropy, SystemEntropy
from hushwire.domain.audit import Draft
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.keeping.images import SUFFIX, root_part, seal_image, slot_files
from hushwire.keeping.manifest import (
    DATABASE,
    FORMAT,
    MEDIA,
    NAME,
    VAULT,
    File,
    Manifest,
    Progress,
    SealedVault,
    Unusable,
    describe,
    pieces,
    write_synced,
)
from hushwire.keeping.snapshot import Snapshot, copy_database
from hushwire.keeping.state import CLOCK_OFFSET, TIMELINE, VAULT_ID, read_state, require_restored
from hushwire.settings import Settings
from hushwire.store.audit import add_to
from hushwire.vault.backup_keys import BackupKey, BackupKeys
from hushwire.vault.erasures import ErasureLog
from hushwire.vault.files import sync_directory

PLACE: Final = "place"  # the object that marks where media lie: see store/objects.py
_PREFIX: Final = "hushwire-"
_PART: Final = ".part"


class Taken(Struct, frozen=True):
    """A backup that is whole."""

    path: str
    size: int  # bytes
    manifest: Manifest


class Busy(Exception):
    """Another backup or a restore is under way: come back later."""


def take(settings: Settings, destination: Path, progress: Progress,
         entropy: Entropy | None = None) -> Taken:  # fmt: skip
    """Back up what `settings` name into a new folder of `destination`.

    Raises Misconfigured, Unusable, Busy, and OSError or apsw.Error when a disk fails.
    """
    require_restored(settings.data)
    if not settings.database_path.is_file():
        raise Misconfigured(f"data: {settings.database_path} is not there: name the data directory")
    destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_leftovers(destination)
    with alone(settings.data):
        now, final = _name(destination)
        with _part(final) as part:
            manifest = _fill(part, settings, now, progress, entropy or SystemEntropy())
            size = write_synced(part / NAME, (_encoded(manifest),)).size
            for folder in (*(path for path in part.rglob("*") if path.is_dir()), part):
                sync_directory(folder)
            reach("backup.written")
            _note(settings, part / DATABASE, manifest)
            part.rename(final)
        sync_directory(destination)
        reach("backup.renamed")
    size += sum(file.size for file in manifest.files.values())
    return Taken(str(final), size, manifest)


def newest(destination: Path) -> Path | None:
    """The newest whole backup in a folder."""
    found = (path for path in destination.glob(f"{_PREFIX}*Z") if (path / NAME).is_file())
    return max(found, default=None)


@contextmanager
def alone(data: Path) -> Generator[None]:
    """One backup or restore of a data directory at a time. Raises Busy."""
    with (data / "backup.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another backup, or a restore, is under way: try again later") from None
        yield


def _name(destination: Path) -> tuple[datetime, Path]:
    """The moment, and a name that no backup has; two of one second wait for each other."""
    while True:
        now = datetime.now(UTC).replace(microsecond=0)
        final = destination / f"{_PREFIX}{now:%Y%m%dT%H%M%SZ}"
        if not final.exists():
            return now, final
        time.sleep(0.1)


def _fill(
    part: Path, settings: Settings, now: datetime, progress: Progress, entropy: Entropy
) -> Manifest:
    """Write everything but the manifest, and return that."""
    files: dict[str, File] = {}
    copy_database(settings.database_path, part / DATABASE, progress)
    files[DATABASE] = describe(part / DATABASE)
    reach("backup.database")
    copy = Snapshot(part / DATABASE)
    try:
        vault = _copy_vault(copy, part, settings, files, progress, entropy)
        reach("backup.vault")
        vault_id = copy.meta(VAULT_ID)
        media = "elsewhere"
        if settings.media_url.startswith("file:///"):
            media = "included"
            folder = settings.data / settings.media_url.removeprefix("file:///") / vault_id
            _copy_media(copy, folder, part / MEDIA, files, progress)
        reach("backup.media")
        return Manifest(
            FORMAT, __version__, _stamp(now), vault_id, copy.meta(TIMELINE), settings.vault_backup,
            media, files, vault,
        )  # fmt: skip
    finally:
        copy.close()


def _copy_vault(
    copy: Snapshot, part: Path, settings: Settings, files: dict[str, File], progress: Progress,
    entropy: Entropy,
) -> SealedVault | None:  # fmt: skip
    """By policy: the vault, sealed under a new backup key."""
    pair, days = read_state(settings.data / VAULT).pair, settings.vault_backup_days
    if not days and not pair:
        return None
    if not days or not pair:
        raise Misconfigured(
            f"vault_backup is {settings.vault_backup} here and something else for the server: "
            "give both the same settings, and start the server once with them"
        )
    now_ms = time.time_ns() // 1_000_000 + int(copy.meta(CLOCK_OFFSET) or 0)
    key = _new_key(settings, pair, now_ms, entropy)
    reach("backup.keyed")
    refs = [int(ref) for _, ref in copy.rows("root_key_refs")]
    found = slot_files(settings.data / VAULT)
    before, sizes = root_part(found, refs), dict[str, int]()
    (part / VAULT).mkdir(mode=0o700)
    for number, path in enumerate(found):
        sizes[path.name] = path.stat().st_size
        name = f"{VAULT}/{path.name}{SUFFIX}"
        files[name] = write_synced(part / name, seal_image(key.key, path))
        progress("vault", number + 1, len(found))
    if root_part(found, refs) != before:
        raise Busy("keys were rotated meanwhile: take the backup again when that is done")
    until = datetime.fromtimestamp(key.until_ms / 1000, UTC)
    return SealedVault(key.id.hex(), _stamp(until), key.erasures_from, pair, sizes)


def _new_key(settings: Settings, pair: str, now_ms: int, entropy: Entropy) -> BackupKey:
    keys = BackupKeys.open(settings.backup_keys_path)
    try:
        log = ErasureLog.open(settings.erasure_log_path)
        try:
            if not pair == keys.pair.hex() == log.pair.hex():
                raise Misconfigured(
                    f"backup_keys: {keys.path} and {log.path} are not those of the server: give it "
                    "the same settings, and start it once with them"
                )
            keys.expire(now_ms, settings.vault_backup_days)
            return keys.make(entropy, now_ms, settings.vault_backup_days, log.end)
        finally:
            log.close()
    finally:
        keys.close()


def _copy_media(
    copy: Snapshot, source: Path, target: Path, files: dict[str, File], progress: Progress
) -> None:
    """The objects of the media that the database names. One that is gone was forgotten since."""
    names = [str(name) for (name,) in copy.rows("media_names")]
    if not names:
        return
    target.mkdir(mode=0o700)
    for number, name in enumerate((PLACE, *names)):
        try:
            files[f"{MEDIA}/{name}"] = write_synced(target / name, pieces(source / name))
        except FileNotFoundError:
            (target / name).unlink(missing_ok=True)
        progress("media", number, len(names))


def _note(settings: Settings, copy: Path, manifest: Manifest) -> None:
    """In the audit log, before there is a backup that it does not know."""
    database = Snapshot(copy)
    try:
        accounts = database.rows("account_keys")
    finally:
        database.close()
    if accounts:
        detail = f"made={manifest.created} vault_backup={manifest.policy}"
        now_ms = time.time_ns() // 1_000_000
        add_to(settings.database_path, now_ms, Draft(accounts[0][0], "backup.made", (), detail))


@contextmanager
def _part(final: Path) -> Generator[Path]:
    """The folder of a backup in the making; removed when it does not become one."""
    part = final.with_name(final.name + _PART)
    part.mkdir(mode=0o700)
    fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield part
    except (OSError, apsw.Error, Misconfigured, Unusable, Busy, KeyboardInterrupt):
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(fd)


def _remove_leftovers(destination: Path) -> None:
    """What a backup left that was killed. One that is under way holds its folder locked."""
    for part in destination.glob(f"{_PREFIX}*{_PART}"):
        fd = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(part)
        finally:
            os.close(fd)


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
