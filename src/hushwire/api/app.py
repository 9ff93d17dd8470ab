"""The HTTP application: Twilio's API, health, metrics and the sandbox on one port."""

from collections.abc import Callable, MutableMapping
from itertools import count
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from hushwire.api.messages import MessageResource, is_create
from hushwire.api.wire import (
    REQUEST_ID,
    REQUEST_ID_HEADER,
    Receive,
    Scope,
    Send,
    encode,
    refusal_headers,
    request_id_header,
    respond,
)
from hushwire.errors import Refusal, Unavailable
from hushwire.observe import Journal

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class App:
    """An ASGI application. The one place where an error nobody expected becomes an answer."""

    def __init__(
        self,
        messages: MessageResource,
        journal: Journal,
        ready: Callable[[], bool],
        routes: list[BaseRoute],
        *,
        process: bytes,
    ) -> None:
        self._requests = count()
        self._process = process.hex().encode()  # tells the requests of this start from all others
        self._messages = messages
        self._journal = journal
        self._metrics = journal.metrics
        self._ready = ready
        self._rest = Starlette(
            routes=[
                *messages.routes(),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._scrape),
                *routes,
            ],
            exception_handlers={
                Refusal: self._refused,
                HTTPException: self._http,
                Exception: self._defect,
            },
        )
        self._rest.router.redirect_slashes = False  # a path is served, or it is not

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        creates = is_create(scope)
        request_id = scope[REQUEST_ID] = b"RQ%s%016x" % (self._process, next(self._requests))
        try:
            if not self._ready() and path not in ("/healthz", "/readyz"):
                raise Unavailable("unavailable", retry_after_s=5)  # noqa: TRY301
            if creates:
                await self._messages.create(scope, receive, send)
            else:
                await self._rest(scope, receive, _stamped(send, request_id))
        except Refusal as refusal:
            self._metrics.refused[refusal.problem.code] += 1
            headers = [request_id_header(scope), *refusal_headers(refusal, scope)]
            await respond(send, refusal.problem.status, encode(refusal.body()), headers)
        except Exception as error:  # noqa: BLE001  the one handler of what nobody expected
            self._journal.defect(error, request_id.decode())
            if creates:  # the rest was answered by `_defect`
                body = encode(Refusal("internal_error").body())
                await respond(send, 500, body, [request_id_header(scope)])

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        self._metrics.refused[error.problem.code] += 1
        return _problem(error, request.scope)

    async def _http(self, request: Request, error: Exception) -> Response:
        """What the router refuses, in Twilio's words."""
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            response = _problem(Refusal("method_not_allowed"))
            response.headers.update(error.headers or {})  # Allow
            return response
        return _problem(Refusal("not_found", path=request.scope["path"]))

    async def _defect(self, request: Request, error: Exception) -> Response:
        return _problem(Refusal("internal_error"))

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        ready = self._ready()
        return PlainTextResponse("ready\n" if ready else "not ready\n", 200 if ready else 503)

    async def _scrape(self, request: Request) -> Response:
        return Response(self._metrics.render(), media_type=_METRICS_TYPE)


def _stamped(send: Send, request_id: bytes) -> Send:
    """`send`, with the request's id among the headers of the answer."""

    async def stamp(event: MutableMapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            event["headers"] = [*event["headers"], (REQUEST_ID_HEADER, request_id)]
        await send(event)

    return stamp


def _problem(refusal: Refusal, scope: Scope | None = None) -> Response:
    response = Response(
        encode(refusal.body()), refusal.problem.status, media_type="application/json"
    )
    response.raw_headers.extend(refusal_headers(refusal, scope))
    return response
