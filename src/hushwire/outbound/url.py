"""The one URL parser of outbound requests: strict, so that no two readers can differ.

What the signature, the guard, the `Host` header and the socket use all comes out of one
match of one expression. Anything unusual (a backslash, a second `@`, `127.1`, a letter that
is not ASCII) is refused, not interpreted.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal

from msgspec import Struct

MAX_CHARS: Final = 4000  # error 21609

Reason = Literal["length", "characters", "scheme", "host", "port", "path", "address", "resolve"]
"""Why a URL may not be called, as a fixed word. `resolve`: its host has no address (now)."""

_URL: Final = re.compile(
    r"(https?)://"
    r"(?:([^@/?#\\]*)@)?"
    r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)"
    r"(?::([0-9]+))?"
    r"(/[^?#]*)?(?:\?([^#]*))?(?:#.*)?\Z",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"(?:(?!-)[a-z0-9-]{1,63}(?<!-)\.)*(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")


class Url(Struct, frozen=True):
    """A URL taken apart. Private, like the text it came from: never logged."""

    scheme: str  # http or https
    host: str  # lower case, without brackets: a DNS name or an IP literal
    port: int
    authority: str  # the Host header: host and port as written
    target: str  # path and query as sent
    userinfo: str | None  # user:password, percent-encoded, as written

    def text(self) -> str:
        """The URL as the server sees it: without userinfo and fragment."""
        return f"{self.scheme}://{self.authority}{self.target}"


@lru_cache(maxsize=64)  # most customers give one URL to all their messages; no more than that
def parse_url(url: str) -> Url | Reason:
    """The parts of an http or https URL, or why it is not one. A missing path is `/`.

    For URLs of settings and requests: they are remembered. See `read_url` for others.
    """
    return read_url(url)


def read_url(url: str) -> Url | Reason:
    """As `parse_url`, and nothing of the URL is remembered: it may tell of one message."""
    if len(url) > MAX_CHARS:
        return "length"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "characters"
    match = _URL.match(url)
    if match is None:
        return "host" if url.lower().startswith(("http://", "https://")) else "scheme"
    scheme, userinfo, host, port, path, query = match.groups()
    scheme = scheme.lower()
    if port is None:
        number, authority = (443 if scheme == "https" else 80), host
    else:
        number, authority = _port(port), f"{host}:{port}"
        if number == 0:
            return "port"
    host = host.lower()
    if host[0] == "[":
        host = host[1:-1]
    target = path or "/"
    # "?" with nothing behind it is dropped: receivers rebuild their URL without it to verify
    # the signature, and the official validators do the same.
    return Url(scheme, host, number, authority, f"{target}?{query}" if query else target, userinfo)


def has_path(url: str, parts: Url) -> bool:
    """Does `url`, of which these are the parts, name its path? Twilio's 21609 asks for one."""
    userinfo_chars = 0 if parts.userinfo is None else len(parts.userinfo) + 1
    at = len(parts.scheme) + 3 + userinfo_chars + len(parts.authority)
    return url[at : at + 1] == "/"


def _port(digits: str) -> int:
    """80, 443 or an unprivileged port; 0 for what is refused (mail, SSH, … and nonsense)."""
    if len(digits) > 5 or digits[0] == "0":
        return 0
    port = int(digits)
    return port if port in (80, 443) or 1024 <= port <= 65535 else 0


@lru_cache(maxsize=1024)
def read_host(host: str) -> IPv4Address | IPv6Address | str | None:
    """An IP literal as an address, a plain DNS name as itself, None for anything else.

    glibc reads `127.1`, `0177.0.0.1`, `0x7f000001` and `2130706433` as addresses, so a name
    whose last label is a number must be a canonical IPv4 literal.
    """
    if ":" in host or _NUMBER.match(host.rpartition(".")[2]):
        try:
            return ip_address(host)
        except ValueError:
            return None
    return host if len(host) <= 253 and _NAME.match(host) else None
