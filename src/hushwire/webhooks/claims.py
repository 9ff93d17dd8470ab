"""Claims: the content of a webhook for those who are told of it by a GET without content.

With `get_webhooks = thin` the query names the message and a claim token. Who has the token and
the account's credentials gets the rest, once, within a minute. Of the token only a hash is
kept, and all of it in memory: a restart forgets it. A webhook that was not answered by then is
tried again; the content of one that was is the message's, until its hold `claim` ends.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.domain.incoming import CLAIM_MS
from hushwire.webhooks.inbound_form import Params

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
        self.taken: Callable[[int], None] = lambda record: None  # what to do when one is taken

    def offer(self, account_id: int, record: int, params: Params) -> str:
        """A token for `params`, good once and for a minute."""
        now_ms = self._clock.now_ms()
        self._expire(now_ms)
        while len(self._held) >= CLAIMS_MAX:
            del self._held[next(iter(self._held))]
        token = self._entropy.bytes(TOKEN_BYTES).hex()
        self._held[_hash(token)] = _Claim(account_id, record, params, now_ms + CLAIM_MS)
        return token

    def take(self, account_id: int, token: str) -> Params | None:
        """What was offered to that account; None when it is over, taken, or never was."""
        self._expire(self._clock.now_ms())
        claim = self._held.get(_hash(token))
        if claim is None or claim.account_id != account_id:
            return None
        for earlier in self._of(claim.record):  # those of tries before
            del self._held[earlier]
            if earlier == _hash(token):
                break
        self.taken(claim.record)
        return claim.params

    def awaits(self, record: int) -> bool:
        """May the content of that message be claimed still, by its latest token?"""
        self._expire(self._clock.now_ms())
        return bool(self._of(record))

    def forget(self, record: int) -> None:
        """That message was redacted or deleted."""
        for token in self._of(record):
            del self._held[token]

    def _of(self, record: int) -> list[bytes]:
        return [token for token, claim in self._held.items() if claim.record == record]

    def _expire(self, now_ms: int) -> None:
        for token, claim in list(self._held.items()):
            if claim.until_ms > now_ms:
                return  # all later ones live longer
            del self._held[token]


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()
