"""Messaging Services, `/v1/Services` (twilio-messaging 7.6). Their pools: `service_senders`."""

from collections.abc import Callable
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.services import Services
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.setting_forms import Setting, read_settings, switch, text, words
from hushwire.api.values import whole
from hushwire.api.wire import Scope
from hushwire.domain.account import Account
from hushwire.domain.service import VALIDITY_MAX_S, Scan, Service, UseCase
from hushwire.errors import Refusal

V1: Final = "/v1/Services"
PERMISSION: Final = "twilio/messaging/services"

SETTINGS: Final = {
    "FriendlyName": text("friendly_name"),
    "InboundRequestUrl": text("inbound_url"),
    "InboundMethod": text("inbound_method"),
    "FallbackUrl": text("fallback_url"),
    "FallbackMethod": text("fallback_method"),
    "StatusCallback": text("status_callback"),
    "StickySender": switch("sticky_sender"),
    "MmsConverter": switch("mms_converter"),
    "SmartEncoding": switch("smart_encoding"),
    "FallbackToLongCode": switch("fallback_to_long_code"),
    "AreaCodeGeomatch": switch("area_code_geomatch"),
    "ValidityPeriod": Setting("validity_s", whole(1, VALIDITY_MAX_S), "validity_invalid", int),
    "Usecase": words("use_case", get_args(UseCase), "service_use_case_invalid"),
    "UseInboundWebhookOnNumber": switch("inbound_on_number"),
    "ScanMessageContent": words("scan_message_content", get_args(Scan)),
    "SynchronousValidation": switch("synchronous_validation"),
}
IDLE: Final = frozenset({"ScanMessageContent", "SynchronousValidation"})  # reserved by Twilio
_LINKS: Final = {
    "phone_numbers": "PhoneNumbers", "short_codes": "ShortCodes", "alpha_senders": "AlphaSenders",
    "messages": "Messages", "us_app_to_person": "Compliance/Usa2p",
    "us_app_to_person_usecases": "Compliance/Usa2p/Usecases",
    "channel_senders": "ChannelSenders", "destination_alpha_senders": "DestinationAlphaSenders",
}  # fmt: skip
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"{PERMISSION}/{action}" for action in ("list", "create", "read", "update", "delete")
)


class ServiceResource:
    """Twilio's Services, spoken to the actions. `base` gives scheme and host of links."""

    def __init__(self, services: Services, door: Door, base: Callable[[Scope], str]) -> None:
        self._services = services
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        return [
            Route(V1, self._all, methods=["GET", "POST"]),
            Route(f"{V1}/{{sid}}", self._one, methods=["GET", "POST", "DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        account = self._door.caller(request, _LIST).account
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of(self._services.list(account))
        records = [self._json(request, account, service) for service in page.records]
        url = self._base(request.scope) + V1
        return answer(200, meta_json(url, asked, page, records, "services"))

    async def _create(self, request: Request) -> Response:
        form = await form_of(request)  # before the credentials: they may change while it comes
        account = self._door.caller(request, _CREATE).account
        name = one(form, "FriendlyName")
        if name is None:
            raise Refusal("parameter_required", parameter="FriendlyName")
        service = self._services.create(account, name, read_settings(form, SETTINGS))
        self._door.tell_idle(account, form, IDLE)
        return answer(201, self._json(request, account, service))

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self._update(request)
            case "DELETE":
                self._services.delete(self._find(request, _DELETE)[1])
                return gone()
            case _:
                return answer(200, self._json(request, *self._find(request, _READ)))

    async def _update(self, request: Request) -> Response:
        """Change what is given; a parameter that is given empty goes back to its default."""
        form = await form_of(request, keep_empty=True)
        account, service = self._find(request, _UPDATE)
        service = self._services.update(service, read_settings(form, SETTINGS))
        self._door.tell_idle(account, form, IDLE)
        return answer(200, self._json(request, account, service))

    def _find(self, request: Request, permission: str) -> tuple[Account, Service]:
        account = self._door.caller(request, permission).account
        service = self._services.find(account.id, request.path_params["sid"])
        if service is None:
            raise not_found(request)
        return account, service

    def _json(self, request: Request, account: Account, service: Service) -> dict[str, object]:
        """A service as Twilio shows it (7.6)."""
        url = f"{self._base(request.scope)}{V1}/{service.sid}"
        settings = service.settings
        return {
            "sid": service.sid,
            "account_sid": account.sid,
            "friendly_name": settings.friendly_name,
            "date_created": iso8601_s(service.created_ms),
            "date_updated": iso8601_s(service.updated_ms),
            "inbound_request_url": settings.inbound_url or None,
            "inbound_method": settings.inbound_method,
            "fallback_url": settings.fallback_url or None,
            "fallback_method": settings.fallback_method,
            "status_callback": settings.status_callback or None,
            "sticky_sender": settings.sticky_sender,
            "mms_converter": settings.mms_converter,
            "smart_encoding": settings.smart_encoding,
            "scan_message_content": settings.scan_message_content,
            "fallback_to_long_code": settings.fallback_to_long_code,
            "area_code_geomatch": settings.area_code_geomatch,
            "synchronous_validation": settings.synchronous_validation,
            "validity_period": settings.validity_s,
            "url": url,
            "links": {name: f"{url}/{rest}" for name, rest in _LINKS.items()},
            "usecase": settings.use_case,
            "us_app_to_person_registered": False,
            "use_inbound_webhook_on_number": settings.inbound_on_number,
        }
