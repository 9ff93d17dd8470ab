"""Keep-alive connections by (scheme, host, port, checked IP), and one timer for all time-outs.

A post on an idle connection costs no task and no timer; only opening a connection, which is
rare, uses `asyncio.timeout`.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

from hushwire.outbound.answer import Failure, Limits
from hushwire.outbound.connection import Connection, Key
from hushwire.outbound.guard import Checked, Guard
from hushwire.outbound.url import Url

SWEEP_S: Final = 0.1  # how late a time-out may be
IDLE_S: Final = 30.0
# OpenSSL's X509_V_ERR_… : expired, not yet valid, for another name, for another address. Any
# other is a certificate that no authority we know vouches for.
_CERTIFICATE: Final = {10: "expired", 9: "expired", 62: "host", 64: "host"}


class _Waiter(NamedTuple):
    """A post that waits for a connection. None tells it that there may be room to open one."""

    future: asyncio.Future[Connection | Failure | None]
    total_by: float


class _Endpoint:
    """The connections of one key."""

    __slots__ = ("idle", "opened", "waiting")

    def __init__(self) -> None:
        self.idle: list[Connection] = []  # the longest idle first
        self.opened = 0  # those being opened too
        self.waiting: deque[_Waiter] = deque()


class Pool:
    """Opens, keeps and closes connections. Belongs to the loop that runs when it is made."""

    def __init__(
        self, guard: Guard, tls: Callable[[], ssl.SSLContext], per_host: int, overall: int
    ) -> None:
        self._guard = guard
        self._tls = tls
        self._per_host = per_host
        self._overall = overall
        self._loop = asyncio.get_running_loop()
        self._endpoints: dict[Key, _Endpoint] = {}
        self._connections: set[Connection] = set()
        self._opened = 0
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        """Connections open or being opened."""
        return self._opened

    def take(self, url: Url, addresses: list[Checked]) -> Connection | None:
        """An idle connection to one of `addresses`, now the caller's, or None."""
        for address in addresses:
            endpoint = self._endpoints.get((url.scheme, url.host, url.port, address.ip))
            if endpoint is None:
                continue
            while endpoint.idle:
                connection = endpoint.idle.pop()
                if not connection.is_closing():
                    return connection
        return None

    async def get(
        self, url: Url, addresses: list[Checked], limits: Limits, total_by: float
    ) -> Connection | Failure:
        """A connection for one exchange: an idle one, a new one, or one that others give back."""
        returning = False
        while not self._closed:
            connection = self.take(url, addresses)
            if connection is not None:
                return connection
            key = (url.scheme, url.host, url.port, addresses[0].ip)
            endpoint = self._endpoints.setdefault(key, _Endpoint())
            if self._has_room(endpoint) and (returning or not endpoint.waiting):
                return await self._open(url, addresses, limits, total_by)
            given = await self._wait(key, endpoint, total_by, first=returning)
            if isinstance(given, Failure):
                return given
            if given is not None and not given.is_closing():
                return given
            returning = True
        return Failure("closed")

    def drop_idle(self, key: Key) -> None:
        """Close the idle connections of a server that just closed one under a request."""
        endpoint = self._endpoints.get(key)
        if endpoint is not None:
            idle, endpoint.idle = endpoint.idle, []
            for connection in idle:
                connection.abort()

    def close(self) -> None:
        """Close everything; what is open or waits ends as `closed`."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for endpoint in self._endpoints.values():
            for waiter in endpoint.waiting:
                _tell(waiter, Failure("closed"))
        for connection in tuple(self._connections):
            connection.abort()

    def _has_room(self, endpoint: _Endpoint) -> bool:
        if self._opened < self._overall:
            return endpoint.opened < self._per_host
        for other in self._endpoints.values():
            if other.idle:
                other.idle.pop(0).abort()  # its end wakes whoever waits
                break
        return False

    async def _wait(
        self, key: Key, endpoint: _Endpoint, total_by: float, *, first: bool
    ) -> Connection | Failure | None:
        waiter = _Waiter(self._loop.create_future(), total_by)
        (endpoint.waiting.appendleft if first else endpoint.waiting.append)(waiter)
        self._waiting += 1
        self._start_timer()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled():
                given = waiter.future.result()  # given and cancelled in the same tick
                if isinstance(given, Connection):
                    self._on_idle(given)
                else:
                    self._wake_next(endpoint)
            raise
        finally:
            self._waiting -= 1
            if waiter in endpoint.waiting:
                endpoint.waiting.remove(waiter)
            self._forget_unused(key, endpoint)

    async def _open(
        self, url: Url, addresses: list[Checked], limits: Limits, total_by: float
    ) -> Connection | Failure:
        """A new connection to the first of `addresses` that answers."""
        connect_by = min(self._loop.time() + limits.connect_ms / 1000, total_by)
        failure = Failure("connect")
        for left, address in zip(range(len(addresses), 0, -1), tuple(addresses), strict=True):
            # A dead address may use up only its share of the time.
            slice_s = (connect_by - self._loop.time()) / left
            opened = await self._connect(url, address, slice_s)
            if isinstance(opened, Connection):
                return opened
            failure = opened
            if left > 1 and addresses and addresses[0] == address:
                addresses.append(addresses.pop(0))  # asked last while the answer is cached
        # By the nearer deadline, not by the clock: a timer may ring a little early.
        if failure.kind == "timeout_connect" and connect_by == total_by:
            return Failure("timeout_total")
        return failure

    async def _connect(self, url: Url, address: Checked, within_s: float) -> Connection | Failure:
        key = (url.scheme, url.host, url.port, address.ip)
        endpoint = self._endpoints.setdefault(key, _Endpoint())
        endpoint.opened += 1
        self._opened += 1
        connection = Connection(key, self._loop, self._on_idle, self._on_lost)
        failure: Failure | None = Failure("closed")  # should we be cancelled
        secure = url.scheme == "https"
        try:
            async with asyncio.timeout(within_s):
                await self._loop.create_connection(
                    lambda: connection,
                    address.ip,
                    url.port,
                    family=address.family,
                    ssl=self._tls() if secure else None,
                    server_hostname=url.host if secure else None,
                )
            failure = self._verify(connection, address)
        except TimeoutError:
            failure = Failure("timeout_connect")
        except ssl.SSLCertVerificationError as refused:
            failure = Failure("tls", _CERTIFICATE.get(refused.verify_code, "untrusted"))
        except ssl.SSLError:
            failure = Failure("tls")
        except ConnectionRefusedError:
            failure = Failure("connect", "refused")
        except OSError:
            failure = Failure("connect")
        finally:
            if failure is None:
                self._connections.add(connection)
            else:
                connection.abort()
                self._freed(key, endpoint)
        if failure is not None:
            return failure
        self._start_timer()
        return connection

    def _verify(self, connection: Connection, address: Checked) -> Failure | None:
        """The kernel's word on whom we are connected to: the checked address, not ourselves."""
        if self._closed:
            return Failure("closed")
        own, peer = connection.addresses()
        if not peer or connection.is_closing():
            return Failure("closed")
        ip = ip_address(peer)
        if ip != ip_address(address.ip) or not self._guard.allowed(ip):
            return Failure("refused_by_guard", "address")
        if own == peer and not self._guard.may_be_own(ip):
            return Failure("refused_by_guard", "address")
        return None

    def _on_idle(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        endpoint = self._endpoints[connection.key]
        while endpoint.waiting:
            if _tell(endpoint.waiting.popleft(), connection):
                return
        if self._waiting and self._opened >= self._overall:
            connection.abort()  # its end wakes whoever waits, for another server
        else:
            endpoint.idle.append(connection)

    def _on_lost(self, connection: Connection) -> None:
        if connection not in self._connections:
            return  # never ours: opening it failed
        self._connections.remove(connection)
        endpoint = self._endpoints[connection.key]
        if connection in endpoint.idle:
            endpoint.idle.remove(connection)
        self._freed(connection.key, endpoint)

    def _freed(self, key: Key, endpoint: _Endpoint) -> None:
        endpoint.opened -= 1
        self._opened -= 1
        self._wake_next(endpoint)
        self._forget_unused(key, endpoint)

    def _forget_unused(self, key: Key, endpoint: _Endpoint) -> None:
        unused = endpoint.opened == 0 and not endpoint.waiting
        if unused and self._endpoints.get(key) is endpoint:  # not another made since
            del self._endpoints[key]

    def _wake_next(self, endpoint: _Endpoint) -> None:
        """There is room for one more: tell who waited longest here, else somebody elsewhere."""
        if not self._waiting:
            return
        for at in (endpoint, *self._endpoints.values()):
            while at.waiting and at.opened < self._per_host:
                if _tell(at.waiting.popleft(), None):
                    return

    def _start_timer(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        """End what is overdue, close what is idle for long."""
        self._timer = None
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.expire(now)
        for endpoint in tuple(self._endpoints.values()):
            while endpoint.idle and endpoint.idle[0].idle_since + IDLE_S < now:
                endpoint.idle.pop(0).abort()
            for waiter in endpoint.waiting:
                if waiter.total_by <= now:
                    _tell(waiter, Failure("timeout_total"))
        if self._connections or self._waiting:
            self._start_timer()


def _tell(waiter: _Waiter, what: Connection | Failure | None) -> bool:
    """Answer a waiter; False when it no longer waits."""
    if waiter.future.done():
        return False
    waiter.future.set_result(what)
    return True
