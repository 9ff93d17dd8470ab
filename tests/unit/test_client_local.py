"""The library without a server: the whole of it in this process."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from harness import wait_for
from hushwire import AsyncHushwire, Hushwire, Message, Misconfigured, Refused

SMALL = "vault_slots_per_file = 16384\nsimulator_receipt_ms = 1\ndisk_reserve_mb = 1\n"
ALICE, BOB = "+14155550123", "+14155550124"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "hushwire.toml").write_text(SMALL)
    return tmp_path


def own(hush: Hushwire) -> str:
    return hush.numbers.list().incoming_phone_numbers[0].phone_number


def day(offset: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=offset))


def test_a_message_goes_out_and_is_there_the_next_time(data: Path) -> None:
    with Hushwire.local(data) as hush:
        sent = hush.messages.send(to=ALICE, from_=own(hush), body="Hi")
        assert isinstance(sent, Message)
        assert (sent.to, sent.from_, sent.body) == (ALICE, own(hush), "Hi")
    with Hushwire.local(data) as hush:
        assert hush.messages.retrieve(sent.sid).body == "Hi"
        assert hush.look_up(ALICE).messages_to == 1
        account = hush.accounts.list().accounts[0]
        assert hush.accounts.retrieve(account.sid) == account


def test_a_key_makes_it_one_message(data: Path) -> None:
    with Hushwire.local(data) as hush:
        sids = {
            hush.messages.send(to=ALICE, from_=own(hush), body="Hi", idempotency_key="k").sid
            for _ in range(3)
        }
        assert len(sids) == 1
        assert len(list(hush.messages.iterate(to=ALICE))) == 1


def test_iterate_walks_all_pages_and_filters_as_list_does(data: Path) -> None:
    with Hushwire.local(data) as hush:
        for count in range(5):
            hush.messages.send(to=ALICE, from_=own(hush), body=str(count))
            hush.messages.send(to=BOB, from_=own(hush), body="other")
        found = [one.body for one in hush.messages.iterate(to=ALICE, page_size=2)]
        assert found == ["4", "3", "2", "1", "0"]
        listed = hush.messages.list(to=ALICE, limit=3)
        assert [one.body for one in listed.messages] == found[:3]
        assert (listed.filters_applied, listed.more) == ({"To": ALICE}, True)
        filters = {"from_": own(hush), "date_sent_after": day(-3)}
        wait_for(lambda: len(list(hush.messages.iterate(**filters))) == 10)  # all have left
        assert not list(hush.messages.iterate(to=ALICE, date_sent_before=day(-3)))
        begun = hush.messages.iterate(page_size=1)
        assert next(begun).body == "other"
        begun.close()
        with pytest.raises(Refused, match=r"^page_size 1001 must be"):
            next(hush.messages.iterate(page_size=1001))


def test_what_is_refused_says_code_status_field_and_text(data: Path) -> None:
    with Hushwire.local(data) as hush:
        with pytest.raises(Refused) as found:
            hush.messages.send(to=ALICE, body="Hi")
        problem = found.value
        assert (problem.code, problem.status, problem.field) == (20001, 400, "from")
        assert problem.text == "from is missing: name a sender, or a messaging_service_sid"
        with pytest.raises(Refused) as found:
            hush.run("sned_message", {})
        assert found.value.text == "there is no action 'sned_message': did you mean send_message?"
        assert hush.run("list_messages", {"to": ALICE})["filters_applied"] == {"To": ALICE}


def test_two_cannot_have_one_directory(data: Path) -> None:
    with Hushwire.local(data) as hush:
        with pytest.raises(Misconfigured, match="another server uses"):
            Hushwire.local(data)
        assert own(hush)


def test_any_thread_may_call_and_none_is_left(data: Path) -> None:
    with Hushwire.local(data) as hush:
        sender, sids = own(hush), list[str]()

        def send() -> None:
            sids.append(hush.messages.send(to=ALICE, from_=sender, body="Hi").sid)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(sids)) == 4
    assert "hushwire" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="is closed"):
        hush.messages.list()
    hush.close()


def test_the_same_for_programs_with_a_loop(data: Path) -> None:
    async def use() -> tuple[list[str | None], str]:
        async with AsyncHushwire.local(data) as hush:
            number = (await hush.numbers.list()).incoming_phone_numbers[0].phone_number
            sent = [
                await hush.messages.send(to=ALICE, from_=number, body=text) for text in ("a", "b")
            ]
            with pytest.raises(Refused):
                await hush.messages.cancel(sent[0].sid)
            found = [one.body async for one in hush.messages.iterate(page_size=1)]
            return found, (await hush.run("retrieve_message", {"sid": sent[0].sid}))["sid"]

    found, sid = asyncio.run(use())
    assert found == ["b", "a"]
    assert sid.startswith("SM")


def test_a_broken_disk_is_told_and_the_program_lives(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server ends its process when its storage fails; here the process is the caller's."""
    with Hushwire.local(data) as hush:
        hush.messages.list()
        local = hush._calls._door._source
        local._server._failed(OSError(28, "No space left"))  # what the store does
        with pytest.raises(Refused) as found:
            hush.messages.list()
        assert found.value.status == 503
        assert "its storage failed" in found.value.text
    assert "storage_failed" in capsys.readouterr().err
