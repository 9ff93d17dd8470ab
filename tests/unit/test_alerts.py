"""Alerts: one a minute about one thing, counted; nothing private in them; told to the debugger."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hushwire.actions.alerts import WATCHED_MAX, Alerts, Span
from hushwire.actions.debugger import Debuggers
from hushwire.clock import SeededEntropy
from hushwire.domain.alert import (
    Alert,
    code_of_failure,
    message_of,
    origin,
    sizes_of,
    text_of,
    without_query,
)
from hushwire.domain.alert_table import KINDS
from hushwire.domain.entry import DAY_MS, KEPT_DAYS
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.records import Records
from rig import START_MS, Rig, play

URL, OTHER = "https://one.example.com/", "https://two.example.com/"
SM = "SM" + "0" * 31
ALWAYS = Span(0, 1 << 62)


class Watch:
    """Alerts of a rig's account, and its debugger webhook."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.records = Records(rig.store)
        self.debuggers = Debuggers(
            self.records.owned, self.records.outbox, Guard(True), rig.clock, SeededEntropy(3)
        )
        self.alerts = Alerts(self.records.entries, self.debuggers, rig.clock, SeededEntropy(2))

    def raise_(self, n: int = 0, url: str | None = URL, code: int = 11200) -> None:
        self.alerts.raise_(1, code, resource_sid=f"{SM}{n % 10}", url=url)

    async def found(self, span: Span = ALWAYS) -> list[Alert]:
        await self.rig.settle()
        return list(self.alerts.page(self.rig.account, None, span, 1_000))


Scene = Callable[[Watch], Awaitable[None]]


def watch(directory: Path, scene: Scene) -> None:
    async def main(rig: Rig) -> None:
        made = Watch(rig)
        await scene(made)
        made.alerts.close()
        await rig.settle()
        made.records.close()

    play(directory, main)


