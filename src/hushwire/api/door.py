"""What every resource needs of a request: who asks, for which account, with which form."""

from collections.abc import Callable, Container
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hushwire.actions.events import acting
from hushwire.api.auth import Authenticator
from hushwire.api.wire import Form, encode, parse_form, read_body
from hushwire.domain.account import Account, Caller
from hushwire.errors import Refusal


class Door:
    """The way in for all but the hot path. Raises Refusal; the application answers it."""

    def __init__(
        self, auth: Authenticator,
        idle: Callable[[int, str], None] = lambda account_id, parameter: None,
    ) -> None:  # fmt: skip
        self._auth = auth
        self._idle: Final = idle  # hears of a parameter without effect, and whose it was

    def tell_idle(self, account: Account, form: Form, idle: Container[str]) -> None:
        """The account is told, once a day, which parameters of the form have no effect (D11)."""
        for name in form:
            if name in idle:
                self._idle(account.id, name)

    def caller(self, request: Request, permission: str) -> Caller:
        """Who asks, where the path names no account (v1 APIs)."""
        caller = self._auth.caller(request.scope)
        caller.check(permission)
        acting(caller, self._auth.address(request.scope))
        return caller

    def path_account(self, request: Request, permission: str) -> Account:
        """The account that the path's `{account_sid}` names."""
        return self.path_caller(request, permission)[1]

    def path_caller(self, request: Request, permission: str) -> tuple[Caller, Account]:
        """Who asks, and on behalf of which account, where both matter."""
        sid = request.path_params["account_sid"]
        caller, account = self._auth.path_caller(request.scope, sid, permission)
        acting(caller, self._auth.address(request.scope))
        return caller, account


async def form_of(request: Request, *, keep_empty: bool = False) -> Form:
    """The form of a POST, name → values; empty values are absent unless `keep_empty` (W5)."""
    body = await read_body(request.receive)
    return parse_form(body, request.scope["headers"], keep_empty=keep_empty)


def one(form: Form, name: str) -> str | None:
    """The value of a parameter that may be given once."""
    values = form.get(name)
    if values is None:
        return None
    if len(values) > 1:  # which one counts would be a guess
        raise Refusal("invalid_parameter", parameter=name)
    return values[0]


def not_found(request: Request) -> Refusal:
    """What the path names is not there, or another's."""
    return Refusal("not_found", path=request.scope["path"])


def answer(status: int, content: object) -> Response:
    """A JSON answer."""
    return Response(encode(content), status, media_type="application/json")


def gone() -> Response:
    """The answer to a delete: 204, empty (W12)."""
    return Response(status_code=204)
