"""The Account resource, its balance and its auth tokens (twilio-messaging 2.3, 7.1)."""

from collections.abc import Callable
from typing import Final, cast, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.accounts import Accounts, Administration
from hushwire.api.auth import Authenticator
from hushwire.api.dates import iso8601_s, rfc2822
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.wire import API_VERSION, Scope
from hushwire.domain.account import Account, AccountStatus, Caller
from hushwire.domain.oauth import Bearer
from hushwire.errors import Refusal

ROOT: Final = f"/{API_VERSION}"
SECONDARY: Final = "/v1/AuthTokens/Secondary"
PROMOTE: Final = "/v1/AuthTokens/Promote"

_LIST, _CREATE, _READ, _UPDATE = (
    f"twilio/iam/accounts/{action}" for action in ("list", "create", "read", "update")
)
_BALANCE: Final = "twilio/billing/balance/read"
_TOKENS: Final = "twilio/iam/auth-tokens"
_STATUSES: Final = frozenset(get_args(AccountStatus))
_SUBRESOURCES: Final = {  # as Twilio names them (7.1), whether they are served here or not
    "available_phone_numbers": "AvailablePhoneNumbers", "calls": "Calls",
    "conferences": "Conferences", "incoming_phone_numbers": "IncomingPhoneNumbers",
    "notifications": "Notifications", "outgoing_caller_ids": "OutgoingCallerIds",
    "recordings": "Recordings", "transcriptions": "Transcriptions", "addresses": "Addresses",
    "signing_keys": "SigningKeys", "connect_apps": "ConnectApps", "sip": "SIP",
    "authorized_connect_apps": "AuthorizedConnectApps", "usage": "Usage", "keys": "Keys",
    "applications": "Applications", "short_codes": "SMS/ShortCodes", "queues": "Queues",
    "messages": "Messages", "balance": "Balance",
}  # fmt: skip


class AccountResource:
    """Twilio's Accounts and AuthTokens, spoken to the actions.

    `base` gives scheme and host of absolute links.
    """

    def __init__(
        self, accounts: Accounts, administration: Administration, auth: Authenticator,
        base: Callable[[Scope], str],
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._administration = administration
        self._auth = auth
        self._door = Door(auth)
        self._base = base

    def routes(self) -> list[Route]:
        account = f"{ROOT}/Accounts/{{account_sid}}"
        return [
            Route(ROOT, self._version),
            Route(f"{ROOT}.json", self._version),
            Route(f"{ROOT}/Accounts.json", self._collection, methods=["GET", "POST"]),
            Route(f"{account}.json", self._one, methods=["GET", "POST"]),
            Route(f"{account}/Balance.json", self._balance),
            Route(SECONDARY, self._secondary, methods=["POST", "DELETE"]),
            Route(PROMOTE, self._promote, methods=["POST"]),
        ]

    # -- accounts -------------------------------------------------------------------------

    async def _version(self, request: Request) -> Response:
        """Any right credentials are answered: clients test theirs here (W1)."""
        self._auth.caller(request.scope)
        return answer(
            200,
            {
                "name": API_VERSION,
                "uri": f"{ROOT}.json",
                "subresource_uris": {"accounts": f"{ROOT}/Accounts.json"},
            },
        )

    async def _collection(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        caller = self._door.caller(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, ("FriendlyName", "Status"))
        status = given.get("Status")
        found = self._administration.list(
            caller.account, given.get("FriendlyName"), _filter_status(status) if status else None
        )
        if isinstance(caller, Bearer):  # an OAuth app is its own account's alone
            found = [account for account in found if account.id == caller.account.id]
        page = asked.of(found)
        records = [self._json(account) for account in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "accounts"))

    async def _create(self, request: Request) -> Response:
        form = await form_of(request)
        caller = self._door.caller(request, _CREATE)
        account = self._administration.create(caller.account, one(form, "FriendlyName"))
        token = account.auth_token.reveal()  # told now, and never again (D10)
        return answer(201, {**self._json(account), "auth_token": token})

    async def _one(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._update(request)
        _, account = self._reach(request, _READ)
        return answer(200, self._json(account))

    async def _update(self, request: Request) -> Response:
        form = await form_of(request)  # before the credentials: they may change while it comes
        caller, account = self._reach(request, _UPDATE)
        status = one(form, "Status")
        account = self._administration.update(
            caller.account, account, one(form, "FriendlyName"),
            _new_status(status) if status is not None else None,
        )  # fmt: skip
        return answer(200, self._json(account))

    async def _balance(self, request: Request) -> Response:
        """What has been charged. A subaccount has no balance of its own: its parent pays."""
        _, account = self._reach(request, _BALANCE)
        if account.owner_id != account.id:
            raise not_found(request)
        return answer(200, {"account_sid": account.sid, "balance": "0.00", "currency": "USD"})

    # -- auth tokens ----------------------------------------------------------------------

    async def _secondary(self, request: Request) -> Response:
        if request.method == "DELETE":
            if not self._administration.delete_secondary(self._holder(request, "delete")):
                raise not_found(request)
            return gone()
        account = self._administration.create_secondary(self._holder(request, "create"))
        assert account.secondary_token is not None
        return answer(
            201,
            {
                "account_sid": account.sid,
                "secondary_auth_token": account.secondary_token.reveal(),
                **self._made(request, account, SECONDARY),
            },
        )

    async def _promote(self, request: Request) -> Response:
        account = self._administration.promote(self._holder(request, "update"))
        if account is None:
            raise not_found(request)
        return answer(
            200,
            {
                "account_sid": account.sid,
                "auth_token": account.auth_token.reveal(),
                **self._made(request, account, PROMOTE),
            },
        )

    def _made(self, request: Request, account: Account, path: str) -> dict[str, object]:
        date = iso8601_s(account.updated_ms)
        url = self._base(request.scope) + path
        return {"date_created": date, "date_updated": date, "url": url}

    def _holder(self, request: Request, action: str) -> Account:
        """Whose tokens these are. No restricted key may have them: they allow everything."""
        caller = self._door.caller(request, f"{_TOKENS}/{action}")
        if caller.key is not None and caller.key.kind != "main":
            raise Refusal("access_denied")
        return caller.account

    # -- shared ---------------------------------------------------------------------------

    def _reach(self, request: Request, permission: str) -> tuple[Caller, Account]:
        """Who asks, and for which account. Raises Refusal: a foreign one is unknown (D13)."""
        caller = self._door.caller(request, permission)
        account = self._accounts.reached(caller, request.path_params["account_sid"])
        if account is None:
            raise not_found(request)
        return caller, account

    def _json(self, account: Account) -> dict[str, object]:
        """An account as Twilio shows it (7.1), without its token."""
        path = f"{ROOT}/Accounts/{account.sid}"
        return {
            "auth_token": None,
            "date_created": rfc2822(account.created_ms),
            "date_updated": rfc2822(account.updated_ms),
            "friendly_name": account.friendly_name,
            "owner_account_sid": self._administration.owner(account).sid,
            "sid": account.sid,
            "status": account.status,
            "subresource_uris": {
                name: f"{path}/{rest}.json" for name, rest in _SUBRESOURCES.items()
            },
            "type": "Full",
            "uri": f"{path}.json",
        }


def _filter_status(text: str) -> AccountStatus:
    if text not in _STATUSES:
        raise Refusal("account_status_invalid")
    return cast("AccountStatus", text)


def _new_status(text: str) -> AccountStatus:
    """A status as an update gives it; `1` is `active` in Twilio's own example (7.1)."""
    return _filter_status("active" if text == "1" else text)
