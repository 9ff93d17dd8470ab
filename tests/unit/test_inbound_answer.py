"""What answers to inbound webhooks lead to: replies, further documents, alerts; also in crashes."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from hushwire import faults
from hushwire.domain.incoming import LOOP_MAX
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.optout import OptOut
from hushwire.domain.task import Task, TaskKind
from hushwire.outbound import Answer
from hushwire.testing.simloop import SimLoop
from inbound_rig import BROKEN, EMPTY, FALLBACK, URL, Asked, Reception, play, twiml
from rig import ALICE, BOB, SENDER, Rig

Reply = Callable[[Asked], Answer]


class Crash(KeyboardInterrupt):
    """The process dies here."""


def answers(**documents: str | Answer) -> Reply:
    """By the last part of the URL's path."""

    def reply(asked: Asked) -> Answer:
        found = documents[asked.url.partition("?")[0].rpartition("/")[2]]
        return found if isinstance(found, Answer) else twiml(found)

    return reply


def outbound(r: Reception) -> list[Message]:
    keys = [int(str(row[0])) for row in r.rig.rows("message")]
    found = r.rig.store.load(keys).values()
    return [message for message in found if message.direction is Direction.OUTBOUND_REPLY]


def test_messages_are_replies_to_who_wrote(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = answers(
            sms="<Message>One</Message><Message><Body>Two</Body></Message>"
            f'<Message to="{BOB}">Three</Message>'
        )
        await r.told()
        assert r.replies() == [(SENDER, ALICE, "One"), (SENDER, ALICE, "Two"),
                               (SENDER, BOB, "Three")]  # fmt: skip
        assert r.raised() == []
        assert r.waiting() == []
        assert {m.status for m in outbound(r)} == {Status.QUEUED}
        submits = [task for task in r.rig.tasks() if task[2] is TaskKind.SUBMIT]
        assert len(submits) == 3

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, {b"content-type": b"text/plain"}, b"Plain & simple"), ["Plain & simple"]),
        (Answer(200, {b"content-type": b"application/xml; charset=utf-8"},
                "<Response><Message>Grüße</Message></Response>".encode()), ["Grüße"]),
        (Answer(200, {b"content-type": b"text/html"}, b"<Response><Sms>Old</Sms></Response>"),
         ["Old"]),
        (Answer(200, {}, b""), []),
        (Answer(204, {}, b""), []),
        (twiml(""), []),
    ],
)  # fmt: skip
def test_what_may_be_answered(tmp_path: Path, answer: Answer, said: list[str]) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: answer
        await r.told()
        assert r.said() == said
        assert r.raised() == []
        assert r.waiting() == []

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(404, {}, b""), 11200),
        (Answer(302, {}, b""), 11200),
        (Answer(200, {b"content-type": b"application/json"}, b"{}"), 12300),
        (Answer(200, {}, b"Hello"), 12300),
        (Answer(200, {b"content-type": b"text/xml"}, b"<Response>"), 12100),
        (Answer(200, {b"content-type": b"text/xml"}, b"<Reply/>"), 12102),
        (Answer(200, {b"content-type": b"text/xml"}, b"<Response/>", cut=True), 11750),
        (Answer(200, {b"content-type": b"text/xml"}, b'<!DOCTYPE x SYSTEM "file:///etc/passwd">'
                b"<Response/>"), 12100),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_carried_out_is_a_failure(
    tmp_path: Path, answer: Answer, code: int
) -> None:
    """F15: an alert, the fallback, then the table; the message is never lost."""

    async def scene(r: Reception) -> None:
        r.set(sms_fallback_url=FALLBACK)
        r.customer.reply = lambda asked: answer
        message = await r.told()
        assert [asked.url for asked in r.customer.asked] == [URL, FALLBACK]
        assert r.customer.asked[1].form["ErrorCode"] == str(code)
        assert r.codes() == [code, code]
        assert [attempt for attempt, _ in r.waiting()] == [1]
        assert r.rig.store.find(r.account.id, message.sid) == message
        assert r.said() == []

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("inner", "code", "said"),
    [
        ("<Message>ok</Message><Say>no</Say>", 14110, ["ok"]),
        ('<Message to="12">no</Message><Message>ok</Message>', 14101, ["ok"]),
        ('<Message from="+14155550199">no</Message>', 14102, []),
        ("<Message></Message>", 14103, []),
        (f"<Message>{'x' * 1601}</Message>", 14103, []),
        ('<Message statusCallback="ftp://x/">no</Message>', 14105, []),
        ('<Message foo="1">ok</Message>', 12200, ["ok"]),
        (f'<Redirect method="PUT">{URL}/end</Redirect>', 14104, []),
        ("<Message>" + "<Media>http://x.example.com/a.png</Media>" * 11 + "</Message>", 21623, []),
    ],
)
def test_what_is_wrong_with_a_verb_is_an_alert(
    tmp_path: Path, inner: str, code: int, said: list[str]
) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms=inner, end="")
        message = await r.told()
        assert r.codes() == [code]
        assert r.raised()[0].subject == message.sid
        assert r.said() == said
        assert r.waiting() == [], "the answer was an answer"

    play(tmp_path, scene)


