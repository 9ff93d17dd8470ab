"""A key service over HTTP: the transit engine of HashiCorp Vault and OpenBao.

    POST …/decrypt/NAME {"ciphertext": "vault:v1:…"} → {"data": {"plaintext": Base64}}
    POST …/encrypt/NAME {"plaintext": Base64}        → {"data": {"ciphertext": "vault:v1:…"}}

It is asked once at a start, and when a root key is made.
"""

import json
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from hushwire.errors import Misconfigured

TIME_LIMIT_S: Final = 30.0
_ANSWER_MAX: Final = 65_536  # bytes
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class _TransitAnswer(Struct, frozen=True):
    data: dict[str, str]


def ask_transit(url: str, content: dict[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """`data` of the answer to a POST. Raises `Misconfigured`; nothing of either is in it."""
    token = environ.get("VAULT_TOKEN")
    if not token:
        raise Misconfigured("root_key: the key service needs a token: set VAULT_TOKEN")
    headers = {"X-Vault-Token": token, "Content-Type": "application/json"}
    if namespace := environ.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    connection, path = split_transit_url(url)
    try:
        connection.request("POST", path, json.dumps(content), headers)
        answer = connection.getresponse()
        status, body = answer.status, answer.read(_ANSWER_MAX)
    except (OSError, HTTPException, ValueError):  # ValueError: a token that is no header
        raise Misconfigured(
            "root_key: the key service did not answer: start it, or correct the URL and the token"
        ) from None
    finally:
        connection.close()
    if status != 200:
        _refused(status)
    try:
        return msgspec.json.decode(body, type=_TransitAnswer).data
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Misconfigured(
            "root_key: the answer is not that of a transit engine: correct the URL"
        ) from None


def _refused(status: int) -> NoReturn:
    why = {
        400: "it does not know what it should open: restore the .wrapped file, or name its key",
        403: "VAULT_TOKEN is wrong, expired, or lacks `update` on that path: renew it",
        404: "it has no such path: correct the URL",
        503: "it is sealed: unseal it",
    }.get(status, "see its log")
    raise Misconfigured(f"root_key: the key service answers {status}: {why}")


def split_transit_url(url: str) -> tuple[HTTPConnection, str]:
    """A connection not yet made, and the path. Raises `Misconfigured`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        verb = any(f"/{name}/" in parts.path for name in ("decrypt", "encrypt"))
        if host and verb and "@" not in parts.netloc and not parts.query and not parts.fragment:
            if parts.scheme == "https":
                return HTTPSConnection(host, port, timeout=TIME_LIMIT_S), parts.path
            if parts.scheme == "http" and host in _LOOPBACK:  # a token in clear goes no further
                return HTTPConnection(host, port, timeout=TIME_LIMIT_S), parts.path
    raise Misconfigured(
        "root_key: transit: needs the URL of decrypting, as in "
        "https://vault.example.com:8200/v1/transit/decrypt/hushwire (http on this machine only)"
    )
