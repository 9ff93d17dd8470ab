"""Creates that name themselves: the same key again is answered with the same message.

A key counts for one account and 24 hours. Of key and form only keyed hashes are kept, made with
the account's pepper of the month; the key goes into the hash of the form too, so that a guessed
text cannot be verified without it. Who repeats a create while the first is still on its way to
the disk waits for the same commit: they all get one answer, or all the same refusal.
"""

import asyncio
from typing import Final, NamedTuple

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.message import Message
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.store.idempotency import Remembered
from hushwire.store.store import Store

KEPT_MS: Final = 86_400_000


class Name(NamedTuple):
    """Keyed hashes of a create's key and of its form."""

    tag: bytes
    fingerprint: bytes


class Named(NamedTuple):
    """A create that names itself."""

    account_id: int
    names: tuple[Name, ...]  # by this month's pepper; and by last month's in a month's first day


class _Open(NamedTuple):
    """A create whose message is not yet on the disk."""

    fingerprint: bytes
    record: int
    durable: "asyncio.Future[None]"


class Idempotency:
    """What makes a create happen once, for every door."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._open: dict[tuple[int, bytes], _Open] = {}

    def name(self, account: Account, key: Private, form: Private) -> Named:
        """What a create is known by. `form` is all of it, in one spelling."""
        keys, now_ms = self._store.accounts.keys[account.id], self._clock.now_ms()
        peppers = [keys.pepper(now_ms)]
        before = keys.known_pepper(now_ms - KEPT_MS)
        if before is not None and before is not peppers[0]:
            peppers.append(before)
        asked = f"create\n{key.reveal()}"
        whole = f"form\n{key.reveal()}\n{form.reveal()}"
        names = (Name(pepper.tag16(asked), pepper.tag16(whole)) for pepper in peppers)
        return Named(account.id, tuple(names))

    async def repeated(self, named: Named) -> Message | None:
        """The message that this create already became, as it is now; None when it is the first.

        Raises Refusal: idempotency_mismatch when the key came with another form,
        idempotency_deleted when its message is gone, and what the first one was refused with
        when both wait for the same commit.
        """
        for name in named.names:
            found = self._open.get((named.account_id, name.tag))
            known = found or self._store.idempotency.find(
                named.account_id, name.tag, self._clock.now_ms()
            )
            if known is None:
                continue
            if known[0] != name.fingerprint:
                raise Refusal("idempotency_mismatch")
            if found is not None:
                await found.durable
            message = self._store.latest(known[1])
            if message is None:
                raise Refusal("idempotency_deleted")
            return message
        return None

    def keep(self, named: Named, message: Message, durable: "asyncio.Future[None]") -> None:
        """Remember what a create became. Call it in the tick in which it was sent."""
        account_id, name = named.account_id, named.names[0]
        expires_ms = self._clock.now_ms() + KEPT_MS
        self._store.idempotency.put(Remembered(account_id, *name, message.key, expires_ms))
        at = (account_id, name.tag)
        self._open[at] = _Open(name.fingerprint, message.key, durable)
        durable.add_done_callback(lambda _: self._open.pop(at))
