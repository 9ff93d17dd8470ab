"""The sweep: after a crash, keys without a row and rows without a key.

Keys are written before the rows that name them and destroyed before the rows that named them
are touched, so a crash leaves one of two things behind, and both are safe to finish: a key
that no row names (destroy it), or a row whose key is gone (drop what it sealed). It runs in
the background after every start and looks only at keys that were there at the start.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct

from hushwire.clock import Clock
from hushwire.store.engine import Database
from hushwire.store.store import Store
from hushwire.vault.slots import KeyRef, Slots

_CHUNK = 5_000
_EVERY_S: Final = 3_600.0


class Swept(Struct, frozen=True):
    """What a sweep put right."""

    orphan_keys: int
    forgotten: int  # bodies and addresses
    deleted_rows: int


async def sweep(store: Store, path: Path, slots: Slots) -> Swept:
    """Finish what the last process left half done. Safe at any time; repeating it is harmless."""
    contents: list[tuple[int, KeyRef]] = []
    addresses: list[tuple[int, KeyRef]] = []
    rows: list[tuple[int, KeyRef]] = []
    account_keys = tuple(store.accounts.key_refs)  # a new pepper may join them meanwhile

    def referenced() -> Iterator[KeyRef]:
        yield from account_keys
        db = Database(path, readonly=True)
        yield from (ref for (ref,) in db.rows("media_keys"))
        last = -1
        while chunk := list(db.rows("key_refs", last, _CHUNK)):
            for key, content_key, address_key, shown in chunk:
                last = key
                if address_key is not None:
                    yield address_key
                    if slots.read(address_key) is None:
                        (rows if shown is None else addresses).append((key, address_key))
                if content_key is not None:
                    yield content_key
                    if slots.read(content_key) is None:
                        contents.append((key, content_key))
        db.close()

    orphans = await asyncio.to_thread(lambda: slots.orphans(referenced()))
    if orphans:
        await store.shred(orphans)
    # A live deletion leaves such a row for a moment too: what is written here names row and
    # key, so it does nothing once that deletion is committed.
    if contents or addresses or rows:
        await store.finish(contents, addresses, rows)
    return Swept(len(orphans), len(contents) + len(addresses), len(rows))


async def sweep_hourly(store: Store, clock: Clock) -> NoReturn:
    """Forget what expired, for ever. What waits for its hour does not count any more already."""
    while True:
        await store.idempotency.drop_expired(clock.now_ms())
        await asyncio.sleep(_EVERY_S)
