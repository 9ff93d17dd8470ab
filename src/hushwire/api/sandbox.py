"""The sandbox's HTTP door: phones to read, to text from and to break; a clock to move.

It exists only while the sandbox is on. JSON in and out; errors are Twilio's object. Paths:

    GET, POST, DELETE  /sandbox/phones/{number}/messages
    POST               /sandbox/phones/{number}
    GET, POST          /sandbox/clock
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.api.dates import iso8601
from hushwire.api.wire import Scope
from hushwire.errors import Refusal, Unavailable
from hushwire.private import Private

ADVANCE_MAX_S: Final = 34_560_000  # 400 days
MEDIA_MAX: Final = 10  # of one message, as Twilio's
_BODY_MAX: Final = 65_536  # bytes of a request

_E164 = re.compile(r"\+[1-9][0-9]{1,14}\Z")


class ScreenText(Protocol):
    """A text on a phone's screen."""

    @property
    def sid(self) -> str: ...
    @property
    def from_(self) -> Private: ...
    @property
    def to(self) -> Private: ...
    @property
    def body(self) -> Private: ...
    @property
    def media_urls(self) -> Sequence[Private]: ...
    @property
    def received_ms(self) -> int: ...


class Phones(Protocol):
    """The simulated network's phones, by E.164 number."""

    def screen(self, number: Private) -> Sequence[ScreenText]:
        """The texts on the screen, newest first."""
        ...

    def clear(self, number: Private) -> None: ...

    def behave(self, number: Private, behaviour: str) -> None:
        """Raises ValueError for an unknown behaviour."""
        ...


class SandboxDoor(Protocol):
    """What the sandbox needs of the server."""

    @property
    def phones(self) -> Phones: ...

    def authenticate(self, scope: Scope) -> None:
        """Raises Refusal unless the request carries credentials of the first account."""
        ...

    async def receive_text(
        self, from_: Private, to: Private, body: Private, media_urls: Sequence[Private]
    ) -> tuple[str | None, str]:
        """A phone sends a text to us: (sid, status). Refusal "not_found": `to` is not owned.

        (None, "disabled"): the service that `to` belongs to takes no texts.
        """
        ...

    async def advance(self, seconds: int) -> int:
        """Move the clock forward; returns how much of what became due is pending."""
        ...

    def now_ms(self) -> int: ...

    def offset_ms(self) -> int: ...


class _Text(Struct, frozen=True, forbid_unknown_fields=True):
    to: Private
    body: Private = Private("")
    media_urls: Annotated[tuple[Private, ...], Meta(max_length=MEDIA_MAX)] = ()


class _Behave(Struct, frozen=True, forbid_unknown_fields=True):
    behaviour: str


class _Advance(Struct, frozen=True, forbid_unknown_fields=True):
    advance_s: Annotated[int, Meta(ge=1, le=ADVANCE_MAX_S)]


_Input = TypeVar("_Input", _Text, _Behave, _Advance)
_Answer = Callable[[SandboxDoor, Request], Awaitable[Response]]


def sandbox_routes(door: SandboxDoor) -> list[Route]:
    """The sandbox's routes, each asking for credentials first."""

    def route(method: str, path: str, answer: _Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                door.authenticate(request.scope)
                return await answer(door, request)
            except Refusal as refusal:
                return _refused(refusal)

        return Route(path, endpoint, methods=[method], name=answer.__name__.lstrip("_"))

    messages = "/sandbox/phones/{number}/messages"
    return [
        route("GET", messages, _read_screen),
        route("POST", messages, _send_text),
        route("DELETE", messages, _clear_screen),
        route("POST", "/sandbox/phones/{number}", _set_behaviour),
        route("GET", "/sandbox/clock", _read_clock),
        route("POST", "/sandbox/clock", _advance_clock),
    ]


async def _read_screen(door: SandboxDoor, request: Request) -> Response:
    texts = door.phones.screen(_number(request))
    return _json(200, {"messages": [_shown(text) for text in texts]})


async def _clear_screen(door: SandboxDoor, request: Request) -> Response:
    door.phones.clear(_number(request))
    return Response(status_code=204)


async def _send_text(door: SandboxDoor, request: Request) -> Response:
    from_ = _number(request)
    text = await _input(request, _Text)
    if not text.media_urls and not text.body:
        raise Refusal("invalid_parameter", parameter="body")
    sid, status = await door.receive_text(from_, text.to, text.body, text.media_urls)
    return _json(201, {"sid": sid, "status": status})


async def _set_behaviour(door: SandboxDoor, request: Request) -> Response:
    number = _number(request)
    wanted = await _input(request, _Behave)
    try:
        door.phones.behave(number, wanted.behaviour)
    except ValueError:
        raise Refusal("invalid_parameter", parameter="behaviour") from None
    return _json(200, {"behaviour": wanted.behaviour})


async def _read_clock(door: SandboxDoor, request: Request) -> Response:
    return _json(200, _clock(door))


async def _advance_clock(door: SandboxDoor, request: Request) -> Response:
    wanted = await _input(request, _Advance)
    pending = await door.advance(wanted.advance_s)
    if pending:
        return _json(202, {**_clock(door), "pending": pending})
    return _json(200, _clock(door))


def _number(request: Request) -> Private:
    """The phone of the path, decoded: E.164 with its plus."""
    number = str(request.path_params["number"])
    if _E164.match(number) is None:
        raise Refusal("invalid_parameter", parameter="number")
    return Private(number)


async def _input(request: Request, kind: type[_Input]) -> _Input:
    """The request's JSON as `kind`. Refusal "invalid_parameter" when it is anything else."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _BODY_MAX:
            raise Refusal("invalid_parameter", parameter="JSON body")
    try:
        return msgspec.json.decode(content, type=kind, dec_hook=_private)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # Name a field of ours, and nothing of what was sent: it may be private.
        reason = str(error)
        fields = (name for name in kind.__struct_fields__ if re.search(rf"[`.]{name}\b", reason))
        raise Refusal("invalid_parameter", parameter=next(fields, "JSON body")) from None


def _private(kind: type[Any], value: object) -> Private:
    if kind is Private and isinstance(value, str):
        return Private(value)
    raise TypeError("expected a string")


def _shown(text: ScreenText) -> dict[str, object]:
    return {
        "sid": text.sid,
        "from": text.from_.reveal(),
        "to": text.to.reveal(),
        "body": text.body.reveal(),
        "media_urls": [url.reveal() for url in text.media_urls],
        "received_at": iso8601(text.received_ms),
    }


def _clock(door: SandboxDoor) -> dict[str, object]:
    return {"now": iso8601(door.now_ms()), "offset_s": door.offset_ms() // 1000}


def _json(status: int, content: object) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _refused(refusal: Refusal) -> Response:
    response = _json(refusal.problem.status, refusal.body())
    if refusal.problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="Hushwire sandbox"'
    if isinstance(refusal, Unavailable):
        response.headers["Retry-After"] = str(refusal.retry_after_s)
    return response
