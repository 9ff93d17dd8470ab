"""Twilio's redaction guide, rule by rule (R1 to R38 of twilio-messaging 8.4), on a running server.

Each row of `RULES` is a message, what its account and the message itself ask to be forgotten,
and what a read shows as the server's clock goes on. Rules that speak of something else than one
message's life have a test of their own, below or where `ELSEWHERE` says; the last test holds the
table to be whole.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import pytest

from harness import RunningServer, wait_for
from picture_host import PictureHost
from tenants import Tenant, subaccount
from webhook_app import App, Request, Said
from wire_checks import fresh_phone

HOUR, DAY = 3_600, 86_400
BODY = "Your test result is here"
ON = {"redact_body": True, "redact_numbers": True}
_numbers = itertools.count(1000)

Shown = Literal["body", "number", "both", "neither"]


class Rule(NamedTuple):
    """A message and the moments at which it is read: seconds after it left → what is shown."""

    rules: str
    moments: tuple[tuple[int, Shown], ...]
    privacy: Mapping[str, Any] = MappingProxyType({})
    asked: Mapping[str, str] = MappingProxyType({})
    behaviour: str = "deliver"


LATER = 6 * HOUR
RULES = [
    Rule("R1", ((0, "both"), (LATER + 60, "both"), (30 * DAY, "both"))),
    Rule("R1 R2 R7 R8", ((0, "both"), (LATER - 60, "both"), (LATER + 60, "number")),
         {"redact_body": True}),
    Rule("R1 R3 R4 R8", ((0, "both"), (LATER - 60, "both"), (LATER + 60, "body")),
         {"redact_numbers": True}),
    Rule("R5 R9", ((0, "both"), (LATER - 60, "both"), (LATER + 60, "neither")), ON),
    Rule("R8", ((0, "both"), (HOUR + 60, "neither")), {**ON, "windows_s": {"recovery": HOUR}}),
    Rule("R8", ((60, "neither"),), {**ON, "windows_s": {"recovery": 0}}),
    Rule("R7 R8 R9", ((LATER + 60, "neither"),), ON, behaviour="undeliverable"),
    Rule("R7 R8", ((LATER - 60, "both"), (LATER + 60, "neither")), ON, behaviour="silent"),
    Rule("R33", ((LATER + 60, "body"), (30 * DAY, "body")), ON, {"ContentRetention": "retain"}),
    Rule("R34", ((LATER + 60, "number"), (30 * DAY, "number")), ON,
         {"AddressRetention": "retain"}),
    Rule("R33 R34", ((LATER + 60, "both"), (30 * DAY, "both")), ON,
         {"ContentRetention": "retain", "AddressRetention": "retain"}),
    Rule("R35", ((LATER - 60, "both"), (LATER + 60, "number")), {},
         {"ContentRetention": "discard"}),
    Rule("R36", ((LATER - 60, "both"), (LATER + 60, "body")), {},
         {"AddressRetention": "obfuscate"}),
]  # fmt: skip

ELSEWHERE = {  # rule → the file whose test names it
    "R6": "tests/unit/test_privacy.py",
    "R14": "tests/contract/test_scan.py",
    "R20": "tests/unit/test_holds_model.py",
    "R21": "tests/unit/test_holds_model.py",
    "R22": "tests/unit/test_holds_model.py",
    **{f"R{n}": "tests/contract/test_scan.py" for n in (25, 26, 27, 28, 29, 30, 32)},
    "R38": "tests/e2e/test_subpoena_drill.py",
}
NOT_OURS = {
    "R19": "there is no WhatsApp carrier yet; the holds for one are in the table",
    "R23": "what WhatsApp's own containers keep; said in docs/explanation/what-it-forgets.md",
    "R24": "likewise",
    "R31": "Studio, Flex and Conversations are not built",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its clock is moved for months."""
    with RunningServer(tmp_path_factory.mktemp("rules") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def host() -> Iterator[PictureHost]:
    with PictureHost() as host:
        yield host


def tenant(server: RunningServer, privacy: Mapping[str, Any], **number: str) -> tuple[Tenant, str]:
    """An account of its own with these settings, and its number."""
    account = subaccount(server)
    status, answer = server.json(
        "PUT", f"/hushwire/v1/accounts/{account.sid}/privacy", dict(privacy)
    )
    assert status == 200, answer
    assert {name: answer[name] for name in privacy if name != "windows_s"} == {
        name: value for name, value in privacy.items() if name != "windows_s"
    }
    phone = f"+1628557{next(_numbers):04d}"
    account.made("POST", "IncomingPhoneNumbers.json", 201, PhoneNumber=phone, **number)
    return account, phone


def read(account: Tenant, sid: str) -> dict[str, Any]:
    return account.made("GET", f"Messages/{sid}.json")


def settled(account: Tenant, sid: str) -> dict[str, Any]:
    """The message once nothing more is expected to happen soon."""
    done = {"delivered", "undelivered", "failed", "sent"}
    wait_for(lambda: read(account, sid)["status"] in done)
    return read(account, sid)


def send(account: Tenant, **form: str) -> dict[str, Any]:
    return account.made("POST", "Messages.json", 201, **form)


def masked(phone: str) -> str:
    return f"{phone[:-4]}XXXX"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rules.replace(" ", "-"))
