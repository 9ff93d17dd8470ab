"""One inbound webhook request, with the immediate retries that its URL asks for (6.5)."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from hushwire.domain.account import Account
from hushwire.domain.alert import code_of_failure
from hushwire.domain.incoming import Method
from hushwire.outbound import Answer, Failure, Limits
from hushwire.webhooks.cookies import Conversation
from hushwire.webhooks.inbound_form import Params, Request, request_of
from hushwire.webhooks.overrides import split

_BAD_URL: Final = 11100
_NO_URL: Final = Failure("refused_by_guard", "syntax")


class Client(Protocol):
    """What is needed of an HTTP client."""

    async def request(
        self, method: str, url: str, headers: dict[str, str], body: bytes, limits: Limits,
        query: str,
    ) -> Answer | Failure: ...  # fmt: skip

    def close(self) -> None: ...


class Called(Struct, frozen=True):
    """A request that was made, and how it ended. Private but for `code` and `http_status`."""

    method: Method
    url: str  # without fragment, and without what a GET appended
    result: Answer | Failure
    form: bytes = b""

    @property
    def http_status(self) -> int | None:
        return self.result.status if isinstance(self.result, Answer) else None

    @property
    def code(self) -> int | None:
        """What the account is alerted of (3.6); None when it was answered with 2xx."""
        if isinstance(self.result, Answer):
            return None if 200 <= self.result.status < 300 else code_of_failure("status")
        if self.result.kind == "refused_by_guard" and self.result.detail != "address":
            return _BAD_URL
        return code_of_failure(self.result.kind, self.result.detail)


async def call(
    client: Client, account: Account, method: Method, url: str, params: Callable[[], Params],
    token: str, cookies: Conversation | None = None,
) -> Called:  # fmt: skip
    """Ask `url`, which may have a fragment. Its time counts for all attempts together.

    `params` is asked before each attempt: what is good once must be new each time. `cookies`:
    those of the conversation.
    """
    base, overrides = split(url)
    loop = asyncio.get_running_loop()
    end = loop.time() + overrides.limits.total_ms / 1000
    limits, retries = overrides.limits, overrides.retries
    while True:
        request = request_of(method, base, params(), account.auth_token.reveal(), token)
        if request is None:
            return Called(method, base, _NO_URL)
        result = await _ask(client, request, limits, cookies)
        left_ms = int((end - loop.time()) * 1000)
        if not retries or left_ms <= 0 or not overrides.retries_on(result):
            return Called(method, base, result, request.form)
        retries -= 1
        limits = replace(limits, total_ms=left_ms)


async def _ask(
    client: Client, request: Request, limits: Limits, cookies: Conversation | None
) -> Answer | Failure:
    method, url, headers = request.method, request.url, request.headers
    cookie = cookies.header(url) if cookies is not None else ""
    if cookie:
        headers = {**headers, "Cookie": cookie}
    result = await client.request(method, url, headers, request.body, limits, request.query)
    if cookies is not None and isinstance(result, Answer):
        cookies.take(url, result)
    return result
