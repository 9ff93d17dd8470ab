"""The holds on a message: Twilio shows none, so under a path of our own."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.holds import Forgotten, Held, MessageHolds
from hushwire.actions.messages import Messages
from hushwire.api.dates import iso8601
from hushwire.api.door import Door, answer, not_found

_PERMISSION: Final = "twilio/messaging/messages/read"


class HoldResource:
    """`GET /hushwire/v1/accounts/{sid}/messages/{sid}/holds`."""

    def __init__(self, messages: Messages, holds: MessageHolds, door: Door) -> None:
        self._messages = messages
        self._holds = holds
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/messages/{sid}/holds"
        return [Route(path, self.list, methods=["GET"])]

    async def list(self, request: Request) -> Response:
        """What still keeps which part of the message, until when, and what is forgotten."""
        account = self._door.path_account(request, _PERMISSION)
        message = self._messages.fetch(account, request.path_params["sid"])
        if message is None:
            raise not_found(request)
        return answer(200, {
            "sid": message.sid,
            "holds": [_held(row) for row in self._holds.held(message)],
            "forgotten": [_forgotten(part) for part in self._holds.forgotten(message)],
        })  # fmt: skip


def _held(row: Held) -> dict[str, str | None]:
    return {
        "part": row.part,
        "hold": row.hold,
        "reason": row.reason,
        "owner": row.owner,
        "until": _moment(row.until_ms),
    }


def _forgotten(part: Forgotten) -> dict[str, str | None]:
    return {"part": part.part, "at": _moment(part.at_ms)}


def _moment(ms: int | None) -> str | None:
    return None if ms is None else iso8601(ms)
