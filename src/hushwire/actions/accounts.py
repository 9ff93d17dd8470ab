"""What can be done with accounts: prove who you are."""

from hushwire.domain.account import Account
from hushwire.store.store import Store


class Accounts:
    """The actions on accounts, for every door."""

    def __init__(self, store: Store) -> None:
        self._accounts = store.accounts

    def authenticate(self, sid: str, token: str) -> Account | None:
        """The active account these credentials open, or None. Takes the same time either way."""
        return self._accounts.authenticate(sid, token)

    def first(self) -> Account:
        """The account of the first start."""
        return self._accounts.by_id[1]
