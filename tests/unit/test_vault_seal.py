"""Blobs and images open with what sealed them, and with nothing else."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from hushwire.errors import Defect
from hushwire.vault.seal import (
    OVERHEAD_BYTES,
    SLOT_BYTES,
    SealBroken,
    derive,
    open_sealed,
    open_with,
    seal,
    seal_with,
    unwrap_image,
    wrap,
)

KEY = bytes(range(32))
NONCE = bytes(range(12))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_a_blob_opens_to_its_plaintext(plaintext: bytes, aad: bytes) -> None:
    blob = seal(KEY, plaintext, aad, NONCE)
    assert len(blob) == len(plaintext) + OVERHEAD_BYTES
    assert open_sealed(KEY, blob, aad) == plaintext


@given(st.binary(max_size=40), st.data())
def test_no_changed_bit_goes_unnoticed(plaintext: bytes, data: st.DataObject) -> None:
    blob = bytearray(seal(KEY, plaintext, b"body", NONCE))
    at = data.draw(st.integers(0, len(blob) * 8 - 1))
    blob[at // 8] ^= 1 << at % 8
    with pytest.raises(SealBroken):
        open_sealed(KEY, bytes(blob), b"body")


def test_another_key_or_purpose_does_not_open_it() -> None:
    blob = seal(KEY, b"hello", b"body", NONCE)
    for key, aad in ((bytes(32), b"body"), (KEY, b"to")):
        with pytest.raises(SealBroken) as caught:
            open_sealed(key, blob, aad)
        assert "hello" not in str(caught.value)
    assert issubclass(SealBroken, Defect)


@pytest.mark.parametrize("blob", [b"", b"\x01", bytes(OVERHEAD_BYTES), b"\x02" * 60])
def test_what_is_no_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, blob, b"")


def test_a_kept_cipher_makes_the_same_blobs() -> None:
    cipher = AESGCM(KEY)
    assert seal_with(cipher, b"hello", b"a", NONCE) == seal(KEY, b"hello", b"a", NONCE)
    assert open_with(cipher, seal(KEY, b"hello", b"a", NONCE), b"a") == b"hello"


def test_an_image_has_the_documented_layout() -> None:
    wrapper, ref = AESGCM(KEY), 5 << 32 | 7
    image = wrap(wrapper, 9, ref, b"k" * 32, NONCE)
    aad = (9).to_bytes(8, "big") + (5).to_bytes(8, "big") + (7).to_bytes(4, "big")
    assert image == NONCE + wrapper.encrypt(NONCE, b"k" * 32, aad) + b"\0\0\0\7"
    assert len(image) == SLOT_BYTES
    assert unwrap_image(wrapper, 9, ref, image) == b"k" * 32


@pytest.mark.parametrize(("account", "ref"), [(8, 5 << 32 | 7), (9, 6 << 32 | 7), (9, 5 << 32 | 8)])
def test_an_image_is_bound_to_account_slot_and_generation(account: int, ref: int) -> None:
    image = wrap(AESGCM(KEY), 9, 5 << 32 | 7, b"k" * 32, NONCE)
    with pytest.raises(SealBroken):
        unwrap_image(AESGCM(KEY), account, ref, image)


def test_derived_keys_differ_by_label_and_key() -> None:
    derived = {derive(KEY, b"a"), derive(KEY, b"b"), derive(bytes(32), b"a"), KEY}
    assert len(derived) == 4
    assert all(len(key) == 32 for key in derived)
