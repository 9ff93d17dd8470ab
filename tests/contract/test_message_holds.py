"""What still holds what of a message, until when, under a path of our own."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from harness import Receiver, RunningServer, wait_for
from picture_host import PictureHost
from tenants import Tenant, assert_unknown, owner, subaccount
from webhook_app import App, Said
from wire_checks import create, fresh_phone, get, until

HOUR_S = 3_600
DISCARD = {"ContentRetention": "discard", "AddressRetention": "obfuscate"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its clock is moved."""
    with RunningServer(tmp_path_factory.mktemp("holds") / "data") as running:
        yield running


def path(server: RunningServer, sid: str) -> str:
    return f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/holds"


def told(server: RunningServer, sid: str) -> dict[str, Any]:
    answer = get(server, path(server, sid))
    assert answer.pop("sid") == sid
    assert set(answer) == {"holds", "forgotten"}
    return answer


def held(server: RunningServer, sid: str) -> dict[tuple[str, str], str | None]:
    """Part and hold → until when."""
    rows = told(server, sid)["holds"]
    assert all(set(row) == {"part", "hold", "reason", "owner", "until"} for row in rows)
    return {(row["part"], row["hold"]): row["until"] for row in rows}


def gone(server: RunningServer, sid: str) -> list[str]:
    return [part["part"] for part in told(server, sid)["forgotten"]]


def hours_after(server: RunningServer, sid: str, moment: str) -> float:
    """How long after the message was handed over that is."""
    history = get(server, path(server, sid).replace("holds", "history"))["history"]
    handed = next(change["at"] for change in history if change["fact"] in ("handed", "received"))
    span = datetime.fromisoformat(moment) - datetime.fromisoformat(handed)
    return span / timedelta(hours=1)


def delivered(server: RunningServer, **form: str) -> str:
    sid = create(server, **form)["sid"]
    until(server, sid, "delivered")
    return sid


def test_what_is_kept_is_held_by_its_account(server: RunningServer) -> None:
    """For 400 days, unless the account keeps it shorter."""
    sid = delivered(server)
    server.advance(7 * HOUR_S)
    ends = held(server, sid)
    assert set(ends) == {("content", "retain_content"), ("address", "retain_address")}
    for moment in ends.values():
        assert moment is not None
        assert hours_after(server, sid, moment) == pytest.approx(400 * 24, abs=0.01)
    server.client().messages(sid).update(body="")
    assert set(held(server, sid)) == {("address", "retain_address")}
    (part,) = told(server, sid)["forgotten"]
    history = get(server, path(server, sid).replace("holds", "history"))["history"]
    assert part == {"part": "content", "at": history[-1]["at"]}


def test_the_recovery_hold_and_its_end(server: RunningServer) -> None:
    """R8: six hours after the hand-over; until then both parts live, for that reason."""
    sid = delivered(server, **DISCARD)
    ends = held(server, sid)
    assert set(ends) == {("content", "recovery"), ("address", "recovery")}
    for moment in ends.values():
        assert moment is not None
        assert hours_after(server, sid, moment) == pytest.approx(6, abs=0.001)
    server.advance(6 * HOUR_S + 5)
    assert told(server, sid)["holds"] == []
    assert gone(server, sid) == ["address", "content"]


def test_a_hold_that_has_begun_ends_when_it_was_to_end(server: RunningServer) -> None:
    """A shorter window counts from the next message on: what is told of this one stays true."""
    tenant = owner(server)
    sid = delivered(server, **DISCARD)
    before = held(server, sid)
    privacy = f"/hushwire/v1/accounts/{tenant.sid}/privacy"
    assert server.json("PUT", privacy, {"windows_s": {"recovery": 0}})[0] == 200
    try:
        assert held(server, sid) == before
        server.advance(5 * HOUR_S)
        assert gone(server, sid) == []
        server.advance(HOUR_S + 5)
        assert gone(server, sid) == ["address", "content"]
    finally:
        assert server.json("PUT", privacy, {"windows_s": None})[0] == 200


def test_a_longer_window_counts_for_what_is_held(server: RunningServer) -> None:
    """And is told: the end of the hold moves with it."""
    tenant = owner(server)
    privacy = f"/hushwire/v1/accounts/{tenant.sid}/privacy"
    try:
        assert server.json("PUT", privacy, {"windows_s": {"recovery": HOUR_S}})[0] == 200
        sid = delivered(server, **DISCARD)
        assert server.json("PUT", privacy, {"windows_s": {"recovery": 2 * HOUR_S}})[0] == 200
        for moment in held(server, sid).values():
            assert moment is not None
            assert hours_after(server, sid, moment) == pytest.approx(2, abs=0.001)
        server.advance(HOUR_S + 60)
        assert gone(server, sid) == []
        server.advance(HOUR_S)
        assert gone(server, sid) == ["address", "content"]
    finally:
        assert server.json("PUT", privacy, {"windows_s": None})[0] == 200


