"""The outbound HTTP client: `post` and `request`, redirects, credentials, one stale retry."""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin

from msgspec import Struct
from msgspec.structs import replace

from hushwire.errors import Defect
from hushwire.outbound.answer import DEFAULT_LIMITS, Answer, Failure, Limits
from hushwire.outbound.connection import Connection, Ended
from hushwire.outbound.guard import Checked, Guard
from hushwire.outbound.pool import Pool
from hushwire.outbound.url import Url, parse_url, read_url

USER_AGENT: Final = "TwilioProxy/1.1"  # what receivers' filters know (twilio-messaging 6.4)
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_KEEP_METHOD: Final = frozenset((307, 308))
_FOR_ONE_ORIGIN: Final = frozenset(("authorization", "cookie", "x-twilio-signature"))
_QUERY: Final = re.compile(r"[!$-;=?-Z_a-z~]*\Z")  # RFC 3986, 3.4, and no fragment
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
        self._tasks: set[asyncio.Task[Answer | Failure]] = set()
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

    def post_now(self, url: str, lines: str, body: bytes, limits: Limits, ended: Ended) -> bool:
        """As `post`, where a connection is idle: the request is written before this returns, and
        `ended` is told how it ended. False: none is idle, and nothing was done.

        `lines` are those of the header, each with its CR LF; that no word of them holds another
        is the caller's to know. It costs no task and no future: a busy endpoint is called like
        this nearly always.
        """
        at = parse_url(url)
        addresses = None if isinstance(at, str) or self._closed else self._guard.known(at.host)
        if isinstance(at, str) or not isinstance(addresses, list):
            return False
        connection = self._pool.take(at, addresses)
        if connection is None:
            return False
        lines = _with_credentials(at, lines)
        exchange = _Exchange("POST", at, lines, body, limits, self._total_by(limits))
        self._send(connection, exchange, partial(self._ended, connection, exchange, ended))
        return True

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        limits: Limits = DEFAULT_LIMITS,
        query: str = "",
    ) -> Answer | Failure:
        """As `post`, with any method but HEAD and CONNECT.

        `query` is appended to that of the URL, however long it is, and not remembered. It must
        be percent-encoded; a character that no query has is a Defect. It does not go along with
        a redirect, whose Location says it all.

        Redirects: 307 and 308 repeat the request, 301, 302 and 303 continue with a GET without
        body. Each goes through the guard. To another scheme, host or port, Authorization,
        Cookie and X-Twilio-Signature do not go along; userinfo in a Location is not used.
        """
        at = parse_url(url)
        if isinstance(at, str):
            return Failure("refused_by_guard", at)
        if query and _QUERY.match(query) is None:
            raise Defect("a query that is not percent-encoded")
        lines = _header_lines(at, headers)
        exchange = _Exchange(method, at, lines, body, limits, self._total_by(limits), query)
        return await self._follow(await self._exchange(exchange), exchange)

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

    def _total_by(self, limits: Limits) -> float:
        return self._loop.time() + limits.total_ms / 1000

    def _send(self, connection: Connection, exchange: "_Exchange", ended: Ended) -> None:
        connection.send(exchange.request(), exchange.limits, exchange.total_by, ended)

    def _ended(
        self, connection: Connection, exchange: "_Exchange", ended: Ended, result: Answer | Failure
    ) -> None:
        """What is not over with its answer goes on in a task: a redirect, or a connection that
        had gone stale."""
        if isinstance(result, Answer) and result.status not in _REDIRECTS:
            ended(result)
            return
        task = self._loop.create_task(self._go_on(result, connection, exchange))
        self._tasks.add(task)
        task.add_done_callback(partial(self._gone_on, ended))

    async def _go_on(
        self, result: Answer | Failure, connection: Connection, exchange: "_Exchange"
    ) -> Answer | Failure:
        if result == _CLOSED and not self._closed:
            self._pool.drop_idle(connection.key)
            result = await self._exchange(exchange, tries=1)
        return await self._follow(result, exchange)

    def _gone_on(self, ended: Ended, task: "asyncio.Task[Answer | Failure]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        ended(Failure("closed") if task.cancelled() or error else task.result())
        if error is not None:
            raise error  # a defect: the loop's handler writes it down

    async def _exchange(self, exchange: "_Exchange", tries: int = 2) -> Answer | Failure:
        """One request and its answer; once more when a kept connection had gone stale."""
        if self._closed:
            return Failure("closed")
        at, limits, total_by = exchange.at, exchange.limits, exchange.total_by
        addresses = self._guard.known(at.host)
        if addresses is None:
            addresses = await self._resolve(at, limits, total_by)
        if isinstance(addresses, Failure):
            return addresses
        if isinstance(addresses, str):
            return _not_checked(addresses)
        for left in reversed(range(tries)):
            connection = self._pool.take(at, addresses) or await self._pool.get(
                at, addresses, limits, total_by
            )
            if isinstance(connection, Failure):
                return connection
            may_be_stale = connection.used > 0 and left > 0
            result = await self._on(connection, exchange)
            # RFC 9110, 9.2.2 and RFC 9112, 9.3.1: the server closed an idle connection while
            # the request was on its way. It has not answered; a repeat carries the same
            # idempotency token. All other idle connections are as old, so the next is fresh.
            if not may_be_stale or result != _CLOSED or self._closed:
                return result
            self._pool.drop_idle(connection.key)
        return _CLOSED

    async def _on(self, connection: Connection, exchange: "_Exchange") -> Answer | Failure:
        done: asyncio.Future[Answer | Failure] = self._loop.create_future()

        def ended(result: Answer | Failure) -> None:
            if not done.done():
                done.set_result(result)

        self._send(connection, exchange, ended)
        try:
            return await done
        except asyncio.CancelledError:
            connection.abort()
            raise

    async def _resolve(self, at: Url, limits: Limits, total_by: float) -> list[Checked] | Failure:
        resolve_by = min(self._loop.time() + limits.connect_ms / 1000, total_by)
        try:
            async with asyncio.timeout_at(resolve_by):
                addresses = await self._guard.resolve(at.host, at.port)
        except TimeoutError:
            return Failure("resolve")
        return _not_checked(addresses) if isinstance(addresses, str) else addresses

    async def _follow(self, result: Answer | Failure, exchange: "_Exchange") -> Answer | Failure:
        """The end of the redirects that begin with `result`, if it is one. A server that was led
        to sets no cookies for the one that was asked."""
        first = exchange.at
        for _ in range(exchange.limits.redirects):
            if isinstance(result, Failure) or result.status not in _REDIRECTS:
                return result
            following = exchange.redirected(result)
            if not isinstance(following, _Exchange):
                return following
            exchange = following
            result = await self._exchange(exchange)
            if isinstance(result, Answer) and not _same_origin(exchange.at, first):
                result = replace(result, headers=_without_cookies(result.headers))
        if isinstance(result, Failure) or result.status not in _REDIRECTS:
            return result
        return result if b"location" not in result.headers else Failure("redirects")


class _Exchange(Struct, frozen=True, gc=False):
    """A request, and what it may cost."""

    method: str
    at: Url
    lines: str  # of the header, without those that every request has
    body: bytes
    limits: Limits
    total_by: float  # a time of the loop, for all redirects together
    query: str = ""  # on top of the URL's own

    def request(self) -> bytes:
        """What goes over the wire."""
        at, body = self.at, self.body
        length = f"Content-Length: {len(body)}\r\n" if body or self.method != "GET" else ""
        query = f"{'&' if '?' in at.target else '?'}{self.query}" if self.query else ""
        head = (
            f"{self.method} {at.target}{query} HTTP/1.1\r\nHost: {at.authority}\r\n"
            f"User-Agent: {USER_AGENT}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
            f"{self.lines}{length}\r\n"
        )
        return head.encode("ascii") + body

    def redirected(self, answer: Answer) -> "_Exchange | Answer | Failure":
        """The request that follows a redirect; the answer itself when it names no place."""
        location = quote(answer.headers.get(b"location", b"").strip(), safe=_PRINTABLE)
        if not location:
            return answer
        try:
            target = read_url(urljoin(self.at.text(), location))
        except ValueError:  # brackets that hold no address
            return Failure("refused_by_guard", "host")
        if isinstance(target, str):
            return Failure("refused_by_guard", target)
        at, method, lines, body = self.at, self.method, self.lines, self.body
        if not _same_origin(target, at):
            lines = _without(lines, _FOR_ONE_ORIGIN)
        if answer.status not in _KEEP_METHOD:
            method, body = "GET", b""
            lines = _without(lines, frozenset(("content-type",)))
        return _Exchange(method, target, lines, body, self.limits, self.total_by)


_CLOSED: Final = Failure("closed")  # without a byte of an answer


def _not_checked(reason: str) -> Failure:
    return Failure("resolve") if reason == "resolve" else Failure("refused_by_guard", reason)


def _header_lines(at: Url, headers: Mapping[str, str]) -> str:
    lines = "\r\n".join(map(": ".join, headers.items())) + "\r\n" if headers else ""
    # As many lines as headers: no CR or LF but ours.
    if len(lines.splitlines()) != len(headers) or "\0" in lines or not lines.isascii():
        raise Defect("a header holds a control character, or one that is not ASCII")
    return _with_credentials(at, lines)


def _with_credentials(at: Url, lines: str) -> str:
    return f"Authorization: Basic {_basic(at.userinfo)}\r\n{lines}" if at.userinfo else lines


def _same_origin(one: Url, other: Url) -> bool:
    return (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port)


def _without_cookies(headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    return {name: value for name, value in headers.items() if name != b"set-cookie"}


def _without(lines: str, names: frozenset[str]) -> str:
    """The header lines except those of `names`."""
    kept = [li for li in lines.split("\r\n") if li.partition(":")[0].lower() not in names]
    return "\r\n".join(kept)


def _basic(userinfo: str) -> str:
    """Credentials of a URL, percent-decoded (RFC 7617); without a password it is empty."""
    raw = unquote_to_bytes(userinfo)
    return b64encode(raw if b":" in raw else raw + b":").decode("ascii")
