"""The process dies while it tells of a text: the next life loses no reply and sends none twice."""

import time
from pathlib import Path
from urllib.parse import quote

import pytest

from harness import RunningServer, quiet, wait_for
from webhook_app import App, Request, Said

PHONE = "+14155550123"


def answer(request: Request) -> Said:
    if request.path == "/sms":
        return Said('<Response><Message action="/next">one</Message></Response>')
    return Said("<Response><Message>two</Message></Response>")


def replies(server: RunningServer) -> list[str]:
    made = server.client().messages.list(to=PHONE)
    return [message.body for message in reversed(made) if message.direction == "outbound-reply"]


@pytest.mark.parametrize(
    "fault",
    [
        "inbound.calling:1",
        "inbound.replied:1",
        "inbound.answered:1",
        "store.vault_written:2",
        "store.committed:2",
    ],
)
def test_a_kill_neither_loses_nor_doubles_a_reply(tmp_path: Path, fault: str) -> None:
    data = tmp_path / "data"
    with App(answer) as app:
        with RunningServer(data) as server:
            (number,) = server.client().incoming_phone_numbers.list()
            number.update(sms_url=app.url())
        now = tmp_path / "now"
        dying = RunningServer(data, HUSHWIRE_FAULT=f"{fault}:{now}").start()
        quiet(dying)
        now.touch()
        path = f"/sandbox/phones/{quote(PHONE)}/messages"
        status, _ = dying.json("POST", path, {"to": dying.number, "body": "Hello"})
        assert status == 201
        assert dying.process is not None
        assert dying.process.wait(15) == -9
        with RunningServer(data) as server:
            wait_for(lambda: len(replies(server)) == 2)
            wait_for(lambda: all(m.status == "delivered" for m in messages(server)))
            time.sleep(0.5)  # whatever else might still come
            assert replies(server) == ["one", "two"]
        tokens = {(r.path, r.headers["i-twilio-idempotency-token"]) for r in app.requests}
        assert len(tokens) == 2, "the same at every attempt"


def messages(server: RunningServer) -> list:  # type: ignore[type-arg]
    return server.client().messages.list(to=PHONE)


def test_a_stop_survives_the_death_that_follows_it(tmp_path: Path) -> None:
    """What was answered to the phone's network is in force in the next life."""
    data = tmp_path / "data"
    with RunningServer(data) as server:
        path = f"/sandbox/phones/{quote(PHONE)}/messages"
        assert server.json("POST", path, {"to": server.number, "body": "STOP"})[0] == 201
        server.kill()
    with RunningServer(data) as server:
        form = f"To={quote(PHONE)}&From={quote(server.number)}&Body=Buy".encode()
        create = f"/2010-04-01/Accounts/{server.sid}/Messages.json"
        status, _, body = server.request(
            "POST", create, form, {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (status, b"21610" in body) == (400, True)
