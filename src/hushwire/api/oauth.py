"""OAuth over HTTP: apps under `/hushwire/v1/oauth/apps`, and the token endpoints that Twilio's SDKs
call, `/v2/token` and its older twin `/v1/token` (twilio-messaging 2.5)."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.events import acting
from hushwire.actions.oauth import OauthApps
from hushwire.actions.oauth_grants import Denied, Given, Grants
from hushwire.api.auth import Authenticator
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.refused import object_of, told
from hushwire.api.wire import Form, Scope, read_body, refusal_headers
from hushwire.connect.refused import Refused
from hushwire.domain.account import Account
from hushwire.domain.oauth import Bearer, OauthApp, OauthGrant, stand_in
from hushwire.errors import Refusal, Unavailable

APPS: Final = "/hushwire/v1/oauth/apps"
PERMISSION: Final = "twilio/iam/oauth-apps"
AUTHORIZE: Final = "/oauth/authorize"
METADATA: Final = "/.well-known/oauth-authorization-server"  # RFC 8414
GRANT_TYPES: Final = ("client_credentials", "authorization_code", "refresh_token")

_SECRETS_COME: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, 5.1


class Spelling(Struct, frozen=True):
    """How one version of the token endpoint spells things."""

    name: Callable[[str], str]  # of a parameter
    status: int
    token_type: str


SPELLINGS: Final = {
    "/v2/token": Spelling(str, 200, "Bearer"),
    "/v1/token": Spelling(
        lambda name: "".join(word.capitalize() for word in name.split("_")), 201, "bearer"
    ),
}


class OauthAppResource:
    """`GET|POST /hushwire/v1/oauth/apps`, `GET|DELETE …/{sid}`, `POST …/{sid}/secret`,
    `GET …/{sid}/grants`, `DELETE …/{sid}/grants/{grant_sid}`."""

    def __init__(self, apps: OauthApps, grants: Grants, door: Door) -> None:
        self._apps = apps
        self._grants = grants
        self._door = door

    def routes(self) -> list[Route]:
        one_app = f"{APPS}/{{sid}}"
        return [
            Route(APPS, self._all, methods=["GET", "POST"]),
            Route(one_app, self._one, methods=["GET", "DELETE"]),
            Route(f"{one_app}/secret", self.rotate, methods=["POST"]),
            Route(f"{one_app}/grants", self.grants, methods=["GET"]),
            Route(f"{one_app}/grants/{{grant_sid}}", self.revoke, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._account(request, "list")
        return answer(200, {"apps": [_app_json(app) for app in self._apps.list(account)]})

    async def create(self, request: Request) -> Response:
        content = await read_body(request.receive)  # before the credentials: they may change
        account = self._account(request, "create")
        try:
            app, secret = self._apps.create(account, object_of(content))
        except Refused as problem:
            return told(problem)
        return _secret(201, {**_app_json(app), "client_secret": secret.reveal()})

    async def fetch(self, request: Request) -> Response:
        return answer(200, _app_json(self._find(request, "read")))

    async def delete(self, request: Request) -> Response:
        self._apps.delete(self._find(request, "delete"))
        return gone()

    async def rotate(self, request: Request) -> Response:
        content = await read_body(request.receive)
        app = self._find(request, "update")
        try:
            app, secret = self._apps.rotate(app, object_of(content))
        except Refused as problem:
            return told(problem)
        return _secret(200, {**_app_json(app), "client_secret": secret.reveal()})

    async def grants(self, request: Request) -> Response:
        found = self._grants.list(self._find(request, "read"))
        return answer(200, {"grants": [_grant_json(grant) for grant in found]})

    async def revoke(self, request: Request) -> Response:
        app = self._find(request, "update")
        for grant in self._grants.list(app):
            if grant.sid == request.path_params["grant_sid"]:
                self._grants.revoke(grant)
                return gone()
        raise not_found(request)

    async def _all(self, request: Request) -> Response:
        return await (self.list(request) if request.method == "GET" else self.create(request))

    async def _one(self, request: Request) -> Response:
        return await (self.delete(request) if request.method == "DELETE" else self.fetch(request))

    def _account(self, request: Request, action: str) -> Account:
        return self._door.caller(request, f"{PERMISSION}/{action}").account

    def _find(self, request: Request, action: str) -> OauthApp:
        app = self._apps.fetch(self._account(request, action), request.path_params["sid"])
        if app is None:
            raise not_found(request)
        return app


class TokenResource:
    """The token endpoints, for whoever has an app's secret. An Authorization header says nothing
    here: SDKs send one of other credentials."""

    def __init__(
        self, apps: OauthApps, grants: Grants, auth: Authenticator, base: Callable[[Scope], str]
    ) -> None:
        self._apps = apps
        self._grants = grants
        self._auth = auth
        self._base = base

    def routes(self) -> list[Route]:
        return [
            *(Route(path, self.create, methods=["POST"]) for path in SPELLINGS),
            Route(METADATA, self.metadata, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        spelling = SPELLINGS[request.scope["path"]]
        try:
            asked = _Asked(await form_of(request), spelling.name)
            given = self._given(request, asked)
        except Denied as denied:
            problem = Refusal("invalid_parameter", parameter=spelling.name(denied.parameter))
            return _denied(problem, denied.flaw)
        except Unavailable as busy:
            return _denied(busy, "temporarily_unavailable")
        except Refusal as problem:
            status = problem.problem.status
            return _denied(problem, "invalid_client" if status == 401 else "invalid_request")
        return _secret(spelling.status, _given_json(given, spelling))

    async def metadata(self, request: Request) -> Response:
        """For everybody: where clients go, and what they may ask for."""
        base = self._base(request.scope)
        return answer(200, {
            "issuer": base,
            "authorization_endpoint": base + AUTHORIZE,
            "token_endpoint": f"{base}/v2/token",
            "response_types_supported": ["code"],
            "grant_types_supported": GRANT_TYPES,
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "authorization_response_iss_parameter_supported": True,
        })  # fmt: skip

    def _given(self, request: Request, asked: "_Asked") -> Given:
        """Raises Denied, and Refusal for wrong credentials of the client or a field missing."""
        kind = asked.need("grant_type")
        if kind not in GRANT_TYPES:
            raise Refusal("invalid_parameter", parameter=asked.name("grant_type"))
        client_id, secret = asked.need("client_id"), asked.need("client_secret")
        app = self._auth.attempt(
            request.scope, client_id, lambda: self._apps.authenticate(client_id, secret)
        )
        bearer = Bearer(self._apps.account(app), stand_in(app, frozenset()), scopes=frozenset())
        acting(bearer, self._auth.address(request.scope))
        if kind == "client_credentials":
            self._check_account(request, app)
            return self._grants.client_credentials(app, asked.get("scope"))
        if kind == "refresh_token":
            return self._grants.refresh(app, asked.need("refresh_token"), asked.get("scope"))
        return self._grants.exchange(
            app, asked.need("code"), asked.need("redirect_uri"), asked.need("code_verifier")
        )

    def _check_account(self, request: Request, app: OauthApp) -> None:
        """`account_sid` may name whom to act for: an app acts for its own account alone."""
        named = request.query_params.get("account_sid")
        if named is not None and named != self._apps.account(app).sid:
            raise Refusal("invalid_parameter", parameter="account_sid")


class _Asked:
    """A form in either spelling, by the names of RFC 6749."""

    def __init__(self, form: Form, name: Callable[[str], str]) -> None:
        self._form = form
        self.name: Final = name

    def get(self, name: str) -> str | None:
        return one(self._form, self.name(name))

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise Refusal("parameter_required", parameter=self.name(name))
        return value


def _given_json(given: Given, spelling: Spelling) -> dict[str, object]:
    """A token as Twilio shows it, and the scopes it has (RFC 6749, 5.1)."""
    refresh = given.refresh_token
    return {
        "access_token": given.access_token.reveal(),
        "id_token": None,
        "token_type": spelling.token_type,
        "expires_in": given.lifetime_s,
        "refresh_token": refresh.reveal() if refresh is not None else None,
        "scope": " ".join(given.scopes),
    }


def _denied(problem: Refusal, error: str) -> Response:
    """Twilio's four keys, and RFC 6749's word (5.2)."""
    response = _secret(problem.problem.status, {**problem.body(), "error": error})
    response.raw_headers.extend(refusal_headers(problem))
    return response


def _secret(status: int, content: Mapping[str, object]) -> Response:
    """An answer that nobody may keep."""
    response = answer(status, content)
    response.headers.update(_SECRETS_COME)
    return response


def _app_json(app: OauthApp) -> dict[str, object]:
    return {
        "client_id": app.sid,
        "name": app.name,
        "scopes": app.scopes,
        "redirect_uris": app.redirect_uris,
        "lifetime_s": app.lifetime_s,
        "former_secret_until": iso8601_s(app.former_until_ms) if app.former_until_ms else None,
        "date_created": iso8601_s(app.created_ms),
        "date_updated": iso8601_s(app.updated_ms),
    }


def _grant_json(grant: OauthGrant) -> dict[str, object]:
    return {
        "sid": grant.sid,
        "scopes": grant.scopes,
        "date_created": iso8601_s(grant.created_ms),
        "date_used": iso8601_s(grant.updated_ms),
    }
