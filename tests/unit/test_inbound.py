"""The worker of inbound webhooks: told in order, again by the table, a lane an endpoint."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.domain.incoming import RETRY_MS
from hushwire.domain.message import Status, deleted, redacted
from hushwire.domain.privacy import DEFAULTS
from hushwire.domain.task import TaskKind
from hushwire.outbound import Answer, Failure
from hushwire.webhooks.inbound import CROWD, FEW, SHARE_MIN
from hushwire.webhooks.signature import sign
from inbound_rig import BROKEN, EMPTY, FALLBACK, URL, Asked, Reception, play, twiml
from rig import ALICE, BOB, SENDER


def test_a_text_is_told_signed_and_done(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        message = await r.told("Hello")
        (asked,) = r.customer.asked
        assert (asked.method, asked.url) == ("POST", URL)
        form = asked.form
        assert form == {
            "MessageSid": message.sid, "SmsSid": message.sid, "SmsMessageSid": message.sid,
            "AccountSid": r.account.sid, "From": ALICE, "To": SENDER, "Body": "Hello",
            "NumMedia": "0", "NumSegments": "1", "SmsStatus": "received",
            "ApiVersion": "2010-04-01", "FromCity": "", "FromState": "", "FromZip": "",
            "FromCountry": "US", "ToCity": "", "ToState": "", "ToZip": "", "ToCountry": "US",
        }  # fmt: skip
        signature = sign(r.account.auth_token.reveal(), URL, sorted(form.items()))
        assert asked.headers["X-Twilio-Signature"] == signature
        assert r.waiting() == []
        assert r.raised() == []
        assert (message.status, message.direction) == (Status.RECEIVED, "inbound")

    play(tmp_path, scene)


def test_without_a_url_nobody_is_called(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_url="")
        message = await r.told()
        assert r.customer.asked == []
        assert r.waiting() == []
        assert r.rig.store.find(r.account.id, message.sid) == message

    play(tmp_path, scene)


def test_one_conversation_is_told_in_order_and_others_at_the_same_time(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.takes_s = 1.0
        for n in range(5):
            await r.text(f"a{n}", ALICE)
            await r.text(f"b{n}", BOB)
        began = r.rig.clock.now_ms()
        await r.quiet()
        for who in (ALICE, BOB):
            told = [asked for asked in r.customer.asked if asked.form["From"] == who]
            assert [asked.form["Body"][1] for asked in told] == ["0", "1", "2", "3", "4"]
            assert all(b.at_ms - a.at_ms >= 1_000 for a, b in pairwise(told))
        assert r.rig.clock.now_ms() - began < 6_000, "the two did not wait for each other"

    play(tmp_path, scene)


def test_order_holds_when_the_memory_is_small_and_across_endpoints(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.takes_s = 0.5
        for n in range(3 * SHARE_MIN):
            if n == SHARE_MIN:
                r.set(sms_url="http://other.example.com/sms")
            await r.text(str(n))
        await r.quiet()
        assert r.customer.bodies() == [str(n) for n in range(3 * SHARE_MIN)]

    play(tmp_path, scene, memory=10)


def test_memory_is_bounded_and_the_rest_waits_in_the_table(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.takes_s = 10.0
        for _ in range(5 * SHARE_MIN):
            await r.text("one conversation")
        assert r.inbox.busy() <= SHARE_MIN
        assert len(r.waiting()) == 5 * SHARE_MIN
        await r.quiet()
        assert len(r.customer.asked) == 5 * SHARE_MIN
        assert r.waiting() == []

    play(tmp_path, scene, memory=10)


def test_a_dead_endpoint_delays_nobody_else(tmp_path: Path) -> None:
    """F14: what hangs has a few connections of its own."""

    async def scene(r: Reception) -> None:
        hangs = Failure("timeout_total")

        def reply(asked: Asked) -> Answer | Failure:
            r.customer.takes_s = 15.0 if "dead" in asked.url else 0.05
            return hangs if "dead" in asked.url else EMPTY

        r.customer.reply = reply
        r.set(sms_url="http://dead.example.com/sms")
        for n in range(100):
            await r.text("x", f"+1415555{n:04d}")
        r.set(sms_url=URL)
        began = r.rig.clock.now_ms()
        await r.text("Hello")
        while not any(asked.url == URL for asked in r.customer.asked):
            await asyncio.sleep(0.01)
        assert r.rig.clock.now_ms() - began < 100
        assert r.customer.most["dead.example.com"] == 10
        r.customer.reply = lambda asked: EMPTY
        await r.quiet()

    play(tmp_path, scene)


def test_many_dead_endpoints_leave_connections_for_others(tmp_path: Path) -> None:
    """F14: from so many webhooks under way on, each endpoint has only a few."""

    async def scene(r: Reception) -> None:
        r.customer.takes_s = 15.0
        for host in range(20):
            r.set(sms_url=f"http://h{host}.example.com/sms")
            for n in range(16):
                await r.text("x", f"+1415{host:03d}{n:04d}")
        await asyncio.sleep(0)
        late = [r.customer.most[f"h{host}.example.com"] for host in range(10, 20)]
        assert late == [FEW] * 10
        assert len(r.customer.asked) <= CROWD + 20 * FEW
        r.customer.takes_s = 0.05
        await r.quiet()
        assert len(r.customer.asked) >= 20 * 16

    play(tmp_path, scene, connections=16)


def test_what_nobody_took_is_told_again_for_hours_and_then_stays_received(tmp_path: Path) -> None:
    """R10: within the hold on it, six hours; RC-4."""

    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: BROKEN
        message = await r.text("Hello")
        assert message is not None
        await r.wait_s(7 * 3_600)
        times = [asked.at_ms for asked in r.customer.asked]
        waits = [b - a for a, b in pairwise(times)]
        assert len(times) == 1 + len(RETRY_MS)
        assert all(0 <= wait - due < 1_000 for wait, due in zip(waits, RETRY_MS, strict=True))
        assert times[-1] - times[0] < DEFAULTS.inbound * 1000
        assert r.waiting() == []
        now = r.rig.store.find(r.account.id, message.sid)
        assert now == message
        assert len({asked.token for asked in r.customer.asked}) == 1
        assert set(r.codes()) == {11200}
        alert = r.raised()[0]
        assert (alert.subject, alert.http_status, alert.url) == (message.sid, 500, URL)

    play(tmp_path, scene)


def test_a_retry_holds_up_no_later_text(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: BROKEN if asked.form["Body"] == "first" else EMPTY
        await r.told("first")
        await r.told("second")
        assert r.customer.bodies() == ["first", "second"]
        r.customer.reply = lambda asked: EMPTY
        await r.wait_s(10)
        assert r.customer.bodies() == ["first", "second", "first"]
        assert r.waiting() == []

    play(tmp_path, scene)


def test_the_url_is_looked_up_at_each_try(tmp_path: Path) -> None:
    """Also its endpoint: the text moves to that lane."""

    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: EMPTY if "mended" in asked.url else BROKEN
        await r.told()
        r.set(sms_url="http://mended.example.com/new")
        await r.wait_s(10)
        assert [asked.url for asked in r.customer.asked] == [URL, "http://mended.example.com/new"]
        assert r.waiting() == []

        r.customer.reply = lambda asked: BROKEN
        await r.told()
        r.set(sms_url="")
        asked = len(r.customer.asked)
        await r.wait_s(10)
        assert len(r.customer.asked) == asked, "nobody wants to be told any more"
        assert r.waiting() == []

    play(tmp_path, scene)


def test_the_fallback_is_told_what_failed(tmp_path: Path) -> None:
    """R11: the fallback gets the whole message."""

    async def scene(r: Reception) -> None:
        r.set(
            sms_url="http://ada:secret@customer.example.com/sms?x=1#rc=0",
            sms_fallback_url=FALLBACK, sms_fallback_method="GET",
        )  # fmt: skip
        r.customer.reply = lambda asked: EMPTY if FALLBACK in asked.url else BROKEN
        message = await r.told("Hello there")
        primary, fallback = r.customer.asked
        assert fallback.method == "GET"
        assert fallback.url.startswith(f"{FALLBACK}?MessageSid={message.sid}&")
        assert fallback.form == {
            **primary.form, "ErrorCode": "11200",
            "ErrorUrl": "http://customer.example.com/sms?x=1",
        }  # fmt: skip
        token = r.account.auth_token.reveal()
        assert fallback.headers["X-Twilio-Signature"] == sign(token, fallback.url, ())
        assert primary.token != fallback.token
        assert r.codes() == [11200]
        assert r.waiting() == []

    play(tmp_path, scene)


def test_both_fail_and_both_are_alerted_of(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_fallback_url=FALLBACK)
        r.customer.reply = lambda asked: (
            Failure("connect") if asked.url == URL else twiml("<Message>", "Wrong")
        )
        await r.told()
        assert [(a.code, a.url) for a in r.raised()] == [(11205, URL), (12100, FALLBACK)]
        assert [attempt for attempt, _ in r.waiting()] == [1]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("fragment", "result", "attempts"),
    [
        ("", BROKEN, 1),
        ("#rc=2&rp=5xx", BROKEN, 3),
        ("#rc=5&rp=all", Answer(404, {}, b""), 6),
        ("", Failure("connect"), 2),
        ("#rc=0", Failure("connect"), 1),
        ("#rc=3&rp=all", Failure("refused_by_guard", "address"), 1),
    ],
)
def test_immediate_retries_are_those_the_url_asks_for(
    tmp_path: Path, fragment: str, result: Answer | Failure, attempts: int
) -> None:
    """W11: the same request, token and signature included; the fragment stays here."""

    async def scene(r: Reception) -> None:
        r.set(sms_url=URL + fragment)
        r.customer.reply = lambda asked: result
        await r.told()
        assert [asked.url for asked in r.customer.asked] == [URL] * attempts
        assert len({asked.token for asked in r.customer.asked}) == 1

    play(tmp_path, scene)


def test_a_policy_that_nobody_knows_is_an_alert_a_day(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_url=f"{URL}#rp=6xx")
        for _ in range(3):
            await r.told()
        assert r.codes() == [11243]
        assert [asked.url for asked in r.customer.asked] == [URL] * 3

    play(tmp_path, scene)


def test_the_time_of_immediate_retries_is_one(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_url=URL + "#rc=5&rp=all&tt=1000")
        r.customer.takes_s = 0.3
        r.customer.reply = lambda asked: BROKEN
        began = r.rig.clock.now_ms()
        await r.told()
        assert [limits.total_ms for limits in r.customer.limits[:3]] == [1_000, 700, 400]
        assert 1_000 <= r.rig.clock.now_ms() - began < 1_050

    play(tmp_path, scene)


def test_what_was_forgotten_meanwhile_is_not_told(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.takes_s = 1.0
        await r.text("under way")
        for body, delete in (("redacted", False), ("deleted", True)):
            message = await r.text(body)
            assert message is not None
            now_ms = r.rig.clock.now_ms()
            change = deleted(message) if delete else redacted(message, now_ms, body=True)
            await r.rig.store.record([change])
        await r.quiet()
        assert r.customer.bodies() == ["under way"]
        assert r.waiting() == []

    play(tmp_path, scene)


def test_a_suspended_account_is_not_told_until_it_is_active_again(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        accounts = r.rig.store.accounts
        r.customer.takes_s = 1.0
        await r.text("one")
        await r.text("two")
        await asyncio.sleep(0.5)
        accounts.change(replace(accounts.by_id[1], status="suspended"))
        await r.quiet()
        assert r.customer.bodies() == ["one"]
        accounts.change(replace(accounts.by_id[1], status="active"))
        await r.wait_s(10)
        assert r.customer.bodies() == ["one", "two"]

    play(tmp_path, scene)


def test_a_number_that_was_handed_over_tells_the_new_owner_nothing_old(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: BROKEN
        await r.told()
        accounts = r.rig.store.accounts
        accounts.put_number(replace(accounts.numbers[SENDER], account_id=r.estate.child.id))
        await r.wait_s(8 * 3_600)
        assert len(r.customer.asked) == 1
        assert r.waiting() == []

    play(tmp_path, scene)


def test_nothing_of_the_message_is_in_alerts_or_the_journal(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        secret = "Zebra crossing"
        r.set(sms_url=URL + "?pin=4711", sms_fallback_url="http://u:pw@backup.example.com/x?y=z")
        r.customer.reply = lambda asked: twiml(f"<Message>{secret}", "Response")
        await r.told(secret)
        await r.wait_s(60)
        shown = repr(r.raised()) + r.log.getvalue()
        for private in (secret, "Zebra", ALICE, ALICE[2:], "4711", "pw@", "y=z"):
            assert private not in shown
        assert "callback_failed" in r.log.getvalue()

    play(tmp_path, scene)


def test_a_defect_in_one_text_stops_no_other(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: (
            RuntimeError("bug") if asked.form["Body"] == "bad" else EMPTY
        )
        await r.told("bad")
        await r.told("good")
        assert r.customer.bodies() == ["bad", "good"]
        assert '"event":"defect"' in r.log.getvalue()
        assert len(r.waiting()) == 1, "it waits for the next start"

    play(tmp_path, scene)


def test_stopping_finishes_what_is_under_way_and_leaves_the_rest(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.takes_s = 0.5
        r.customer.reply = lambda asked: twiml("<Message>Hi</Message>")
        await r.text("one")
        await r.text("two")
        await asyncio.sleep(0.1)
        await r.inbox.stop(2)
        await r.rig.settle()
        assert r.customer.bodies() == ["one"]
        assert r.said() == ["Hi"]
        (left,) = [row for row in r.rig.rows("task") if row[2] == TaskKind.INBOUND]
        assert left

    play(tmp_path, scene)
