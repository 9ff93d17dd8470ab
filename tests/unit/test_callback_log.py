"""The callback log: what is kept, what is posted again, and the alert of a failure."""

import asyncio
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import pytest

from hushwire.actions.alerts import Alerts, Span
from hushwire.actions.callbacks import CallbackLog, Keep, tasks_of
from hushwire.actions.debugger import Debuggers
from hushwire.clock import SeededEntropy
from hushwire.dispatch.lanes import Lanes
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.delivery import Delivery
from hushwire.domain.message import Fact, Message, advance, redacted
from hushwire.domain.task import TaskKind
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Guard, Limits
from hushwire.private import Private
from hushwire.store.records import Records
from hushwire.webhooks.deliver import Deliverer
from hushwire.webhooks.outcomes import Outcomes
from rig import START_MS, Rig, play

OK, ERROR, DEAD = Answer(204, {}, b""), Answer(500, {}, b"oh no"), Failure("connect")
URL = "http://customer.example.com/status?who=Ada"


class World:
    """Deliverer and log before a customer who answers with what `reply` says."""

    def __init__(self, rig: Rig, keep: Keep) -> None:
        self.rig = rig
        self.reply: Answer | Failure = OK
        self.tokens: list[tuple[str, str]] = []
        self.records = Records(rig.store)
        guard, entropy = Guard(True), SeededEntropy(2)
        debuggers = Debuggers(self.records.owned, self.records.outbox, guard, rig.clock, entropy)
        self.alerts = Alerts(self.records.entries, debuggers, rig.clock, entropy)
        self.log = CallbackLog(rig.store, self.records.entries, rig.clock, entropy, keep)
        self.lanes = Lanes(rig.store, rig.clock)
        self.deliverer = Deliverer(
            rig.store, self, rig.clock, Journal(StringIO()),  # type: ignore[arg-type]
            connections=4, memory=100, drained=self.lanes.wake,
        )  # fmt: skip
        self.deliverer.outcomes = Outcomes(self.alerts, self.log)
        self.lanes.workers[TaskKind.CALLBACK] = self.deliverer
        rig.store.outlet = self.lanes
        self.running = asyncio.create_task(self.lanes.run())

    async def post(
        self, url: str, headers: dict[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure:
        status = body.partition(b"MessageStatus=")[2].partition(b"&")[0].decode()
        self.tokens.append((status, headers["I-Twilio-Idempotency-Token"]))
        await asyncio.sleep(0.05)
        return self.reply

    def close(self) -> None:
        return

    async def told(self) -> Message:
        """A message that was sent and delivered; both statuses were told, or tried to be."""
        lane = endpoint_lane(URL)
        message = await self.rig.accept(callback=Private(URL), callback_lane=lane)
        for name in ("attempted", "handed", "delivered"):
            change = advance(message, Fact(name, carrier_ref="r"), self.rig.clock.now_ms())  # type: ignore[arg-type]
            assert change is not None
            assert change.after is not None
            message = change.after
            own = tuple(put for put in change.puts if put.kind is TaskKind.CALLBACK)
            self.rig.store.record([type(change)(change.before, message, own)])
        await asyncio.sleep(1)
        return message

    async def lines(self) -> list[Delivery]:
        """Oldest first."""
        await self.rig.settle()
        page = self.log.page(self.rig.account, lambda entry: True, 0, 1 << 62, 99)
        return list(page)[::-1]


Scene = Callable[[World], Awaitable[None]]


def run(directory: Path, scene: Scene, keep: Keep = "failures") -> None:
    async def main(rig: Rig) -> None:
        world = World(rig, keep)
        await scene(world)
        world.running.cancel()
        await asyncio.gather(world.running, return_exceptions=True)
        await world.deliverer.stop(1)
        world.alerts.close()
        await rig.settle()
        world.records.close()

    play(directory, main)


def shown(lines: list[Delivery]) -> list[tuple[str, int, str, int | None, bool]]:
    return [(d.status, d.attempt, d.outcome, d.http_status, d.last) for d in lines]


@pytest.mark.parametrize(("keep", "count"), [("failures", 0), ("all", 2), ("none", 0)])
def test_success_is_kept_only_when_all_is(tmp_path: Path, keep: Keep, count: int) -> None:
    async def scene(w: World) -> None:
        message = await w.told()
        lines = await w.lines()
        assert len(lines) == count
        for line in lines:
            assert (line.subject, line.outcome, line.http_status) == (message.sid, "answered", 204)
            assert (line.attempt, line.ms, line.last) == (1, 50, True)

    run(tmp_path, scene, keep)


def test_failures_are_kept_and_what_then_succeeded(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = ERROR
        await w.told()
        w.reply = OK
        await asyncio.sleep(6)
        assert shown(await w.lines()) == [
            ("sent", 1, "status", 500, False), ("delivered", 1, "status", 500, False),
            ("sent", 2, "answered", 204, True), ("delivered", 2, "answered", 204, True),
        ]  # fmt: skip

    run(tmp_path, scene)


def test_nothing_is_kept_when_nothing_is_to_be(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = DEAD
        await w.told()
        assert await w.lines() == []

    run(tmp_path, scene, "none")


def test_a_failure_alerts_without_url_or_content(tmp_path: Path) -> None:
    """R12: the origin alone, and of the form names and sizes."""

    async def scene(w: World) -> None:
        w.reply = ERROR
        message = await w.told()
        (alert,) = w.alerts.page(w.rig.account, None, Span(0, 1 << 62), 9)
        assert (alert.code, alert.subject, alert.http_status) == (11200, message.sid, 500)
        assert (alert.url, alert.method) == ("http://customer.example.com/", "POST")
        assert alert.answered_bytes == 5
        assert dict(alert.sent)["MessageSid"] == 34
        assert "Ada" not in repr(alert)
        assert "oh no" not in repr(alert)

    run(tmp_path, scene)


def test_the_last_attempt_says_so(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = Answer(410, {}, b"")
        await w.told()
        assert [(line.status, line.last) for line in await w.lines()] == [
            ("sent", True), ("delivered", True),
        ]  # fmt: skip

    run(tmp_path, scene)


def test_a_message_s_callbacks_are_posted_again_with_their_tokens(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        message = await w.told()
        before = list(w.tokens)
        assert await w.log.redeliver(w.rig.account, message.sid) == 2
        await asyncio.sleep(1)
        assert w.tokens == before * 2
        assert w.rig.tasks() == [t for t in w.rig.tasks() if t[2] is not TaskKind.CALLBACK]
        assert await w.log.redeliver(w.rig.account, "SM" + "0" * 32) is None

    run(tmp_path, scene)


def test_nothing_is_posted_again_once_the_url_is_forgotten(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        message = await w.told()
        await w.rig.store.record([redacted(message, w.rig.clock.now_ms(), body=True)])
        assert await w.log.redeliver(w.rig.account, message.sid) == 0

    run(tmp_path, scene)


def test_of_a_span_what_failed_and_was_not_answered_since(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = DEAD
        await w.told()
        await asyncio.sleep(1)
        w.reply = OK
        await w.told()
        from_ms, before_ms = START_MS, w.rig.clock.now_ms()
        w.tokens.clear()
        account = w.rig.account
        assert await w.log.redeliver_failed(account, from_ms, before_ms) == 2
        await asyncio.sleep(1)
        assert [status for status, _ in w.tokens] == ["sent", "delivered"]
        await asyncio.sleep(10)
        assert len(w.tokens) == 2, "the retries that waited are the same tasks"

    run(tmp_path, scene)


def test_what_was_answered_later_is_not_posted_again(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = DEAD
        await w.told()
        w.reply = OK
        await asyncio.sleep(10)
        assert await w.log.redeliver_failed(w.rig.account, 0, 1 << 62) == 0

    run(tmp_path, scene)


def test_a_failed_message_s_callback_tells_the_code(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        message = w.rig.message()
        change = advance(message, Fact("refused", error_code=30006), START_MS)
        assert change is not None
        assert change.after is not None
        (task,) = tasks_of(change.after, START_MS)
        assert (task.detail, task.number, task.attempt) == ("failed 30006 -", 6, 0)

    run(tmp_path, scene)
