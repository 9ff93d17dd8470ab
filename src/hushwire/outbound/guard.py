"""The URL guard: which addresses this server may open a connection to (SSRF).

A string is never judged by its look: a name is resolved once, every address it resolves to
must pass, and the client connects to a checked address, not to the name. `is_global` of the
standard library alone passes multicast, NAT64, 6to4 and cloud metadata, and differs between
Python releases; the tables here follow the IANA special-purpose registries (RFC 6890).
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final, NamedTuple

from hushwire.outbound.url import Reason, has_path, parse_url, read_host

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) → IP literals. Raises OSError when the name has no address."""

CACHE_S: Final = 30.0
FAILED_CACHE_S: Final = 2.0
CACHE_NAMES: Final = 512

_V4_REFUSED: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT, and Alibaba's metadata
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
            "192.0.2.0/24",
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_V6_GLOBAL: Final = IPv6Network("2000::/3")  # all global unicast; the rest is special
_V6_REFUSED: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, Teredo, ORCHID
            "2001:db8::/32",  # documentation
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
_METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google, …
            "169.254.170.2",  # AWS containers
            "168.63.129.16",  # Azure's host, a public address
            "100.100.100.200",  # Alibaba
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
        ),
    )
)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_EMBEDDING: Final = (  # prefix, and how far right the IPv4 address lies
    (IPv6Network("::/96"), 0),  # IPv4-compatible
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64; local-use 64:ff9b:1::/48 is not in 2000::/3
    (IPv6Network("2002::/16"), 80),  # 6to4
)


class Checked(NamedTuple):
    """An address that passed the guard: what a socket may connect to."""

    family: socket.AddressFamily
    ip: str


class Guard:
    """Says which URLs and addresses may be called.

    `allow_loopback` opens 127.0.0.0/8 and ::1 (development); `allow` opens networks of the
    operator's own. Metadata addresses stay closed whatever is allowed.
    """

    def __init__(
        self,
        allow_loopback: bool,
        allow: Sequence[Network] = (),
        *,
        lookup: Lookup | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._allow = tuple(allow)
        self._lookup = lookup or _system_lookup
        self._monotonic_s = monotonic_s
        self._cache: dict[str, tuple[float, list[Checked] | Reason]] = {}
        self._running: dict[str, asyncio.Task[list[Checked] | Reason]] = {}
        self._syntax = lru_cache(maxsize=64)(self._check_syntax)  # as of `parse_url`

    def check_syntax(self, url: str) -> Reason | None:
        """Why `url` can never be called, seen without resolving its name; None when it may be."""
        return self._syntax(url)

    def _check_syntax(self, url: str) -> Reason | None:
        parts = parse_url(url)
        if isinstance(parts, str):
            return parts
        host = read_host(parts.host)
        if host is None:
            return "host"
        if not has_path(url, parts):
            return "path"
        if isinstance(host, str):
            local = host == "localhost" or host.endswith(".localhost")
            return "address" if local and not self.allowed(IPv4Address("127.0.0.1")) else None
        return None if self.allowed(host) else "address"

    def allowed(self, ip: Address) -> bool:
        """May a socket connect to `ip`?"""
        if isinstance(ip, IPv6Address):
            if ip.scope_id is not None:
                return False
            if ip in _MAPPED:  # the same host as the IPv4 address, in every respect
                return self.allowed(IPv4Address(int(ip) & 0xFFFFFFFF))
        if ip in _METADATA:
            return False
        if any(ip in network for network in self._allow):
            return True
        if ip.is_loopback:
            return self._allow_loopback
        return _public(ip)

    def may_be_own(self, ip: Address) -> bool:
        """May `ip` be an address of this very machine? Only where the operator said so."""
        return ip.is_loopback or any(ip in network for network in self._allow)

    def known(self, host: str) -> list[Checked] | Reason | None:
        """What `resolve` has in its cache, or None when it must be asked."""
        entry = self._cache.get(host)
        if entry is None or entry[0] < self._monotonic_s():
            return None
        return entry[1]

    async def resolve(self, host: str, port: int) -> list[Checked] | Reason:
        """The addresses of `host`, at least one and all checked, or why there are none.

        Answers are kept for 30 seconds. The list is the cache's own: a caller who found an
        address dead may move it to the end.
        """
        entry = self._cache.get(host)
        if entry is not None and entry[0] >= self._monotonic_s():
            return entry[1]
        task = self._running.get(host)
        if task is None:  # posts that need the same name share one lookup
            task = asyncio.create_task(self._resolve(host, port))
            self._running[host] = task
        return await asyncio.shield(task)

    async def _resolve(self, host: str, port: int) -> list[Checked] | Reason:
        try:
            found = await self._check(host, port)
        finally:
            del self._running[host]
        while len(self._cache) >= CACHE_NAMES:
            del self._cache[next(iter(self._cache))]
        keep_s = CACHE_S if isinstance(found, list) else FAILED_CACHE_S
        self._cache.pop(host, None)  # so that the oldest entry is the first
        self._cache[host] = (self._monotonic_s() + keep_s, found)
        return found

    async def _check(self, host: str, port: int) -> list[Checked] | Reason:
        literal = read_host(host)
        if literal is None:
            return "host"
        if isinstance(literal, str):
            try:
                answer = await self._lookup(host, port)
                addresses = [ip_address(text) for text in dict.fromkeys(answer)]
            except (OSError, ValueError):  # ValueError: a name that no encoding of DNS can hold
                return "resolve"
        else:
            addresses = [literal]
        if not all(map(self.allowed, addresses)):
            return "address"
        return [Checked(_FAMILY[ip.version], str(ip)) for ip in addresses] or "resolve"


_FAMILY: Final = {4: socket.AF_INET, 6: socket.AF_INET6}


def _public(ip: Address) -> bool:
    """Is `ip` a unicast address of the Internet, and whatever it embeds too?"""
    if isinstance(ip, IPv4Address):
        return ip.is_global and not any(ip in network for network in _V4_REFUSED)
    for prefix, shift in _EMBEDDING:
        if ip in prefix:
            inner = IPv4Address(int(ip) >> shift & 0xFFFFFFFF)
            return inner not in _METADATA and _public(inner)
    return ip in _V6_GLOBAL and ip.is_global and not any(ip in network for network in _V6_REFUSED)


async def _system_lookup(host: str, port: int) -> Sequence[str]:
    """The operating system's resolver, in a thread."""
    loop = asyncio.get_running_loop()
    answer = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in answer]
