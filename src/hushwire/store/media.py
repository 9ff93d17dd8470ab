"""Media on disk: a row, a key of its own in the vault, and a sealed object (D1).

A file is sealed and written as an object first, under a key that is in memory only: a crash
leaves an object that nothing opens. Key and row are written in the commit that makes the file
a medium of its message. To forget it, the key is destroyed first, then the row goes, then the
object. The sweep finishes what a crash cut in half.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct, convert

from hushwire.clock import Entropy
from hushwire.domain.audit import RECOVERED, RULE, Cause
from hushwire.domain.media import Medium
from hushwire.domain.sid import new_sid
from hushwire.domain.withholding import waiting
from hushwire.errors import Unavailable
from hushwire.faults import reach
from hushwire.store.commit import Batch
from hushwire.store.engine import Database, Row
from hushwire.store.objects import Objects
from hushwire.store.rows import task_row
from hushwire.store.store import Store
from hushwire.vault.chunks import ChunkOpener, seal_chunks
from hushwire.vault.seal import KEY_BYTES, NONCE_BYTES, KeyRef
from hushwire.vault.slots import Slots, wrap

_CHUNK: Final = 1_000
_DELETED: Final = "media.deleted"
_WITH: Final = Cause("message")  # the record of the message says who asked


class SealedFile(Struct, frozen=True):
    """A file in the object store that is no medium of a message yet, and its key."""

    sid: str
    content_type: str
    size: int
    name: str
    key: bytes

    def __repr__(self) -> str:
        return f"<file {self.sid}>"


class SweptMedia(Struct, frozen=True):
    """What a sweep put right."""

    rows: int = 0  # of media that were deleted by half, or whose object is lost
    objects: int = 0  # that no row names
    elsewhere: int = 0  # media whose objects are not in this folder or bucket; nothing was done


class MediaTable:
    """The media of all messages."""

    def __init__(self, store: Store, slots: Slots, objects: Objects, entropy: Entropy) -> None:
        self._store = store
        self._slots = slots
        self._objects = objects
        self._entropy = entropy
        self._reader = Database(store.path, readonly=True)
        self._any = bool(self._reader.one("any_media")[0])
        self._attached: list[tuple[Row, KeyRef, bytes]] = []  # for the next commit
        self._forgotten: list[tuple[Medium, Cause]] = []
        self._withheld: list[tuple[Medium, Cause]] = []  # for the next commit
        # Is a legal hold about the message of that key?
        self.held: Callable[[int], bool] | None = None
        self._removals: set[asyncio.Task[None]] = set()
        self._leaving = 0  # commits whose objects are not removed yet
        store.writers.append(self._write)

    # -- a file becomes a medium ----------------------------------------------------------

    async def seal(self, content_type: str, content: bytes) -> SealedFile:
        """Write a file as an object. Raises Unavailable when the object store fails."""
        sid, key = new_sid("ME", self._entropy.bytes(16)), self._entropy.bytes(KEY_BYTES)
        name = self._objects.new_name()
        await self._objects.put(name, seal_chunks(key, content, sid.encode()))
        reach("media.stored")
        return SealedFile(sid, content_type, len(content), name, key)

    def attach(self, files: Sequence[SealedFile], record: int, account_id: int, at_ms: int) -> None:
        """Make files the media of a message, in the commit of what this tick records of it.

        `record` is the message's key. Raises OSError when the vault is full and cannot grow.
        """
        wrapper = self._store.accounts.keys[account_id].cipher.wrapper
        refs = self._slots.allocate(len(files))
        for position, (file, ref) in enumerate(zip(files, refs, strict=True)):
            image = wrap(wrapper, account_id, ref, file.key, self._entropy.bytes(NONCE_BYTES))
            row = (
                file.sid, record, account_id, position, file.content_type, file.size, file.name,
                ref, at_ms,
            )  # fmt: skip
            self._attached.append((row, ref, image))
        self._any = self._any or bool(files)

    async def discard(self, files: Sequence[SealedFile]) -> None:
        """Files that become nobody's media after all."""
        await self._remove([file.name for file in files])

    # -- reading --------------------------------------------------------------------------

    def of(self, record: int) -> list[Medium]:
        """The media of the message of that key, in their order."""
        return self._of([record]) if self._any else []

    def withheld(self, record: int) -> list[Medium]:
        """Those of its media that are forgotten but for their keys."""
        if not self._any:
            return []
        seen = {medium.sid for medium in self._of([record])}
        return [medium for medium in self._of([record], all_=True) if medium.sid not in seen]

    def expired(self, account_id: int, low: int, high: int, limit: int) -> list[Medium]:
        """Media of an account's messages from the key `low` on, below `high`."""
        if not self._any:
            return []
        rows = self._reader.rows("expired_media", account_id, low, high, limit)
        return [_medium(row) for row in rows]

    def find(self, record: int, sid: str) -> Medium | None:
        """A medium of that message by its SID."""
        return next((medium for medium in self.of(record) if medium.sid == sid), None)

    async def open(self, medium: Medium) -> AsyncIterator[bytes] | None:
        """The file, piece by piece; None when it was forgotten, or its object is lost.

        Raises Unavailable, and on the way `SealBroken` when the object is damaged.
        """
        wrapper = self._store.accounts.keys[medium.account_id].cipher.wrapper
        key = self._slots.unwrap(wrapper, medium.account_id, medium.key_ref)
        stream = await self._objects.get(medium.name) if key is not None else None
        if key is None or stream is None:
            return None
        return _opened(stream, ChunkOpener(key, medium.sid.encode()))

    def _of(self, records: Sequence[int], *, all_: bool = False) -> list[Medium]:
        rows = self._reader.rows("media_of", json.dumps(records), all_)
        return [_medium(row) for row in rows]

    # -- forgetting -----------------------------------------------------------------------

    def forget(self, media: Sequence[Medium], cause: Cause = RULE) -> "asyncio.Future[None]":
        """Destroy their keys, then their rows and objects. The future ends after the rows.

        What a legal hold keeps is withheld: gone for every reader, but not destroyed.
        """
        for medium in media:
            if self.held is not None and self.held(medium.record):
                self._withheld.append((medium, cause))
            else:
                self._forgotten.append((medium, cause))
        return self._store.append(lambda db: None)

    def vanish(self, record: int) -> None:
        """Their message is deleted, but its row is withheld: they go, as far as they may."""
        if self._any:
            self.forget(self._of([record]), _WITH)

    def busy(self) -> int:
        """Commits that forgot media whose objects are still there."""
        return self._leaving

    async def close(self) -> None:
        """After the store: let objects go that are being removed, for a moment."""
        if self._removals:
            await asyncio.wait(self._removals, timeout=1.0)
        self._reader.close()
        self._objects.close()

    def _write(self, batch: Batch) -> None:
        """What a commit holds of media: those attached, those forgotten, those of messages that
        are deleted in it."""
        attached, self._attached = self._attached, []
        gone, self._forgotten = self._forgotten, []
        if self._withheld:
            self._withhold(batch)
        if batch.deletes and self._any:
            keys = [key for (key,) in batch.deletes]
            known = {medium.sid for medium, _ in gone}
            media = self._of(keys, all_=True)
            gone += [(medium, _WITH) for medium in media if medium.sid not in known]
        if attached:
            rows = [row for row, _, _ in attached]
            batch.others.images.extend((ref, image) for _, ref, image in attached)
            batch.work.append(lambda db: db.many("insert_media", rows))
        if gone:
            sids = [(medium.sid,) for medium, _ in gone]
            for medium, cause in gone:
                batch.shreds.append(medium.key_ref)
                group = (medium.account_id, _DELETED, cause.why, cause.actor)
                batch.audits.setdefault(group, []).append(medium.sid)
            batch.work.append(lambda db: db.many("delete_media", sids))
            names = [medium.name for medium, _ in gone]
            self._leaving += 1
            batch.others.done.add_done_callback(partial(self._begin_removal, names))

    def _withhold(self, batch: Batch) -> None:
        asked, self._withheld = self._withheld, []
        media = {medium.sid: (medium, cause) for medium, cause in asked}
        batch.work.append(lambda db: db.many("withhold_media", [(sid,) for sid in media]))
        records = {medium.record: medium.account_id for medium, _ in media.values()}
        batch.withheld += [medium.key_ref for medium, _ in media.values()]
        for medium in self._of(list(records)):  # those that were not withheld before
            cause = media[medium.sid][1] if medium.sid in media else None
            if cause is not None:
                group = (medium.account_id, _DELETED, f"withheld {cause.why}", cause.actor)
                batch.audits.setdefault(group, []).append(medium.sid)
        for record, account_id in records.items():
            task = waiting(record, account_id)
            batch.others.puts.append(task_row(task, held=False))
            batch.drops[:] = [drop for drop in batch.drops if drop != (record, task.number)]
            self._store.outlet.note(task)

    def _begin_removal(self, names: list[str], _: "asyncio.Future[None]") -> None:
        reach("media.forgotten")
        removal = asyncio.get_running_loop().create_task(self._remove(names))
        self._removals.add(removal)
        removal.add_done_callback(self._removed)

    def _removed(self, removal: asyncio.Task[None]) -> None:
        self._removals.discard(removal)
        self._leaving -= 1

    async def _remove(self, names: list[str]) -> None:
        # What cannot be removed now is removed by a later sweep: nothing opens it any more.
        with suppress(Unavailable):
            await self._objects.delete(names)

    # -- the sweep ------------------------------------------------------------------------

    async def sweep(self) -> SweptMedia:
        """Finish what earlier starts left half done. Raises Unavailable; nothing is done then.

        Only what they made is looked at, so it may run beside everything else. Where the place
        is a new one although there are media, it is taken for a wrong one: nothing is done.
        """
        names = await self._objects.names()
        rows = await asyncio.to_thread(self._all)
        if names is None:
            return SweptMedia(elsewhere=len(rows))
        lost = [medium for medium, stray in rows if stray or self._is_lost(medium, names)]
        if lost:
            await self.forget(lost, RECOVERED)
        known = {medium.name for medium, _ in rows}
        strays = [name for name in names - known if not self._objects.is_new(name)]
        if strays:
            await self._objects.delete(strays)
        torn = await self._objects.remove_torn()
        return SweptMedia(len(lost), len(strays) + torn)

    def _is_lost(self, medium: Medium, names: set[str]) -> bool:
        there = medium.name in names or self._objects.is_new(medium.name)
        return not there or self._slots.read(medium.key_ref) is None

    def _all(self) -> list[tuple[Medium, bool]]:
        """Every medium, and whether its message is gone; on another thread."""
        db = Database(self._store.path, readonly=True)
        try:
            return list(every_medium(db))
        finally:
            db.close()


def every_medium(db: Database) -> Iterator[tuple[Medium, bool]]:
    """Every medium, withheld or not, and whether its message is gone."""
    last = ""
    while rows := list(db.rows("media_after", last, _CHUNK)):
        for *row, stray in rows:
            yield _medium(row), bool(stray)
        last = str(rows[-1][0])


def _medium(row: object) -> Medium:
    return convert(row, Medium)


async def _opened(stream: AsyncIterator[bytes], opener: ChunkOpener) -> AsyncIterator[bytes]:
    async for sealed in stream:
        for chunk in opener.feed(sealed):
            yield chunk
    yield opener.end()
