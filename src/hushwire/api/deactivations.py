"""Deactivations, `/v1/Deactivations` (twilio-messaging 7.7), and the file its link leads to."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from hushwire.actions.deactivations import Deactivations, Link
from hushwire.api.door import Door, answer, not_found
from hushwire.api.paging import read_given
from hushwire.api.wire import Scope

PERMISSION: Final = "twilio/messaging/deactivations/read"
FILES: Final = "/hushwire/v1/deactivations"


class DeactivationResource:
    """Twilio's Deactivations. `base` gives scheme and host of links."""

    def __init__(
        self, deactivations: Deactivations, door: Door, base: Callable[[Scope], str]
    ) -> None:
        self._deactivations = deactivations
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        return [
            Route("/v1/Deactivations", self.fetch, methods=["GET"]),
            Route(f"{FILES}/{{name}}", self.file, methods=["GET"]),
        ]

    async def fetch(self, request: Request) -> Response:
        """307, with the link in the body and as Location."""
        self._door.caller(request, PERMISSION)
        given = read_given(request.scope["query_string"])
        link = self._deactivations.link(given.get("Date", ""))
        query = urlencode({"expires": link.expires_ms, "signature": link.signature})
        url = f"{self._base(request.scope)}{FILES}/{link.day}.csv?{query}"
        response = answer(307, {"redirect_to": url})
        response.headers["Location"] = url
        return response

    async def file(self, request: Request) -> Response:
        """The list itself. Whoever has the link may have it, for two minutes."""
        given = read_given(request.scope["query_string"])
        expires = given.get("expires", "")
        name: str = request.path_params["name"]
        if not (expires.isascii() and expires.isdigit() and len(expires) < 16):
            raise not_found(request)
        link = Link(name.removesuffix(".csv"), int(expires), given.get("signature", ""))
        path = self._deactivations.open(link)
        if path is None:
            raise not_found(request)
        return FileResponse(path, media_type="text/csv", headers={"Cache-Control": "no-store"})
