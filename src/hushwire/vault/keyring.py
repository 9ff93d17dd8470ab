"""Keyring: the tree of keys. root → account key, peppers → one key per part of a message.

The root key never leaves the process; account keys and peppers live in slots wrapped by it,
message keys in slots wrapped by their account's key. Overwrite an account key's slot and
all that the account ever sealed is gone.
"""

import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from hushwire.clock import Entropy
from hushwire.errors import Misconfigured
from hushwire.vault.seal import KEY_BYTES, NONCE_BYTES, derive, open_with, seal_with
from hushwire.vault.slots import KeyRef, Slots, wrap

RootProvider = Callable[[], bytes]  # anything that yields the 32 bytes, called once at start


class AccountKeyRefs(Struct, frozen=True):
    """A new account's keys, and the images to write before the rows that name them."""

    account_key: KeyRef
    pepper: KeyRef  # for the current month
    images: tuple[tuple[KeyRef, bytes], ...]


class AccountCipher:
    """An account's key at work: wraps message keys, seals the account's own secrets."""

    __slots__ = ("_entropy", "account_id", "wrapper")

    def __init__(self, account_id: int, account_key: bytes, entropy: Entropy) -> None:
        self.account_id: Final = account_id
        self.wrapper: Final = AESGCM(account_key)
        self._entropy = entropy

    def new_key(self, ref: KeyRef, random: bytes | None = None) -> tuple[bytes, bytes]:
        """A new 32-byte key for the slot of `ref`, and the slot's image.

        `random`: 44 fresh bytes, from a caller that draws for several things at once.
        """
        random = random or self._entropy.bytes(KEY_BYTES + NONCE_BYTES)
        key = random[:KEY_BYTES]
        return key, wrap(self.wrapper, self.account_id, ref, key, random[KEY_BYTES:])

    def seal_secret(self, label: str, secret: bytes) -> bytes:
        """Seal what lives as long as the account (its auth token). `label` names the secret."""
        return seal_with(self.wrapper, secret, _secret_aad(label), self._entropy.bytes(NONCE_BYTES))

    def open_secret(self, label: str, blob: bytes) -> bytes:
        """The secret sealed under that label. Raises `SealBroken`."""
        return open_with(self.wrapper, blob, _secret_aad(label))


class Keyring:
    """Makes and opens account keys and peppers."""

    def __init__(self, slots: Slots, root: bytes, entropy: Entropy) -> None:
        self._slots = slots
        self._entropy = entropy
        self._wrapper = AESGCM(derive(root, b"hushwire account keys and peppers"))

    def create_account(self, account_id: int) -> AccountKeyRefs:
        """An account's key and first pepper: write the images, then commit the references."""
        account_key, pepper = self._slots.allocate(2)
        images = ((account_key, self._new(account_id, account_key)),
                  (pepper, self._new(account_id, pepper)))  # fmt: skip
        return AccountKeyRefs(account_key, pepper, images)

    def load(self, account_id: int, account_key: KeyRef) -> AccountCipher | None:
        """The account's cipher, or None when its key was shredded. Raises `Defect`."""
        key = self.unwrap_key(account_id, account_key)
        return None if key is None else AccountCipher(account_id, key, self._entropy)

    def new_pepper(self, account_id: int) -> tuple[KeyRef, bytes]:
        """A new pepper's reference and image: write the image, then commit the reference."""
        (ref,) = self._slots.allocate(1)
        return ref, self._new(account_id, ref)

    def unwrap_key(self, account_id: int, ref: KeyRef) -> bytes | None:
        """An account key or pepper, or None when it was shredded. Raises `Defect`."""
        return self._slots.unwrap(self._wrapper, account_id, ref)

    def _new(self, account_id: int, ref: KeyRef) -> bytes:
        random = self._entropy.bytes(KEY_BYTES + NONCE_BYTES)
        return wrap(self._wrapper, account_id, ref, random[:KEY_BYTES], random[KEY_BYTES:])


def _secret_aad(label: str) -> bytes:
    # The prefix keeps a label from ever being the associated data of a wrapped key.
    return b"hushwire secret " + label.encode()


def load_or_create_root(path: Path) -> bytes:
    """The 32-byte root key in the file `path`, made at the first start (mode 0400).

    Raises `Misconfigured` when the file has another size or others than its owner may read
    it. Whoever has this file and the vault has everything; who loses it has nothing.
    """
    try:
        return _read_root(path)
    except FileNotFoundError:
        _create_root(path)
        return _read_root(path)


def _read_root(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise Misconfigured(
                f"the root key {path} is open to others (mode {mode:04o}): run chmod 0400 on it"
            )
        root = file.read(KEY_BYTES + 1)
    if len(root) != KEY_BYTES:
        raise Misconfigured(
            f"the root key {path} is not {KEY_BYTES} bytes long: restore it, "
            "or remove it if there is no vault yet"
        )
    return root


def _create_root(path: Path) -> None:
    """Write under another name and link: the root key is there whole, or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # O_EXCL, mode 0600
    part = Path(name)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fchmod(file.fileno(), 0o400)
            os.fsync(file.fileno())
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return  # another process was first; its key counts
    finally:
        part.unlink()
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
