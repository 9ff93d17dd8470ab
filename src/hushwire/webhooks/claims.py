"""Claims: the content of a webhook for those who are told of it by a GET without content.

With `get_webhooks = thin` the query names the message and a claim token. Who has the token and
the account's credentials gets the rest, once, within a minute. Of the token only a hash is
kept, and all of it in memory: a restart forgets it, and the webhook is tried again anyway.
"""

from hashlib import sha256
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.webhooks.inbound_form import Params

VALID_MS: Final = 60_000
CLAIMS_MAX: Final = 10_000  # the oldest go first
TOKEN_BYTES: Final = 24


class _Claim(Struct, frozen=True):
    account_id: int
    record: int  # key of the message
    params: Params
    until_ms: int


class Claims:
    """What may be claimed now, by the hash of its token, oldest first."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy
        self._held: dict[bytes, _Claim] = {}

    def offer(self, account_id: int, record: int, params: Params) -> str:
        """A token for `params`, good once and for a minute."""
        now_ms = self._clock.now_ms()
        self._expire(now_ms)
        while len(self._held) >= CLAIMS_MAX:
            del self._held[next(iter(self._held))]
        token = self._entropy.bytes(TOKEN_BYTES).hex()
        self._held[_hash(token)] = _Claim(account_id, record, params, now_ms + VALID_MS)
        return token

    def take(self, account_id: int, token: str) -> Params | None:
        """What was offered to that account; None when it is over, taken, or never was."""
        self._expire(self._clock.now_ms())
        claim = self._held.get(_hash(token))
        if claim is None or claim.account_id != account_id:
            return None
        del self._held[_hash(token)]
        return claim.params

    def forget(self, record: int) -> None:
        """That message was redacted or deleted."""
        for token in [t for t, claim in self._held.items() if claim.record == record]:
            del self._held[token]

    def _expire(self, now_ms: int) -> None:
        for token, claim in list(self._held.items()):
            if claim.until_ms > now_ms:
                return  # all later ones live longer
            del self._held[token]


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
