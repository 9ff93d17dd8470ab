"""The keys of each account, opened once and kept: its cipher and its peppers.

A person is found by the pepper of the month, which is destroyed when nobody of that month is to
be found any more. What outlives a month has a lasting pepper, one a purpose: the account's own
numbers, opt-outs, sticky senders and legal holds.
"""

from collections.abc import Callable

from hushwire.clock import Entropy
from hushwire.vault.keyring import AccountCipher
from hushwire.vault.lookup import Pepper, day_of, month_of

SEARCH = "msg-search"
OWN = "own-number"  # by which messages are found that lost their person
LASTING = 0  # the epoch of a pepper that is not of one month
SECRETS = "secrets"  # no pepper: the key that seals the account's own secrets
FORMER = "former"  # likewise: the account key before this one, until a rotation is finished


class AccountKeys:
    """One account's cipher and its peppers for message search, by month."""

    def __init__(
        self, cipher: AccountCipher, entropy: Entropy,
        new_pepper: Callable[[int, str, int], Pepper],
    ) -> None:  # fmt: skip
        self.cipher = cipher
        self.entropy = entropy
        self._new_pepper = new_pepper
        self.peppers: dict[int, Pepper] = {}  # of message search, by month
        self.lasting: dict[str, Pepper] = {}  # of what outlives a month, by purpose
        self._day = -1
        self._today: Pepper | None = None
        self._own: dict[str, int] = {}  # tags of own numbers

    def pepper(self, at_ms: int) -> Pepper:
        """The pepper of that month; made, and durable, before it is first used."""
        day = day_of(at_ms)
        if day != self._day:  # a month is worked out once a day, not once a message
            epoch = month_of(at_ms)
            found = self.peppers.get(epoch) or self._new_pepper(
                self.cipher.account_id, SEARCH, epoch
            )
            self._day, self._today = day, found
        assert self._today is not None
        return self._today

    def own_tag(self, phone: str) -> int:
        """The tag of one of the account's own numbers, remembered."""
        tag = self._own.get(phone)
        if tag is None:
            tag = self._own[phone] = self.lasting_pepper(OWN).tag8(phone)
        return tag

    def known_pepper(self, at_ms: int) -> Pepper | None:
        """The pepper of that month, or None when nothing was ever indexed in it, or nobody of
        it is to be found any more."""
        return self.peppers.get(month_of(at_ms))

    def searched_with(self, at_ms: int) -> list[Pepper]:
        """The peppers with which a number is sought among the messages of that month."""
        found = self.known_pepper(at_ms), self.lasting.get(OWN)
        return [pepper for pepper in found if pepper is not None]

    def drop_pepper(self, epoch: int) -> None:
        """The pepper of that month is destroyed."""
        self.peppers.pop(epoch, None)
        self._day, self._today = -1, None

    def lasting_pepper(self, purpose: str) -> Pepper:
        """The account's one pepper for a purpose; made, and durable, before it is first used."""
        found = self.lasting.get(purpose)
        return found or self._new_pepper(self.cipher.account_id, purpose, LASTING)
