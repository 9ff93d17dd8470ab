"""Subscriptions of Event Streams, `/v1/Subscriptions`, and the types in them (W17)."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.streams import Streams
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.values import whole
from hushwire.api.wire import Form, Scope
from hushwire.domain.account import Account
from hushwire.domain.stream import SCHEMA_VERSION, Subscription
from hushwire.errors import Refusal

SUBSCRIPTIONS: Final = "/v1/Subscriptions"
_PERMISSION: Final = "twilio/events/subscriptions"
_VERSION: Final = whole(1, 1_000)


class _Wanted(Struct, frozen=True):
    """An element of `Types`."""

    type: str
    schema_version: int = SCHEMA_VERSION


_ONE: Final = msgspec.json.Decoder(_Wanted)
_MANY: Final = msgspec.json.Decoder(list[_Wanted])


class _Listed(Struct, frozen=True):
    """A type of a subscription as a record of a list."""

    type: str
    version: int
    created_ms: int

    @property
    def sid(self) -> str:
        return self.type.replace(".", "_")


class SubscriptionResource:
    """Twilio's Subscriptions, spoken to the actions. `base` gives scheme and host of links."""

    def __init__(self, streams: Streams, door: Door, base: Callable[[Scope], str]) -> None:
        self._streams = streams
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        item = f"{SUBSCRIPTIONS}/{{sid}}"
        each = ["GET", "POST", "DELETE"]
        return [
            Route(SUBSCRIPTIONS, self._all, methods=["GET", "POST"]),
            Route(item, self._one, methods=each),
            Route(f"{item}/SubscribedEvents", self._all_types, methods=["GET", "POST"]),
            Route(f"{item}/SubscribedEvents/{{type}}", self._one_type, methods=each),
        ]

    # -- subscriptions --------------------------------------------------------------------

    async def _all(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        account = self._door.caller(request, f"{_PERMISSION}/list").account
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, ("SinkSid",))
        page = asked.of(self._streams.subscriptions(account, given.get("SinkSid") or None))
        records = [self._json(request, account, sub) for sub in page.records]
        url = self._base(request.scope) + SUBSCRIPTIONS
        return answer(200, meta_json(url, asked, page, records, "subscriptions"))

    async def _create(self, request: Request) -> Response:
        form = await form_of(request)
        account = self._door.caller(request, f"{_PERMISSION}/create").account
        for name in ("Description", "SinkSid", "Types"):
            if name not in form:
                raise Refusal("parameter_required", parameter=name)
        made = self._streams.subscribe(
            account, one(form, "Description") or "", one(form, "SinkSid") or "", _types(form)
        )
        return answer(201, self._json(request, account, made))

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                form = await form_of(request)
                account, found = self._find(request, "update")
                found = self._streams.update_subscription(
                    account, found, one(form, "Description"), one(form, "SinkSid")
                )
                return answer(200, self._json(request, account, found))
            case "DELETE":
                self._streams.unsubscribe(self._find(request, "delete")[1])
                return gone()
            case _:
                return answer(200, self._json(request, *self._find(request, "read")))

    def _find(self, request: Request, action: str) -> tuple[Account, Subscription]:
        account = self._door.caller(request, f"{_PERMISSION}/{action}").account
        found = self._streams.subscription(account, request.path_params["sid"])
        if found is None:
            raise not_found(request)
        return account, found

    def _json(self, request: Request, account: Account, found: Subscription) -> dict[str, object]:
        """A subscription as Twilio shows it."""
        url = f"{self._base(request.scope)}{SUBSCRIPTIONS}/{found.sid}"
        return {
            "account_sid": account.sid,
            "date_created": iso8601_s(found.created_ms),
            "date_updated": iso8601_s(found.updated_ms),
            "description": found.description,
            "links": {"subscribed_events": f"{url}/SubscribedEvents"},
            "sid": found.sid,
            "sink_sid": found.sink_sid,
            "url": url,
        }

    # -- their types ----------------------------------------------------------------------

    async def _all_types(self, request: Request) -> Response:
        if request.method == "POST":
            form = await form_of(request)
            account, found = self._find(request, "update")
            kind = one(form, "Type")
            if kind is None:
                raise Refusal("parameter_required", parameter="Type")
            found = self._streams.set_type(found, kind, _version(form))
            return answer(201, self._type_json(request, account, found, kind))
        account, found = self._find(request, "read")
        asked = read_asked(read_given(request.scope["query_string"]))
        listed = [_Listed(kind, v, found.created_ms) for kind, v in sorted(found.types.items())]
        page = asked.of(listed)
        records = [self._type_json(request, account, found, item.type) for item in page.records]
        url = f"{self._base(request.scope)}{SUBSCRIPTIONS}/{found.sid}/SubscribedEvents"
        return answer(200, meta_json(url, asked, page, records, "types"))

    async def _one_type(self, request: Request) -> Response:
        kind: str = request.path_params["type"]
        form = await form_of(request) if request.method == "POST" else {}
        account, found = self._find(request, "read" if request.method == "GET" else "update")
        if kind not in found.types:
            raise not_found(request)
        if request.method == "DELETE":
            self._streams.unset_type(found, kind)
            return gone()
        if request.method == "POST":
            found = self._streams.set_type(found, kind, _version(form))
        return answer(200, self._type_json(request, account, found, kind))

    def _type_json(
        self, request: Request, account: Account, found: Subscription, kind: str
    ) -> dict[str, object]:
        base = f"{self._base(request.scope)}{SUBSCRIPTIONS}/{found.sid}"
        return {
            "account_sid": account.sid,
            "schema_version": found.types[kind],
            "subscription_sid": found.sid,
            "type": kind,
            "url": f"{base}/SubscribedEvents/{kind}",
        }


def _types(form: Form) -> dict[str, int]:
    """`Types`: repeated, each a JSON object; a single one may be an array, too (W17)."""
    types: dict[str, int] = {}
    for text in form["Types"]:
        try:
            many = text.lstrip().startswith("[")
            found = _MANY.decode(text) if many else [_ONE.decode(text)]
        except msgspec.DecodeError:
            raise Refusal("invalid_parameter", parameter="Types") from None
        types.update((wanted.type, wanted.schema_version) for wanted in found)
    return types


def _version(form: Form) -> int:
    text = one(form, "SchemaVersion") or str(SCHEMA_VERSION)
    if not _VERSION(text):
        raise Refusal("invalid_parameter", parameter="SchemaVersion")
    return int(text)
