"""The Application resource: callback URLs under one name (twilio-messaging 7.4)."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.applications import Applications
from hushwire.api.dates import rfc2822
from hushwire.api.door import Door, answer, form_of, gone, not_found
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.setting_forms import read_settings, switch, text
from hushwire.api.wire import API_VERSION
from hushwire.domain.account import Account
from hushwire.domain.application import Application

SETTINGS: Final = {
    "FriendlyName": text("friendly_name"),
    "SmsUrl": text("sms_url"),
    "SmsMethod": text("sms_method"),
    "SmsFallbackUrl": text("sms_fallback_url"),
    "SmsFallbackMethod": text("sms_fallback_method"),
    "SmsStatusCallback": text("sms_status_callback"),
    "MessageStatusCallback": text("message_status_callback"),
    "StatusCallback": text("status_callback"),
    "StatusCallbackMethod": text("status_callback_method"),
    "VoiceUrl": text("voice_url"),
    "VoiceMethod": text("voice_method"),
    "VoiceFallbackUrl": text("voice_fallback_url"),
    "VoiceFallbackMethod": text("voice_fallback_method"),
    "VoiceCallerIdLookup": switch("voice_caller_id_lookup"),
    "PublicApplicationConnectEnabled": switch("public_connect"),
}
WITHOUT_EFFECT: Final = {"ApiVersion": "answers are always of 2010-04-01"}
IDLE: Final = frozenset({*WITHOUT_EFFECT, *(n for n in SETTINGS if n.startswith("Voice"))})
FILTERS: Final = ("FriendlyName",)
_PERMISSION: Final = "twilio/messaging/applications"
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"{_PERMISSION}/{action}" for action in ("list", "create", "read", "update", "delete")
)


class ApplicationResource:
    """Twilio's Applications, spoken to the actions."""

    def __init__(self, applications: Applications, door: Door) -> None:
        self._applications = applications
        self._door = door

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account_sid}/Applications"
        return [
            Route(f"{base}.json", self._all, methods=["GET", "POST"]),
            Route(f"{base}/{{sid}}.json", self._one, methods=["GET", "POST", "DELETE"]),
        ]

    async def _all(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._create(request)
        account = self._door.path_account(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, FILTERS)
        page = asked.of(self._applications.list(account, given.get("FriendlyName")))
        records = [application_json(found, account.sid) for found in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "applications"))

    async def _create(self, request: Request) -> Response:
        form = await form_of(request)  # before the credentials: they may change while it comes
        account = self._door.path_account(request, _CREATE)
        application = self._applications.create(account, read_settings(form, SETTINGS))
        self._door.tell_idle(account, form, IDLE)
        return answer(201, application_json(application, account.sid))

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self._update(request)
            case "DELETE":
                self._applications.delete(self._find(request, _DELETE)[1])
                return gone()
            case _:
                account, application = self._find(request, _READ)
                return answer(200, application_json(application, account.sid))

    async def _update(self, request: Request) -> Response:
        """Change what is given; a parameter that is given empty goes back to its default."""
        form = await form_of(request, keep_empty=True)
        account, application = self._find(request, _UPDATE)
        application = self._applications.update(application, read_settings(form, SETTINGS))
        self._door.tell_idle(account, form, IDLE)
        return answer(200, application_json(application, account.sid))

    def _find(self, request: Request, permission: str) -> tuple[Account, Application]:
        account = self._door.path_account(request, permission)
        application = self._applications.find(account.id, request.path_params["sid"])
        if application is None:
            raise not_found(request)
        return account, application


def application_json(application: Application, account_sid: str) -> dict[str, object]:
    """An application as Twilio shows it (7.4)."""
    settings = application.settings
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "date_created": rfc2822(application.created_ms),
        "date_updated": rfc2822(application.updated_ms),
        "friendly_name": settings.friendly_name or None,
        "message_status_callback": settings.message_status_callback or None,
        "public_application_connect_enabled": settings.public_connect,
        "sid": application.sid,
        "sms_fallback_method": settings.sms_fallback_method,
        "sms_fallback_url": settings.sms_fallback_url or None,
        "sms_method": settings.sms_method,
        "sms_status_callback": settings.sms_status_callback or None,
        "sms_url": settings.sms_url or None,
        "status_callback": settings.status_callback or None,
        "status_callback_method": settings.status_callback_method,
        "uri": f"/2010-04-01/Accounts/{account_sid}/Applications/{application.sid}.json",
        "voice_caller_id_lookup": settings.voice_caller_id_lookup,
        "voice_fallback_method": settings.voice_fallback_method,
        "voice_fallback_url": settings.voice_fallback_url or None,
        "voice_method": settings.voice_method,
        "voice_url": settings.voice_url or None,
    }
