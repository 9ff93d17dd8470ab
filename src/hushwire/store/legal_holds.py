"""Legal holds: few, so they live in memory; who set one and why is sealed on disk.

A number is kept as a keyed hash of 16 bytes, as for opt-outs: it is asked for, never listed.
"""

from collections.abc import Callable
from typing import Final

from msgspec import json
from msgspec.structs import replace

from hushwire.domain.legal_hold import LegalHold
from hushwire.domain.message import Message
from hushwire.private import Private
from hushwire.store.engine import Database
from hushwire.store.keys import AccountKeys

_PURPOSE: Final = "legal-hold"
_LABEL: Final = "legal hold"

Parties = Callable[[int], tuple[str, str] | None]  # a message's key → from, to, while they live


class LegalHolds:
    """The holds of all accounts."""

    def __init__(self, reader: Database, keys: dict[int, AccountKeys]) -> None:
        self._keys = keys
        self._holds: dict[str, LegalHold] = {}
        self._open: dict[int, list[LegalHold]] = {}  # those in force, by account
        for sid, account_id, message, tag, set_by, sealed, set_ms, lifted_ms in reader.rows(
            "legal_holds"
        ):
            opened = keys[account_id].cipher.open_secret(f"{_LABEL} {sid}", sealed)
            author, reason = json.decode(opened, type=tuple[str, str])
            self._know(LegalHold(
                sid, account_id, message, tag, set_by, Private(author), Private(reason), set_ms,
                lifted_ms,
            ))  # fmt: skip

    def get(self, account_id: int, sid: str) -> LegalHold | None:
        """The account's hold of that SID, lifted or not."""
        hold = self._holds.get(sid)
        return hold if hold is not None and hold.account_id == account_id else None

    def of(self, account_id: int) -> list[LegalHold]:
        """The account's holds, newest first."""
        return [h for h in self._holds.values() if h.account_id == account_id][::-1]

    def in_force(self) -> list[LegalHold]:
        """Every account's."""
        return [hold for holds in self._open.values() for hold in holds]

    def add(self, hold: LegalHold) -> Callable[[Database], None]:
        """In force when this returns; the statement to make it durable."""
        secret = json.encode((hold.author.reveal(), hold.reason.reveal()))
        cipher = self._keys[hold.account_id].cipher
        sealed = cipher.seal_secret(f"{_LABEL} {hold.sid}", secret)
        self._know(hold)
        return lambda db: db.do(
            "insert_legal_hold", hold.sid, hold.account_id, hold.message, hold.tag, hold.set_by,
            sealed, hold.set_ms,
        )  # fmt: skip

    def lift(self, hold: LegalHold, now_ms: int) -> LegalHold:
        """Not in force any more when this returns. What to write: `lift_legal_hold`."""
        lifted = replace(hold, lifted_ms=now_ms)
        self._open[hold.account_id] = [
            other for other in self._open[hold.account_id] if other.sid != hold.sid
        ]
        self._know(lifted)
        return lifted

    def about(self, message: Message, parties: Parties) -> bool:
        """Is one in force about this message? `parties` is asked where its address is withheld."""
        holds = self._open.get(message.account_id)
        if not holds:
            return False
        if any(h.scope == "account" or h.message == message.sid for h in holds):
            return True
        tags = {hold.tag for hold in holds if hold.tag is not None}
        if not tags:
            return False
        numbers: tuple[str, ...] | None
        if message.to is not None:
            from_ = message.from_.reveal() if message.from_ is not None else ""
            numbers = (from_, message.to.reveal())
        else:
            numbers = parties(message.key) if message.address_key is not None else None
        return any(self.tag(message.account_id, number) in tags for number in numbers or ())

    def tag(self, account_id: int, number: str) -> bytes:
        """By what a number (E.164) is known."""
        return self._keys[account_id].lasting_pepper(_PURPOSE).tag16(number)

    def _know(self, hold: LegalHold) -> None:
        self._holds[hold.sid] = hold
        if hold.lifted_ms is None:
            self._open.setdefault(hold.account_id, []).append(hold)
