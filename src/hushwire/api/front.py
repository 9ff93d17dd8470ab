"""In front: who calls, and under which URL, when proxies may stand between.

What a request says of itself (`X-Forwarded-*`) is believed only when it comes from an address
in `trusted_proxies`; anybody else could write it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from hushwire.api.wire import Headers, Scope
from hushwire.settings import Networks

FORWARDED_BYTES_MAX: Final = 2_048  # of X-Forwarded-For; what is further left is not read

Address = IPv4Address | IPv6Address

_WITH_PORT: Final = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?\Z")
# RFC 3986, 3.2.2, as host names and addresses are written in practice; a port may follow.
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9.])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?\Z"
)


class Front:
    """Tells of a request who sent it and how its sender reaches us."""

    def __init__(self, trusted: Networks, public_url: str) -> None:
        self._trusted = trusted
        self._public_url = public_url

    def client(self, scope: Scope) -> str:
        """The caller's IP address, canonical: the peer, or whom trusted proxies name.

        The walk through `X-Forwarded-For` goes from right to left, from each trusted proxy to
        the address it saw, and ends at the first that is not trusted. What is no address ends
        it too. An IPv4 address in IPv6 form is given as IPv4.
        """
        peer = _peer(scope)
        caller = _address(peer)
        if caller is None or not self._trusts(caller):
            return peer if caller is None else str(caller)
        for entry in reversed(_forwarded_for(scope["headers"])):
            named = _address(entry)
            if named is None:
                break
            caller = named
            if not self._trusts(caller):
                break
        return str(caller)

    def base_url(self, scope: Scope) -> str:
        """Scheme and host that absolute links begin with, as in `https://sms.example.com`.

        `public_url` if there is one, else what the nearest trusted proxy says, else what the
        request was sent to.
        """
        if self._public_url:
            return self._public_url
        headers: Headers = scope["headers"]
        scheme: str = scope["scheme"]
        hosts = [_last(headers, b"host")]
        peer = _address(_peer(scope))
        if peer is not None and self._trusts(peer):
            proto = _last(headers, b"x-forwarded-proto").lower()
            scheme = proto if proto in ("http", "https") else scheme
            hosts.insert(0, _last(headers, b"x-forwarded-host"))
        host = next((host for host in hosts if _HOST.match(host)), None)
        return f"{scheme}://{host or _own_host(scope)}"

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _peer(scope: Scope) -> str:
    """The other end of the connection; empty when it has no address."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client is not None else ""


def _own_host(scope: Scope) -> str:
    host, port = scope["server"] or ("localhost", None)
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def _values(headers: Headers, wanted: bytes) -> Iterable[bytes]:
    return (value for name, value in headers if name == wanted)


def _last(headers: Headers, wanted: bytes) -> str:
    """The right-most element of a header: the one the nearest proxy wrote."""
    value = b",".join(_values(headers, wanted))[-FORWARDED_BYTES_MAX:]
    return value.rpartition(b",")[2].strip().decode("latin-1")


def _forwarded_for(headers: Headers) -> list[str]:
    whole = b",".join(_values(headers, b"x-forwarded-for"))
    entries = whole[-FORWARDED_BYTES_MAX:].decode("latin-1").split(",")
    # The first entry of a header that was cut may be half an address.
    return entries[1:] if len(whole) > FORWARDED_BYTES_MAX else entries


@lru_cache(maxsize=1_024)
def _address(text: str) -> Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:80`, `::1`, `::1%eth0` or `[::1]:80`, or None."""
    text = text.strip().partition("%")[0]
    found = _WITH_PORT.match(text)
    try:
        address = ip_address((found[1] or found[2]) if found is not None else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
