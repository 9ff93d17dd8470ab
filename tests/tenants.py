"""Who talks to a server in the contract tests: an account or a key, by SDK or plain HTTP."""

import json
from base64 import b64encode
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

from twilio.rest import Client

from harness import RunningServer
from wire_checks import FORM, MORE_INFO, Answer


class Tenant(NamedTuple):
    """Credentials, and the account that paths name."""

    server: RunningServer
    user: str
    password: str
    sid: str

    def ask(self, method: str, path: str, **form: str) -> Answer:
        """A plain request; a path without a leading slash is below the account."""
        basic = b64encode(f"{self.user}:{self.password}".encode()).decode()
        body = urlencode(form).encode() if method == "POST" else None
        headers = {**FORM, "Authorization": f"Basic {basic}"}
        return self.server.request(method, self.path(path), body, headers, auth=False)

    def made(self, method: str, path: str, status: int = 200, **form: str) -> dict[str, Any]:
        """The JSON of an answer that must have that status."""
        got, _, body = self.ask(method, path, **form)
        assert got == status, body
        return json.loads(body)

    def may(self, method: str, path: str, **form: str) -> int:
        """0 when it is answered, else the code of the refusal."""
        status, _, body = self.ask(method, path, **form)
        return 0 if status < 300 else json.loads(body)["code"]

    def path(self, rest: str) -> str:
        return rest if rest.startswith("/") else f"/2010-04-01/Accounts/{self.sid}{_join(rest)}"

    def sdk(self) -> Client:
        """The official SDK, with every product these tests use pointed at the server."""
        client = Client(self.user, self.password, account_sid=self.sid)
        for product in (client.api, client.accounts, client.iam):
            product.base_url = self.server.url
        return client

    def at(self, sid: str) -> Self:
        """The same credentials, for another account."""
        return self._replace(sid=sid)

    def key(self, **form: str) -> "Tenant":
        """A new key of this account, made through the v1 API."""
        made = self.made("POST", "/v1/Keys", 201, AccountSid=self.sid, **form)
        return Tenant(self.server, made["sid"], made["secret"], self.sid)


def _join(rest: str) -> str:
    return rest if rest.startswith(".") or not rest else f"/{rest}"


def owner(server: RunningServer) -> Tenant:
    """The first account."""
    return Tenant(server, server.sid, server.token, server.sid)


def subaccount(server: RunningServer, name: str = "A subaccount") -> Tenant:
    """A new subaccount of the first account, with its own token."""
    form = {"FriendlyName": name}
    made = owner(server).made("POST", "/2010-04-01/Accounts.json", 201, **form)
    return Tenant(server, made["sid"], made["auth_token"], made["sid"])


def assert_unknown(answer: Answer, path: str) -> None:
    """The one answer to what is foreign and to what is not there (D13)."""
    path = path.partition("?")[0]
    text = f"The requested resource {path} was not found"
    problem = {"code": 20404, "message": text, "more_info": f"{MORE_INFO}20404", "status": 404}
    assert (answer[0], json.loads(answer[2])) == (404, problem)
