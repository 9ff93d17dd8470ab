"""Twilio's SDK, pointed at a test's server. Imported only when a test asks for it."""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

# The SDK has no type stubs.
# pyright: reportMissingTypeStubs=false

try:
    from twilio.http.async_http_client import AsyncTwilioHttpClient
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "Twilio's SDK is not installed here, and `client` and `patch_twilio` are for programs "
        "that use it: pip install twilio",
        name=error.name,
    ) from None

HOST: Final = "twilio.com"

Patch = Callable[[object, str, object], None]  # as pytest's monkeypatch.setattr


def client_for(url: str, account_sid: str, auth_token: str) -> Client:
    """A client for that account; every product's base URL is `url`."""
    client = Client(account_sid, auth_token)
    for product in (
        client.api, client.messaging, client.monitor, client.content, client.lookups,
        client.oauth, client.iam, client.accounts, client.events,
    ):  # fmt: skip
        product.base_url = url
    return client


def redirect(url: str, patch: Patch) -> None:
    """Send what any client of this process means for Twilio to `url` instead.

    The clients stay as the program makes them: below them, scheme and host are changed.
    """
    send: Callable[..., Any] = TwilioHttpClient.request
    send_async: Callable[..., Awaitable[Any]] = AsyncTwilioHttpClient.request

    def request(client: Any, method: str, uri: str, *rest: Any, **named: Any) -> Any:
        return send(client, method, moved(uri, url), *rest, **named)

    async def request_async(client: Any, method: str, uri: str, *rest: Any, **named: Any) -> Any:
        return await send_async(client, method, moved(uri, url), *rest, **named)

    patch(TwilioHttpClient, "request", request)
    patch(AsyncTwilioHttpClient, "request", request_async)


def moved(uri: str, url: str) -> str:
    """`uri` on the server at `url`, when it is one of Twilio's; else as it is."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if host != HOST and not host.endswith(f".{HOST}"):
        return uri
    return url + parts._replace(scheme="", netloc="").geturl()
