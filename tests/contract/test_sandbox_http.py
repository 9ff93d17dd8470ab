"""The sandbox's paths on the running server, to the letter of what others script against."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import RunningServer, wait_for
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, until

NEVER = "+1628555"  # too short to be of this plan: E.164 all the same


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose clock these tests move."""
    with RunningServer(tmp_path_factory.mktemp("sandbox") / "data") as running:
        yield running


def test_a_screen_newest_first_and_cleared(server: RunningServer) -> None:
    phone = fresh_phone()
    path = f"/sandbox/phones/{phone}/messages"
    assert server.json("GET", path) == (200, {"messages": []})
    sids = [create(server, To=phone, Body=f"n{n}")["sid"] for n in range(2)]
    wait_for(lambda: len(server.screen(phone)) == 2)
    status, answer = server.json("GET", path)
    newest, oldest = answer["messages"]
    assert status == 200
    assert list(newest) == ["sid", "from", "to", "body", "media_urls", "received_at"]
    assert (newest["sid"], newest["body"], newest["media_urls"]) == (sids[1], "n1", [])
    assert (newest["from"], newest["to"]) == (server.number, phone)
    assert (oldest["sid"], oldest["body"]) == (sids[0], "n0")
    assert datetime.fromisoformat(newest["received_at"]).utcoffset() is not None
    assert newest["received_at"].endswith("Z")
    assert server.json("GET", path.replace("+", "%2B")) == (200, answer)
    assert server.request("DELETE", path)[::2] == (204, b"")
    assert server.json("GET", path) == (200, {"messages": []})


def test_a_phone_texts_us(server: RunningServer) -> None:
    phone = fresh_phone()
    path = f"/sandbox/phones/{quote(phone)}/messages"
    text = {"to": server.number, "body": "héllo \U0001f600\nthere"}
    status, answer = server.json("POST", path, text)
    assert (status, set(answer), answer["status"]) == (201, {"sid", "status"}, "received")
    message = get(server, messages(server, answer["sid"]))
    assert (message["direction"], message["body"]) == ("inbound", text["body"])
    assert (message["from"], message["to"]) == (phone, server.number)
    assert server.json("GET", path)[1] == {"messages": []}, "it is on our side, not on its screen"


def test_a_number_nobody_owns(server: RunningServer) -> None:
    path = f"/sandbox/phones/{quote(fresh_phone())}/messages"
    body = b'{"to": "+14155550100", "body": "x"}'
    assert_refused(server.request("POST", path, body), 404, 20404)


@pytest.mark.parametrize("number", ["16285550100", "0016285550100", "+0123456", "x", "%20123456"])
@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [("GET", "/messages", None), ("DELETE", "/messages", None), ("POST", "/messages", b"{}"),
     ("POST", "", b'{"behaviour": "deliver"}')],
)  # fmt: skip
def test_other_forms_of_number(
    server: RunningServer, number: str, method: str, tail: str, body: bytes | None
) -> None:
    answer = server.request(method, f"/sandbox/phones/{number}{tail}", body)
    assert answer[0] == 400
    assert_refused(answer, 400, 20422)


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("deliver", "delivered", None), ("undeliverable", "undelivered", 30005),
        ("unreachable", "undelivered", 30003), ("blocked", "undelivered", 30004),
        ("landline", "undelivered", 30006), ("filtered", "undelivered", 30007),
        ("slow", "sent", None), ("silent", "sent", None),
    ],
)  # fmt: skip
def test_every_behaviour(
    server: RunningServer, behaviour: str, status: str, code: int | None
) -> None:
    phone = fresh_phone()
    path = f"/sandbox/phones/{quote(phone)}"
    assert server.json("POST", path, {"behaviour": behaviour}) == (200, {"behaviour": behaviour})
    message = until(server, create(server, To=phone)["sid"], status)
    assert message["error_code"] == code
    assert bool(server.screen(phone)) == (code is None)
    server.behave(phone, "deliver")
    until(server, create(server, To=phone)["sid"], "delivered")


def test_a_behaviour_that_is_none(server: RunningServer) -> None:
    answer = server.request("POST", f"/sandbox/phones/{NEVER}", b'{"behaviour": "explode"}')
    assert_refused(answer, 400, 20422)


def test_the_clock_moves_everything_in_its_order(clocked: RunningServer) -> None:
    """`slow` after 30 s of server clock; the answer comes once what was due is done."""
    phone = fresh_phone()
    clocked.behave(phone, "slow")
    sid = until(clocked, create(clocked, To=phone)["sid"], "sent")["sid"]
    status, before = clocked.json("GET", "/sandbox/clock")
    assert (status, set(before)) == (200, {"now", "offset_s"})
    after = clocked.advance(40)
    assert after["offset_s"] == before["offset_s"] + 40
    moved = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert 40 <= moved.total_seconds() < 60
    assert get(clocked, messages(clocked, sid))["status"] == "delivered"


def test_the_offset_survives_a_restart(clocked: RunningServer) -> None:
    offset = clocked.advance(86_400)["offset_s"]
    assert clocked.stop() == 0
    clocked.start()
    assert clocked.json("GET", "/sandbox/clock")[1]["offset_s"] == offset
    made = create(clocked)
    now = clocked.json("GET", "/sandbox/clock")[1]["now"]
    created_ms = int(made["sid"][2:14], 16)
    assert abs(datetime.fromisoformat(now).timestamp() * 1000 - created_ms) < 30_000


@pytest.mark.parametrize("advance", [b"0", b"-1", b"34560001", b'"60"', b"1.5", b"null", b"true"])
def test_the_clock_refuses(server: RunningServer, advance: bytes) -> None:
    before = server.json("GET", "/sandbox/clock")[1]["offset_s"]
    answer = server.request("POST", "/sandbox/clock", b'{"advance_s": ' + advance + b"}")
    assert_refused(answer, 400, 20422)
    assert server.json("GET", "/sandbox/clock")[1]["offset_s"] == before


def test_the_sandbox_asks_for_credentials(server: RunningServer) -> None:
    for path in ("/sandbox/clock", f"/sandbox/phones/{fresh_phone()}/messages"):
        answer = server.request("GET", path, auth=False)
        assert_refused(answer, 401, 20003)
        assert answer[1]["www-authenticate"].startswith("Basic ")


def test_without_the_sandbox_none_of_it_exists(tmp_path: Path) -> None:
    """No phones, no clock, and magic numbers are numbers like any other."""
    with RunningServer(tmp_path / "data", "--no-sandbox") as server:
        for path in ("/sandbox/clock", "/sandbox/phones/+16285550100/messages"):
            assert_refused(server.request("GET", path), 404, 20404)
        assert_refused(server.request("POST", "/sandbox/clock", b'{"advance_s": 60}'), 404, 20404)
        assert get(server, messages(server))["messages"] == []
        form = {"To": "+15005550002", "From": "+15005550008", "Body": "x"}
        assert_refused(post(server, form), 400, 21606)  # no magic: nobody owns that number
