"""`/oauth/authorize`: where a person reviews and approves what an app asks for.

Plain HTML without scripts. Nothing is remembered of who visits: approving takes the account's SID
and token each time, so that there is no session for another site to use.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from html import escape
from http.cookies import CookieError, SimpleCookie
from importlib.resources import files
from string import Template
from typing import Final
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from hushwire.actions.accounts import Accounts
from hushwire.actions.events import acting
from hushwire.actions.oauth import OauthApps
from hushwire.actions.oauth_grants import Grants
from hushwire.api.auth import Authenticator
from hushwire.api.door import form_of, one
from hushwire.api.oauth import AUTHORIZE
from hushwire.api.wire import Scope
from hushwire.clock import Entropy
from hushwire.connect.registry import SCOPES
from hushwire.domain.account import Caller
from hushwire.domain.oauth import OauthApp, is_challenge, read_scopes, redirect_origin
from hushwire.domain.sid import is_sid
from hushwire.errors import Refusal, Unavailable
from hushwire.private import Private

STATE_CHARS_MAX: Final = 1_024
COOKIE: Final = "hushwire_consent"

_HTML: Final = files("hushwire").joinpath("api/consent.html").read_text(encoding="utf-8")
_PAGE, _FORM, _FLAW = map(Template, re.split("<!-- (?:form|flaw) -->", _HTML))
_STYLE: Final = _HTML.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the address of this page has `state` in it
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PARAMETERS: Final = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge",
    "code_challenge_method",
)  # fmt: skip


class Flaw(Exception):
    """What is wrong with the address itself. Told to the person, and never by a redirect."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text: Final = text
        self.status: Final = status


class Asked(Struct, frozen=True):
    """What an app asks a person for."""

    app: OauthApp
    redirect_uri: Private
    state: str
    scopes: tuple[str, ...] = ()
    challenge: str = ""
    error: str = ""  # what it asks for cannot be: RFC 6749, 4.1.2.1


