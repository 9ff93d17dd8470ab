"""The Media of a message (twilio-messaging 5.7): metadata with `.json`, the file without.

The file is somebody's, and may be anything that begins like a picture. So it goes out as a
download with the type its first bytes have, under a name of ours, in a sandbox should a
browser show it all the same, and no cache keeps it.
"""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hushwire.actions.media import Media, MediaLinks
from hushwire.actions.messages import Messages
from hushwire.api.dates import parse_filter_date, rfc2822
from hushwire.api.door import Door, answer, gone, not_found
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.domain.account import Account
from hushwire.domain.media import Medium, file_name
from hushwire.domain.message import Message
from hushwire.errors import Refusal

FILTERS: Final = ("DateCreated", "DateCreated<", "DateCreated>")
_LIST, _READ, _DELETE = (
    f"twilio/messaging/media/{action}" for action in ("list", "read", "delete")
)
_EVER_MS: Final = 1 << 62
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # a customer's page may show it
    "Cache-Control": "private, no-store",  # what is forgotten here is not kept elsewhere
    "Referrer-Policy": "no-referrer",
}


class MediaResource:
    """Twilio's Media, spoken to the actions."""

    def __init__(self, messages: Messages, media: Media, links: MediaLinks, door: Door) -> None:
        self._messages = messages
        self._media = media
        self._links = links
        self._door = door

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account_sid}/Messages/{message_sid}/Media"
        return [
            Route(f"{base}.json", self.list, methods=["GET"]),
            Route(f"{base}/{{sid}}.json", self._one, methods=["GET", "DELETE"]),
            Route(f"{base}/{{sid}}", self.file, methods=["GET", "DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        """The media of a message, in the order of their URLs."""
        account = self._door.path_account(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, FILTERS)
        spans = [_span(name, given[name]) for name in FILTERS if given.get(name)]
        message = self._message(request, account)
        fits = [
            medium
            for medium in self._media.list(message)
            if all(low <= medium.created_ms < high for low, high in spans)
        ]
        page = asked.of(fits)
        records = [medium_json(medium, account, message) for medium in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "media_list"))

    async def file(self, request: Request) -> Response:
        """The file itself, to who may have it. DELETE is as with `.json`."""
        if request.method == "DELETE":
            return await self._delete(request)
        sid, query = request.path_params["sid"], request.scope["query_string"].decode("latin-1")
        account = self._links.opens(request.path_params["account_sid"], sid, query)
        if account is None:
            account = self._door.path_account(request, _READ)
        medium = self._find(request, self._message(request, account))
        headers = {
            **_HEADERS,
            "Content-Length": str(medium.size),
            "Content-Disposition": f'attachment; filename="{file_name(medium)}"',
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type=medium.content_type)
        content = await self._media.open(medium)
        if content is None:
            raise not_found(request)
        first = await anext(content)  # what is wrong from the start is not begun to be told
        return StreamingResponse(_all(first, content), 200, headers, medium.content_type)

    async def _one(self, request: Request) -> Response:
        if request.method == "DELETE":
            return await self._delete(request)
        account = self._door.path_account(request, _READ)
        message = self._message(request, account)
        return answer(200, medium_json(self._find(request, message), account, message))

    async def _delete(self, request: Request) -> Response:
        account = self._door.path_account(request, _DELETE)
        message = self._message(request, account)
        await self._media.delete(message, self._find(request, message))
        return gone()

    def _message(self, request: Request, account: Account) -> Message:
        message = self._messages.fetch(account, request.path_params["message_sid"])
        if message is None:
            raise not_found(request)
        return message

    def _find(self, request: Request, message: Message) -> Medium:
        medium = self._media.find(message, request.path_params["sid"])
        if medium is None:
            raise not_found(request)
        return medium


def medium_json(medium: Medium, account: Account, message: Message) -> dict[str, object]:
    """A medium as Twilio shows it."""
    date = rfc2822(medium.created_ms)
    return {
        "sid": medium.sid,
        "account_sid": account.sid,
        "parent_sid": message.sid,
        "content_type": medium.content_type,
        "date_created": date,
        "date_updated": date,
        "uri": f"/2010-04-01/Accounts/{account.sid}/Messages/{message.sid}/Media/{medium.sid}.json",
    }


def _span(name: str, text: str) -> tuple[int, int]:
    """The Unix ms that a filter lets pass: from, and before. Raises Refusal."""
    span = parse_filter_date(text)
    if span is None:
        raise Refusal("invalid_date", field=name)
    low, high = span
    return (0 if name == "DateCreated<" else low, _EVER_MS if name == "DateCreated>" else high)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
