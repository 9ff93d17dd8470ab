"""Connections: what may be one, what is tested before it is stored, and what nobody sees again."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from rich.pretty import pretty_repr
from test_guard import BY_TEXT

from hushwire.actions.connections import CONNECTIONS_MAX, Connections, Here
from hushwire.clock import SeededEntropy
from hushwire.connect.connections import read_new
from hushwire.connect.kinds import KINDS
from hushwire.connect.refused import Refused
from hushwire.domain.connection import Connection
from hushwire.outbound import Guard
from hushwire.store.records import Records
from rig import Rig

SID, TOKEN = "AC" + "1" * 32, "canary0123456789canary0123456789"
CREDENTIAL = {"kind": "token", "account_sid": SID, "auth_token": TOKEN}
FINE: dict[str, Any] = {"name": "twilio", "credential": CREDENTIAL}
ACCOUNT = httpx.Response(200, json={"sid": SID, "status": "active"})

Answer = Callable[[httpx.Request], httpx.Response]


class Desk:
    """Connections on a real store; every backend, this server too, answers as told."""

    def __init__(self, rig: Rig, answer: Answer, guard: Guard | None = None) -> None:
        self.rig = rig
        self.asked: list[httpx.Request] = []
        self._answer = answer
        self.records = Records(rig.store)
        transport = httpx.MockTransport(self._handle)
        self.here = Here("http://here", transport)
        self.connections = Connections(
            self.records.owned, guard or Guard(True), rig.clock, SeededEntropy(2), transport
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await asyncio.sleep(0)  # others go on meanwhile, as with a real backend
        return self._answer(request)

    async def add(self, **changes: Any) -> Connection:
        return await self.connections.add(self.rig.account, {**FINE, **changes}, self.here)

    async def refusal(self, **changes: Any) -> Refused:
        with pytest.raises(Refused) as refused:
            await self.add(**changes)
        return refused.value


def says(response: httpx.Response) -> Answer:
    return lambda request: response


def problem(status: int, code: int) -> Answer:
    body = {"code": code, "message": "No", "status": status}
    return says(httpx.Response(status, json=body))


def on_desk(
    tmp_path: Path, test: Callable[[Desk], Coroutine[Any, Any, None]],
    answer: Answer | None = None, guard: Guard | None = None,
) -> None:  # fmt: skip
    async def main() -> None:
        rig = Rig(tmp_path)
        desk = Desk(rig, answer or says(ACCOUNT), guard)
        await test(desk)
        desk.records.close()
        await rig.close()

    asyncio.run(main())


# What is asked for ----------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str, str]] = [  # changes, field, beginning of the sentence
    ({"name": ""}, "name", "name '' must be other: 1 to 64 letters"),
    ({"name": "kinds"}, "name", "name 'kinds' must be other"),
    ({"name": "a/b"}, "name", "name 'a/b' must be other"),
    ({"nmae": "x"}, "nmae", "nmae is no field of a connection: there are name, credential"),
    ({"url": "ftp://example.com"}, "url", "url must be https:// and a host"),
    ({"url": "https://user:secret@example.com"}, "url", "url must be https:// and a host"),
    ({"url": "https://example.com/?a=b"}, "url", "url must be https:// and a host"),
    ({"scopes": ["messages.sned"]}, "scopes", "scopes 'messages.sned' is none: there are messages"),
    ({"scopes": []}, "scopes", "scopes must not be empty"),
    ({"view": "some"}, "view", "view 'some' must be full, masked, metadata or pseudonymous"),
    ({"profile": "1999"}, "profile", "profile '1999' must be current or tealium-2021"),
    ({"credential": {}}, "credential.kind", "credential.kind must be token"),
    ({"credential": {**CREDENTIAL, "kind": "x"}}, "credential.kind", "credential.kind must be"),
    ({"credential": {"kind": "token", "account_sid": SID}}, "credential.auth_token",
     "credential.auth_token is missing: The Auth Token from your Twilio account."),
    ({"credential": {**CREDENTIAL, "account_sid": TOKEN}}, "credential.account_sid",
     "credential.account_sid must be AC and 32 hex digits"),
    ({"credential": {**CREDENTIAL, "auth_token": f"{TOKEN}\n"}}, "credential.auth_token",
     "credential.auth_token must be visible ASCII"),
    ({"credential": {**CREDENTIAL, "key_sid": TOKEN}}, "key_sid", "key_sid is no field of the "
     "credential kind token"),
    ({"credential": TOKEN}, "credential", "credential must be an object"),
    ({"credential": {"auth_token": 7}}, "credential", "credential must be text"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "begins"), WRONG)
def test_each_mistake_is_one_sentence_that_names_the_field(
    changes: dict[str, Any], field: str, begins: str
) -> None:
    with pytest.raises(Refused) as refused:
        read_new({**FINE, **changes})
    assert refused.value.text.startswith(begins)
    assert refused.value.field in (field, "credential")
    assert refused.value.status == 400
    assert TOKEN not in refused.value.text


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from([TOKEN, "", "token"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["kind", "account_sid", "auth_token", "key_sid", "odd"]), inner
        ),
    ),
    max_leaves=6,
)


@given(credential=JSON, url=JSON)
def test_no_credential_is_repeated_whatever_comes(credential: object, url: object) -> None:
    """G-4: what is sensitive is in no sentence."""
    with pytest.raises(Refused) as refused:
        read_new({"name": "x", "credential": credential, "url": url, "bogus": 1})
    assert TOKEN not in refused.value.text


def test_the_fields_of_a_method_say_what_they_are() -> None:
    """G-4: "Connect using Account SID and Auth Token", its two fields and their types."""
    token = KINDS["token"]
    assert token.title == "Connect using Account SID and Auth Token"
    assert [(f.label, f.type) for f in token.fields] == [
        ("Account SID", "text"), ("Auth Token", "sensitive"),
    ]  # fmt: skip
    assert token.fields[0].description == "The Account SID from your Twilio account."


# What is stored -------------------------------------------------------------------------------


def test_it_is_tested_then_stored_and_survives_a_restart(tmp_path: Path) -> None:
    """G-3: verified, then stored; two with different names coexist."""

    async def test(desk: Desk) -> None:
        first = await desk.add(scopes=["messages.send", "messages.list"], view="masked")
        second = await desk.add(name="My other one", url="twilio")
        assert [request.url.path for request in desk.asked] == [
            f"/2010-04-01/Accounts/{SID}.json"
        ] * 2
        assert [request.url.host for request in desk.asked] == ["here", "api.twilio.com"]
        again = Records(desk.rig.store)
        assert again.owned.of(Connection, desk.rig.account.id) == [second, first]
        again.close()
        assert first.scopes == ("messages.list", "messages.send")
        assert first.secrets.view_key != second.secrets.view_key
        assert desk.connections.find(desk.rig.account, "twilio") == first

    on_desk(tmp_path, test)


@pytest.mark.parametrize(
    ("answer", "status", "code", "says"),
    [
        (problem(401, 20003), 401, 20003, "does not accept account_sid and auth_token together"),
        (problem(404, 20404), 400, 20001, "has no account of that account_sid"),
        (problem(503, 20503), 503, 20503, "No"),
        (says(httpx.Response(200, text="<html>")), 503, 20503, "does not answer as Twilio's API"),
    ],
)
def test_what_does_not_work_is_not_stored(
    tmp_path: Path, answer: Answer, status: int, code: int, says: str
) -> None:
    """G-3: a wrong pair is told clearly, and nothing is kept of it."""

    async def test(desk: Desk) -> None:
        refused = await desk.refusal()
        assert (refused.status, refused.code) == (status, code)
        assert says in refused.text
        assert TOKEN not in refused.text
        assert desk.connections.list(desk.rig.account) == []
        assert desk.rig.rows("owned") == []

    on_desk(tmp_path, test, answer)


def test_a_credential_that_may_not_read_is_right_all_the_same(tmp_path: Path) -> None:
    """A restricted key: the backend knew it."""
    credential = {
        "kind": "key", "account_sid": SID, "key_sid": "SK" + "2" * 32, "key_secret": TOKEN,
    }  # fmt: skip

    async def test(desk: Desk) -> None:
        await desk.add(credential=credential)
        assert desk.asked[0].url.path.endswith("/Messages.json")

    on_desk(tmp_path, test, problem(401, 70051))


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.add()
        asked = len(desk.asked)
        assert (await desk.refusal()).status == 409
        assert len(desk.asked) == asked, "the backend was asked"
        both = await asyncio.gather(desk.add(name="b"), desk.add(name="b"), return_exceptions=True)
        assert sorted(type(each).__name__ for each in both) == ["Connection", "Refused"]
        desk.connections.remove(desk.connections.find(desk.rig.account, "b"))
        await desk.add(name="b")

    on_desk(tmp_path, test)


def test_an_account_has_so_many_at_most(tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        for n in range(CONNECTIONS_MAX):
            await desk.add(name=f"c{n}")
        assert "at most" in (await desk.refusal()).text

    on_desk(tmp_path, test)


def test_secrets_are_sealed_and_masked(tmp_path: Path) -> None:
    """K-1, G-4: in no repr, no file; gone with the connection."""

    async def test(desk: Desk) -> None:
        connection = await desk.add()
        for text in (repr(connection), str(connection), pretty_repr(connection), f"{connection}"):
            assert TOKEN not in text
            assert repr(connection.secrets.view_key)[2:-1] not in text
        assert json.encode(connection).count(TOKEN.encode()) == 1  # so the search would find it
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
        desk.connections.remove(connection)
        assert desk.rig.rows("owned") == []

    on_desk(tmp_path, test)


def test_what_is_kept_between_calls_goes_with_the_connection(tmp_path: Path) -> None:
    """Added anew under its name, it has its new credential."""

    async def test(desk: Desk) -> None:
        for token in ("one" * 5, "two" * 5):
            connection = await desk.add(credential={**CREDENTIAL, "auth_token": token})
            await desk.connections.test(connection, desk.here)
            await desk.connections.test(connection, desk.here)
            desk.connections.remove(connection)
            assert desk.connections._credentials == {}, "a secret stays in memory"
        sent = [httpx.Headers(request.headers)["authorization"] for request in desk.asked]
        assert len(set(sent[:3])) == len(set(sent[3:])) == 1
        assert sent[0] != sent[3]

    on_desk(tmp_path, test)


# Where it may lead ----------------------------------------------------------------------------


def test_a_url_that_no_callback_may_have_is_refused_before_any_call(tmp_path: Path) -> None:
    """The table of the URL guard, but for "path": a backend is a host."""

    async def test(desk: Desk) -> None:
        urls = [url for url, reason in BY_TEXT if reason != "path" and url != ""]
        assert len(urls) > 150
        for url in urls:
            refused = await desk.refusal(url=url)
            assert (refused.status, refused.field) == (400, "url"), url
            assert url not in refused.text or len(url) < 12, url
        assert desk.asked == []

    on_desk(tmp_path, test, guard=Guard(False))
