"""Webhooks by GET: warned of, posted instead, or without content, which is claimed once."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from hushwire.clock import SeededEntropy
from hushwire.domain.holds import custody_of, holds
from hushwire.domain.incoming import CLAIM_MS
from hushwire.domain.message import Message
from hushwire.domain.privacy import Privacy
from hushwire.errors import Defect
from hushwire.outbound import Failure
from hushwire.webhooks import claims
from hushwire.webhooks.claims import Claims
from hushwire.webhooks.inbound_answer import BY_GET, Desk
from inbound_rig import BROKEN, EMPTY, FALLBACK, Asked, Reception, Scripted, play, twiml
from rig import Rig
from rig import play as play_rig

PARAMS = {"MessageSid": "SM1", "Body": "Hello"}
THIN = {"MessageSid", "AccountSid", "ClaimToken"}


# The claims -------------------------------------------------------------------------------


def test_a_claim_is_taken_once_by_its_account(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        held = Claims(rig.clock, SeededEntropy(3))
        first, second = held.offer(1, 10, PARAMS), held.offer(1, 11, {})
        assert first != second
        assert held.take(2, first) is None, "another account's is as unknown as none"
        assert held.take(1, "f" * 48) is None
        assert held.take(1, first) == PARAMS
        assert held.take(1, first) is None
        assert held.take(1, second) == {}

    play_rig(tmp_path, scene)


def test_a_claim_is_over_after_a_minute_or_when_its_message_is_forgotten(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        held = Claims(rig.clock, SeededEntropy(3))
        token = held.offer(1, 10, PARAMS)
        rig.clock.advance(CLAIM_MS - 1)
        young = held.offer(1, 11, PARAMS)
        rig.clock.advance(1)
        assert held.take(1, token) is None
        held.forget(11)
        assert held.take(1, young) is None
        assert not held._held, "nothing of it is left"

    play_rig(tmp_path, scene)


def test_of_the_token_only_a_hash_is_held_and_claims_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CLAIMS_MAX", 3)

    async def scene(rig: Rig) -> None:
        held = Claims(rig.clock, SeededEntropy(3))
        tokens = [held.offer(1, n, {"n": str(n)}) for n in range(4)]
        assert len(held._held) == 3
        for token in tokens:
            assert token.encode() not in held._held
            assert bytes.fromhex(token) not in held._held
        assert held.take(1, tokens[0]) is None, "the oldest went"
        assert held.take(1, tokens[3]) == {"n": "3"}

    play_rig(tmp_path, scene)


# The policy -------------------------------------------------------------------------------


def test_by_default_it_works_and_is_warned_of_once_a_day(tmp_path: Path) -> None:
    """R29, 23006: where content is to be forgotten. Elsewhere a GET is as good as a POST."""

    async def scene(reception: Reception) -> None:
        reception.set(sms_method="GET")
        await reception.told("One")
        assert reception.codes() == []
        for body in ("Two", "Three"):
            await told_to_be_forgotten(reception, body)
        assert reception.customer.bodies() == ["One", "Two", "Three"]
        assert {asked.method for asked in reception.customer.asked} == {"GET"}
        assert reception.codes() == [BY_GET]

    play(tmp_path, scene)


def test_it_is_posted_instead(tmp_path: Path) -> None:
    """The webhook, its fallback, and what documents ask for."""

    def reply(asked: Asked) -> Scripted:
        if asked.url.startswith(FALLBACK):
            return twiml('<Redirect method="GET">/next</Redirect>')
        return EMPTY if asked.url.endswith("/next") else BROKEN

    async def scene(reception: Reception) -> None:
        reception.set(sms_method="GET", sms_fallback_url=FALLBACK, sms_fallback_method="GET")
        reception.customer.reply = reply
        await told_to_be_forgotten(reception, "Hello")
        assert [asked.method for asked in reception.customer.asked] == ["POST"] * 3
        assert all("Body" not in asked.url for asked in reception.customer.asked)
        assert BY_GET not in reception.codes()

    play(tmp_path, scene, get_webhooks="post")


def test_a_thin_get_has_no_content_and_a_token_that_gets_it(tmp_path: Path) -> None:
    """The signature is of the URL as it goes out; each attempt has a token of its own."""
    found: list[dict[str, str]] = []

    async def scene(reception: Reception) -> None:
        reception.set(
            sms_url="http://customer.example.com/sms#rc=1&rp=all", sms_method="GET",
            sms_fallback_url=FALLBACK, sms_fallback_method="GET",
        )  # fmt: skip

        def reply(asked: Asked) -> Scripted:
            params = reception.claims.take(1, asked.form["ClaimToken"])
            assert params is not None
            found.append(dict(params))
            return EMPTY if asked.url.startswith(FALLBACK) else Failure("closed")

        reception.customer.reply = reply
        message = await reception.told("Hello")
        asked = reception.customer.asked
        assert len(asked) == len({each.form["ClaimToken"] for each in asked}) == 3
        validator = RequestValidator(reception.account.auth_token.reveal())
        for each in asked:
            assert each.form.keys() == THIN
            assert (each.method, each.form["MessageSid"]) == ("GET", message.sid)
            assert validator.validate(each.url, {}, each.headers["X-Twilio-Signature"])
        assert [params["Body"] for params in found] == ["Hello"] * 3
        assert found[0].keys() == found[2].keys() - {"ErrorCode", "ErrorUrl"}
        assert found[2]["ErrorUrl"] == "http://customer.example.com/sms"

    play(tmp_path, scene, get_webhooks="thin")


def test_a_post_is_as_ever_where_a_get_would_be_thin(tmp_path: Path) -> None:
    async def scene(reception: Reception) -> None:
        await reception.told("Hello")
        assert reception.customer.bodies() == ["Hello"]

    play(tmp_path, scene, get_webhooks="thin")


def test_what_is_forgotten_cannot_be_claimed(tmp_path: Path) -> None:
    async def scene(reception: Reception) -> None:
        reception.set(sms_method="GET")
        message = await reception.told("Hello")
        (asked,) = reception.customer.asked
        reception.inbox.forget(message.key)
        assert reception.claims.take(1, asked.form["ClaimToken"]) is None

    play(tmp_path, scene, get_webhooks="thin")


def test_thin_webhooks_need_claims(tmp_path: Path) -> None:
    async def scene(reception: Reception) -> None:
        desk = reception.inbox._desk
        with pytest.raises(Defect):
            Desk(
                desk.incoming, desk.endings, desk.client, desk.clock, desk.alerts,
                get_webhooks="thin",
            )  # fmt: skip

    play(tmp_path, scene)


def test_where_all_is_forgotten_it_is_held_until_it_is_claimed(tmp_path: Path) -> None:
    """Hold `claim`: the webhook was answered and has asked for nothing yet. Its latest token is
    good until it is taken, and the message is forgotten in that moment."""

    async def scene(reception: Reception) -> None:
        reception.set(sms_url="http://customer.example.com/sms#rc=1&rp=all", sms_method="GET")
        answers: list[Scripted] = [Failure("closed"), EMPTY]
        reception.customer.reply = lambda asked: answers.pop(0)
        message = await told_to_be_forgotten(reception, "Hello")
        now_ms = reception.rig.clock.now_ms()
        left = custody_of(stored(reception, message), callbacks_pending=False)
        (held,) = (hold for hold in holds(left, now_ms) if hold.name == "claim")
        assert (held.owner, held.keeps) == ("customer", {"content", "address"})
        assert now_ms < held.until_ms <= now_ms + CLAIM_MS
        first, last = (asked.form["ClaimToken"] for asked in reception.customer.asked)
        params = reception.claims.take(1, last)
        assert params is not None
        assert params["Body"] == "Hello"
        await reception.quiet()
        assert stored(reception, message).content_key is None
        assert reception.claims.take(1, first) is None

    play(tmp_path, scene, get_webhooks="thin")


def test_what_is_claimed_before_the_answer_is_forgotten_with_it(tmp_path: Path) -> None:
    async def scene(reception: Reception) -> None:
        reception.set(sms_method="GET")

        def reply(asked: Asked) -> Scripted:
            assert reception.claims.take(1, asked.form["ClaimToken"]) is not None
            return EMPTY

        reception.customer.reply = reply
        message = await told_to_be_forgotten(reception, "Hello")
        assert stored(reception, message).content_key is None

    play(tmp_path, scene, get_webhooks="thin")


def stored(reception: Reception, message: Message) -> Message:
    found = reception.rig.store.latest(message.key)
    assert found is not None
    return found


async def told_to_be_forgotten(reception: Reception, body: str) -> Message:
    """A text whose content is to be forgotten, once its webhook was told."""
    accounts = reception.rig.store.accounts
    accounts.change(replace(accounts.by_id[1], privacy=Privacy(redact_body=True)))
    return await reception.told(body)
