"""What tests of OAuth share: apps, tokens, and the consent page as a person uses it."""

import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from belongings import JSON, send
from hushwire.domain.oauth import SCOPES
from tenants import Tenant
from wire_checks import FORM, Answer

APPS = "/hushwire/v1/oauth/apps"
CALLBACK = "http://127.0.0.1:8765/callback"
VERIFIER = "a-verifier-of-43-characters-at-the-very-least"
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class App(NamedTuple):
    """An OAuth app, and the account it is of."""

    tenant: Tenant
    id: str
    secret: str

    def ask(self, grant_type: str = "client_credentials", **form: str) -> Answer:
        """The token endpoint, v2."""
        given = {"grant_type": grant_type, "client_id": self.id, "client_secret": self.secret}
        body = urlencode({**given, **form}).encode()
        return self.tenant.server.request("POST", "/v2/token", body, FORM, auth=False)

    def given(self, grant_type: str = "client_credentials", **form: str) -> dict[str, Any]:
        status, _, body = self.ask(grant_type, **form)
        assert status == 200, body
        return json.loads(body)

    def token(self, *scopes: str) -> str:
        return self.given(scope=" ".join(scopes))["access_token"]

    def page(self, **changes: str | None) -> str:
        """The address of the consent page; None leaves a parameter out."""
        asked = {
            "response_type": "code", "client_id": self.id, "redirect_uri": CALLBACK,
            "state": "a state", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            **changes,
        }  # fmt: skip
        given = {name: value for name, value in asked.items() if value is not None}
        return f"{self.tenant.server.url}/oauth/authorize?{urlencode(given)}"

    def exchange(self, code: str, **changes: str) -> Answer:
        given = {"code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.ask("authorization_code", **{**given, **changes})


def make_app(tenant: Tenant, *scopes: str, **changes: object) -> App:
    content = {"name": "Persona", "scopes": scopes or list(SCOPES), "redirect_uris": [CALLBACK]}
    status, made = post_json(tenant, APPS, {**content, **changes})
    assert status == 201, made
    return App(tenant, made["client_id"], made["client_secret"])


def post_json(tenant: Tenant, path: str, content: object) -> tuple[int, dict[str, Any]]:
    status, _, body = send(tenant, "POST", path, json.dumps(content).encode(), JSON)
    return status, json.loads(body)


def bearer(
    tenant: Tenant, token: str, method: str, path: str, content: object = None, **form: str
) -> Answer:
    """A request with an access token; a path without a leading slash is below the account."""
    headers, body = FORM, urlencode(form).encode() if method == "POST" else None
    if content is not None:
        headers, body = JSON, json.dumps(content).encode()
    headers = {**headers, "Authorization": f"Bearer {token}"}
    return tenant.server.request(method, tenant.path(path), body, headers, auth=False)


def code_of(answer: Answer) -> int:
    """0 when it is answered, else the code of the refusal."""
    return 0 if answer[0] < 300 else json.loads(answer[2])["code"]


class Person:
    """Somebody with a browser that knows forms and cookies, and follows nothing."""

    def __init__(self) -> None:
        self.http = httpx.Client(trust_env=False)
        self.shown: httpx.Response | None = None

    def visit(self, page: str) -> httpx.Response:
        self.shown = self.http.get(page)
        return self.shown

    def proof(self) -> str:
        assert self.shown is not None
        found = re.search(r'name="proof" value="([0-9a-f]+)"', self.shown.text)
        assert found is not None, self.shown.text
        return found[1]

    def decide(self, decision: str, sid: str = "", token: str = "", **more: str) -> httpx.Response:
        """Fill in the form and press a button."""
        assert self.shown is not None
        form = {"proof": self.proof(), "decision": decision, "account_sid": sid,
                "auth_token": token, **more}  # fmt: skip
        return self.http.post(str(self.shown.url), data=form)


def said(response: httpx.Response) -> dict[str, str]:
    """What a redirect brings to the app."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))
