"""Access tokens: JWTs (RFC 7519) signed with EdDSA, by a key of each account in the vault.

A token is proven by its signature alone. Whether it still counts is asked of what lies in memory:
its app, the app's epoch, its grant and its account.
"""

from typing import Any, Final, cast

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.domain.oauth import Bearer, OauthApp, OauthGrant, stand_in
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.owned import OwnedRecords
from hushwire.store.store import Store
from hushwire.vault.lookup import Pepper

PURPOSE: Final = "oauth"  # of the account's key in the vault
ALGORITHM: Final = "EdDSA"
TOKEN_CHARS_MAX: Final = 4_096
REMEMBERED_MAX: Final = 1_024


class Actor(Struct, frozen=True):
    """On whose behalf (RFC 8693, 4.1): `sub` is the account's SID."""

    sub: str


class Claims(Struct, frozen=True):
    """What a token says. Times are Unix seconds."""

    sub: str  # the app's SID
    act: Actor
    scope: str  # separated by blanks
    iat: int
    exp: int
    jti: str
    epoch: int
    grant: str | None = None  # SID of the grant; none of an app that acts for itself


class _Header(Struct, frozen=True):
    kid: str  # the account's SID


class Tokens:
    """Makes and proves access tokens."""

    def __init__(self, owned: OwnedRecords, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._owned = owned
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy
        self._proven: dict[str, Claims] = {}

    def pepper(self, account_id: int) -> Pepper:
        """The account's key for OAuth; made, and durable, before it is first used."""
        return self._accounts.keys[account_id].lasting_pepper(PURPOSE)

    def issue(self, app: OauthApp, scopes: tuple[str, ...], grant: str | None = None) -> Private:
        """A token that lives as long as the app says."""
        account, now_s = self._accounts.by_id[app.account_id], self._clock.now_ms() // 1000
        claims = Claims(
            app.sid, Actor(account.sid), " ".join(scopes), now_s, now_s + app.lifetime_s,
            self._entropy.bytes(16).hex(), app.epoch, grant,
        )  # fmt: skip
        said = cast("dict[str, Any]", msgspec.to_builtins(claims))
        signer = _signer(self.pepper(app.account_id))
        headers = {"kid": account.sid, "typ": "at+jwt"}
        return Private(jwt.encode(said, signer, ALGORITHM, headers=headers))

    def known(self, token: str) -> Claims | None:
        """What a token says that was proven before."""
        return self._proven.get(token)

    def prove(self, token: str) -> Claims | None:
        """What a token says, if one of our keys signed it; else None."""
        if len(token) > TOKEN_CHARS_MAX:
            return None
        try:
            header = msgspec.convert(jwt.get_unverified_header(token), _Header)
            pepper = self._pepper_of(header.kid)
            if pepper is None:
                return None
            said = jwt.decode(
                token, _signer(pepper).public_key(), [ALGORITHM],
                # Times are those of the server's clock: see `caller`.
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False,
                         "verify_aud": False},
            )  # fmt: skip
            claims = msgspec.convert(said, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, RecursionError):
            return None
        if claims.act.sub != header.kid:  # an account's key speaks for no other
            return None
        if len(self._proven) >= REMEMBERED_MAX:
            self._proven.clear()
        self._proven[token] = claims
        return claims

    def caller(self, claims: Claims) -> Bearer:
        """Whom a proven token speaks for.

        Raises Refusal: token_invalid when its app, its grant or its secret is no more,
        token_expired (20104), authenticate for an account that is not active.
        """
        account = self._accounts.by_sid[claims.act.sub]
        app = self._owned.get(OauthApp, account.id, claims.sub)
        if app is None or app.epoch != claims.epoch:
            raise Refusal("token_invalid")
        if claims.grant and self._owned.get(OauthGrant, account.id, claims.grant) is None:
            raise Refusal("token_invalid")
        if claims.exp * 1000 <= self._clock.now_ms():
            raise Refusal("token_expired")
        if not self._accounts.is_active(account):
            raise Refusal("authenticate")
        scopes = frozenset(claims.scope.split())
        return Bearer(account, stand_in(app, scopes), scopes=scopes)

    def _pepper_of(self, account_sid: str) -> Pepper | None:
        """The account's key; None when there is none, for it signed nothing yet."""
        account = self._accounts.by_sid.get(account_sid)
        return self._accounts.keys[account.id].lasting.get(PURPOSE) if account is not None else None


def _signer(pepper: Pepper) -> Ed25519PrivateKey:
    """The signing key that follows from the account's."""
    return Ed25519PrivateKey.from_private_bytes(
        pepper.tag16("Ed25519, first half") + pepper.tag16("Ed25519, second half")
    )
