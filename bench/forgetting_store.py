"""Forgetting in one process: a real store and vault, filled, and emptied again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from forgetting_figures import Figure
from load import BenchError
from rich.progress import Progress

from hushwire.clock import Clock, SystemEntropy
from hushwire.dispatch.expire import Expiry
from hushwire.domain.audit import Draft, verify
from hushwire.domain.message import (
    Change,
    Direction,
    Message,
    Status,
    deleted,
    history_line,
    redacted,
)
from hushwire.domain.retention import FIELDS
from hushwire.domain.sid import key_at, message_sid
from hushwire.observe import Journal, Metrics
from hushwire.private import Private
from hushwire.store.audit import add_to, read_chain
from hushwire.store.custodian import Custodian
from hushwire.store.engine import Database
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.media import MediaTable
from hushwire.store.objects import Objects
from hushwire.store.retained import Retained
from hushwire.store.rotation import AccountRotation, Walk
from hushwire.store.store import Store
from hushwire.vault.keyring import AccountCipher
from hushwire.vault.lookup import Pepper
from hushwire.vault.seal import seal
from hushwire.vault.slots import Slots, wrap

DAY_MS: Final = 86_400_000
OLD_DAYS: Final = 450  # older than what an account keeps by default
ROOT: Final = b"r" * 32
OWN: Final = "+15005550006"
TEXT: Final = "Hello Ada, your code is 482913. It expires in 10 minutes."
BATCH: Final = 200  # changes a commit, as the expiry has it
RECORDS: Final = 50_000  # of an audit log


class Shop:
    """A store with one account. Make it on a running loop."""

    def __init__(self, folder: Path, bar: Progress) -> None:
        self.bar = bar
        entropy = SystemEntropy()
        self.entropy = entropy
        self.path = folder / "hushwire.db"
        self.clock = Clock(-OLD_DAYS * DAY_MS)
        self.slots = Slots.open(folder / "vault", ROOT)
        self.metrics = Metrics()
        self.store = Store(
            self.path, self.slots, ROOT, entropy, self.metrics, failed=_failed, clock=self.clock
        )
        self.account = self.store.accounts.open(
            "AC" + "0" * 32, "PN" + "0" * 32, Private("f" * 32), OWN, "Bench", self.clock.now_ms()
        )
        reader = Database(self.path, readonly=True)
        self.holds = LegalHolds(reader, self.store.accounts.keys)
        reader.close()
        self.custodian = Custodian(self.store, self.holds, self.clock)
        owner = self.slots.vault_id.hex()
        objects = Objects("file:///media", folder, owner, entropy)
        self.media = MediaTable(self.store, self.slots, objects, entropy)
        self.retained = Retained(self.path)

    async def close(self) -> None:
        await self.store.close()
        await self.media.close()
        self.retained.close()
        self.slots.close()

    async def fill(self, count: int) -> list[int]:
        """So many delivered messages, each to another number; their keys."""
        keys: list[int] = []
        for at in self._steps("fill", count):
            born = [self._message(at + n) for n in range(min(BATCH, count - at))]
            keys += [message.key for message in born]
            await self.store.record([Change(None, message) for message in born])
        return keys

    async def forget(
        self, what: str, keys: list[int], change: Callable[[Message], Change]
    ) -> float:
        """Record a change of each of these; messages a second."""
        began = time.perf_counter()
        for at in self._steps(what, len(keys)):
            messages = self.store.load(keys[at : at + BATCH]).values()
            await self.store.record([change(message) for message in messages])
        return len(keys) / (time.perf_counter() - began)

    def _steps(self, what: str, count: int) -> Iterator[int]:
        line = self.bar.add_task(what, total=count)
        for at in range(0, count, BATCH):
            yield at
            self.bar.update(line, completed=min(count, at + BATCH))
        self.bar.remove_task(line)

    def _message(self, n: int) -> Message:
        now_ms = self.clock.now_ms()
        ident, content_key, address_key = self.store.reserve(now_ms)
        to = f"+1{2_000_000_000 + n * 7}"
        history = history_line(Status.QUEUED, now_ms) + history_line("delivered", now_ms)
        return Message(
            key=ident.key, tail=ident.tail, sid=message_sid("SM", ident),
            account_id=self.account.id, direction=Direction.OUTBOUND_API, status=Status.DELIVERED,
            from_=Private(OWN), to=Private(to), body=Private(TEXT), callback=None, segments=1,
            created_ms=ident.key >> 16, updated_ms=now_ms, content_key=content_key,
            address_key=address_key, settled=True, from_shown=OWN, to_shown=f"{to[:-4]}XXXX",
            history=history,
        )  # fmt: skip


def crypto() -> list[Figure]:
    """What sealing adds to a message: two keys, wrapped; two parts, sealed; the person's tag."""
    count, entropy = 20_000, SystemEntropy()
    cipher = AccountCipher(1, entropy.bytes(32), entropy.bytes(32), entropy)
    pepper, sid = Pepper(entropy.bytes(32)), b"SM" + b"0" * 32
    content, address = f"\n\n{TEXT}".encode(), f"{OWN}\n+14155550101".encode()
    began = time.process_time()
    for n in range(count):
        for ref, part, text in ((2 * n, b"content", content), (2 * n + 1, b"address", address)):
            key, nonce, own = entropy.bytes(32), entropy.bytes(12), entropy.bytes(12)
            wrap(cipher.wrapper, 1, ref << 32 | 1, key, nonce)
            seal(key, text, part + sid, own)
        pepper.tag8("+14155550101")
    took = time.process_time() - began
    return [Figure("crypto of a message", took / count * 1e6, "µs", "2 keys wrapped, 2 parts "
                   "sealed, 1 number tagged", at_most=10)]  # fmt: skip


