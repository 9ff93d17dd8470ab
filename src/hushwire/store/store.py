"""The store: what the rest of the server may ask of the database and the vault.

`record` is the one way anything changes: row, history, tasks and destroyed keys in one
transaction. Changes not yet on disk are visible to `peek` and `load`, so that facts about one
message are always applied to its latest state.
"""

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

from hushwire.clock import Clock, Entropy
from hushwire.domain.audit import RECOVERED, RULE, Cause
from hushwire.domain.message import SLOTS, Change, Message, is_finished
from hushwire.domain.privacy import DEFAULTS, Windows
from hushwire.domain.sid import MessageId, Mint, message_sid, parse_message_sid
from hushwire.domain.task import Task, TaskKind
from hushwire.domain.withholding import ADDRESS, CONTENT, ROW
from hushwire.errors import Misconfigured
from hushwire.observe import Metrics
from hushwire.store.accounts import Accounts
from hushwire.store.audit import AuditLog, Groups
from hushwire.store.commit import Batch, GroupCommit, Part, Work
from hushwire.store.engine import Database, Value
from hushwire.store.feedback import FeedbackTable
from hushwire.store.idempotency import IdempotencyTable
from hushwire.store.rows import (
    address_row,
    birth_row,
    read_message,
    read_parties,
    read_row,
    read_task,
    task_row,
)
from hushwire.vault.lookup import Stretches
from hushwire.vault.slots import KeyRef, Slots
from hushwire.vault.withheld import noted

VAULT_ID = "vault_id"
SPARE_SLOTS = 256  # key slots taken from the vault at a time
COOL_BATCH = 1_000  # messages dropped from memory at a time
BALLAST_BYTES = 8 << 20  # given up when the disk is full, so that erasing can still commit


class Outlet(Protocol):
    """Where tasks go once they are durable: the workers, seen from the store."""

    def room(self, kind: TaskKind, lane: int) -> int:
        """How many tasks of that lane this process will still hold in memory."""
        ...

    def deliver(self, task: Task, message: Message) -> None:
        """A task to be done now, and its message."""
        ...

    def note(self, task: Task) -> None:
        """A task that stands in the table until it is due. It may not be durable yet."""
        ...

    def forget(self, record: int) -> None:
        """That message was redacted or deleted: what is remembered of it says too much."""
        ...


class _Nobody:
    """No workers: every task stays in the table."""

    def room(self, kind: TaskKind, lane: int) -> int:
        return 0

    def deliver(self, task: Task, message: Message) -> None:
        raise AssertionError

    def note(self, task: Task) -> None:
        return

    def forget(self, record: int) -> None:
        return


