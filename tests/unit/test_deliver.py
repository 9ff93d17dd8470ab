"""The deliverer: in order, again by the table, a lane an endpoint, nothing of what is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from hushwire.dispatch.lanes import Lanes
from hushwire.domain.backoff import CALLBACK_MS
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.message import Fact, Message, Status, advance, born, deleted, redacted
from hushwire.domain.task import Task, TaskKind
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Limits
from hushwire.private import Private
from hushwire.testing import simloop
from hushwire.webhooks.deliver import SHARE_MIN, Deliverer
from rig import ALICE, SENDER, START_MS, Rig

OK, ERROR = Answer(204, {}, b""), Answer(500, {}, b"")
URL, OTHER = "http://one.example.com/status", "http://two.example.com/status"
Reply = Answer | Failure | Exception


@dataclass(frozen=True)
class Post:
    at_ms: int  # since the start
    url: str
    status: str
    form: dict[str, str]
    headers: dict[str, str]


class Customers:
    """Every customer's server: it takes `takes_s` to answer with what `reply` says."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.posts: list[Post] = []
        self.takes_s = 0.05
        self.reply: Callable[[Post], Reply] = lambda post: OK
        self.open: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.closed = False

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        at_ms = self.rig.clock.now_ms() - START_MS
        post = Post(at_ms, url, form["MessageStatus"], form, dict(headers))
        self.posts.append(post)
        reply = self.reply(post)
        self.open[url] = self.open.get(url, 0) + 1
        self.most[url] = max(self.most.get(url, 0), self.open[url])
        await asyncio.sleep(min(self.takes_s, limits.total_ms / 1000))
        self.open[url] -= 1
        if isinstance(reply, Exception):
            raise reply
        return reply

    def close(self) -> None:
        self.closed = True

    def statuses(self) -> list[str]:
        return [post.status for post in self.posts]


class Office:
    """Store, lanes and deliverer before the customers."""

    def __init__(self, rig: Rig, connections: int, memory: int) -> None:
        self.rig = rig
        self.customers = Customers(rig)
        self.lanes = Lanes(rig.store, rig.clock)
        self.log = StringIO()
        self.deliverer = Deliverer(
            rig.store, self.customers, rig.clock, Journal(self.log),  # type: ignore[arg-type]
            connections=connections, memory=memory, drained=self.lanes.wake,
        )  # fmt: skip
        self.lanes.workers[TaskKind.CALLBACK] = self.deliverer
        rig.store.outlet = self.lanes
        self.running = asyncio.create_task(self.lanes.run())

    async def send(self, url: str = URL, **changes: object) -> Message:
        """A message on its way, to be called back at `url`; no status told yet."""
        lane = endpoint_lane(url)
        message = self.rig.message(callback=Private(url), callback_lane=lane, **changes)
        birth = born(message, 0)
        await self.rig.store.record([replace(birth, puts=())])
        self.tell(message, Fact("attempted"))
        return message

    def tell(self, message: Message, *facts: Fact) -> None:
        for fact in facts:
            latest = self.rig.store.latest(message.key)
            assert latest is not None
            change = advance(latest, fact, self.rig.clock.now_ms())
            assert change is not None
            own = tuple(put for put in change.puts if put.kind is TaskKind.CALLBACK)
            self.rig.store.record([replace(change, puts=own)])

    def forget(self, message: Message, *, delete: bool) -> None:
        latest = self.rig.store.latest(message.key)
        assert latest is not None
        now_ms = self.rig.clock.now_ms()
        change = deleted(latest) if delete else redacted(latest, now_ms, body=True)
        self.rig.store.record([change])


HANDED, DELIVERED = Fact("handed", carrier_ref="r"), Fact("delivered", done_date="2603011200")
REFUSED_FACT = Fact("refused", error_code=30006)
Scene = Callable[[Office], Awaitable[None]]


def play(directory: Path, scene: Scene, *, connections: int = 10, memory: int = 1_000) -> None:
    async def main() -> None:
        rig = Rig(directory)
        office = Office(rig, connections, memory)
        await scene(office)
        office.running.cancel()
        await asyncio.gather(office.running, return_exceptions=True)
        await office.deliverer.stop(1)
        await rig.close()

    simloop.run(main())


def test_each_status_is_told_in_order_and_done(tmp_path: Path) -> None:
    """First attempts of one message keep the order of its statuses (D12)."""

    async def scene(office: Office) -> None:
        message = await office.send()
        office.tell(message, HANDED, DELIVERED)
        await asyncio.sleep(1)
        assert office.customers.statuses() == ["sent", "delivered"]
        first, second = office.customers.posts
        assert second.at_ms >= first.at_ms + 50  # not while the first is under way
        assert (second.form["To"], second.form["From"]) == (ALICE, SENDER)
        assert second.form["RawDlrDoneDate"] == "2603011200"
        assert office.rig.tasks() == []
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 0)

    play(tmp_path, scene)


