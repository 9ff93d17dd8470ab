"""HTTP Basic: Account SID and auth token, or API key SID and secret. Bearer: an access token."""

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Final, TypeVar

from hushwire.actions.accounts import Accounts
from hushwire.actions.bearer import Tokens
from hushwire.api.limits import Buckets
from hushwire.api.wire import Scope
from hushwire.clock import Clock
from hushwire.domain.account import IAM, Account, Caller
from hushwire.domain.oauth import Bearer
from hushwire.errors import Refusal, Unavailable

REMEMBERED_MAX: Final = 1_024
FAILURES_BURST: Final = 20  # wrong tries of one user from one address
FAILURES_PER_S: Final = 0.2

BEARER: Final = "bearer"  # the user of all tokens: a wrong one is nobody's

Proven = TypeVar("Proven")


class Authenticator:
    """Tells who calls. Headers that were right are remembered, wrong ones never are.

    `client` tells the address a request comes from; `per_s` is how many requests a second an
    account may make, 0 for any number. Without `tokens` no bearer is taken.
    """

    def __init__(
        self, accounts: Accounts, clock: Clock, client: Callable[[Scope], str], per_s: int = 0,
        tokens: Tokens | None = None,
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._clock = clock
        self._client = client
        self._tokens = tokens
        self._known: dict[bytes, Caller] = {}
        self._version = accounts.version
        self._failures = Buckets(FAILURES_PER_S, FAILURES_BURST)
        self._per_s = per_s
        self._requests = Buckets(per_s, per_s)

    def caller(self, scope: Scope) -> Caller:
        """Whose credentials came. Raises Refusal (20003) for none, wrong ones, or a closed account;
        20104 for a token that expired, 20101 for one that is void.

        After many wrong tries for one user it is Unavailable (20429), right or wrong, except
        for headers that were right before.
        """
        header = authorization(scope["headers"])
        if self._version != self._accounts.version:
            self.forget()
        caller = self._known.get(header)
        if caller is None:
            caller = self._check(header, scope)
        if self._per_s:
            wait_s = self._requests.take(caller.account.id, self._clock.now_ms())
            if wait_s:
                raise Unavailable("too_many_requests", retry_after_s=wait_s)
        return caller

    def path_account(self, scope: Scope, account_sid: str, permission: str) -> Account:
        """The account that the path names, on whose behalf the caller asks: see `path_caller`."""
        return self.path_caller(scope, account_sid, permission)[1]

    def path_caller(
        self, scope: Scope, account_sid: str, permission: str
    ) -> tuple[Caller, Account]:
        """Who asks, and on behalf of which account: the one the path names.

        Raises Refusal: not_found for a foreign SID as for an unknown one (D13), after the
        credentials; what a key lacks; account_not_active for a change under a suspended
        subaccount.
        """
        caller = self.caller(scope)
        account = caller.account
        if account.sid != account_sid:
            reached = self._accounts.reached(caller, account_sid)
            if reached is None:
                raise Refusal("not_found", path=scope["path"])
            account = reached
        if caller.key is not None:
            caller.check(permission)
        if account is not caller.account and not self._accounts.is_active(account):
            _check_asleep(permission)
        return caller, account

    def address(self, scope: Scope) -> str:
        """Where a request comes from."""
        return self._client(scope)

    def forget(self) -> None:
        """Credentials changed."""
        self._known.clear()
        self._version = self._accounts.version

    def attempt(
        self, scope: Scope, user: str, prove: Callable[[], Proven | None],
        wrong: str = "authenticate",
    ) -> Proven:  # fmt: skip
        """What `prove` gives. None is a wrong try of `user`, which counts: Refusal (`wrong`).

        After many of them it is Unavailable (20429), and nothing is proven.
        """
        who, now_ms = (self._client(scope), user[:34]), self._clock.now_ms()
        wait_s = self._failures.wait_s(who, now_ms)
        if wait_s:
            raise Unavailable("too_many_requests", retry_after_s=wait_s)
        proven = prove()
        if proven is None:
            self._failures.take(who, now_ms)
            raise Refusal(wrong)
        return proven

    def _check(self, header: bytes, scope: Scope) -> Caller:
        if not header:
            raise Refusal("no_credentials")
        scheme, _, encoded = header.partition(b" ")
        if scheme.lower() == b"bearer" and self._tokens is not None:
            return self._bearer(self._tokens, encoded.decode("latin-1").strip(), scope)
        if scheme.lower() != b"basic":
            raise Refusal("authenticate")
        try:
            user, _, password = b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal("authenticate") from None
        caller = self.attempt(scope, user, lambda: self._accounts.authenticate(user, password))
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        self._known[header] = caller
        return caller

    def _bearer(self, tokens: Tokens, token: str, scope: Scope) -> Bearer:
        """Not remembered here: each time it is asked whether the token still counts."""
        claims = tokens.known(token)
        if claims is None:
            claims = self.attempt(scope, BEARER, lambda: tokens.prove(token), "token_invalid")
        return tokens.caller(claims)


def _check_asleep(permission: str) -> None:
    """A parent may look after a suspended subaccount and forget for it, but not work with it."""
    if permission.endswith("/create") and not permission.startswith(IAM):
        raise Refusal("account_not_active")


def authorization(headers: list[tuple[bytes, bytes]]) -> bytes:
    """The Authorization header, or nothing."""
    for name, value in headers:
        if name == b"authorization":
            return value
    return b""


def peer(scope: Scope) -> str:
    """The address at the other end of the connection."""
    client = scope.get("client")
    return client[0] if client else ""
