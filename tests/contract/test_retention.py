"""What is forgotten by itself: bodies and numbers on request, and everything past 400 days."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from harness import Receiver, RunningServer
from wire_checks import assert_refused, create, fresh_phone, get, messages, until

DAY_S = 86_400
RECOVERY_S = 21_600  # D5: what is to be forgotten outlives the hand-over by this


@pytest.fixture
def clocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of the test's own, whose clock it moves."""
    with RunningServer(tmp_path_factory.mktemp("retention") / "data") as running:
        yield running


def test_a_discarded_body_lives_six_hours_after_its_hand_over(clocked: RunningServer) -> None:
    """RC-2, RC-3: readable until then; then "", the number still in full and findable."""
    to = fresh_phone()
    made = create(clocked, To=to, Body="only for now", ContentRetention="discard")
    assert made["body"] == "only for now"
    path = messages(clocked, made["sid"])
    before = until(clocked, made["sid"], "delivered")
    clocked.advance(RECOVERY_S - 10)
    assert get(clocked, path) == before
    clocked.advance(20)
    after = get(clocked, path)
    assert after == {**before, "body": "", "date_updated": after["date_updated"]}
    assert get(clocked, f"{messages(clocked)}?To={quote(to)}")["messages"] == [after]


def test_an_obfuscated_number_loses_its_end(clocked: RunningServer) -> None:
    """RC-1, RC-2, RC-8: `+1628555XXXX`, our own number in full; the filter finds nothing more."""
    to = fresh_phone()
    sid = create(clocked, To=to, AddressRetention="obfuscate")["sid"]
    create(clocked, To=to, Body="kept")
    before = until(clocked, sid, "delivered")
    assert before["to"] == to
    clocked.advance(RECOVERY_S + 10)
    after = get(clocked, messages(clocked, sid))
    changed = {"to": f"{to[:-4]}XXXX", "date_updated": after["date_updated"]}
    assert after == {**before, **changed}
    by_to = f"{messages(clocked)}?To="
    assert [m["body"] for m in get(clocked, by_to + quote(to))["messages"]] == ["kept"]
    assert get(clocked, by_to + quote(after["to"]))["messages"] == []
    by_from = get(clocked, f"{messages(clocked)}?From={quote(clocked.number)}")["messages"]
    assert {m["to"] for m in by_from} == {to, after["to"]}
    both = f"{by_to}{quote(to)}&From={quote(clocked.number)}"
    assert [m["body"] for m in get(clocked, both)["messages"]] == ["kept"]


def test_both_at_once_and_never_delivered(clocked: RunningServer) -> None:
    """The hold starts with the hand-over, whatever becomes of the message."""
    to = fresh_phone()
    clocked.behave(to, "silent")
    keep = {"ContentRetention": "discard", "AddressRetention": "obfuscate"}
    sid = create(clocked, To=to, **keep)["sid"]
    until(clocked, sid, "sent")
    clocked.advance(RECOVERY_S + 10)
    after = get(clocked, messages(clocked, sid))
    assert (after["body"], after["to"]) == ("", f"{to[:-4]}XXXX")
    assert after["from"] == clocked.number
    assert clocked.request("DELETE", messages(clocked, sid))[0] == 204


def test_retain_is_for_ever(clocked: RunningServer) -> None:
    sid = create(clocked, ContentRetention="retain", AddressRetention="retain")["sid"]
    before = until(clocked, sid, "delivered")
    clocked.advance(60 * DAY_S)
    assert get(clocked, messages(clocked, sid)) == before


def test_callbacks_within_the_hold_are_complete(clocked: RunningServer) -> None:
    receiver = Receiver()
    to = fresh_phone()
    clocked.behave(to, "slow")
    create(clocked, To=to, AddressRetention="obfuscate", ContentRetention="discard",
           StatusCallback=receiver.url())  # fmt: skip
    receiver.wait(1)
    clocked.advance(60)
    assert [c.form["To"] for c in receiver.wait(2)] == [to, to]
    receiver.close()


def test_a_hold_survives_a_restart(clocked: RunningServer) -> None:
    sid = create(clocked, ContentRetention="discard")["sid"]
    until(clocked, sid, "delivered")
    clocked.advance(RECOVERY_S // 2)
    assert clocked.stop() == 0
    clocked.start()
    assert get(clocked, messages(clocked, sid))["body"] == "Hello Ada"
    clocked.advance(RECOVERY_S // 2 + 10)
    assert get(clocked, messages(clocked, sid))["body"] == ""


def test_a_list_reaches_back_400_days(clocked: RunningServer) -> None:
    """P-17: 399 days old is returned, 401 days is not; the filter and the pages agree."""
    to = fresh_phone()
    sid = create(clocked, To=to)["sid"]
    until(clocked, sid, "delivered")
    everything, by_to = messages(clocked), f"{messages(clocked)}?To={quote(to)}"
    clocked.advance(399 * DAY_S)
    for path in (everything, by_to):
        assert [m["sid"] for m in get(clocked, path)["messages"]] == [sid]
    assert [m.sid for m in clocked.client().messages.list(to=to)] == [sid]
    sent = get(clocked, messages(clocked, sid))["date_sent"]
    clocked.advance(2 * DAY_S)
    for path in (everything, by_to, f"{by_to}&PageToken=PBSM{'0' * 32}"):
        assert get(clocked, path)["messages"] == []
    answer = clocked.request("GET", f"{everything}?DateSent={quote(sent)}")
    assert_refused(answer, 400, 20004)
