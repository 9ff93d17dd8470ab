"""A sync through a named connection: its secrets are here, so the server asks the backend.

    POST /hushwire/v1/sync  {"connection": "name", "config": {…}, "state": {…}, "catalog": {…}}

The answer goes on: a line of JSON for each Singer message, and `{"type": "NOTE", "text"}` and
`{"type": "REFUSED", …}` (Twilio's four keys and the field) among them. The last REFUSED ends it.
"""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hushwire.actions.connections import Connections
from hushwire.api.connections import PERMISSION, Inside
from hushwire.api.door import Door
from hushwire.api.refused import object_of, told
from hushwire.api.wire import encode, read_body
from hushwire.clock import Clock
from hushwire.connect.fields import no_such_field
from hushwire.connect.refused import INPUT, Refused, refused
from hushwire.connect.run import Connected
from hushwire.connect.sync import Chunk, sync
from hushwire.connect.sync_config import Plan, read_plan
from hushwire.connect.sync_state import State, read_state

PATH: Final = "/hushwire/v1/sync"
TYPE: Final = "application/x-ndjson"

_OBJECTS: Final = ("config", "state", "catalog")


class _Asked(Struct, frozen=True):
    """What a request asks for."""

    connection: str
    objects: dict[str, dict[str, Any] | None]


class SyncResource:
    """Syncs, spoken to the connections."""

    def __init__(self, connections: Connections, door: Door, inside: Inside, clock: Clock) -> None:
        self._connections = connections
        self._door = door
        self._inside = inside
        self._clock = clock

    def routes(self) -> list[Route]:
        return [Route(PATH, self.run, methods=["POST"])]

    async def run(self, request: Request) -> Response:
        content = await read_body(request.receive)  # before the credentials: they may change
        account = self._door.caller(request, f"{PERMISSION}/use").account
        try:
            asked = _asked(object_of(content))
            connection = self._connections.find(account, asked.connection)
            config, state, catalog = (asked.objects[name] for name in _OBJECTS)
            now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
            plan = read_plan(
                config or {}, catalog, connection.view, connection.secrets.view_key, now
            )
            known = read_state(state)
            connected = self._connections.open(connection, self._inside.here(request))
        except Refused as problem:
            return told(problem)
        lines = _lines(connected, plan, known, now)
        return StreamingResponse(lines, media_type=TYPE, headers={"Cache-Control": "no-store"})


async def _lines(
    connected: Connected, plan: Plan, state: State, now: datetime
) -> AsyncGenerator[bytes]:
    try:
        async for each in sync(connected, plan, state, now):
            if isinstance(each, Chunk):
                yield each.lines
            else:
                yield encode({"type": "NOTE", "text": each.text}) + b"\n"
    except Refused as problem:
        yield encode({"type": "REFUSED", **problem.body()}) + b"\n"
    finally:
        await connected.wire.close()


def _asked(content: Mapping[str, object]) -> _Asked:
    """Raises Refused."""
    known = ("connection", *_OBJECTS)
    for name in content:
        if name not in known:
            field, text = no_such_field(name, known, "the request")
            raise refused(INPUT, text, field=field)
    connection = content.get("connection")
    if not isinstance(connection, str):
        raise refused(INPUT, "connection is missing: the name of one", field="connection")
    return _Asked(connection, {name: _object(name, content.get(name)) for name in _OBJECTS})


def _object(name: str, value: object) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]  keys of JSON are text
    raise refused(INPUT, f"{name} must be an object", field=name)
