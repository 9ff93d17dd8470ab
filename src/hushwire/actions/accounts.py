"""What can be done with accounts: prove who you are, and say on whose behalf you ask."""

import hmac
from hashlib import sha256
from typing import Final

from hushwire.domain.account import Account, Caller
from hushwire.store.store import Store

_NOBODY: Final = "0" * 32  # compared with when there is nobody, so that it takes as long


class Accounts:
    """The actions on accounts, for every door."""

    def __init__(self, store: Store) -> None:
        self._accounts = store.accounts

    @property
    def version(self) -> int:
        """Another number whenever an account or a key changed: what was remembered is stale."""
        return self._accounts.version

    def authenticate(self, user: str, password: str) -> Caller | None:
        """Who these credentials belong to: `AC…` and a token, or `SK…` and a secret.

        None when they are wrong, or the account is not active. Whatever the reason, the same
        work is done: an unknown user takes as long as a wrong password.
        """
        given = password.encode()
        digest = sha256(given).digest()
        key = self._accounts.api_keys.get(user)
        account = (
            self._accounts.by_id.get(key.account_id)
            if key is not None
            else self._accounts.by_sid.get(user)
        )
        secret_right = hmac.compare_digest(
            digest, key.secret_hash if key is not None else bytes(32)
        )
        primary = account.auth_token.reveal() if account is not None else _NOBODY
        secondary = account.secondary_token if account is not None else None
        right = hmac.compare_digest(given, primary.encode())
        right |= hmac.compare_digest(given, (secondary.reveal() if secondary else primary).encode())
        if account is None or not self._accounts.is_active(account):
            return None
        if key is not None:
            return Caller(account, key) if secret_right else None
        return Caller(account) if right else None

    def reached(self, caller: Caller, sid: str) -> Account | None:
        """The account of that SID, if these credentials reach it: the caller's own or, with a
        parent's, one of its subaccounts. A foreign one is as unknown as none (D13)."""
        return self._accounts.reaches(caller.account, sid)

    def is_active(self, account: Account) -> bool:
        """Neither it nor its parent is suspended or closed."""
        return self._accounts.is_active(account)

    def first(self) -> Account:
        """The account of the first start."""
        return self._accounts.by_id[1]
