"""The IncomingPhoneNumber resource: an account's numbers. And the pace of each, which is ours."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.numbers import ORIGIN, NumberFilter, Numbers, Order, shown_name
from hushwire.api.dates import rfc2822
from hushwire.api.door import Door, answer, form_of, gone, not_found, one
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.wire import API_VERSION, Form, read_body
from hushwire.domain.account import Account, Number
from hushwire.domain.address import country_of
from hushwire.domain.supply import NumberKind, capabilities_of, kind_of
from hushwire.errors import Refusal

MPS_MIN: Final = 0.001
MPS_MAX: Final = 100_000

KINDS: Final[dict[str, NumberKind]] = {
    "Local": "local", "Mobile": "mobile", "TollFree": "toll_free",
}  # fmt: skip
FILTERS: Final = ("PhoneNumber", "FriendlyName", "Origin", "Beta")
SETTINGS: Final = {  # parameter → field of NumberSettings
    "FriendlyName": "friendly_name", "SmsUrl": "sms_url", "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url", "SmsFallbackMethod": "sms_fallback_method",
    "SmsApplicationSid": "sms_application_sid", "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}  # fmt: skip
_NO_CALLS: Final = "phone calls are not served"
_NO_PAPERS: Final = "no number needs a proof of identity or address here"
WITHOUT_EFFECT: Final = {
    "AddressSid": _NO_PAPERS,
    "ApiVersion": "answers are always of 2010-04-01",
    "BundleSid": _NO_PAPERS,
    "EmergencyAddressSid": _NO_CALLS,
    "EmergencyStatus": _NO_CALLS,
    "IdentitySid": _NO_PAPERS,
    "TrunkSid": _NO_CALLS,
    "VoiceApplicationSid": _NO_CALLS,
    "VoiceCallerIdLookup": _NO_CALLS,
    "VoiceFallbackMethod": _NO_CALLS,
    "VoiceFallbackUrl": _NO_CALLS,
    "VoiceMethod": _NO_CALLS,
    "VoiceReceiveMode": _NO_CALLS,
    "VoiceUrl": _NO_CALLS,
}
_PERMISSION: Final = "twilio/numbers/incoming-phone-numbers"
_LIST, _CREATE, _READ, _UPDATE, _DELETE = (
    f"{_PERMISSION}/{action}" for action in ("list", "create", "read", "update", "delete")
)


class NumberResource:
    """Twilio's IncomingPhoneNumbers, spoken to the actions."""

    def __init__(self, numbers: Numbers, door: Door) -> None:
        self._numbers = numbers
        self._door = door

    def routes(self) -> list[Route]:
        base = "/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers"
        both, pace = ["GET", "POST"], "/hushwire/v1/accounts/{account_sid}/numbers/{sid}"
        return [
            Route(f"{base}.json", self._all, methods=both),
            *(Route(f"{base}/{kind}.json", self._all, methods=both) for kind in KINDS),
            Route(f"{base}/{{sid}}.json", self._one, methods=["GET", "POST", "DELETE"]),
            Route(pace, self._pace, methods=["GET", "PATCH"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        path, given = request.scope["path"], read_given(request.scope["query_string"])
        asked = read_asked(given, FILTERS)
        boolean(given, "Beta")  # whether to list new kinds of numbers: there are none
        wanted = NumberFilter(
            given.get("PhoneNumber"), given.get("FriendlyName"), given.get("Origin"),
            path_kind(path),
        )  # fmt: skip
        page = asked.of(self._numbers.list(account, wanted))
        records = [number_json(number, account.sid) for number in page.records]
        return answer(200, page_json(path, asked, page, records, "incoming_phone_numbers"))

    async def create(self, request: Request) -> Response:
        caller, account = self._door.path_caller(request, _CREATE)
        form = await form_of(request)
        order = Order(
            one(form, "PhoneNumber"), one(form, "AreaCode"), path_kind(request.scope["path"]),
            _settings(form),
        )  # fmt: skip
        number = self._numbers.buy(caller, account, order)
        self._door.tell_idle(account, form, WITHOUT_EFFECT)
        return answer(201, number_json(number, account.sid))

    async def fetch(self, request: Request) -> Response:
        account = self._door.path_account(request, _READ)
        return answer(200, number_json(self._find(request, account), account.sid))

    async def update(self, request: Request) -> Response:
        """Change what is given; a parameter that is given empty goes back to its default."""
        caller, account = self._door.path_caller(request, _UPDATE)
        form = await form_of(request, keep_empty=True)
        number = self._find(request, account)
        heir = one(form, "AccountSid") or ""
        number = self._numbers.update(caller, number, _settings(form), heir)
        self._door.tell_idle(account, form, WITHOUT_EFFECT)
        return answer(200, number_json(number, self._numbers.owner(number).sid))

    async def delete(self, request: Request) -> Response:
        account = self._door.path_account(request, _DELETE)
        self._numbers.release(self._find(request, account))
        return gone()

    async def pace(self, request: Request) -> Response:
        """A number's pace: not Twilio's, so under a path of our own."""
        account = self._door.path_account(request, _READ)
        return answer(200, _pace_json(self._find(request, account)))

    async def set_pace(self, request: Request) -> Response:
        caller, account = self._door.path_caller(request, _UPDATE)
        wanted = _read_pace(await read_body(request.receive))
        number = self._find(request, account)
        if wanted.mps is not UNSET:
            number = self._numbers.set_pace(caller, number, wanted.mps)
        return answer(200, _pace_json(number))

    async def _all(self, request: Request) -> Response:
        return await (self.create(request) if request.method == "POST" else self.list(request))

    async def _one(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return await self.update(request)
            case "DELETE":
                return await self.delete(request)
            case _:
                return await self.fetch(request)

    async def _pace(self, request: Request) -> Response:
        return await (self.set_pace(request) if request.method == "PATCH" else self.pace(request))

    def _find(self, request: Request, account: Account) -> Number:
        number = self._numbers.find(account, request.path_params["sid"])
        if number is None:
            raise not_found(request)
        return number


def number_json(number: Number, account_sid: str) -> dict[str, object]:
    """A number as Twilio shows it (twilio-messaging 7.2)."""
    path = f"/2010-04-01/Accounts/{account_sid}/IncomingPhoneNumbers/{number.sid}.json"
    settings = number.settings
    return {
        "account_sid": account_sid,
        "address_requirements": "none",
        "address_sid": None,
        "api_version": API_VERSION,
        "beta": False,
        "bundle_sid": None,
        "capabilities": asdict(capabilities_of(country_of(number.phone))),
        "date_created": rfc2822(number.created_ms),
        "date_updated": rfc2822(number.updated_ms),
        "emergency_address_sid": None,
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": shown_name(number),
        "identity_sid": None,
        "origin": ORIGIN,
        "phone_number": number.phone,
        "sid": number.sid,
        "sms_application_sid": settings.sms_application_sid or None,
        "sms_fallback_method": settings.sms_fallback_method,
        "sms_fallback_url": settings.sms_fallback_url or None,
        "sms_method": settings.sms_method,
        "sms_url": settings.sms_url or None,
        "status": "in-use",
        "status_callback": settings.status_callback or None,
        "status_callback_method": settings.status_callback_method,
        "trunk_sid": None,
        "type": kind_of(number.phone),
        "uri": path,
        "voice_application_sid": None,
        "voice_caller_id_lookup": False,
        "voice_fallback_method": "POST",
        "voice_fallback_url": None,
        "voice_method": "POST",
        "voice_receive_mode": "voice",
        "voice_url": None,
    }


def boolean(given: dict[str, str], name: str) -> bool | None:
    """A switch of a query; None when it is not given. Raises Refusal for anything else."""
    text = given.get(name)
    if not text:
        return None
    if text.lower() not in ("true", "false"):
        raise Refusal("invalid_boolean", parameter=name)
    return text.lower() == "true"


def path_kind(path: str) -> NumberKind | None:
    """The kind that a path of a collection names: `…/IncomingPhoneNumbers/TollFree.json`."""
    return KINDS.get(path.rpartition("/")[2].removesuffix(".json"))


class _Pace(Struct, frozen=True, forbid_unknown_fields=True):
    mps: Annotated[float, Meta(ge=MPS_MIN, le=MPS_MAX)] | UnsetType | None = UNSET


def _read_pace(content: bytes) -> _Pace:
    try:
        return msgspec.json.decode(content, type=_Pace)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("invalid_parameter", parameter="mps") from None


def _pace_json(number: Number) -> dict[str, object]:
    return {"sid": number.sid, "phone_number": number.phone, "mps": number.mps}


def _settings(form: Form) -> dict[str, str]:
    given = {field: one(form, name) for name, field in SETTINGS.items()}
    return {field: text for field, text in given.items() if text is not None}
