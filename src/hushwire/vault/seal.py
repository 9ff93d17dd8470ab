"""Sealing (AES-256-GCM): what is private as a blob, a key as the image of its slot.

    blob  = version 1 | nonce 12 | ciphertext | tag 16
    image = nonce 12 | wrapped key 32 | tag 16 | generation 4, under
    aad   = account id 8 | slot 8 | generation 4           (integers big-endian)

A blob's version byte names the algorithm, so that a later one can stand beside it; an image
takes its slot file's version. Pure: nonces are passed in.
"""

import hmac
from struct import Struct as Layout
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hushwire.errors import Defect

KeyRef = int  # slot << 32 | generation; positive, 63 bits

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = 1 + NONCE_BYTES + 16  # a blob is this much longer than its plaintext

SLOT_BYTES: Final = 64

_AAD: Final = Layout(">Q4xQ")  # a reference is the slot and its generation side by side
_VERSION: Final = b"\x01"
_BODY_AT: Final = 1 + NONCE_BYTES


class Wraps(Protocol):
    """What wraps keys and opens them again: an `AESGCM`, or a `Wrapper`."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes: ...


class SealBroken(Defect):
    """A blob does not open: another key, other associated data, or damaged bytes."""


def seal(key: bytes, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
    """Seal `plaintext` under a 32-byte `key`; `nonce` is 12 bytes never used with it before."""
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def seal_with(cipher: AESGCM, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
    """`seal` for a caller that keeps the cipher: several blobs under one key."""
    return _VERSION + nonce + cipher.encrypt(nonce, plaintext, aad)


def open_sealed(key: bytes, blob: bytes, aad: bytes) -> bytes:
    """The plaintext of a blob. Raises `SealBroken`."""
    return open_with(AESGCM(key), blob, aad)


def open_with(cipher: AESGCM, blob: bytes, aad: bytes) -> bytes:
    """`open_sealed` for a caller that keeps the cipher. Raises `SealBroken`."""
    if len(blob) < OVERHEAD_BYTES or blob[:1] != _VERSION:
        raise SealBroken("a sealed blob is truncated or of an unknown version")
    try:
        return cipher.decrypt(blob[1:_BODY_AT], blob[_BODY_AT:], aad)
    except InvalidTag:
        raise SealBroken("a sealed blob does not open with its key") from None


def derive(key: bytes, label: bytes) -> bytes:
    """A 32-byte sub-key for one purpose: HKDF-Expand of one block (RFC 5869, 2.3)."""
    return hmac.digest(key, label + b"\x01", "sha256")


def wrap(wrapper: Wraps, account_id: int, ref: KeyRef, key: bytes, nonce: bytes) -> bytes:
    """The 64-byte image of a 32-byte `key` for the slot of `ref`; `nonce` is 12 fresh bytes."""
    aad = _AAD.pack(account_id, ref)
    return nonce + wrapper.encrypt(nonce, key, aad) + aad[-4:]


def unwrap_image(wrapper: Wraps, account_id: int, ref: KeyRef, image: bytes) -> bytes:
    """The key in an image. Raises `SealBroken`."""
    aad = _AAD.pack(account_id, ref)
    try:
        return wrapper.decrypt(image[:NONCE_BYTES], image[NONCE_BYTES:-4], aad)
    except InvalidTag:
        raise SealBroken("a slot does not open with its key") from None


class Wrapper:
    """A key that wraps others. While it is exchanged, the one before it still opens.

    Any thread may use it meanwhile. What opens and what wraps is looked up at each use: so who
    has read an image before an exchange ended, and cannot open it after, reads it again.
    """

    __slots__ = ("_current", "_former", "decrypt", "encrypt")

    def __init__(self, key: bytes, former: bytes | None = None) -> None:
        self._use(AESGCM(key), AESGCM(former) if former is not None else None)

    @property
    def is_exchanging(self) -> bool:
        """Does a former key still open?"""
        return self._former is not None

    def exchange(self, key: bytes) -> None:
        """Wrap under another 32-byte key from now on; the one until now still opens."""
        self._use(AESGCM(key), self._current)

    def drop_former(self) -> None:
        """The key before this one opens nothing any more."""
        self._use(self._current, None)

    def renew(self, account_id: int, ref: KeyRef, image: bytes, nonce: bytes) -> bytes | None:
        """The image of the same key under the current one; None when it is so already.

        Raises `SealBroken` when neither key opens it.
        """
        if self._former is not None:
            try:
                key = unwrap_image(self._former, account_id, ref, image)
            except SealBroken:
                pass
            else:
                return wrap(self._current, account_id, ref, key, nonce)
        unwrap_image(self._current, account_id, ref, image)
        return None

    def _use(self, current: AESGCM, former: AESGCM | None) -> None:
        self._current, self._former = current, former
        # The ciphers' own methods where there is one key: nothing stands between.
        self.decrypt = current.decrypt if former is None else self._decrypt_either
        self.encrypt = current.encrypt

    def _decrypt_either(self, nonce: bytes, data: bytes, aad: bytes, /) -> bytes:
        current, former = self._current, self._former
        try:
            return current.decrypt(nonce, data, aad)
        except InvalidTag:
            if former is None:
                raise
            return former.decrypt(nonce, data, aad)
