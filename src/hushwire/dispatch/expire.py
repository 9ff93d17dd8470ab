"""The expiry: what an account has kept as long as it wants is forgotten (retention).

It sleeps until the first message of any account is old enough, at most once an hour, and then
forgets by ranges of keys: a message's key is the time of its birth. What lies below the mark of
an account and field was forgotten, so a sweep costs what it forgets. It goes a batch at a time,
each in one commit with its mark; after a crash it goes on from there.

Every hour it looks, too, at the months that are over: where nobody is to be found any more, the
pepper is destroyed, and with it what old pages and backups keep of the month's hashes.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from msgspec.structs import replace

from hushwire.actions.messages import what_is_left
from hushwire.clock import Alarm, Clock
from hushwire.domain.account import Account
from hushwire.domain.audit import EXPIRY
from hushwire.domain.holds import unneeded
from hushwire.domain.legal_hold import REMIND_MS
from hushwire.domain.media import kind_of
from hushwire.domain.message import INBOUND, Change, Message, is_finished
from hushwire.domain.retention import DAY_MS, FIELDS, Field, cutoff_ms, days_of
from hushwire.domain.sid import key_at
from hushwire.domain.steady import confirmed, observed, started
from hushwire.domain.withholding import due
from hushwire.faults import reach
from hushwire.observe import Journal
from hushwire.store.custodian import Custodian
from hushwire.store.engine import Database
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.media import MediaTable
from hushwire.store.retained import Retained
from hushwire.store.store import Store
from hushwire.vault.lookup import month_span

BATCH: Final = 200  # messages a commit: a millisecond or two of the loop
PAUSE_S: Final = 0.02  # after a batch, while others wait for the disk
HOUR_MS: Final = 3_600_000
PEPPER_MS: Final = 2 * DAY_MS  # after its month: creates are known by it for a day
SEEN: Final = "clock_seen_ms"  # wall time when this server last ran, for its next start

# Which part of a row a field is, as `Store.expired` wants it: row, content, address.
PARTS: Final[dict[Field, tuple[bool, bool, bool]]] = {
    "body": (False, True, False),
    "numbers": (False, False, True),
    "metadata": (True, False, False),
}


def mark_name(account_id: int, field: Field) -> str:
    """The name under which the mark of a field is kept: nothing of it lives below that key."""
    return f"expired {account_id} {field}"


class Expiry:
    """One loop a server. `measured_ms` is time that nobody can set; `sandbox` has a clock that
    is moved on purpose, which is not doubted."""

    def __init__(
        self, store: Store, custodian: Custodian, holds: LegalHolds, media: MediaTable,
        retained: Retained, clock: Clock, journal: Journal, *, measured_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        self._store = store
        self._custodian = custodian
        self._holds = holds
        self._media = media
        self._retained = retained
        self._clock = clock
        self._journal = journal
        self._measured_ms: Final = measured_ms
        self._alarm = Alarm(clock, self.wake)
        self._rung = asyncio.Event()
        self._sweeping = False
        self._reminded_ms = self._looked_ms = clock.now_ms()
        last = store.get_meta(SEEN)
        self._seen_ms = int(last) if last else 0
        self._steadiness = started(self._wall_ms(), measured_ms(), self._seen_ms or None)

    # -- for others -----------------------------------------------------------------------

    def wake(self) -> None:
        """Look at once: settings changed, or the time has come."""
        self._rung.set()

    def busy(self) -> int:
        """1 while a sweep is under way or about to begin."""
        return int(self._sweeping or self._rung.is_set())

    @property
    def trusted(self) -> bool:
        """Is the clock trusted? While it is not, nothing expires."""
        return self._steadiness.trusted

    def confirm(self) -> None:
        """Somebody says that the clock is right."""
        self._steadiness = confirmed(self._steadiness)
        self.wake()

    def mark(self, account_id: int, field: Field) -> int:
        """Nothing of that field lives below this key, but what is unfinished."""
        return int(self._store.get_meta(mark_name(account_id, field)) or 0)

    # -- the loop -------------------------------------------------------------------------

    async def run(self) -> NoReturn:
        """Forget what is due, for ever."""
        self.wake()
        while True:
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 swallows a cancellation that comes with the bell.
                async with asyncio.timeout(HOUR_MS / 1000):
                    await self._rung.wait()
            self._look_at_clock()
            if not self._rung.is_set():
                await self._destroy_peppers()
                continue
            self._sweeping = True
            self._rung.clear()
            if self.trusted:
                for account in tuple(self._store.accounts.by_id.values()):
                    for field in FIELDS:
                        await self._expire(account, field)
            await self._destroy_peppers()
            self._remind()
            self._alarm.set(self._next_ms())
            self._sweeping = False

    def _look_at_clock(self) -> None:
        before = self._steadiness
        self._looked_ms = self._clock.now_ms()  # a jump in the midst of a sweep is not followed
        self._steadiness = observed(before, self._wall_ms(), self._measured_ms())
        if before.trusted and not self.trusted:
            self._journal.clock_doubted()
        wall_ms = self._wall_ms()
        if self.trusted and abs(wall_ms - self._seen_ms) >= DAY_MS:
            self._store.put_meta(SEEN, str(wall_ms))
            self._seen_ms = wall_ms

    def _wall_ms(self) -> int:
        """The time of the machine: without what the sandbox added to it."""
        return self._clock.now_ms() - self._clock.offset_ms

    def _next_ms(self) -> int:
        """When something may be due: in an hour at the earliest, so that much goes at once."""
        now_ms = self._clock.now_ms()
        times = [now_ms + REMIND_MS] if self._holds.in_force() else []
        over = (month_span(epoch)[1] + PEPPER_MS for _, epoch in self._store.accounts.months)
        times += [over_ms for over_ms in over if over_ms > now_ms]
        for account in self._store.accounts.by_id.values():
            for field in FIELDS:
                oldest = self._store.first_key(account.id, self.mark(account.id, field))
                born_ms = now_ms if oldest is None else oldest >> 16
                times.append(born_ms + days_of(account.retention, field) * DAY_MS)
        first_ms = -(-min(times) // HOUR_MS) * HOUR_MS
        return max(first_ms, now_ms + HOUR_MS)

    async def _destroy_peppers(self) -> None:
        """Those of months that are over, and of which no message carries a person's tag."""
        if not self.trusted:
            return
        accounts = self._store.accounts
        over = [
            (account_id, epoch)
            for account_id, epoch in accounts.months
            if month_span(epoch)[1] + PEPPER_MS <= self._looked_ms
        ]
        if over:
            for account_id, epoch in await asyncio.to_thread(self._retained.untagged, over):
                accounts.destroy_pepper(account_id, epoch)

    def _remind(self) -> None:
        """Once a week, of every legal hold that is still in force."""
        now_ms = self._clock.now_ms()
        for hold in self._holds.in_force():
            weeks = (now_ms - hold.set_ms) // REMIND_MS
            if weeks > (self._reminded_ms - hold.set_ms) // REMIND_MS:
                account = self._store.accounts.by_id[hold.account_id]
                days = (now_ms - hold.set_ms) // DAY_MS
                self._journal.legal_hold_in_force(account.sid, hold.sid, days)
        self._reminded_ms = now_ms

    # -- one field of one account ---------------------------------------------------------

    async def _expire(self, account: Account, field: Field) -> None:
        """Forget what is older than its days; the mark stays before what is not finished."""
        low = self.mark(account.id, field)
        high = key_at(cutoff_ms(account.retention, field, self._looked_ms))
        mark = high
        take = self._take_media if field == "media" else self._take
        while low < high:
            low, unfinished = await take(account, field, low, high, mark)
            if unfinished is not None:
                mark = min(mark, unfinished)
            if self._store.backlog():
                await asyncio.sleep(PAUSE_S)

    async def _take(
        self, account: Account, field: Field, low: int, high: int, mark: int
    ) -> tuple[int, int | None]:
        """One batch: where the next begins, and the first message that is not finished."""
        keys = self._store.expired(account.id, low, high, PARTS[field], BATCH)
        messages = await self._shown(account, field, keys)
        unfinished = min((m.key for m in messages if not is_finished(m)), default=None)
        changes: list[Change] = []
        for message in messages:
            if is_finished(message):
                change = self._due(account, message)
                if change.after is not message or change.puts:
                    changes.append(change)
        following = keys[-1] + 1 if len(keys) == BATCH else high
        if changes:
            self._store.record(changes, cause=EXPIRY)
            reach("expiry.recorded")
        await self._move_mark(
            account, field, min(following, mark, unfinished or following),
            [change.before.sid for change in changes if change.before and change.after is None],
        )  # fmt: skip
        return following, unfinished

    async def _shown(self, account: Account, field: Field, keys: list[int]) -> list[Message]:
        """The messages; where numbers go, what will be left of them is on the disk first."""
        store = self._store
        messages = [m for m in store.load(keys).values() if m.account_id == account.id]
        if field != "numbers":
            return messages
        display = account.privacy.display
        left = {
            m.key: what_is_left(m, display)
            for m in messages
            if m.from_shown is None and m.to is not None and is_finished(m)
        }
        if left:
            rows = [(key, shown["from_shown"], shown["to_shown"]) for key, shown in left.items()]
            await store.append(lambda db: db.many("show_message", rows))
            reach("expiry.shown")
            messages = [m for m in store.load(keys).values() if m.account_id == account.id]
        return messages

    def _due(self, account: Account, message: Message) -> Change:
        custody = self._custodian.custody(message)
        windows = self._store.accounts.windows[account.id]
        return due(message, custody, self._looked_ms, windows)

    async def _take_media(
        self, account: Account, field: Field, low: int, high: int, mark: int
    ) -> tuple[int, int | None]:
        media = self._media.expired(account.id, low, high, BATCH)
        messages = self._store.load(list({medium.record for medium in media}))
        unfinished = min((k for k, m in messages.items() if not is_finished(m)), default=None)
        kept = min((k for k, m in messages.items() if self._holds_media_of(m)), default=None)
        unfinished = min(filter(None, (unfinished, kept)), default=None)
        done = [
            m for m in media
            if m.record in messages and is_finished(messages[m.record])
            and not self._holds_media_of(messages[m.record])
        ]  # fmt: skip
        if done:
            self._media.forget(done, EXPIRY)
        full = len(media) == BATCH  # the last message may have more
        following = media[-1].record + (not done) if full else high
        await self._move_mark(account, field, min(following, mark, unfinished or following), [])
        return following, unfinished

    def _holds_media_of(self, message: Message) -> bool:
        """Does another hold keep its media, though they are as old as they may be?"""
        custody = replace(
            self._custodian.custody(message),
            media=kind_of(message.to, inbound=message.direction is INBOUND),
            alive=frozenset({"media"}),
        )
        windows = self._store.accounts.windows[message.account_id]
        return "media" not in unneeded(custody, self._clock.now_ms(), windows)

    async def _move_mark(
        self, account: Account, field: Field, mark: int, gone: Sequence[str]
    ) -> None:
        """In the commit of what was recorded last; entries about what is gone go with it."""
        name, rows = mark_name(account.id, field), [(sid,) for sid in gone]

        def work(db: Database) -> None:
            db.do("put_meta", name, str(mark))
            db.many("delete_entries_of", rows)

        await self._store.append(work)