def test_at_most_ten_replies_in_all_documents(tmp_path: Path) -> None:
    """14109."""

    async def scene(r: Reception) -> None:
        six = "".join(f"<Message>{n}</Message>" for n in range(6))
        r.customer.reply = answers(sms=f"{six}<Redirect>more</Redirect>", more=six)
        await r.told()
        assert r.said() == ["0", "1", "2", "3", "4", "5", "0", "1", "2", "3"]
        assert r.codes() == [14109]

    play(tmp_path, scene)


def test_a_redirect_goes_on_elsewhere_relative_to_its_document(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_url="http://ada:pw@customer.example.com/a/sms?x=1#rc=0")
        r.customer.reply = answers(
            sms='<Message>one</Message><Redirect method="GET">b?y=2</Redirect>'
            "<Message>no</Message>",
            b="<Redirect>/c#rc=0</Redirect>",
            c="<Message>two</Message>",
        )
        message = await r.told()
        assert [(a.method, a.url.partition("&")[0]) for a in r.customer.asked] == [
            ("POST", "http://ada:pw@customer.example.com/a/sms?x=1"),
            ("GET", "http://ada:pw@customer.example.com/a/b?y=2"),
            ("POST", "http://ada:pw@customer.example.com/c"),
        ]
        assert r.said() == ["one", "two"]
        first, second, third = r.customer.asked
        assert dict(parse_qsl(second.url.partition("&")[2], True)) == first.form == third.form
        assert first.form["MessageSid"] == message.sid
        assert len({a.token for a in r.customer.asked}) == 3

    play(tmp_path, scene)


def test_redirects_end_at_fifty_documents(tmp_path: Path) -> None:
    """14106: a document that redirects to itself."""

    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms="<Redirect/>")
        await r.told()
        assert len(r.customer.asked) == 50
        assert r.codes() == [14106]
        assert r.waiting() == []

    play(tmp_path, scene)


