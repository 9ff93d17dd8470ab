"""Feedback: what the customer reports of a message's outcome (5.8)."""

import json
from urllib.parse import quote

import pytest

from harness import RunningServer
from wire_checks import (
    FACTS,
    assert_facts,
    assert_refused,
    create,
    fresh_phone,
    get,
    messages,
    post,
    until,
)

SCHEMA = FACTS["components"]["schemas"]["api.v2010.account.message.message_feedback"]


def feedback(server: RunningServer, sid: str) -> str:
    return messages(server, sid).replace(".json", "/Feedback.json")


def outcome(server: RunningServer, sid: str) -> object:
    path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/history"
    return get(server, path)["feedback"]


def test_a_report_is_answered_as_twilio_does(server: RunningServer) -> None:
    """200 and not 201; `confirmed` unless another outcome is given."""
    sid = create(server, ProvideFeedback="true")["sid"]
    status, _, body = post(server, {}, feedback(server, sid))
    report = json.loads(body)
    assert status == 200
    assert_facts(SCHEMA, report)
    assert report == {
        "account_sid": server.sid, "message_sid": sid, "outcome": "confirmed",
        "date_created": report["date_created"], "date_updated": report["date_created"],
        "uri": feedback(server, sid),
    }  # fmt: skip
    assert get(server, messages(server, sid))["subresource_uris"]["feedback"] == report["uri"]


def test_the_sdk_reports_and_corrects(server: RunningServer) -> None:
    """T-23: the outcome counts as unconfirmed until it is reported; the last report counts."""
    sid = create(server, ProvideFeedback="true")["sid"]
    assert outcome(server, sid) == "unconfirmed"
    reports = server.client().messages(sid).feedback
    first = reports.create(outcome="confirmed")
    assert (first.outcome, first.message_sid, first.account_sid) == ("confirmed", sid, server.sid)
    assert outcome(server, sid) == "confirmed"
    second = reports.create(outcome="unconfirmed")
    assert (second.outcome, second.date_created) == ("unconfirmed", first.date_created)
    assert outcome(server, sid) == "unconfirmed"


def test_a_message_that_did_not_ask_for_it_takes_it_too(server: RunningServer) -> None:
    sid = create(server)["sid"]
    assert outcome(server, sid) is None
    assert post(server, {"Outcome": "confirmed"}, feedback(server, sid))[0] == 200
    assert outcome(server, sid) == "confirmed"


@pytest.mark.parametrize("form", [b"Outcome=maybe", b"Outcome=Confirmed",
                                  b"Outcome=confirmed&Outcome=confirmed"])  # fmt: skip
def test_another_outcome_is_refused(server: RunningServer, form: bytes) -> None:
    sid = create(server)["sid"]
    assert_refused(post(server, form, feedback(server, sid)), 400, 20422,
                   "Invalid Parameter: Outcome")  # fmt: skip
    assert outcome(server, sid) is None


def test_there_must_be_a_message_that_was_sent(server: RunningServer) -> None:
    """Unknown, malformed, another account's or received: 404 with 20404."""
    _, inbound = server.json(
        "POST", f"/sandbox/phones/{quote(fresh_phone())}/messages",
        {"to": server.number, "body": "x"},
    )  # fmt: skip
    foreign = feedback(server, create(server)["sid"]).replace(server.sid, "AC" + "0" * 32)
    unknown = [feedback(server, sid) for sid in ("SM" + "0" * 32, "x", inbound["sid"])]
    for path in (*unknown, foreign):
        assert_refused(post(server, b"Outcome=confirmed", path), 404, 20404)


def test_it_goes_with_its_message(server: RunningServer) -> None:
    sid = until(server, create(server)["sid"], "delivered")["sid"]
    assert post(server, b"", feedback(server, sid))[0] == 200
    assert server.request("DELETE", messages(server, sid))[0] == 204
    assert_refused(post(server, b"", feedback(server, sid)), 404, 20404)


def test_it_cannot_be_read_through_this_path(server: RunningServer) -> None:
    """Twilio has no such operation either; who may not ask learns nothing."""
    path = feedback(server, create(server)["sid"])
    assert_refused(server.request("GET", path), 405, 20004)
    assert_refused(server.request("POST", path, b"", auth=False), 401, 20003)