class Store:
    """One SQLite file and one vault, owned by this process."""

    def __init__(
        self,
        path: Path,
        slots: Slots,
        root: bytes,
        entropy: Entropy,
        metrics: Metrics,
        *,
        failed: Callable[[BaseException], None],
        warm: int = 20_000,
        threaded: bool = True,
        windows: Windows = DEFAULTS,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._slots = slots
        self._metrics = metrics
        self._warm = warm
        self._db = Database(path, alone=True)  # of one thread at a time: GroupCommit has a lock
        self._db.migrate()
        self._reader = Database(path, readonly=True, alone=True)
        self._know_vault()
        self._ballast = path.with_name("ballast")
        self._fill_ballast()
        self._commit = GroupCommit(
            self._db, slots, seal=self._seal, finished=self._finished, failed=failed,
            make_room=self._drop_ballast, threaded=threaded,
        )  # fmt: skip
        self.audit = AuditLog(path, self._reader, self.append, (clock or Clock()).now_ms)
        self.accounts = Accounts(
            self._reader, self._commit.now, slots, root, entropy, windows, self.audit
        )
        self.idempotency = IdempotencyTable(self._reader, self._commit)
        self.feedback = FeedbackTable(self._reader, self._commit)
        self._mint = Mint(0, self._reader.one("last_key")[0] or 0, entropy.bytes)
        self._stretches = Stretches(self._reader.one("last_stretch")[0] or 0)
        # Unfinished messages, and changes not yet on disk: key → latest state, None if deleted.
        self._memory: dict[int, Message | None] = {}
        self._spare: list[KeyRef] = []
        self.outlet: Outlet = _Nobody()
        self.told: Callable[[Message], None] | None = None  # hears of every durable change
        # Asked of every change that destroys something: what of it is allowed now.
        self.custodian: Callable[[Change], Change] | None = None
        self.vanished: Callable[[int], None] | None = None  # hears of what is deleted but withheld
        # Each is given every batch before it is written, and may add statements to it.
        self.writers: list[Callable[[Batch], None]] = []

    def _know_vault(self) -> None:
        """A vault of another database opens nothing, and its sweep would destroy every key."""
        vault_id = self._slots.vault_id.hex()
        known = self.get_meta(VAULT_ID)
        if known is None and self._slots.stats().live == 0:
            with self._db:
                self._db.do("put_meta", VAULT_ID, vault_id)
        elif known != vault_id:
            raise Misconfigured(
                f"database: the vault is not the one {self.path.name} was written with; restore "
                "both together, correct database_url, or start with another data directory"
            )

    # -- births and changes ---------------------------------------------------------------

    def reserve(self, now_ms: int) -> tuple[MessageId, KeyRef, KeyRef]:
        """For a message about to be recorded: its id, and the keys of its content and address."""
        spare = self._spare
        if not spare:  # slots in stock are blank on disk: a crash leaves nothing of them
            spare.extend(reversed(self._slots.allocate(SPARE_SLOTS)))
        return self._mint.next(now_ms), spare.pop(), spare.pop()

    def record(
        self, changes: Sequence[Change], *, urgent: bool = False, cause: Cause = RULE
    ) -> "asyncio.Future[None]":
        """Write changes in the next group commit; the future ends when they are durable.

        Births are urgent in themselves: somebody waits for the answer. `cause`: of what is
        forgotten in them, for the audit log.

        A birth may be refused by a full disk (`Unavailable`); nothing of it remains. Births
        and other changes are not mixed in one call.
        """
        batch = self._commit.open_batch(urgent=urgent or changes[0].before is None)
        part, memory = batch.others, self._memory
        rooms: dict[tuple[TaskKind, int], bool] = {}  # asked once for all of these changes
        for asked in changes:
            ends = asked.shreds or asked.after is None
            change = self._allowed(asked, batch, cause) if ends else asked
            before, after = change.before, change.after
            if after is None:
                assert before is not None
                key = before.key
                batch.deletes.append((key,))
                _note(batch.audits, before, (), cause)
                self.outlet.forget(key)
            else:
                key = after.key
                if before is None:
                    part = batch.births
                    batch.newborn.append(after)
                elif after is not before:
                    batch.updates[key] = after
                    if before.from_ is None and after.from_ is not None:
                        batch.addressed.append(after)
            if change.shreds:
                batch.shreds.extend(change.shreds)
                if before is not None and after is not None:
                    _forget(batch, before, after, cause)
                    self.outlet.forget(key)
            if change.drops:
                batch.drops.extend(change.drops)
            memory.pop(key, None)
            memory[key] = after
            batch.settled.append((key, after))
            if after is not None:
                for task in change.puts:
                    self._put(part, task, after, rooms)
        return part.done

    def _allowed(self, change: Change, batch: Batch, cause: Cause) -> Change:
        """What may be destroyed of what a change destroys; the rest is withheld."""
        before, custodian = change.before, self.custodian
        if before is None or custodian is None:
            return change
        allowed = custodian(change)
        after = allowed.after
        if allowed is change or after is None:
            return allowed
        key, row = before.key, change.after is None
        if after.withheld & ~before.withheld:
            _note(batch.audits, before, () if row else _withheld_parts(before, after), cause)
            batch.withheld += _withheld_notes(after)
        if after.withheld & ADDRESS:  # nobody finds it by number any more
            batch.work.append(lambda db: db.do("unname_message", key))
        if row and self.vanished is not None:
            self.vanished(key)
        waits = {(key, put.number) for put in allowed.puts}  # statements drop after they put
        batch.drops[:] = [drop for drop in batch.drops if drop not in waits]
        self.outlet.forget(key)
        return allowed

    def _put(
        self, part: Part, task: Task, message: Message, rooms: dict[tuple[TaskKind, int], bool]
    ) -> None:
        held = task.held
        if held:
            where = (task.kind, task.lane)
            if where not in rooms:
                rooms[where] = self.outlet.room(*where) > 0
            held = rooms[where]
        part.puts.append(task_row(task, held=held))
        if held:
            part.handed.append((task, message))
        else:
            self.outlet.note(task)
            rooms.pop((task.kind, task.lane), None)  # what waits in the table goes first

    def backlog(self) -> int:
        """Messages that wait to be committed."""
        return self._commit.backlog()

    def pending(self) -> bool:
        """Is anything not yet on disk?"""
        return self._commit.pending()

    def _seal(self, batch: Batch) -> None:
        keys, images = self.accounts.keys, batch.births.images
        stretch = self._stretches.next
        batch.rows = [
            birth_row(born, keys[born.account_id], stretch(born.created_ms), images)
            for born in batch.newborn
        ]
        for message in batch.addressed:  # their sender was chosen
            row = address_row(message, keys[message.account_id], self._slots)
            if row is not None:
                batch.address_rows.append(row)
        for write in self.writers:
            write(batch)
        if audits := batch.audits:
            batch.work.append(lambda db: self.audit.write_groups(db, audits, self._sid_of))

    def _finished(self, batch: Batch) -> None:
        memory, outlet, metrics = self._memory, self.outlet, self._metrics
        metrics.commit_rows.observe(len(batch.newborn) + len(batch.updates))
        metrics.commit_s.observe(batch.commit_s)
        metrics.shredded += len(batch.shreds)
        # Handed over as it is now: since it was recorded it may have changed, or been deleted.
        for part in (batch.others,) if batch.refused else (batch.births, batch.others):
            for task, message in part.handed:
                latest = memory.get(task.record, message)
                if latest is not None:
                    outlet.deliver(task, latest)
        for key, after in batch.settled:
            if after is not None:
                metrics.status[after.status] += 1
            if memory.get(key, batch) is after and (after is None or is_finished(after)):
                del memory[key]
        if batch.refused:
            for born in batch.newborn:
                memory.pop(born.key, None)
        if len(memory) > self._warm + COOL_BATCH:
            self._cool()
        if self.told is not None:
            unborn = {born.key for born in batch.newborn} if batch.refused else ()
            for key, after in batch.settled:
                if after is not None and key not in unborn and not after.withheld & ROW:
                    self.told(after)

    def _cool(self) -> None:
        """Forget the oldest unfinished messages; they are read again when needed."""
        waiting = self._commit.uncommitted()
        for key in list(islice(self._memory, len(self._memory) - self._warm + COOL_BATCH)):
            if key not in waiting:
                del self._memory[key]

    # -- reading --------------------------------------------------------------------------

    def peek(self, key: int) -> Message | None:
        """The latest state of a message in memory, or None when it is not there."""
        return self._memory.get(key)

    def latest(self, key: int) -> Message | None:
        """The latest state of a message, from memory or disk; None when it is deleted."""
        if key in self._memory:
            message = self._memory[key]
            return message if message is None or not message.withheld & ROW else None
        return self.load([key]).get(key)

    def parties(self, key: int) -> tuple[str, str] | None:
        """Sender and recipient of a message, though they are withheld; None once forgotten."""
        raw = self._reader.one("messages_by_keys", json.dumps([key]))
        if raw is None:
            return None
        row = read_row(raw)
        return read_parties(row, self.accounts.keys[row.account_id], self._slots)

    def load(self, keys: Sequence[int], *, withheld: bool = False) -> dict[int, Message]:
        """The latest state of these messages; deleted ones are missing.

        `withheld`: also those that are deleted for everybody but who has to finish it.
        """
        found = self._load(keys)
        if withheld:
            return found
        return {key: message for key, message in found.items() if not message.withheld & ROW}

    def _load(self, keys: Sequence[int]) -> dict[int, Message]:
        found: dict[int, Message] = {}
        cold: list[int] = []
        for key in keys:
            if key not in self._memory:
                cold.append(key)
            elif (message := self._memory[key]) is not None:
                found[key] = message
        if cold:
            for message in self._read("messages_by_keys", json.dumps(cold)):
                found[message.key] = message
                if not is_finished(message):
                    self._memory[message.key] = message
        return found

    def find(self, account_id: int, sid: str) -> Message | None:
        """A message of this account by SID; None when unknown, deleted or another's."""
        ident = parse_message_sid(sid)
        if ident is None:
            return None
        message = self.load([ident.key]).get(ident.key)
        if message is None or message.sid != sid or message.account_id != account_id:
            return None
        return message

    def expired(
        self, account_id: int, low: int, high: int, wanted: tuple[bool, bool, bool], limit: int
    ) -> list[int]:
        """Keys of an account's messages from `low` on, below `high`, of which something is left.

        `wanted`: of their row; of their content; of their address.
        """
        found = self._reader.rows("expired", account_id, low, high, *wanted, limit)
        return [key for (key,) in found]

    def first_key(self, account_id: int, low: int) -> int | None:
        """The first message of an account from `low` on."""
        return self._reader.one("first_message", account_id, low)[0]

    def key_by_ref(self, ref: str) -> int | None:
        """The message a carrier's id belongs to, while its receipt is awaited."""
        row = self._reader.one("record_by_ref", ref)
        return row[0] if row else None

    def _read(self, name: str, *values: Value) -> list[Message]:
        keys = self.accounts.keys
        messages: list[Message] = []
        for raw in self._reader.rows(name, *values):
            row = read_row(raw)
            message = read_message(row, keys[row.account_id], self._slots)
            if message is not None:
                messages.append(message)
        return messages

    # -- tasks ----------------------------------------------------------------------------

    def release_held(self) -> None:
        """At start: what a dead process held in memory is in the table again, but for the
        attempts it had marked."""
        self._commit.now(lambda db: db.do("release_held", TaskKind.SUBMIT))

    def lanes_due(self) -> list[tuple[TaskKind, int, int]]:
        """Every (kind, lane, earliest due) with a task in the table."""
        rows = self._reader.rows("lanes_due")
        return [(TaskKind(kind), lane, due) for kind, lane, due in rows]

    def attempts(self) -> list[Task]:
        """At start: the attempts a dead process had marked and not settled."""
        return [read_task(row) for row in self._reader.rows("marked_attempts", TaskKind.SUBMIT)]

    async def claim(
        self, kind: TaskKind, lane: int, now_ms: int, limit: int
    ) -> tuple[list[Task], int | None]:
        """Take due tasks of a lane into memory; also when the lane's next one is due."""
        tasks: list[Task] = []
        following: list[int | None] = []

        def work(db: Database) -> None:
            tasks[:] = map(read_task, db.rows("claim_tasks", kind, lane, now_ms, limit))
            following[:] = db.one("next_due", kind, lane)

        await self._work(work)
        tasks.sort(key=lambda task: (task.due_ms, task.record, task.number))
        return tasks, following[0]

    def has_task(self, key: int, kind: TaskKind) -> bool:
        """Does a task of that kind wait for this message?"""
        return self._reader.one("task_of_kind", key, kind) is not None

    def set_aside(self, tasks: Sequence[Task]) -> None:
        """Write tasks without any change to their messages (retries, pacing)."""
        part = self._commit.open_batch(urgent=False).others
        for task in tasks:
            part.puts.append(task_row(task, held=False))
            self.outlet.note(task)

    def hasten(
        self, kind: TaskKind, lane: int, now_ms: int, *, number: int = 0,
        withheld_of: int | None = None,
    ) -> "asyncio.Future[None]":  # fmt: skip
        """What waits in a lane is due now, in the commit after all that was recorded.

        `withheld_of`: only tasks of that number, of what is withheld of that account.
        """

        def work(db: Database) -> None:
            if withheld_of is None:
                db.do("hasten_lane", kind, lane, now_ms)
            else:
                db.do("hasten_withheld", kind, lane, now_ms, number, withheld_of)

        done = self.append(work)
        done.add_done_callback(lambda _: self.outlet.note(Task(0, number, kind, lane, now_ms)))
        return done

    def drop(self, tasks: Sequence[Task]) -> "asyncio.Future[None]":
        """These tasks are done."""
        batch = self._commit.open_batch(urgent=False)
        for task in tasks:
            batch.drops.append((task.record, task.number))
        return batch.others.done

    def resume_paces(self, now_ms: int) -> None:
        """At start: a paced sender's timetable goes on behind what the table holds of it."""
        waiting: dict[tuple[int, int], int] = {
            (account_id, tag): segments
            for account_id, tag, segments in self._reader.rows("waiting_segments", TaskKind.SUBMIT)
        }
        for phone, pace in self.accounts.paces.items():
            account_id = self.accounts.numbers[phone].account_id
            if pace.mps and waiting:
                tag = self.accounts.keys[account_id].own_tag(phone)
                pace.occupy(now_ms, waiting.get((account_id, tag), 0))

    async def _work(self, work: Work) -> None:
        batch = self._commit.open_batch()
        batch.work.append(work)
        await batch.others.done

    def write_now(self, work: Work) -> None:
        """Statements that are durable when this returns; for what is rare."""
        self._commit.now(work)

    def append(self, work: Work) -> "asyncio.Future[None]":
        """Statements to run in the next commit, that of this tick's changes; nobody waits long."""
        batch = self._commit.open_batch(urgent=False)
        batch.work.append(work)
        return batch.others.done

    # -- the server's own -----------------------------------------------------------------

    def get_meta(self, name: str) -> str | None:
        row = self._reader.one("get_meta", name)
        return row[0] if row else None

    def put_meta(self, name: str, value: str) -> None:
        self._commit.now(lambda db: db.do("put_meta", name, value))

    def free_bytes(self) -> int:
        """What is left on the disk of the database, without what the ballast gave up."""
        stat = os.statvfs(self.path.parent)
        free = stat.f_bavail * stat.f_frsize
        return max(0, free - BALLAST_BYTES) if self._given_up else free

    def restore_ballast(self) -> None:
        """Put back what a full disk took, once there is room for it."""
        if self._given_up and self.free_bytes() > 7 * BALLAST_BYTES:
            self._fill_ballast()

    @property
    def commits(self) -> int:
        return self._commit.commits

    async def shred(self, refs: Sequence[KeyRef]) -> None:
        """Destroy vault keys that no row needs (the sweep)."""
        batch = self._commit.open_batch()
        batch.shreds.extend(refs)
        await batch.others.done

    async def finish(
        self, contents: Sequence[tuple[int, KeyRef]], addresses: Sequence[tuple[int, KeyRef]],
        rows: Sequence[tuple[int, KeyRef]],
    ) -> None:  # fmt: skip
        """The sweep: these (message, key) pairs name keys that are gone; drop what they sealed."""
        batch = self._commit.open_batch()
        deleted = {key for key, _ in rows}
        for key in deleted:
            batch.drops.extend((key, number) for number in SLOTS)

        def work(db: Database) -> None:
            groups: Groups = {}  # only of what still names its key: the rest was recorded
            _recover(db, groups, "body", [pair for pair in contents if pair[0] not in deleted])
            _recover(db, groups, "numbers", addresses)
            _recover(db, groups, "", rows)
            db.many("forget_content", contents)
            db.many("forget_address", addresses)
            db.many("finish_delete", rows)
            self.audit.write_groups(db, groups, self._sid_of)

        batch.work.append(work)
        await batch.others.done

    async def close(self) -> None:
        """Commit what waits, fold the log into the file, and let go of it."""
        await self._commit.close()
        self._reader.close()
        self._db.fold()
        self._db.close()

    def _sid_of(self, account_id: int) -> str:
        return self.accounts.by_id[account_id].sid

    def _fill_ballast(self) -> None:
        self._given_up = False
        if not self._ballast.exists() and self.free_bytes() > 8 * BALLAST_BYTES:
            self._ballast.write_bytes(bytes(BALLAST_BYTES))

    def _drop_ballast(self) -> None:
        if self._ballast.exists():
            self._ballast.unlink()
            self._given_up = True


def _forget(batch: Batch, before: Message, after: Message, cause: Cause) -> None:
    parts: tuple[str, ...] = ()
    if after.content_key is None and before.content_key is not None:
        batch.forget_content.append((after.key, before.content_key))
        parts = ("body",)
    if after.address_key is None and before.address_key is not None:
        batch.forget_address.append((after.key, before.address_key))
        parts += ("numbers",)
    if parts:
        _note(batch.audits, before, parts, cause)


def _withheld_parts(before: Message, after: Message) -> tuple[str, ...]:
    """For the audit log: what is gone for every reader, though its key lives."""
    new = after.withheld & ~before.withheld
    parts = (("body", CONTENT), ("numbers", ADDRESS))
    return (*(part for part, bit in parts if new & bit), "withheld")


def _withheld_notes(message: Message) -> list[int]:
    """For who puts back an older database: which keys may not be used any more."""
    keys = ((message.content_key, CONTENT), (message.address_key, ADDRESS))
    whole = bool(message.withheld & ROW)
    return [
        noted(key, whole=whole) for key, bit in keys if key is not None and message.withheld & bit
    ]


def _note(groups: Groups, message: Message, parts: tuple[str, ...], cause: Cause) -> None:
    """For the audit log: these parts of a message are forgotten; without parts, all of it."""
    detail = " ".join((*parts, cause.why))
    what = "message.redacted" if parts else "message.deleted"
    groups.setdefault((message.account_id, what, detail, cause.actor), []).append(message.sid)


def _recover(db: Database, groups: Groups, part: str, pairs: Sequence[tuple[int, KeyRef]]) -> None:
    """For the audit log: what a crash let be forgotten without its record."""
    what = "message.redacted" if part else "message.deleted"
    detail = f"{part} {RECOVERED.why}".strip()
    for key, ref in pairs:
        row = db.one("named_by", key, ref)
        if row is not None:
            tail, prefix, account_id = row
            sid = message_sid(prefix, MessageId(key, tail))
            groups.setdefault((account_id, what, detail, None), []).append(sid)
