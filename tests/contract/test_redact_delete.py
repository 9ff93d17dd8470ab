"""Redact and delete: what is forgotten, when it may be, and what is left."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from harness import RunningServer
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, refusal, until

NOT_YET = "Cannot {} this resource before it is complete"


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose clock these tests move."""
    with RunningServer(tmp_path_factory.mktemp("redact") / "data") as running:
        yield running


def delivered(server: RunningServer, **form: str) -> str:
    return str(until(server, create(server, **form)["sid"], "delivered")["sid"])


def test_an_empty_body_redacts_and_again_changes_nothing(server: RunningServer) -> None:
    """5.4: `body` is "" from now on, everything else stays; the second time is a success too."""
    to = fresh_phone()
    sid = delivered(server, To=to, Body="remember me not")
    before = get(server, messages(server, sid))
    status, _, body = post(server, b"Body=", messages(server, sid))
    redacted = json.loads(body)
    assert (status, redacted["body"]) == (200, "")
    changed = {"body": "", "date_updated": redacted["date_updated"]}
    assert redacted == {**before, **changed}
    assert get(server, messages(server, sid)) == redacted
    assert get(server, f"{messages(server)}?To={quote(to)}")["messages"] == [redacted]
    again, _, body = post(server, b"Body=", messages(server, sid))
    assert (again, json.loads(body)) == (200, redacted)


def test_the_sdk_redacts_and_deletes(server: RunningServer) -> None:
    sid = delivered(server)
    message = server.client().messages(sid)
    assert message.update(body="").body == ""
    assert message.delete() is True
    error = refusal(message.fetch)
    assert (error.status, error.code) == (404, 20404)
    assert error.msg.startswith("Unable to fetch record: The requested resource /2010-04-01/")


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        (b"Body=other", 400, 30400),
        (b"Body=+", 400, 30400),
        (b"Body=&Body=x", 400, 30400),
        (b"Body=&Body=", 400, 30400),
        (b"", 400, 30400),
        (b"Colour=blue", 400, 30400),
        (b"Status=", 400, 30400),
        (b"Status=sent", 400, 30400),
        (b"Status=canceled&Status=canceled", 400, 30400),
        (b"Body=&Status=canceled", 400, 30400),
        (b"Body=x&Status=canceled", 400, 30400),
        (b"Status=canceled", 409, 30409),
        (b"Body=%ff", 400, 400),
    ],
)
def test_other_updates_are_refused_and_change_nothing(
    server: RunningServer, form: bytes, status: int, code: int
) -> None:
    sid = delivered(server)
    before = get(server, messages(server, sid))
    assert_refused(post(server, form, messages(server, sid)), status, code)
    assert get(server, messages(server, sid)) == before


def test_delete_leaves_nothing_to_read(server: RunningServer) -> None:
    """K-15: outside the MTL at once; K-22: a second delete finds nothing; W12: 204, no body."""
    to = fresh_phone()
    sid, path = delivered(server, To=to), ""
    path = messages(server, sid)
    status, headers, body = server.request("DELETE", path)
    assert (status, body) == (204, b"")
    assert "content-type" not in headers
    assert get(server, f"{messages(server)}?To={quote(to)}")["messages"] == []
    newest = get(server, f"{messages(server)}?PageSize=1000")["messages"]
    assert sid not in {message["sid"] for message in newest}
    text = f"The requested resource {path} was not found"
    for answer in (
        server.request("DELETE", path), server.request("GET", path), post(server, b"Body=", path),
    ):  # fmt: skip
        assert_refused(answer, 404, 20404, text)


def test_what_is_not_complete_stays(server: RunningServer) -> None:
    """K-19: 409 with 20009 while a receipt is awaited, by the SDK and raw, for both."""
    to = fresh_phone()
    server.behave(to, "silent")
    sid = until(server, create(server, To=to)["sid"], "sent")["sid"]
    path = messages(server, sid)
    assert_refused(server.request("DELETE", path), 409, 20009, NOT_YET.format("delete"))
    assert_refused(post(server, b"Body=", path), 409, 20009, NOT_YET.format("update"))
    error = refusal(server.client().messages(sid).delete)
    assert (error.status, error.code, error.method) == (409, 20009, "DELETE")
    assert get(server, path)["body"] == "Hello Ada"


def test_failures_and_inbound_texts_are_complete(server: RunningServer) -> None:
    to = fresh_phone()
    server.behave(to, "blocked")
    failed = until(server, create(server, To=to)["sid"], "undelivered")["sid"]
    _, inbound = server.json(
        "POST", f"/sandbox/phones/{quote(to)}/messages", {"to": server.number, "body": "x"}
    )
    for sid in (failed, inbound["sid"]):
        assert post(server, b"Body=", messages(server, sid))[0] == 200
        assert server.request("DELETE", messages(server, sid))[0] == 204


def test_a_slow_receipt_completes_it(clocked: RunningServer) -> None:
    """`slow`: 20009 for 30 seconds of server clock, then delivered and deletable."""
    to = fresh_phone()
    clocked.behave(to, "slow")
    sid = until(clocked, create(clocked, To=to)["sid"], "sent")["sid"]
    path = messages(clocked, sid)
    clocked.advance(20)
    assert_refused(clocked.request("DELETE", path), 409, 20009)
    clocked.advance(11)
    assert get(clocked, path)["status"] == "delivered"
    assert clocked.request("DELETE", path)[0] == 204


def test_sent_is_final_an_hour_later(clocked: RunningServer) -> None:
    """5.3, 5.4: no receipt within an hour of server clock; `sent` stays and may be deleted."""
    to = fresh_phone()
    clocked.behave(to, "silent")
    first, second = (create(clocked, To=to)["sid"] for _ in range(2))
    until(clocked, second, "sent")
    clocked.advance(3500)
    assert_refused(clocked.request("DELETE", messages(clocked, first)), 409, 20009)
    clocked.advance(200)
    assert get(clocked, messages(clocked, first))["status"] == "sent"
    assert clocked.request("DELETE", messages(clocked, first))[0] == 204
    assert post(clocked, b"Body=", messages(clocked, second))[0] == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize(
    "sid",
    ["SM" + "0" * 32, "MM" + "0" * 32, "SM" + "f" * 32, "SM" + "A" * 32, "SMx", "x", "SM%00",
     "PN" + "0" * 32],
)  # fmt: skip
def test_an_unknown_sid_is_not_found(server: RunningServer, method: str, sid: str) -> None:
    """P-19: 404 with 20404 for any SID that is no message of the account."""
    body = b"Body=" if method == "POST" else None
    assert_refused(server.request(method, messages(server, sid), body), 404, 20404)


def test_a_sid_that_is_nearly_right_is_not_found(server: RunningServer) -> None:
    """The random half of a SID counts: its time alone finds nothing."""
    sid = create(server)["sid"]
    for wrong in (sid[:-1] + ("0" if sid[-1] != "0" else "1"), "MM" + sid[2:], sid.upper()):
        assert_refused(server.request("GET", messages(server, wrong)), 404, 20404)
    assert get(server, messages(server, sid))["sid"] == sid
