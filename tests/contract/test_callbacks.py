"""Status callbacks as customers receive them: what they say, signed, in order, and at once."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from twilio.request_validator import RequestValidator

from harness import Callback, Receiver, RunningServer, wait_for
from wire_checks import create, fresh_phone, get, messages, until

ALWAYS = {"MessageSid", "SmsSid", "MessageStatus", "SmsStatus", "AccountSid", "From", "To",
          "ApiVersion"}  # fmt: skip
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@contextmanager
def answering(answer: Callable[[Callback], int]) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    try:
        yield receiver
    finally:
        receiver.close()


def assert_signed(server: RunningServer, callback: Callback, url: str) -> None:
    signature = callback.headers["x-twilio-signature"]
    validator = RequestValidator(server.token)
    assert validator.validate(url, callback.form, signature)
    assert not validator.validate(url, {**callback.form, "To": "+1"}, signature)
    assert not RequestValidator("0" * 32).validate(url, callback.form, signature)


def test_what_sent_and_delivered_say(server: RunningServer, receiver: Receiver) -> None:
    """T-15, T-16: the standard parameters; the initial status is never called back."""
    to = fresh_phone()
    url = receiver.url("/status?order=7&x=a%20b")
    sid = create(server, To=to, StatusCallback=url)["sid"]
    sent, delivered = receiver.wait(2)
    for callback, status in ((sent, "sent"), (delivered, "delivered")):
        form = callback.form
        assert {name: form[name] for name in ALWAYS} == {
            "MessageSid": sid, "SmsSid": sid, "MessageStatus": status, "SmsStatus": status,
            "AccountSid": server.sid, "From": server.number, "To": to, "ApiVersion": "2010-04-01",
        }  # fmt: skip
        assert callback.path == "/status?order=7&x=a%20b"
        assert_signed(server, callback, url)
        assert UUID.fullmatch(callback.headers["i-twilio-idempotency-token"])
        assert callback.headers["user-agent"] == "TwilioProxy/1.1"
        assert callback.headers["accept"] == "*/*"
        kind = callback.headers["content-type"]
        assert kind.partition(";")[0] == "application/x-www-form-urlencoded"
    assert set(sent.form) == ALWAYS
    assert set(delivered.form) == ALWAYS | {"RawDlrDoneDate"}
    assert re.fullmatch(r"\d{10}", delivered.form["RawDlrDoneDate"])
    tokens = {callback.headers["i-twilio-idempotency-token"] for callback in (sent, delivered)}
    assert len(tokens) == 2, "one token a callback"


@pytest.mark.parametrize(
    ("behaviour", "code", "text"),
    [
        ("undeliverable", "30005", "Unknown destination handset"),
        ("unreachable", "30003", "Unreachable destination handset"),
        ("blocked", "30004", "Message blocked"),
        ("landline", "30006", "Landline or unreachable carrier"),
        ("filtered", "30007", "Message filtered"),
    ],
)
def test_what_undelivered_says(
    server: RunningServer, receiver: Receiver, behaviour: str, code: str, text: str
) -> None:
    to = fresh_phone()
    server.behave(to, behaviour)
    create(server, To=to, StatusCallback=receiver.url())
    sent, undelivered = receiver.wait(2)
    assert set(sent.form) == ALWAYS
    assert set(undelivered.form) == ALWAYS | {"ErrorCode", "ErrorMessage", "RawDlrDoneDate"}
    assert undelivered.form["MessageStatus"] == "undelivered"
    assert (undelivered.form["ErrorCode"], undelivered.form["ErrorMessage"]) == (code, text)
    assert_signed(server, undelivered, receiver.url())


def test_without_a_url_nobody_is_called(server: RunningServer, receiver: Receiver) -> None:
    until(server, create(server)["sid"], "delivered")
    create(server, StatusCallback=receiver.url())
    assert len(receiver.wait(2)) == 2


def test_signed_as_the_customer_sees_the_url(server: RunningServer, receiver: Receiver) -> None:
    """6.5, 6.6: the fragment is neither sent nor signed, and userinfo goes into a header."""
    plain = receiver.url("/hook")
    create(server, StatusCallback=plain.replace("://", "://ada:s%40cret@") + "#rc=1&rp=5xx")
    for callback in receiver.wait(2):
        assert callback.path == "/hook"
        assert callback.headers["authorization"] == "Basic YWRhOnNAY3JldA=="
        assert_signed(server, callback, plain)


@pytest.mark.parametrize(
    ("fragment", "status", "attempts"),
    [
        ("", 500, 1),
        ("#rc=2&rp=5xx", 503, 3),
        ("#rc=5&rp=all", 404, 6),
        ("#rc=3&rp=4xx", 404, 4),
        ("#rc=3&rp=4xx", 500, 1),
        ("#rc=0&rp=all", 500, 1),
        ("#rc=2", 500, 1),  # the default policy retries connections alone
        ("#rc=2&rp=all", 302, 1),
    ],
)
def test_immediate_retries_are_those_the_url_asks_for(
    server: RunningServer, fragment: str, status: int, attempts: int
) -> None:
    """W11: `#rc=…&rp=…`; each retry is the same request, token included."""
    with answering(lambda callback: status) as receiver:
        create(server, StatusCallback=receiver.url("/status") + fragment)
        callbacks = receiver.wait(2 * attempts)
        done = answering_twice(server)
        assert done
        seen = Counter(callback.headers["i-twilio-idempotency-token"] for callback in callbacks)
        assert sorted(seen.values()) == [attempts, attempts]
        assert len(receiver.callbacks) == 2 * attempts


def answering_twice(server: RunningServer) -> bool:
    """Another message's whole life: by then any immediate retry would have come."""
    with answering(lambda callback: 200) as receiver:
        create(server, StatusCallback=receiver.url())
        return len(receiver.wait(2)) == 2


