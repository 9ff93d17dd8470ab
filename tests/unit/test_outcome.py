"""A send whose outcome is unknown, on a backend that knows no keys."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from backends import Recorded, act, recorded_messages
from hushwire.connect.credentials import Basic
from hushwire.connect.outcome import WAITS_S, send_once
from hushwire.connect.refused import UNSURE, Refused
from hushwire.connect.registry import Call
from hushwire.connect.wire import Wire
from hushwire.private import Private

FORM = {"To": "+14155550123", "From": "+15005550006", "Body": "Your table is ready"}
PATH = f"/2010-04-01/Accounts/{Recorded.sid}/Messages.json"


def outcome(*lists: list[dict[str, Any]] | int) -> tuple[str, list[float], list[str]]:
    """The SID that was found (or why not), what was waited, and the methods that were asked."""
    waited: list[float] = []
    asked: list[str] = []
    answers = iter(lists)

    def cloud(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if request.method == "POST":
            raise httpx.ReadTimeout("no answer", request=request)
        answer = next(answers, [])
        if isinstance(answer, int):
            return httpx.Response(answer, json={})
        return httpx.Response(200, json={"messages": answer})

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def go() -> str:
        wire = Recorded().wire(httpx.MockTransport(cloud), sleep=sleep)
        try:
            return str((await send_once(Call(wire, Recorded.sid), PATH, FORM))["sid"])
        except Refused as problem:
            return str(problem.code)
        finally:
            await wire.close()

    return asyncio.run(go()), waited, asked


def message(age_s: float, **changes: Any) -> dict[str, Any]:
    made = format_datetime(datetime.now(UTC) - timedelta(seconds=age_s))
    return {**recorded_messages()[1], "date_created": made, **changes}


def test_it_is_found_though_it_appears_late() -> None:
    """Item 13: asked before any repetition, and never sent twice."""
    mine = message(0)
    sid, waited, asked = outcome([], [mine])
    assert sid == mine["sid"]
    assert waited == list(WAITS_S[:2])
    assert asked == ["POST", "GET", "GET"]


@pytest.mark.parametrize(
    "other",
    [
        message(60),
        message(0, body="Another text"),
        message(0, **{"from": "+15005550009"}),
        message(0, direction="inbound"),
    ],
    ids=["older", "another text", "another sender", "inbound"],
)
def test_another_message_is_not_taken_for_it(other: dict[str, Any]) -> None:
    """Item 13: then it is told that nobody knows."""
    found, waited, asked = outcome(*[[other]] * len(WAITS_S))
    assert found == str(UNSURE.code)
    assert waited == list(WAITS_S)
    assert asked.count("POST") == 1


def test_a_look_that_fails_says_nothing_of_the_send() -> None:
    """Item 13: a backend that cannot be asked now may have sent it: never "not sent"."""
    mine = message(0)
    assert outcome(503, [mine])[0] == mine["sid"]
    assert outcome(*[500] * len(WAITS_S))[0] == str(UNSURE.code)


def test_a_server_that_is_gone_may_have_sent_it() -> None:
    """Item 13: the same where the backend knows keys; one key in all its tries."""
    keys: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.ReadTimeout("no answer", request=request)
        raise httpx.ConnectError("gone", request=request)

    async def sleep(seconds: float) -> None:
        """Nobody waits here."""

    async def go() -> None:
        basic = Basic(Recorded.sid, Private("f" * 32))
        wire = Wire(
            "http://here.example", basic, transport=httpx.MockTransport(server), sleep=sleep
        )
        try:
            await send_once(Call(wire, Recorded.sid), PATH, FORM)
        finally:
            await wire.close()

    with pytest.raises(Refused) as refused:
        asyncio.run(go())
    assert refused.value.code == UNSURE.code
    assert len(keys) == 1 + len(WAITS_S)
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("done", "breaks", "status", "posts"),
    [(True, 1, "canceled", 1), (False, 1, "canceled", 2), (False, 2, str(UNSURE.code), 2)],
    ids=["it was done", "it was not done", "nobody can tell"],
)
def test_a_change_whose_answer_is_lost(done: bool, breaks: int, status: str, posts: int) -> None:
    """A message that was canceled is not asked to be canceled again: that is refused (30409)."""
    record = {**recorded_messages()[4], "status": "scheduled"}
    asked: list[str] = []

    def cloud(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if request.method == "GET":
            return httpx.Response(
                200, json={**record, "status": "canceled" if done else "scheduled"}
            )
        if asked.count("POST") <= breaks:
            raise httpx.ReadError("cut", request=request)
        return httpx.Response(200, json={**record, "status": "canceled"})

    try:
        got = act(
            Recorded(), "cancel_message", {"sid": record["sid"]},
            transport=httpx.MockTransport(cloud),
        )["status"]  # fmt: skip
    except Refused as problem:
        got = str(problem.code)
    assert (got, asked.count("POST")) == (status, posts)
