"""The key tree: root, an account's keys and peppers, message keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hushwire.clock import SeededEntropy
from hushwire.vault.keyring import AccountCipher, Keyring
from hushwire.vault.seal import SealBroken, open_sealed, seal
from hushwire.vault.slots import Slots

ROOT = b"r" * 32


@pytest.fixture
def slots(tmp_path: Path) -> Iterator[Slots]:
    opened = Slots.open(tmp_path / "vault", ROOT, slots_per_file=32)
    yield opened
    opened.close()


def test_a_message_opens_through_the_whole_tree_after_a_restart(tmp_path: Path) -> None:
    with_first = Slots.open(tmp_path / "vault", ROOT, slots_per_file=32)
    keyring = Keyring(with_first, ROOT, SeededEntropy(1))
    account = keyring.create_account(7)
    with_first.write(account.images, ())
    cipher = keyring.load(7, account.account_key, account.secrets)
    assert cipher is not None
    (ref,) = with_first.allocate(1)
    key, image = cipher.new_key(ref)
    with_first.write([(ref, image)], ())
    blob = seal(key, b"hello", b"body", bytes(12))
    pepper = keyring.unwrap_key(7, account.pepper)
    with_first.close()

    again = Slots.open(tmp_path / "vault", ROOT)
    keyring = Keyring(again, ROOT, SeededEntropy(2))
    cipher = keyring.load(7, account.account_key, account.secrets)
    assert cipher is not None
    opened = again.unwrap(cipher.wrapper, cipher.account_id, ref)
    assert opened == key
    assert open_sealed(opened, blob, b"body") == b"hello"
    assert keyring.unwrap_key(7, account.pepper) == pepper
    assert pepper is not None
    assert len(pepper) == 32
    again.close()


@pytest.mark.parametrize("which", ["account_key", "secrets"])
def test_shredding_an_account_key_closes_the_account(slots: Slots, which: str) -> None:
    keyring = Keyring(slots, ROOT, SeededEntropy(1))
    account = keyring.create_account(7)
    slots.write(account.images, ())
    slots.write((), [getattr(account, which)])
    assert keyring.load(7, account.account_key, account.secrets) is None
    assert keyring.unwrap_key(7, account.pepper) is not None


def test_keys_belong_to_one_account_and_one_root(slots: Slots) -> None:
    keyring = Keyring(slots, ROOT, SeededEntropy(1))
    ref, image = keyring.new_pepper(7)
    slots.write([(ref, image)], ())
    with pytest.raises(SealBroken):
        keyring.unwrap_key(8, ref)
    with pytest.raises(SealBroken):
        Keyring(slots, b"s" * 32, SeededEntropy(1)).unwrap_key(7, ref)


def test_every_key_is_another(slots: Slots) -> None:
    keyring = Keyring(slots, ROOT, SeededEntropy(1))
    made = [keyring.new_pepper(7) for _ in range(10)]
    slots.write(made, ())
    assert len({keyring.unwrap_key(7, ref) for ref, _ in made}) == 10
    assert len({image[:12] for _, image in made}) == 10


def test_a_secret_opens_under_its_own_label_only() -> None:
    cipher = AccountCipher(7, b"k" * 32, b"s" * 32, SeededEntropy(1))
    blob = cipher.seal_secret("auth_token", b"0123456789abcdef")
    assert b"0123456789abcdef" not in blob
    assert cipher.open_secret("auth_token", blob) == b"0123456789abcdef"
    with pytest.raises(SealBroken):
        cipher.open_secret("previous_auth_token", blob)
    with pytest.raises(SealBroken):
        AccountCipher(7, b"k" * 32, b"t" * 32, SeededEntropy(1)).open_secret("auth_token", blob)


def test_a_secret_outlives_the_rotation_of_the_account_key() -> None:
    cipher = AccountCipher(7, b"k" * 32, b"s" * 32, SeededEntropy(1))
    blob = cipher.seal_secret("auth_token", b"0123456789abcdef")
    cipher.wrapper.exchange(b"n" * 32)
    cipher.wrapper.drop_former()
    assert cipher.open_secret("auth_token", blob) == b"0123456789abcdef"
    rotated = AccountCipher(7, b"n" * 32, b"s" * 32, SeededEntropy(1))
    assert rotated.open_secret("auth_token", blob) == b"0123456789abcdef"
