"""Legal holds: set one, list them, lift one. While one is in force nothing it is about goes."""

from typing import Literal

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.audit import Draft
from hushwire.domain.legal_hold import AUTHOR_MAX, REASON_MAX, LegalHold
from hushwire.domain.phone import normalise
from hushwire.domain.sid import new_sid
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import legal_lane
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.audit import actor
from hushwire.store.engine import Database
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.store import Store


class LegalHoldActions:
    """The actions on legal holds, for every door."""

    def __init__(self, store: Store, holds: LegalHolds, clock: Clock, entropy: Entropy) -> None:
        self._store = store
        self._holds = holds
        self._clock = clock
        self._entropy = entropy

    def list(self, account: Account) -> list[LegalHold]:
        """All of the account's, lifted ones too, newest first."""
        return self._holds.of(account.id)

    def add(
        self, account: Account, author: Private, reason: Private,
        message_sid: str | None = None, phone: Private | None = None,
    ) -> LegalHold:  # fmt: skip
        """Set a hold on one message, on all with one number, or on the whole account.

        In force and durable when this returns. What is forgotten already stays so. Raises
        Refusal: invalid_parameter.
        """
        _check(author, AUTHOR_MAX, "author")
        _check(reason, REASON_MAX, "reason")
        if message_sid is not None and phone is not None:
            raise Refusal("invalid_parameter", parameter="phone")
        if message_sid is not None and self._store.find(account.id, message_sid) is None:
            raise Refusal("invalid_parameter", parameter="message_sid")
        hold = LegalHold(
            new_sid("LH", self._entropy.bytes(16)), account.id, message_sid,
            self._holds.tag(account.id, _number(phone)) if phone is not None else None,
            actor() or account.sid, author, reason, self._clock.now_ms(),
        )  # fmt: skip
        insert = self._holds.add(hold)

        def work(db: Database) -> None:
            insert(db)
            self._store.audit.write(db, self._draft(account, "hold.set", hold))

        self._store.write_now(work)
        return hold

    async def lift(self, account: Account, sid: str) -> LegalHold | None:
        """End a hold; what it alone kept is destroyed within seconds. None when there is none.

        Lifting it again changes nothing.
        """
        hold = self._holds.get(account.id, sid)
        if hold is None or hold.lifted_ms is not None:
            return hold
        now_ms = self._clock.now_ms()
        lifted = self._holds.lift(hold, now_ms)
        draft = self._draft(account, "hold.lifted", lifted)

        def work(db: Database) -> None:  # after all that was withheld until now
            db.do("lift_legal_hold", sid, now_ms)
            self._store.audit.write(db, draft)

        self._store.append(work)
        await self._store.hasten(TaskKind.REDACT, legal_lane(account.id), now_ms)
        return lifted

    def _draft(
        self, account: Account, what: Literal["hold.set", "hold.lifted"], hold: LegalHold
    ) -> Draft:
        subjects = [hold.sid]
        if hold.message is not None:
            subjects.append(hold.message)
        if hold.tag is not None:
            subjects.append(f"ix:{hold.tag.hex()}")
        return Draft(account.sid, what, tuple(subjects), hold.scope, actor())


def _check(text: Private, longest: int, parameter: str) -> None:
    if not 1 <= len(text.reveal().strip()) <= len(text) <= longest:
        raise Refusal("invalid_parameter", parameter=parameter)


def _number(phone: Private) -> str:
    number = normalise(phone.reveal())
    if number is None:
        raise Refusal("invalid_parameter", parameter="phone")
    return number
