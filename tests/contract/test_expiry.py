"""Retention, minimums and legal holds, over HTTP and by the sandbox clock."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

import pytest
from twilio.base.exceptions import TwilioRestException

from harness import RunningServer, wait_for
from hushwire.vault.slots import HEADER_BYTES, SLOT_BYTES
from picture_host import PictureHost
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, until

DAY_S = 86_400
DEFAULTS = {
    "body_days": 400, "numbers_days": 400, "media_days": 400, "metadata_days": 400,
    "body_minimum_days": 0, "numbers_minimum_days": 0,
}  # fmt: skip


@pytest.fixture
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the test's own, whose clock it moves."""
    with RunningServer(tmp_path_factory.mktemp("expiry") / "data") as running:
        yield running


def ours(server: RunningServer, path: str) -> str:
    return f"/hushwire/v1/accounts/{server.sid}/{path}"


def set_retention(server: RunningServer, **settings: object) -> dict[str, Any]:
    status, found = server.json("PUT", ours(server, "retention"), settings)
    assert status == 200, found
    return found


def hold(server: RunningServer, **scope: str) -> str:
    wanted = {"author": "Ada Counsel", "reason": "case 7", **scope}
    status, found = server.json("POST", ours(server, "legal-holds"), wanted)
    assert status == 201, found
    return str(found["sid"])


def lift(server: RunningServer, sid: str) -> None:
    status, found = server.json("POST", ours(server, f"legal-holds/{sid}/lift"), {})
    assert (status, found["lifted"] is not None) == (200, True)


def report(server: RunningServer) -> dict[str, dict[str, Any]]:
    found = get(server, ours(server, "privacy/report"))
    assert found["clock_trusted"]
    return {row["field"]: row for row in found["fields"]}


def keys_alive(server: RunningServer) -> int:
    """Keys of messages that the disk holds: slots with more than a generation in them, without
    those of accounts and of months, which come and go by themselves."""
    found = 0
    for file in (server.data / "vault").glob("*.slots"):
        slots = file.read_bytes()[HEADER_BYTES:].rstrip(b"\0")
        found += sum(any(slots[at : at + 48]) for at in range(0, len(slots), SLOT_BYTES))
    database = f"file:{server.data / 'hushwire.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True, timeout=10)) as db:
        (others,) = db.execute(
            "SELECT (SELECT count(*) FROM pepper) + (SELECT count(*) FROM account)"
        ).fetchone()
    return found - others


def delivered(server: RunningServer, **form: str) -> str:
    return str(until(server, create(server, **form)["sid"], "delivered")["sid"])


def listed(server: RunningServer, **query: str) -> list[str]:
    asked = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    return [m["sid"] for m in get(server, f"{messages(server)}?{asked}")["messages"]]


# -- settings -------------------------------------------------------------------------------


def test_settings_change_what_is_named_and_null_is_the_default(server: RunningServer) -> None:
    path = ours(server, "retention")
    assert get(server, path) == DEFAULTS
    assert set_retention(server, body_days=30)["body_days"] == 30
    status, found = server.json("PATCH", path, {"numbers_days": 60, "body_days": None})
    assert (status, found) == (200, {**DEFAULTS, "numbers_days": 60})
    assert set_retention(server, minimums="twilio", numbers_days=None) == {
        **DEFAULTS, "body_minimum_days": 30, "numbers_minimum_days": 120,
    }  # fmt: skip
    back = dict.fromkeys(DEFAULTS)
    assert set_retention(server, **back) == DEFAULTS


@pytest.mark.parametrize(
    "wanted",
    [
        {"body_days": 0}, {"body_days": 3_651}, {"body_days": "30"}, {"body_days": True},
        {"body_days": 30.0}, {"body_minimum_days": -1}, {"body_minimum_days": 401},
        {"body_days": 20, "body_minimum_days": 21}, {"minimums": "ours"}, {"body": 30},
        {"metadata_days": 10, "numbers_minimum_days": 11},
    ],
)  # fmt: skip
def test_what_is_no_setting_changes_nothing(server: RunningServer, wanted: object) -> None:
    path = ours(server, "retention")
    answer = server.request("PUT", path, json.dumps(wanted).encode())
    assert_refused(answer, 400, 20001)
    assert get(server, path) == DEFAULTS


# -- expiry ---------------------------------------------------------------------------------


def test_after_400_days_nothing_is_left(clocked: RunningServer) -> None:
    """The default: body, numbers, metadata; and the report says that nothing is overdue."""
    empty = keys_alive(clocked)
    sid = delivered(clocked)
    rows = report(clocked)
    assert {name: row["live"] for name, row in rows.items()} == {
        "body": 1, "numbers": 1, "media": 0, "metadata": 1,
    }  # fmt: skip
    assert rows["body"]["oldest"] is not None
    assert rows["body"]["days"] == 400
    clocked.advance(400 * DAY_S - 7_200)
    assert get(clocked, messages(clocked, sid))["sid"] == sid
    assert keys_alive(clocked) == empty + 2
    clocked.advance(7_200 + 3_600)
    assert clocked.request("GET", messages(clocked, sid))[0] == 404
    assert keys_alive(clocked) == empty
    for row in report(clocked).values():
        assert (row["live"], row["overdue"], row["oldest"]) == (0, 0, None)


