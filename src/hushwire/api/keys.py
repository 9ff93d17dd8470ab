"""API keys: `Keys.json` and `SigningKeys.json` of the 2010 API, and `/v1/Keys` (section 2.4)."""

from collections.abc import Callable
from typing import Final, cast, get_args

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.accounts import Accounts
from hushwire.actions.keys import Keys, NewKey
from hushwire.api.auth import Authenticator
from hushwire.api.dates import rfc2822
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import meta_json, page_json, read_asked, read_given
from hushwire.api.wire import Form, Scope
from hushwire.domain.account import Account, ApiKey, Caller, KeyKind
from hushwire.domain.sid import is_sid
from hushwire.errors import Refusal

V1: Final = "/v1/Keys"
_ALIASES: Final = {"Keys": "keys", "SigningKeys": "signing_keys"}  # the same set, two names
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"twilio/iam/api-keys/{action}" for action in ("list", "create", "read", "update", "delete")
)
_KINDS: Final = frozenset(get_args(KeyKind))


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What a restricted key may do. Anything else in it would be a limit we do not keep."""

    allow: tuple[str, ...]


class KeyResource:
    """Twilio's Keys, spoken to the actions. `base` gives scheme and host of absolute links."""

    def __init__(
        self, keys: Keys, accounts: Accounts, auth: Authenticator, base: Callable[[Scope], str]
    ) -> None:
        self._keys = keys
        self._accounts = accounts
        self._door = Door(auth)
        self._base = base

    def routes(self) -> list[Route]:
        account = "/2010-04-01/Accounts/{account_sid}"
        each = ["GET", "POST", "DELETE"]
        routes = [
            Route(V1, self._v1_collection, methods=["GET", "POST"]),
            Route(f"{V1}/{{sid}}", self._v1_one, methods=each),
        ]
        for name in _ALIASES:
            path = f"{account}/{name}"
            routes += [
                Route(f"{path}.json", self._collection, methods=["GET", "POST"]),
                Route(f"{path}/{{sid}}.json", self._one, methods=each),
            ]
        return routes

    # -- 2010-04-01 -----------------------------------------------------------------------

    async def _collection(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        _, account = self._reach(request, _LIST)
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of(self._keys.list(account))
        path: str = request.scope["path"]
        name = _ALIASES[path.rpartition("/")[2].removesuffix(".json")]
        records = [_json(key) for key in page.records]
        return answer(200, page_json(path, asked, page, records, name))

    async def _create(self, request: Request) -> Response:
        """A standard key, whatever `KeyType` and `Policy` say: this API does not know them."""
        form = await form_of(request)  # before the credentials: they may change while it comes
        caller, account = self._reach(request, _CREATE)
        key, secret = self._keys.create(caller, account, NewKey(one(form, "FriendlyName")))
        return answer(201, {**_json(key), "secret": secret.reveal()})

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                form = await form_of(request)
                caller, key = self._find(request, _UPDATE)
                return answer(200, _json(self._keys.update(caller, key, one(form, "FriendlyName"))))
            case "DELETE":
                self._keys.delete(self._find(request, _DELETE)[1])
                return gone()
            case _:
                return answer(200, _json(self._find(request, _READ)[1]))

    def _reach(self, request: Request, permission: str) -> tuple[Caller, Account]:
        caller = self._door.caller(request, permission)
        return caller, self._account(request, caller, request.path_params["account_sid"])

    def _find(self, request: Request, permission: str) -> tuple[Caller, ApiKey]:
        caller, account = self._reach(request, permission)
        key = self._keys.fetch(account, _key_sid(request))
        if key is None:
            raise not_found(request)
        return caller, key

    # -- v1 -------------------------------------------------------------------------------

    async def _v1_collection(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._v1_create(request)
        caller = self._door.caller(request, _LIST)
        given = read_given(request.scope["query_string"])
        account = self._account(request, caller, given.get("AccountSid"))
        asked = read_asked(given, ("AccountSid",))
        page = asked.of(self._keys.list(account))
        records = [_json(key) for key in page.records]
        url = self._base(request.scope) + V1
        return answer(200, meta_json(url, asked, page, records, "keys"))

    async def _v1_create(self, request: Request) -> Response:
        form = await form_of(request)
        caller = self._door.caller(request, _CREATE)
        account = self._account(request, caller, one(form, "AccountSid"))
        key, secret = self._keys.create(caller, account, _wanted(form))
        return answer(201, {**_json(key), "secret": secret.reveal(), "policy": _policy(key)})

    async def _v1_one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                form = await form_of(request)
                caller, key = self._v1_find(request, _UPDATE)
                name, policy = one(form, "FriendlyName"), _read_policy(form)
                key = self._keys.update(caller, key, name, policy)
            case "DELETE":
                self._keys.delete(self._v1_find(request, _DELETE)[1])
                return gone()
            case _:
                _, key = self._v1_find(request, _READ)
        return answer(200, {**_json(key), "policy": _policy(key)})

    def _v1_find(self, request: Request, permission: str) -> tuple[Caller, ApiKey]:
        caller = self._door.caller(request, permission)
        key = self._keys.reached(caller, _key_sid(request))
        if key is None:
            raise not_found(request)
        return caller, key

    def _account(self, request: Request, caller: Caller, sid: str | None) -> Account:
        """The account whose keys are meant. Raises Refusal: a foreign one is unknown (D13)."""
        if sid is None:
            raise Refusal("parameter_required", parameter="AccountSid")
        account = self._accounts.reached(caller, sid)
        if account is None:
            raise not_found(request)
        return account


def _key_sid(request: Request) -> str:
    sid: str = request.path_params["sid"]
    if not is_sid(sid, "SK"):
        raise Refusal("invalid_key_sid")
    return sid


def _wanted(form: Form) -> NewKey:
    """The key a v1 create asks for. `KeyType=main` is our own: Twilio's console makes those."""
    kind, permissions = one(form, "KeyType") or "standard", _read_policy(form)
    if kind not in _KINDS:
        raise Refusal("invalid_parameter", parameter="KeyType")
    if kind == "restricted" and permissions is None:
        raise Refusal("parameter_required", parameter="Policy")
    if kind != "restricted" and permissions is not None:  # such a key would do more than it says
        raise Refusal("invalid_parameter", parameter="Policy")
    return NewKey(one(form, "FriendlyName"), cast("KeyKind", kind), permissions or ())


def _read_policy(form: Form) -> tuple[str, ...] | None:
    text = one(form, "Policy")
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Policy).allow
    except msgspec.DecodeError:
        raise Refusal("invalid_parameter", parameter="Policy") from None


def _policy(key: ApiKey) -> dict[str, object] | None:
    return {"allow": key.permissions} if key.kind == "restricted" else None


def _json(key: ApiKey) -> dict[str, object]:
    """A key as Twilio shows it, without its secret."""
    return {
        "sid": key.sid,
        "friendly_name": key.friendly_name,
        "date_created": rfc2822(key.created_ms),
        "date_updated": rfc2822(key.updated_ms),
    }
