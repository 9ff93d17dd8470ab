"""The keys of each account, opened once and kept: its cipher and its monthly peppers."""

from collections.abc import Callable

from hushwire.clock import Entropy
from hushwire.vault.keyring import AccountCipher
from hushwire.vault.lookup import Pepper, month_of

SEARCH = "msg-search"


class AccountKeys:
    """One account's cipher and its peppers for message search, by month."""

    def __init__(
        self, cipher: AccountCipher, entropy: Entropy, new_pepper: Callable[[int, int], Pepper]
    ) -> None:
        self.cipher = cipher
        self.entropy = entropy
        self._new_pepper = new_pepper
        self.peppers: dict[int, Pepper] = {}

    def pepper(self, at_ms: int) -> Pepper:
        """The pepper of that month; made, and durable, before it is first used."""
        epoch = month_of(at_ms)
        return self.peppers.get(epoch) or self._new_pepper(self.cipher.account_id, epoch)

    def known_pepper(self, at_ms: int) -> Pepper | None:
        """The pepper of that month, or None when nothing was ever indexed in it."""
        return self.peppers.get(month_of(at_ms))
