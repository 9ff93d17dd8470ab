"""X-Twilio-Signature and the idempotency token of a callback (twilio-messaging 6.4, 6.6)."""

import hmac
import re
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

_USERINFO: Final = re.compile("[^/?#]*@")


def sign(auth_token: str, url: str, sorted_params: Iterable[tuple[str, str]]) -> str:
    """The signature of a form POST: base64 of HMAC-SHA1 over the URL and all names and values.

    `sorted_params` come sorted by name, then value, each pair once; an explicit port of the
    URL stays, fragment and userinfo go, as `RequestValidator` of Twilio's SDKs has it.
    """
    text = "".join([name + value for name, value in sorted_params])
    return Signer(auth_token).sign_text(signed_url(url), text)


class Signer:
    """An account's token, keyed once: the hot path copies the context.

    Copies keep the interpreter's lock for short texts; a one-shot digest would give it up and
    wait for it behind the writer thread.
    """

    __slots__ = ("_keyed",)

    def __init__(self, auth_token: str) -> None:
        self._keyed = hmac.new(auth_token.encode(), digestmod="sha1")

    def sign_text(self, url: str, params: str) -> str:
        """As `sign`, for `params` already joined and a `url` that went through `signed_url`."""
        keyed = self._keyed.copy()
        keyed.update((url + params).encode())
        return b2a_base64(keyed.digest(), newline=False).decode("ascii")


@lru_cache(maxsize=64)  # as of `parse_url`
def signed_url(url: str) -> str:
    """`url` as its server sees it, and as the official validators rebuild it from a request.

    Without fragment, userinfo and a "?" that nothing follows; the scheme in lower case.
    """
    scheme, _, rest = url.partition("#")[0].partition("://")
    userinfo = _USERINFO.match(rest)
    if userinfo is not None:
        rest = rest[userinfo.end() :]
    if rest.endswith("?") and rest.find("?") == len(rest) - 1:
        rest = rest[:-1]
    return f"{scheme.lower()}://{rest}"


def idempotency_token(sid: str, number: int) -> str:
    """A UUID that stays the same on every attempt of callback `number` of message `sid`.

    Version 8 (RFC 9562, 5.8): 122 bits of a BLAKE2b digest.
    """
    hexa = blake2b(f"{sid}:{number}".encode(), digest_size=16).hexdigest()
    variant = "89ab"[int(hexa[16], 16) & 3]
    return f"{hexa[:8]}-{hexa[8:12]}-8{hexa[13:16]}-{variant}{hexa[17:20]}-{hexa[20:]}"
