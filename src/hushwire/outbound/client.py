"""The outbound HTTP client: `post` and `request`, redirects, credentials, one stale retry."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from functools import cached_property
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin

from hushwire.errors import Defect
from hushwire.outbound.answer import DEFAULT_LIMITS, Answer, Failure, Limits
from hushwire.outbound.guard import Checked, Guard
from hushwire.outbound.pool import Pool
from hushwire.outbound.url import Url, parse_url

USER_AGENT: Final = "TwilioProxy/1.1"  # what receivers' filters know (twilio-messaging 6.4)
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_KEEP_METHOD: Final = frozenset((307, 308))
_FOR_ONE_ORIGIN: Final = frozenset(("authorization", "cookie", "x-twilio-signature"))
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


class HttpClient:
    """Keep-alive HTTP/1.1 to customers' servers, through the guard.

    Belongs to the loop that runs when it is made. `per_host` and `overall` bound open
    connections; a post beyond them waits, within its total time. `tls` replaces the default
    context (system trust store, certificate and name verified).
    """

    def __init__(
        self,
        guard: Guard,
        *,
        per_host: int = 32,
        overall: int = 512,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard = guard
        self._given_tls = tls
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(guard, lambda: self._tls, per_host, overall)
        self._closed = False

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, limits: Limits = DEFAULT_LIMITS
    ) -> Answer | Failure:
        """POST `body`. Never raises for what the URL or the network does.

        `headers` come on top of Host, User-Agent, Accept, Accept-Encoding and Content-Length;
        a control or non-ASCII character in them is a Defect. Userinfo in the URL is sent as
        Basic credentials. A fragment is not sent.
        """
        return await self.request("POST", url, headers, body, limits)

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
    ) -> Answer | Failure:
        """As `post`, with any method but HEAD and CONNECT.

        Redirects: 307 and 308 repeat the request, 301, 302 and 303 continue with a GET without
        body. Each goes through the guard. To another scheme, host or port, Authorization,
        Cookie and X-Twilio-Signature do not go along; userinfo in a Location is not used.
        """
        at = parse_url(url)
        if isinstance(at, str):
            return Failure("refused_by_guard", at)
        total_by = self._loop.time() + limits.total_ms / 1000
        head = _header_lines(headers)
        if at.userinfo:
            head = f"Authorization: Basic {_basic(at.userinfo)}\r\n{head}"
        answer = await self._exchange(_request(method, at, head, body), at, limits, total_by)
        if isinstance(answer, Answer) and answer.status in _REDIRECTS:
            return await self._follow(answer, method, at, head, body, limits, total_by)
        return answer

    def close(self) -> None:
        """Close all connections; open requests end as Failure("closed"), and all later ones."""
        self._closed = True
        self._pool.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._given_tls is not None:
            return self._given_tls
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def _exchange(
        self, request: bytes, at: Url, limits: Limits, total_by: float
    ) -> Answer | Failure:
        """One request and its answer; once more when a kept connection had gone stale."""
        if self._closed:
            return Failure("closed")
        addresses = self._guard.known(at.host)
        if addresses is None:
            addresses = await self._resolve(at, limits, total_by)
        if isinstance(addresses, Failure):
            return addresses
        if isinstance(addresses, str):
            return _not_checked(addresses)
        for last in (False, True):
            connection = self._pool.take(at, addresses) or await self._pool.get(
                at, addresses, limits, total_by
            )
            if isinstance(connection, Failure):
                return connection
            may_be_stale = connection.used > 0 and not last
            try:
                result = await connection.send(request, limits, total_by)
            except asyncio.CancelledError:
                connection.abort()
                raise
            # RFC 9110, 9.2.2 and RFC 9112, 9.3.1: the server closed an idle connection while
            # the request was on its way. It has not answered; a repeat carries the same
            # idempotency token. All other idle connections are as old, so the next is fresh.
            if not may_be_stale or result != _CLOSED or self._closed:
                return result
            self._pool.drop_idle(connection.key)
        return _CLOSED

    async def _resolve(self, at: Url, limits: Limits, total_by: float) -> list[Checked] | Failure:
        resolve_by = min(self._loop.time() + limits.connect_ms / 1000, total_by)
        try:
            async with asyncio.timeout_at(resolve_by):
                addresses = await self._guard.resolve(at.host, at.port)
        except TimeoutError:
            return Failure("resolve")
        return _not_checked(addresses) if isinstance(addresses, str) else addresses

    async def _follow(
        self,
        answer: Answer,
        method: str,
        at: Url,
        head: str,
        body: bytes,
        limits: Limits,
        total_by: float,
    ) -> Answer | Failure:
        for _ in range(limits.redirects):
            location = quote(answer.headers.get(b"location", b"").strip(), safe=_PRINTABLE)
            if not location:
                return answer
            try:
                target = parse_url(urljoin(at.text(), location))
            except ValueError:  # brackets that hold no address
                return Failure("refused_by_guard", "host")
            if isinstance(target, str):
                return Failure("refused_by_guard", target)
            if (target.scheme, target.host, target.port) != (at.scheme, at.host, at.port):
                head = _without(head, _FOR_ONE_ORIGIN)
            if answer.status not in _KEEP_METHOD:
                method, body = "GET", b""
                head = _without(head, frozenset(("content-type",)))
            at = target
            request = _request(method, at, head, body)
            following = await self._exchange(request, at, limits, total_by)
            if isinstance(following, Failure) or following.status not in _REDIRECTS:
                return following
            answer = following
        return answer if b"location" not in answer.headers else Failure("redirects")


_CLOSED: Final = Failure("closed")  # without a byte of an answer


def _not_checked(reason: str) -> Failure:
    return Failure("resolve") if reason == "resolve" else Failure("refused_by_guard", reason)


def _header_lines(headers: Mapping[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    count = len(headers)
    # Every CR and LF must be one of ours, and nothing else may be out of the ordinary.
    if lines.count("\r") != count or lines.count("\n") != count or "\0" in lines:
        raise Defect("a header holds CR, LF or NUL")
    if not lines.isascii():
        raise Defect("a header holds a character that is not ASCII")
    return lines


def _request(method: str, at: Url, lines: str, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
    head = (
        f"{method} {at.target} HTTP/1.1\r\nHost: {at.authority}\r\nUser-Agent: {USER_AGENT}\r\n"
        f"Accept: */*\r\nAccept-Encoding: identity\r\n{lines}{length}\r\n"
    )
    return head.encode("ascii") + body


def _without(lines: str, names: frozenset[str]) -> str:
    """The header lines except those of `names`."""
    kept = [li for li in lines.split("\r\n") if li.partition(":")[0].lower() not in names]
    return "\r\n".join(kept)


def _basic(userinfo: str) -> str:
    """Credentials of a URL, percent-decoded (RFC 7617); without a password it is empty."""
    raw = unquote_to_bytes(userinfo)
    return b64encode(raw if b":" in raw else raw + b":").decode("ascii")
