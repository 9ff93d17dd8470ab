"""Keyed: the standard's HMAC, whatever the key's length, as often as wanted."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.vault.keyed import Keyed


@pytest.mark.parametrize("digestmod", ["sha1", "sha256"])
@given(st.binary(max_size=130), st.lists(st.binary(max_size=300), max_size=3))
def test_it_is_the_hmac_of_each_text(digestmod: str, key: bytes, texts: list[bytes]) -> None:
    keyed = Keyed(key, digestmod)  # type: ignore[arg-type]
    for text in texts:
        assert keyed.digest(text) == hmac.digest(key, text, digestmod)


def test_it_does_not_show_its_key() -> None:
    keyed = Keyed(b"key-key-key-key", "sha256")
    assert "key-key" not in repr(keyed) + repr([getattr(keyed, name) for name in Keyed.__slots__])
