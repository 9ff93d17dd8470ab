"""Sealing (AES-256-GCM): what is private as a blob, a key as the image of its slot.

    blob  = version 1 | nonce 12 | ciphertext | tag 16
    image = nonce 12 | wrapped key 32 | tag 16 | generation 4, under
    aad   = account id 8 | slot 8 | generation 4           (integers big-endian)

A blob's version byte names the algorithm, so that a later one can stand beside it; an image
takes its slot file's version. Pure: nonces are passed in.
"""

import hmac
from struct import Struct as Layout
from typing import Final

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


def wrap(wrapper: AESGCM, account_id: int, ref: KeyRef, key: bytes, nonce: bytes) -> bytes:
    """The 64-byte image of a 32-byte `key` for the slot of `ref`; `nonce` is 12 fresh bytes."""
    aad = _AAD.pack(account_id, ref)
    return nonce + wrapper.encrypt(nonce, key, aad) + aad[-4:]


def unwrap_image(wrapper: AESGCM, account_id: int, ref: KeyRef, image: bytes) -> bytes:
    """The key in an image. Raises `SealBroken`."""
    aad = _AAD.pack(account_id, ref)
    try:
        return wrapper.decrypt(image[:NONCE_BYTES], image[NONCE_BYTES:-4], aad)
    except InvalidTag:
        raise SealBroken("a slot does not open with its key") from None
