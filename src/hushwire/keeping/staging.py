"""What a restore will put in place, written beside it first.

Each thing is staged in the directory it goes to, so that a rename puts it in place even when
database, vault and media lie on disks of their own.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire.domain.audit import Draft
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.keeping.images import SUFFIX, erase_in, open_image
from hushwire.keeping.manifest import (
    DATABASE,
    MEDIA,
    VAULT,
    Manifest,
    Progress,
    pieces,
    write_synced,
)
from hushwire.keeping.state import TIMELINE, State, write_state
from hushwire.settings import Settings
from hushwire.store.audit import add_to
from hushwire.store.engine import Database
from hushwire.store.sweep import SWEEP_FIRST
from hushwire.vault.files import sync_directory

_SUFFIX: Final = ".restored"
_WIRE_LOG: Final = ("wire.0", "wire.1")  # see dispatch/wire_log.py
_NO_BOOT: Final = b"restored from a backup".ljust(36)  # the boot of none: nothing is known


class Places(Struct, frozen=True):
    """Where the parts of a data directory lie."""

    data: Path
    database: Path
    vault: Path
    media: Path | None  # None: in a bucket


def places_of(settings: Settings, vault_id: str) -> Places:
    """The places that `settings` name, links followed."""
    media = None
    if settings.media_url.startswith("file:///"):
        folder = settings.data / settings.media_url.removeprefix("file:///")
        media = folder.resolve() / vault_id
    data = settings.data
    return Places(data, settings.database_path.resolve(), (data / VAULT).resolve(), media)


def staged(place: Path) -> Path:
    """Where the thing for that place is staged."""
    return place.with_name(place.name + _SUFFIX)


def clear(places: Places) -> None:
    """Remove whatever is staged."""
    for place in (places.vault, places.media):
        if place is not None:
            shutil.rmtree(staged(place), ignore_errors=True)
    database = staged(places.database)
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def stage_database(
    backup: Path, manifest: Manifest, places: Places, timeline: str, now_ms: int
) -> None:
    """The database, marked so that its first start sweeps before it serves, and audited."""
    target = staged(places.database)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_synced(target, pieces(backup / DATABASE))
    db = Database(target)
    try:
        with db:
            db.do("put_meta", TIMELINE, timeline)
            db.do("put_meta", SWEEP_FIRST, "restored")
        first = db.one("account_keys")
        db.fold()
    finally:
        db.close()
    if first is not None:
        kept = "restored" if staged(places.vault).is_dir() else "kept"
        detail = f"made={manifest.created} vault={kept}"
        add_to(target, now_ms, Draft(first[0], "backup.restored", (), detail))
    with target.open("rb") as file:
        os.fsync(file.fileno())
    sync_directory(target.parent)


def stage_vault(
    backup: Path, manifest: Manifest, key: bytes, erased: Sequence[int], places: Places,
    state: State, progress: Progress,
) -> int:  # fmt: skip
    """The slot files as they were, without the `erased` keys, in a new timeline.

    Those are destroyed in memory: they never reach the disk. Returns how many they were.
    """
    assert manifest.vault is not None
    files = sorted(manifest.vault.files.items())
    images: list[bytearray] = []
    for number, (name, size) in enumerate(files):
        images.append(open_image(key, backup / VAULT / (name + SUFFIX), size))
        progress("vault", number + 1, len(files))
    count = erase_in(images, erased)
    target = staged(places.vault)
    target.mkdir(mode=0o700, parents=True)
    for (name, _), image in zip(files, images, strict=True):
        write_synced(target / name, (image,))
    write_state(target, state)
    return count


def stage_media(backup: Path, manifest: Manifest, places: Places, progress: Progress) -> None:
    """The objects that the backup holds. Raises Misconfigured when they would go to a bucket."""
    prefix = f"{MEDIA}/"
    names = [name.removeprefix(prefix) for name in manifest.files if name.startswith(prefix)]
    if not names:
        return
    if places.media is None:
        raise Misconfigured(
            "media_url: this backup holds files of media and media_url names a bucket: name a "
            "folder for the restore, and copy the objects to the bucket afterwards"
        )
    target = staged(places.media)
    target.mkdir(mode=0o700, parents=True)
    for number, name in enumerate(names):
        write_synced(target / name, pieces(backup / MEDIA / name))
        progress("media", number + 1, len(names))
    sync_directory(target)


def put_in_place(places: Places) -> None:
    """Everything staged to its place, each durable before the next; the database last."""
    if places.media is not None and staged(places.media).is_dir():
        places.media.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in staged(places.media).iterdir():
            path.replace(places.media / path.name)
        sync_directory(places.media)
        sync_directory(places.media.parent)
    reach("restore.media_placed")
    if staged(places.vault).is_dir():
        shutil.rmtree(places.vault, ignore_errors=True)
        staged(places.vault).rename(places.vault)
        sync_directory(places.vault.parent)
    reach("restore.vault_placed")
    # Attempts that were under way at the backup may have reached the network since.
    for name in _WIRE_LOG:
        (places.data / name).unlink(missing_ok=True)
    write_synced(places.data / _WIRE_LOG[0], (_NO_BOOT,))
    sync_directory(places.data)
    database = places.database
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    reach("restore.old_log_gone")
    staged(database).replace(database)
    sync_directory(database.parent)
    reach("restore.database_placed")
