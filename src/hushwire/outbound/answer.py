"""What a request may cost (`Limits`) and how it ends (`Answer` or `Failure`)."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What one request may cost. The defaults are Twilio's (twilio-messaging 6.4, 6.5)."""

    connect_ms: int = 5000  # name lookup; then TCP and TLS, over all addresses
    read_ms: int = 15000  # to the first bytes of the answer, and between any two
    total_ms: int = 15000  # everything: lookup, queueing, redirects, up to the last byte
    redirects: int = 5
    max_bytes: int = 65536  # of body; what is longer is cut


DEFAULT_LIMITS = Limits()


class Answer(Struct, frozen=True):
    """A complete answer of a server, or one whose body was cut at `Limits.max_bytes`."""

    status: int  # 200 … 599; 1xx are never answers
    headers: Mapping[bytes, bytes]  # names in lower case; of repeated ones the last,
    # but of Set-Cookie all, each in a line of its own
    body: bytes
    cut: bool = False  # the body was longer

    def header(self, name: str) -> str:
        """The value of the header `name` (lower case), or ""."""
        return self.headers.get(name.encode("ascii"), b"").decode("latin-1")


FailureKind = Literal[
    "refused_by_guard",  # the URL, or an address of its host, may not be called
    "resolve",  # the host has no address
    "connect",
    "tls",
    "timeout_connect",
    "timeout_read",
    "timeout_total",
    "protocol",  # not HTTP/1.1 as we speak it, or an encoding nobody asked for
    "too_large",  # header over 16 KiB, or far more framing than body
    "redirects",  # more than `Limits.redirects`
    "closed",  # the connection, or this client, closed before the answer was whole
]


class Failure(Struct, frozen=True):
    """No answer. Holds fixed words only, nothing from the URL or the wire."""

    kind: FailureKind
    detail: str = ""  # the guard's reason word; "refused" by TCP; what is wrong with a certificate
    partial: bool = False  # bytes of an answer had come: the server saw the request
