"""Scheduled messages: at their time, not before, through restarts; and what cancels them.

The server is this module's own: its clock is moved, and it is stopped and started.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from harness import Receiver, RunningServer, wait_for
from tenants import owner
from v1_checks import sdk
from wire_checks import assert_refused, fresh_phone, messages, post, refusal

HOUR_S = 3_600
WINDOW = (300, 3_024_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("scheduled") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def service(server: RunningServer) -> str:
    """The SID of a service with one sender."""
    client = sdk(owner(server))
    made = client.messaging.v1.services.create(friendly_name="Shop")
    made.phone_numbers.create(
        phone_number_sid=client.incoming_phone_numbers.list(phone_number=server.number)[0].sid
    )
    return made.sid


def now(server: RunningServer) -> datetime:
    """The server's clock."""
    return datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])


def scheduled(
    server: RunningServer, service: str, seconds: int, **more: Any
) -> tuple[MessageInstance, datetime]:
    at = now(server) + timedelta(seconds=seconds)
    given = {"to": fresh_phone(), "body": "Your appointment is tomorrow", **more}
    made = server.client().messages.create(
        messaging_service_sid=service, schedule_type="fixed", send_at=at, **given
    )
    return made, at.replace(microsecond=0)


def fetch(server: RunningServer, message: MessageInstance) -> dict[str, Any]:
    status, _, body = server.request("GET", messages(server, message.sid))
    assert status == 200, body
    return json.loads(body)


def cancel(server: RunningServer, sid: str) -> tuple[int, dict[str, str], bytes]:
    return post(server, {"Status": "canceled"}, messages(server, sid))


def test_it_goes_at_its_time_and_not_before(
    server: RunningServer, service: str, receiver: Receiver
) -> None:
    """5.6: `scheduled` with no sender, until the second it names."""
    message, at = scheduled(server, service, HOUR_S, status_callback=receiver.url("/told"))
    assert (message.status, message.from_, message.num_segments) == ("scheduled", None, "0")
    assert message.date_sent is None
    server.advance(HOUR_S - 5)
    assert now(server) < at
    assert fetch(server, message)["status"] == "scheduled"
    assert server.screen(message.to) == []
    server.advance(6)
    wait_for(lambda: fetch(server, message)["status"] == "delivered")
    sent = parsedate_to_datetime(fetch(server, message)["date_sent"])
    assert at <= sent <= at + timedelta(seconds=1)
    told = [c.form["MessageStatus"] for c in receiver.wait(3)]
    assert told == ["queued", "sent", "delivered"]


def test_it_survives_restarts_and_jumps_of_the_clock(server: RunningServer, service: str) -> None:
    """Each goes once: one due while the server runs, one due by the jump of a month."""
    soon, _ = scheduled(server, service, 2 * HOUR_S)
    late, at = scheduled(server, service, 30 * 86_400)
    server.stop()
    server.start()
    assert fetch(server, soon)["status"] == fetch(server, late)["status"] == "scheduled"
    server.advance(2 * HOUR_S + 1)
    wait_for(lambda: fetch(server, soon)["status"] == "delivered")
    server.advance(31 * 86_400)
    wait_for(lambda: fetch(server, late)["status"] == "delivered")
    sent = parsedate_to_datetime(fetch(server, late)["date_sent"])
    assert at <= sent <= at + timedelta(seconds=1), "the clock stopped there on its way"
    server.advance(HOUR_S)
    for message in (soon, late):
        assert len(server.screen(message.to)) == 1


def test_cancel(server: RunningServer, service: str, receiver: Receiver) -> None:
    """5.4: 200 with the resource, `canceled` is called back, and it never goes."""
    message, _ = scheduled(server, service, HOUR_S, status_callback=receiver.url("/told"))
    canceled = message.update(status="canceled")
    assert (canceled.status, canceled.from_, canceled.sid) == ("canceled", None, message.sid)
    (told,) = receiver.wait(1)
    assert told.form["MessageStatus"] == "canceled"
    server.advance(2 * HOUR_S)
    assert fetch(server, message)["status"] == "canceled"
    assert server.screen(message.to) == []
    assert len(receiver.callbacks) == 1
    assert_refused(cancel(server, message.sid), 409, 30409)
    assert message.delete(), "it is finished"


def test_what_is_not_scheduled_is_not_canceled(server: RunningServer, service: str) -> None:
    """30409; 30400 for what is no cancelation."""
    client = server.client()
    plain = client.messages.create(to=fresh_phone(), from_=server.number, body="Hello")
    assert_refused(cancel(server, plain.sid), 409, 30409)
    waiting, _ = scheduled(server, service, HOUR_S)
    path = messages(server, waiting.sid)
    for form in ({"Status": "sent"}, {"Status": "canceled", "Body": ""}, {"Body": "new"}, {}):
        assert_refused(post(server, form, path), 400, 30400)
    assert_refused(post(server, {"Body": ""}, path), 409, 20009)
    assert_refused(server.request("DELETE", path), 409, 20009)
    assert_refused(cancel(server, "SM" + "0" * 32), 404, 20404)
    assert waiting.update(status="canceled").status == "canceled"


@pytest.mark.parametrize("seconds", [WINDOW[0] - 5, WINDOW[1] + 5])
def test_too_near_and_too_far(server: RunningServer, service: str, seconds: int) -> None:
    """35117."""
    error = refusal(lambda: scheduled(server, service, seconds))
    assert (error.status, error.code) == (400, 35117)


def test_a_named_sender_is_kept_until_then(server: RunningServer, service: str) -> None:
    """T-9: it must be in the pool, and is shown."""
    message, _ = scheduled(server, service, HOUR_S, from_=server.number)
    assert (message.status, message.from_, message.num_segments) == (
        "scheduled", server.number, "0",
    )  # fmt: skip
    server.advance(HOUR_S + 1)
    wait_for(lambda: fetch(server, message)["status"] == "delivered")
    assert fetch(server, message)["from"] == server.number


def test_when_its_service_is_deleted_it_fails_at_its_time(server: RunningServer) -> None:
    """21701; until then it may be canceled."""
    client: Client = sdk(owner(server))
    made = client.messaging.v1.services.create(friendly_name="Short-lived")
    first, _ = scheduled(server, made.sid, HOUR_S)
    second, _ = scheduled(server, made.sid, HOUR_S)
    made.delete()
    assert first.update(status="canceled").status == "canceled"
    server.advance(HOUR_S + 1)
    wait_for(lambda: fetch(server, second)["status"] == "failed")
    assert fetch(server, second)["error_code"] == 21701
    assert fetch(server, second)["error_message"]


def test_the_validity_period_begins_at_its_time(server: RunningServer, service: str) -> None:
    message, at = scheduled(server, service, HOUR_S, validity_period=60)
    path = f"/hushwire/v1/accounts/{server.sid}/messages/{message.sid}/history"
    status, answer = server.json("GET", path)
    assert status == 200
    span = datetime.fromisoformat(answer["expires_at"]) - at
    assert 60 <= span.total_seconds() <= 61
    assert at.tzinfo is UTC