def test_a_field_goes_when_its_days_are_over(clocked: RunningServer) -> None:
    to = fresh_phone()
    sid = delivered(clocked, To=to, Body="three days")
    set_retention(clocked, body_days=3, numbers_days=5, metadata_days=9)
    clocked.advance(3 * DAY_S + 3_600)
    after = get(clocked, messages(clocked, sid))
    assert (after["body"], after["to"]) == ("", to)
    assert report(clocked)["body"]["live"] == 0
    clocked.advance(2 * DAY_S)
    after = get(clocked, messages(clocked, sid))
    assert (after["to"], after["from"]) == (f"{to[:-4]}XXXX", clocked.number)
    assert listed(clocked, To=to) == []
    clocked.advance(4 * DAY_S)
    assert clocked.request("GET", messages(clocked, sid))[0] == 404


def test_shorter_retention_counts_for_what_there_is(clocked: RunningServer) -> None:
    sid = delivered(clocked, Body="old")
    clocked.advance(10 * DAY_S)
    young = delivered(clocked, Body="young")
    set_retention(clocked, body_days=5)
    wait_for(lambda: get(clocked, messages(clocked, sid))["body"] == "")
    assert get(clocked, messages(clocked, young))["body"] == "young"
    wait_for(lambda: report(clocked)["body"]["overdue"] == 0)


def test_it_goes_on_after_a_restart(clocked: RunningServer) -> None:
    sid = delivered(clocked, Body="old")
    set_retention(clocked, body_days=5)
    clocked.advance(3 * DAY_S)
    assert clocked.stop() == 0
    clocked.start()
    assert get(clocked, ours(clocked, "retention"))["body_days"] == 5
    clocked.advance(2 * DAY_S + 3_600)
    assert get(clocked, messages(clocked, sid))["body"] == ""


# -- minimums -------------------------------------------------------------------------------


def test_deleted_on_day_1_its_key_is_gone_on_day_30(clocked: RunningServer) -> None:
    """K-15, D4: 404 at once, in no list; the key of the body dies at created + 30 days."""
    set_retention(clocked, body_minimum_days=30, numbers_minimum_days=0)
    empty = keys_alive(clocked)
    to = fresh_phone()
    sid = delivered(clocked, To=to)
    clocked.advance(DAY_S)
    clocked.client().messages(sid).delete()
    with pytest.raises(TwilioRestException) as refused:
        clocked.client().messages(sid).fetch()
    assert refused.value.status == 404
    assert listed(clocked, To=to) == listed(clocked) == []
    assert clocked.request("DELETE", messages(clocked, sid))[0] == 404
    assert clocked.request("GET", ours(clocked, f"messages/{sid}/history"))[0] == 404
    assert keys_alive(clocked) == empty + 1  # nothing keeps its numbers
    assert report(clocked)["metadata"]["withheld"] == 1
    clocked.advance(29 * DAY_S - 3_600)
    assert keys_alive(clocked) == empty + 1
    clocked.advance(7_200)
    assert keys_alive(clocked) == empty
    assert report(clocked)["metadata"]["withheld"] == 0


def test_a_withheld_body_reads_as_redacted(clocked: RunningServer) -> None:
    """`Body=""` under a minimum: "" for every reader, over a restart too; again is no change."""
    set_retention(clocked, minimums="twilio")
    empty = keys_alive(clocked)
    to = fresh_phone()
    sid = delivered(clocked, To=to, Body="withheld")
    status, _, body = post(clocked, b"Body=", messages(clocked, sid))
    assert (status, json.loads(body)["body"]) == (200, "")
    once = get(clocked, messages(clocked, sid))
    assert post(clocked, b"Body=", messages(clocked, sid))[0] == 200
    assert get(clocked, messages(clocked, sid)) == once
    assert (once["body"], once["to"]) == ("", to)
    assert clocked.stop() == 0
    clocked.start()
    assert get(clocked, messages(clocked, sid)) == once
    assert listed(clocked, To=to) == [sid]
    assert keys_alive(clocked) == empty + 2
    clocked.advance(30 * DAY_S + 60)
    assert keys_alive(clocked) == empty + 1
    assert get(clocked, messages(clocked, sid)) == {**once}


def test_a_minimum_withholds_what_is_redacted_by_itself(clocked: RunningServer) -> None:
    set_retention(clocked, minimums="twilio")
    empty = keys_alive(clocked)
    to = fresh_phone()
    sid = delivered(
        clocked, To=to, Body="x", ContentRetention="discard", AddressRetention="obfuscate"
    )
    clocked.advance(21_600 + 60)
    after = get(clocked, messages(clocked, sid))
    assert (after["body"], after["to"]) == ("", f"{to[:-4]}XXXX")
    assert listed(clocked, To=to) == []
    assert keys_alive(clocked) == empty + 2
    clocked.advance(30 * DAY_S)
    assert keys_alive(clocked) == empty + 1
    clocked.advance(90 * DAY_S)
    assert keys_alive(clocked) == empty
    assert get(clocked, messages(clocked, sid))["to"] == f"{to[:-4]}XXXX"


