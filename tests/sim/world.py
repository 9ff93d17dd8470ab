"""A seeded world: a server, its customers, phones and endpoints, on a loop that never sleeps.

Everything is real but time, chance and the customers' HTTP servers. A world lives several
lives: each but the last ends in a crash at a random point or moment, or in a clean stop, and
the next one starts on what is on the disk, some time later. `World.run` lives them all and
leaves the record of what was asked, acknowledged and called back for the judge
(`sim/judge.py`).
"""

import asyncio
import io
import random
import shutil
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from msgspec.structs import replace

from hushwire import faults
from hushwire.actions.messages import Particulars, SendMessage
from hushwire.assemble import Server
from hushwire.carriers.simulator import Behaviour
from hushwire.clock import SeededEntropy
from hushwire.domain.account import NumberSettings
from hushwire.domain.magic import FROM_OK
from hushwire.domain.message import FINAL, WAITING, Status, is_finished
from hushwire.domain.retention import Retention
from hushwire.domain.service import Service
from hushwire.domain.withholding import ROW
from hushwire.errors import Refusal
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Limits
from hushwire.private import Private
from hushwire.settings import Settings
from hushwire.store.engine import Database
from hushwire.testing.simloop import SimLoop, clock_of
from hushwire.vault.providers import DEFAULT, Surroundings, read_root
from hushwire.vault.slots import Slots

START_MS = 1_772_366_399_900  # 2026-03-01T11:59:59.900Z
DAY_S = 86_400
MESSAGES = 20
FORGETS = 12  # attempts to delete or redact
CRASHES = 3
MINIMUMS = Retention(body_minimum_days=2, numbers_minimum_days=3)
POINTS = 220  # a crash comes at one of the first so many points reached, or not at all
PAUSES_S = (0.001, 0.05, 2, 90, 1_800, 5_400)  # between two lives: in all less than a hold
RANK = dict.fromkeys(WAITING, -1) | {Status.QUEUED: 0, Status.SENDING: 1, Status.SENT: 2}
RANK |= dict.fromkeys(FINAL, 3)
POOL = ("+16285550111", "+16285550112", "+16285550113")  # of the service
PHONES = {f"+1415555{1000 + n}": behaviour for n, behaviour in enumerate([*Behaviour] * 2)}


class Crash(KeyboardInterrupt):
    """The process dies here: it leaves the event loop at once, past every `except Exception`."""


class MortalServer(Server):
    """A server whose storage failure is an error of the test, not the end of its process."""

    def _failed(self, error: BaseException) -> None:
        raise error


@dataclass
class Asked:
    """A message as the customer knows it. Times are Unix ms, of the answer."""

    body: str
    to: str
    callback: str | None
    discard: bool
    obfuscate: bool
    service: bool = False
    send_at_ms: int = 0
    sid: str = ""
    key: int = 0
    refs: tuple[int, int] = (0, 0)
    acked: bool = False
    cancel_asked: bool = False
    canceled: bool = False
    redact_asked: bool = False
    redacted_ms: int | None = None
    delete_asked: bool = False
    deleted_ms: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One POST that reached a customer's endpoint, or tried to."""

    at_ms: int
    sid: str
    status: str
    token: str
    to: str


@dataclass
class Endpoints:
    """The customers' HTTP servers, in place of `HttpClient`."""

    rng: random.Random
    now_ms: Callable[[], int]
    attempts: list[Attempt] = field(default_factory=list)

    MOODS = ("good", "good", "flaky", "dead", "gone", "hangs")

    def url(self, n: int) -> str:
        mood = self.MOODS[n % len(self.MOODS)]
        retry = self.rng.choice(("", "#rc=2&rp=all"))
        return f"http://{mood}{n}.example.com/status?n={n}{retry}"

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        token = headers["I-Twilio-Idempotency-Token"]
        self.attempts.append(
            Attempt(self.now_ms(), form["MessageSid"], form["MessageStatus"], token, form["To"])
        )
        assert headers["X-Twilio-Signature"]
        faults.reach("endpoint.called")
        mood = url.removeprefix("http://").split(".")[0].rstrip("0123456789")
        if mood == "flaky":
            mood = self.rng.choice(("good", "dead", "hangs", "angry"))
        if mood == "hangs":
            await asyncio.sleep(limits.total_ms / 1000)
            return Failure("timeout_total")
        await asyncio.sleep(self.rng.uniform(0.001, 0.4))
        faults.reach("endpoint.answered")
        if mood == "dead":
            return Failure("connect")
        return Answer({"good": 204, "gone": 410, "angry": 500}[mood], {}, b"")

    def close(self) -> None:
        return