def test_what_waits_is_held_by_the_queue(server: RunningServer) -> None:
    """R6, D7: at most four hours."""
    server.behave(to := fresh_phone(), "silent")
    tenant = subaccount(server)
    number = tenant.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")
    slow = f"/hushwire/v1/accounts/{tenant.sid}/numbers/{number['sid']}"
    assert server.json("PATCH", slow, {"mps": 0.001})[0] == 200
    form = {"From": number["phone_number"], "To": to, "Body": "x", **DISCARD}
    sids = [tenant.made("POST", "Messages.json", 201, **form)["sid"] for _ in range(2)]
    last = path(server, sids[1]).replace(server.sid, tenant.sid)
    rows = tenant.made("GET", last)["holds"]
    assert {(row["part"], row["hold"]) for row in rows} == {
        ("content", "queue"), ("address", "queue"),
    }  # fmt: skip
    now = datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])
    assert timedelta(hours=3.9) < datetime.fromisoformat(rows[0]["until"]) - now
    assert datetime.fromisoformat(rows[0]["until"]) - now < timedelta(hours=4.1)


def test_an_untold_status_holds_what_it_needs(server: RunningServer, receiver: Receiver) -> None:
    receiver.answer = lambda callback: 500
    sid = delivered(server, StatusCallback=receiver.url("/"), **DISCARD)
    receiver.wait(1)
    assert ("content", "callback") in held(server, sid)
    assert ("address", "callback") in held(server, sid)


def test_an_inbound_text_is_held_while_its_webhooks_are_tried(server: RunningServer) -> None:
    """R10: six hours."""
    with App(lambda request: Said(status=500)) as app:
        tenant = subaccount(server)
        number = tenant.made(
            "POST", "IncomingPhoneNumbers.json", 201, AreaCode="415", SmsUrl=app.url()
        )
        privacy = f"/hushwire/v1/accounts/{tenant.sid}/privacy"
        on = {"redact_body": True, "redact_numbers": True}
        assert server.json("PUT", privacy, on)[0] == 200
        phone = f"/sandbox/phones/{quote(fresh_phone())}/messages"
        content = {"to": number["phone_number"], "body": "Hello"}
        sid = server.json("POST", phone, content)[1]["sid"]
        mine = path(server, sid).replace(server.sid, tenant.sid)
        app.wait(1)
        rows = tenant.made("GET", mine)["holds"]
        assert {(row["part"], row["hold"]) for row in rows} == {
            ("content", "webhook"), ("address", "webhook"),
        }  # fmt: skip
        server.advance(6 * HOUR_S + 60)
        assert tenant.made("GET", mine)["holds"] == []
        assert [part["part"] for part in tenant.made("GET", mine)["forgotten"]] == [
            "address", "content",
        ]  # fmt: skip


def test_media_have_an_end_of_their_own(server: RunningServer) -> None:
    """R16, R17: 15 minutes, or seven days where they went as a link, whatever else is gone."""
    with PictureHost() as host:
        for to, hours in ((fresh_phone(), 0.25), ("+447700900123", 7 * 24)):
            sid = delivered(server, To=to, MediaUrl=host.url("/cat.png"), **DISCARD)
            end = held(server, sid)["media", "media"]
            assert end is not None
            assert hours_after(server, sid, end) == pytest.approx(hours, abs=0.001)
            server.advance(int(hours * HOUR_S) - 60)
            assert held(server, sid)["media", "media"] == end
            server.advance(120)
            assert "media" in gone(server, sid)
            assert ("media", "media") not in held(server, sid)


def test_a_message_that_never_had_its_media_forgot_none(server: RunningServer) -> None:
    with PictureHost() as host:
        sid = create(server, MediaUrl=host.url("/missing.png"))["sid"]
        wait_for(lambda: server.client().messages(sid).fetch().status == "failed")
    assert gone(server, sid) == []


def test_a_legal_hold_has_no_end(server: RunningServer) -> None:
    """What was to be forgotten is withheld; its key lives until the hold is lifted."""
    sid = delivered(server)
    holds = f"/hushwire/v1/accounts/{server.sid}/legal-holds"
    wanted = {"author": "Counsel", "reason": "Case 4711", "message_sid": sid}
    status, hold = server.json("POST", holds, wanted)
    assert status == 201
    server.client().messages(sid).update(body="")
    assert held(server, sid)["content", "legal"] is None
    assert "content" not in gone(server, sid)
    assert server.json("POST", f"{holds}/{hold['sid']}/lift", {})[0] == 200
    wait_for(lambda: gone(server, sid) == ["content"])


def test_who_may_read_the_message_may_ask(server: RunningServer) -> None:
    sid = delivered(server)
    tenant = owner(server)
    reading = tenant.key(
        KeyType="restricted", Policy='{"allow":["/twilio/messaging/messages/read"]}'
    )
    listing = tenant.key(
        KeyType="restricted", Policy='{"allow":["/twilio/messaging/messages/list"]}'
    )
    assert (reading.may("GET", path(server, sid)), listing.may("GET", path(server, sid))) == (
        0,
        70051,
    )
    stranger: Tenant = subaccount(server)
    assert_unknown(stranger.ask("GET", path(server, sid)), path(server, sid))
    unknown = path(server, f"SM{'0' * 32}")
    assert_unknown(tenant.ask("GET", unknown), unknown)
