"""Texts that come in: which webhook hears of them, what is kept, and what keywords do."""

import json
from pathlib import Path

import pytest

from hushwire.actions.messages import SendMessage
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.incoming import Webhook, is_keyword_reply
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.optout import DEFAULTS
from hushwire.domain.service import Service
from hushwire.errors import Refusal, Unavailable
from hushwire.private import Private
from inbound_rig import URL, Reception, play, twiml
from rig import ALICE, BOB, SENDER

STOP_TEXT, START_TEXT, HELP_TEXT = (rule.text for rule in DEFAULTS[:3])
CODE = "24273"


def number_sid(r: Reception) -> str:
    return r.rig.store.accounts.numbers[SENDER].sid


def service(r: Reception, **changes: object) -> Service:
    """A service with the account's number in its pool."""
    made = r.estate.service(**changes)
    r.estate.services.add(made, "PN", number_sid(r))
    return r.estate.now(made)


def short_code(r: Reception, **changes: object) -> str:
    code = r.estate.short_codes.register(r.estate.caller, r.account, CODE, "US")
    r.estate.short_codes.update(code, changes)
    return code.sid


async def webhook(r: Reception, to: str = SENDER) -> Webhook | None:
    message = await r.text("Hello", to=to)
    assert message is not None
    await r.quiet()
    return r.incoming.webhook(message)


