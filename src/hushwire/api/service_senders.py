"""The pool of a Messaging Service: PhoneNumbers, ShortCodes and AlphaSenders (7.6)."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.services import Services
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.services import PERMISSION, V1
from hushwire.api.wire import Form, Scope
from hushwire.domain.account import Account
from hushwire.domain.service import Member, MemberKind, Service, sender_of
from hushwire.errors import Refusal

_READ, _UPDATE = f"{PERMISSION}/read", f"{PERMISSION}/update"


class Kind(Struct, frozen=True):
    """One of the three sub-resources."""

    prefix: MemberKind
    parameter: str  # what a create names the sender by
    key: str  # of a list
    address: str  # the property that shows it


KINDS: Final = {
    "PhoneNumbers": Kind("PN", "PhoneNumberSid", "phone_numbers", "phone_number"),
    "ShortCodes": Kind("SC", "ShortCodeSid", "short_codes", "short_code"),
    "AlphaSenders": Kind("AI", "AlphaSender", "alpha_senders", "alpha_sender"),
}


class ServiceSenderResource:
    """The senders of services, spoken to the actions. `base` gives scheme and host of links.

    A key that may read a service sees its pool, one that may update it changes it.
    """

    def __init__(self, services: Services, door: Door, base: Callable[[Scope], str]) -> None:
        self._services = services
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        routes: list[Route] = []
        for name in KINDS:
            path = f"{V1}/{{service_sid}}/{name}"
            routes += [
                Route(path, self._all, methods=["GET", "POST"]),
                Route(f"{path}/{{sid}}", self._one, methods=["GET", "DELETE"]),
            ]
        return routes

    async def _all(self, request: Request) -> Response:
        kind = _kind(request)
        if request.method == "POST":
            return await self._add(request, kind)
        account, service = self._find(request, _READ)
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of(service.members(kind.prefix))
        records = [self._json(request, account, service, member) for member in page.records]
        url = self._base(request.scope) + request.scope["path"]
        return answer(200, meta_json(url, asked, page, records, kind.key))

    async def _add(self, request: Request, kind: Kind) -> Response:
        form = await form_of(request)
        account, service = self._find(request, _UPDATE)
        member = self._added(service, kind, form)
        if member is None:  # it is not there, or another's: what is missing has this path
            missing = f"{request.scope['path']}/{one(form, kind.parameter)}"
            raise Refusal("not_found", path=missing)
        return answer(201, self._json(request, account, service, member))

    def _added(self, service: Service, kind: Kind, form: Form) -> Member | None:
        given = one(form, kind.parameter)
        if kind.prefix == "AI":
            if given is None:
                raise Refusal("service_alpha_missing")
            return self._services.add_alphanumeric(service, given)
        if given is None:
            raise Refusal("parameter_required", parameter=kind.parameter)
        return self._services.add(service, kind.prefix, given)

    async def _one(self, request: Request) -> Response:
        kind, sid = _kind(request, 2), request.path_params["sid"]
        deletes = request.method == "DELETE"
        account, service = self._find(request, _UPDATE if deletes else _READ)
        member = service.member(sid) if sid.startswith(kind.prefix) else None
        if member is None:
            if self._services.is_own(account.id, kind.prefix, sid):
                raise Refusal("service_sender_unknown")
            raise not_found(request)
        if deletes:
            self._services.remove(service, member)
            return gone()
        return answer(200, self._json(request, account, service, member))

    def _find(self, request: Request, permission: str) -> tuple[Account, Service]:
        account = self._door.caller(request, permission).account
        service = self._services.find(account.id, request.path_params["service_sid"])
        if service is None:
            raise not_found(request)
        return account, service

    def _json(
        self, request: Request, account: Account, service: Service, member: Member
    ) -> dict[str, object]:
        """A sender as Twilio shows it in its pool."""
        name = next(name for name, kind in KINDS.items() if member.sid.startswith(kind.prefix))
        kind = KINDS[name]
        shown: dict[str, object] = {
            "sid": member.sid,
            "account_sid": account.sid,
            "service_sid": service.sid,
            "date_created": iso8601_s(member.created_ms),
            "date_updated": iso8601_s(member.created_ms),
            kind.address: member.address,
        }
        if kind.prefix != "AI":
            shown["country_code"] = member.country
        url = f"{self._base(request.scope)}{V1}/{service.sid}/{name}/{member.sid}"
        return {**shown, "capabilities": _capabilities(member), "url": url}


def _kind(request: Request, place: int = 1) -> Kind:
    """The sub-resource that a path names, in its last part or the one before."""
    path: str = request.scope["path"]
    return KINDS[path.split("/")[-place]]


def _capabilities(member: Member) -> list[str]:
    """What it can do, as Twilio lists it; there are no calls."""
    sender = sender_of(member)
    return [word for word, able in (("MMS", sender.mms), ("SMS", sender.sms)) if able]
