"""What a thief of the disk would see: every file searched, a sealed row, the slot of its key."""

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire.domain.sid import parse_message_sid
from hushwire.store.engine import Database
from hushwire.store.rows import read_row
from hushwire.vault.seal import SLOT_BYTES, KeyRef
from hushwire.vault.slots import HEADER_BYTES

SPELLINGS: Final = "UTF-8, UTF-16, hex, Base64, reversed, and the digit pairs of SMS"


class Searched(Struct, frozen=True):
    """What a search looked at and found."""

    files: int
    bytes: int
    hits: tuple[str, ...]  # names of the files that hold it in any spelling


class SealedRow(Struct, frozen=True):
    """What the database holds of a message's content."""

    blob: bytes
    key: KeyRef


def search(root: Path, text: str, also: Iterable[bytes] = ()) -> Searched:
    """Look for `text` in every file under `root`, and in `also` (what left by other ways).

    A plus at the front is left out: digits are found whatever stands before them.
    """
    wanted = spellings(text.removeprefix("+"))
    files = size = 0
    hits: list[str] = []
    for name, content in (*_contents(root), *(("/metrics", page) for page in also)):
        files += 1
        size += len(content)
        lower = content.lower()
        if any(pattern in lower for pattern in wanted):
            hits.append(name)
    return Searched(files, size, tuple(hits))


def spellings(text: str) -> frozenset[bytes]:
    """`text` as it might lie on a disk, in lower case (files are compared in lower case)."""
    plain = text.encode()
    found = {plain, plain[::-1], plain.hex().encode()}
    found |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
    for lead in range(3):  # Base64 has three alignments; the ends depend on the neighbours
        coded = b64encode(bytes(lead) + plain)
        found.add(coded[-(-8 * lead // 6) : (lead + len(plain)) * 8 // 6])
    if text.isdigit():
        padded = text + "f" * (len(text) % 2)
        swapped = "".join(padded[i + 1] + padded[i] for i in range(0, len(padded), 2))
        found |= {bytes.fromhex(swapped), swapped.encode()}
    return frozenset(spelling.lower() for spelling in found)


def sealed_row(data: Path, sid: str) -> SealedRow | None:
    """The sealed content of a message, read past the server; None when there is none."""
    ident = parse_message_sid(sid)
    assert ident is not None
    db = Database(data / "hushwire.db", readonly=True)
    try:
        rows = [read_row(row) for row in db.rows("messages_by_keys", f"[{ident.key}]")]
    finally:
        db.close()
    if not rows or rows[0].content is None or rows[0].content_key is None:
        return None
    return SealedRow(rows[0].content, rows[0].content_key)


def slot(data: Path, key: KeyRef) -> bytes:
    """The 64 bytes of a key's slot in the vault's first file."""
    with (data / "vault" / "0000.slots").open("rb") as file:
        file.seek(HEADER_BYTES + (key >> 32) * SLOT_BYTES)
        return file.read(SLOT_BYTES)


def copies(root: Path, blob: bytes) -> int:
    """How many copies of exactly these bytes lie in the files under `root`."""
    return sum(content.count(blob) for _, content in _contents(root))


def _contents(root: Path) -> Iterable[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(root)), path.read_bytes()