class ConsentResource:
    """`GET|POST /oauth/authorize`."""

    def __init__(
        self, apps: OauthApps, grants: Grants, accounts: Accounts, auth: Authenticator,
        base: Callable[[Scope], str], entropy: Entropy,
    ) -> None:  # fmt: skip
        self._apps = apps
        self._grants = grants
        self._accounts = accounts
        self._auth = auth
        self._base = base
        self._entropy = entropy
        self._key = entropy.bytes(32)  # of the forms that this process gives out

    def routes(self) -> list[Route]:
        return [Route(AUTHORIZE, self._authorize, methods=["GET", "POST"])]

    async def _authorize(self, request: Request) -> Response:
        try:
            asked = self._read(request)
            if asked.error:
                return self._back(request, asked, error=asked.error)
            if request.method == "POST":
                return await self._decide(request, asked)
            return self._form(request, asked)
        except Flaw as flaw:
            content = _FLAW.substitute(flaw=escape(flaw.text))
            return _page("Access cannot be approved", content, flaw.status, "'none'")

    # -- what is asked for ----------------------------------------------------------------

    def _read(self, request: Request) -> Asked:
        """Raises Flaw as long as it is not certain who asks, and where a redirect would lead."""
        given = _parameters(request.scope["query_string"])
        app, uri = self._apps.find(given.get("client_id", "")), given.get("redirect_uri", "")
        if app is None:
            raise Flaw("No app has this client_id. It may have been deleted.")
        if uri not in app.redirect_uris:
            raise Flaw("This redirect_uri is not one of the app's: it must be spelled exactly so.")
        state = given.get("state", "")
        asked = Asked(app, Private(uri), state[:STATE_CHARS_MAX])
        if not 1 <= len(state) <= STATE_CHARS_MAX:
            return _wrong(asked, "invalid_request")
        if given.get("response_type") != "code":
            return _wrong(asked, "unsupported_response_type")
        challenge = given.get("code_challenge", "")
        if given.get("code_challenge_method") != "S256" or not is_challenge(challenge):
            return _wrong(asked, "invalid_request")
        scopes = read_scopes(given.get("scope"), app.scopes)
        if scopes is None:
            return _wrong(asked, "invalid_scope")
        return Asked(app, asked.redirect_uri, state, scopes, challenge)

    # -- the page -------------------------------------------------------------------------

    def _form(
        self, request: Request, asked: Asked, flaw: str = "", status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:  # fmt: skip
        visit = self._visit(request) or self._entropy.bytes(16).hex()
        origin = redirect_origin(asked.redirect_uri.reveal())
        assert origin is not None  # of a redirect URI that the app has
        account = self._apps.account(asked.app)
        content = _FORM.substitute(
            app=escape(asked.app.name), origin=escape(origin),
            scopes="".join(
                f"<li><span>{escape(SCOPES[scope].capitalize())}</span> <code>{scope}</code></li>"
                for scope in asked.scopes
            ),
            account=escape(f"{account.sid[:2]}…{account.sid[-6:]}"),
            flaw=f'<p class="flaw" role="alert">{escape(flaw)}</p>' if flaw else "",
            proof=self._proof(request, visit),
        )  # fmt: skip
        # Browsers hold redirects after a form to form-action, too.
        title = f"{asked.app.name} asks for access"
        response = _page(title, content, status, f"'self' {origin}", headers)
        response.set_cookie(
            COOKIE, visit, path=AUTHORIZE, httponly=True, samesite="lax",
            secure=self._base(request.scope).startswith("https://"),
        )  # fmt: skip
        return response

    # -- what the person says -------------------------------------------------------------

    async def _decide(self, request: Request, asked: Asked) -> Response:
        form = await _decision(request)
        visit = self._visit(request)
        right = visit is not None and hmac.compare_digest(
            form.get("proof", ""), self._proof(request, visit)
        )
        if not right or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise Flaw(
                "This form did not come from this page, or the server was restarted since. Go "
                "back to the app and begin again.", 403,
            )  # fmt: skip
        if form.get("decision") == "deny":
            return self._back(request, asked, error="access_denied")
        if form.get("decision") != "approve":
            raise Flaw("The form says neither approve nor deny.")
        try:
            caller = self._owner(request, asked.app, form)
        except Unavailable as busy:
            wait = {"Retry-After": str(busy.retry_after_s)}
            flaw = f"Too many wrong tries. Try again in {busy.retry_after_s} seconds."
            return self._form(request, asked, flaw, 429, wait)
        except Refusal:
            flaw = "That Account SID and Auth Token do not open this account. Nothing is approved."
            return self._form(request, asked, flaw, 403)
        acting(caller, self._auth.address(request.scope))
        code = self._grants.approve(asked.app, asked.scopes, asked.redirect_uri, asked.challenge)
        return self._back(request, asked, code=code.reveal())

    def _owner(self, request: Request, app: OauthApp, form: Mapping[str, str]) -> Caller:
        """Whose app it is, proven by SID and token. Raises Refusal."""
        sid, token = form.get("account_sid", "").strip(), form.get("auth_token", "").strip()

        def prove() -> Caller | None:
            caller = self._accounts.authenticate(sid, token) if is_sid(sid, "AC") else None
            return caller if caller is not None and caller.account.id == app.account_id else None

        return self._auth.attempt(request.scope, sid, prove)

    # -- parts ----------------------------------------------------------------------------

    def _visit(self, request: Request) -> str | None:
        """What the cookie says, if we may have set it."""
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return cookie.value if cookie is not None and len(cookie.value) == 32 else None

    def _proof(self, request: Request, visit: str) -> str:
        """That we gave this form to this visitor, for these very parameters."""
        said = visit.encode() + b"\n" + request.scope["query_string"]
        return hmac.digest(self._key, said, "sha256").hex()

    def _back(self, request: Request, asked: Asked, **says: str) -> Response:
        """To the app, with who says so (RFC 9207)."""
        uri = asked.redirect_uri.reveal()
        said = urlencode({**says, "state": asked.state, "iss": self._base(request.scope)})
        where = f"{uri}{'&' if '?' in uri else '?'}{said}"
        return RedirectResponse(where, 303, {**_HEADERS, **_policy("'none'")})


def _wrong(asked: Asked, error: str) -> Asked:
    return Asked(asked.app, asked.redirect_uri, asked.state, error=error)


def _parameters(query: bytes) -> dict[str, str]:
    """Raises Flaw for a parameter that is given twice (RFC 6749, 3.1), or is no text."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50
        )
    except ValueError:
        raise Flaw("The address of this page is damaged.") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given and name in _PARAMETERS:
            raise Flaw(f"The address of this page has {name} twice.")
        given[name] = value
    return given


async def _decision(request: Request) -> dict[str, str]:
    """The form; Flaw for what is none."""
    try:
        form = await form_of(request)
        names = ("proof", "decision", "account_sid", "auth_token")
        return {name: one(form, name) or "" for name in names}
    except Refusal:
        raise Flaw("The form could not be read.") from None


def _page(
    title: str, content: str, status: int, form_action: str,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:  # fmt: skip
    html = _PAGE.substitute(title=escape(title), content=content)
    return HTMLResponse(html, status, {**_HEADERS, **(headers or {}), **_policy(form_action)})


def _policy(form_action: str) -> dict[str, str]:
    """No scripts, nothing from elsewhere, no frames."""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        f"form-action {form_action}; frame-ancestors 'none'; base-uri 'none'"
    }
