"""What unit tests of inbound webhooks share: a customer whose server is scripted, and the parts."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from urllib.parse import parse_qsl

from msgspec.structs import replace

from estate import Estate
from hushwire.actions.alerts import Alerts
from hushwire.actions.debugger import Debuggers
from hushwire.actions.incoming import Incoming
from hushwire.actions.keywords import KeywordSets
from hushwire.actions.messages import Limits as RoomLimits
from hushwire.actions.messages import Messages
from hushwire.actions.optouts import BlockLists
from hushwire.clock import SeededEntropy
from hushwire.dispatch.lanes import Lanes
from hushwire.domain.account import Account
from hushwire.domain.alert import Alert
from hushwire.domain.message import Direction, Message
from hushwire.domain.task import Task, TaskKind
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Guard, Limits
from hushwire.private import Private
from hushwire.settings import GetWebhooks
from hushwire.store.endings import Endings
from hushwire.store.listing import Listing
from hushwire.testing import simloop
from hushwire.webhooks.claims import Claims
from hushwire.webhooks.cookies import Cookies
from hushwire.webhooks.inbound import Inbox
from hushwire.webhooks.inbound_answer import Desk
from rig import ALICE, SENDER, Rig

URL = "http://customer.example.com/sms"
FALLBACK = "http://backup.example.com/sms"
EMPTY = Answer(204, {}, b"")
BROKEN = Answer(500, {}, b"sorry")
Scripted = Answer | Failure | Exception


def twiml(inner: str, root: str = "Response") -> Answer:
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'
    return Answer(200, {b"content-type": b"text/xml"}, text.encode())


@dataclass(frozen=True)
class Asked:
    """A request that reached a customer."""

    at_ms: int
    method: str
    url: str
    headers: dict[str, str]
    form: dict[str, str]

    @property
    def token(self) -> str:
        return self.headers["I-Twilio-Idempotency-Token"]


class Customer:
    """Every customer's server: it takes `takes_s` to answer with what `reply` says."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Scripted] = lambda asked: EMPTY
        self.takes_s = 0.05
        self.open: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.limits: list[Limits] = []

    async def request(
        self, method: str, url: str, headers: dict[str, str], body: bytes, limits: Limits,
        query: str = "",
    ) -> Answer | Failure:  # fmt: skip
        if query:
            url += f"{'&' if '?' in url else '?'}{query}"
        form = dict(parse_qsl((body or url.partition("?")[2].encode()).decode(), True))
        asked = Asked(self.rig.clock.now_ms(), method, url, dict(headers), form)
        self.asked.append(asked)
        self.limits.append(limits)
        at = url.split("/")[2]
        self.open[at] = self.open.get(at, 0) + 1
        self.most[at] = max(self.most.get(at, 0), self.open[at])
        answer = self.reply(asked)
        await asyncio.sleep(min(self.takes_s, limits.total_ms / 1000))
        self.open[at] -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        return

    def bodies(self) -> list[str]:
        return [asked.form["Body"] for asked in self.asked]


class Nobody:
    """A worker that takes nothing: replies stay queued."""

    def room(self, lane: int) -> int:
        return 0

    def feed(self, task: Task, message: Message) -> None:
        raise AssertionError

    def forget(self, record: int) -> None:
        return


