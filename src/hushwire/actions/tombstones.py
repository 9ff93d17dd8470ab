"""What can be done with tombstones: follow them."""

from typing import Final

from hushwire.domain.account import Account
from hushwire.store.store import Store
from hushwire.store.tombstones import Forgotten, read_tombstones

_FAR: Final = 1 << 62


class Tombstones:
    """The actions on tombstones, for every door."""

    def __init__(self, store: Store) -> None:
        self._log = store.audit
        self._accounts = store.accounts

    def newest(self) -> int:
        """Where to go on from, for who wants what will be forgotten and not what was."""
        return self._log.head().seq

    def page(self, account: Account, after: int, wanted: int) -> Forgotten:
        """At least `wanted` tombstones of the account and its subaccounts, if there are, that
        follow the place `after`; oldest first. It blocks: call it in a thread."""
        own = [a.sid for a in self._accounts.by_id.values() if account.id in (a.id, a.owner_id)]
        return read_tombstones(self._log.path, own, min(after, _FAR), wanted)