async def by_hand(folder: Path, count: int, bar: Progress) -> list[Figure]:
    """What somebody asks for: redactions, deletions, a new account key; and the audit log."""
    shop = Shop(folder, bar)
    keys = await shop.fill(count)
    half, rest = keys[: count // 2], keys[count // 2 :]
    rotated = await _rotate(shop)
    now_ms = shop.clock.now_ms()
    before = shop.metrics.shredded
    redactions = await shop.forget(
        "redact", half, lambda message: redacted(message, now_ms, body=True, address=True)
    )
    destroyed = (shop.metrics.shredded - before) / len(half)
    deletions = await shop.forget("delete", rest, deleted)
    verified = await asyncio.to_thread(_verified, shop)
    await shop.close()
    size = f"{BATCH} a commit"
    return [
        Figure("keys destroyed", redactions * destroyed, "a second", f"by redacting, {size}"),
        Figure("messages redacted", redactions, "a second", f"body and numbers, {size}"),
        Figure("messages deleted", deletions, "a second", f"keys, row and tasks, {size}"),
        Figure("account key rotated", rotated, "slots a second", f"{2 * count:,} keys"),
        Figure("`audit verify`", verified, "records a second", f"{RECORDS:,} records of one SID"),
    ]


async def by_age(folder: Path, count: int, bar: Progress) -> list[Figure]:
    """Everything is too old at once: the report of it, then the sweep; then nobody is left."""
    shop = Shop(folder, bar)
    began = time.perf_counter()
    await shop.fill(count)
    filled = count / (time.perf_counter() - began)
    shop.clock.offset_ms = 0
    first_s, again_s = await asyncio.to_thread(_reported, shop)
    expiry = Expiry(
        shop.store, shop.custodian, shop.holds, shop.media, shop.retained, shop.clock,
        Journal(level="error"), measured_ms=lambda: time.monotonic_ns() // 1_000_000,
    )  # fmt: skip
    line = bar.add_task("sweep", total=count)
    began = time.perf_counter()
    task = asyncio.get_running_loop().create_task(expiry.run())
    looked = Database(shop.path, readonly=True)
    while expiry.busy() or not shop.store.get_meta("expired 1 metadata"):
        if task.done():
            task.result()
        await asyncio.sleep(0.5 if count > 100_000 else 0.02)
        bar.update(line, completed=shop.metrics.shredded // 2)
    swept = count / (time.perf_counter() - began)
    (left,) = looked.one("message_count_of", shop.account.id)
    looked.close()
    bar.remove_task(line)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await shop.close()
    if left:
        raise BenchError(f"{left:,} messages are left after the sweep")
    of = f"{count:,} messages"
    return [
        Figure("store filled", filled, "a second", f"{of}: sealed, tagged, committed"),
        Figure("`privacy report`, first", first_s * 1000, "ms", f"four fields of {of}"),
        Figure("`privacy report`, again", again_s * 1000, "ms", "it counts among 100,000"),
        Figure("sweep of what is too old", swept, "messages a second", f"{of}, all fields"),
        Figure("the whole sweep", count / swept, "s", of),
    ]


def _reported(shop: Shop) -> tuple[float, float]:
    """Seconds of the report of a store in which everything lives; and of the next."""
    marks, cutoffs = dict.fromkeys(FIELDS, 0), dict.fromkeys(FIELDS, key_at(shop.clock.now_ms()))
    times: list[float] = []
    for _ in range(2):
        began = time.perf_counter()
        shop.retained.fields(shop.account.id, marks, cutoffs)
        times.append(time.perf_counter() - began)
    return times[0], times[1]


async def _rotate(shop: Shop) -> float:
    """Keys wrapped anew a second."""
    rotation = AccountRotation(shop.store, shop.slots, shop.entropy)
    walk = Walk(shop.account.id)
    rotation.begin(shop.account.id, shop.clock.now_ms())
    began = time.perf_counter()
    await asyncio.to_thread(rotation.walk, walk)
    took = time.perf_counter() - began
    rotation.end(shop.account.id)
    return walk.keys / took


def _verified(shop: Shop) -> float:
    """Records a second, from the disk."""
    sid = shop.account.sid
    drafts = [Draft(sid, "message.redacted", (f"SM{n:032x}",), "body rule") for n in range(RECORDS)]
    for chunk in _chunks(drafts, 1_000):
        add_to(shop.path, shop.clock.now_ms(), *chunk)
    began = time.perf_counter()
    verdict = verify(read_chain(shop.path))
    took = time.perf_counter() - began
    if verdict.broken is not None:
        raise BenchError("the audit log does not hold")
    return verdict.head.seq / took


def _chunks(drafts: list[Draft], size: int) -> Iterable[list[Draft]]:
    return (drafts[at : at + size] for at in range(0, len(drafts), size))


def _failed(error: BaseException) -> None:
    raise error
