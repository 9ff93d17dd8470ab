"""The first start of a restored database: what was withheld since the backup is withheld again.

Somebody asked for it to be forgotten, and a minimum or a legal hold kept its key; the restored
database knows neither. So it is gone for every reader before anybody can ask for it, and its key
stays for a week, because the hold or minimum may be of the lost time as well: who answers for it
sets it again. After that week it is looked at like anything else.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from hushwire.actions.messages import what_is_left
from hushwire.clock import Clock
from hushwire.dispatch.restored import doubt_waiting
from hushwire.domain.audit import RECOVERED
from hushwire.domain.media import Medium
from hushwire.domain.message import Change, deleted, redacted
from hushwire.domain.retention import DAY_MS
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import Kept, legal_lane, withhold
from hushwire.store.engine import Database
from hushwire.store.media import MediaTable, every_medium
from hushwire.store.store import Store
from hushwire.vault.seal import KeyRef
from hushwire.vault.withheld import WithheldLog

GRACE_MS: Final = 7 * DAY_MS
_CHUNK: Final = 200
_ROWS: Final = 5_000


class _Asked(Struct, frozen=True):
    """What was to be forgotten of one message."""

    body: bool
    address: bool
    whole: bool


async def withhold_again(store: Store, media: MediaTable, log: WithheldLog, clock: Clock) -> int:
    """Withhold what the log names and the database does not; how many messages and media.

    Before any worker runs. Repeating it is harmless. Raises OSError.
    """
    noted = log.read()
    if not noted:
        return 0
    asked, files, named = _find(store, noted)
    # What is still to be sent had ended in the lost time: it was asked to be forgotten.
    await doubt_waiting(store, store.path, clock, asked)
    until_ms = clock.now_ms() + GRACE_MS
    keeps = Kept(until_ms, until_ms)
    store.custodian = lambda change: withhold(change, keeps, clock.now_ms())
    store.vanished, media.held = media.vanish, lambda _: True
    try:
        keys = list(asked)
        for at in range(0, len(keys), _CHUNK):
            await _withhold(store, asked, keys[at : at + _CHUNK], clock.now_ms())
        if files:
            await media.forget(files, RECOVERED)
        for account_id in store.accounts.by_id:  # media wait for a hold that may be lost
            await store.hasten(TaskKind.REDACT, legal_lane(account_id), until_ms)
    finally:
        store.custodian = store.vanished = media.held = None
    # A vault of the backup counts its slots anew: what it does not hold will name other keys.
    log.keep(lambda ref: ref in named)
    return len(asked) + len(files)


async def _withhold(
    store: Store, asked: Mapping[int, _Asked], keys: Sequence[int], now_ms: int
) -> None:
    accounts = store.accounts.by_id
    shown = [
        (message.key, *what_is_left(message, accounts[message.account_id].privacy.display).values())
        for message in store.load(keys).values()
        if message.from_shown is None and message.to is not None
    ]
    store.write_now(lambda db: db.many("show_message", shown))
    changes: list[Change] = []
    for message in store.load(keys).values():
        wanted = asked[message.key]
        change = redacted(message, now_ms, body=wanted.body, address=wanted.address)
        if wanted.whole:
            change = deleted(message)
        if change.after is not message:
            changes.append(change)
    if changes:
        await store.record(changes, cause=RECOVERED)


def _find(
    store: Store, noted: Mapping[KeyRef, bool]
) -> tuple[dict[int, _Asked], list[Medium], set[KeyRef]]:
    """The messages, the media and the keys that the log names, as far as they are there."""
    db = Database(store.path, readonly=True)
    try:
        asked: dict[int, _Asked] = {}
        named: set[KeyRef] = set()
        last = -1
        while rows := list(db.rows("key_refs", last, _ROWS)):
            last = rows[-1][0]
            for key, content, address, _ in rows:
                found = [ref for ref in (content, address) if ref in noted]
                if found:
                    named.update(found)
                    whole = any(noted[ref] for ref in found)
                    asked[key] = _Asked(content in noted, address in noted, whole)
        files = [medium for medium, _ in every_medium(db) if medium.key_ref in noted]
        return asked, files, named | {medium.key_ref for medium in files}
    finally:
        db.close()