def test_an_action_hears_of_the_reply_and_goes_on(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = answers(
            sms='<Message action="next" method="GET">one</Message><Message>not reached</Message>',
            next="<Message>two</Message>",
        )
        message = await r.told()
        made = outbound(r)
        assert [m.body.reveal() for m in made if m.body] == ["one", "two"]
        action = r.customer.asked[1]
        assert action.method == "GET"
        assert (action.form["MessageSid"], action.form["SmsSid"]) == (made[0].sid, made[0].sid)
        assert action.form["MessageStatus"] == "queued"
        assert action.form["SmsMessageSid"] == message.sid
        assert action.form["Body"] == "Hello"

    play(tmp_path, scene)


def test_the_first_reply_is_on_its_way_before_its_action_is_asked(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        def reply(asked: Asked) -> Answer:
            if asked.url.endswith("/next"):
                assert r.said() == ["one"], "durable"
                r.customer.takes_s = 15
                return BROKEN
            return twiml('<Message action="next">one</Message>')

        r.customer.reply = reply
        await r.told()
        assert r.said() == ["one"]
        assert r.codes() == [11200]
        assert r.raised()[0].url == "http://customer.example.com/", "less of a URL of an answer"
        assert r.waiting() == [], "what was answered once is not told again later"

    play(tmp_path, scene)


def test_a_redirect_that_fails_goes_to_the_fallback(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_fallback_url=FALLBACK.replace("/sms", "/fallback"))
        r.customer.reply = answers(
            sms="<Redirect>gone</Redirect>", gone=BROKEN, fallback="<Message>rescued</Message>"
        )
        await r.told()
        assert r.said() == ["rescued"]
        assert r.customer.asked[2].form["ErrorUrl"] == "http://customer.example.com/gone"

    play(tmp_path, scene)


def test_a_status_callback_is_relative_too(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms='<Message statusCallback="/status#rc=2">one</Message>')
        await r.told()
        (made,) = outbound(r)
        assert made.callback is not None
        assert made.callback.reveal() == "http://customer.example.com/status#rc=2"
        assert made.callback_lane

    play(tmp_path, scene)


def test_who_opted_out_gets_no_reply(tmp_path: Path) -> None:
    """21610: an alert, whatever the app answers."""

    async def scene(r: Reception) -> None:
        number = r.rig.store.accounts.numbers[SENDER]
        r.optouts.add(r.account.id, number.sid, ALICE, OptOut.STOP, r.rig.clock.now_ms())
        r.customer.reply = answers(sms="<Message>Buy</Message>")
        await r.told("Anything")
        assert r.said() == []
        assert r.codes() == [21610]
        await r.told("Hello", BOB)
        assert r.replies() == [(SENDER, BOB, "Buy")]

    play(tmp_path, scene)


def test_two_machines_do_not_answer_each_other_for_ever(tmp_path: Path) -> None:
    """6.8, 14107: the counter is of two numbers, and of quick replies."""

    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms="<Message>No, you</Message>")
        for _ in range(LOOP_MAX + 5):
            await r.told("You")
            await asyncio.sleep(1)
        assert len(r.said()) == LOOP_MAX + 1
        assert set(r.codes()) == {14107}
        await r.told("You", BOB)
        assert r.replies()[-1] == (SENDER, BOB, "No, you")
        await asyncio.sleep(30)
        await r.told("You")
        assert r.replies()[-1] == (SENDER, ALICE, "No, you")

    play(tmp_path, scene)


def test_without_room_the_text_is_told_again_soon(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms="<Message>one</Message>")
        await r.text("Hello")
        r.disk_low = True
        await r.quiet()
        assert r.said() == []
        assert [attempt for attempt, _ in r.waiting()] == [0]
        r.disk_low = False
        await r.wait_s(31)
        assert r.said() == ["one"]
        assert len({asked.token for asked in r.customer.asked}) == 1
        assert r.raised() == []

    play(tmp_path, scene)


def test_a_full_disk_that_refuses_a_reply_keeps_its_cause(tmp_path: Path) -> None:
    """The births are refused; the task must not have ended in that commit."""

    async def scene(r: Reception) -> None:
        r.customer.reply = answers(sms="<Message>one</Message>")
        await r.text("Hello")

        def fill(batch: object) -> None:  # a batch with a birth finds the disk full, once
            if getattr(batch, "newborn", ()):
                r.rig.store.writers.remove(fill)
                batch.refused = True  # type: ignore[attr-defined]

        r.rig.store.writers.append(fill)
        put_off, there = r.rig.store.set_aside, []

        def look(tasks: Sequence[Task]) -> None:
            there.append(len(r.waiting()))
            put_off(tasks)

        r.rig.store.set_aside = look  # type: ignore[method-assign]
        await r.quiet()
        assert there == [1], "a crash before it was put off would have lost it"
        assert r.said() == []
        assert [attempt for attempt, _ in r.waiting()] == [0]
        await r.wait_s(31)
        assert r.said() == ["one"]
        assert r.waiting() == []

    play(tmp_path, scene)


# -- crashes ------------------------------------------------------------------------------

DOCUMENTS = answers(
    sms='<Message action="next">one</Message>',
    next="<Message>two</Message><Message to='12'>refused</Message><Redirect>last</Redirect>",
    last="<Message>three</Message>",
)


def live(directory: Path, at: int | None) -> tuple[list[str], list[str]]:
    """A life in which a text is told, until it crashes at the `at`-th point, or ends.

    The points reached, and what is left of the replies.
    """
    reached: list[str] = []
    rigs: list[Reception] = []

    def count(point: str) -> None:
        reached.append(point)
        if len(reached) == at:
            raise Crash

    async def main() -> None:
        rig = Rig(directory)
        rig.store.release_held()
        reception = Reception(rig)
        rigs.append(reception)
        reception.customer.reply = DOCUMENTS
        if not rig.rows("message"):
            reception.set(sms_url=URL)
            await reception.text("Hello")
        faults.arm(count)
        await reception.quiet()
        await reception.wait_s(60)
        faults.arm(None)
        rigs.clear()
        said.extend(reception.said())
        assert reception.waiting() == []
        await reception.close()
        await rig.close()

    said: list[str] = []
    loop = SimLoop()
    try:
        loop.run_until_complete(main())
        loop.close()
    except Crash:
        loop.abandon()
        rigs[0].estate.records.close()
        rigs[0].listing.close()
        rigs[0].rig.die()
    finally:
        faults.arm(None)
    return reached, said


def test_a_crash_anywhere_neither_loses_nor_doubles_a_reply(tmp_path: Path) -> None:
    """Every point of one life; the next life goes on from the disk."""
    points, said = live(tmp_path / "whole", None)
    assert said == ["one", "two", "three"]
    assert {"inbound.calling", "inbound.replied", "inbound.answered"} <= set(points)
    for n in range(1, len(points) + 1):
        directory = tmp_path / str(n)
        live(directory, n)
        _, said = live(directory, None)
        assert said == ["one", "two", "three"], f"after a crash at {points[n - 1]} ({n})"


def test_nothing_is_said_of_an_empty_answer(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = lambda asked: EMPTY
        await r.told()
        assert outbound(r) == []

    play(tmp_path, scene)
