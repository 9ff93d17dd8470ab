"""OAuth 2 from the client's side: an access token fetched, kept in memory and renewed in time.

Client credentials, or the refresh token of what somebody approved (authorization code with PKCE).
A Hushwire server has the token endpoint beside its API, Twilio's cloud on a host of its own.
"""

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import httpx
import msgspec
from msgspec import Struct

from hushwire.connect.refused import UNREACHABLE, Refused, refused
from hushwire.connect.wire import CLOUD, TIMEOUT_S
from hushwire.private import Private

CLOUD_TOKENS: Final = "https://oauth.twilio.com/v2/token"
EARLY_S: Final = 60.0  # renewed so long before its end, but for a tenth of a short life

_NOT_ACCEPTED: Final = 20003

Keep = Callable[[Mapping[str, Private]], None]


class Client(Struct, frozen=True):
    """An app of the backend, as it proves itself."""

    id: str
    secret: Private


class Fetched(Struct, frozen=True):
    """What a token endpoint gave."""

    access_token: Private
    lifetime_s: float
    refresh_token: Private | None


class _Answer(Struct, frozen=True):
    """The part of a token endpoint's answer that counts (RFC 6749, 5.1)."""

    access_token: str
    expires_in: float = 3600.0
    refresh_token: str | None = None


class OAuth:
    """A credential: `Bearer` and a token that is good for the next request.

    Without a refresh token it asks as the app itself. A new refresh token is handed to `keep`
    before the access token beside it is used: the one before is void by then.
    """

    def __init__(
        self, url: str, client: Client, refresh_token: Private | None,
        transport: httpx.AsyncBaseTransport | None, keep: Keep,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._url = token_url(url)
        self._client = client
        self._refresh_token = refresh_token
        self._transport = transport
        self._keep = keep
        self._now_s = now_s
        self._token: Private | None = None
        self._until_s = 0.0  # when to renew it
        self._one = asyncio.Lock()  # fetches at a time: a refresh token is good once

    async def header(self, *, renewed: bool = False) -> str:
        """Raises Refused (20003) when the backend gives no token any more, 503 when it is away."""
        stale = self._token if renewed else None
        async with self._one:
            token = self._token
            if token is None or token is stale or self._now_s() >= self._until_s:
                token = await self._fetch()
        return f"Bearer {token.reveal()}"

    async def _fetch(self) -> Private:
        known = self._refresh_token
        asked = (
            {"grant_type": "client_credentials"}
            if known is None
            else {"grant_type": "refresh_token", "refresh_token": known.reveal()}
        )
        fetched = await fetch(self._url, self._client, asked, self._transport)
        if fetched.refresh_token is not None and fetched.refresh_token != known:
            self._refresh_token = fetched.refresh_token
            self._keep({"refresh_token": fetched.refresh_token})
        self._token = fetched.access_token
        early_s = min(EARLY_S, fetched.lifetime_s / 10)
        self._until_s = self._now_s() + fetched.lifetime_s - early_s
        return fetched.access_token


class Authorization:
    """One walk through the authorization page: what is sent there, and what comes back."""

    def __init__(self, url: str, client_id: str, redirect_uri: str, scopes: tuple[str, ...]):
        self._url = url.rstrip("/")
        self._redirect_uri = redirect_uri
        self._verifier = Private(secrets.token_urlsafe(48))
        self.state: Final = Private(secrets.token_urlsafe(24))
        challenge = sha256(self._verifier.reveal().encode()).digest()
        asked = {
            "response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri,
            "state": self.state.reveal(),
            "code_challenge": urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256", **({"scope": " ".join(scopes)} if scopes else {}),
        }  # fmt: skip
        self.page: Final = f"{self._url}/oauth/authorize?{urlencode(asked)}"

    async def exchange(
        self, client: Client, code: Private, transport: httpx.AsyncBaseTransport | None = None
    ) -> Private:
        """The refresh token for a code. Raises Refused."""
        asked = {
            "grant_type": "authorization_code", "code": code.reveal(),
            "redirect_uri": self._redirect_uri, "code_verifier": self._verifier.reveal(),
        }  # fmt: skip
        fetched = await fetch(token_url(self._url), client, asked, transport)
        if fetched.refresh_token is None:
            raise refused(UNREACHABLE, "the server gave no refresh token: is it a Hushwire server?")
        return fetched.refresh_token


def token_url(url: str) -> str:
    """Where a backend gives tokens."""
    return CLOUD_TOKENS if url == CLOUD else f"{url.rstrip('/')}/v2/token"


async def fetch(
    url: str, client: Client, asked: Mapping[str, str],
    transport: httpx.AsyncBaseTransport | None,
) -> Fetched:  # fmt: skip
    """Ask a token endpoint. Raises Refused: 20003 for what it does not accept, 429 and 503."""
    form = {**asked, "client_id": client.id, "client_secret": client.secret.reveal()}
    try:
        async with httpx.AsyncClient(
            transport=transport, timeout=TIMEOUT_S, trust_env=transport is None
        ) as http:
            answer = await http.post(url, data=form)
    except (httpx.TransportError, httpx.InvalidURL):
        raise refused(
            UNREACHABLE, "no answer from the backend's token endpoint: is it running?"
        ) from None
    if answer.status_code >= 300:
        raise _problem(answer)
    try:
        given = msgspec.json.decode(answer.content, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refused(UNREACHABLE, "the backend's token endpoint gives no tokens") from None
    refresh = Private(given.refresh_token) if given.refresh_token else None
    return Fetched(Private(given.access_token), given.expires_in, refresh)


def _problem(answer: httpx.Response) -> Refused:
    """The backend's words may repeat what was sent: they are not told."""
    if answer.status_code == 429:
        wait = answer.headers.get("retry-after", "")
        return Refused(
            20429, 429, "the backend gives no more tokens for now: try again later",
            retry_after_s=float(wait) if wait.isdigit() else None,
        )  # fmt: skip
    if answer.status_code in (400, 401, 403):
        text = "the backend gives no token for these: the app's secret was renewed, the app was "
        return Refused(
            _NOT_ACCEPTED, 401, text + "deleted, or what was approved was taken back or is over"
        )
    return refused(UNREACHABLE, f"the backend's token endpoint answers HTTP {answer.status_code}")
