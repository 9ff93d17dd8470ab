"""OAuth apps, grants and access tokens on a real store: what is given, dies, and is forged."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from hushwire.actions import bearer
from hushwire.actions.accounts import Accounts
from hushwire.actions.oauth import APPS_MAX, OauthApps
from hushwire.actions.oauth_grants import CODES_MAX, Denied, Given, Grants
from hushwire.api.auth import FAILURES_BURST, Authenticator, peer
from hushwire.authorizing import Authorizing
from hushwire.clock import SeededEntropy
from hushwire.connect.refused import Refused
from hushwire.connect.registry import SCOPES as NAMED_SCOPES
from hushwire.domain.account import Caller
from hushwire.domain.oauth import CODE_MS, IDLE_MS, SCOPE_OF, SCOPES, OauthApp, challenge_of
from hushwire.errors import Refusal, Unavailable
from hushwire.private import Private
from hushwire.store.records import Records
from rig import Rig

CALLBACK = "https://app.example.com/callback?from=hushwire"
FINE: dict[str, Any] = {
    "name": "Persona", "scopes": ["messages.list", "messages.read"], "redirect_uris": [CALLBACK],
}  # fmt: skip
VERIFIER = "v" * 43


class Desk:
    """All of OAuth on a real store."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.open()

    def open(self) -> None:
        self.records = Records(self.rig.store)
        parts = Authorizing(self.records.owned, self.rig.store, self.rig.clock, SeededEntropy(3))
        self.apps: OauthApps = parts.apps
        self.grants: Grants = parts.grants
        self.tokens = parts.tokens

    def app(self, **changes: Any) -> tuple[OauthApp, Private]:
        return self.apps.create(self.rig.account, {**FINE, **changes})

    def approved(self, app: OauthApp, scopes: tuple[str, ...] | None = None) -> str:
        challenge = challenge_of(VERIFIER)
        assert challenge is not None
        return self.grants.approve(app, scopes or app.scopes, Private(CALLBACK), challenge).reveal()

    def granted(self, app: OauthApp) -> Given:
        return self.grants.exchange(app, self.approved(app), CALLBACK, VERIFIER)

    def refusal(self, token: str) -> int:
        """0 when the token counts, else Twilio's code."""
        claims = self.tokens.known(token) or self.tokens.prove(token)
        if claims is None:
            return 20101
        try:
            self.tokens.caller(claims)
        except Refusal as refusal:
            return refusal.problem.code
        return 0


def on_desk(tmp_path: Path, test: Callable[[Desk], None]) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        desk = Desk(rig)
        test(desk)
        desk.records.close()
        await rig.close()

    asyncio.run(main())


def denied(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(Denied) as found:
        call()
    return found.value.flaw, found.value.parameter


def refresh_of(given: Given) -> str:
    assert given.refresh_token is not None
    return given.refresh_token.reveal()


def access(given: Given) -> str:
    return given.access_token.reveal()


# Apps -----------------------------------------------------------------------------------------

URI_REFUSED = [
    "http://app.example.com/cb", "https://APP.example.com/cb", "https://user@app.example.com/cb",
    "https://app.example.com@evil.example/cb", "https://app.example.com\\@evil.example",
    "https://app.example.com/cb#fragment", "https://*.example.com/cb", "https://", "/cb",
    "javascript:alert(1)", "data:text/html,x", "http://localhost:8765/cb", "http://127.0.0.1.evil.example/",
    "https://app.example.com/c b", "https://app.example.com/\r\nX: y", "https://app.example.com/cb\n",
    "http://[::1]:8765/cb", "https://app.example.com;script-src/", "https://app.exämple.com/",
]  # fmt: skip
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"name": ""}, "name", "name must have 1 to 64"),
    ({"name": "a‮b"}, "name", "name must have 1 to 64 printable"),
    ({"name": "a\nb"}, "name", "name must have 1 to 64 printable"),
    ({"scopes": []}, "scopes", "scopes must not be empty"),
    ({"scopes": ["all"]}, "scopes", "scopes 'all' is none: there are messages.read"),
    ({"lifetime_s": 59}, "lifetime_s", "lifetime_s 59 must be a whole number of at least 60"),
    ({"lifetime_s": 30 * 86_400 + 1}, "lifetime_s", "lifetime_s 2592001 must be a whole number"),
    ({"secret": "x"}, "secret", "secret is no field of an OAuth app"),
    *(({"redirect_uris": [uri]}, "redirect_uris", "redirect_uris must be") for uri in URI_REFUSED),
]