class Reception:
    """Store, lanes, actions and the worker, before the customer."""

    def __init__(
        self, rig: Rig, connections: int = 10, memory: int = 1_000,
        get_webhooks: GetWebhooks = "warn",
    ) -> None:  # fmt: skip
        self.rig = rig
        self.customer = Customer(rig)
        self.estate = Estate(rig, allow_loopback=True)
        records, clock = self.estate.records, rig.clock
        self.optouts = records.optouts
        self.keywords = KeywordSets(records.owned, self.estate.services, clock)
        self.disk_low = False
        limits = RoomLimits(1_000, lambda: self.disk_low, routable=True)
        self.listing = Listing(rig.path, rig.store.accounts, rig.slots)
        blocks = BlockLists(
            records.optouts, rig.store, self.estate.services, self.estate.short_codes, clock
        ).blocks
        guard = Guard(allow_loopback=True)
        messages = Messages(
            rig.store, self.listing, clock, guard, rig.metrics, limits, blocks, sandbox=True
        )
        self.incoming = Incoming(
            rig.store, messages, records.optouts, self.estate.services, self.estate.short_codes,
            self.estate.applications, self.keywords, clock, rig.metrics, limits, blocks,
        )  # fmt: skip
        entropy = SeededEntropy(9)
        debuggers = Debuggers(records.owned, records.outbox, guard, clock, entropy)
        self.alerts = Alerts(records.entries, debuggers, clock, entropy)
        self.claims = Claims(clock, entropy)
        self.lanes = Lanes(rig.store, clock)
        self.log = StringIO()
        desk = Desk(
            self.incoming,
            Endings(rig.store),
            self.customer,
            clock,
            self.alerts,  # type: ignore[arg-type]
            claims=self.claims,
            get_webhooks=get_webhooks,
            cookies=Cookies(clock, entropy),
        )
        self.inbox = Inbox(
            rig.store, desk, clock, Journal(self.log), connections=connections, memory=memory,
            drained=self.lanes.wake,
        )  # fmt: skip
        self.lanes.workers = {TaskKind.SUBMIT: Nobody(), TaskKind.INBOUND: self.inbox}
        rig.store.outlet = self.lanes
        self.lanes.start()
        self.running = asyncio.create_task(self.lanes.run())

    def set(self, **settings: object) -> None:
        """Settings of the account's number."""
        accounts = self.rig.store.accounts
        number = accounts.numbers[SENDER]
        accounts.put_number(replace(number, settings=replace(number.settings, **settings)))

    async def text(self, body: str, from_: str = ALICE, to: str = SENDER) -> Message | None:
        return await self.incoming.receive(Private(from_), Private(to), Private(body))

    async def quiet(self) -> None:
        """Until nothing is under way, and all is on the disk."""
        await asyncio.sleep(0)
        while self.inbox.busy() or self.rig.store.pending() or self.lanes.busy():
            await asyncio.sleep(0.01)

    async def told(self, body: str = "Hello", from_: str = ALICE, to: str = SENDER) -> Message:
        """A text, once its webhook was told."""
        message = await self.text(body, from_, to)
        assert message is not None
        await self.quiet()
        return message

    async def wait_s(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.quiet()

    def replies(self) -> list[tuple[str, str, str]]:
        """Of all replies on the disk: (from, to, body), oldest first."""
        keys = [int(str(row[0])) for row in self.rig.rows("message")]
        found = self.rig.store.load(keys)
        made = [found[key] for key in sorted(found)]
        return [
            (m.from_.reveal(), m.to.reveal(), m.body.reveal())
            for m in made
            if m.direction is Direction.OUTBOUND_REPLY and m.from_ and m.to and m.body
        ]

    def said(self) -> list[str]:
        return [body for _, _, body in self.replies()]

    def raised(self) -> list[Alert]:
        """Alerts on the disk, oldest first."""
        now_ms = self.rig.clock.now_ms()
        page = self.estate.records.entries.page
        return page(Alert, self.account.id, 0, now_ms + 1, lambda alert: True, 1_000)[::-1]

    def codes(self) -> list[int]:
        return [alert.code for alert in self.raised()]

    def waiting(self) -> list[tuple[int, int]]:
        """INBOUND tasks in the table: (attempt, due in ms from now)."""
        now_ms = self.rig.clock.now_ms()
        return [
            (int(str(row[5])), int(str(row[4])) - now_ms)
            for row in self.rig.rows("task")
            if row[2] == TaskKind.INBOUND
        ]

    @property
    def account(self) -> Account:
        return self.rig.account

    async def close(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await self.inbox.stop(1)
        self.alerts.close()
        await self.rig.settle()
        self.listing.close()
        self.estate.records.close()


Scene = Callable[[Reception], Awaitable[None]]


def play(
    directory: Path, scene: Scene, *, connections: int = 10, memory: int = 1_000,
    get_webhooks: GetWebhooks = "warn",
) -> None:  # fmt: skip
    """Run `scene` with a fresh reception, in virtual time."""

    async def main() -> None:
        rig = Rig(directory)
        reception = Reception(rig, connections, memory, get_webhooks)
        reception.set(sms_url=URL)
        await scene(reception)
        await reception.close()
        await rig.close()

    simloop.run(main())
