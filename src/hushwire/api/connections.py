"""Connections over HTTP, `/hushwire/v1/connections`: those of whoever asks."""

from collections.abc import Callable
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.connections import Connections, Here
from hushwire.api.auth import Authenticator
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, gone
from hushwire.api.refused import object_of, told
from hushwire.api.wire import Scope, read_body
from hushwire.connect.kinds import KINDS, CredentialKind
from hushwire.connect.refused import Refused
from hushwire.domain.account import Account
from hushwire.domain.connection import Connection

PATH: Final = "/hushwire/v1/connections"
PERMISSION: Final = "hushwire/connections"
MASK: Final = "********"  # stands for a secret, however long it is

Asgi = Callable[..., object]  # an ASGI application


class Inside:
    """This server, as one of its own callers would reach it."""

    def __init__(self, auth: Authenticator, base: Callable[[Scope], str]) -> None:
        self._auth = auth
        self._base = base
        self.app: Asgi | None = None  # this very application, once it is made

    def here(self, request: Request) -> Here:
        """The address of the caller goes along: what is counted for it, is counted for it."""
        assert self.app is not None
        client = (self._auth.address(request.scope), 0)
        transport = httpx.ASGITransport(self.app, client=client)  # pyright: ignore[reportArgumentType]  httpx names ASGI's types itself
        return Here(self._base(request.scope), transport)


class ConnectionResource:
    """`GET|POST /hushwire/v1/connections`, `GET|DELETE …/{name}`, `POST …/{name}/test`."""

    def __init__(self, connections: Connections, door: Door, inside: Inside) -> None:
        self._connections = connections
        self._door = door
        self._inside = inside

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self._all, methods=["GET", "POST"]),
            Route(f"{PATH}/kinds", self.kinds, methods=["GET"]),
            Route(f"{PATH}/{{name}}", self._one, methods=["GET", "DELETE"]),
            Route(f"{PATH}/{{name}}/test", self.test, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._account(request, "list")
        found = [connection_json(each) for each in self._connections.list(account)]
        return answer(200, {"connections": found})

    async def add(self, request: Request) -> Response:
        content = await read_body(request.receive)  # before the credentials: they may change
        account = self._account(request, "create")
        try:
            here = self._inside.here(request)
            made = await self._connections.add(account, object_of(content), here)
        except Refused as problem:
            return told(problem)
        return answer(201, connection_json(made))

    async def kinds(self, request: Request) -> Response:
        self._account(request, "list")
        return answer(200, {"kinds": [_kind_json(kind) for kind in KINDS.values()]})

    async def fetch(self, request: Request) -> Response:
        account = self._account(request, "read")
        try:
            return answer(200, connection_json(self._find(account, request)))
        except Refused as problem:
            return told(problem)

    async def remove(self, request: Request) -> Response:
        account = self._account(request, "delete")
        try:
            self._connections.remove(self._find(account, request))
        except Refused as problem:
            return told(problem)
        return gone()

    async def test(self, request: Request) -> Response:
        account = self._account(request, "test")
        try:
            connection = self._find(account, request)
            await self._connections.test(connection, self._inside.here(request))
        except Refused as problem:
            return told(problem)
        return answer(200, {"name": connection.name, "works": True})

    async def _all(self, request: Request) -> Response:
        return await (self.list(request) if request.method == "GET" else self.add(request))

    async def _one(self, request: Request) -> Response:
        return await (self.fetch(request) if request.method == "GET" else self.remove(request))

    def _account(self, request: Request, action: str) -> Account:
        return self._door.caller(request, f"{PERMISSION}/{action}").account

    def _find(self, account: Account, request: Request) -> Connection:
        return self._connections.find(account, request.path_params["name"])


def connection_json(connection: Connection) -> dict[str, object]:
    """A connection without its secrets: in their places, eight asterisks."""
    kind = KINDS[connection.kind]
    hidden = {f.name: MASK for f in kind.fields if f.name in connection.secrets.texts}
    return {
        "name": connection.name,
        "url": connection.url or None,
        "credential": {"kind": connection.kind, **connection.shown, **hidden},
        "scopes": connection.scopes,
        "view": connection.view,
        "profile": connection.profile,
        "date_created": iso8601_s(connection.created_ms),
        "date_updated": iso8601_s(connection.updated_ms),
    }


def _kind_json(kind: CredentialKind) -> dict[str, object]:
    fields = [
        {
            "name": field.name, "label": field.label, "description": field.description,
            "type": field.type, "required": field.required,
        }
        for field in kind.fields
    ]  # fmt: skip
    return {"kind": kind.name, "title": kind.title, "fields": fields}