@pytest.mark.parametrize(("changes", "field", "begins"), WRONG)
def test_each_mistake_is_one_sentence(
    tmp_path: Path, changes: dict[str, Any], field: str, begins: str
) -> None:
    def play(desk: Desk) -> None:
        with pytest.raises(Refused) as refused:
            desk.app(**changes)
        assert (refused.value.field, refused.value.text[: len(begins)]) == (field, begins)
        assert desk.apps.list(desk.rig.account) == []

    on_desk(tmp_path, play)


def test_an_app_and_its_secret(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, secret = desk.app()
        assert len(secret) == 64
        assert app.lifetime_s == 3_600
        assert desk.apps.authenticate(app.sid, secret.reveal()) == app
        assert desk.apps.authenticate(app.sid, "x") is None
        assert desk.apps.authenticate("OQ" + "0" * 32, secret.reveal()) is None
        assert secret.reveal() not in repr(app)
        desk.records.close()
        desk.open()  # as after a restart
        assert desk.apps.authenticate(app.sid, secret.reveal()) == app
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("hushwire.db*"))
        assert secret.reveal().encode() not in stored
        desk.apps.delete(app)
        assert desk.apps.authenticate(app.sid, secret.reveal()) is None

    on_desk(tmp_path, play)


def test_there_are_so_many_apps(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        for _ in range(APPS_MAX):
            desk.app()
        with pytest.raises(Refused, match="at most"):
            desk.app()

    on_desk(tmp_path, play)


def test_scopes_are_those_of_the_registry() -> None:
    assert SCOPES.keys() == NAMED_SCOPES.keys()
    assert len(SCOPE_OF) == sum(len(permissions) for permissions in SCOPES.values())


# Access tokens --------------------------------------------------------------------------------


def test_a_token_says_what_clients_read(tmp_path: Path) -> None:
    """P-4; the claims of twilio-messaging 2.5."""

    def play(desk: Desk) -> None:
        app, _ = desk.app(lifetime_s=60)
        given = desk.grants.client_credentials(app, "messages.list")
        claims = jwt.decode(access(given), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 60
        assert claims["act"] == {"sub": desk.rig.account.sid}
        assert (claims["scope"], claims["sub"]) == ("messages.list", app.sid)
        assert given.refresh_token is None
        assert desk.refusal(access(given)) == 0
        second = desk.grants.client_credentials(app, None)
        assert second.scopes == app.scopes
        assert desk.refusal(access(given)) == 0  # a new one does not invalidate it
        desk.rig.clock.advance(59_000)
        assert desk.refusal(access(given)) == 0
        desk.rig.clock.advance(1_000)
        assert desk.refusal(access(given)) == 20104
        scope = denied(lambda: desk.grants.client_credentials(app, "messages.send"))
        assert scope == ("invalid_scope", "scope")

    on_desk(tmp_path, play)


def test_tokens_die_with_their_app_and_with_a_secret_that_has_no_grace(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, first = desk.app()
        token = access(desk.grants.client_credentials(app, None))
        granted = desk.granted(app)
        app, second = desk.apps.rotate(app, {"grace_s": 60})
        assert desk.refusal(token) == 0
        assert desk.apps.authenticate(app.sid, first.reveal())
        assert desk.apps.authenticate(app.sid, second.reveal())
        desk.rig.clock.advance(60_000)
        assert desk.apps.authenticate(app.sid, first.reveal()) is None
        assert desk.refusal(token) == 0
        app, _ = desk.apps.rotate(app, {"grace_s": 0})
        assert desk.refusal(token) == desk.refusal(access(granted)) == 20101
        assert desk.apps.authenticate(app.sid, second.reveal()) is None
        assert desk.grants.list(app) == []
        assert denied(lambda: desk.grants.refresh(app, refresh_of(granted), None))
        token = access(desk.grants.client_credentials(app, None))
        assert desk.refusal(token) == 0
        desk.apps.delete(app)
        assert desk.refusal(token) == 20101
        with pytest.raises(Refused, match="grace_s"):
            desk.apps.rotate(app, {})

    on_desk(tmp_path, play)


def test_a_token_of_an_account_that_is_suspended(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, secret = desk.app()
        token = access(desk.grants.client_credentials(app, None))
        desk.rig.store.accounts.change(replace(desk.rig.account, status="suspended"))
        assert desk.refusal(token) == 20003
        assert desk.apps.authenticate(app.sid, secret.reveal()) is None

    on_desk(tmp_path, play)


def _forged(token: str, header: dict[str, object], claims: dict[str, object]) -> str:
    """A token with another header and other claims, under the signature it had."""
    said = [json.loads(urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]
    new = [{**said[0], **header}, {**said[1], **claims}]
    parts = [urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in new]
    return ".".join([*parts, token.split(".")[2]])


def test_forged_tokens(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        token = access(desk.grants.client_credentials(app, None))
        account, store = desk.rig.account, desk.rig.store
        other = store.accounts.open(
            "AC" + "b" * 32, "", Private("2" * 32), None, "Other", 1_000
        )  # fmt: skip
        theirs, _ = desk.apps.create(other, FINE)
        foreign = access(desk.grants.client_credentials(theirs, None))
        claims = jwt.decode(token, options={"verify_signature": False})
        own_key = Ed25519PrivateKey.generate()
        public = jwt.algorithms.OKPAlgorithm.to_jwk(own_key.public_key(), as_dict=True)
        head = {"kid": account.sid}
        forged = [
            _forged(token, {"alg": "none"}, {}),
            jwt.encode(claims, None, "none", headers=head),
            jwt.encode(claims, None, "none", headers=head).rstrip(".") + "." + token.split(".")[2],
            jwt.encode(claims, "secret" * 8, "HS256", headers=head),
            jwt.encode(claims, own_key, "EdDSA", headers=head),
            jwt.encode(claims, own_key, "EdDSA", headers={**head, "jwk": public}),
            _forged(token, {}, {"scope": "messages.send"}),
            _forged(token, {}, {"exp": claims["exp"] + 86_400}),
            _forged(token, {"kid": other.sid}, {}),
            _forged(token, {"kid": "AC" + "c" * 32}, {}),
            _forged(token, {"kid": ["x"]}, {}),
            _forged(token, {"crit": ["b64"], "b64": False}, {}),
            _forged(foreign, {"kid": account.sid}, {}),
            _forged(foreign, {}, {"act": {"sub": account.sid}}),
            token[:-2], token + "A", token.rpartition(".")[0], "", "x", "..", "é.é.é",
            "[" * 4_000, urlsafe_b64encode(b"[" * 2_900).decode() + ".e30.x", "a" * 10_000,
        ]  # fmt: skip
        for each in forged:
            assert desk.refusal(each) == 20101, each[:80]
        assert desk.refusal(foreign) == desk.refusal(token) == 0
        claims_of = desk.tokens.prove(foreign)
        assert claims_of is not None
        assert desk.tokens.caller(claims_of).account.sid == other.sid

    on_desk(tmp_path, play)


def test_an_account_cannot_sign_for_another(tmp_path: Path) -> None:
    """Who could read its own account's key still speaks for no other account."""

    def play(desk: Desk) -> None:
        app, _ = desk.app()
        token = access(desk.grants.client_credentials(app, None))
        other = desk.rig.store.accounts.open(
            "AC" + "b" * 32, "", Private("2" * 32), None, "Other", 1_000
        )  # fmt: skip
        desk.tokens.pepper(other.id)
        said = jwt.decode(token, options={"verify_signature": False})
        signer = bearer._signer(desk.tokens.pepper(other.id))
        mixed = jwt.encode(said, signer, "EdDSA", headers={"kid": other.sid})
        assert desk.refusal(mixed) == 20101

    on_desk(tmp_path, play)


@pytest.mark.parametrize("scope", SCOPES)
def test_each_permission_takes_its_scope_and_no_other(tmp_path: Path, scope: str) -> None:
    """P-5: with the scope alone it passes; with every other one it fails."""

    def play(desk: Desk) -> None:
        app, _ = desk.app(scopes=list(SCOPES))
        alone = desk.tokens.prove(access(desk.grants.client_credentials(app, scope)))
        rest = " ".join(other for other in SCOPES if other != scope)
        without = desk.tokens.prove(access(desk.grants.client_credentials(app, rest)))
        assert alone is not None
        assert without is not None
        for permission in SCOPES[scope]:
            desk.tokens.caller(alone).check(permission)
            with pytest.raises(Refusal) as refused:
                desk.tokens.caller(without).check(permission)
            assert (refused.value.problem.code, refused.value.problem.status) == (70051, 403)
        for permission, owner in SCOPE_OF.items():
            if owner != scope:
                with pytest.raises(Refusal):
                    desk.tokens.caller(alone).check(permission)

    on_desk(tmp_path, play)


# Codes and refresh tokens ---------------------------------------------------------------------


def test_a_code_is_good_once_and_its_replay_takes_the_grant(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        code = desk.approved(app)
        assert desk.grants.list(app) == []  # nothing is stored before it is exchanged
        given = desk.grants.exchange(app, code, CALLBACK, VERIFIER)
        assert given.scopes == app.scopes
        assert desk.refusal(access(given)) == 0
        replay = denied(lambda: desk.grants.exchange(app, code, CALLBACK, VERIFIER))
        assert replay == ("invalid_grant", "code")
        assert desk.refusal(access(given)) == 20101
        assert denied(lambda: desk.grants.refresh(app, refresh_of(given), None))
        assert desk.grants.list(app) == []

    on_desk(tmp_path, play)


def test_a_code_is_bound_to_app_uri_verifier_and_minute(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        other, _ = desk.app()
        tries: list[tuple[OauthApp, str, str, str]] = [
            (other, CALLBACK, VERIFIER, "code"),
            (app, CALLBACK + "/", VERIFIER, "redirect_uri"),
            (app, CALLBACK, "w" * 43, "code_verifier"),
            (app, CALLBACK, "", "code_verifier"),
            (app, CALLBACK, "v" * 42, "code_verifier"),
        ]
        for who, uri, verifier, blamed in tries:
            code = desk.approved(app)
            flaw = denied(lambda: desk.grants.exchange(who, code, uri, verifier))  # noqa: B023
            assert flaw == ("invalid_grant", blamed)
            if who is app:  # one try
                assert denied(lambda: desk.grants.exchange(app, code, CALLBACK, VERIFIER))  # noqa: B023
        code = desk.approved(app)
        desk.rig.clock.advance(CODE_MS)
        assert denied(lambda: desk.grants.exchange(app, code, CALLBACK, VERIFIER))
        assert desk.grants.list(app) == []

    on_desk(tmp_path, play)


def test_codes_are_bounded(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        first = desk.approved(app)
        for _ in range(CODES_MAX):
            desk.approved(app)
        assert denied(lambda: desk.grants.exchange(app, first, CALLBACK, VERIFIER))

    on_desk(tmp_path, play)


def test_refresh_tokens_rotate_and_reuse_takes_the_family(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        given = desk.granted(app)
        first = refresh_of(given)
        desk.rig.clock.advance(3_600_000)
        assert desk.refusal(access(given)) == 20104
        given = desk.grants.refresh(app, first, None)
        second = refresh_of(given)
        assert first != second
        assert desk.refusal(access(given)) == 0
        desk.records.close()
        desk.open()  # a restart changes nothing
        third = desk.grants.refresh(app, second, None)
        reuse = denied(lambda: desk.grants.refresh(app, first, None))
        assert reuse == ("invalid_grant", "refresh_token")
        assert denied(lambda: desk.grants.refresh(app, refresh_of(third), None))
        assert desk.refusal(access(third)) == 20101

    on_desk(tmp_path, play)


def test_a_made_up_refresh_token_takes_nothing(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        other, _ = desk.app()
        given = desk.granted(app)
        token = refresh_of(given)
        raw = urlsafe_b64decode(token + "==")
        forged = [
            urlsafe_b64encode(raw[:16] + (1).to_bytes(8, "big") + raw[24:]).decode().rstrip("="),
            urlsafe_b64encode(raw[:24] + bytes(16)).decode().rstrip("="),
            urlsafe_b64encode(raw[:20]).decode(), token[:-3], "", "é", "=", "A" * 500,
        ]  # fmt: skip
        for each in forged:
            assert denied(lambda: desk.grants.refresh(app, each, None))  # noqa: B023
        assert denied(lambda: desk.grants.refresh(other, token, None))
        assert desk.grants.refresh(app, token, None)

    on_desk(tmp_path, play)


def test_scopes_narrow_at_refresh_and_never_widen(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        code = desk.approved(app, ("messages.list",))
        given = desk.grants.exchange(app, code, CALLBACK, VERIFIER)
        token = refresh_of(given)
        wider = denied(lambda: desk.grants.refresh(app, token, "messages.list messages.read"))
        assert wider == ("invalid_scope", "scope")
        assert desk.grants.refresh(app, token, "messages.list").scopes == ("messages.list",)

    on_desk(tmp_path, play)


def test_a_grant_ends_when_it_is_not_used(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        given = desk.granted(app)
        desk.rig.clock.advance(IDLE_MS - 60_000)
        given = desk.grants.refresh(app, refresh_of(given), None)
        desk.rig.clock.advance(IDLE_MS)
        assert desk.grants.list(app) == []
        assert denied(lambda: desk.grants.refresh(app, refresh_of(given), None))

    on_desk(tmp_path, play)


# At the door ----------------------------------------------------------------------------------


def test_wrong_tokens_count_and_right_ones_go_on(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        app, _ = desk.app()
        known = access(desk.grants.client_credentials(app, None))
        fresh = access(desk.grants.client_credentials(app, None))
        auth = Authenticator(Accounts(desk.rig.store), desk.rig.clock, peer, 0, desk.tokens)

        def caller(token: str, address: str = "192.0.2.1") -> Caller:
            headers = [(b"authorization", b"Bearer " + token.encode())]
            return auth.caller({"headers": headers, "path": "/p", "client": (address, 1)})

        assert caller(known).account.sid == desk.rig.account.sid
        for n in range(FAILURES_BURST):
            with pytest.raises(Refusal) as refused:
                caller(f"wrong {n}")
            assert refused.value.problem.code == 20101
        with pytest.raises(Unavailable) as busy:
            caller(fresh)
        assert busy.value.problem.code == 20429
        assert caller(known).key is not None
        assert caller(fresh, "192.0.2.2").key is not None
        desk.apps.delete(app)
        with pytest.raises(Refusal) as void:
            caller(known)
        assert void.value.problem.code == 20101

    on_desk(tmp_path, play)


def test_without_tokens_no_bearer_is_taken(tmp_path: Path) -> None:
    def play(desk: Desk) -> None:
        auth = Authenticator(Accounts(desk.rig.store), desk.rig.clock, peer)
        with pytest.raises(Refusal) as refused:
            auth.caller({"headers": [(b"authorization", b"Bearer x")], "path": "/p"})
        assert refused.value.problem.code == 20003

    on_desk(tmp_path, play)
