"""What the tools speak to: a backend itself, or a server through a named connection of it."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx
from msgspec import DecodeError, convert, json

from hushwire import __version__
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import UNREACHABLE, UNSURE, Refused, refused
from hushwire.connect.registry import AnyAction
from hushwire.connect.run import Connected, run
from hushwire.connect.view import View, shown

ACTIONS: Final = "/hushwire/v1/actions"
TIMEOUT_S: Final = 60.0


class Backend(Protocol):
    """Runs actions, and gives of their outputs what a view leaves."""

    through: str  # in words, for the person who is asked

    async def run(
        self, action: AnyAction, given: Mapping[str, object], key: str | None
    ) -> dict[str, Any]: ...

    async def close(self) -> None: ...


class Direct:
    """A backend that this process has credentials of."""

    def __init__(self, connected: Connected, through: str) -> None:
        self._connected = connected
        self.through = through

    async def run(
        self, action: AnyAction, given: Mapping[str, object], key: str | None
    ) -> dict[str, Any]:
        return await run(action.name, given, self._connected, key=key)

    async def close(self) -> None:
        await self._connected.wire.close()


class Named:
    """A connection of a server, which alone has its secrets.

    The server gives what the connection's view leaves; of that, ours.
    """

    def __init__(
        self, url: str, credential: Basic, connection: str, view: View, view_key: bytes, *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:  # fmt: skip
        self.through = f"the connection {connection!r}"
        self._credential = credential
        self._connection = connection
        self._view: View = view
        self._view_key = view_key
        self._http = httpx.AsyncClient(
            base_url=url, transport=transport, timeout=TIMEOUT_S, trust_env=transport is None,
            headers={"User-Agent": f"hushwire/{__version__}", "Accept": "application/json"},
        )  # fmt: skip

    async def run(
        self, action: AnyAction, given: Mapping[str, object], key: str | None
    ) -> dict[str, Any]:
        """Raises Refused; 504 when nobody knows whether it was done."""
        headers = {"Authorization": await self._credential.header()}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = {"input": given, "connection": self._connection}
        try:
            answer = await self._http.post(f"{ACTIONS}/{action.name}", json=content,
                                           headers=headers)  # fmt: skip
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise refused(UNREACHABLE, "no answer from the server: is it running?") from None
        except httpx.TransportError:
            unsure = UNSURE if action.effect == "sends" else UNREACHABLE
            raise refused(unsure, "the connection to the server broke: look before it is tried "
                          "again") from None  # fmt: skip
        return self._shown(action, _output(answer))

    async def close(self) -> None:
        await self._http.aclose()

    def _shown(self, action: AnyAction, output: dict[str, Any]) -> dict[str, Any]:
        """Ours of what the connection's view left."""
        return shown(convert(output, action.output), self._view, self._view_key)


def _output(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = json.decode(answer.content, type=dict[str, Any])
    except (DecodeError, UnicodeDecodeError):
        raise refused(UNREACHABLE, "the server does not answer as Hushwire does") from None
    if answer.status_code == 200:
        return found
    code, text = found.get("code"), found.get("message")
    raise Refused(
        code if isinstance(code, int) else 20000 + answer.status_code,
        answer.status_code,
        text if isinstance(text, str) else f"HTTP {answer.status_code}",
        field=found.get("field"),
    )
