"""Keys as they lie in the slots of a vault, read without the server's own code.

A slot is 64 bytes: nonce 12, wrapped key 48, generation 4. A destroyed key must leave those 48
in no file and on no disk.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

HEADER, SLOT = 4096, 64  # of a slot file, in bytes
NONCE, WRAPPED = 12, 48


def wrapped_keys(vault: Path) -> dict[int, bytes]:
    """Every key that is in the vault: its reference (slot << 32 | generation) → its 48 bytes."""
    found: dict[int, bytes] = {}
    first = 0
    for path in sorted(vault.glob("*.slots")):
        content = path.read_bytes()[HEADER:]
        for at in range(0, len(content), SLOT):
            slot = content[at : at + SLOT]
            if any(slot[: NONCE + WRAPPED]):
                reference = first + at // SLOT << 32 | int.from_bytes(slot[-4:], "big")
                found[reference] = slot[NONCE : NONCE + WRAPPED]
        first += len(content) // SLOT
    return found


def keys_of(data: Path, sids: Iterable[str]) -> dict[str, tuple[int | None, int | None]]:
    """SID → the references of its content's and its address's key, as the database has them."""
    uri = f"file:{data / 'hushwire.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
        rows = {
            key: (content, address)
            for key, content, address in db.execute(
                "SELECT key, content_key, address_key FROM message"
            )
        }
    return {sid: rows[int(sid[2:14], 16) << 16 | int(sid[18:22], 16)] for sid in sids}


def media_keys(data: Path) -> set[int]:
    """The references of the keys of media."""
    uri = f"file:{data / 'hushwire.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as db:
        return {reference for (reference,) in db.execute("SELECT key_ref FROM media")}
