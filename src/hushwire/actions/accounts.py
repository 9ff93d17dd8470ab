"""What can be done with accounts: prove who you are, say on whose behalf you ask; open
subaccounts, name, suspend and close them, and rotate tokens."""

import hmac
from hashlib import sha256
from time import gmtime
from typing import Final

from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account, AccountStatus, Caller
from hushwire.domain.oauth import Bearer
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.store import Store

NAME_MAX: Final = 64  # characters of a FriendlyName
SUBACCOUNTS_MAX: Final = 1_000
CLOSED_COUNTS_MS: Final = 30 * 86_400_000  # how long a closed one still counts as one of them
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
        parent's, one of its subaccounts. A foreign one is as unknown as none (D13). An OAuth app
        is its own account's alone (section 2.1)."""
        if isinstance(caller, Bearer) and sid != caller.account.sid:
            return None
        return self._accounts.reaches(caller.account, sid)

    def is_active(self, account: Account) -> bool:
        """Neither it nor its parent is suspended or closed."""
        return self._accounts.is_active(account)

    def first(self) -> Account:
        """The account of the first start."""
        return self._accounts.by_id[1]


class Administration:
    """Accounts as those who own them administer them, for every door."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy

    def list(
        self, account: Account, friendly_name: str | None, status: AccountStatus | None
    ) -> list[Account]:
        """The account and its subaccounts, newest first: those of exactly that name and status."""
        return [
            found
            for found in sorted(self._accounts.by_id.values(), key=_id, reverse=True)
            if account.id in (found.id, found.owner_id)
            and friendly_name in (None, found.friendly_name)
            and status in (None, found.status)
        ]

    def owner(self, account: Account) -> Account:
        """The parent of a subaccount; a parent itself."""
        return self._accounts.by_id[account.owner_id]

    def create(self, parent: Account, friendly_name: str | None) -> Account:
        """Open a subaccount. Raises Refusal: a subaccount has none, and there may be so many."""
        if parent.owner_id != parent.id:
            raise Refusal("subaccount_of_subaccount")
        now_ms = self._clock.now_ms()
        name = _default_name(now_ms) if friendly_name is None else _checked(friendly_name)
        counted = sum(
            account.owner_id == parent.id != account.id
            and (account.status != "closed" or account.updated_ms > now_ms - CLOSED_COUNTS_MS)
            for account in self._accounts.by_id.values()
        )
        if counted >= SUBACCOUNTS_MAX:
            raise Refusal("subaccount_limit")
        return self._accounts.open(
            sid=new_sid("AC", self._entropy.bytes(16)), number_sid="", token=self._token(),
            phone=None, name=name, now_ms=now_ms, owner_id=parent.id,
        )  # fmt: skip

    def update(
        self, caller: Account, account: Account, friendly_name: str | None,
        status: AccountStatus | None,
    ) -> Account:  # fmt: skip
        """Another name or status; None leaves it. What it changes holds when this returns.

        Raises Refusal: closed is final; only a parent gives its subaccounts a status.
        """
        if account.status == "closed":
            raise Refusal("subaccount_closed")
        name = account.friendly_name if friendly_name is None else _checked(friendly_name)
        if status is not None and status != account.status:
            self._check_status(caller, account, status)
            account = replace(account, status=status)
        return self._change(replace(account, friendly_name=name))

    def create_secondary(self, account: Account) -> Account:
        """A second token, as good as the first. Raises Refusal when there is one already."""
        if account.secondary_token is not None:
            raise Refusal("conflict")
        return self._change(replace(account, secondary_token=self._token()))

    def delete_secondary(self, account: Account) -> bool:
        """Revoke the second token; False when there is none."""
        if account.secondary_token is None:
            return False
        self._change(replace(account, secondary_token=None))
        return True

    def promote(self, account: Account) -> Account | None:
        """The second token takes the place of the first, which is revoked; None without one."""
        token = account.secondary_token
        if token is None:
            return None
        return self._change(replace(account, auth_token=token, secondary_token=None))

    def _check_status(self, caller: Account, account: Account, status: AccountStatus) -> None:
        if account.owner_id == account.id:
            raise Refusal("parent_status_fixed")
        if caller.id != account.owner_id:  # a token that leaked must not close its account
            raise Refusal("access_denied")
        if status == "active" and self.owner(account).status != "active":
            raise Refusal("parent_suspended")

    def _change(self, account: Account) -> Account:
        account = replace(account, updated_ms=self._clock.now_ms())
        self._accounts.change(account)
        return account

    def _token(self) -> Private:
        return Private(self._entropy.bytes(16).hex())


def _id(account: Account) -> int:
    return account.id


def _checked(friendly_name: str) -> str:
    if not 1 <= len(friendly_name) <= NAME_MAX:
        raise Refusal("invalid_friendly_name")
    return friendly_name


def _default_name(now_ms: int) -> str:
    """As Twilio calls a subaccount that is given no name, in GMT."""
    at = gmtime(now_ms // 1000)
    day = f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}"
    clock = f"{at.tm_hour % 12 or 12:02}:{at.tm_min:02} {'am' if at.tm_hour < 12 else 'pm'}"
    return f"SubAccount Created at {day} {clock}"
