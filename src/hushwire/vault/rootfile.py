"""The file that holds a root key, or a wrapped one: made whole, overwritten in place."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from hushwire.errors import Misconfigured
from hushwire.vault.files import pwrite, sync_directory

_BYTES_MAX: Final = 4096


def read_private(path: Path) -> bytes:
    """What a file holds that its owner alone may read. Raises `Misconfigured`."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Misconfigured(
                    f"the root key {path} is open to others (mode {mode:04o}): run chmod 0400 on it"
                )
            return file.read(_BYTES_MAX)
    except FileNotFoundError:
        raise Misconfigured(f"the root key {path} is missing: restore it") from None
    except OSError as error:
        raise Misconfigured(
            f"the root key {path} cannot be read ({error.strerror}): make it readable"
        ) from None


def create_private(path: Path, content: bytes) -> None:
    """Write under another name and link: the file is there whole, or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # O_EXCL, mode 0600
    part = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o400)
            os.fsync(file.fileno())
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return  # another process was first; its key counts
    finally:
        part.unlink()
    sync_directory(path.parent)


def overwrite_private(path: Path, content: bytes) -> None:
    """Other bytes into the same blocks of a file; less than a sector, so all or nothing."""
    path.chmod(0o600)
    fd = os.open(path, os.O_WRONLY)
    try:
        pwrite(fd, content, 0)
        os.ftruncate(fd, len(content))
        os.fchmod(fd, 0o400)
        os.fsync(fd)
    finally:
        os.close(fd)


def erase_private(path: Path) -> None:
    """Overwrite a file with zeros and remove it, if it is there."""
    if path.exists():
        overwrite_private(path, bytes(path.stat().st_size))
        path.unlink()
        sync_directory(path.parent)
