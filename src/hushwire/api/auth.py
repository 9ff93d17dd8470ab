"""HTTP Basic: Account SID and auth token."""

import binascii
from base64 import b64decode
from typing import Final

from hushwire.actions.accounts import Accounts
from hushwire.domain.account import Account
from hushwire.errors import Refusal

REMEMBERED_MAX: Final = 1_024


class Authenticator:
    """Tells who calls. Headers that were right are remembered, wrong ones never are."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._known: dict[bytes, Account] = {}

    def account(self, header: bytes) -> Account:
        """The caller's account. Raises Refusal (20003) for none, a wrong one or a closed one."""
        known = self._known.get(header)
        if known is not None:
            return known
        if not header:
            raise Refusal("no_credentials")
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() != b"basic":
            raise Refusal("authenticate")
        try:
            sid, _, token = b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal("authenticate") from None
        account = self._accounts.authenticate(sid, token)
        if account is None:
            raise Refusal("authenticate")
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[header] = account
        return account

    def path_account(self, header: bytes, account_sid: str, path: str) -> Account:
        """The caller's account, which the path must name: a foreign SID is as unknown (D13)."""
        account = self.account(header)
        if account.sid != account_sid:
            raise Refusal("not_found", path=path)
        return account

    def forget(self) -> None:
        """Credentials changed."""
        self._known.clear()


def authorization(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The Authorization header, or nothing."""
    for name, value in headers:
        if name == b"authorization":
            return value
    return b""
