"""The key tree: root, account keys and peppers, message keys; and the file of the root."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hushwire.clock import SeededEntropy
from hushwire.errors import Misconfigured
from hushwire.vault.keyring import AccountCipher, Keyring, load_or_create_root
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
    cipher = keyring.load(7, account.account_key)
    assert cipher is not None
    (ref,) = with_first.allocate(1)
    key, image = cipher.new_key(ref)
    with_first.write([(ref, image)], ())
    blob = seal(key, b"hello", b"body", bytes(12))
    pepper = keyring.unwrap_key(7, account.pepper)
    with_first.close()

    again = Slots.open(tmp_path / "vault", ROOT)
    keyring = Keyring(again, ROOT, SeededEntropy(2))
    cipher = keyring.load(7, account.account_key)
    assert cipher is not None
    opened = again.unwrap(cipher.wrapper, cipher.account_id, ref)
    assert opened == key
    assert open_sealed(opened, blob, b"body") == b"hello"
    assert keyring.unwrap_key(7, account.pepper) == pepper
    assert pepper is not None
    assert len(pepper) == 32
    again.close()


def test_shredding_an_account_key_closes_the_account(slots: Slots) -> None:
    keyring = Keyring(slots, ROOT, SeededEntropy(1))
    account = keyring.create_account(7)
    slots.write(account.images, ())
    slots.write((), [account.account_key])
    assert keyring.load(7, account.account_key) is None
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
    cipher = AccountCipher(7, b"k" * 32, SeededEntropy(1))
    blob = cipher.seal_secret("auth_token", b"0123456789abcdef")
    assert b"0123456789abcdef" not in blob
    assert cipher.open_secret("auth_token", blob) == b"0123456789abcdef"
    with pytest.raises(SealBroken):
        cipher.open_secret("previous_auth_token", blob)
    with pytest.raises(SealBroken):
        AccountCipher(7, b"l" * 32, SeededEntropy(1)).open_secret("auth_token", blob)


def test_the_root_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "root.key"
    root = load_or_create_root(path)
    assert len(root) == 32
    assert load_or_create_root(path) == root
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert [p.name for p in path.parent.iterdir()] == ["root.key"]
    assert load_or_create_root(tmp_path / "other.key") != root


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_root_of_another_size_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(b"r" * size)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="not 32 bytes"):
        load_or_create_root(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o444])
def test_a_root_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(ROOT)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 0400"):
        load_or_create_root(path)
