"""What the doctor looks at: facts of this machine and data directory, gathered in one place.

Nothing here judges, asks the network, or changes anything. What cannot be read is None.
"""

import ctypes
import os
import resource
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import apsw
from msgspec import Struct

from hushwire.keeping.backup import newest
from hushwire.keeping.manifest import Unusable, read_manifest
from hushwire.keeping.state import CLOCK_OFFSET
from hushwire.settings import Settings
from hushwire.store.sql import SQL
from hushwire.vault.providers import Surroundings, place_of

_TIMEX_BYTES: Final = 256  # struct timex is 208 on 64-bit systems
_TIME_ERROR: Final = 5  # "clock not synchronized" (adjtimex(2))


class Disk(Struct, frozen=True):
    """Where a path lies."""

    path: str
    filesystem: str  # as the kernel names it: ext4, xfs, btrfs …; "unknown"
    options: frozenset[str]  # of the mount and the file system
    device: str  # the disk, as far as it can be told; partitions of one disk are one
    free_mb: int


class Secret(Struct, frozen=True):
    """A file or directory that its owner alone may read."""

    path: str
    mode: int  # permission bits, without those that its directory makes void
    owned: bool  # by the user who asks


class Facts(Struct, frozen=True):
    """Everything the findings follow from."""

    now_ms: int
    disks: dict[str, Disk]  # by what lies there: data, vault, copy, root key, backup keys, …
    secrets: tuple[Secret, ...]
    swaps: tuple[str, ...] | None  # devices and files in use
    core_pattern: str | None
    core_limit: int  # bytes; -1: any number. Of this process: the server sets its own to 0
    clock_synced: bool | None
    newest_message_ms: int | None
    newest_backup_ms: int | None
    backup_trouble: str | None


def gather(settings: Settings) -> Facts:
    """The facts of the machine and directory that `settings` name."""
    backup_ms, trouble = _newest_backup(settings.backups)
    return Facts(
        now_ms=time.time_ns() // 1_000_000,
        disks={name: found for name, path in _places(settings) if (found := disk_of(path))},
        secrets=tuple(_secrets(settings)),
        swaps=_swaps(),
        core_pattern=_line(Path("/proc/sys/kernel/core_pattern")),
        core_limit=resource.getrlimit(resource.RLIMIT_CORE)[0],
        clock_synced=_clock_synced(),
        newest_message_ms=_newest_message(settings),
        newest_backup_ms=backup_ms,
        backup_trouble=trouble,
    )


def _places(settings: Settings) -> Iterator[tuple[str, Path]]:
    data = settings.data
    yield "data", data
    yield "database", settings.database_path
    yield "vault", data / "vault"
    if settings.vault_copy is not None:
        yield "copy", settings.vault_copy
    root_key = place_of(settings.root_key, Surroundings(data, os.environ))
    if root_key is not None:
        yield "root key", root_key
    if settings.media_url.startswith("file:///"):
        yield "media", data / settings.media_url.removeprefix("file:///")
    if settings.vault_backup_days:
        yield "backup keys", settings.backup_keys_path
        yield "erasure log", settings.erasure_log_path
    if settings.backups is not None:
        yield "backups", settings.backups


def disk_of(path: Path) -> Disk | None:
    """Where `path` lies, or will lie once it is made."""
    try:
        path = path.resolve()
        while not path.exists():
            path = path.parent
        free_mb = shutil.disk_usage(path).free >> 20
        number = path.stat().st_dev
    except OSError:
        return None
    filesystem, options = _mount(number, path)
    return Disk(str(path), filesystem, options, _device(number), free_mb)


def _mount(number: int, path: Path) -> tuple[str, frozenset[str]]:
    """Type and options of the file system with that device number that `path` lies in."""
    found, depth = ("unknown", frozenset[str]()), -1
    for line in _lines(Path("/proc/self/mountinfo")):
        fields, _, rest = line.partition(" - ")
        words, more = fields.split(), rest.split()
        if len(words) < 6 or len(more) < 3:
            continue
        point = words[4].encode().decode("unicode_escape")
        same = words[2] == f"{os.major(number)}:{os.minor(number)}"
        if same and path.is_relative_to(point) and len(point) > depth:
            depth = len(point)
            options = {*words[5].split(","), *more[2].split(",")}
            source = Path(more[1]).name
            options.update(_lines(Path("/proc/fs") / more[0] / source / "options"))
            found = more[0], frozenset(options)
    return found


def _device(number: int) -> str:
    """The disk that a device number is of, or of which it is a partition."""
    name = f"{os.major(number)}:{os.minor(number)}"
    try:
        place = (Path("/sys/dev/block") / name).resolve(strict=True)
    except OSError:
        return name
    return place.parent.name if (place / "partition").exists() else place.name


def _secrets(settings: Settings) -> Iterator[Secret]:
    data = settings.data
    paths = [
        data, data / "vault", data / "credentials.json", settings.database_path,
        settings.backup_keys_path, settings.erasure_log_path, *(data / "vault").glob("*.slots"),
    ]  # fmt: skip
    root_key = place_of(settings.root_key, Surroundings(data, os.environ))
    if root_key is not None:
        paths.append(root_key)
    if settings.vault_copy is not None:
        paths += [settings.vault_copy, *settings.vault_copy.glob("*.slots")]
    if settings.tls_key is not None:
        paths.append(settings.tls_key)
    for path in paths:
        try:
            found, around = path.stat(), path.resolve().parent.stat().st_mode
        except OSError:
            continue
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISDIR(found.st_mode):  # what a closed directory keeps from others
            mode &= ~(0 if around & 0o010 else 0o070) & ~(0 if around & 0o001 else 0o007)
        yield Secret(str(path), mode, found.st_uid == os.geteuid())


def _swaps() -> tuple[str, ...] | None:
    lines = _lines(Path("/proc/swaps"))
    return tuple(line.split()[0] for line in lines[1:]) if lines else None


def _clock_synced() -> bool | None:
    """As the kernel was told by whatever keeps its time; None where it does not say."""
    if sys.platform != "linux":
        return None
    asked = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zeros: change nothing
    state = int(ctypes.CDLL(None, use_errno=True).adjtimex(asked))
    return None if state < 0 else state != _TIME_ERROR


def _newest_message(settings: Settings) -> int | None:
    """When the newest message was made, by the server's clock without what a test added."""
    path = settings.database_path
    try:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return None
    try:
        newest_key = _value(db, SQL["last_key"])
        offset = _value(db, SQL["get_meta"], CLOCK_OFFSET)
    except apsw.Error:
        return None
    finally:
        db.close()
    return None if newest_key is None else (int(newest_key) >> 16) - int(offset or 0)


def _value(db: apsw.Connection, statement: str, *values: str) -> int | str | None:
    # apsw's own types name a protocol of Python 3.12: this says what we use.
    row = next(iter(cast("Any", db).execute(statement, values)), None)
    return row[0] if row is not None else None


def _newest_backup(folder: Path | None) -> tuple[int | None, str | None]:
    """When the newest backup was begun; or what is wrong with it."""
    found = newest(folder) if folder is not None else None
    if found is None:
        return None, None
    try:
        manifest = read_manifest(found)
    except (Unusable, OSError) as error:
        return None, str(error)
    return _parsed(manifest.created), None


def _parsed(stamp: str) -> int:
    at = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return int(at.timestamp()) * 1000


def _line(path: Path) -> str | None:
    lines = _lines(path)
    return lines[0] if lines else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