def test_a_read_time_out_is_retried_when_asked(server: RunningServer) -> None:
    """`rt=100&rp=rt&rc=1`: 100 ms to the first byte, and once more."""
    free = threading.Event()

    def answer(callback: Callback) -> int:
        free.wait(10)
        return 200

    with answering(answer) as receiver:
        server.behave(to := fresh_phone(), "silent")
        create(server, To=to, StatusCallback=receiver.url("/slow#rt=100&rp=rt&rc=1"))
        first, second = receiver.wait(2)
        free.set()
    token = "i-twilio-idempotency-token"
    assert first.headers[token] == second.headers[token]


def test_one_hanging_endpoint_delays_nobody(server: RunningServer) -> None:
    """A lane for each endpoint: more callbacks hang than it has connections."""
    free = threading.Event()

    def hang(callback: Callback) -> int:
        free.wait(30)
        return 200

    with answering(hang) as stuck, answering(lambda callback: 200) as quick:
        for _ in range(15):
            create(server, StatusCallback=stuck.url())
        stuck.wait(10)  # every connection to it is taken
        for _ in range(5):
            create(server, StatusCallback=quick.url())
        assert len(quick.wait(10, within_s=5)) == 10
        free.set()
        assert len(stuck.wait(30)) == 30


def test_first_attempts_keep_the_order_of_statuses(server: RunningServer) -> None:
    """D12: an endpoint that is slow with "sent" still sees it before "delivered"."""
    done: list[str] = []

    def answer(callback: Callback) -> int:
        if callback.form["MessageStatus"] == "sent":
            wait_for(lambda: get(server, path_of(callback))["status"] == "delivered")
        done.append(callback.form["MessageSid"] + callback.form["MessageStatus"])
        return 200

    def path_of(callback: Callback) -> str:
        return messages(server, callback.form["MessageSid"])

    with answering(answer) as receiver:
        sids = [create(server, StatusCallback=receiver.url())["sid"] for _ in range(4)]
        receiver.wait(8)
        wait_for(lambda: len(done) == 8)
    for sid in sids:
        assert done.index(sid + "sent") < done.index(sid + "delivered")


def test_a_redirect_that_leads_nowhere_is_no_success(server: RunningServer) -> None:
    """Only a 2xx settles a callback; what is answered changes nothing about the message."""
    with answering(lambda callback: 302) as receiver:
        sid = create(server, StatusCallback=receiver.url())["sid"]
        receiver.wait(2)
    assert get(server, messages(server, sid))["status"] == "delivered"
