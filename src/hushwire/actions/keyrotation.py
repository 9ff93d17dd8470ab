"""What can be done with keys: show what there is, rotate the root key, rotate account keys.

One rotation at a time, in the background; its progress is told. What a crash or a stop cut
short goes on at the next start.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.errors import Misconfigured, Refusal, Unavailable
from hushwire.store.engine import FileLock
from hushwire.store.rotation import (
    AccountRotation,
    Walk,
    note_root_rotated,
    root_key_refs,
    root_rotated,
)
from hushwire.store.store import Store
from hushwire.vault.providers import shown
from hushwire.vault.rotation import OpenVault, VaultPlace, open_vault, rewrap_under_root

T = TypeVar("T")
State = Literal["never", "running", "done", "failed"]


class RotationProgress(Struct, frozen=True):
    """How far the last rotation since the start is. Times are Unix milliseconds, 0: not yet."""

    what: Literal["root", "accounts"] = "root"
    state: State = "never"
    accounts: int = 0  # to rotate
    accounts_done: int = 0
    messages: int = 0  # of the accounts begun so far
    messages_done: int = 0
    keys: int = 0  # wrapped anew
    damaged: int = 0  # that neither key opened: they were so before
    began_ms: int = 0
    ended_ms: int = 0
    error: str = ""  # why it failed; nothing has changed then


class KeyInventory(Struct, frozen=True):
    """How many keys there are, and how old. No key, and nothing that leads to one."""

    root_provider: str
    root_since_ms: int  # Unix; 0: not known
    account_keys: int
    oldest_account_key_ms: int
    newest_account_key_ms: int
    keys_under_root: int  # account keys, and all that lies beside them
    live_slots: int
    free_slots: int
    files: int
    copied: bool  # is there a second directory?
    unfinished: int  # rotations of account keys that are not at their end


class KeyRotation:
    """The actions on keys, for every door."""

    def __init__(
        self, store: Store, vault: OpenVault, clock: Clock, entropy: Entropy,
        disk_low: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._store = store
        self._vault = vault
        self._clock = clock
        self._entropy = entropy
        self._disk_low = disk_low
        self._rotation = AccountRotation(store, vault.slots, entropy)
        self._asked: asyncio.Queue[tuple[int, ...] | None] = asyncio.Queue()  # None: the root
        self._walks: list[Walk] = []
        self._working: asyncio.Task[object] | None = None
        self.progress = RotationProgress()

    def inventory(self) -> KeyInventory:
        """What there is."""
        accounts, record = self._store.accounts, self._vault.record
        stats = self._vault.slots.stats()
        made = accounts.made_ms.values()
        return KeyInventory(
            root_provider=shown(record.provider),
            root_since_ms=record.since_ms,
            account_keys=len(accounts.account_refs),
            oldest_account_key_ms=min(made, default=0),
            newest_account_key_ms=max(made, default=0),
            keys_under_root=len(accounts.key_refs),
            live_slots=stats.live,
            free_slots=stats.free,
            files=stats.files,
            copied=record.copied,
            unfinished=len(accounts.formers),
        )

    def rotate_root(self) -> RotationProgress:
        """Begin to exchange the root key for a new one of the same provider.

        Raises Refusal when a rotation runs, or when the provider only gives a key.
        """
        self._require_idle()
        self._ask(None, "root", 0)
        return self.progress

    def rotate_accounts(self, accounts: Sequence[Account] | None) -> RotationProgress:
        """Begin to exchange the keys of these accounts, or of all. Raises Refusal as above."""
        self._require_idle()
        chosen = accounts if accounts is not None else self._store.accounts.by_id.values()
        ids = tuple(account.id for account in chosen)
        self._ask(ids, "accounts", len(ids))
        return self.progress

    def look(self) -> RotationProgress:
        """How far the rotation is by now."""
        self._sum()
        return self.progress

    async def run(self) -> None:
        """Do what is asked, for ever; first what an earlier start left unfinished.

        Whatever fails here ends the process: the next start goes on.
        """
        left = self._rotation.unfinished()
        if left:
            self._begin("accounts", len(left))
            for account_id in left:
                if self._rotation.resume(account_id):
                    await self._walk(account_id)
            self._end("done")
        while not self._rotation.is_stopping:
            asked = await self._asked.get()
            if asked is None:
                await self._rotate_root()
                continue
            await self._in_thread(self._vault.count_rotation)
            for account_id in asked:
                if not self._rotation.is_stopping:
                    self._rotation.begin(account_id, self._clock.now_ms())
                    await self._walk(account_id)
            self._end("done")

    async def stop(self) -> None:
        """The server stops: a rotation of accounts ends where it is, one of the root is ended."""
        self._rotation.stop()
        if self._working is not None:
            await asyncio.wait([self._working])

    async def _walk(self, account_id: int) -> None:
        """Wrap an account's keys anew, and destroy the former key; not when the server stops."""
        await self._store.append(lambda db: None)  # what was sealed before is on the disk
        walk = Walk(account_id)
        self._walks.append(walk)
        if await self._in_thread(lambda: self._rotation.walk(walk)):
            self._rotation.end(account_id)
            self._sum()
            self.progress = replace(self.progress, accounts_done=self.progress.accounts_done + 1)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """What `stop` waits for."""
        self._working = task = asyncio.create_task(asyncio.to_thread(work))
        try:
            return await task
        finally:
            self._working = None

    async def _rotate_root(self) -> None:
        store, vault, entropy = self._store, self._vault, self._entropy
        try:
            new = await self._in_thread(lambda: vault.begin_exchange(None))
        except Misconfigured as error:
            self._end("failed", str(error))
            return
        accounts = store.accounts
        accounts.keyring.exchange(new)  # from here on new accounts and peppers are under it
        refs = [(account_id, ref) for ref, account_id in accounts.key_refs.items()]
        wrapper, now_ms = accounts.keyring.wrapper, self._clock.now_ms()

        def exchange() -> int:
            count = rewrap_under_root(vault.slots, refs, wrapper, entropy)
            vault.end_exchange(new, now_ms)
            return count

        count = await self._in_thread(exchange)
        wrapper.drop_former()
        store.audit.add(root_rotated(accounts.by_id[1].sid))
        self.progress = replace(self.progress, keys=count)
        self._end("done")

    def _require_idle(self) -> None:
        if self.progress.state == "running":
            raise Refusal("rotation_running")
        if self._disk_low():
            raise Unavailable("unavailable", retry_after_s=30)

    def _ask(self, what: tuple[int, ...] | None, name: Literal["root", "accounts"], n: int) -> None:
        if what is None and not self._vault.can_renew():
            raise Refusal("root_key_given")
        self._begin(name, n)
        self._asked.put_nowait(what)

    def _begin(self, what: Literal["root", "accounts"], accounts: int) -> None:
        self._walks.clear()
        self.progress = RotationProgress(
            what, "running", accounts=accounts, began_ms=self._clock.now_ms()
        )

    def _end(self, state: State, error: str = "") -> None:
        now_ms = self._clock.now_ms()
        self.progress = replace(self.progress, state=state, ended_ms=now_ms, error=error)

    def _sum(self) -> None:
        walks = self._walks
        if walks:
            self.progress = replace(
                self.progress,
                messages=sum(walk.total for walk in walks),
                messages_done=sum(walk.messages for walk in walks),
                keys=sum(walk.keys for walk in walks),
                damaged=sum(walk.damaged for walk in walks),
            )


def rotate_root_offline(
    place: VaultPlace, database: Path, to: str | None, clock: Clock, entropy: Entropy
) -> str:
    """Exchange the root key while no server runs; the provider's line from now on.

    `to`: another provider's line; None: a new key of the same. Raises Misconfigured, also when
    a server runs or there is no vault.
    """
    if not database.exists():
        raise Misconfigured(f"{place.data} holds no vault: name the directory with --data")
    lock = FileLock(place.data / "lock")
    try:
        vault = open_vault(
            place, lambda: root_key_refs(database), first_start=False, now_ms=clock.now_ms(),
            entropy=entropy,
        )  # fmt: skip
        try:
            now_ms = clock.now_ms()
            vault.exchange(to, root_key_refs(database), now_ms, entropy)
            note_root_rotated(database, now_ms)
        finally:
            vault.slots.close()
        return vault.record.provider
    finally:
        lock.close()
