"""Opt-out keywords: Twilio sets them in its console, so under a path of our own."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.keywords import KeywordSets
from hushwire.api.door import Door, answer, not_found
from hushwire.api.wire import read_body
from hushwire.domain.keywords import Keywords

_PERMISSION: Final = "twilio/messaging/opt-out-keywords"


class KeywordResource:
    """`GET` and `PUT /hushwire/v1/accounts/{sid}/opt-out-keywords/{scope}`."""

    def __init__(self, keywords: KeywordSets, door: Door) -> None:
        self._keywords = keywords
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/opt-out-keywords/{scope}"
        return [Route(path, self._one, methods=["GET", "PUT"])]

    async def fetch(self, request: Request) -> Response:
        return answer(200, _json(self._asked_for(request, "read")))

    async def set(self, request: Request) -> Response:
        content = await read_body(request.receive)  # the credentials may change while it comes
        keywords = self._asked_for(request, "update")
        return answer(200, _json(self._keywords.put(keywords, content)))

    async def _one(self, request: Request) -> Response:
        return await (self.set(request) if request.method == "PUT" else self.fetch(request))

    def _asked_for(self, request: Request, what: str) -> Keywords:
        account = self._door.path_account(request, f"{_PERMISSION}/{what}")
        keywords = self._keywords.find(account, request.path_params["scope"])
        if keywords is None:
            raise not_found(request)
        return keywords


def _json(keywords: Keywords) -> dict[str, object]:
    return {
        "scope": keywords.scope,
        "filtering": keywords.filtering,
        "rules": keywords.own.rules,
    }
