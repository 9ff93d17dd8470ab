"""Rotating account keys: the keys of an account's messages are wrapped anew, beside traffic.

An account key stays in its slot, and its reference in the row, so that an older database still
names it. While it is exchanged, the key before it lies in a slot of its own (`former`):

    1  the present key is put into the slot `former` too      a crash leaves an orphan: swept
    2  a row names that slot                                   from here a start goes on
    3  a new key is put into the account key's slot
    4  every key of a message or medium is wrapped under it, in its slot
    5  the slot `former` is overwritten, then its row goes

From 3 on new messages are under the new key, and what there is opens under either. A start does
4 again from the beginning: what is under the new key already costs a look.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hushwire.clock import Entropy
from hushwire.domain.audit import Draft
from hushwire.faults import reach
from hushwire.store.audit import AuditLog, actor
from hushwire.store.engine import Database
from hushwire.store.keys import FORMER, LASTING
from hushwire.store.store import Store
from hushwire.vault.rotation import OwnedRef, rewrap
from hushwire.vault.slots import KeyRef, Slots

_CHUNK: Final = 500  # messages; their keys are written and synced together


def root_key_refs(path: Path) -> list[OwnedRef]:
    """What lies under the root, by account, from a database that no server has open."""
    db = Database(path)
    try:
        return [(account_id, ref) for account_id, ref in db.rows("root_key_refs")]
    finally:
        db.close()


def root_rotated(sid: str) -> Draft:
    """What the audit log holds of a rotation of the root key. `sid`: of the first account."""
    return Draft(sid, "key.rotated", (sid,), "root key", actor())


def note_root_rotated(path: Path, now_ms: int) -> None:
    """Put that into the audit log of a database that no server has open."""
    db = Database(path)
    try:
        log = AuditLog(path, db, lambda work: None, lambda: now_ms)
        first = db.one("accounts")
        with db:
            log.write(db, root_rotated(first[1]))
    finally:
        db.close()


class Walk:
    """How far one account is. Written by the thread that walks, read by others."""

    def __init__(self, account_id: int) -> None:
        self.account_id: Final = account_id
        self.messages = 0  # looked at
        self.total = 0  # messages there were, when it began
        self.keys = 0  # wrapped anew, by this process
        self.damaged = 0  # keys that neither key opens


class AccountRotation:
    """Exchanges account keys of one store. Its methods but `walk` are for the loop's thread."""

    def __init__(self, store: Store, slots: Slots, entropy: Entropy) -> None:
        self._store = store
        self._slots = slots
        self._entropy = entropy
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let a walk end where it is: the next start goes on."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def unfinished(self) -> list[int]:
        """The accounts whose rotation a crash or a stop cut short."""
        return list(self._store.accounts.formers)

    def begin(self, account_id: int, now_ms: int) -> None:
        """Exchange the account's key (1-3): durable when this returns. Raises OSError."""
        accounts, slots = self._store.accounts, self._slots
        key = accounts.keyring.unwrap_key(account_id, accounts.account_refs[account_id])
        assert key is not None
        (former,) = slots.allocate(1)
        slots.write([(former, accounts.keyring.image(account_id, former, key))], ())
        reach("rotation.former_kept")
        sid = accounts.by_id[account_id].sid
        draft = Draft(sid, "key.rotated", (sid,), "account key", actor())

        def work(db: Database) -> None:
            db.do("insert_pepper", account_id, FORMER, LASTING, former)
            db.do("account_key_rotated", now_ms, account_id)
            self._store.audit.write(db, draft)

        self._store.write_now(work)
        reach("rotation.former_noted")
        accounts.key_refs[former] = account_id
        accounts.formers[account_id] = former
        accounts.made_ms[account_id] = now_ms
        self._exchange(account_id)

    def resume(self, account_id: int) -> bool:
        """At a start: put right what a crash left of `begin`; False when there is nothing more
        to do, because the former key is destroyed already."""
        accounts = self._store.accounts
        ref, former = accounts.account_refs[account_id], accounts.formers[account_id]
        before = accounts.keyring.unwrap_key(account_id, former)
        if before is None:
            self._forget(account_id, former)
            return False
        if before == accounts.keyring.unwrap_key(account_id, ref):
            self._exchange(account_id)
        return True

    def walk(self, walk: Walk) -> bool:
        """Wrap every key of the account anew (4), on a thread of its own; False when stopped.

        All that was sealed before `begin` must be on the disk. Raises OSError.
        """
        wrapper = self._store.accounts.keys[walk.account_id].cipher.wrapper
        db = Database(self._store.path, readonly=True)
        try:
            (walk.total,) = db.one("message_count_of", walk.account_id)
            for messages, refs in _keys_of(db, walk.account_id):
                owned = ((walk.account_id, ref) for ref in refs)
                keys, damaged = rewrap(self._slots, owned, wrapper, self._entropy)
                walk.messages += messages
                walk.keys += keys
                walk.damaged += damaged
                reach("rotation.rewrapped")
                if self._stopping.is_set():
                    return False
        finally:
            db.close()
        return True

    def end(self, account_id: int) -> None:
        """Destroy the key before the present one (5): durable when this returns."""
        former = self._store.accounts.formers[account_id]
        self._slots.write((), [former])
        reach("rotation.former_gone")
        self._forget(account_id, former)

    def _exchange(self, account_id: int) -> None:
        accounts = self._store.accounts
        ref, key = accounts.account_refs[account_id], accounts.keyring.new_key()
        self._slots.rewrap([(ref, accounts.keyring.image(account_id, ref, key))])
        accounts.keys[account_id].cipher.wrapper.exchange(key)
        reach("rotation.exchanged")

    def _forget(self, account_id: int, former: KeyRef) -> None:
        accounts = self._store.accounts
        accounts.keys[account_id].cipher.wrapper.drop_former()
        self._store.write_now(lambda db: db.do("drop_former_key", account_id, FORMER, former))
        reach("rotation.former_forgotten")
        self._slots.recycle([former])
        del accounts.formers[account_id]
        del accounts.key_refs[former]


def _keys_of(db: Database, account_id: int) -> Iterator[tuple[int, list[KeyRef]]]:
    """The keys of an account's messages, then of its media: how many messages, and their keys."""
    last = -1
    while rows := list(db.rows("message_keys_of", account_id, last, _CHUNK)):
        last = rows[-1][0]
        refs = [ref for _, *both in rows for ref in both if ref is not None]
        yield len(rows), refs
    sid = ""
    while rows := list(db.rows("media_keys_of", account_id, sid, _CHUNK)):
        sid = rows[-1][0]
        yield 0, [ref for _, ref in rows]
