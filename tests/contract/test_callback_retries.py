"""Callbacks that nobody took: again later, by the table of `domain/backoff.py`, on the clock."""

from collections.abc import Iterator

import pytest
from twilio.request_validator import RequestValidator

from harness import Callback, Receiver, RunningServer, wait_for
from hushwire.domain.backoff import CALLBACK_MS
from wire_checks import create, fresh_phone, get, messages, post, until

TOKEN = "i-twilio-idempotency-token"


@pytest.fixture
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the test's own, whose clock it moves."""
    with RunningServer(tmp_path_factory.mktemp("retries") / "data") as running:
        yield running


def silent(server: RunningServer) -> str:
    """A phone whose messages end as "sent": one callback each."""
    to = fresh_phone()
    server.behave(to, "silent")
    return to


def failing(times: int, status: int = 500) -> Receiver:
    """An endpoint that fails so many times, then takes everything."""
    left = [status] * times

    def answer(callback: Callback) -> int:
        return left.pop() if left else 200

    return Receiver(answer)


def test_every_wait_is_that_of_the_table(clocked: RunningServer) -> None:
    """Ten attempts over 75 h 35 min; each comes when its wait is over, not before, and the last
    failure is the end. The token and what is said stay the same throughout."""
    receiver = failing(99)
    create(clocked, To=silent(clocked), StatusCallback=receiver.url())
    receiver.wait(1)
    for attempt, wait_ms in enumerate(CALLBACK_MS, start=2):
        clocked.advance(wait_ms // 1000 - 3)
        assert len(receiver.callbacks) == attempt - 1
        clocked.advance(3)
        receiver.wait(attempt)
    assert sum(CALLBACK_MS) == (75 * 60 + 35) * 60_000 + 5_000
    clocked.advance(30 * 86_400)
    assert len(receiver.callbacks) == 1 + len(CALLBACK_MS)
    assert len({callback.headers[TOKEN] for callback in receiver.callbacks}) == 1
    forms = [callback.form for callback in receiver.callbacks]
    assert forms == [forms[0]] * len(forms)
    validator = RequestValidator(clocked.token)
    signature = receiver.callbacks[-1].headers["x-twilio-signature"]
    assert validator.validate(receiver.url(), forms[-1], signature)
    receiver.close()


def test_an_endpoint_that_recovers_is_told_once(clocked: RunningServer) -> None:
    receiver = failing(2)
    sid = create(clocked, To=silent(clocked), StatusCallback=receiver.url())["sid"]
    receiver.wait(1)
    clocked.advance(6)
    receiver.wait(2)
    clocked.advance(301)
    receiver.wait(3)
    clocked.advance(7 * 86_400)
    assert len(receiver.callbacks) == 3
    assert {callback.form["MessageSid"] for callback in receiver.callbacks} == {sid}
    receiver.close()


def test_gone_means_gone(clocked: RunningServer) -> None:
    """410 asks for no more of it: no retry of this callback, later ones still come."""
    receiver = failing(1, status=410)
    create(clocked, StatusCallback=receiver.url())
    sent, delivered = receiver.wait(2)
    clocked.advance(7 * 86_400)
    statuses = [callback.form["MessageStatus"] for callback in receiver.callbacks]
    assert statuses == ["sent", "delivered"]
    assert sent.headers[TOKEN] != delivered.headers[TOKEN]
    receiver.close()


def test_a_retry_does_not_hold_up_a_later_status(clocked: RunningServer) -> None:
    """D12: "sent" fails and waits; "delivered" comes at its own time, before the retry."""
    receiver = failing(1)
    to = fresh_phone()
    clocked.behave(to, "slow")
    create(clocked, To=to, StatusCallback=receiver.url())
    receiver.wait(1)
    clocked.advance(3600)
    receiver.wait(3)
    assert len(receiver.callbacks) == 3
    retried = [c for c in receiver.callbacks if c.form["MessageStatus"] == "sent"]
    assert [c.headers[TOKEN] for c in retried] == [retried[0].headers[TOKEN]] * 2
    delivered = [c for c in receiver.callbacks if c.form["MessageStatus"] == "delivered"]
    assert len(delivered) == 1
    receiver.close()


def test_an_endpoint_nobody_listens_on_is_tried_again(clocked: RunningServer) -> None:
    """No connection is a failure like any other."""
    receiver = failing(0)
    url = receiver.url()
    receiver.close()
    sid = create(clocked, To=silent(clocked), StatusCallback=url)["sid"]
    until(clocked, sid, "sent")

    def failures() -> int:
        return clocked.log.read_text().count('"event":"callback_failed"')

    for attempt, wait_ms in enumerate(CALLBACK_MS, start=1):
        wait_for(lambda attempt=attempt: failures() == attempt)
        clocked.advance(wait_ms // 1000 + 1)
    wait_for(lambda: failures() == 1 + len(CALLBACK_MS))
    assert get(clocked, messages(clocked, sid))["status"] == "sent"


def test_retries_survive_a_restart(clocked: RunningServer) -> None:
    receiver = failing(1)
    create(clocked, To=silent(clocked), StatusCallback=receiver.url())
    (first,) = receiver.wait(1)
    assert clocked.stop() == 0
    clocked.start()
    clocked.advance(10)
    second = receiver.wait(2)[1]
    assert second.headers[TOKEN] == first.headers[TOKEN]
    receiver.close()


def test_redacting_or_deleting_withdraws_what_is_still_to_be_told(clocked: RunningServer) -> None:
    """The callback's URL was sealed with the body: once that is forgotten nobody is called."""
    receiver = failing(99)
    to = silent(clocked)
    redacted, deleted = (
        create(clocked, To=to, StatusCallback=receiver.url())["sid"] for _ in range(2)
    )
    receiver.wait(2)
    for attempt, wait_s in enumerate((6, 301, 1801), start=2):
        clocked.advance(wait_s)
        receiver.wait(2 * attempt)
    clocked.advance(1600)  # more than an hour in all: `sent` is final now
    assert post(clocked, b"Body=", messages(clocked, redacted))[0] == 200
    assert clocked.request("DELETE", messages(clocked, deleted))[0] == 204
    clocked.advance(7 * 86_400)
    assert len(receiver.callbacks) == 8
    receiver.close()