def test_a_number_without_a_service_has_its_own(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.set(sms_method="GET", sms_fallback_url="http://f.example.com/")
        assert await webhook(r) == Webhook(URL, "GET", "http://f.example.com/", "POST")
        r.set(sms_url="", sms_fallback_url="")
        assert await webhook(r) is None

    play(tmp_path, scene)


def test_a_service_goes_before_the_number_unless_it_says_otherwise(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        made = service(
            r, inbound_url="http://s.example.com/", inbound_method="GET",
            fallback_url="http://sf.example.com/", fallback_method="GET",
        )  # fmt: skip
        assert await webhook(r) == Webhook(
            "http://s.example.com/", "GET", "http://sf.example.com/", "GET"
        )
        message = await r.text("Hello")
        assert message is not None
        assert message.service == made.sid
        assert message.callback_lane == endpoint_lane("http://s.example.com/")
        r.estate.services.update(made, {"inbound_on_number": True})
        assert await webhook(r) == Webhook(URL)
        assert r.customer.asked[0].form["MessagingServiceSid"] == made.sid

    play(tmp_path, scene)


def test_an_application_goes_before_all(tmp_path: Path) -> None:
    """6.2: all `sms_*` of the number are ignored, and an application without a URL is silent."""

    async def scene(r: Reception) -> None:
        apps = r.estate.applications
        made = apps.create(r.account, {"sms_url": "http://a.example.com/", "sms_method": "GET"})
        r.set(sms_application_sid=made.sid)
        assert await webhook(r) == Webhook("http://a.example.com/", "GET")
        service(r)  # takes no texts by itself
        assert await webhook(r) == Webhook("http://a.example.com/", "GET")
        apps.update(made, {"sms_url": ""})
        assert await webhook(r) is None

    play(tmp_path, scene)


def test_a_service_without_an_inbound_url_receives_nothing(tmp_path: Path) -> None:
    """6.2: and nothing is logged; but STOP is obeyed."""

    async def scene(r: Reception) -> None:
        made = service(r)
        assert await r.text("Hello") is None
        assert r.rig.rows("message") == []
        assert r.rig.metrics.received == 0
        assert await r.text("STOP") is None
        await r.quiet()
        assert r.optouts.blocked(1, made.sid, ALICE)
        assert r.said() == [STOP_TEXT]
        assert r.customer.asked == []
        r.estate.services.update(made, {"inbound_on_number": True})
        assert await r.text("Hello") is not None

    play(tmp_path, scene)


def test_a_short_code_is_written_to_and_answers(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        sid = short_code(r, sms_url="http://short.example.com/")
        r.customer.reply = lambda asked: twiml(
            '<Message statusCallback="http://x.example.com/s">Hi</Message>'
        )
        await r.told("Hello", to=CODE)
        (asked,) = r.customer.asked
        assert asked.url == "http://short.example.com/"
        assert (asked.form["To"], asked.form["ToCountry"]) == (CODE, "")
        assert r.replies() == [(CODE, ALICE, "Hi")]
        await r.told("stop", to=CODE)
        assert r.optouts.blocked(1, sid, ALICE)
        assert r.replies()[1:] == [(CODE, ALICE, STOP_TEXT)]
        assert r.codes() == [21610], "what the app answered to STOP"

    play(tmp_path, scene)


def test_who_does_not_own_the_number_gets_nothing(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        with pytest.raises(Refusal):
            await r.text("Hello", to="+14155550177")
        r.disk_low = True
        with pytest.raises(Unavailable):
            await r.text("Hello")
        assert r.rig.rows("message") == []

    play(tmp_path, scene)


def test_of_a_long_text_the_beginning_is_kept_and_it_says_so(tmp_path: Path) -> None:
    """T-10: truncated and marked failed 21617; it is told all the same."""

    async def scene(r: Reception) -> None:
        message = await r.told("x" * 1_601)
        assert (message.status, message.error_code) == (Status.FAILED, 21617)
        assert len(message.body or "") == 1_600
        assert message.segments == 11
        (asked,) = r.customer.asked
        assert asked.form["Body"] == "x" * 1_600
        assert asked.form["SmsStatus"] == "received"

    play(tmp_path, scene)


def test_half_an_emoji_is_told_and_stops_nothing(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        await r.told("a\ud83d")
        assert r.customer.bodies() == ["a?"]

    play(tmp_path, scene)


# -- keywords -----------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["STOP", "stop", "  Stop \n", "UNSUBSCRIBE", "arrêt", "ALTO"])
def test_stop_blocks_before_anybody_is_told(tmp_path: Path, word: str) -> None:
    async def scene(r: Reception) -> None:
        def reply(asked: object) -> object:
            assert r.optouts.blocked(1, number_sid(r), ALICE)
            return twiml("<Message>Sorry to see you go</Message>")

        r.customer.reply = reply  # type: ignore[assignment]
        message = await r.told(word)
        (asked,) = r.customer.asked
        assert asked.form["OptOutType"] == "STOP"
        assert asked.form["Body"] == word
        (made,) = [m for m in stored(r) if m.direction is Direction.OUTBOUND_REPLY]
        assert is_keyword_reply(made)
        assert (made.from_, made.to) == (message.to, message.from_)
        assert r.codes() == [21610], "the app's own answer is blocked"
        assert not r.optouts.blocked(1, number_sid(r), BOB)

    play(tmp_path, scene)


def stored(r: Reception) -> list[Message]:
    keys = [int(str(row[0])) for row in r.rig.rows("message")]
    return list(r.rig.store.load(keys).values())


def test_a_confirmation_is_sent_once(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        for word in ("STOP", "STOP", "HELP", "START", "START", "YES", "HELP"):
            await r.told(word)
        assert r.said() == [STOP_TEXT, HELP_TEXT, START_TEXT, HELP_TEXT]
        types = [asked.form["OptOutType"] for asked in r.customer.asked]
        assert types == ["STOP", "STOP", "HELP", "START", "START", "START", "HELP"]
        assert not r.optouts.blocked(1, number_sid(r), ALICE)

    play(tmp_path, scene)


def test_a_service_is_stopped_with_all_its_numbers(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        made = service(r, inbound_url=URL)
        other = r.estate.number("+14155550188")
        r.estate.services.add(made, "PN", other.sid)
        await r.told("STOP")
        assert r.optouts.blocked(1, made.sid, ALICE)
        assert not r.optouts.blocked(1, number_sid(r), ALICE)
        message = await r.told("Hello", to=other.phone)
        wanted = SendMessage(Private(ALICE), Private(other.phone), Private("Hi"))
        with pytest.raises(Refusal) as refused:
            r.incoming.reply(message, wanted)
        assert refused.value.problem.code == 21610
        await r.told("START", to=other.phone)
        assert not r.optouts.blocked(1, made.sid, ALICE)

    play(tmp_path, scene)


def test_start_lifts_a_block_from_before_the_number_joined_a_service(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        await r.told("STOP")
        made = service(r, inbound_url=URL)
        await r.told("STOP")
        assert r.said() == [STOP_TEXT], "it was blocked already"
        assert r.optouts.blocked(1, made.sid, ALICE)
        await r.told("START")
        assert not r.optouts.blocked(1, made.sid, ALICE)
        assert not r.optouts.blocked(1, number_sid(r), ALICE)

    play(tmp_path, scene)


def test_own_words_and_texts(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        put(r, rules=[
            {"type": "STOP", "keywords": ["Genug", "STOP"], "text": "Schade."},
            {"type": "START", "keywords": ["Wieder"], "text": "Willkommen."},
        ])  # fmt: skip
        await r.told("genug")
        await r.told("wieder")
        await r.told("stop")
        assert r.said() == ["Schade.", "Willkommen.", "Schade."]

    play(tmp_path, scene)


def put(r: Reception, scope: str | None = None, **content: object) -> None:
    keywords = r.keywords.find(r.account, scope or number_sid(r))
    assert keywords is not None
    r.keywords.put(keywords, json.dumps(content).encode())


def test_filtering_can_be_switched_off(tmp_path: Path) -> None:
    """R28: then the customer filters; keywords are texts like any other."""

    async def scene(r: Reception) -> None:
        put(r, filtering=False)
        r.customer.reply = lambda asked: twiml("<Message>As you say</Message>")
        await r.told("STOP")
        assert not r.optouts.blocked(1, number_sid(r), ALICE)
        assert "OptOutType" not in r.customer.asked[0].form
        assert r.said() == ["As you say"]
        put(r)
        await r.told("STOP")
        assert r.optouts.blocked(1, number_sid(r), ALICE)

    play(tmp_path, scene)


def test_keywords_are_kept_and_belong_to_their_scope(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        made = service(r, inbound_url=URL)
        put(r, made.sid, filtering=False)
        await r.told("STOP")
        assert not r.optouts.blocked(1, made.sid, ALICE), "a sender in a pool has the service's"
        after = r.estate.restarted().records
        found = [kept for name, kept in after.owned._records.items() if name.__name__ == "Keywords"]
        assert [kept.scope for kept in found[0].values()] == [made.sid]  # type: ignore[attr-defined]
        after.close()
        assert r.keywords.find(r.account, "PN" + "9" * 32) is None
        assert r.keywords.find(r.estate.child, made.sid) is None
        assert r.keywords.find(r.account, "nonsense") is None

    play(tmp_path, scene)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"[]", b"{", b'{"filter": true}', b'{"filtering": 1}', b'{"rules": {}}',
        b'{"rules": [{"type": "STOP", "keywords": [], "text": "x"}]}',
        b'{"rules": [{"type": "START", "keywords": ["stop"], "text": "x"}]}', b"\xff",
    ],
)  # fmt: skip
def test_keywords_that_cannot_be_used_are_refused(tmp_path: Path, text: bytes) -> None:
    async def scene(r: Reception) -> None:
        keywords = r.keywords.find(r.account, number_sid(r))
        assert keywords is not None
        with pytest.raises(Refusal) as refused:
            r.keywords.put(keywords, text)
        assert refused.value.problem.name == "keywords_invalid"
        assert r.keywords.find(r.account, number_sid(r)) == keywords

    play(tmp_path, scene)


def test_yes_is_not_enough_for_a_toll_free_number(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        number = r.estate.number("+18005550199")
        await r.told("STOP", to=number.phone)
        await r.told("YES", to=number.phone)
        assert r.optouts.blocked(1, number.sid, ALICE)
        await r.told("UNSTOP", to=number.phone)
        assert not r.optouts.blocked(1, number.sid, ALICE)

    play(tmp_path, scene)


def test_a_word_within_a_sentence_is_no_keyword(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        await r.told("Please stop by at nine")
        assert not r.optouts.blocked(1, number_sid(r), ALICE)
        assert "OptOutType" not in r.customer.asked[0].form

    play(tmp_path, scene)


def test_who_has_no_number_is_not_answered(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        await r.told("STOP", from_="24273")
        assert r.said() == []
        assert r.optouts.count(1, number_sid(r)) == 0
        assert "OptOutType" not in r.customer.asked[0].form

    play(tmp_path, scene)
