"""The sweep: after a crash, keys without a row and rows without a key.

Keys are written before the rows that name them and destroyed before the rows that named them
are touched, so a crash leaves one of two things behind, and both are safe to finish: a key
that no row names (destroy it), or a row whose key is gone (drop what it sealed). It runs in
the background after every start and looks only at keys that were there at the start. A
restored database is swept before it serves.

A row whose key was never there is a third thing: the vault is older than the database, as when
an old copy of it was put back. Nothing is put right then, because all that is newer would be
lost: the server does not start.
"""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

from msgspec import Struct

from hushwire.clock import Clock
from hushwire.errors import Misconfigured
from hushwire.store.engine import Database
from hushwire.store.store import Store
from hushwire.vault.slots import KeyRef, Slots

_CHUNK = 5_000
_EVERY_S: Final = 3_600.0
_NEWEST: Final = 1_000

SWEEP_FIRST: Final = "sweep_first"  # in the database: the next start sweeps before it serves


class Swept(Struct, frozen=True):
    """What a sweep put right."""

    orphan_keys: int
    forgotten: int  # bodies and addresses
    deleted_rows: int


async def sweep(store: Store, path: Path, slots: Slots) -> Swept:
    """Finish what the last process left half done. Safe at any time; repeating it is harmless.

    Raises Misconfigured, and changes nothing, when the vault is older than the database.
    """
    contents: list[tuple[int, KeyRef]] = []
    addresses: list[tuple[int, KeyRef]] = []
    rows: list[tuple[int, KeyRef]] = []
    lagging: list[KeyRef] = []
    account_keys = tuple(store.accounts.key_refs)  # a new pepper may join them meanwhile

    def is_gone(ref: KeyRef) -> bool:
        if slots.read(ref) is not None:
            return False
        if slots.lags(ref):
            lagging.append(ref)
        return True

    def referenced() -> Iterator[KeyRef]:
        yield from account_keys
        db = Database(path, readonly=True)
        for (ref,) in db.rows("media_keys"):
            is_gone(ref)
            yield ref
        last = -1
        while chunk := list(db.rows("key_refs", last, _CHUNK)):
            for key, content_key, address_key, whole in chunk:
                last = key
                if address_key is not None:
                    yield address_key
                    if is_gone(address_key):
                        (rows if whole else addresses).append((key, address_key))
                if content_key is not None:
                    yield content_key
                    if is_gone(content_key):
                        contents.append((key, content_key))
        db.close()

    orphans = await asyncio.to_thread(lambda: slots.orphans(referenced()))
    _require_none_lags(slots, lagging)
    if orphans:
        await store.shred(orphans)
    # A live deletion leaves such a row for a moment too: what is written here names row and
    # key, so it does nothing once that deletion is committed.
    if contents or addresses or rows:
        await store.finish(contents, addresses, rows)
    return Swept(len(orphans), len(contents) + len(addresses), len(rows))


def require_vault_as_new(path: Path, slots: Slots) -> None:
    """Raises Misconfigured when the newest messages name keys that the vault never held."""
    db = Database(path, readonly=True)
    try:
        rows = list(db.rows("newest_keys", _NEWEST))
    finally:
        db.close()
    _require_none_lags(slots, [ref for row in rows for ref in row if ref is not None])


def _require_none_lags(slots: Slots, refs: Sequence[KeyRef]) -> None:
    if any(slots.lags(ref) for ref in refs):
        raise Misconfigured(
            "vault: it is older than the database, which names keys that it never held; put back "
            "the newest vault, or restore both together with `hushwire restore`"
        )


async def sweep_hourly(store: Store, clock: Clock) -> NoReturn:
    """Forget what expired, for ever. What waits for its hour does not count any more already."""
    while True:
        await store.idempotency.drop_expired(clock.now_ms())
        await asyncio.sleep(_EVERY_S)
