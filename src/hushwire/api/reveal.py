"""Revealing a message, on the record. It is ours, not Twilio's.

    POST /hushwire/v1/accounts/{sid}/messages/{MessageSid}/reveal   {"reason": "…"}

The answer is `{"sid", "from", "to", "body", "media", "forgotten_at"}`. What was forgotten is
null, and `forgotten_at` says when the last of it was.
"""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.reveal import Revealed, Reveals
from hushwire.api.dates import iso8601
from hushwire.api.door import Door, answer, not_found
from hushwire.api.wire import read_body
from hushwire.domain.account import REVEAL, Account
from hushwire.errors import Refusal
from hushwire.private import Private

_NO_STORE: Final = {"Cache-Control": "no-store"}


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is to be revealed."""

    reason: str | None = None


class RevealResource:
    """Reveals, spoken to the action."""

    def __init__(self, reveals: Reveals, door: Door) -> None:
        self._reveals = reveals
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/messages/{sid}/reveal"
        return [Route(path, self.reveal, methods=["POST"])]

    async def reveal(self, request: Request) -> Response:
        content = await read_body(request.receive)
        account = self._door.path_account(request, REVEAL)
        try:
            wanted = msgspec.json.decode(content, type=_Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed_request") from None
        if wanted.reason is None:
            raise Refusal("parameter_required", parameter="reason")
        reason = Private(wanted.reason)
        revealed = await self._reveals.reveal(account, request.path_params["sid"], reason)
        if revealed is None:
            raise not_found(request)
        response = answer(200, _json(revealed, account))
        response.headers.update(_NO_STORE)
        return response


def _json(revealed: Revealed, account: Account) -> dict[str, object]:
    at_ms, base = revealed.forgotten_ms, f"/2010-04-01/Accounts/{account.sid}/Messages"
    return {
        "sid": revealed.sid,
        "from": _text(revealed.from_),
        "to": _text(revealed.to),
        "body": _text(revealed.body),
        "media": None if revealed.media is None else [
            {
                "sid": medium.sid,
                "content_type": medium.content_type,
                "uri": f"{base}/{revealed.sid}/Media/{medium.sid}",
            }
            for medium in revealed.media
        ],
        "forgotten_at": None if at_ms is None else iso8601(at_ms),
    }  # fmt: skip


def _text(private: Private | None) -> str | None:
    return None if private is None else private.reveal()
