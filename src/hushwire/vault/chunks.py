"""Sealing what is too large for one blob: a file as a row of chunks (AES-256-GCM).

    object = version 1 | chunk | chunk | …          chunk = ciphertext ≤ 64 KiB | tag 16
    nonce  = number of the chunk 12                 (integers big-endian, from 0)
    aad    = last 1 | label                         last: 1 for the last chunk, else 0

A key seals one object and no other, so that a nonce never comes twice. The number keeps chunks
in their order, the flag tells a whole object from one that was cut, the label says whose it
is. Every chunk but the last is full; there is at least one. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hushwire.vault.seal import NONCE_BYTES, SealBroken

CHUNK_BYTES: Final = 65_536  # of the file
TAG_BYTES: Final = 16
SEALED_BYTES: Final = CHUNK_BYTES + TAG_BYTES

_VERSION: Final = b"\x01"


def seal_chunks(key: bytes, content: bytes, label: bytes) -> Iterator[bytes]:
    """`content` as an object, piece by piece. `key` is 32 bytes, for this object alone."""
    cipher = AESGCM(key)
    yield _VERSION
    end = max(len(content), 1)
    for number, at in enumerate(range(0, end, CHUNK_BYTES)):
        last = at + CHUNK_BYTES >= end
        chunk = content[at : at + CHUNK_BYTES]
        yield cipher.encrypt(_nonce(number), chunk, _aad(label, last=last))


def sealed_bytes(size: int) -> int:
    """How long the object of a file of `size` bytes is."""
    return len(_VERSION) + size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


class ChunkOpener:
    """Opens an object as its bytes come, however they are cut."""

    def __init__(self, key: bytes, label: bytes) -> None:
        self._cipher = AESGCM(key)
        self._label = label
        self._number = 0
        self._begun = False
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterable[bytes]:
        """What can be opened with `data`. Raises `SealBroken`."""
        self._held += data
        if not self._begun and self._held:
            if not self._held.startswith(_VERSION):
                raise SealBroken("a sealed object is of an unknown version")
            del self._held[: len(_VERSION)]
            self._begun = True
        while len(self._held) > SEALED_BYTES:  # the last chunk is known by the end
            yield self._open(SEALED_BYTES, last=False)

    def end(self) -> bytes:
        """The last of it. Raises `SealBroken` when it is not the end that was sealed."""
        return self._open(len(self._held), last=True)

    def _open(self, length: int, *, last: bool) -> bytes:
        chunk = bytes(self._held[:length])
        del self._held[:length]
        number, self._number = self._number, self._number + 1
        try:
            return self._cipher.decrypt(_nonce(number), chunk, _aad(self._label, last=last))
        except (InvalidTag, ValueError):  # ValueError: too short to hold a tag
            raise SealBroken("a sealed object is damaged, cut, or of another key") from None


def _nonce(number: int) -> bytes:
    return number.to_bytes(NONCE_BYTES, "big")


def _aad(label: bytes, *, last: bool) -> bytes:
    return bytes((last,)) + label
