"""Does a webhook come from the backend that it says it comes from?

A backend signs the URL it calls, and the parameters it sends there. This is the one function
that checks it, whoever receives: a program that uses the library, or a carrier of the server.
Source: twilio-messaging 6.6, and RequestValidator of Twilio's SDK for Python 9.13.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final, Literal
from urllib.parse import parse_qs, parse_qsl, urlsplit

from msgspec import Struct

from hushwire.private import Private

SIGNATURE: Final = "x-twilio-signature"
SETTINGS: Final = "x-twilio-webhooks-signature-settings"
BODY_HASH: Final = "bodySHA256"
FORM: Final = "application/x-www-form-urlencoded"

Distrust = Literal[
    "unsigned",  # it has no signature
    "unknown_key",  # it names a shared key that is none of ours
    "unknown_algorithm",
    "body",  # a body that the signature does not cover, or another than was signed
    "signature",  # it was signed with another secret, or is not what was signed
]

_ALGORITHMS: Final[dict[str, Literal["sha1", "sha256"]]] = {
    "HMAC_SHA1": "sha1",
    "HMAC_SHA256": "sha256",
}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Webhook(Struct, frozen=True):
    """A request as it came in. `repr` shows nothing of it: it holds numbers and texts."""

    method: str
    url: str  # as the backend called it: see `public_url`
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<webhook {self.method}, {len(self.body)} bytes>"

    @property
    def is_form(self) -> bool:
        content_type = self.headers.get("content-type", "")
        return content_type.partition(";")[0].strip().lower() == FORM

    def params(self) -> list[tuple[str, str]]:
        """The parameters of its form, or of its query where that is all it has."""
        text = self.body.decode("latin-1") if self.is_form else urlsplit(self.url).query
        return parse_qsl(text, keep_blank_values=True, encoding="utf-8")


class Secrets(Struct, frozen=True):
    """What a backend signs with. Several tokens: while one is exchanged, both are right."""

    auth_tokens: tuple[Private, ...] = ()
    shared_keys: Mapping[str, Private] = {}  # by their id, as the header names it


def distrust(webhook: Webhook, secrets: Secrets) -> Distrust | None:
    """Why this must not be believed; None when it comes from who has one of the secrets.

    A signature has no time in it: the same request is right for ever. Whoever acts on it must
    know those that came before: see `trigger`.
    """
    given = webhook.headers.get(SIGNATURE, "")
    if not given:
        return "unsigned"
    named = _settings(webhook.headers.get(SETTINGS, ""))
    algorithm = _ALGORITHMS.get(named.get("algorithm", "HMAC_SHA1").upper())
    if algorithm is None:
        return "unknown_algorithm"
    keys = secrets.auth_tokens
    if "key" in named:
        shared = secrets.shared_keys.get(named["key"])
        if shared is None:
            return "unknown_key"
        keys = (shared,)
    if not _body_is_covered(webhook):
        return "body"
    params = _joined(webhook.params()) if webhook.is_form else ""
    matches = [
        hmac.compare_digest(_sign(key, url + params, algorithm), given.encode())
        for key in keys
        for url in spellings(webhook.url)
    ]
    return None if any(matches) else "signature"


def sign(
    key: Private, url: str, params: Iterable[tuple[str, str]] = (),
    algorithm: Literal["sha1", "sha256"] = "sha1",
) -> str:  # fmt: skip
    """The signature of a form, or of a URL alone."""
    return _sign(key, url + _joined(params), algorithm).decode()


def spellings(url: str) -> tuple[str, ...]:
    """What may have been signed for it: without its port, and with it (or the scheme's own).

    Which of them, depends on the product that calls. Fragment and userinfo are never signed.
    """
    parts = urlsplit(url)._replace(fragment="")
    host = parts.netloc.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():  # `[::1]` has colons of its own
        name, port = host, ""
    port = port or str(_DEFAULT_PORTS.get(parts.scheme, ""))
    bare = parts._replace(netloc=name).geturl()
    return (bare, parts._replace(netloc=f"{name}:{port}").geturl()) if port else (bare,)


# --- the URL as the backend called it --------------------------------------------------------


class Proxies(Struct, frozen=True):
    """Whom to believe what it says of a request it passed on."""

    public_url: str | None = None  # what everybody calls us by; then no header counts
    trusted: tuple[str, ...] = ()  # addresses and networks of proxies: 10.0.0.0/8


def public_url(
    proxies: Proxies, peer: str, scheme: str, headers: Mapping[str, str], target: str
) -> str:
    """The URL that the backend called, of a request that came by way of proxies.

    `peer`: the address it came from; `scheme` and `headers` (names in lower case): as it came in;
    `target`: path and query exactly as on the wire. Only what a trusted proxy says of another
    scheme, host or port counts: anybody can send those headers.
    """
    if proxies.public_url is not None:
        return proxies.public_url.rstrip("/") + target
    host = headers.get("host", "")
    if _is_trusted(peer, proxies.trusted):
        scheme = _first(headers.get("x-forwarded-proto")) or scheme
        host = _first(headers.get("x-forwarded-host")) or host
        port = _first(headers.get("x-forwarded-port"))
        if port and ":" not in host.rpartition("]")[2] and port != str(_DEFAULT_PORTS.get(scheme)):
            host = f"{host}:{port}"
    return f"{scheme.lower()}://{host}{target}"


def _is_trusted(peer: str, trusted: tuple[str, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False  # a socket file, or nothing: name it by a public URL
    return any(address in ip_network(network, strict=False) for network in trusted)


def _first(header: str | None) -> str:
    """Of several proxies the outermost comes first."""
    return (header or "").split(",")[0].strip()


# --- what is signed --------------------------------------------------------------------------


def _settings(header: str) -> dict[str, str]:
    """`key=…,algorithm=…`; a missing algorithm is HMAC_SHA1."""
    pairs = (part.partition("=") for part in header.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if value.strip()}


def _body_is_covered(webhook: Webhook) -> bool:
    """A form is part of what is signed. Of anything else the URL must have the hash."""
    if webhook.is_form or not webhook.body:
        return True
    hashes = parse_qs(urlsplit(webhook.url).query).get(BODY_HASH, [])
    own = sha256(webhook.body).hexdigest()
    return len(hashes) == 1 and hmac.compare_digest(hashes[0].lower().encode(), own.encode())


def _joined(params: Iterable[tuple[str, str]]) -> str:
    """Names and values in order, each pair once."""
    return "".join(name + value for name, value in sorted(set(params)))


def _sign(key: Private, text: str, algorithm: Literal["sha1", "sha256"]) -> bytes:
    return b64encode(hmac.digest(key.reveal().encode(), text.encode(), algorithm))
