"""Objects sealed in chunks: whole and in order, or not at all."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hushwire.vault.chunks import (
    CHUNK_BYTES,
    SEALED_BYTES,
    TAG_BYTES,
    ChunkOpener,
    seal_chunks,
    sealed_bytes,
)
from hushwire.vault.seal import SealBroken

KEY, LABEL = bytes(range(32)), b"ME" + b"0" * 32
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES + 7)


def sealed(content: bytes) -> bytes:
    return b"".join(seal_chunks(KEY, content, LABEL))


def opened(blob: bytes, step: int = 1 << 30, key: bytes = KEY, label: bytes = LABEL) -> bytes:
    opener = ChunkOpener(key, label)
    found: list[bytes] = []
    for at in range(0, len(blob), step):
        found += opener.feed(blob[at : at + step])
    return b"".join((*found, opener.end()))


def a_file(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("step", [1 << 30, SEALED_BYTES, 1_000])
def test_what_was_sealed_comes_back(size: int, step: int) -> None:
    blob = sealed(a_file(size))
    assert len(blob) == sealed_bytes(size)
    assert opened(blob, step) == a_file(size)


@pytest.mark.parametrize("size", SIZES)
def test_no_object_is_taken_for_whole_that_was_cut(size: int) -> None:
    """Not between two chunks either, where each that is left is good in itself."""
    blob = sealed(a_file(size))
    cuts = {len(blob) - 1, *range(1, len(blob), SEALED_BYTES), 0, 1, TAG_BYTES}
    for cut in (cut for cut in cuts if cut < len(blob)):
        with pytest.raises(SealBroken):
            opened(blob[:cut])


def test_chunks_keep_their_order_and_their_object() -> None:
    blob = sealed(a_file(3 * CHUNK_BYTES + 7))
    head, chunks = (
        blob[:1],
        [blob[at : at + SEALED_BYTES] for at in range(1, 1 + 3 * SEALED_BYTES, SEALED_BYTES)],
    )
    tail = blob[1 + 3 * SEALED_BYTES :]
    for order in ((1, 0, 2), (0, 0, 2), (0, 2), (0, 1, 2, 2)):
        with pytest.raises(SealBroken):
            opened(b"".join((head, *(chunks[n] for n in order), tail)))
    with pytest.raises(SealBroken):
        opened(blob + tail)
    with pytest.raises(SealBroken):
        opened(blob, label=b"ME" + b"1" * 32)
    with pytest.raises(SealBroken):
        opened(blob, key=bytes(32))
    with pytest.raises(SealBroken):
        opened(b"\x02" + blob[1:])


@given(st.binary(max_size=500), st.integers(min_value=0), st.integers(0, 7), st.integers(1, 99))
@example(b"", 0, 0, 1)
def test_a_bit_that_flipped_is_seen(content: bytes, at: int, bit: int, step: int) -> None:
    blob = bytearray(sealed(content))
    assert opened(bytes(blob), step) == content
    blob[at % len(blob)] ^= 1 << bit
    with pytest.raises(SealBroken):
        opened(bytes(blob), step)


def test_two_objects_of_one_file_have_nothing_in_common() -> None:
    other = b"".join(seal_chunks(bytes(32), a_file(100), LABEL))
    assert sealed(a_file(100))[1:] != other[1:]
    assert a_file(100)[:20] not in sealed(a_file(100))
