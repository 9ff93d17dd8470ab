"""What people approve: authorization codes, the grants they become, and refresh tokens.

A code lives in memory for a minute. A grant is a record; its refresh token is a keyed hash of the
moment it was last used, so that one that was used before is told from one that was made up.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.bearer import Tokens
from hushwire.clock import Clock, Entropy
from hushwire.domain.oauth import (
    CODE_MS,
    GRANT,
    IDLE_MS,
    OauthApp,
    OauthGrant,
    challenge_of,
    read_scopes,
)
from hushwire.domain.sid import new_sid
from hushwire.private import Private
from hushwire.store.owned import OwnedRecords

CODES_MAX: Final = 10_000
REPLAY_MS: Final = 600_000  # how long a code that was used is remembered
GRANTS_MAX: Final = 1_000  # of an account; the one that was used least lately makes room
CODE_BYTES: Final = 32

_SID_BYTES, _MOMENT_BYTES = 16, 8

Flaw = Literal["invalid_grant", "invalid_scope"]


class Denied(Exception):
    """No token for that: the word of RFC 6749, 5.2, and the parameter that is to blame."""

    def __init__(self, flaw: Flaw, parameter: str) -> None:
        super().__init__(f"{flaw}: {parameter}")
        self.flaw: Final = flaw
        self.parameter: Final = parameter


class Approval(Struct, frozen=True):
    """What somebody approved: the code stands for it."""

    app_sid: str
    scopes: tuple[str, ...]
    redirect_uri: Private
    challenge: str  # PKCE, S256
    epoch: int  # of the app
    made_ms: int
    grant: OauthGrant | None = None  # what it became when the code was exchanged


class Given(Struct, frozen=True):
    """What a client is given."""

    access_token: Private
    lifetime_s: int
    scopes: tuple[str, ...]
    refresh_token: Private | None = None


class Grants:
    """The actions on grants, for every door."""

    def __init__(self, owned: OwnedRecords, tokens: Tokens, clock: Clock, entropy: Entropy) -> None:
        self._owned = owned
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy
        self._approved: dict[bytes, Approval] = {}  # by the hash of the code, oldest first

    def list(self, app: OauthApp) -> list[OauthGrant]:
        """What is granted to an app, newest first."""
        all_ = self._owned.of(OauthGrant, app.account_id)
        return [grant for grant in all_ if grant.app_sid == app.sid and not self._is_over(grant)]

    def revoke(self, grant: OauthGrant) -> None:
        """Its tokens are void at once."""
        if self._owned.get(OauthGrant, grant.account_id, grant.sid) is not None:
            self._owned.delete(grant)

    def approve(
        self, app: OauthApp, scopes: tuple[str, ...], redirect_uri: Private, challenge: str
    ) -> Private:
        """The authorization code, good once and for a minute."""
        self._forget_codes()
        code = urlsafe_b64encode(self._entropy.bytes(CODE_BYTES)).rstrip(b"=").decode()
        self._approved[_hash(code)] = Approval(
            app.sid, scopes, redirect_uri, challenge, app.epoch, self._clock.now_ms()
        )
        return Private(code)

    def client_credentials(self, app: OauthApp, scope: str | None) -> Given:
        """A token of the app for itself. Raises Denied."""
        scopes = read_scopes(scope, app.scopes)
        if scopes is None:
            raise Denied("invalid_scope", "scope")
        return Given(self._tokens.issue(app, scopes), app.lifetime_s, scopes)

    def exchange(self, app: OauthApp, code: str, redirect_uri: str, verifier: str) -> Given:
        """Tokens for a code. Raises Denied; a code that was used before takes with it what came
        of its first use (RFC 6749, 4.1.2)."""
        known = self._approved.get(_hash(code))
        if known is None or known.app_sid != app.sid:
            raise Denied("invalid_grant", "code")
        if known.grant is not None:
            self.revoke(known.grant)
            raise Denied("invalid_grant", "code")
        del self._approved[_hash(code)]  # one try, right or wrong
        now_ms = self._clock.now_ms()
        if known.epoch != app.epoch or now_ms >= known.made_ms + CODE_MS:
            raise Denied("invalid_grant", "code")
        if redirect_uri != known.redirect_uri.reveal():
            raise Denied("invalid_grant", "redirect_uri")
        if not hmac.compare_digest(challenge_of(verifier) or "", known.challenge):
            raise Denied("invalid_grant", "code_verifier")
        grant = self._grant(app, known.scopes, now_ms)
        self._approved[_hash(code)] = replace(known, grant=grant)
        return self._given(app, grant, grant.scopes)

    def refresh(self, app: OauthApp, token: str, scope: str | None) -> Given:
        """New tokens for a refresh token, which is void then. Raises Denied; one that was used
        before takes the whole grant with it: somebody has it who should not."""
        named = self._read(app, token)
        if named is None:
            raise Denied("invalid_grant", "refresh_token")
        grant, moment_ms = named
        if moment_ms != grant.updated_ms or self._is_over(grant) or grant.epoch != app.epoch:
            self.revoke(grant)
            raise Denied("invalid_grant", "refresh_token")
        scopes = read_scopes(scope, grant.scopes)
        if scopes is None:
            raise Denied("invalid_scope", "scope")
        grant = replace(grant, updated_ms=max(self._clock.now_ms(), grant.updated_ms + 1))
        self._owned.put(grant)
        return self._given(app, grant, scopes)

    # -- parts ----------------------------------------------------------------------------

    def _grant(self, app: OauthApp, scopes: tuple[str, ...], now_ms: int) -> OauthGrant:
        known = self._owned.of(OauthGrant, app.account_id)
        for stale in [grant for grant in known if self._is_over(grant)]:
            self.revoke(stale)
        if len(known) >= GRANTS_MAX:
            self.revoke(min(known, key=lambda grant: grant.updated_ms))
        grant = OauthGrant(
            sid=new_sid(GRANT, self._entropy.bytes(16)), account_id=app.account_id,
            created_ms=now_ms, updated_ms=now_ms, app_sid=app.sid, scopes=scopes, epoch=app.epoch,
        )  # fmt: skip
        self._owned.put(grant)
        return grant

    def _given(self, app: OauthApp, grant: OauthGrant, scopes: tuple[str, ...]) -> Given:
        access = self._tokens.issue(app, scopes, grant.sid)
        return Given(access, app.lifetime_s, scopes, self._refresh_token(grant))

    def _refresh_token(self, grant: OauthGrant) -> Private:
        named = bytes.fromhex(grant.sid[2:]) + grant.updated_ms.to_bytes(_MOMENT_BYTES, "big")
        raw = named + self._proof(grant, grant.updated_ms)
        return Private(urlsafe_b64encode(raw).rstrip(b"=").decode())

    def _read(self, app: OauthApp, token: str) -> tuple[OauthGrant, int] | None:
        """The grant of the app that a refresh token is of, and its moment; None if we did not
        make it."""
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (UnicodeEncodeError, NotBase64):
            return None
        sid = GRANT + raw[:_SID_BYTES].hex()
        moment_ms = int.from_bytes(raw[_SID_BYTES : _SID_BYTES + _MOMENT_BYTES], "big")
        grant = self._owned.get(OauthGrant, app.account_id, sid)
        if grant is None or grant.app_sid != app.sid:
            return None
        proof = raw[_SID_BYTES + _MOMENT_BYTES :]
        return (
            (grant, moment_ms)
            if hmac.compare_digest(proof, self._proof(grant, moment_ms))
            else None
        )

    def _proof(self, grant: OauthGrant, moment_ms: int) -> bytes:
        return self._tokens.pepper(grant.account_id).tag16(f"refresh {grant.sid} {moment_ms}")

    def _is_over(self, grant: OauthGrant) -> bool:
        return self._clock.now_ms() >= grant.updated_ms + IDLE_MS

    def _forget_codes(self) -> None:
        """Those that are over, and the oldest when there are too many."""
        before_ms = self._clock.now_ms() - CODE_MS - REPLAY_MS
        over = [code for code, known in self._approved.items() if known.made_ms < before_ms]
        for code in over:
            del self._approved[code]
        if len(self._approved) >= CODES_MAX:
            del self._approved[next(iter(self._approved))]


def _hash(code: str) -> bytes:
    return sha256(code.encode()).digest()