def test_a_minimum_that_is_given_up_ends_at_once(clocked: RunningServer) -> None:
    set_retention(clocked, minimums="twilio")
    empty = keys_alive(clocked)
    sid = delivered(clocked)
    assert clocked.request("DELETE", messages(clocked, sid))[0] == 204
    assert keys_alive(clocked) == empty + 2
    set_retention(clocked, body_minimum_days=None, numbers_minimum_days=None)
    wait_for(lambda: keys_alive(clocked) == empty)


# -- legal holds ----------------------------------------------------------------------------


def test_a_hold_on_a_number_keeps_what_is_deleted_until_it_is_lifted(
    clocked: RunningServer,
) -> None:
    """Deleted is deleted for every reader; the keys live until the hold is lifted, then go."""
    held, other = fresh_phone(), fresh_phone()
    kept, gone = delivered(clocked, To=held), delivered(clocked, To=other)
    full = keys_alive(clocked)
    one = hold(clocked, phone=held)
    for sid in (kept, gone):
        assert clocked.request("DELETE", messages(clocked, sid))[0] == 204
        assert clocked.request("GET", messages(clocked, sid))[0] == 404
    assert keys_alive(clocked) == full - 2
    again = hold(clocked, phone=held)
    for days in (300, 101):
        clocked.advance(days * DAY_S)
    lift(clocked, one)
    assert keys_alive(clocked) == full - 2
    assert clocked.stop() == 0
    clocked.start()
    lift(clocked, again)
    wait_for(lambda: keys_alive(clocked) == full - 4)
    found = get(clocked, ours(clocked, "legal-holds"))["legal_holds"]
    assert [h["sid"] for h in found] == [again, one]
    assert all(h["lifted"] and h["scope"] == "phone" for h in found)
    assert held not in json.dumps(found)


def test_a_hold_on_a_message_keeps_it_from_redaction_and_expiry(clocked: RunningServer) -> None:
    to = fresh_phone()
    sid = delivered(
        clocked, To=to, Body="x", ContentRetention="discard", AddressRetention="obfuscate"
    )
    full = keys_alive(clocked)
    one = hold(clocked, message_sid=sid)
    clocked.advance(21_600 + 60)
    assert get(clocked, messages(clocked, sid))["body"] == ""
    assert keys_alive(clocked) == full
    for days in (300, 101):
        clocked.advance(days * DAY_S)
    assert clocked.request("GET", messages(clocked, sid))[0] == 404
    assert keys_alive(clocked) == full
    assert report(clocked)["body"]["withheld"] == 1
    lift(clocked, one)
    wait_for(lambda: keys_alive(clocked) == full - 2)


def test_a_hold_on_the_account_keeps_everything(clocked: RunningServer) -> None:
    one = hold(clocked)
    sids = [delivered(clocked) for _ in range(3)]
    full = keys_alive(clocked)
    for sid in sids:
        assert clocked.request("DELETE", messages(clocked, sid))[0] == 204
    assert listed(clocked) == []
    assert keys_alive(clocked) == full
    assert [h["sid"] for h in get(clocked, ours(clocked, "privacy/report"))["holds"]] == [one]
    lift(clocked, one)
    wait_for(lambda: keys_alive(clocked) == full - 6)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"author": "A"}, 20001), ({"author": " ", "reason": "r"}, 20001),
        ({"author": "A", "reason": "r" * 501}, 20001), ([], 20001),
        ({"author": "A", "reason": "r", "phone": "nobody"}, 20001),
        ({"author": "A", "reason": "r", "message_sid": f"SM{'0' * 32}"}, 20001),
        ({"author": "A", "reason": "r", "number": "+1"}, 20001),
    ],
)  # fmt: skip
def test_what_is_no_hold_is_refused(server: RunningServer, wanted: object, code: int) -> None:
    path = ours(server, "legal-holds")
    status, _, body = server.request("POST", path, json.dumps(wanted).encode())
    assert status == 400, body
    assert get(server, path)["legal_holds"] == []


def test_a_hold_that_is_not_there_cannot_be_lifted(server: RunningServer) -> None:
    path = ours(server, f"legal-holds/LH{'0' * 32}/lift")
    assert server.request("POST", path, b"{}")[0] == 404


def test_media_that_a_link_leads_to_outlive_their_days(clocked: RunningServer) -> None:
    """R17: the hold of seven days goes before a retention of one."""
    set_retention(clocked, media_days=1)
    with PictureHost() as host:
        sid = create(clocked, To="+447911123458", MediaUrl=host.url("/cat.png"))["sid"]
        until(clocked, sid, "delivered")
    media = messages(clocked, sid).replace(".json", "/Media.json")
    clocked.advance(6 * DAY_S)
    assert len(get(clocked, media)["media_list"]) == 1
    clocked.advance(DAY_S + 7_200)
    assert get(clocked, media)["media_list"] == []
