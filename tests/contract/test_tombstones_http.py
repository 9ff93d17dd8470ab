"""Tombstones over HTTP: what was forgotten, for whoever keeps a copy."""

from typing import Any

from harness import RunningServer, wait_for
from tenants import subaccount

ALICE = "+14155550177"


def path(sid: str) -> str:
    return f"/hushwire/v1/accounts/{sid}/tombstones"


def ask(server: RunningServer, query: str = "", sid: str = "") -> dict[str, Any]:
    status, answer = server.json("GET", f"{path(sid or server.sid)}{query}")
    assert status == 200, answer
    return answer


def newest(server: RunningServer) -> int:
    return ask(server, "?After=newest")["after"]


def sent(server: RunningServer) -> str:
    client = server.client()
    sid = client.messages.create(to=ALICE, from_=server.number, body="Room 12").sid
    assert sid
    wait_for(lambda: client.messages(sid).fetch().status == "delivered")
    return sid


def test_a_tombstone_for_each(server: RunningServer) -> None:
    redacted, deleted, kept = (sent(server) for _ in range(3))
    began = newest(server)
    server.client().messages(redacted).update(body="")
    server.client().messages(deleted).delete()
    found = ask(server, f"?After={began}")
    told = {each["sid"]: each for each in found["tombstones"]}
    assert told.keys() == {redacted, deleted}
    assert kept not in told
    assert (told[redacted]["forgotten"], told[deleted]["forgotten"]) == (["content"], ["message"])
    for each in told.values():
        assert set(each) == {"sid", "account_sid", "deleted_at", "forgotten", "reason"}
        assert (each["account_sid"], each["reason"]) == (server.sid, "request")
        assert each["deleted_at"].endswith("Z")
    assert found["more"] is False
    assert ask(server, f"?After={found['after']}")["tombstones"] == []


def test_pages_follow_each_other(server: RunningServer) -> None:
    began = newest(server)
    sids = [sent(server) for _ in range(3)]
    for sid in sids:
        server.client().messages(sid).delete()
    told: list[str] = []
    place, more = began, True
    while more:
        page = ask(server, f"?After={place}&PageSize=1")
        told += [each["sid"] for each in page["tombstones"]]
        assert page["after"] >= place
        place, more = page["after"], page["more"]
    assert told == sids


def test_of_a_subaccount(server: RunningServer) -> None:
    """A parent is told of its subaccounts'; a subaccount of its own alone."""
    began = newest(server)
    deleted = sent(server)
    server.client().messages(deleted).delete()
    sub = subaccount(server, "tombstones")
    assert ask(server, f"?After={began}", sub.sid)["tombstones"] == []
    assert [each["sid"] for each in ask(server, f"?After={began}")["tombstones"]] == [deleted]


def test_a_place_of_before_a_restore_begins_anew(server: RunningServer) -> None:
    """Beyond the end nothing can be: what was told is told again, and nothing is missed."""
    server.client().messages(sent(server)).delete()
    assert ask(server, "?After=999999999")["tombstones"]


def test_bad_places_and_sizes(server: RunningServer) -> None:
    for query in ("?After=x", "?After=-1", f"?After={'9' * 19}", "?PageSize=x"):
        status, problem = server.json("GET", f"{path(server.sid)}{query}")
        assert (status, problem["code"]) == (400, 20422), query
    status, problem = server.json("GET", f"{path(server.sid)}?PageSize=1001")
    assert (status, problem["code"]) == (400, 20007)
