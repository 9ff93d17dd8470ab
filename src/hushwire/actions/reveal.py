"""Revealing a message: what lives of it is read by an operator, for a reason, on the record.

It is for who keeps the server or looks into a complaint. A customer's own program reads its
messages by `GET`, which is not recorded.
"""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.audit import REASON_MAX, Draft, Reveal
from hushwire.domain.media import Medium
from hushwire.domain.message import Message
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.audit import actor
from hushwire.store.entries import Entries
from hushwire.store.store import Store

_FORGOTTEN: Final = "redacted"  # the word of a message's history

MediaOf = Callable[[int], list[Medium]]  # a message's key → its media that are still there


class Revealed(Struct, frozen=True):
    """What lives of a message. None is what was forgotten, or never there."""

    sid: str
    from_: Private | None
    to: Private | None
    body: Private | None
    media: Sequence[Medium] | None
    forgotten_ms: int | None  # when a part of it was forgotten last


class Reveals:
    """The action, for every door."""

    def __init__(
        self, store: Store, entries: Entries, media: MediaOf, clock: Clock, entropy: Entropy
    ) -> None:
        self._store = store
        self._entries = entries
        self._media = media
        self._clock = clock
        self._entropy = entropy

    async def reveal(self, account: Account, sid: str, reason: Private) -> Revealed | None:
        """What lives of the account's message of that SID; None when there is none.

        That it was asked for is on the disk before this returns. Raises Refusal without a
        reason of 1 to 200 characters. The reason may name a person: it is sealed, and kept for
        30 days; the audit log says which one it was, not what it said.
        """
        if not 1 <= len(reason.reveal().strip()) <= len(reason) <= REASON_MAX:
            raise Refusal("invalid_parameter", parameter="reason")
        message = self._store.find(account.id, sid)
        if message is None:
            return None
        entry = Reveal(
            sid=new_sid("RV", self._entropy.bytes(16)), account_id=account.id,
            at_ms=self._clock.now_ms(), subject=sid, reason=reason.reveal(),
        )  # fmt: skip
        parts = " ".join(self._living(message)) or "nothing"
        draft = Draft(account.sid, "message.revealed", (sid, entry.sid), parts, actor())
        self._entries.add(entry)
        await self._store.append(lambda db: self._store.audit.write(db, draft))
        message = self._store.find(account.id, sid)  # it may have been forgotten meanwhile
        return self._shown(message) if message is not None else None

    def _living(self, message: Message) -> list[str]:
        """What there is to reveal, for the record."""
        parts = {
            "body": message.body is not None,
            "numbers": message.to is not None,
            "media": bool(message.media and self._media(message.key)),
        }
        return [part for part, lives in parts.items() if lives]

    def _shown(self, message: Message) -> Revealed:
        media = self._media(message.key) if message.media else []
        return Revealed(
            message.sid, message.from_, message.to, message.body,
            media if media or not message.media else None, _forgotten_ms(message),
        )  # fmt: skip


def _forgotten_ms(message: Message) -> int | None:
    lines = (line.split(" ") for line in message.history.splitlines())
    return max((int(at_ms) for fact, at_ms, _ in lines if fact == _FORGOTTEN), default=None)
