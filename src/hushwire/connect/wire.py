"""Twilio's REST API from the client's side: a Hushwire server, or Twilio's own cloud.

One client for both: what tells them apart is a URL. Twilio's products have a host each; a
Hushwire server has all of them on one. An answer of 429 is asked again when it says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, Protocol

import httpx
from msgspec import DecodeError, json

from hushwire import __version__
from hushwire.connect.refused import UNREACHABLE, Refused, refused

CLOUD: Final = "https://api.twilio.com"
Product = Literal["api", "lookups", "messaging", "monitor", "oauth", "accounts", "iam"]
Record = dict[str, Any]  # a resource as the API shows it
Fields = Mapping[str, str | list[str]]

TIMEOUT_S: Final = 30.0
TRIES: Final = 5  # of what was put off by 429
LONGEST_WAIT_S: Final = 60.0

Sleep = Callable[[float], Awaitable[None]]


class Credential(Protocol):
    """What proves who asks."""

    async def header(self, *, renewed: bool = False) -> str:
        """The value of the Authorization header; `renewed` after it was not accepted."""
        ...


class OutcomeUnknown(Exception):
    """The connection broke after the request was sent: it may have been done, or not."""


class Wire:
    """HTTP to one backend, as one credential. Close it."""

    def __init__(
        self, url: str, credential: Credential, *,
        transport: httpx.AsyncBaseTransport | None = None, sleep: Sleep = asyncio.sleep,
    ) -> None:  # fmt: skip
        self.url = url.rstrip("/")
        self.is_cloud = self.url == CLOUD
        self._credential = credential
        self._sleep = sleep
        self._http = httpx.AsyncClient(
            transport=transport, timeout=TIMEOUT_S, trust_env=transport is None,
            headers={"User-Agent": f"hushwire/{__version__}", "Accept": "application/json"},
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    async def pause(self, seconds: float) -> None:
        """Wait, on the same clock as what was put off."""
        await self._sleep(seconds)

    async def get(self, path: str, query: Fields | None = None, product: Product = "api") -> Record:
        """A resource or a page. `path` is from the root, and may have a query."""
        return _record(await self._ask("GET", path, product, query=query))

    async def post(
        self, path: str, form: Fields, product: Product = "api", *, key: str | None = None
    ) -> Record:
        """A create or an update. `key`: a repetition with the same one is the same request.

        Raises OutcomeUnknown when the connection broke after the request was sent.
        """
        return _record(await self._ask("POST", path, product, form=form, headers=_named(key)))

    def preview(
        self, path: str, form: Fields, product: Product = "api", *, key: str | None = None
    ) -> httpx.Request:
        """The request that `post` would send, without its credential. Nothing is sent."""
        headers = {**_named(key), "Authorization": "***"}
        return self._http.build_request(
            "POST", self._base(product) + path, data=form, headers=headers
        )

    async def delete(self, path: str) -> None:
        """Raises Refused (404) when it is not there."""
        await self._ask("DELETE", path, "api")

    # -- the request ----------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, product: Product, *, query: Fields | None = None,
        form: Fields | None = None, headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        renewed = False
        for trial in range(TRIES):
            authorization = await self._credential.header(renewed=renewed)
            answer = await self._once(
                method, self._base(product) + path, query, form,
                {**(headers or {}), "Authorization": authorization},
            )  # fmt: skip
            if answer.status_code < 300:
                return answer
            problem = _problem(answer)
            if answer.status_code == 401 and not renewed and authorization.startswith("Bearer"):
                renewed = True  # an hour has passed: another token
            elif answer.status_code == 429 and trial + 1 < TRIES:
                wait_s = problem.retry_after_s
                await self._sleep(min(2.0**trial if wait_s is None else wait_s, LONGEST_WAIT_S))
            else:
                raise problem
        raise AssertionError("the last try returns or raises")

    async def _once(
        self, method: str, url: str, query: Fields | None, form: Fields | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:  # fmt: skip
        try:
            return await self._http.request(
                method, url, params=query or None, data=form, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise refused(
                UNREACHABLE, f"no answer from {_host(url)}: is it running, and is the URL right?"
            ) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise refused(
                UNREACHABLE, "the connection's URL is none: give http:// or https:// and a host"
            ) from None
        except httpx.TransportError:
            if method == "POST":
                raise OutcomeUnknown from None
            raise refused(UNREACHABLE, f"the connection to {_host(url)} broke: try again") from None

    def _base(self, product: Product) -> str:
        return f"https://{product}.twilio.com" if self.is_cloud else self.url


def _named(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key, "I-Twilio-Idempotency-Token": key} if key else {}


def _record(answer: httpx.Response) -> Record:
    try:
        return json.decode(answer.content, type=Record)
    except (DecodeError, UnicodeDecodeError):
        raise refused(
            UNREACHABLE, f"{_host(str(answer.url))} does not answer as Twilio's API does"
        ) from None


def _problem(answer: httpx.Response) -> Refused:
    """What the backend refuses, in its own words."""
    try:
        found = _record(answer)
    except Refused:
        found = {}
    code, text = found.get("code"), found.get("message")
    wait = answer.headers.get("retry-after", "")
    return Refused(
        code if isinstance(code, int) else 20000 + answer.status_code,
        answer.status_code,
        text if isinstance(text, str) else f"HTTP {answer.status_code}",
        retry_after_s=float(wait) if wait.isdigit() else None,
    )


def _host(url: str) -> str:
    """Scheme, host and port: the path may name somebody."""
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"
