"""A sender with a pace: messages that wait are queued, expire in time, and have an end.

Pace is a field of the number; nothing on the wire sets it yet, so these tests set it where it
is kept, while the server stands still.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Receiver, RunningServer
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, shape, until

MPS = 0.01  # one segment in 100 seconds
GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "answers.json").read_text(encoding="utf-8")
)


@pytest.fixture
def paced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("queue") / "data") as running:
        assert running.stop() == 0
        database = sqlite3.connect(running.data / "hushwire.db")
        database.execute("UPDATE number SET mps = ?", (MPS,))
        database.commit()
        database.close()
        running.start()
        first = create(running)["sid"]
        running.advance(101)  # a restart is no way around the pace: even the first one waits
        until(running, first, "delivered")
        yield running


def test_it_waits_its_turn_and_may_not_be_touched(paced: RunningServer) -> None:
    """K-19: 20009 while it is queued; after its turn it is delivered like any other."""
    made = create(paced, To="+16285551999")
    path = messages(paced, made["sid"])
    queued = get(paced, path)
    assert shape(queued) == GOLDEN["queued"]
    assert_refused(paced.request("DELETE", path), 409, 20009)
    assert_refused(post(paced, b"Body=", path), 409, 20009)
    paced.advance(90)
    assert get(paced, path)["status"] == "queued"
    paced.advance(11)
    assert until(paced, made["sid"], "delivered")["date_sent"] is not None


def test_the_pace_counts_segments(paced: RunningServer) -> None:
    long = create(paced, Body="a" * 306)  # two segments: 200 seconds of the sender
    after = create(paced)
    paced.advance(101)
    assert until(paced, long["sid"], "delivered")["num_segments"] == "2"
    paced.advance(150)
    assert get(paced, messages(paced, after["sid"]))["status"] == "queued"
    paced.advance(60)
    until(paced, after["sid"], "delivered")


def test_what_waits_too_long_fails(paced: RunningServer) -> None:
    """T-24: failed with 30036, called back, never sent; it is complete and may be deleted."""
    receiver = Receiver()
    to = "+16285551999"
    made = create(paced, To=to, ValidityPeriod="50", StatusCallback=receiver.url())
    path = messages(paced, made["sid"])
    paced.advance(49)
    assert get(paced, path)["status"] == "queued"
    paced.advance(3)
    assert shape(get(paced, path)) == GOLDEN["expired"]
    (callback,) = receiver.wait(1)
    assert callback.form["MessageStatus"] == callback.form["SmsStatus"] == "failed"
    assert callback.form["ErrorCode"] == "30036"
    assert callback.form["ErrorMessage"] == "Validity Period Expired"
    assert "RawDlrDoneDate" not in callback.form
    paced.advance(3600)
    assert paced.screen(to) == []
    assert len(receiver.callbacks) == 1
    assert paced.request("DELETE", path)[0] == 204
    receiver.close()


def test_a_queue_has_an_end(paced: RunningServer) -> None:
    """Ten hours of the sender's pace: then 429 with 21611 and when to come back."""
    body = "a" * 1600  # eleven segments: 1,100 seconds
    form = {"To": fresh_phone(), "From": paced.number, "Body": body}
    taken = 0
    while (answer := post(paced, form))[0] == 201:
        taken += 1
        assert taken < 50
    assert_refused(
        answer, 429, 21611, "This 'From' number has exceeded the maximum number of queued messages"
    )
    assert answer[1]["retry-after"] == "1"
    assert taken == 33  # 36,000 seconds are over with the 33rd
    paced.advance(2_000)
    assert post(paced, form)[0] == 201


def test_the_queue_survives_a_restart(paced: RunningServer) -> None:
    sid = create(paced)["sid"]
    assert paced.stop() == 0
    paced.start()
    assert get(paced, messages(paced, sid))["status"] == "queued"
    paced.advance(101)
    until(paced, sid, "delivered")