class World:
    """All lives of one server, as `seed` has it, in `directory`."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.rng = random.Random(seed)
        self.seed = seed
        self.data = directory
        self.settings = Settings(
            data=directory, vault_slots_per_file=1024, disk_reserve_mb=0,
            dispatch_memory=self.rng.choice((2, 8, 10_000)),
            callback_memory=self.rng.choice((1, 10_000)),
            callback_connections=self.rng.choice((1, 2, 10)),
            carrier_window=self.rng.choice((1, 3, 1_000)),
            recovery_s=self.rng.choice((0, 21_600)),
            simulator_receipt_ms=self.rng.choice((0, 200, 3_000)),
        )  # fmt: skip
        self.loop = SimLoop()
        self.endpoints = Endpoints(random.Random(seed + 1), self.now_ms)
        self.asked: list[Asked] = []
        self.seen: dict[str, int] = {}  # sid → the furthest status seen on disk
        self.crashes: list[str] = []
        self.work = ["send"] * MESSAGES + ["forget"] * FORGETS
        self.rng.shuffle(self.work)
        self.server: MortalServer

    def now_ms(self) -> int:
        return START_MS + round(self.loop.time() * 1000)

    def run(self, judge: "Callable[[World], Coroutine[Any, Any, None]]") -> None:
        """Live, crash and live again; the last life is long, and ends with the judge."""
        for life in range(CRASHES):
            self._one_life(life)
            self.look_at_the_wreck()
            pause_s = self.rng.choice(PAUSES_S)
            self.loop = SimLoop(self.loop.time() + pause_s)
            if self.rng.random() < 0.2:
                self._lose_power()
        try:
            self.loop.run_until_complete(self._last_life(judge))
        finally:
            self.abandon()

    def _one_life(self, life: int) -> None:
        left = self.rng.randint(1, POINTS)

        def at(point: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self.crashes.append(f"{life}:{point}")
                raise Crash

        def now() -> None:
            self.crashes.append(f"{life}:moment")
            raise Crash

        if self.rng.random() < 0.3:
            self.loop.call_later(self.rng.uniform(0, 10), now)
            left = 1 << 30
        faults.arm(at)
        try:
            self.loop.run_until_complete(self._life(life))
        except Crash:
            pass
        finally:
            faults.arm(None)
            self.abandon()

    async def _life(self, life: int) -> None:
        server = await self.open(life)
        share = len(self.work) if life == CRASHES else self.rng.randint(8, 14)
        for _ in range(min(share, len(self.work))):
            await asyncio.sleep(self.rng.choice((0, 0, 0.001, 0.03, 0.2, 1)))
            if self.work.pop() == "send":
                self.loop.create_task(self._send(server))
            elif self.asked:
                self.loop.create_task(self._forget(server, self.rng.choice(self.asked)))
            self.look()
        await asyncio.sleep(self.rng.choice((0, 0.3, 30)))
        await server.close()

    async def _last_life(self, judge: "Callable[[World], Coroutine[Any, Any, None]]") -> None:
        server = await self.open(CRASHES)
        while self.work:
            if self.work.pop() == "send":
                self.loop.create_task(self._send(server))
            elif self.asked:
                self.loop.create_task(self._forget(server, self.rng.choice(self.asked)))
            await asyncio.sleep(self.rng.uniform(0, 1))
        await asyncio.sleep(DAY_S + 60)  # no whole hours: what happens hourly is not under way
        await self._let_go(server)
        await asyncio.sleep(8 * DAY_S)  # the last callback comes after 76 h, late receipts 73 h
        self.look()
        await judge(self)
        await server.close()

    async def open(self, life: int) -> MortalServer:
        self.server = server = MortalServer(
            self.settings, Journal(io.StringIO()), clock=clock_of(self.loop, START_MS),
            entropy=SeededEntropy(self.seed << 8 | life), client=self.endpoints, threaded=False,
        )  # fmt: skip
        await server.open()
        for phone, behaviour in PHONES.items():
            server.network.behave(Private(phone), behaviour)
        self._keep(server)
        return server

    def _keep(self, server: MortalServer) -> None:
        """Half of the worlds must not destroy what is forgotten: a minimum, or a legal hold."""
        account = server.store.accounts.by_id[server.account.id]
        if self.seed % 4 == 1 and account.retention != MINIMUMS:
            server.store.accounts.change(replace(account, retention=MINIMUMS))
        if self.seed % 4 == 3 and not server.forgetting.legal_holds.list(account):
            server.forgetting.legal_holds.add(account, Private("Ada"), Private("case 7"))

    async def _let_go(self, server: MortalServer) -> None:
        """Until now both keys of every message were kept; from now on they need not be."""
        if self.seed % 2:
            for asked in self.asked:
                if asked.acked:
                    assert all(map(server.slots.read, asked.refs)), f"{asked.sid} was not kept"
        for hold in server.forgetting.legal_holds.list(server.account):
            await server.forgetting.legal_holds.lift(server.account, hold.sid)

    async def _send(self, server: MortalServer) -> None:
        rng = self.rng
        asked = Asked(
            body=f"canary {self.seed} {len(self.asked)}",
            to=rng.choice([*PHONES]),
            callback=self.endpoints.url(rng.randrange(12)) if rng.random() < 0.8 else None,
            discard=rng.random() < 0.25,
            obfuscate=rng.random() < 0.25,
            service=rng.random() < 0.5,
        )
        message, durable = server.outgoing.send(
            server.account,
            SendMessage(
                to=Private(asked.to), from_=None if asked.service else Private(FROM_OK),
                body=Private(asked.body),
                status_callback=None if asked.callback is None else Private(asked.callback),
                validity_s=rng.choice((1, 5, 36_000)),
                content_retention="discard" if asked.discard else None,
                address_retention="obfuscate" if asked.obfuscate else None,
                particulars=self._particulars(server) if asked.service else None,
            ),
        )  # fmt: skip
        asked.send_at_ms = message.send_at_ms
        assert message.content_key is not None
        assert message.address_key is not None
        asked.sid, asked.key = message.sid, message.key
        asked.refs = (message.content_key, message.address_key)
        self.asked.append(asked)
        await durable
        asked.acked = True

    def _particulars(self, server: MortalServer) -> Particulars:
        """By the service; in half of all cases at a time that lies within the lives to come."""
        (service,) = server.services.list(server.account)
        if self.rng.random() < 0.5:
            return Particulars(service=service.sid)
        at_ms = self.now_ms() + self.rng.randint(301, 7_200) * 1_000
        at = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat()
        return Particulars(service=service.sid, schedule_type="fixed", send_at=at)

    async def _forget(self, server: MortalServer, asked: Asked) -> None:
        """Delete or redact what may be: an unfinished message refuses both (K-19). Cancel some
        of what is scheduled."""
        message = server.messages.fetch(server.account, asked.sid)
        if message is None or not asked.acked:
            return
        if message.status is Status.SCHEDULED and self.rng.random() < 0.5:
            asked.cancel_asked = True
            await server.outgoing.cancel(message)
            asked.canceled = True
            return
        delete = self.rng.random() < 0.5
        if not is_finished(message):
            work = server.messages.delete if delete else server.messages.redact
            with suppress(Refusal):
                await work(message)
                raise AssertionError("an unfinished message was forgotten")
        elif delete:
            asked.delete_asked = True
            await server.messages.delete(message)
            asked.deleted_ms = self.now_ms()
        else:
            asked.redact_asked = True
            await server.messages.redact(message)
            asked.redacted_ms = self.now_ms()

    def look(self) -> None:
        """What is on the disk: nothing acknowledged is missing, no status went backwards."""
        rows = self.server.store._reader.rows("messages_by_keys", str([a.key for a in self.asked]))
        found = {row[0]: row[5] for row in rows if not row[12] & ROW}  # of its flags
        for asked in self.asked:
            status = found.get(asked.key)
            if status is None:
                assert not asked.acked or asked.delete_asked, f"{asked.sid} is lost"
            else:
                assert RANK[status] >= self.seen.get(asked.sid, -1), f"{asked.sid} went backwards"
                assert asked.deleted_ms is None, f"{asked.sid} came back"
                self.seen[asked.sid] = RANK[status]

    def look_at_the_wreck(self) -> None:
        """Between two lives: a key is there before its row, and gone before its row is."""
        db = Database(self.settings.database_path, readonly=True)
        rows = {row[0]: row[1:3] for row in db.rows("key_refs", -1, 1000)}
        db.close()
        slots = Slots.open(self.data / "vault", read_root(DEFAULT, Surroundings(self.data, {})))
        for asked in self.asked:
            named = rows.get(asked.key, (None, None))
            for ref, in_row, going in zip(
                asked.refs, named, (asked.discard, asked.obfuscate), strict=True
            ):
                held = slots.read(ref) is not None
                if asked.sid in self.seen and in_row is None:
                    assert not held, f"{asked.sid}: the row was changed before its key was gone"
                if in_row is not None and not (going or asked.redact_asked or asked.delete_asked):
                    assert held, f"{asked.sid}: the row was written before its key"
        slots.close()

    def abandon(self) -> None:
        """The process is gone: its memory, its open files, its uncommitted transaction."""
        self.loop.abandon()
        server = self.server
        for name in ("slots", "_lock", "listing", "store", "network", "dispatcher"):
            part = getattr(server, name, None)
            if part is None:
                continue
            match name:
                case "store":
                    part._reader.close()
                    part._db.close()
                case "network":
                    part._log.close()
                case "dispatcher":
                    part._wire_log.close()
                case _:
                    part.close()

    def _lose_power(self) -> None:
        """The machine itself went down: what the wire log says is of another boot."""
        for path in (self.data / "wire.0", self.data / "wire.1"):
            if path.exists():
                path.write_bytes(b"another boot".ljust(36) + path.read_bytes()[36:])


def first_start(directory: Path) -> None:
    """Make what a first start makes, for worlds to begin with a copy of it."""
    world = World(0, directory)

    async def once() -> None:
        server = await world.open(99)
        service = server.services.create(server.account, "Pool", {})
        for n, phone in enumerate(POOL):
            sid = f"PN{n:032x}"
            server.store.accounts.buy(
                sid, server.account.id, phone, NumberSettings(), world.now_ms()
            )
            found = server.services.find(server.account.id, service.sid)
            assert isinstance(found, Service)
            server.services.add(found, "PN", sid)
        await server.close()

    world.loop.run_until_complete(once())
    world.loop.close()
    (directory / "ballast").write_bytes(b"")  # 8 MB a world would only cost time


def copy_of(template: Path, directory: Path) -> Path:
    return Path(shutil.copytree(template, directory))
