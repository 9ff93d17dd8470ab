"""Opt-outs, kept by hand: `/hushwire/v1/accounts/{AC}/opt-outs`. They are ours, not Twilio's.

    POST   {"phone": "+1…", "scope": "PN…"}   no more messages from there: 204
    DELETE {"phone": "+1…", "scope": "PN…"}   they are welcome again: 204
    GET    …/check?phone=+1…                  {"blocked": true, "scopes": ["PN…"]}

A scope is the SID of a number, short code or Messaging Service. Nobody is listed: the server
keeps keyed hashes, not numbers.
"""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.optouts import BlockLists
from hushwire.api.door import Door, answer, gone
from hushwire.api.paging import read_given
from hushwire.api.wire import read_body
from hushwire.domain.account import Account
from hushwire.errors import Refusal
from hushwire.private import Private

_PERMISSION: Final = "twilio/messaging/opt-outs"
_CREATE, _READ, _DELETE = (f"{_PERMISSION}/{action}" for action in ("create", "read", "delete"))


class OptOutResource:
    """Opt-outs, spoken to the actions."""

    def __init__(self, lists: BlockLists, door: Door) -> None:
        self._lists = lists
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/opt-outs"
        return [
            Route(path, self.add, methods=["POST"]),
            Route(path, self.remove, methods=["DELETE"]),
            Route(f"{path}/check", self.check, methods=["GET"]),
        ]

    async def add(self, request: Request) -> Response:
        account, wanted = await self._wanted(request, _CREATE)
        self._lists.add(account, Private(wanted.phone), wanted.scope)
        return gone()

    async def remove(self, request: Request) -> Response:
        account, wanted = await self._wanted(request, _DELETE)
        self._lists.remove(account, Private(wanted.phone), wanted.scope)
        return gone()

    async def check(self, request: Request) -> Response:
        account = self._door.path_account(request, _READ)
        phone = read_given(request.scope["query_string"]).get("phone")
        if phone is None:
            raise Refusal("parameter_required", parameter="phone")
        scopes = self._lists.check(account, Private(phone))
        return answer(200, {"blocked": bool(scopes), "scopes": scopes})

    async def _wanted(self, request: Request, permission: str) -> tuple[Account, "_Wanted"]:
        body = await read_body(request.receive)  # before the credentials: they may change meanwhile
        account = self._door.path_account(request, permission)
        try:
            return account, msgspec.json.decode(body, type=_Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed_request") from None


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    phone: str
    scope: str
