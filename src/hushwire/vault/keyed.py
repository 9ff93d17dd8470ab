"""HMAC (RFC 2104), keyed once and used for many short texts.

Both halves of the key are hashed at the beginning; each text then costs two copies of a
context. The standard library's own object takes twice as long, and its one-shot function gives
up the interpreter's lock for every text.
"""

import hashlib
from typing import Final, Literal

_INNER: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER: Final = bytes(byte ^ 0x5C for byte in range(256))


class Keyed:
    """A key, ready to authenticate texts. It shows nothing of itself."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, digestmod: Literal["sha1", "sha256"]) -> None:
        block = hashlib.new(digestmod).block_size
        if len(key) > block:
            key = hashlib.new(digestmod, key).digest()
        key = key.ljust(block, b"\0")
        self._inner = hashlib.new(digestmod, key.translate(_INNER))
        self._outer = hashlib.new(digestmod, key.translate(_OUTER))

    def digest(self, text: bytes) -> bytes:
        """The HMAC of `text`."""
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
