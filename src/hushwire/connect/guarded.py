"""HTTP to a URL that a customer gave: httpx over the outbound client and its guard.

Each name is resolved and checked, the socket goes to a checked address, and no redirect is
followed: it would carry credentials to somebody else.
"""

import ssl
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote

import httpx

from hushwire.connect.refused import INPUT, UNREACHABLE, refused
from hushwire.outbound import Answer, Failure, Guard, HttpClient, Limits

LIMITS: Final = Limits(read_ms=30_000, total_ms=30_000, redirects=0, max_bytes=16 << 20)

_PASSED_ON: Final = frozenset({
    "authorization", "content-type", "idempotency-key", "i-twilio-idempotency-token",
})  # fmt: skip
_SAFE: Final = "!$&'()*+,;=:@/?%-._~"  # of a query (RFC 3986, 3.4), and what is escaped already


class GuardedTransport(httpx.AsyncBaseTransport):
    """Belongs to the loop that runs when it is made. One serves all connections; close it."""

    def __init__(self, guard: Guard, *, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._tls = tls or ssl.create_default_context()
        self._reads = HttpClient(guard, tls=self._tls)

    def close(self) -> None:
        """Close all connections."""
        self._reads.close()

    async def aclose(self) -> None:
        """Each user of httpx closes its transport; this one is shared."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises Refused for a URL that may not be called, httpx.TransportError for a failure."""
        body = await request.aread()
        await self._require_secrecy(request.url)
        if request.method == "GET":
            return _response(await self._ask(self._reads, request, body), request)
        # Through a connection of its own. On one that was kept, the client would repeat what got
        # no answer, and nobody could tell whether the first was done.
        client = HttpClient(self._guard, tls=self._tls)
        try:
            return _response(await self._ask(client, request, body), request)
        finally:
            client.close()

    async def _ask(
        self, client: HttpClient, request: httpx.Request, body: bytes
    ) -> Answer | Failure:
        url = str(request.url.copy_with(query=None, fragment=None))
        headers = {name: text for name, text in request.headers.items() if name in _PASSED_ON}
        query = quote(request.url.query, safe=_SAFE)
        return await client.request(request.method, url, headers, body, LIMITS, query)

    async def _require_secrecy(self, url: httpx.URL) -> None:
        """Credentials go over plain HTTP to this machine and the operator's networks alone."""
        if url.scheme != "http":
            return
        found = await self._guard.resolve(url.host, url.port or 80)
        if isinstance(found, list) and not all(
            self._guard.may_be_own(ip_address(address.ip)) for address in found
        ):
            raise refused(INPUT, "url must begin with https://: it carries secrets", field="url")


def _response(result: Answer | Failure, request: httpx.Request) -> httpx.Response:
    if isinstance(result, Failure):
        raise _problem(result, request)
    if result.cut:
        raise refused(UNREACHABLE, "the answer is too long: ask for less", field=None)
    headers = [(name.decode("latin-1"), value.decode("latin-1"))
               for name, value in result.headers.items()]  # fmt: skip
    return httpx.Response(result.status, headers=headers, content=result.body, request=request)


def _problem(failure: Failure, request: httpx.Request) -> Exception:
    """What a failure means: was the request sent, or can it never be?"""
    match failure.kind:
        case "refused_by_guard":
            return refused(
                INPUT, f"url may not be called ({failure.detail}): give the public address of a "
                "Hushwire server, or twilio", field="url",
            )  # fmt: skip
        case "redirects":
            return refused(
                UNREACHABLE, "url leads elsewhere, and credentials do not follow: give the URL "
                "that it leads to", field="url",
            )  # fmt: skip
        case "tls":
            return refused(UNREACHABLE, "url has a certificate that is not trusted", field="url")
        case "resolve" | "connect" | "timeout_connect":
            return httpx.ConnectError(failure.kind, request=request)
        case _:  # the request may have been read
            return httpx.ReadError(failure.kind, request=request)
