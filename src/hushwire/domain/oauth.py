"""OAuth 2: apps, what was granted to them, and what a bearer of a token may do.

Pure. RFC 6749 as RFC 9700 narrows it: PKCE with S256, exact redirect URIs, refresh tokens that
rotate.
"""

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

from hushwire.domain.account import ApiKey, Caller
from hushwire.domain.owned import Owned
from hushwire.errors import Refusal

APP: Final = "OQ"  # prefix of an app's SID, which is its client_id
GRANT: Final = "OG"  # our own: Twilio shows no SID of a grant

LIFETIME_S: Final = 3_600  # of an access token
LIFETIME_MIN_S: Final = 60
LIFETIME_MAX_S: Final = 30 * 86_400
CODE_MS: Final = 60_000  # how long an authorization code may be exchanged
IDLE_MS: Final = 90 * 86_400_000  # a grant whose refresh token is not used for so long is over

_MESSAGING: Final = "twilio/messaging"

# What each scope allows, as permissions. What stands nowhere here, no bearer may do.
SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "messages.read": (
        f"{_MESSAGING}/messages/read", f"{_MESSAGING}/media/list", f"{_MESSAGING}/media/read",
    ),
    "messages.list": (f"{_MESSAGING}/messages/list",),
    "messages.send": (f"{_MESSAGING}/messages/create",),
    "messages.update": (f"{_MESSAGING}/messages/update",),
    "messages.delete": (f"{_MESSAGING}/messages/delete",),
    "accounts.read": ("twilio/iam/accounts/read",),
    "accounts.list": ("twilio/iam/accounts/list",),
    "numbers.list": ("twilio/numbers/incoming-phone-numbers/list",),
    "lookups.read": ("twilio/lookups/phone-numbers/read",),
}  # fmt: skip
SCOPE_OF: Final = {
    permission: scope for scope, permissions in SCOPES.items() for permission in permissions
}

# https with a host in lower case; or http on this very machine, for programs that a person runs.
# No user, no fragment, no backslash: nothing that two readers could take for two hosts.
_REDIRECT: Final = re.compile(
    r"(?P<origin>(?:https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|http://127\.0\.0\.1)"
    r"(?::[0-9]{1,5})?)(?:/[A-Za-z0-9._~!$&'()*+,=:@/?%-]{0,400})?\Z"
)
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}\Z")  # RFC 7636, 4.1
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class OauthApp(Owned, frozen=True, kw_only=True):
    """A program that may ask for access to its account. Its secret is kept as a hash only."""

    name: str
    redirect_uris: tuple[str, ...]  # of its authorization codes; none: client credentials only
    scopes: tuple[str, ...]  # the most that a token of it may have
    lifetime_s: int  # of access tokens
    secret_hash: bytes  # SHA-256: a secret has 384 bits of chance, there is nothing to guess
    former_hash: bytes = b""  # of the secret before, good until
    former_until_ms: int = 0
    epoch: int = 0  # tokens of an earlier one are void

    def takes(self, secret_hash: bytes, now_ms: int) -> bool:
        """Is it the hash of its secret, or of the one before while that is good?"""
        right = hmac.compare_digest(secret_hash, self.secret_hash)
        former = self.former_hash if now_ms < self.former_until_ms else bytes(32)
        return right | hmac.compare_digest(secret_hash, former)


class OauthGrant(Owned, frozen=True, kw_only=True):
    """What somebody approved. `updated_ms` names its one good refresh token: it only grows, and
    a token of an earlier moment was used before."""

    app_sid: str
    scopes: tuple[str, ...]
    epoch: int  # of the app, when it was approved


class Bearer(Caller, frozen=True, kw_only=True):
    """Who came with an access token: to all who do not look closer, the app's restricted key."""

    scopes: frozenset[str]

    def check(self, permission: str) -> None:
        """Raises Refusal (70051, 403) unless one of its scopes allows `permission`."""
        scope = SCOPE_OF.get(permission)
        if scope is None or scope not in self.scopes:
            raise Refusal("scope_missing", scope=scope or permission)


def stand_in(app: OauthApp, scopes: frozenset[str]) -> ApiKey:
    """The restricted key that a bearer's token amounts to. No secret opens it."""
    permissions = tuple(p for scope in SCOPES if scope in scopes for p in SCOPES[scope])
    return ApiKey(
        app.sid, app.account_id, app.name, "restricted", permissions, b"", app.created_ms,
        app.updated_ms,
    )  # fmt: skip


def redirect_origin(uri: str) -> str | None:
    """Scheme, host and port of a redirect URI; None for one that no app may have."""
    found = _REDIRECT.match(uri)
    return found["origin"] if found is not None else None


def is_challenge(text: str) -> bool:
    """Is it a PKCE code challenge, by S256?"""
    return _CHALLENGE.match(text) is not None


def challenge_of(verifier: str) -> str | None:
    """The S256 challenge of a PKCE code verifier (RFC 7636, 4.2); None for what is none."""
    if _VERIFIER.match(verifier) is None:
        return None
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def read_scopes(text: str | None, most: tuple[str, ...]) -> tuple[str, ...] | None:
    """The scopes that `text` asks for, all of `most` when it is absent or empty; None when it asks
    for one beyond them."""
    asked = set((text or "").split())
    if not asked <= set(most):
        return None
    return tuple(scope for scope in most if scope in asked) if asked else most
