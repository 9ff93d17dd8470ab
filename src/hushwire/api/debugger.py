"""The debugger webhook's URL: Twilio sets it in its console, so under a path of our own."""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.debugger import Debuggers
from hushwire.api.door import Door, answer
from hushwire.api.wire import read_body
from hushwire.domain.debugger import Debugger
from hushwire.errors import Refusal

_PERMISSION: Final = "twilio/monitor/debugger"


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    url: str | None


class DebuggerResource:
    """`GET` and `PUT /hushwire/v1/accounts/{sid}/debugger`."""

    def __init__(self, debuggers: Debuggers, door: Door) -> None:
        self._debuggers = debuggers
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/debugger"
        return [Route(path, self._one, methods=["GET", "PUT"])]

    async def fetch(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_PERMISSION}/read")
        return answer(200, _json(self._debuggers.of(account.id)))

    async def set(self, request: Request) -> Response:
        content = await read_body(request.receive)  # the credentials may change while it comes
        account = self._door.path_account(request, f"{_PERMISSION}/update")
        try:
            wanted = msgspec.json.decode(content, type=_Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("invalid_parameter", parameter="url") from None
        return answer(200, _json(self._debuggers.set(account, wanted.url)))

    async def _one(self, request: Request) -> Response:
        return await (self.set(request) if request.method == "PUT" else self.fetch(request))


def _json(debugger: Debugger | None) -> dict[str, object]:
    return {"url": debugger.url if debugger is not None else None}
