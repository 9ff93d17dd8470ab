"""The OAuth credential of a connection: when it fetches, what it keeps, and what it tells."""

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hushwire.connect.kinds import KINDS, Opening
from hushwire.connect.oauth import CLOUD_TOKENS, Authorization, Client, OAuth, token_url
from hushwire.connect.refused import Refused
from hushwire.connect.wire import CLOUD, Wire
from hushwire.domain.oauth import challenge_of
from hushwire.private import Private

CLIENT = Client("OQ" + "1" * 32, Private("canary-secret"))


class Backend:
    """A token endpoint that gives another token each time, and an API that takes the newest."""

    def __init__(self, lifetime_s: int = 3600) -> None:
        self.lifetime_s = lifetime_s
        self.asked: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.answer: httpx.Response | Exception | None = None
        self.newest = ""
        self.kept: list[str] = []
        self.now_s = 0.0

    def credential(self, refresh: str | None = None, url: str = "https://sms.example.com") -> OAuth:
        def keep(values: Any) -> None:
            self.kept += [value.reveal() for value in values.values()]

        token = Private(refresh) if refresh is not None else None
        return OAuth(url, CLIENT, token, self.transport(), keep, lambda: self.now_s)

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as a network: others go on meanwhile
        self.urls.append(str(request.url))
        if not request.url.path.endswith("/token"):
            right = request.headers["authorization"] == f"Bearer {self.newest}"
            body = {"sid": "AC"} if right else {"code": 20104, "message": "x", "status": 401}
            return httpx.Response(200 if right else 401, json=body)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        self.newest = f"token {len(self.asked)}"
        refresh = f"refresh {len(self.asked)}" if "refresh_token" in form else None
        return httpx.Response(200, json={
            "access_token": self.newest, "token_type": "Bearer", "expires_in": self.lifetime_s,
            "refresh_token": refresh, "id_token": None,
        })  # fmt: skip


def test_a_token_is_kept_until_shortly_before_its_end() -> None:
    async def main() -> None:
        backend = Backend()
        credential = backend.credential()
        assert await credential.header() == await credential.header() == "Bearer token 1"
        backend.now_s = 3539.0
        assert await credential.header() == "Bearer token 1"
        backend.now_s = 3540.0
        assert await credential.header() == "Bearer token 2"
        assert backend.asked[0] == {
            "grant_type": "client_credentials", "client_id": CLIENT.id,
            "client_secret": "canary-secret",
        }  # fmt: skip
        short = Backend(60)
        credential = short.credential()
        await credential.header()
        short.now_s = 53.0
        assert await credential.header() == "Bearer token 1"
        short.now_s = 54.0
        assert await credential.header() == "Bearer token 2"

    asyncio.run(main())


def test_after_a_401_another_token_is_fetched() -> None:
    async def main() -> None:
        backend = Backend()
        wire = Wire("https://sms.example.com", backend.credential(), transport=backend.transport())
        await wire.get("/2010-04-01/Accounts/AC.json")
        backend.newest = "another"  # the server was told to forget the first
        assert await wire.get("/2010-04-01/Accounts/AC.json") == {"sid": "AC"}
        assert len(backend.asked) == 2
        await wire.close()

    asyncio.run(main())


def test_a_refresh_token_is_replaced_and_kept() -> None:
    async def main() -> None:
        backend = Backend()
        credential = backend.credential("refresh 0")
        await credential.header()
        await credential.header(renewed=True)
        assert [form["refresh_token"] for form in backend.asked] == ["refresh 0", "refresh 1"]
        assert backend.kept == ["refresh 1", "refresh 2"]

    asyncio.run(main())


def test_many_at_once_fetch_once() -> None:
    async def main() -> None:
        backend = Backend()
        credential = backend.credential("refresh 0")
        assert len({*await asyncio.gather(*(credential.header() for _ in range(20)))}) == 1
        again = await asyncio.gather(*(credential.header(renewed=True) for _ in range(20)))
        assert set(again) == {"Bearer token 2"}
        assert len(backend.asked) == 2

    asyncio.run(main())


def test_twilios_cloud_gives_tokens_on_a_host_of_its_own() -> None:
    """C-6: the same credential, another place."""

    async def main() -> None:
        backend = Backend()
        await backend.credential(url=CLOUD).header()
        assert backend.urls == [CLOUD_TOKENS]

    asyncio.run(main())
    assert token_url("https://sms.example.com/") == "https://sms.example.com/v2/token"


def no(status: int, **headers: str) -> httpx.Response:
    body = {"message": "canary-secret", "error": "invalid_client"}
    return httpx.Response(status, json=body, headers=headers)


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (no(401), 20003, 401),
        (no(400), 20003, 401),
        (no(429, **{"retry-after": "7"}), 20429, 429),
        (no(500), 20503, 503),
        (no(302), 20503, 503),
        (httpx.Response(200, content=b"<html>"), 20503, 503),
        (httpx.Response(200, json={"access_token": 7}), 20503, 503),
        (httpx.ConnectError("canary-secret"), 20503, 503),
        (httpx.ReadTimeout("canary-secret"), 20503, 503),
    ],
)
def test_what_goes_wrong_is_told_without_secrets(
    answer: httpx.Response | Exception, code: int, status: int
) -> None:
    async def main() -> None:
        backend = Backend()
        backend.answer = answer
        with pytest.raises(Refused) as refused:
            await backend.credential("canary-refresh").header()
        assert (refused.value.code, refused.value.status) == (code, status)
        assert "canary" not in refused.value.text
        assert refused.value.retry_after_s == (7 if status == 429 else None)

    asyncio.run(main())


def test_nothing_shows_secrets() -> None:
    credential = Backend().credential("canary-refresh")
    assert "canary" not in f"{credential} {vars(credential)} {CLIENT}"


def test_an_authorization_is_pkce_with_state() -> None:
    walk = Authorization("https://sms.example.com/", CLIENT.id, "http://127.0.0.1:1/cb", ("a", "b"))
    parts = urlsplit(walk.page)
    asked = {name: value for name, (value,) in parse_qs(parts.query).items()}
    assert parts.path == "/oauth/authorize"
    assert (asked["scope"], asked["code_challenge_method"]) == ("a b", "S256")
    assert asked["state"] == walk.state.reveal()
    assert len(asked["state"]) >= 32
    backend = Backend()
    with pytest.raises(Refused, match="no refresh token"):
        asyncio.run(walk.exchange(CLIENT, Private("code"), backend.transport()))
    assert challenge_of(backend.asked[0]["code_verifier"]) == asked["code_challenge"]
    other = Authorization("https://sms.example.com", CLIENT.id, "http://127.0.0.1:1/cb", ())
    assert other.state != walk.state


def test_its_kind_is_in_the_table() -> None:
    """P-1: the fields that a form asks for."""
    kind = KINDS["oauth"]
    assert [(f.name, f.type, f.required) for f in kind.fields] == [
        ("account_sid", "text", True), ("client_id", "text", True),
        ("client_secret", "sensitive", True), ("refresh_token", "sensitive", False),
    ]  # fmt: skip
    backend = Backend()
    values = {"client_id": Private(CLIENT.id), "client_secret": CLIENT.secret}
    opening = Opening("https://x.example.com", values, backend.transport(), lambda values: None)
    assert asyncio.run(kind.open(opening).header()) == "Bearer token 1"