def test_a_message_sent_is_shown_as_long_as_its_holds_last(
    server: RunningServer, rule: Rule
) -> None:
    """R1 to R5, R7 to R9, R33 to R36; RC-1, RC-2, RC-3, RC-8."""
    account, number = tenant(server, rule.privacy)
    phone = fresh_phone()
    server.behave(phone, rule.behaviour)
    made = send(account, To=phone, From=number, Body=BODY, **rule.asked)
    assert (made["to"], made["body"]) == (phone, BODY)  # it is in transit still
    first = settled(account, made["sid"])
    at = 0
    for moment, shown in rule.moments:
        if moment > at:
            server.advance(moment - at)
            at = moment
        now = read(account, made["sid"])
        body = BODY if shown in ("body", "both") else ""
        to = phone if shown in ("number", "both") else masked(phone)
        assert (now["body"], now["to"], now["from"]) == (body, to, number), (rule.rules, moment)
        kept = ("num_segments", "price", "date_created", "date_sent", "direction", "num_media")
        assert {name: now[name] for name in kept} == {name: first[name] for name in kept}  # R9
        found = account.made("GET", f"Messages.json?To={quote(phone)}")["messages"]
        assert [one["sid"] for one in found] == ([made["sid"]] if to == phone else [])


@pytest.mark.parametrize(
    ("body", "number"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_what_comes_in_is_told_whole_and_then_shown_redacted(
    server: RunningServer, body: bool, number: bool
) -> None:
    """R5, R10, R12, R13; RC-4, D5: the webhook has it all; a read right after has not."""
    with App(lambda _: Said("<Response/>")) as app:
        account, own = tenant(
            server, {"redact_body": body, "redact_numbers": number}, SmsUrl=app.url()
        )
        phone = fresh_phone()
        sid = text(server, phone, own)
        (told,) = app.wait(1)
        assert (told.form["From"], told.form["Body"], told.form["To"]) == (phone, BODY, own)
        expected = ("" if body else BODY, masked(phone) if number else phone, own)
        wait_for(lambda: shown(account, sid) == expected)
        assert read(account, sid)["status"] == "received"


def test_the_fallback_gets_it_whole_when_the_webhook_fails(server: RunningServer) -> None:
    """R10, R11, R12, R29: POST both; the alert holds nothing."""

    def answer(request: Request) -> Said:
        return Said("down", 500) if request.path == "/sms" else Said("<Response/>")

    with App(answer) as app:
        account, own = tenant(server, ON, SmsUrl=app.url(), SmsFallbackUrl=app.url("/fallback"))
        phone = fresh_phone()
        sid = text(server, phone, own)
        _, fallback = app.wait(2)
        assert fallback.method == "POST"
        assert (fallback.form["From"], fallback.form["Body"]) == (phone, BODY)
        wait_for(lambda: shown(account, sid) == ("", masked(phone), own))
        alerts = json.dumps(account.made("GET", "/v1/Alerts"))
        assert sid in alerts
        assert phone not in alerts
        assert BODY not in alerts


def test_what_nobody_takes_is_held_for_six_hours_and_then_forgotten(server: RunningServer) -> None:
    """R10, R13: tried again meanwhile, and readable; then not."""
    with App(lambda _: Said("down", 500)) as app:
        account, own = tenant(server, ON, SmsUrl=app.url())
        phone = fresh_phone()
        sid = text(server, phone, own)
        app.wait(1)
        server.advance(2 * HOUR)
        assert shown(account, sid) == (BODY, phone, own)
        assert len(app.requests) > 1
        server.advance(4 * HOUR + 60)
        assert shown(account, sid) == ("", masked(phone), own)
        tried = len(app.requests)
        server.advance(DAY)
        assert len(app.requests) == tried


def test_what_is_told_to_nobody_is_redacted_before_it_can_be_read(server: RunningServer) -> None:
    """R12, R13."""
    account, own = tenant(server, ON)
    phone = fresh_phone()
    assert shown(account, text(server, phone, own)) == ("", masked(phone), own)


def test_a_reply_follows_the_account(server: RunningServer) -> None:
    """R37: TwiML replies, and the answer to STOP, are forgotten as the account says."""
    with App(lambda _: Said("<Response><Message>Come at nine</Message></Response>")) as app:
        account, own = tenant(server, ON, SmsUrl=app.url())
        phone = fresh_phone()
        text(server, phone, own)
        wait_for(lambda: [s["body"] for s in server.screen(phone)] == ["Come at nine"])
        text(server, phone, own, "STOP")
        wait_for(lambda: len(server.screen(phone)) == 2)
        server.advance(LATER + 60)
        found = account.made("GET", "Messages.json")["messages"]
        assert [one["direction"] for one in found].count("outbound-reply") == 2
        assert {one["body"] for one in found} == {""}
        assert phone not in json.dumps(found)


@pytest.mark.parametrize(
    ("to", "kept_s"), [("+14155557701", 15 * 60), ("+447911123457", 7 * DAY)], ids=["R16", "R17"]
)
def test_media_sent_are_deleted_by_where_they_went(
    server: RunningServer, host: PictureHost, to: str, kept_s: int
) -> None:
    """R15, R16, R17; RC-5: 15 minutes to the US and Canada, 7 days where a link went."""
    account, own = tenant(server, ON)
    sid = send(account, To=to, From=own, Body=BODY, MediaUrl=host.url("/cat.png"))["sid"]
    settled(account, sid)
    media = f"Messages/{sid}/Media.json"
    (medium,) = account.made("GET", media)["media_list"]
    server.advance(kept_s - 60)
    assert len(account.made("GET", media)["media_list"]) == 1
    server.advance(120)
    assert account.made("GET", media)["media_list"] == []
    assert account.may("GET", f"Messages/{sid}/Media/{medium['sid']}") == 20404
    assert read(account, sid)["num_media"] == "1"


def test_media_that_came_are_deleted_after_a_day(server: RunningServer, host: PictureHost) -> None:
    """R15, R18; RC-5."""
    with App(lambda _: Said("<Response/>")) as app:
        account, own = tenant(server, ON, SmsUrl=app.url())
        phone = fresh_phone()
        sid = text(server, phone, own, BODY, [host.url("/cat.png")])
        (told,) = app.wait(1)
        assert told.form["NumMedia"] == "1"
        wait_for(lambda: read(account, sid)["body"] == "")
        media = f"Messages/{sid}/Media.json"
        server.advance(DAY - 60)
        assert len(account.made("GET", media)["media_list"]) == 1
        server.advance(120)
        assert account.made("GET", media)["media_list"] == []


@pytest.mark.parametrize(
    ("display", "left"), [("last4", "+1628555XXXX"), ("country", "+1…"), ("none", "")]
)
def test_as_much_of_a_number_is_left_as_the_account_says(
    server: RunningServer, display: str, left: str
) -> None:
    account, own = tenant(server, {**ON, "display": display, "windows_s": {"recovery": 0}})
    phone = fresh_phone()
    assert phone.startswith("+1628555")
    sid = send(account, To=phone, From=own, Body=BODY)["sid"]
    settled(account, sid)
    server.advance(60)
    assert read(account, sid)["to"] == left
    by_left = account.made("GET", f"Messages.json?To={quote(left or 'XXXX')}")
    assert by_left["messages"] == []


def test_a_callback_says_no_more_than_the_record(server: RunningServer) -> None:
    """RC-1, R12: what is told after the number was forgotten shows it masked."""
    with App(lambda _: Said()) as app:
        account, own = tenant(server, {"redact_numbers": True, "windows_s": {"recovery": 0}})
        phone = fresh_phone()
        server.behave(phone, "slow")
        send(account, To=phone, From=own, Body=BODY, StatusCallback=app.url())
        app.wait(1)
        server.advance(40)
        sent, delivered = app.wait(2)
        assert sent.form["To"] == phone
        assert delivered.form["To"] in (phone, masked(phone))
        assert "Body" not in delivered.form


def test_every_rule_is_proved_or_not_ours() -> None:
    """R1 to R38: named by a test here, or where this table says."""
    here = Path(__file__)
    mine = set(re.findall(r"\bR\d+\b", here.read_text(encoding="utf-8").partition("def tenant")[2]))
    mine |= {name for rule in RULES for name in rule.rules.split()}
    root = here.parents[2]
    for name, file in ELSEWHERE.items():
        assert re.search(rf"\b{name}\b", (root / file).read_text(encoding="utf-8")), (name, file)
    assert mine | set(ELSEWHERE) | set(NOT_OURS) >= {f"R{n}" for n in range(1, 39)}


def text(
    server: RunningServer, from_: str, to: str, body: str = BODY, media: list[str] | None = None
) -> str:
    """Somebody texts a number; the SID."""
    status, answer = server.json(
        "POST", f"/sandbox/phones/{quote(from_)}/messages",
        {"to": to, "body": body, "media_urls": media or []},
    )  # fmt: skip
    assert status == 201, answer
    return answer["sid"]


def shown(account: Tenant, sid: str) -> tuple[str, str, str]:
    found = read(account, sid)
    return found["body"], found["from"], found["to"]
