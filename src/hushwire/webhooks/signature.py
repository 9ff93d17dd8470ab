"""X-Twilio-Signature and the idempotency token of a callback (twilio-messaging 6.4, 6.6)."""

import re
from binascii import b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from hushwire.vault.keyed import Keyed

_USERINFO: Final = re.compile("[^/?#]*@")
_NUMBERED: Final = [f"8{number:02x}" for number in range(256)]  # version, and which callback
_VARIANT: Final = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def sign(auth_token: str, url: str, sorted_params: Iterable[tuple[str, str]]) -> str:
    """The signature of a form POST: base64 of HMAC-SHA1 over the URL and all names and values.

    `sorted_params` come sorted by name, then value, each pair once; an explicit port of the
    URL stays, fragment and userinfo go, as `RequestValidator` of Twilio's SDKs has it.
    """
    text = "".join([name + value for name, value in sorted_params])
    return Signer(auth_token).sign_text(signed_url(url), text)


class Signer:
    """An account's token, keyed once."""

    __slots__ = ("_digest",)

    def __init__(self, auth_token: str) -> None:
        self._digest = Keyed(auth_token.encode(), "sha1").digest

    def sign_text(self, url: str, params: str) -> str:
        """As `sign`, for `params` already joined and a `url` that went through `signed_url`."""
        return b2a_base64(self._digest((url + params).encode()), newline=False).decode("ascii")


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
    """A UUID that stays the same on every attempt of callback `number` (0 to 255) of message `sid`.

    Version 8 (RFC 9562, 5.8): the digits of the SID, its milliseconds and random ones among them;
    the number, the version and the variant take the place of what tells nodes apart.
    """
    return (
        f"{sid[2:10]}-{sid[10:14]}-{_NUMBERED[number]}{sid[17]}"
        f"-{_VARIANT[sid[18]]}{sid[19:22]}-{sid[22:]}"
    )