def test_a_callback_nobody_takes_is_tried_ten_times_under_one_token(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR
        message = await office.send()
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(5 * 86_400)
        at = [post.at_ms for post in office.customers.posts]
        waits = [b - a - 50 for a, b in pairwise(at)]
        assert len(at) == 10
        for wait, wanted in zip(waits, CALLBACK_MS, strict=True):
            assert wanted <= wait <= wanted + 20
        tokens = {p.headers["I-Twilio-Idempotency-Token"] for p in office.customers.posts}
        assert len(tokens) == 1
        assert office.rig.tasks() == []

    play(tmp_path, scene)


def test_what_is_answered_at_last_is_told_no_more(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: OK if post.at_ms > 4_000 else ERROR
        message = await office.send()
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(5 * 86_400)
        assert len(office.customers.posts) == 2
        assert office.rig.tasks() == []

    play(tmp_path, scene)


def test_an_endpoint_that_is_gone_is_not_asked_again(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: Answer(410, {}, b"")
        message = await office.send()
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(86_400)
        assert len(office.customers.posts) == 1
        assert office.rig.tasks() == []

    play(tmp_path, scene)


def test_the_urls_own_policy_asks_for_retries_at_once(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR
        message = await office.send(URL + "#rc=3&rp=5xx")
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(2)
        at = [post.at_ms for post in office.customers.posts]
        assert [b - a for a, b in pairwise(at)] == [50, 50, 50]
        assert {post.url for post in office.customers.posts} == {URL}

    play(tmp_path, scene)


def test_a_retry_never_holds_up_a_later_status(tmp_path: Path) -> None:
    """Not while it waits for its time, nor while it is under way (D12)."""

    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR if post.status == "sent" else OK
        message = await office.send()
        office.tell(message, HANDED)
        await asyncio.sleep(1)
        office.customers.takes_s = 10
        await asyncio.sleep(4.5)
        assert office.customers.statuses() == ["sent", "sent"]  # the second hangs
        office.tell(message, DELIVERED)
        await asyncio.sleep(0.1)
        assert office.customers.statuses() == ["sent", "sent", "delivered"]

    play(tmp_path, scene)


def test_a_slow_endpoint_delays_nobody_else(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.takes_s = 15
        slow = [await office.send() for _ in range(200)]
        for message in slow:
            office.tell(message, REFUSED_FACT)
        await asyncio.sleep(1)
        office.customers.takes_s = 0.01
        quick = await office.send(OTHER)
        office.tell(quick, REFUSED_FACT)
        await asyncio.sleep(0.5)
        assert [post.url for post in office.customers.posts if post.url == OTHER] == [OTHER]
        assert office.customers.open[URL] == 4
        await asyncio.sleep(3_600)
        assert office.customers.most == {URL: 4, OTHER: 1}
        assert len(office.customers.posts) == 201
        assert office.rig.tasks() == []

    play(tmp_path, scene, connections=4, memory=30)


def test_memory_is_shared_and_what_does_not_fit_waits_in_the_table(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.takes_s = 15
        for _ in range(300):
            office.tell(await office.send(), REFUSED_FACT)
            await asyncio.sleep(0.001)
        assert office.deliverer.held() <= SHARE_MIN + 2
        assert office.deliverer.room(endpoint_lane(URL)) <= 0
        assert office.deliverer.room(endpoint_lane(OTHER)) >= SHARE_MIN
        office.customers.takes_s = 0.01
        await asyncio.sleep(600)
        assert len(office.customers.posts) == 300
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 0)
        assert office.rig.tasks() == []

    play(tmp_path, scene, connections=1, memory=10)


def test_order_holds_though_the_first_had_to_wait_in_the_table(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.takes_s = 1
        messages = [await office.send() for _ in range(60)]
        for message in messages:
            office.tell(message, HANDED)
            await asyncio.sleep(0.001)
        await asyncio.sleep(10)
        for message in messages:
            office.tell(message, DELIVERED)
            await asyncio.sleep(0.3)
        await asyncio.sleep(600)
        told: dict[str, list[str]] = {}
        for post in office.customers.posts:
            told.setdefault(post.form["MessageSid"], []).append(post.status)
        assert set(map(tuple, told.values())) == {("sent", "delivered")}
        assert len(told) == 60

    play(tmp_path, scene, connections=2, memory=5)


@pytest.mark.parametrize("delete", [True, False])
def test_what_was_forgotten_while_it_waited_is_not_told(tmp_path: Path, delete: bool) -> None:
    """In the queue, between two immediate retries, or in the table: the URL went with the body."""

    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR
        office.customers.takes_s = 5
        retried, queued = await office.send(URL + "#rc=3&rp=5xx"), await office.send()
        office.tell(retried, REFUSED_FACT)
        office.tell(queued, REFUSED_FACT)
        await asyncio.sleep(1)
        assert len(office.customers.posts) == 1
        office.forget(retried, delete=delete)
        office.forget(queued, delete=delete)
        await asyncio.sleep(86_400)
        assert len(office.customers.posts) == 1
        assert office.rig.tasks() == []
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 0)

    play(tmp_path, scene, connections=1)


def test_a_number_that_was_forgotten_is_told_masked(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR
        message = await office.send(obfuscate=True, from_shown=SENDER, to_shown="+1415555XXXX")
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(1)
        latest = office.rig.store.latest(message.key)
        assert latest is not None
        change = redacted(latest, office.rig.clock.now_ms(), body=False, address=True)
        await office.rig.store.record([change])
        await asyncio.sleep(60)
        assert [post.form["To"] for post in office.customers.posts] == [ALICE, "+1415555XXXX"]

    play(tmp_path, scene)


def test_a_defect_costs_one_callback_and_nothing_of_the_others(tmp_path: Path) -> None:
    """It is written down without its text, waits for the next start, and the queue goes on."""

    async def scene(office: Office) -> None:
        bad = await office.send()
        good = [await office.send() for _ in range(3)]
        office.customers.reply = lambda post: (
            ValueError("+14155550101 is in this text") if post.form["MessageSid"] == bad.sid else OK
        )
        for message in (bad, *good):
            office.tell(message, REFUSED_FACT)
        await asyncio.sleep(60)
        assert len(office.customers.posts) == 4
        assert [task[0] for task in office.rig.tasks()] == [bad.key]
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 0)
        assert '"error":"ValueError"' in office.log.getvalue()
        assert "4155550101" not in office.log.getvalue()

    play(tmp_path, scene, connections=1)


def test_it_is_busy_with_first_attempts_and_not_with_retries(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.reply = lambda post: ERROR
        office.customers.takes_s = 2
        message = await office.send()
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(1)
        assert (office.deliverer.busy(), office.deliverer.held()) == (1, 1)
        await asyncio.sleep(2)
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 0)
        await asyncio.sleep(5)
        assert (office.deliverer.busy(), office.deliverer.held()) == (0, 1)

    play(tmp_path, scene)


def test_a_stop_ends_what_is_under_way_and_begins_nothing(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.takes_s = 2
        messages = [await office.send() for _ in range(5)]
        for message in messages:
            office.tell(message, REFUSED_FACT)
        await asyncio.sleep(1)
        await office.deliverer.stop(5)
        assert office.customers.closed
        await asyncio.sleep(60)
        assert len(office.customers.posts) == 2
        assert [task[0] for task in office.rig.tasks()] == [m.key for m in messages[2:]]

    play(tmp_path, scene, connections=2)


def test_a_stop_does_not_wait_for_ever(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        office.customers.takes_s = 15
        message = await office.send()
        office.tell(message, REFUSED_FACT)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await office.deliverer.stop(5)
        assert asyncio.get_running_loop().time() - began == 5
        await asyncio.sleep(60)
        assert [task[:3] for task in office.rig.tasks()] == [(message.key, 6, TaskKind.CALLBACK)]

    play(tmp_path, scene)


def test_after_a_crash_what_was_not_answered_is_told_again(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        office = Office(rig, 1, 100)
        office.customers.takes_s = 10
        messages = [await office.send() for _ in range(2)]
        for message in messages:
            office.tell(message, HANDED, DELIVERED)
        await asyncio.sleep(15)
        first = office.customers.posts
        assert len(first) == 2
        office.running.cancel()
        await office.deliverer.stop(0)
        rig.die()
        again = Rig(tmp_path)
        again.store.release_held()
        office = Office(again, 1, 100)
        office.lanes.start()
        await asyncio.sleep(60)
        told = [(post.form["MessageSid"], post.status) for post in office.customers.posts]
        assert len(told) == 3
        assert set(told) | {(first[0].form["MessageSid"], "sent")} == {
            (message.sid, status) for message in messages for status in ("sent", "delivered")
        }
        tokens = {p.headers["I-Twilio-Idempotency-Token"] for p in office.customers.posts}
        assert first[1].headers["I-Twilio-Idempotency-Token"] in tokens
        assert again.tasks() == []
        office.running.cancel()
        await office.deliverer.stop(0)
        await again.close()

    simloop.run(main())


def test_a_task_of_a_message_without_a_url_is_withdrawn(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        message = await office.rig.accept(callback=None, status=Status.FAILED)
        now_ms = office.rig.clock.now_ms()
        office.rig.store.set_aside([Task(message.key, 5, TaskKind.CALLBACK, 9, now_ms)])
        await asyncio.sleep(1)
        assert office.customers.posts == []
        assert [task for task in office.rig.tasks() if task[1] == 5] == []

    play(tmp_path, scene)
