"""The ShortCode resource, `SMS/ShortCodes.json` (twilio-messaging 7.3). And how the operator
registers one, which is ours: at Twilio they are rented by post."""

from typing import Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.shortcodes import ShortCodeFilter, ShortCodes, shown_name
from hushwire.api.dates import rfc2822
from hushwire.api.door import Door, answer, form_of, gone, not_found
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.setting_forms import read_settings, text
from hushwire.api.wire import API_VERSION, read_body
from hushwire.domain.account import Account, Caller
from hushwire.domain.shortcode import ShortCode
from hushwire.errors import Refusal

SETTINGS: Final = {
    "FriendlyName": text("friendly_name"),
    "SmsUrl": text("sms_url"),
    "SmsMethod": text("sms_method"),
    "SmsFallbackUrl": text("sms_fallback_url"),
    "SmsFallbackMethod": text("sms_fallback_method"),
}
WITHOUT_EFFECT: Final = {"ApiVersion": "answers are always of 2010-04-01"}
FILTERS: Final = ("FriendlyName", "ShortCode")
_PERMISSION: Final = "twilio/messaging/short-codes"
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"{_PERMISSION}/{action}" for action in ("list", "create", "read", "update", "delete")
)


class ShortCodeResource:
    """Twilio's ShortCodes, spoken to the actions."""

    def __init__(self, short_codes: ShortCodes, door: Door) -> None:
        self._short_codes = short_codes
        self._door = door

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account_sid}/SMS/ShortCodes"
        ours = "/hushwire/v1/accounts/{account_sid}/short-codes"
        return [
            Route(f"{base}.json", self.list, methods=["GET"]),
            Route(f"{base}/{{sid}}.json", self._one, methods=["GET", "POST"]),
            Route(ours, self.register, methods=["POST"]),
            Route(f"{ours}/{{sid}}", self.give_back, methods=["DELETE"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, FILTERS)
        wanted = ShortCodeFilter(given.get("ShortCode"), given.get("FriendlyName"))
        page = asked.of(self._short_codes.list(account, wanted))
        records = [short_code_json(code, account.sid) for code in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "short_codes"))

    async def _one(self, request: Request) -> Response:
        if request.method == "POST":
            return await self.update(request)
        _, account, code = self._find(request, _READ)
        return answer(200, short_code_json(code, account.sid))

    async def update(self, request: Request) -> Response:
        """Change what is given; a parameter that is given empty goes back to its default."""
        form = await form_of(request, keep_empty=True)
        _, account, code = self._find(request, _UPDATE)
        code = self._short_codes.update(code, read_settings(form, SETTINGS))
        self._door.tell_idle(account, form, WITHOUT_EFFECT)
        return answer(200, short_code_json(code, account.sid))

    async def register(self, request: Request) -> Response:
        """`{"short_code": "12345", "country": "US"}`."""
        body = await read_body(request.receive)
        caller, account = self._door.path_caller(request, _CREATE)
        wanted = _read(body)
        code = self._short_codes.register(caller, account, wanted.short_code, wanted.country)
        return answer(201, {"country": code.country, **short_code_json(code, account.sid)})

    async def give_back(self, request: Request) -> Response:
        caller, _, code = self._find(request, _DELETE)
        self._short_codes.give_back(caller, code)
        return gone()

    def _find(self, request: Request, permission: str) -> tuple[Caller, Account, ShortCode]:
        caller, account = self._door.path_caller(request, permission)
        code = self._short_codes.find(account.id, request.path_params["sid"])
        if code is None:
            raise not_found(request)
        return caller, account, code


def short_code_json(code: ShortCode, account_sid: str) -> dict[str, object]:
    """A short code as Twilio shows it (7.3)."""
    settings = code.settings
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "date_created": rfc2822(code.created_ms),
        "date_updated": rfc2822(code.updated_ms),
        "friendly_name": shown_name(code),
        "short_code": code.digits,
        "sid": code.sid,
        "sms_fallback_method": settings.sms_fallback_method,
        "sms_fallback_url": settings.sms_fallback_url or None,
        "sms_method": settings.sms_method,
        "sms_url": settings.sms_url or None,
        "uri": f"/2010-04-01/Accounts/{account_sid}/SMS/ShortCodes/{code.sid}.json",
    }


class _Registration(Struct, frozen=True, forbid_unknown_fields=True):
    short_code: str
    country: str  # ISO 3166


def _read(body: bytes) -> _Registration:
    try:
        return msgspec.json.decode(body, type=_Registration)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("malformed_request") from None
