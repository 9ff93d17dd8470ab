"""How clients reach the MCP server: over standard input and output, or over HTTP with a token."""

import asyncio
import hmac
from typing import Final

import uvicorn
from mcp.server.stdio import stdio_server
from starlette.types import ASGIApp, Receive, Scope, Send

from hushwire.clock import Clock, SystemEntropy
from hushwire.mcp.backends import Backend
from hushwire.mcp.policy import Http, Policy
from hushwire.mcp.server import AgentServer, make_server
from hushwire.private import Private

PATH: Final = "/mcp"
STOP_S: Final = 2  # for calls that are under way

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_DENIED: Final = b'{"error":"invalid_token","error_description":"Bearer token required"}'


def serve(backend: Backend, policy: Policy, http: Http | None) -> None:
    """Serve until the program that started us closes our input; over HTTP, until a signal."""
    asyncio.run(_serve(backend, policy, http))


async def _serve(backend: Backend, policy: Policy, http: Http | None) -> None:
    server = make_server(backend, policy, Clock(), SystemEntropy())
    try:
        if http is None:
            async with stdio_server() as (read, write):
                await server.run(read, write, server.create_initialization_options())
        else:
            await _over_http(server, http)
    finally:
        await backend.close()


async def _over_http(server: AgentServer, http: Http) -> None:
    """On loopback a request must name this machine as its host, too: a page that a browser shows
    must not reach us by a name that leads here (DNS rebinding)."""
    host = str(http.listener.getsockname()[0])
    app = server.streamable_http_app(
        streamable_http_path=PATH, host="127.0.0.1" if host in _LOOPBACK else host
    )
    config = uvicorn.Config(
        Guarded(app, http.token), log_config=None, access_log=False, server_header=False,
        proxy_headers=False, ws="none", timeout_graceful_shutdown=STOP_S,
    )  # fmt: skip
    await uvicorn.Server(config).serve([http.listener])


class Guarded:
    """An application that answers nobody without the bearer token."""

    def __init__(self, app: ASGIApp, token: Private) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(_DENIED)).encode()),
            (b"www-authenticate", b'Bearer error="invalid_token"'),
        ]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": _DENIED})

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        wanted = f"Bearer {self._token.reveal()}".encode()
        return len(given) == 1 and hmac.compare_digest(given[0], wanted)
