"""The Python library against a running server, sync and async."""

import asyncio

import pytest

from harness import RunningServer
from hushwire import AsyncHushwire, Hushwire, Refused
from wire_checks import fresh_phone

DAN, EVE = fresh_phone(), fresh_phone()


def hushwire(server: RunningServer) -> Hushwire:
    return Hushwire(url=server.url, account_sid=server.sid, auth_token=server.token)


def test_it_does_what_the_official_client_does(server: RunningServer) -> None:
    theirs = server.client()
    with hushwire(server) as hush:
        sent = hush.messages.send(to=DAN, from_=server.number, body="From the library")
        found = theirs.messages(sent.sid).fetch()
        assert (found.body, found.to) == ("From the library", DAN)
        other = theirs.messages.create(to=DAN, from_=server.number, body="From theirs")
        assert [one.sid for one in hush.messages.iterate(to=DAN)] == [other.sid, sent.sid]
        assert hush.messages.retrieve(other.sid).body == "From theirs"
        assert server.number in {
            one.phone_number for one in hush.numbers.list(limit=1000).incoming_phone_numbers
        }


def test_redact_and_delete(server: RunningServer) -> None:
    with hushwire(server) as hush:
        sid = hush.messages.send(to="+14155550173", from_=server.number, body="Private").sid
        server.advance(3700)  # sent or delivered, it is finished by now
        assert hush.messages.redact(sid).body == ""
        assert hush.messages.delete(sid).already is False
        assert hush.messages.delete(sid).already is True
        with pytest.raises(Refused) as found:
            hush.messages.retrieve(sid)
        assert (found.value.code, found.value.status) == (20404, 404)


def test_the_environment_names_the_server(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens: it must not be asked
    monkeypatch.setenv("HUSHWIRE_URL", server.url)
    monkeypatch.setenv("HUSHWIRE_ACCOUNT_SID", server.sid)
    monkeypatch.setenv("HUSHWIRE_AUTH_TOKEN", server.token)
    with Hushwire.from_env() as hush:
        assert hush.accounts.retrieve(server.sid).sid == server.sid
    for name in ("URL", "ACCOUNT_SID", "AUTH_TOKEN"):
        monkeypatch.delenv(f"HUSHWIRE_{name}")
    monkeypatch.setenv("HUSHWIRE_DATA", str(server.data))
    with Hushwire.from_env() as hush:
        assert hush.accounts.retrieve(server.sid).sid == server.sid


def test_many_at_once_from_a_loop(server: RunningServer) -> None:
    async def use() -> set[str]:
        async with AsyncHushwire(
            url=server.url, account_sid=server.sid, auth_token=server.token
        ) as hush:
            sent = await asyncio.gather(*(
                hush.messages.send(to=EVE, from_=server.number, body=str(n)) for n in range(20)
            ))  # fmt: skip
            found = {one.sid async for one in hush.messages.iterate(to=EVE, page_size=7)}
            assert found == {one.sid for one in sent}
            return found

    assert len(asyncio.run(use())) == 20


@pytest.mark.parametrize("how", ["iterate", "limit"])
def test_a_history_is_whole_while_messages_arrive(server: RunningServer, how: str) -> None:
    """P-26: paged through without duplicates or gaps, while more are sent than a page holds."""
    person = fresh_phone()

    async def use() -> tuple[list[str], list[str], list[str]]:
        async with AsyncHushwire(
            url=server.url, account_sid=server.sid, auth_token=server.token
        ) as hush:

            async def sent(count: int) -> list[str]:
                made = [
                    await hush.messages.send(to=person, from_=server.number, body=str(n))
                    for n in range(count)
                ]
                return [one.sid for one in made]

            before, after = await sent(30), list[str]()
            if how == "iterate":
                found = list[str]()
                async for one in hush.messages.iterate(to=person, page_size=4):
                    found.append(one.sid)
                    after += await sent(1) if len(found) % 4 else await sent(5)
                return before, found, after
            reading = asyncio.create_task(hush.messages.list(to=person, page_size=1, limit=1000))
            while not reading.done():
                after += await sent(1)
            return before, [one.sid for one in (await reading).messages], after

    before, found, after = asyncio.run(use())
    assert len(after) > 4, "nothing arrived meanwhile"
    assert len(found) == len(set(found))
    assert found[-30:] == before[::-1]
    early = set(found[:-30])  # sent before the first page was made
    assert early == set(after[: len(early)])


def test_who_may_not_and_who_is_not_there(server: RunningServer) -> None:
    with (
        Hushwire(url=server.url, account_sid=server.sid, auth_token="0" * 32) as hush,
        pytest.raises(Refused) as found,
    ):
        hush.messages.list()
    assert (found.value.code, found.value.status) == (20003, 401)
    with (
        Hushwire(url="http://127.0.0.1:9", account_sid=server.sid, auth_token="0" * 32) as hush,
        pytest.raises(Refused, match="no answer from") as found,
    ):
        hush.messages.list()
    assert found.value.status == 503


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("send_message", {"to": DAN, "validity_period": 99_999, "from": "+1500", "body": "x"}),
        ("list_messages", {"page_size": 1001}),
        ("list_messages", {"statuss": "sent"}),
        ("retrieve_message", {"sid": "SM1"}),
        ("no_such_action", {}),
    ],
)
def test_bad_input_says_what_the_http_door_says(
    server: RunningServer, action: str, given: dict[str, object]
) -> None:
    """Issue 6: one clear sentence, the same through every door."""
    status, told = server.json("POST", f"/hushwire/v1/actions/{action}", {"input": given})
    with hushwire(server) as hush, pytest.raises(Refused) as found:
        hush.run(action, given)
    assert (found.value.status, found.value.text) == (status, told["message"])
    assert (found.value.code, found.value.field) == (told["code"], told["field"])
