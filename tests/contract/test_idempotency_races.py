"""Creates that name themselves, from fifty clients at the same moment."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import quote, urlencode
from uuid import uuid4

from harness import RunningServer
from wire_checks import FORM, Answer, assert_refused, fresh_phone, get, messages

CLIENTS = 50
MISMATCH = "This Idempotency-Key was used with other parameters in the last 24 hours"


def at_once(server: RunningServer, key: str, form: Callable[[int], dict[str, str]]) -> list[Answer]:
    """What each client is answered; they all ask when the last is ready."""
    ready = Barrier(CLIENTS)

    def ask(n: int) -> Answer:
        body = urlencode({"From": server.number, **form(n)}).encode()
        ready.wait(30)
        return server.request("POST", messages(server), body, {**FORM, "Idempotency-Key": key})

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(ask, range(CLIENTS)))


def listed(server: RunningServer, to: str) -> list[str]:
    page = get(server, f"{messages(server)}?To={quote(to)}&PageSize=1000")
    return [message["sid"] for message in page["messages"]]


def test_the_same_form_is_one_message(server: RunningServer) -> None:
    to = fresh_phone()
    answers = at_once(server, str(uuid4()), lambda n: {"To": to, "Body": "Hello"})
    assert [status for status, _, _ in answers] == [201] * CLIENTS
    (sid,) = {json.loads(body)["sid"] for _, _, body in answers}
    assert sum("idempotent-replayed" not in headers for _, headers, _ in answers) == 1
    assert listed(server, to) == [sid]


def test_of_different_forms_one_is_a_message_and_the_others_conflict(server: RunningServer) -> None:
    to = fresh_phone()
    answers = at_once(server, str(uuid4()), lambda n: {"To": to, "Body": f"Hello {n}"})
    assert Counter(status for status, _, _ in answers) == {201: 1, 409: CLIENTS - 1}
    for answer in answers:
        if answer[0] == 409:
            assert_refused(answer, 409, 20409, MISMATCH)
    (made,) = (json.loads(body) for status, _, body in answers if status == 201)
    assert listed(server, to) == [made["sid"]]


def test_each_of_many_keys_is_one_message(server: RunningServer) -> None:
    """Five keys in the same crowd, ten clients each: five messages, each its own."""
    to, keys = fresh_phone(), [str(uuid4()) for _ in range(5)]
    ready = Barrier(CLIENTS)

    def ask(n: int) -> tuple[int, Answer]:
        body = urlencode({"From": server.number, "To": to, "Body": "Hello"}).encode()
        headers = {**FORM, "Idempotency-Key": keys[n % 5]}
        ready.wait(30)
        return n % 5, server.request("POST", messages(server), body, headers)

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(ask, range(CLIENTS)))
    sids = {(which, json.loads(answer[2])["sid"]) for which, answer in answers}
    assert len(sids) == len(keys)
    assert sorted(listed(server, to)) == sorted(sid for _, sid in sids)
