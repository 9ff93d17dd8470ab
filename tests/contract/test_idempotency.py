"""Creates that name themselves: a repetition is answered with the same message."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlencode
from uuid import uuid4

import pytest

from harness import RunningServer
from wire_checks import FORM, Answer, assert_refused, fresh_phone, get, messages, until

MISMATCH = "This Idempotency-Key was used with other parameters in the last 24 hours"
BAD_KEY = "Idempotency-Key must be given once and have 1 to 255 characters"


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose clock these tests move."""
    with RunningServer(tmp_path_factory.mktemp("idempotency") / "data") as running:
        yield running


def send(server: RunningServer, key: str, header: str = "Idempotency-Key", **form: str) -> Answer:
    body = urlencode({"From": server.number, "Body": "Hello", **form}).encode()
    return server.request("POST", messages(server), body, {**FORM, header: key})


def sids(server: RunningServer, to: str) -> list[str]:
    page = get(server, f"{messages(server)}?To={quote(to)}")
    return [message["sid"] for message in page["messages"]]


def sid_of(answer: Answer) -> str:
    assert answer[0] == 201, answer[2]
    return str(json.loads(answer[2])["sid"])


@pytest.mark.parametrize("header", ["Idempotency-Key", "I-Twilio-Idempotency-Token"])
def test_a_repetition_is_the_same_message(server: RunningServer, header: str) -> None:
    key, to = str(uuid4()), fresh_phone()
    first, again = (send(server, key, header, To=to) for _ in range(2))
    assert sid_of(first) == sid_of(again)
    assert "idempotent-replayed" not in first[1]
    assert again[1]["idempotent-replayed"] == "true"
    assert first[1]["twilio-request-id"] != again[1]["twilio-request-id"]
    assert sids(server, to) == [sid_of(first)]
    assert sid_of(send(server, str(uuid4()), header, To=to)) != sid_of(first)


def test_either_header_names_the_same(server: RunningServer) -> None:
    key, to = str(uuid4()), fresh_phone()
    first = sid_of(send(server, key, To=to))
    assert sid_of(send(server, key, "I-Twilio-Idempotency-Token", To=to)) == first


def test_the_order_and_encoding_of_a_form_are_no_difference(server: RunningServer) -> None:
    """W4, W5: multipart says the same, and an empty parameter is none."""
    key, to = str(uuid4()), fresh_phone()
    first = sid_of(send(server, key, To=to))
    fields = [("Body", "Hello"), ("StatusCallback", ""), ("To", to), ("From", server.number)]
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Idempotency-Key": key}
    body = ("".join(parts) + "--x--").encode()
    assert sid_of(server.request("POST", messages(server), body, headers)) == first


@pytest.mark.parametrize(
    "changes", [{"Body": "Other"}, {"ValidityPeriod": "60"}, {"Colour": "blue"}, {"To": "12"}]
)
def test_another_form_under_the_same_key_is_a_conflict(
    server: RunningServer, changes: dict[str, str]
) -> None:
    key, to = str(uuid4()), fresh_phone()
    first = sid_of(send(server, key, To=to))
    assert_refused(send(server, key, **{"To": to, **changes}), 409, 20409, MISMATCH)
    assert sids(server, to) == [first]


def test_many_at_once_are_one_message(server: RunningServer) -> None:
    """Racing requests: one message, and the same answer for all."""
    key, to = str(uuid4()), fresh_phone()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: send(server, key, To=to), range(24)))
    assert len({sid_of(answer) for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer[1] for answer in answers) == 1
    assert len(sids(server, to)) == 1


def test_a_refused_create_is_not_remembered(server: RunningServer) -> None:
    key, to = str(uuid4()), fresh_phone()
    assert_refused(send(server, key, To=to, ValidityPeriod="0"), 400, 21624)
    assert_refused(send(server, key, To=to, From="+14155559999"), 400, 21606)
    assert "idempotent-replayed" not in send(server, key, To=to)[1]


def test_an_account_has_its_own_keys(server: RunningServer) -> None:
    """A parent that sends for its subaccount uses the subaccount's keys."""
    key, to = str(uuid4()), fresh_phone()
    first = sid_of(send(server, key, To=to))
    sub = server.client().api.accounts.create(friendly_name="Sub")
    path = f"/2010-04-01/Accounts/{sub.sid}/Messages.json"
    body = urlencode({"From": server.number, "Body": "Hello", "To": to}).encode()
    answer = server.request("POST", path, body, {**FORM, "Idempotency-Key": key})
    assert answer[0] != 409
    assert first.encode() not in answer[2]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_unusable_key_is_refused(server: RunningServer, key: str) -> None:
    assert_refused(send(server, key, To=fresh_phone()), 400, 20422, BAD_KEY)


def test_two_different_keys_are_refused_and_the_longest_is_taken(server: RunningServer) -> None:
    body = urlencode({"From": server.number, "Body": "Hello", "To": fresh_phone()}).encode()
    two = {**FORM, "Idempotency-Key": "one", "I-Twilio-Idempotency-Token": "two"}
    assert_refused(server.request("POST", messages(server), body, two), 400, 20422, BAD_KEY)
    same = {**two, "I-Twilio-Idempotency-Token": "one"}
    assert server.request("POST", messages(server), body, same)[0] == 201
    assert sid_of(send(server, "x" * 255, To=fresh_phone()))


def test_a_repetition_shows_what_became_of_the_message(server: RunningServer) -> None:
    """Its status now, and nothing of what was forgotten; deleted is a conflict, never a second."""
    key, to = str(uuid4()), fresh_phone()
    sid = sid_of(send(server, key, To=to))
    until(server, sid, "delivered")
    again = json.loads(send(server, key, To=to)[2])
    assert (again["sid"], again["status"], again["body"]) == (sid, "delivered", "Hello")
    path = messages(server, sid)
    assert server.request("POST", path, b"Body=", FORM)[0] == 200
    again = json.loads(send(server, key, To=to)[2])
    assert (again["sid"], again["body"]) == (sid, "")
    assert server.request("DELETE", path)[0] == 204
    text = "The message created with this Idempotency-Key was deleted"
    assert_refused(send(server, key, To=to), 409, 20409, text)
    assert sids(server, to) == []


def test_a_key_counts_for_a_day_of_the_servers_clock(clocked: RunningServer) -> None:
    key, to = str(uuid4()), fresh_phone()
    first = sid_of(send(clocked, key, To=to))
    clocked.advance(86_400 - 600)
    assert sid_of(send(clocked, key, To=to)) == first
    clocked.advance(601)
    assert sid_of(send(clocked, key, To=to)) != first


def test_it_is_known_after_a_kill(tmp_path: Path) -> None:
    """The key is on the disk with the message: what was answered is never sent twice."""
    key, to = str(uuid4()), fresh_phone()
    with RunningServer(tmp_path / "data") as server:
        first = sid_of(send(server, key, To=to))
        assert server.process is not None
        server.process.kill()
        server.process.wait(10)
    with RunningServer(tmp_path / "data") as server:
        again = send(server, key, To=to)
        assert (sid_of(again), again[1]["idempotent-replayed"]) == (first, "true")
        assert sids(server, to) == [first]
