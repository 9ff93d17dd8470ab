"""Sinks of Event Streams, `/v1/Sinks`, and the event types, `/v1/Types` (W17)."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.streams import NewSink, Streams
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.wire import Form, Scope
from hushwire.domain.account import Account
from hushwire.domain.stream import SCHEMA_VERSION, TYPES, Numbers, Sink, Type
from hushwire.errors import Refusal

SINKS: Final = "/v1/Sinks"
TYPES_PATH: Final = "/v1/Types"
BORN: Final = 1_772_323_200_000  # 2026-03-01: the types were there before anybody asked
_PERMISSION: Final = "twilio/events/sinks"


class _Configuration(Struct, frozen=True):
    """`SinkConfiguration` of a webhook. `numbers` is ours; what else there is, is ignored."""

    destination: str
    method: str = "POST"
    batch_events: bool = True
    numbers: Numbers = "masked"


class _Listed(Struct, frozen=True):
    """An event type as a record of a list."""

    type: Type

    @property
    def sid(self) -> str:
        return self.type.name.replace(".", "_")

    @property
    def created_ms(self) -> int:
        return BORN


class SinkResource:
    """Twilio's Sinks and Types, spoken to the actions. `base` gives scheme and host of links."""

    def __init__(self, streams: Streams, door: Door, base: Callable[[Scope], str]) -> None:
        self._streams = streams
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        one_sink = f"{SINKS}/{{sid}}"
        return [
            Route(SINKS, self._all, methods=["GET", "POST"]),
            Route(one_sink, self._one, methods=["GET", "DELETE"]),
            Route(f"{one_sink}/Test", self.test, methods=["POST"]),
            Route(f"{one_sink}/Validate", self.validate, methods=["POST"]),
            Route(TYPES_PATH, self.list_types, methods=["GET"]),
            Route(f"{TYPES_PATH}/{{type}}", self.fetch_type, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.caller(request, f"{_PERMISSION}/list").account
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of(self._streams.sinks(account))
        base = self._base(request.scope)
        records = [sink_json(sink, base) for sink in page.records]
        return answer(200, meta_json(base + SINKS, asked, page, records, "sinks"))

    async def create(self, request: Request) -> Response:
        form = await form_of(request)
        account = self._door.caller(request, f"{_PERMISSION}/create").account
        sink = self._streams.create_sink(account, _wanted(form))
        return answer(201, sink_json(sink, self._base(request.scope)))

    async def fetch(self, request: Request) -> Response:
        _, sink = self._find(request, "read")
        return answer(200, sink_json(sink, self._base(request.scope)))

    async def delete(self, request: Request) -> Response:
        self._streams.delete_sink(self._find(request, "delete")[1])
        return gone()

    async def test(self, request: Request) -> Response:
        """Send a test event; what it brings is given to `validate`."""
        self._streams.test_sink(self._find(request, "update")[1])
        return answer(201, {"result": "submitted"})

    async def validate(self, request: Request) -> Response:
        form = await form_of(request)
        _, sink = self._find(request, "update")
        if not self._streams.validate_sink(sink, one(form, "TestId") or ""):
            raise Refusal("invalid_parameter", parameter="TestId")
        return answer(201, {"result": "valid"})

    async def list_types(self, request: Request) -> Response:
        self._door.caller(request, "twilio/events/types/list")
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, ("SchemaId",))
        schema = given.get("SchemaId") or None
        page = asked.of([_Listed(t) for t in TYPES.values() if schema in (None, t.schema)])
        base = self._base(request.scope)
        records = [type_json(listed.type, base) for listed in page.records]
        return answer(200, meta_json(base + TYPES_PATH, asked, page, records, "types"))

    async def fetch_type(self, request: Request) -> Response:
        self._door.caller(request, "twilio/events/types/read")
        found = TYPES.get(request.path_params["type"])
        if found is None:
            raise not_found(request)
        return answer(200, type_json(found, self._base(request.scope)))

    async def _all(self, request: Request) -> Response:
        return await (self.create(request) if request.method == "POST" else self.list(request))

    async def _one(self, request: Request) -> Response:
        return await (self.delete(request) if request.method == "DELETE" else self.fetch(request))

    def _find(self, request: Request, action: str) -> tuple[Account, Sink]:
        account = self._door.caller(request, f"{_PERMISSION}/{action}").account
        sink = self._streams.sink(account, request.path_params["sid"])
        if sink is None:
            raise not_found(request)
        return account, sink


def sink_json(sink: Sink, base: str) -> dict[str, object]:
    """A sink as Twilio shows it."""
    url = f"{base}{SINKS}/{sink.sid}"
    return {
        "date_created": iso8601_s(sink.created_ms),
        "date_updated": iso8601_s(sink.updated_ms),
        "description": sink.description,
        "links": {"sink_test": f"{url}/Test", "sink_validate": f"{url}/Validate"},
        "sid": sink.sid,
        "sink_configuration": {
            "destination": sink.destination,
            "method": "POST",
            "batch_events": sink.batch,
            "numbers": sink.numbers,
        },
        "sink_type": "webhook",
        "status": "active",
        "url": url,
    }


def type_json(found: Type, base: str) -> dict[str, object]:
    """An event type as Twilio shows it."""
    return {
        "date_created": iso8601_s(BORN),
        "date_updated": iso8601_s(BORN),
        "description": found.what,
        "documentation_url": None,
        "links": {"schema": None},
        "public": True,
        "schema_id": found.schema,
        "status": "available",
        "type": found.name,
        "url": f"{base}{TYPES_PATH}/{found.name}",
        "version": SCHEMA_VERSION,
    }


def _wanted(form: Form) -> NewSink:
    """The sink a create asks for. Raises Refusal: only webhooks are served, by POST."""
    for name in ("Description", "SinkConfiguration", "SinkType"):
        if one(form, name) is None:
            raise Refusal("parameter_required", parameter=name)
    if one(form, "SinkType") != "webhook":
        raise Refusal("invalid_parameter", parameter="SinkType")
    try:
        wanted = msgspec.json.decode(one(form, "SinkConfiguration") or "", type=_Configuration)
    except msgspec.DecodeError:
        raise Refusal("invalid_parameter", parameter="SinkConfiguration") from None
    if wanted.method.upper() != "POST":
        raise Refusal("invalid_parameter", parameter="SinkConfiguration")
    return NewSink(
        one(form, "Description") or "", wanted.destination, wanted.batch_events, wanted.numbers
    )
