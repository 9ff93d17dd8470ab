"""The HTTP door of the registry: every action under `/hushwire/v1/actions`."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.connections import Connections
from hushwire.api.actions_openapi import document
from hushwire.api.auth import Authenticator, authorization
from hushwire.api.connections import PERMISSION, Inside
from hushwire.api.door import Door, answer
from hushwire.api.idempotency import idempotency_key
from hushwire.api.refused import object_of, told
from hushwire.api.wire import read_body
from hushwire.connect.credentials import Passed
from hushwire.connect.fields import no_such_field
from hushwire.connect.integrations import INTEGRATIONS
from hushwire.connect.refused import INPUT, Refused, refused
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import Connected, run
from hushwire.connect.wire import Wire
from hushwire.errors import Refusal
from hushwire.private import Private

PATH: Final = "/hushwire/v1/actions"
OPENAPI: Final = "/hushwire/v1/openapi.json"
INTEGRATIONS_PATH: Final = "/hushwire/v1/integrations"

_KEYS: Final = ("input", "connection")


class ActionResource:
    """`GET /hushwire/v1/actions`, `GET|POST …/{name}`.

    Without a connection an action runs against this server as its caller would do it, with the
    caller's own credentials: what those allow, how often, and what is recorded of it is the
    API's to say.
    """

    def __init__(
        self, connections: Connections, door: Door, auth: Authenticator, inside: Inside
    ) -> None:
        self._connections = connections
        self._door = door
        self._auth = auth
        self._inside = inside

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.list, methods=["GET"]),
            Route(OPENAPI, self.openapi, methods=["GET"]),
            Route(INTEGRATIONS_PATH, self.integrations, methods=["GET"]),
            Route(f"{PATH}/{{name}}", self._one, methods=["GET", "POST"]),
        ]

    async def list(self, request: Request) -> Response:
        self._auth.caller(request.scope)
        return answer(200, {"actions": [action.describe() for action in REGISTRY]})

    async def openapi(self, request: Request) -> Response:
        """For everybody: it tells nothing of an account."""
        here = self._inside.here(request)
        return answer(200, document(here.url))

    async def integrations(self, request: Request) -> Response:
        """What each integration is, needs and can do (G-1)."""
        self._auth.caller(request.scope)
        return answer(200, {"integrations": [asdict(each) for each in INTEGRATIONS]})

    async def describe(self, request: Request) -> Response:
        self._auth.caller(request.scope)
        try:
            return answer(200, REGISTRY.find(request.path_params["name"]).describe())
        except Refused as problem:
            return told(problem)

    async def run(self, request: Request) -> Response:
        content = await read_body(request.receive)  # before the credentials: they may change
        self._auth.caller(request.scope)
        key = _key(request)
        try:
            name = REGISTRY.find(request.path_params["name"]).name
            given, connection = _asked(object_of(content))
            connected = self._connected(request, connection)
            try:
                output = await run(name, given, connected, key=key)
            finally:
                await connected.wire.close()
        except Refused as problem:
            return told(problem)
        return answer(200, output)

    async def _one(self, request: Request) -> Response:
        return await (self.describe(request) if request.method == "GET" else self.run(request))

    def _connected(self, request: Request, name: str | None) -> Connected:
        here = self._inside.here(request)
        if name is not None:
            account = self._door.caller(request, f"{PERMISSION}/use").account
            return self._connections.open(self._connections.find(account, name), here)
        account = self._auth.caller(request.scope).account
        header = Private(authorization(request.scope["headers"]).decode("latin-1"))
        return Connected(Wire(here.url, Passed(header), transport=here.transport), account.sid)


def _key(request: Request) -> str | None:
    """What the request names itself by. Raises Refusal for what cannot be passed on."""
    given = idempotency_key(request.scope["headers"])
    if given is None:
        return None
    key = given.reveal()
    if not key.isascii() or not key.isprintable():
        raise Refusal("idempotency_key_invalid")
    return key


def _asked(content: Mapping[str, object]) -> tuple[Mapping[str, object], str | None]:
    """The input and the connection's name. Raises Refused."""
    for name in content:
        if name not in _KEYS:
            field, text = no_such_field(name, _KEYS, "the request")
            raise refused(INPUT, text, field=field)
    given, connection = content.get("input", {}), content.get("connection")
    if not isinstance(given, dict):
        raise refused(INPUT, "input must be an object: field → value", field="input")
    if connection is not None and not isinstance(connection, str):
        raise refused(INPUT, "connection must be text: the name of one", field="connection")
    return given, connection  # pyright: ignore[reportUnknownVariableType]  keys of JSON are text
