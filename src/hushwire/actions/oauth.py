"""What can be done with OAuth apps: list, fetch, make, delete them, and renew their secrets."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.connect.fields import what_is_wrong
from hushwire.connect.refused import INPUT, refused
from hushwire.domain.account import Account
from hushwire.domain.oauth import (
    APP,
    LIFETIME_MAX_S,
    LIFETIME_MIN_S,
    LIFETIME_S,
    SCOPES,
    OauthApp,
    OauthGrant,
    redirect_origin,
)
from hushwire.domain.sid import is_sid, new_sid
from hushwire.private import Private
from hushwire.store.owned import OwnedRecords
from hushwire.store.store import Store

APPS_MAX: Final = 100  # of an account
URIS_MAX: Final = 10  # of an app
SECRET_BYTES: Final = 48  # 64 characters, as Twilio's
GRACE_MAX_S: Final = 7 * 86_400

_NAME: Final = re.compile(r"\S(?:.{0,62}\S)?\Z")
_WHOLE: Final = "an OAuth app"
_NOBODY: Final = bytes(32)  # compared with when there is nobody, so that it takes as long


class NewApp(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An app as it is asked for."""

    name: Annotated[str, Meta(description="1 to 64 printable characters: people see it")]
    scopes: Annotated[list[str], Meta(description="The most that it may be allowed")]
    redirect_uris: Annotated[
        list[str], Meta(description="Where people are sent back to", extra={"pii": "url"})
    ] = []
    lifetime_s: Annotated[
        int, Meta(ge=LIFETIME_MIN_S, le=LIFETIME_MAX_S, description="Of a token, in seconds")
    ] = LIFETIME_S


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """Another secret."""

    grace_s: Annotated[
        int,
        Meta(ge=0, le=GRACE_MAX_S,
             description="How long the secret until now is still good; 0 voids all tokens, too"),
    ]  # fmt: skip


class OauthApps:
    """The actions on apps, for every door."""

    def __init__(self, owned: OwnedRecords, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._owned = owned
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy

    def list(self, account: Account) -> list[OauthApp]:
        """The account's, newest first."""
        return self._owned.of(OauthApp, account.id)

    def fetch(self, account: Account, sid: str) -> OauthApp | None:
        """The account's app of that SID, or None."""
        return self._owned.get(OauthApp, account.id, sid)

    def find(self, client_id: str) -> OauthApp | None:
        """The app of that `client_id`, whose ever it is."""
        if not is_sid(client_id, APP):
            return None
        return next((app for app in self._owned.every(OauthApp) if app.sid == client_id), None)

    def account(self, app: OauthApp) -> Account:
        """Whose app it is."""
        return self._accounts.by_id[app.account_id]

    def authenticate(self, client_id: str, secret: str) -> OauthApp | None:
        """The app, if that is its secret, or the one before it in its grace, and its account is
        active."""
        app, given = self.find(client_id), sha256(secret.encode()).digest()
        known = app or OauthApp(
            sid="", account_id=0, created_ms=0, updated_ms=0, name="", redirect_uris=(),
            scopes=(), lifetime_s=0, secret_hash=_NOBODY,
        )  # fmt: skip
        if not known.takes(given, self._clock.now_ms()) or app is None:
            return None
        return app if self._accounts.is_active(self.account(app)) else None

    def create(self, account: Account, given: Mapping[str, object]) -> tuple[OauthApp, Private]:
        """An app of the account, and its secret: told now, and never again.

        Raises Refused with one sentence for a field that is wrong.
        """
        try:
            new = msgspec.convert(given, NewApp)
        except msgspec.ValidationError as error:
            field, text = what_is_wrong(NewApp, given, str(error), _WHOLE)
            raise refused(INPUT, text, field=field) from None
        _check(new)
        if len(self.list(account)) >= APPS_MAX:
            raise refused(INPUT, f"an account has {APPS_MAX} OAuth apps at most: delete one")
        secret, now_ms = self._secret(), self._clock.now_ms()
        app = OauthApp(
            sid=new_sid(APP, self._entropy.bytes(16)), account_id=account.id, created_ms=now_ms,
            updated_ms=now_ms, name=new.name, redirect_uris=tuple(dict.fromkeys(new.redirect_uris)),
            scopes=tuple(scope for scope in SCOPES if scope in new.scopes),
            lifetime_s=new.lifetime_s, secret_hash=_hash(secret),
        )  # fmt: skip
        self._owned.put(app)
        return app, secret

    def rotate(self, app: OauthApp, given: Mapping[str, object]) -> tuple[OauthApp, Private]:
        """Another secret. Without grace, all that came of the one before is void at once.

        Raises Refused with one sentence for a field that is wrong.
        """
        try:
            grace_s = msgspec.convert(given, Rotation).grace_s
        except msgspec.ValidationError as error:
            field, text = what_is_wrong(Rotation, given, str(error), "a rotation")
            raise refused(INPUT, text, field=field) from None
        secret, now_ms = self._secret(), self._clock.now_ms()
        app = replace(
            app, secret_hash=_hash(secret), updated_ms=now_ms,
            former_hash=app.secret_hash if grace_s else b"",
            former_until_ms=now_ms + grace_s * 1000 if grace_s else 0,
            epoch=app.epoch if grace_s else app.epoch + 1,
        )  # fmt: skip
        self._owned.put(app)  # voids the grants of an earlier epoch with the same write
        if not grace_s:
            self._drop_grants(app)
        return app, secret

    def delete(self, app: OauthApp) -> None:
        """With what was granted to it. Its tokens are void at once."""
        self._owned.delete(app)
        self._drop_grants(app)

    def _drop_grants(self, app: OauthApp) -> None:
        for grant in self._owned.of(OauthGrant, app.account_id):
            if grant.app_sid == app.sid:
                self._owned.delete(grant)

    def _secret(self) -> Private:
        return Private(urlsafe_b64encode(self._entropy.bytes(SECRET_BYTES)).decode())


def _hash(secret: Private) -> bytes:
    return sha256(secret.reveal().encode()).digest()


def _check(new: NewApp) -> None:
    """Raises Refused."""
    if _NAME.match(new.name) is None or not new.name.isprintable():
        raise refused(INPUT, "name must have 1 to 64 printable characters, and no blank at its "
                      "ends", field="name")  # fmt: skip
    for scope in new.scopes:
        if scope not in SCOPES:
            raise refused(INPUT, f"scopes {scope!r:.40} is none: there are {', '.join(SCOPES)}",
                          field="scopes")  # fmt: skip
    if not new.scopes:
        raise refused(INPUT, "scopes must not be empty: name what it may do", field="scopes")
    if len(new.redirect_uris) > URIS_MAX:
        raise refused(INPUT, f"redirect_uris must have {URIS_MAX} items at most",
                      field="redirect_uris")  # fmt: skip
    for uri in new.redirect_uris:
        if redirect_origin(uri) is None:
            raise refused(
                INPUT, "redirect_uris must be https:// with a host in lower case and a path, or "
                "http://127.0.0.1 with a port; without user or fragment", field="redirect_uris",
            )  # fmt: skip
