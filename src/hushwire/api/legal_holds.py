"""Legal holds. They are ours, not Twilio's.

    POST …/legal-holds            {"author", "reason"} and "message_sid" or "phone": 201
    GET  …/legal-holds            {"legal_holds": […]}: lifted ones too, newest first
    POST …/legal-holds/{sid}/lift the hold, lifted

Neither SID nor number means the whole account. A number is kept as a keyed hash: it is not
shown again.
"""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.legal_holds import LegalHoldActions
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, not_found
from hushwire.api.wire import read_body
from hushwire.domain.legal_hold import LegalHold
from hushwire.errors import Refusal
from hushwire.private import Private

_PERMISSION: Final = "hushwire/legal-holds"


class LegalHoldResource:
    """Legal holds, spoken to the actions."""

    def __init__(self, holds: LegalHoldActions, door: Door) -> None:
        self._holds = holds
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/legal-holds"
        return [
            Route(path, self.list, methods=["GET"]),
            Route(path, self.add, methods=["POST"]),
            Route(f"{path}/{{sid}}/lift", self.lift, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_PERMISSION}/list")
        return answer(200, {"legal_holds": [hold_json(hold) for hold in self._holds.list(account)]})

    async def add(self, request: Request) -> Response:
        body = await read_body(request.receive)  # before the credentials: they may change meanwhile
        account = self._door.path_account(request, f"{_PERMISSION}/create")
        try:
            wanted = msgspec.json.decode(body, type=_Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed_request") from None
        phone = Private(wanted.phone) if wanted.phone is not None else None
        hold = self._holds.add(
            account, Private(wanted.author), Private(wanted.reason), wanted.message_sid, phone
        )
        return answer(201, hold_json(hold))

    async def lift(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_PERMISSION}/update")
        hold = await self._holds.lift(account, request.path_params["sid"])
        if hold is None:
            raise not_found(request)
        return answer(200, hold_json(hold))


def hold_json(hold: LegalHold) -> dict[str, object]:
    """A hold, for who may see it."""
    return {
        "sid": hold.sid,
        "scope": hold.scope,
        "message_sid": hold.message,
        "author": hold.author.reveal(),
        "reason": hold.reason.reveal(),
        "set_by": hold.set_by,
        "set": iso8601_s(hold.set_ms),
        "lifted": iso8601_s(hold.lifted_ms) if hold.lifted_ms is not None else None,
    }


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    author: str
    reason: str
    message_sid: str | None = None
    phone: str | None = None
