"""The live message log: an answer that goes on, a line of JSON for every change.

    GET /hushwire/v1/accounts/{sid}/tail

A line is `{"sid", "at", "status", "direction", "from", "to", "segments", "error_code"}`, or
`{"lost": n}` when a slow reader missed n changes, or `{"heartbeat": time}`: the first says that
the log has begun, and one comes after every 15 s of silence.
"""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.tail import Event, Listener, Tail
from hushwire.api.dates import iso8601
from hushwire.api.door import Door
from hushwire.api.wire import Receive, Scope, Send, encode
from hushwire.clock import Clock
from hushwire.errors import Unavailable

PERMISSION: Final = "twilio/messaging/messages/list"
HEARTBEAT_S: Final = 15.0
_TYPE: Final = "application/x-ndjson"
_HEADERS: Final = [
    (b"content-type", _TYPE.encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy must not save lines up
]


class TailResource:
    """Streams what happens to an account's messages."""

    def __init__(
        self, tail: Tail, door: Door, clock: Clock, *, heartbeat_s: float = HEARTBEAT_S
    ) -> None:
        self._tail = tail
        self._door = door
        self._clock = clock
        self._heartbeat_s = heartbeat_s

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/tail"
        return [Route(path, self.follow, methods=["GET"])]

    async def follow(self, request: Request) -> Response:
        """Raises Refusal, or Unavailable when too many listen already."""
        account = self._door.path_account(request, PERMISSION)
        if request.method == "HEAD":
            return Response(media_type=_TYPE)
        listener = self._tail.listen(account.id)
        if listener is None:
            raise Unavailable("too_many_requests", retry_after_s=60)
        return _Lines(self, account.id, listener)

    async def stream(self, account_id: int, listener: Listener, send: Send) -> None:
        """Send lines until the listener's end."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        lines = self._beat()
        while lines:
            await send({"type": "http.response.body", "body": lines, "more_body": True})
            lost, events = await listener.take(self._heartbeat_s)
            lines = encode({"lost": lost}) + b"\n" if lost else b""
            lines += b"".join([encode(_line(event)) + b"\n" for event in events])
            if not lines and not listener.over:
                lines = self._beat()
        await send({"type": "http.response.body", "body": b""})

    def leave(self, account_id: int, listener: Listener) -> None:
        self._tail.leave(account_id, listener)

    def _beat(self) -> bytes:
        return encode({"heartbeat": iso8601(self._clock.now_ms())}) + b"\n"


class _Lines(Response):
    """The answer: it ends when the reader goes, or the listener does."""

    def __init__(self, resource: TailResource, account_id: int, listener: Listener) -> None:
        super().__init__()
        self._resource = resource
        self._account_id = account_id
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._resource.stream(self._account_id, self._listener, send)
        sending = asyncio.ensure_future(stream)
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            self._resource.leave(self._account_id, self._listener)
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    """Wait until the reader is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _line(event: Event) -> dict[str, object]:
    return {
        "sid": event.sid,
        "at": iso8601(event.at_ms),
        "status": event.status,
        "direction": event.direction,
        "from": event.from_,
        "to": event.to,
        "segments": event.segments,
        "error_code": event.error_code,
    }
