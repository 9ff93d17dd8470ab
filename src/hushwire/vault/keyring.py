"""Keyring: the tree of keys. root → an account's own keys → one key per part of a message.

The root is 32 bytes from a provider (`providers`). What lies directly under it is few:

    account key   wraps the keys of the account's messages and media
    secrets key   seals what lives as long as the account: tokens, settings, records
    peppers       find numbers (`lookup`)

All lie in slots; overwrite those of an account and all that it ever sealed is gone. To rotate
the root is to wrap these few anew; to rotate an account key, the keys of its messages.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from hushwire.clock import Entropy
from hushwire.vault.seal import (
    KEY_BYTES,
    NONCE_BYTES,
    Wrapper,
    derive,
    open_with,
    seal_with,
    wrap,
)
from hushwire.vault.slots import KeyRef, Slots


class AccountKeyRefs(Struct, frozen=True):
    """A new account's keys, and the images to write before the rows that name them."""

    account_key: KeyRef
    secrets: KeyRef
    pepper: KeyRef  # for the current month
    own: KeyRef  # the pepper of its own numbers
    images: tuple[tuple[KeyRef, bytes], ...]


class AccountCipher:
    """An account's keys at work: wraps message keys, seals the account's own secrets.

    `former` is the account key before this one, while a rotation is not finished.
    """

    __slots__ = ("_entropy", "_secrets", "account_id", "wrapper")

    def __init__(
        self, account_id: int, account_key: bytes, secrets: bytes, entropy: Entropy,
        former: bytes | None = None,
    ) -> None:  # fmt: skip
        self.account_id: Final = account_id
        self.wrapper: Final = Wrapper(account_key, former)
        self._secrets: Final = AESGCM(secrets)
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
        nonce = self._entropy.bytes(NONCE_BYTES)
        return seal_with(self._secrets, secret, label.encode(), nonce)

    def open_secret(self, label: str, blob: bytes) -> bytes:
        """The secret sealed under that label. Raises `SealBroken`."""
        return open_with(self._secrets, blob, label.encode())


class Keyring:
    """Makes and opens what lies directly under the root key."""

    def __init__(self, slots: Slots, root: bytes, entropy: Entropy) -> None:
        self._slots = slots
        self._entropy = entropy
        self.wrapper: Final = root_wrapper(root)

    def create_account(self, account_id: int) -> AccountKeyRefs:
        """An account's keys and first peppers: write the images, then commit the references."""
        account_key, secrets, pepper, own = refs = self._slots.allocate(4)
        images = tuple((ref, self.image(account_id, ref, self.new_key())) for ref in refs)
        return AccountKeyRefs(account_key, secrets, pepper, own, images)

    def load(
        self, account_id: int, account_key: KeyRef, secrets: KeyRef, former: KeyRef | None = None
    ) -> AccountCipher | None:
        """The account's cipher, or None when one of its keys was shredded. Raises `Defect`."""
        key = self.unwrap_key(account_id, account_key)
        secret = self.unwrap_key(account_id, secrets)
        before = self.unwrap_key(account_id, former) if former is not None else None
        if key is None or secret is None:
            return None
        return AccountCipher(account_id, key, secret, self._entropy, before)

    def new_pepper(self, account_id: int) -> tuple[KeyRef, bytes]:
        """A new pepper's reference and image: write the image, then commit the reference."""
        (ref,) = self._slots.allocate(1)
        return ref, self.image(account_id, ref, self.new_key())

    def new_key(self) -> bytes:
        """32 fresh bytes."""
        return self._entropy.bytes(KEY_BYTES)

    def exchange(self, root: bytes) -> None:
        """Wrap under another root from now on; the one until now still opens."""
        self.wrapper.exchange(root_wrapping_key(root))

    def image(self, account_id: int, ref: KeyRef, key: bytes) -> bytes:
        """The image of a key that is to lie under the root."""
        return wrap(self.wrapper, account_id, ref, key, self._entropy.bytes(NONCE_BYTES))

    def unwrap_key(self, account_id: int, ref: KeyRef) -> bytes | None:
        """A key under the root, or None when it was shredded. Raises `Defect`."""
        return self._slots.unwrap(self.wrapper, account_id, ref)


def root_wrapper(root: bytes, former: bytes | None = None) -> Wrapper:
    """What wraps the keys under a root key; `former` is the root before it, still to open."""
    before = root_wrapping_key(former) if former is not None else None
    return Wrapper(root_wrapping_key(root), before)


def root_wrapping_key(root: bytes) -> bytes:
    """The key derived from a root that wraps what lies under it."""
    return derive(root, b"hushwire account keys and peppers")
