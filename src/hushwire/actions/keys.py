"""What can be done with API keys: list, fetch, make, change and revoke them."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account, ApiKey, Caller, KeyKind, covers
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.store import Store

NAME_MAX: Final = 64  # characters of a FriendlyName
PERMISSIONS_MAX: Final = 100
SECRET_CHARS: Final = 32

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UNBIASED: Final = 248  # four times 62: a byte below it gives each character the same chance
# /twilio/{product}/{resource}/{action}, or what begins so far with a * for the rest. Ours,
# /hushwire/{resource}/{action}, are named one by one: no * reveals a message.
_PERMISSION: Final = re.compile(
    r"/(?:twilio/(?:(?:[\w.-]{1,64}/){2}[\w.-]{1,64}|(?:[\w.-]{1,64}/){0,2}\*)"
    r"|hushwire/[\w.-]{1,64}/[\w.-]{1,64})\Z",
    re.ASCII,
)
_SHOWN_MAX: Final = 100  # characters of a wrong permission in the error


class NewKey(Struct, frozen=True):
    """A key as it is asked for. `permissions` are a restricted key's, and only such a one's."""

    friendly_name: str | None = None
    kind: KeyKind = "standard"
    permissions: tuple[str, ...] = ()


class Keys:
    """The actions on API keys, for every door."""

    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy

    def list(self, account: Account) -> list[ApiKey]:
        """The account's keys, newest first."""
        own = (key for key in self._accounts.api_keys.values() if key.account_id == account.id)
        return sorted(own, key=_age, reverse=True)

    def fetch(self, account: Account, sid: str) -> ApiKey | None:
        """The account's key of that SID, or None."""
        key = self._accounts.api_keys.get(sid)
        return key if key is not None and key.account_id == account.id else None

    def reached(self, caller: Caller, sid: str) -> ApiKey | None:
        """The key of that SID, if it is the caller's or one of its subaccounts', or None."""
        key = self._accounts.api_keys.get(sid)
        if key is None:
            return None
        owner = self._accounts.by_id[key.account_id]
        return key if caller.account.id in (owner.id, owner.owner_id) else None

    def create(self, caller: Caller, account: Account, wanted: NewKey) -> tuple[ApiKey, Private]:
        """A key of the account, and its secret: told now, and never again.

        Raises Refusal for a bad name or permission, when the caller may do less than the key
        could, and for a closed account.
        """
        if account.status == "closed":
            raise Refusal("account_not_active")
        _check_name(wanted.friendly_name)
        if wanted.kind == "restricted":
            _check_permissions(wanted.permissions)
        _check_grant(caller, wanted.kind, wanted.permissions)
        secret = _new_secret(self._entropy.bytes)
        now_ms = self._clock.now_ms()
        key = ApiKey(
            new_sid("SK", self._entropy.bytes(16)), account.id, wanted.friendly_name, wanted.kind,
            wanted.permissions, sha256(secret.encode()).digest(), now_ms, now_ms,
        )  # fmt: skip
        self._accounts.put_key(key)
        return key, Private(secret)

    def update(
        self, caller: Caller, key: ApiKey, friendly_name: str | None,
        permissions: tuple[str, ...] | None = None,
    ) -> ApiKey:  # fmt: skip
        """Another name or other permissions; None leaves them. Raises Refusal as `create` does."""
        _check_name(friendly_name)
        if permissions is not None:
            if key.kind != "restricted":
                raise Refusal("invalid_parameter", parameter="Policy")
            _check_permissions(permissions)
            _check_grant(caller, key.kind, permissions)
            key = replace(key, permissions=permissions)
        if friendly_name is not None:
            key = replace(key, friendly_name=friendly_name)
        key = replace(key, updated_ms=self._clock.now_ms())
        self._accounts.put_key(key)
        return key

    def delete(self, key: ApiKey) -> None:
        """Revoke a key, at once."""
        self._accounts.delete_key(key.sid)


def _age(key: ApiKey) -> tuple[int, str]:
    return key.created_ms, key.sid


def _check_name(friendly_name: str | None) -> None:
    if friendly_name is not None and len(friendly_name) > NAME_MAX:
        raise Refusal("constraint_violation")


def _check_permissions(permissions: tuple[str, ...]) -> None:
    """Are they well-formed? Whether we know them is not asked: unknown ones allow nothing."""
    if not 1 <= len(permissions) <= PERMISSIONS_MAX:
        raise Refusal("constraint_violation")
    for permission in permissions:
        if _PERMISSION.match(permission) is None:
            raise Refusal("invalid_permission", permission=permission[:_SHOWN_MAX])


def _check_grant(caller: Caller, kind: KeyKind, permissions: tuple[str, ...]) -> None:
    """A restricted key gives no key more than it has; else one permission would be all of them."""
    own = caller.key
    if own is None or own.kind != "restricted":
        return
    if kind != "restricted" or not all(
        any(covers(allowed, permission.removeprefix("/")) for allowed in own.permissions)
        for permission in permissions
    ):
        raise Refusal("access_denied")


def _new_secret(random: Callable[[int], bytes]) -> str:
    chars = ""
    while len(chars) < SECRET_CHARS:
        chars += "".join(_BASE62[byte % 62] for byte in random(SECRET_CHARS) if byte < _UNBIASED)
    return chars[:SECRET_CHARS]
