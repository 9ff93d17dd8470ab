"""The vault in a backup: images of its slot files, sealed under the key of that backup."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from hushwire.keeping.manifest import READ_BYTES, Unusable, pieces
from hushwire.vault.chunks import ChunkOpener, seal_chunks
from hushwire.vault.erasures import erase
from hushwire.vault.files import HEADER_BYTES, read_header
from hushwire.vault.seal import SLOT_BYTES, KeyRef, SealBroken, derive

SUFFIX: Final = ".sealed"


def slot_files(vault: Path) -> list[Path]:
    """The slot files of a vault, in order."""
    return sorted(vault.glob("*.slots"))


def seal_image(key: bytes, path: Path) -> Iterator[bytes]:
    """A slot file as it lies on the disk, sealed. The zeros at its end are left out."""
    return seal_chunks(_file_key(key, path.name), _settled(path).rstrip(b"\0"), path.name.encode())


def open_image(key: bytes, sealed: Path, size: int) -> bytearray:
    """The slot file in `sealed`, `size` bytes. Raises Unusable when it does not open."""
    name = sealed.name.removesuffix(SUFFIX)
    opener = ChunkOpener(_file_key(key, name), name.encode())
    image = bytearray()
    try:
        for piece in pieces(sealed):
            for part in opener.feed(piece):
                image += part
        image += opener.end()
    except SealBroken:
        raise Unusable(f"{sealed} does not open with its backup key: use another backup") from None
    return image + bytes(size - len(image))


def erase_in(images: Sequence[bytearray], refs: Sequence[KeyRef]) -> int:
    """Destroy keys in all slot files of a vault, in memory; how many there were."""
    first = count = 0
    for image in images:
        slots = bytearray(memoryview(image)[HEADER_BYTES:])
        erased = erase(slots, first, refs)
        if erased:
            image[HEADER_BYTES:] = slots
        count += erased
        first += len(slots) // SLOT_BYTES
    return count


def root_part(paths: Sequence[Path], refs: Iterable[KeyRef]) -> list[bytes]:
    """What a rotation of keys changes first and last: the headers, and the slots of `refs`."""
    parts: list[bytes] = []
    slots = 0
    for path in paths:
        parts.append(_read(path, 0, HEADER_BYTES))
        slots = slots or read_header(parts[0], path)[1]
    for ref in refs:
        number, place = divmod(ref >> 32, slots)
        if number < len(paths):
            parts.append(_read(paths[number], HEADER_BYTES + place * SLOT_BYTES, SLOT_BYTES))
    return parts


def _read(path: Path, at: int, count: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(count)


def _settled(path: Path) -> bytes:
    """A file that is being written to. Each part is read until two readings agree: what they
    hold is then no slot in the middle of its change."""
    found: list[bytes] = []
    fd = os.open(path, os.O_RDONLY)
    try:
        for at in range(0, os.fstat(fd).st_size, READ_BYTES):
            before, now = None, os.pread(fd, READ_BYTES, at)
            while now != before:
                before, now = now, os.pread(fd, READ_BYTES, at)
            found.append(now)
    finally:
        os.close(fd)
    return b"".join(found)


def _file_key(key: bytes, name: str) -> bytes:
    """One key seals one object and no other."""
    return derive(key, b"hushwire backup of " + name.encode())