def test_a_dead_endpoint_is_told_of_once_a_minute_and_counted(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        for n in range(500):
            w.raise_(n)
        (first,) = await w.found()
        assert (first.count, first.subject, first.level) == (1, f"{SM}0", "error")
        await asyncio.sleep(61)
        second, _ = await w.found()
        assert (second.count, second.subject) == (499, f"{SM}9")
        assert "499 times" in message_of(second)
        w.raise_()
        assert len(await w.found()) == 2, "still within a minute of the last"
        await asyncio.sleep(61)
        assert [alert.count for alert in await w.found()] == [1, 499, 1]
        await asyncio.sleep(121)
        w.raise_()
        assert len(await w.found()) == 4, "after a quiet minute the next is the first again"

    watch(tmp_path, scene)


def test_another_code_or_another_url_or_resource_is_another_thing(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        for n in range(2):
            w.raise_(n)
            w.raise_(n, OTHER)
            w.raise_(n, code=11205)
            w.raise_(n, url=None)
        assert len(await w.found()) == 5, "without a URL each resource is a thing"

    watch(tmp_path, scene)


def test_what_is_counted_is_written_when_the_server_stops(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        for n in range(7):
            w.raise_(n)
        w.alerts.close()
        assert [alert.count for alert in await w.found()] == [6, 1]

    watch(tmp_path, scene)


def test_memory_is_bounded(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        for n in range(WATCHED_MAX + 50):
            w.alerts.raise_(1, 11200, url=f"https://h{n}.example.com/")
        assert len(w.alerts._watched) == WATCHED_MAX
        await asyncio.sleep(61)
        assert w.alerts._watched == {}

    watch(tmp_path, scene)


def test_a_parameter_without_effect_is_told_once_a_day(tmp_path: Path) -> None:
    """D11: also when the server started anew meanwhile."""

    async def scene(w: Watch) -> None:
        for _ in range(3):
            w.alerts.without_effect(1, "RiskCheck")
            w.alerts.without_effect(1, "Tags")
        await w.rig.settle()
        again = Alerts(w.records.entries, w.debuggers, w.rig.clock, SeededEntropy(4))
        again.without_effect(1, "Tags")
        found = await w.found()
        assert {(a.code, a.level, a.detail) for a in found} == {
            (20001, "warning", "RiskCheck"), (20001, "warning", "Tags"),
        }  # fmt: skip
        assert len(found) == 2
        await asyncio.sleep(DAY_MS / 1000)
        w.alerts.without_effect(1, "Tags")
        assert [a.detail for a in await w.found()].count("Tags") == 2
        again.close()

    watch(tmp_path, scene)


def test_they_are_listed_by_level_and_time_for_30_days(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        w.raise_()
        await asyncio.sleep(3_600)
        w.raise_(code=12200)
        second, first = await w.found()
        assert (second.at_ms - first.at_ms, second.code) == (3_600_000, 12200)
        account = w.rig.account
        assert w.alerts.page(account, "warning", ALWAYS, 9) == [second]
        assert await w.found(Span(START_MS, second.at_ms)) == [first]
        assert w.alerts.fetch(account, first.sid) == first
        await asyncio.sleep((KEPT_DAYS * DAY_MS - 3_600_000) / 1000 + 1)
        assert await w.found() == [second], "not shown any more, before the sweep comes"
        assert w.alerts.fetch(account, first.sid) is None

    watch(tmp_path, scene)


def test_the_debugger_webhook_gets_a_parcel_with_each_alert(tmp_path: Path) -> None:
    async def scene(w: Watch) -> None:
        w.raise_()
        debugger = w.debuggers.set(w.rig.account, "http://127.0.0.1:9009/debug")
        assert debugger is not None
        w.raise_(url=OTHER)
        w.raise_(url=OTHER)
        newest = (await w.found())[0]
        outbox, now_ms = w.records.outbox, w.rig.clock.now_ms()
        assert [p.subject for p in outbox.due(debugger.sid, now_ms, 9)] == [newest.sid]
        changed = w.debuggers.set(w.rig.account, "http://127.0.0.1:9009/other")
        assert changed is not None
        assert changed.sid == debugger.sid
        assert w.debuggers.set(w.rig.account, None) is None
        await w.rig.settle()
        assert outbox.due(debugger.sid, now_ms, 9) == []
        assert (w.debuggers.of(1), outbox.size()) == (None, 0)
        with pytest.raises(Refusal):
            w.debuggers.set(w.rig.account, "ftp://example.com/")

    watch(tmp_path, scene)


def test_of_a_url_a_form_and_an_answer_little_is_kept() -> None:
    """R12: names and sizes."""
    url = "https://user:secret@h.example.com:8443/p/+14155550101?who=Ada#rc=2"
    assert origin(url) == "https://h.example.com:8443/"
    assert without_query(url) == "https://h.example.com:8443/p/+14155550101"
    assert sizes_of(b"Body=Hello+Ada&To=%2B14155550101&Empty=") == (
        ("Body", 9), ("To", 14), ("Empty", 0),
    )  # fmt: skip


def test_the_text_is_url_encoded_and_says_what_happened() -> None:
    alert = Alert(
        sid="NO", account_id=1, at_ms=0, code=11200, level="error", url=URL, http_status=404,
        method="POST",
    )  # fmt: skip
    assert text_of(alert) == (
        "Msg=HTTP+retrieval+failure%3B+HTTP+status+404&sourceComponent=12000&ErrorCode=11200"
        "&LogLevel=ERROR&httpResponse=404&url=https%3A%2F%2Fone.example.com%2F"
    )


def test_every_failure_has_a_code_of_the_table() -> None:
    words = ("status", "connect", "tls", "resolve", "redirects", "timeout_total", "protocol")
    codes = [code_of_failure(word) for word in words]
    assert codes == [11200, 11205, 11220, 11210, 11215, 11203, 11206]
    codes = [code_of_failure("tls", detail) for detail in ("host", "expired", "untrusted")]
    assert [*codes, code_of_failure("connect", "refused")] == [11235, 11236, 11237, 11202]
    assert code_of_failure("refused_by_guard", "host") == 11210
    assert set(codes) <= KINDS.keys()
