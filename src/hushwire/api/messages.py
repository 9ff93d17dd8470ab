"""The Message resource: create on the hot path, and list, fetch, redact, delete."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.events import acting
from hushwire.actions.feedback import FeedbackReports
from hushwire.actions.idempotency import Idempotency
from hushwire.actions.messages import Messages
from hushwire.actions.outgoing import Outgoing
from hushwire.api.auth import Authenticator
from hushwire.api.idempotency import REPLAYED, canonical, idempotency_key
from hushwire.api.message_query import oldest_shown_ms, read_page
from hushwire.api.paging import page_json
from hushwire.api.parameters import read_send
from hushwire.api.wire import (
    CURRENCY,
    Form,
    Receive,
    Scope,
    Send,
    create_body,
    created_json,
    encode,
    history_json,
    message_json,
    parse_form,
    read_body,
    request_id_header,
    respond,
    respond_created,
)
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.message import Message
from hushwire.errors import Refusal
from hushwire.private import Private

PREFIX = "/2010-04-01/Accounts/"
COLLECTION = "/Messages.json"
_CREATE, _LIST, _READ, _UPDATE, _DELETE = (
    f"twilio/messaging/messages/{action}"
    for action in ("create", "list", "read", "update", "delete")
)


def is_create(scope: Scope) -> bool:
    """Is it the one request that has to be fast?"""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.endswith(COLLECTION) and path.startswith(PREFIX)


class MessageResource:
    """Twilio's Messages, spoken to the actions."""

    def __init__(
        self, messages: Messages, idempotency: Idempotency, reports: FeedbackReports,
        auth: Authenticator, clock: Clock, outgoing: Outgoing, currency: str = CURRENCY,
    ) -> None:  # fmt: skip
        self._messages = messages
        self._outgoing = outgoing
        self._currency = currency  # of prices
        self._idempotency = idempotency
        self._reports = reports
        self._auth = auth
        self._clock = clock

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account_sid}/Messages"
        return [
            # POST is named for `Allow` only: the application gives it to `create` before.
            Route(f"{base}.json", self.list, methods=["GET", "POST"]),
            Route(f"{base}/{{sid}}.json", self._one, methods=["GET", "POST", "DELETE"]),
            Route(
                "/hushwire/v1/accounts/{account_sid}/messages/{sid}/history",
                self.history,
                methods=["GET"],
            ),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """POST Messages.json, as raw ASGI: nothing stands between the socket and the action."""
        path: str = scope["path"]
        account_sid = path[len(PREFIX) : -len(COLLECTION)]
        account = self._auth.path_account(scope, account_sid, _CREATE)
        key = idempotency_key(scope["headers"])
        form = parse_form(await create_body(scope, receive), scope["headers"])
        if key is not None:
            await self._create_once(scope, send, account, form, key)
            return
        message, durable = self._outgoing.send(account, read_send(form, self._clock))
        body = created_json(message, account_sid, self._currency)
        await durable
        await respond_created(scope, send, body)

    async def _create_once(
        self, scope: Scope, send: Send, account: Account, form: Form, key: Private
    ) -> None:
        """A create that names itself. Its repetition shows the message as it is now."""
        headers = [request_id_header(scope)]
        named = self._idempotency.name(account, key, canonical(form))
        message = await self._idempotency.repeated(named)
        if message is not None:
            headers.append(REPLAYED)
            body = encode(self._json(message, account))
        else:  # nothing was awaited since it was looked for: there is no second in between
            message, durable = self._outgoing.send(account, read_send(form, self._clock))
            self._idempotency.keep(named, message, durable)
            body = created_json(message, account.sid, self._currency)
            await durable
        await respond(send, 201, body, headers)

    async def list(self, request: Request) -> Response:
        account = self._account(request, _LIST)
        query = request.scope["query_string"]
        asked = read_page(account.id, query, self._clock.now_ms())
        page = asked.cut(await self._messages.page(asked.query, asked.limit()))
        records = [self._json(message, account) for message in page.records]
        return _json(200, page_json(request.scope["path"], asked, page, records, "messages"))

    async def fetch(self, request: Request) -> Response:
        """One message. What lists do not show any more is not shown here either (400 days)."""
        account, message = self._find(request, _READ)
        if message.created_ms < oldest_shown_ms(self._clock.now_ms()):
            raise Refusal("not_found", path=request.scope["path"])
        return _json(200, self._json(message, account))

    async def history(self, request: Request) -> Response:
        """Every change of a message: not Twilio's, so under a path of our own."""
        _, message = self._find(request, _READ)
        return _json(200, history_json(message, self._reports.outcome(message)))

    async def update(self, request: Request) -> Response:
        """`Body=` (present and empty) redacts, `Status=canceled` cancels what is scheduled; both,
        or anything else, cannot be honoured (30400)."""
        self._find(request, _UPDATE)
        body = await read_body(request.receive)
        form = parse_form(body, request.scope["headers"], keep_empty=True)
        text, status = form.get("Body"), form.get("Status", [""])
        cancels = text is None and status == ["canceled"]
        if not cancels and (text != [""] or status != [""]):
            raise Refusal("update_invalid")
        account, message = self._find(request, _UPDATE)  # it may have changed while the body came
        change = self._outgoing.cancel if cancels else self._messages.redact
        return _json(200, self._json(await change(message), account))

    async def delete(self, request: Request) -> Response:
        _, message = self._find(request, _DELETE)
        await self._messages.delete(message)
        return Response(status_code=204)

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self.update(request)
            case "DELETE":
                return await self.delete(request)
            case _:
                return await self.fetch(request)

    def _json(self, message: Message, account: Account) -> dict[str, object]:
        return message_json(message, account.sid, self._currency)

    def _account(self, request: Request, permission: str) -> Account:
        sid = request.path_params["account_sid"]
        caller, account = self._auth.path_caller(request.scope, sid, permission)
        acting(caller, self._auth.address(request.scope))
        return account

    def _find(self, request: Request, permission: str) -> tuple[Account, Message]:
        account = self._account(request, permission)
        message = self._messages.fetch(account, request.path_params["sid"])
        if message is None:
            raise Refusal("not_found", path=request.scope["path"])
        return account, message


def _json(status: int, content: object) -> Response:
    return Response(encode(content), status, media_type="application/json")
