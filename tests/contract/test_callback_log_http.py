"""The callback log and redelivery over HTTP, and Deactivations."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from click.testing import CliRunner, Result

from harness import Receiver, RunningServer, wait_for
from hushwire.cli.main import cli
from tenants import Tenant, assert_unknown, owner, subaccount
from wire_checks import assert_refused, create

SECRET = "hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data = tmp_path_factory.mktemp("log") / "data"
    with RunningServer(data, HUSHWIRE_CALLBACK_LOG="all") as running:
        yield running


def log(server: RunningServer, **query: str) -> list[dict[str, Any]]:
    path = f"/hushwire/v1/accounts/{server.sid}/callbacks?{urlencode(query)}"
    status, page = server.json("GET", path)
    assert status == 200, page
    return page["callbacks"]


def again(server: RunningServer, **content: str) -> tuple[int, dict[str, Any]]:
    path = f"/hushwire/v1/accounts/{server.sid}/callbacks/redeliver"
    return server.json("POST", path, content)


def told(server: RunningServer, receiver: Receiver, path: str = "/status") -> str:
    """A message both of whose callbacks were posted; its SID."""
    sid = create(server, StatusCallback=receiver.url(path))["sid"]
    wait_for(lambda: len(log(server, MessageSid=sid)) == 2)
    return sid


def test_an_attempt_is_logged_without_url_or_content(
    server: RunningServer, receiver: Receiver
) -> None:
    sid = told(server, receiver, f"/{SECRET}?who={SECRET}")
    delivered, sent = log(server, MessageSid=sid)
    assert delivered.items() >= {
        "message_sid": sid, "message_status": "delivered", "attempt": 1, "outcome": "answered",
        "http_status": 200, "last": True,
    }.items()  # fmt: skip
    assert delivered.keys() == {
        "sid", "message_sid", "message_status", "attempt", "outcome", "http_status",
        "duration_ms", "last", "at",
    }  # fmt: skip
    assert sent["message_status"] == "sent"
    assert SECRET not in json.dumps([delivered, sent])
    assert log(server, MessageSid=sid, Outcome="status") == []
    assert len(log(server, MessageSid=sid, StartDate=sent["at"])) == 2
    assert log(server, MessageSid=sid, EndDate="2020-01-01") == []
    for query, code in (({"Outcome": "fine"}, 20422), ({"StartDate": "soon"}, 20001)):
        path = f"/hushwire/v1/accounts/{server.sid}/callbacks?{urlencode(query)}"
        assert_refused(server.request("GET", path), 400, code)


def test_a_message_s_callbacks_are_posted_again(server: RunningServer, receiver: Receiver) -> None:
    """The same tokens: a customer that has them drops the second."""
    sid = told(server, receiver)
    assert again(server, message_sid=sid) == (200, {"redelivered": 2})
    posts = receiver.wait(4)
    tokens = [post.headers["i-twilio-idempotency-token"] for post in posts]
    assert tokens[:2] == tokens[2:]
    assert [post.form["MessageStatus"] for post in posts[2:]] == ["sent", "delivered"]
    unknown = again(server, message_sid="SM" + "0" * 32)
    assert (unknown[0], unknown[1]["code"]) == (404, 20404)


def test_nothing_is_posted_once_the_body_is_forgotten(
    server: RunningServer, receiver: Receiver
) -> None:
    sid = told(server, receiver)
    server.client().messages(sid).update(body="")
    assert again(server, message_sid=sid) == (200, {"redelivered": 0})


def test_of_a_span_what_failed(server: RunningServer, receiver: Receiver) -> None:
    now = datetime.now(UTC)
    receiver.answer = lambda callback: 410  # so that no attempt of its own follows
    failed = told(server, receiver)
    receiver.answer = None
    told(server, receiver)
    span = {"from": f"{now - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}", "to": f"{now:%Y-%m-%d}"}
    assert again(server, **span) == (200, {"redelivered": 2})
    posts = receiver.wait(6)[4:]
    assert {post.form["MessageSid"] for post in posts} == {failed}
    wait_for(lambda: log(server, MessageSid=failed)[0]["outcome"] == "answered")
    wait_for(lambda: len(log(server, MessageSid=failed, Outcome="answered")) == 2)
    assert again(server, **span) == (200, {"redelivered": 0})


@pytest.mark.parametrize(
    ("content", "code"),
    [({}, 20001), ({"from": "2026-01-01"}, 20001), ({"from": "x", "to": "2026-01-01"}, 20001),
     ({"message_sid": "SM0", "to": "2026-01-01"}, 20422), ({"sid": "SM0"}, 400)],
)  # fmt: skip
def test_what_to_post_again_must_be_said(
    server: RunningServer, content: dict[str, str], code: int
) -> None:
    status, answer = again(server, **content)
    assert (status, answer["code"]) == (400, code)


def test_a_foreign_log_is_unknown(server: RunningServer) -> None:
    """P-20, D13."""
    theirs = subaccount(server)
    for path in ("callbacks", "debugger"):
        foreign = f"/hushwire/v1/accounts/{server.sid}/{path}"
        assert_unknown(theirs.ask("GET", foreign), foreign)


# Deactivations ------------------------------------------------------------------------------


def test_a_day_s_list_is_a_link_away(server: RunningServer) -> None:
    """7.7: 307 and `redirect_to`; the link needs no credentials and ends after two minutes."""
    folder = server.data / "deactivations"
    folder.mkdir(exist_ok=True)
    day = f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%d}"
    (folder / f"{day}.csv").write_text("+14155550101\n")
    me: Tenant = owner(server)
    client = me.sdk()
    client.messaging.base_url = server.url
    assert client.messaging.v1.deactivations().fetch(date=day).redirect_to.startswith(server.url)
    url = f"{server.url}/v1/Deactivations?Date={day}"
    answer = httpx.get(url, auth=(me.user, me.password), trust_env=False)
    link = answer.json()["redirect_to"]
    assert (answer.status_code, answer.headers["location"]) == (307, link)
    path = link.removeprefix(server.url)
    status, headers, body = server.request("GET", path, auth=False)
    assert (status, body) == (200, b"+14155550101\n")
    assert headers["content-type"].startswith("text/csv")
    for broken in (
        path[:-1],
        path.replace(day, "2026-01-01"),
        path.replace("expires=", "expires=1"),
    ):
        assert server.request("GET", broken, auth=False)[0] == 404
    server.advance(121)
    assert server.request("GET", path, auth=False)[0] == 404


@pytest.mark.parametrize(
    ("query", "code"),
    [("", 30115), ("?Date=tomorrow", 30115), ("?Date=2099-01-01", 30114),
     ("?Date=2020-01-01", 30113)],
)  # fmt: skip
def test_days_without_a_list(server: RunningServer, query: str, code: int) -> None:
    test_file = server.data / "deactivations" / "2026-01-01.csv"
    test_file.parent.mkdir(exist_ok=True)
    test_file.touch()
    assert_refused(owner(server).ask("GET", f"/v1/Deactivations{query}"), 400, code)


# The command --------------------------------------------------------------------------------


def test_the_command_lists_and_posts_again(server: RunningServer, receiver: Receiver) -> None:
    def run(*arguments: str) -> Result:
        environment = {
            "HUSHWIRE_URL": server.url, "HUSHWIRE_ACCOUNT_SID": server.sid,
            "HUSHWIRE_AUTH_TOKEN": server.token,
        }  # fmt: skip
        return CliRunner().invoke(cli, ["callbacks", *arguments], env=environment)

    sid = told(server, receiver)
    listed = run("list", "--message", sid)
    assert listed.exit_code == 0
    heading, first, second = listed.stdout.splitlines()
    assert heading.split()[:3] == ["message", "told", "try"]
    assert first.split()[:5] == [sid, "delivered", "1", "answered", "200"]
    assert second.split()[1] == "sent"
    shown = json.loads(run("list", "--message", sid, "--json").stdout)
    assert shown == log(server, MessageSid=sid)
    assert run("redeliver", sid).stdout == "2 callbacks will be posted again\n"
    receiver.wait(4)
    span = ("--from", "2020-01-01", "--to", "2020-01-02")
    assert json.loads(run("redeliver", *span, "--json").stdout) == {"redelivered": 0}
    for wrong in ([], [sid, *span], ["--from", "2020-01-01"]):
        assert run("redeliver", *wrong).exit_code == 2
    assert run("list", "--outcome", "fine").exit_code == 1
