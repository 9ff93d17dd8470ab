"""What somebody reads who holds everything: root key, vault, database, media and logs.

It uses none of the server's code, and does not ask which key fits what. Every key that opens
from the root on is tried on every sealed thing there is, without looking at seals: what is
private shows, if anything can show it.
"""

import hmac
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HEADER, SLOT = 4096, 64  # of a slot file, in bytes
NONCE, KEY = 12, 32
UNDER_ROOT = b"hushwire account keys and peppers"


class Seized:
    """A copy of a data directory, with all that opens in it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        root = (data / "root.key").read_bytes()
        wrapping = hmac.digest(root, UNDER_ROOT + b"\x01", "sha256")
        slots = list(_slots(data / "vault"))
        self.top = [_decrypt(wrapping, slot[:NONCE], slot[NONCE : NONCE + KEY]) for slot in slots]
        self._keys = [wrapping, *self.top]
        for key in self.top:
            self._keys += [_decrypt(key, s[:NONCE], s[NONCE : NONCE + KEY]) for s in slots]

    def table(self, name: str) -> list[dict[str, object]]:
        """The rows of a table."""
        with closing(sqlite3.connect(self.data / "hushwire.db")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(f"SELECT * FROM {name}")]

    def tables(self) -> list[str]:
        with closing(sqlite3.connect(self.data / "hushwire.db")) as db:
            return [name for (name,) in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
            )]  # fmt: skip

    def readable(self) -> Iterator[tuple[str, bytes]]:
        """Everything that can be read: each file as it is, and what any key makes of a blob."""
        for path in sorted(self.data.rglob("*")):
            if path.is_file():
                yield str(path.relative_to(self.data)), path.read_bytes()
        for place, nonce, sealed in self._sealed():
            for key in self._keys:
                yield place, _decrypt(key, nonce, sealed)

    def where(self, *wanted: bytes) -> dict[bytes, set[str]]:
        """The places in which each of these can be read."""
        found = {each: set[str]() for each in wanted}
        anything = re.compile(b"|".join(map(re.escape, wanted)))
        for place, content in self.readable():
            for each in anything.findall(content):
                found[each].add(place)
        return found

    def index(self, number: str) -> list[bytes]:
        """The keyed hash of a number under whatever may be a pepper."""
        return [hmac.digest(key, number.encode(), "sha256") for key in self.top]

    def _sealed(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Place, nonce and ciphertext of every sealed thing."""
        for name in self.tables():
            for row in self.table(name):
                for column, value in row.items():
                    if isinstance(value, bytes) and len(value) > NONCE:
                        yield f"{name}.{column}", value[1 : 1 + NONCE], value[1 + NONCE :]
        for path in (self.data / "media").rglob("*"):
            if path.is_file():  # its first chunk: nonce 0
                yield "media", bytes(NONCE), path.read_bytes()[1:]


def _slots(vault: Path) -> Iterator[bytes]:
    """Every slot in which a key lies."""
    for path in sorted(vault.rglob("*.slots")):
        content = path.read_bytes()[HEADER:]
        for at in range(0, len(content), SLOT):
            slot = content[at : at + SLOT]
            if any(slot[:-4]):
                yield slot


def _decrypt(key: bytes, nonce: bytes, sealed: bytes) -> bytes:
    """What AES-256-GCM makes of it, whether or not the seal fits."""
    counter = nonce + (2).to_bytes(4, "big")
    return Cipher(algorithms.AES(key), modes.CTR(counter)).decryptor().update(sealed)
