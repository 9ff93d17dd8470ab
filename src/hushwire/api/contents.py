"""Content templates, `/v1/Content` (twilio-messaging 7.8). Requests are JSON."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.contents import Contents
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, gone, not_found
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.wire import Scope, encode, read_body
from hushwire.domain.account import Account
from hushwire.domain.content import Template
from hushwire.domain.template import Content, read_content
from hushwire.errors import Refusal

V1: Final = "/v1/Content"
_PERMISSION: Final = "twilio/content/contents"
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"{_PERMISSION}/{action}" for action in ("list", "create", "read", "update", "delete")
)
_NULL: Final = b"null"


class ContentResource:
    """Twilio's Content, spoken to the actions. `base` gives scheme and host of links."""

    def __init__(self, contents: Contents, door: Door, base: Callable[[Scope], str]) -> None:
        self._contents = contents
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        return [
            Route(V1, self._all, methods=["GET", "POST"]),
            Route(f"{V1}/{{sid}}", self._one, methods=["GET", "PUT", "DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        account = self._door.caller(request, _LIST).account
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of(self._contents.list(account))
        records = [self._json(request, account, template) for template in page.records]
        url = self._base(request.scope) + V1
        return answer(200, meta_json(url, asked, page, records, "contents"))

    async def _create(self, request: Request) -> Response:
        body = await read_body(request.receive)  # before the credentials: they may change
        account = self._door.caller(request, _CREATE).account
        template = self._contents.create(account, read_content(body))
        return answer(201, self._json(request, account, template))

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "PUT":
                return await self._update(request)
            case "DELETE":
                self._contents.delete(self._find(request, _DELETE)[1])
                return gone()
            case _:
                return answer(200, self._json(request, *self._find(request, _READ)))

    async def _update(self, request: Request) -> Response:
        body = await read_body(request.receive)
        account, template = self._find(request, _UPDATE)
        content = read_content(_completed(body, template.content))
        template = self._contents.update(template, content)
        return answer(200, self._json(request, account, template))

    def _find(self, request: Request, permission: str) -> tuple[Account, Template]:
        account = self._door.caller(request, permission).account
        template = self._contents.find(account.id, request.path_params["sid"])
        if template is None:
            raise not_found(request)
        return account, template

    def _json(self, request: Request, account: Account, template: Template) -> dict[str, object]:
        """A template as Twilio shows it (7.8)."""
        url, content = f"{self._base(request.scope)}{V1}/{template.sid}", template.content
        return {
            "sid": template.sid,
            "account_sid": account.sid,
            "friendly_name": content.friendly_name,
            "language": content.language,
            "variables": content.variables,
            "types": content.types,
            "url": url,
            "date_created": iso8601_s(template.created_ms),
            "date_updated": iso8601_s(template.updated_ms),
            "links": {
                "approval_create": f"{url}/ApprovalRequests/whatsapp",
                "approval_fetch": f"{url}/ApprovalRequests",
            },
        }


def _completed(body: bytes, content: Content) -> bytes:
    """An update with what it leaves out taken from the template as it is.

    Twilio's SDKs send all four properties, null where nothing was given.
    """
    try:
        given = msgspec.json.decode(body, type=dict[str, Raw])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refusal("content_invalid", reason=str(error)) from None
    named = {name: value for name, value in given.items() if bytes(value) != _NULL}
    return encode({**msgspec.structs.asdict(content), **named})
