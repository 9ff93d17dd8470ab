"""Tombstones over HTTP: which messages went, for whoever keeps a copy of them.

    GET /hushwire/v1/accounts/{sid}/tombstones?After=n&PageSize=1000

The answer is `{"tombstones": […], "after": n, "more": false}`, oldest first; `after` is what the
next request asks to go on from. A tombstone is `{"sid", "account_sid", "deleted_at",
"forgotten", "reason"}`. `After=newest` gives none, and the place to begin from.
"""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.tombstones import Tombstones
from hushwire.api.dates import iso8601
from hushwire.api.door import Door, answer
from hushwire.api.paging import PAGE_SIZE_MAX, read_given
from hushwire.domain.tombstone import Tombstone
from hushwire.errors import Refusal

PERMISSION: Final = "twilio/messaging/messages/list"  # who may list them may know which went
NEWEST: Final = "newest"
_DIGITS_MAX: Final = 18


class TombstoneResource:
    """Tombstones, spoken to the actions."""

    def __init__(self, tombstones: Tombstones, door: Door) -> None:
        self._tombstones = tombstones
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/tombstones"
        return [Route(path, self.list, methods=["GET"])]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, PERMISSION)
        given = read_given(request.scope["query_string"])
        wanted = _number(given, "PageSize", PAGE_SIZE_MAX)
        if not 1 <= wanted <= PAGE_SIZE_MAX:
            raise Refusal("invalid_page_size")
        if given.get("After") == NEWEST:
            return answer(200, {
                "tombstones": [], "after": self._tombstones.newest(), "more": False,
            })  # fmt: skip
        after = _number(given, "After", 0)
        found = await asyncio.to_thread(self._tombstones.page, account, after, wanted)
        content = [_json(tombstone) for tombstone in found.tombstones]
        return answer(200, {"tombstones": content, "after": found.after, "more": found.more})


def _number(given: dict[str, str], name: str, default: int) -> int:
    text = given.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise Refusal("invalid_parameter", parameter=name)
    return int(text)


def _json(tombstone: Tombstone) -> dict[str, object]:
    return {
        "sid": tombstone.sid,
        "account_sid": tombstone.account_sid,
        "deleted_at": iso8601(tombstone.deleted_ms),
        "forgotten": tombstone.forgotten,
        "reason": tombstone.reason,
    }
