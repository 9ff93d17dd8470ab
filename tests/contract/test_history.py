"""What happened to a message, every change, under a path of our own."""

from harness import RunningServer, wait_for


def _history(server: RunningServer, sid: str) -> dict[str, object]:
    path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/history"
    status, answer = server.json("GET", path)
    assert status == 200
    return answer


def test_every_change_is_told_in_order(server: RunningServer) -> None:
    server.behave("+14155550180", "undeliverable")
    messages = server.client().messages
    sent = messages.create(to="+14155550180", from_=server.number, body="Hello")
    wait_for(lambda: messages(sent.sid).fetch().status == "undelivered")
    messages(sent.sid).update(body="")
    told = _history(server, sent.sid)
    history = told.pop("history")
    assert isinstance(history, list)
    assert [(change["fact"], change["error_code"]) for change in history] == [
        ("queued", None), ("attempted", None), ("handed", None), ("undelivered", 30005),
        ("redacted", None),
    ]  # fmt: skip
    times = [change["at"] for change in history]
    assert times == sorted(times)
    assert told.pop("expires_at") > times[0]
    assert told == {
        "sid": sent.sid, "status": "undelivered", "in_doubt": False, "finished": True,
        "attempts": 1, "feedback": None,
    }  # fmt: skip


def test_a_foreign_or_unknown_message_has_none(server: RunningServer) -> None:
    unknown = f"/hushwire/v1/accounts/{server.sid}/messages/SM{'0' * 32}/history"
    foreign = f"/hushwire/v1/accounts/AC{'0' * 32}/messages/SM{'0' * 32}/history"
    for path in (unknown, foreign):
        status, answer = server.json("GET", path)
        assert (status, answer["code"]) == (404, 20404)
