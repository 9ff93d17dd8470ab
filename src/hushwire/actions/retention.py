"""How long an account's messages are kept: read it, change it, and report what lives."""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.legal_hold import LegalHold
from hushwire.domain.retention import FIELDS, Field, Retention, changed, cutoff_ms, days_of
from hushwire.domain.sid import key_at
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import LOOK
from hushwire.errors import Refusal
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.retained import Living, Retained
from hushwire.store.store import Store

SWEEP_MS: Final = 3_600_000  # what is due is forgotten within an hour; later it is overdue
TRUNK_LANE: Final = 0  # of what waits for a minimum to end


class Sweeper(Protocol):
    """What forgets by time."""

    def wake(self) -> None:
        """Look at once."""
        ...

    def mark(self, account_id: int, field: Field) -> int:
        """Nothing of that field lives below this key, but what is unfinished."""
        ...

    @property
    def trusted(self) -> bool:
        """Is the clock trusted? While it is not, nothing expires."""
        ...

    def confirm(self) -> None:
        """Somebody says that the clock is right."""
        ...


class FieldReport(Struct, frozen=True):
    """One field of a report."""

    field: Field
    oldest_ms: int | None  # birth of the oldest message it lives of
    days: int  # how long it is kept at most
    living: Living


class Report(Struct, frozen=True):
    """What lives of an account's messages, and which legal holds are in force."""

    fields: list[FieldReport]
    holds: list[LegalHold]
    clock_trusted: bool
    generated_ms: int


class RetentionSettings:
    """The actions on retention, for every door."""

    def __init__(
        self, store: Store, retained: Retained, holds: LegalHolds, sweeper: Sweeper, clock: Clock
    ) -> None:
        self._store = store
        self._retained = retained
        self._holds = holds
        self._sweeper = sweeper
        self._clock = clock

    def change(self, account: Account, wanted: Mapping[str, object]) -> Retention:
        """Change what is named; durable when this returns, and what is due goes within seconds.

        It counts for every message there is. Raises Refusal for a name or a value that is none;
        nothing is changed then.
        """
        before, after = account.retention, changed(account.retention, wanted)
        if after != before:
            now_ms = self._clock.now_ms()
            self._store.accounts.change(replace(account, retention=after, updated_ms=now_ms))
            if (after.body_minimum_days, after.numbers_minimum_days) != (
                before.body_minimum_days, before.numbers_minimum_days,
            ):  # fmt: skip
                self._store.hasten(TaskKind.REDACT, TRUNK_LANE, now_ms, number=LOOK,
                                   withheld_of=account.id)  # fmt: skip
            self._sweeper.wake()
        return after

    def confirm_clock(self, account: Account) -> bool:
        """The machine's clock is right: what is due by it is forgotten. Was it in doubt?

        Raises Refusal unless it is the account that keeps the server.
        """
        if account.id != 1:
            raise Refusal("access_denied")
        doubted = not self._sweeper.trusted
        self._sweeper.confirm()
        return doubted

    async def report(self, account: Account) -> Report:
        """What lives, by field; read off the event loop."""
        now_ms, retention = self._clock.now_ms(), account.retention
        marks: dict[Field, int] = {f: self._sweeper.mark(account.id, f) for f in FIELDS}
        late: dict[Field, int] = {
            field: key_at(cutoff_ms(retention, field, max(0, now_ms - SWEEP_MS)))
            for field in FIELDS
        }
        found = await asyncio.to_thread(self._retained.fields, account.id, marks, late)
        return Report(
            [
                FieldReport(
                    field,
                    living.oldest_key >> 16 if living.oldest_key is not None else None,
                    days_of(retention, field),
                    living,
                )
                for field, living in found.items()
            ],
            [hold for hold in self._holds.of(account.id) if hold.lifted_ms is None],
            self._sweeper.trusted,
            now_ms,
        )
