"""The manifest of a backup: what is in it, and the hash of every file."""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

NAME: Final = "manifest.json"
DATABASE: Final = "hushwire.db"
MEDIA: Final = "media"
VAULT: Final = "vault"
FORMAT: Final = 1
READ_BYTES: Final = 1 << 20

Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much

# A name that leads nowhere but into the backup.
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,3}\Z")


class Unusable(Exception):
    """What was asked for cannot be done with this backup or directory: one sentence, the cure."""


class File(Struct, frozen=True):
    """A file of a backup."""

    size: int  # bytes
    sha256: str


class SealedVault(Struct, frozen=True):
    """The vault in a backup: sealed under a backup key that does not outlive `until`."""

    key: str  # id of the backup key
    until: str  # RFC 3339, UTC
    erasures_from: int  # from which entry on the erasure log is to be replayed
    pair: str  # which backup keys and erasure log
    files: dict[str, int]  # slot file → its size in bytes when restored


class Manifest(Struct, frozen=True):
    """`manifest.json`. It is written last: a backup without it is not one."""

    format: int
    version: str  # of Hushwire
    created: str  # RFC 3339, UTC
    vault_id: str
    timeline: str  # see `timeline`
    policy: str  # the setting vault_backup
    media: str  # "included", or "elsewhere": in the bucket that media_url names
    files: dict[str, File]
    vault: SealedVault | None


def read_manifest(backup: Path) -> Manifest:
    """The manifest of the backup in that folder. Raises Unusable."""
    try:
        content = (backup / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise Unusable(f"{backup} is not a whole backup: it has no {NAME}; name another") from None
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError:  # a ValidationError is one
        raise Unusable(f"{backup / NAME} is damaged: use another backup") from None
    if manifest.format != FORMAT:
        raise Unusable(
            f"{backup} has format {manifest.format}, this version reads {FORMAT}: use the version "
            f"that wrote it ({manifest.version})"
        )
    if DATABASE not in manifest.files or not all(map(_SAFE.match, manifest.files)):
        raise Unusable(f"{backup / NAME} is damaged: use another backup")
    return manifest


def verify(backup: Path, manifest: Manifest, progress: Progress) -> None:
    """Read every file and compare size and hash. Raises Unusable, which names the first wrong."""
    total, done = sum(file.size for file in manifest.files.values()), 0
    for name, expected in manifest.files.items():
        path = backup / name
        if not path.is_file() or path.stat().st_size != expected.size:
            raise Unusable(f"{path} is missing or cut short: use another backup")
        digest = hashlib.sha256()
        for piece in pieces(path):
            digest.update(piece)
            done += len(piece)
            progress("verify", done, total)
        if digest.hexdigest() != expected.sha256:
            raise Unusable(f"{path} is not what was backed up: use another backup")


def describe(path: Path) -> File:
    """Size and hash of a file."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(path):
        digest.update(piece)
        size += len(piece)
    return File(size, digest.hexdigest())


def pieces(path: Path) -> Iterator[bytes]:
    """The content of a file, a MiB at a time."""
    with path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            yield piece


def write_synced(path: Path, content: Iterable[bytes | bytearray]) -> File:
    """Make a file, readable by its owner alone and durable. It must not be there yet."""
    digest, size = hashlib.sha256(), 0
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        for piece in content:
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(fd)
    return File(size, digest.hexdigest())
