"""What may be asked of each served operation: its parameters, with the limits that are checked.

Twilio's own definition gives names and types where it has the operation; what is checked beyond
it, and the operations it does not have, stand here.
"""

from typing import Any, Final, get_args

from msgspec import Struct
from openapi_schemas import TEXT, TWILIO, URI, YES_OR_NO, Schema, plain, sid, word

from hushwire.actions.accounts import NAME_MAX
from hushwire.actions.keys import NAME_MAX as KEY_NAME_MAX
from hushwire.actions.messages import VALIDITY_MAX_S
from hushwire.actions.owner_settings import FRIENDLY_NAME_MAX
from hushwire.api import applications, available_numbers, lookups, numbers, shortcodes, support
from hushwire.api.idempotency import KEY_BYTES_MAX
from hushwire.api.paging import PAGE_SIZE, PAGE_SIZE_MAX
from hushwire.api.parameters import PARAMETERS
from hushwire.api.support import ACCOUNT, CREATE_HONOURED, CREATE_REFUSED, V2010
from hushwire.domain.account import KeyKind
from hushwire.domain.media import COUNT_MAX
from hushwire.domain.service import Scan, UseCase
from hushwire.domain.text import BODY_MAX
from hushwire.errors import PROBLEMS
from hushwire.outbound.url import MAX_CHARS

Fields = dict[str, Schema]
FORM: Final = "application/x-www-form-urlencoded"


class Call(Struct, frozen=True):
    """One operation: what it is called, what it takes, and what it answers when it succeeds.

    `answer` names a schema of `openapi_schemas`; None is an empty body.
    """

    name: str
    status: int
    answer: str | None = None
    query: Fields = {}
    form: Fields = {}
    json: Fields = {}  # instead of a form
    required: tuple[str, ...] = ()
    headers: Fields = {}


def text(chars_max: int, chars_min: int = 0) -> Schema:
    limits = {"minLength": chars_min} if chars_min else {}
    return {"type": "string", **limits, "maxLength": chars_max}


PAGING: Final[Fields] = {
    "PageSize": {
        "type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX, "default": PAGE_SIZE,
    },
    "Page": {"type": "integer", "minimum": 0, "default": 0},
    "PageToken": {"type": "string", "description": "part of the URIs of neighbouring pages"},
}  # fmt: skip


def _operation(method: str, path: str) -> Any:
    return TWILIO["paths"][path][method]


def _query(path: str, **changes: Schema) -> Fields:
    """The parameters of a list of Twilio's definition."""
    given = _operation("get", path).get("parameters", ())
    fields = {p["name"]: plain(p["schema"]) for p in given if p["in"] == "query"}
    return {**fields, **PAGING, **changes}


def _form(path: str, **changes: Schema) -> Fields:
    """The form of a POST of Twilio's definition."""
    schema = _operation("post", path)["requestBody"]["content"][FORM]["schema"]
    return {**{name: plain(part) for name, part in schema["properties"].items()}, **changes}


# Messages -----------------------------------------------------------------------------------

_CREATE_LIMITS: Final[Fields] = {
    "Body": text(BODY_MAX),
    "MediaUrl": {"type": "array", "maxItems": COUNT_MAX, "items": URI},
    "StatusCallback": {**URI, "maxLength": MAX_CHARS},
    "Tags": TEXT,
    "ValidityPeriod": {
        "type": "integer", "minimum": 1, "maximum": VALIDITY_MAX_S, "default": VALIDITY_MAX_S,
    },
}  # fmt: skip
_IDEMPOTENCY: Final[Schema] = {
    **text(KEY_BYTES_MAX, 1), "pattern": "^[!-~]*$",
    "description": "names the create: for 24 hours the same name is answered with the same message",
}  # fmt: skip


def _what_becomes_of(name: str) -> str:
    parameter = PARAMETERS[name]
    if parameter.idle:
        return f"accepted without effect: {parameter.idle}"
    if parameter.refused:
        problem = PROBLEMS[parameter.refused]
        return f"refused with {problem.code} (HTTP {problem.status}): {CREATE_REFUSED[name]}"
    return CREATE_HONOURED[name]


def _create_form() -> Fields:
    fields = _form(f"{ACCOUNT}/Messages.json", **_CREATE_LIMITS)
    return {name: {**fields[name], "description": _what_becomes_of(name)} for name in PARAMETERS}


_MESSAGE: Final = f"{ACCOUNT}/Messages/{{Sid}}.json"
_OF_MESSAGE: Final = f"{ACCOUNT}/Messages/{{MessageSid}}"
_MESSAGES: Final = {
    ("POST", f"{ACCOUNT}/Messages.json"): Call(
        "CreateMessage", 201, "Message", form=_create_form(), required=("To",),
        headers={"Idempotency-Key": _IDEMPOTENCY},
    ),
    ("GET", f"{ACCOUNT}/Messages.json"): Call(
        "ListMessage", 200, "MessagePage", {
            name: {**schema, "description": support.LIST_HONOURED[name]}
            for name, schema in _query(f"{ACCOUNT}/Messages.json").items()
        },
    ),
    ("GET", _MESSAGE): Call("FetchMessage", 200, "Message"),
    ("POST", _MESSAGE): Call("UpdateMessage", 200, "Message", form=_form(_MESSAGE)),
    ("DELETE", _MESSAGE): Call("DeleteMessage", 204),
    ("POST", f"{_OF_MESSAGE}/Feedback.json"): Call(
        "CreateMessageFeedback", 200, "Feedback", form=_form(f"{_OF_MESSAGE}/Feedback.json")
    ),
    ("GET", f"{_OF_MESSAGE}/Media.json"): Call(
        "ListMedia", 200, "MediaPage", _query(f"{_OF_MESSAGE}/Media.json")
    ),
    ("GET", f"{_OF_MESSAGE}/Media/{{Sid}}.json"): Call("FetchMedia", 200, "Media"),
    ("DELETE", f"{_OF_MESSAGE}/Media/{{Sid}}.json"): Call("DeleteMedia", 204),
    ("GET", f"{_OF_MESSAGE}/Media/{{Sid}}"): Call("FetchMediaFile", 200, "File"),
    ("DELETE", f"{_OF_MESSAGE}/Media/{{Sid}}"): Call("DeleteMediaFile", 204),
}  # fmt: skip

# Accounts and keys --------------------------------------------------------------------------

_ACCOUNTS: Final = f"{V2010}/Accounts.json"
_ACCOUNT_NAME: Final[Fields] = {"FriendlyName": text(NAME_MAX, 1)}
_KEY_NAME: Final[Fields] = {"FriendlyName": text(KEY_NAME_MAX)}
_POLICY: Final[Fields] = {
    "Policy": {"type": "string", "description": 'JSON, of a restricted key: `{"allow": [...]}`'}
}
_ADMINISTRATION: Final = {
    ("GET", _ACCOUNTS): Call("ListAccount", 200, "AccountPage", _query(_ACCOUNTS)),
    ("POST", _ACCOUNTS): Call("CreateAccount", 201, "NewAccount", form=_ACCOUNT_NAME),
    ("GET", f"{V2010}/Accounts/{{Sid}}.json"): Call("FetchAccount", 200, "Account"),
    ("POST", f"{V2010}/Accounts/{{Sid}}.json"): Call(
        "UpdateAccount", 200, "Account",
        form=_form(f"{V2010}/Accounts/{{Sid}}.json", **_ACCOUNT_NAME),
    ),
    ("GET", f"{ACCOUNT}/Balance.json"): Call("FetchBalance", 200, "Balance"),
    ("POST", "/v1/AuthTokens/Secondary"): Call("CreateSecondaryAuthToken", 201, "SecondaryToken"),
    ("DELETE", "/v1/AuthTokens/Secondary"): Call("DeleteSecondaryAuthToken", 204),
    ("POST", "/v1/AuthTokens/Promote"): Call("UpdateAuthTokenPromotion", 200, "PromotedToken"),
    ("GET", "/v1/Keys"): Call(
        "ListV1Key", 200, "V1KeyPage", {"AccountSid": sid("AC"), **PAGING}, required=("AccountSid",)
    ),
    ("POST", "/v1/Keys"): Call(
        "CreateV1Key", 201, "NewV1Key", required=("AccountSid",), form={
            "AccountSid": sid("AC"), **_KEY_NAME, "KeyType": word(*get_args(KeyKind)), **_POLICY,
        },
    ),
    ("GET", "/v1/Keys/{Sid}"): Call("FetchV1Key", 200, "V1Key"),
    ("POST", "/v1/Keys/{Sid}"): Call("UpdateV1Key", 200, "V1Key", form={**_KEY_NAME, **_POLICY}),
    ("DELETE", "/v1/Keys/{Sid}"): Call("DeleteV1Key", 204),
}  # fmt: skip


def _keys(path: str, name: str) -> dict[tuple[str, str], Call]:
    one = f"{ACCOUNT}/{path}/{{Sid}}.json"
    return {
        ("GET", f"{ACCOUNT}/{path}.json"): Call(f"List{name}", 200, f"{name}Page", PAGING),
        ("POST", f"{ACCOUNT}/{path}.json"): Call(f"CreateNew{name}", 201, "NewKey", form=_KEY_NAME),
        ("GET", one): Call(f"Fetch{name}", 200, "Key"),
        ("POST", one): Call(f"Update{name}", 200, "Key", form=_KEY_NAME),
        ("DELETE", one): Call(f"Delete{name}", 204),
    }


# Applications, services, templates ----------------------------------------------------------

_APPLICATIONS: Final = f"{ACCOUNT}/Applications"
_SHORT_CODES: Final = f"{ACCOUNT}/SMS/ShortCodes"
_SETTING_LIMITS: Final[Fields] = {"FriendlyName": text(FRIENDLY_NAME_MAX)}
_METHOD: Final = word("GET", "POST")
_SERVICE_FORM: Final[Fields] = {
    "FriendlyName": text(FRIENDLY_NAME_MAX, 1), "InboundRequestUrl": URI, "InboundMethod": _METHOD,
    "FallbackUrl": URI, "FallbackMethod": _METHOD, "StatusCallback": URI,
    **dict.fromkeys(
        ("StickySender", "MmsConverter", "SmartEncoding", "FallbackToLongCode",
         "AreaCodeGeomatch", "UseInboundWebhookOnNumber", "SynchronousValidation"),
        YES_OR_NO,
    ),
    "ValidityPeriod": _CREATE_LIMITS["ValidityPeriod"], "Usecase": word(*get_args(UseCase)),
    "ScanMessageContent": word(*get_args(Scan)),
}  # fmt: skip
_TEMPLATE: Final[Fields] = {
    "friendly_name": TEXT, "language": TEXT,
    "variables": {"type": "object", "additionalProperties": TEXT},
    "types": {"type": "object", "additionalProperties": {"type": "object"}, "minProperties": 1},
}  # fmt: skip


def _setting_form(path: str, idle: dict[str, str]) -> Fields:
    fields = _form(path, **_SETTING_LIMITS)
    for name, why in idle.items():
        fields[name] = {**fields[name], "description": f"accepted without effect: {why}"}
    return fields


def _pool(path: str, name: str, given: str, schema: Schema) -> dict[tuple[str, str], Call]:
    """One part of a service's pool."""
    base = f"/v1/Services/{{ServiceSid}}/{path}"
    return {
        ("GET", base): Call(f"List{name}", 200, f"{name}Page", PAGING),
        ("POST", base): Call(f"Create{name}", 201, name, form={given: schema}, required=(given,)),
        ("GET", f"{base}/{{Sid}}"): Call(f"Fetch{name}", 200, name),
        ("DELETE", f"{base}/{{Sid}}"): Call(f"Delete{name}", 204),
    }


_OWNED: Final = {
    ("GET", f"{_SHORT_CODES}.json"): Call(
        "ListShortCode", 200, "ShortCodePage", _query(f"{_SHORT_CODES}.json")
    ),
    ("GET", f"{_SHORT_CODES}/{{Sid}}.json"): Call("FetchShortCode", 200, "ShortCode"),
    ("POST", f"{_SHORT_CODES}/{{Sid}}.json"): Call(
        "UpdateShortCode", 200, "ShortCode",
        form=_setting_form(f"{_SHORT_CODES}/{{Sid}}.json", shortcodes.WITHOUT_EFFECT),
    ),
    ("GET", f"{_APPLICATIONS}.json"): Call(
        "ListApplication", 200, "ApplicationPage", _query(f"{_APPLICATIONS}.json")
    ),
    ("POST", f"{_APPLICATIONS}.json"): Call(
        "CreateApplication", 201, "Application",
        form=_setting_form(f"{_APPLICATIONS}.json", applications.WITHOUT_EFFECT),
    ),
    ("GET", f"{_APPLICATIONS}/{{Sid}}.json"): Call("FetchApplication", 200, "Application"),
    ("POST", f"{_APPLICATIONS}/{{Sid}}.json"): Call(
        "UpdateApplication", 200, "Application",
        form=_setting_form(f"{_APPLICATIONS}/{{Sid}}.json", applications.WITHOUT_EFFECT),
    ),
    ("DELETE", f"{_APPLICATIONS}/{{Sid}}.json"): Call("DeleteApplication", 204),
    ("GET", "/v1/Services"): Call("ListService", 200, "ServicePage", PAGING),
    ("POST", "/v1/Services"): Call(
        "CreateService", 201, "Service", form=_SERVICE_FORM, required=("FriendlyName",)
    ),
    ("GET", "/v1/Services/{Sid}"): Call("FetchService", 200, "Service"),
    ("POST", "/v1/Services/{Sid}"): Call("UpdateService", 200, "Service", form=_SERVICE_FORM),
    ("DELETE", "/v1/Services/{Sid}"): Call("DeleteService", 204),
    **_pool("PhoneNumbers", "ServicePhoneNumber", "PhoneNumberSid", sid("PN")),
    **_pool("ShortCodes", "ServiceShortCode", "ShortCodeSid", sid("SC")),
    **_pool("AlphaSenders", "AlphaSender", "AlphaSender", text(11, 1)),
    ("GET", "/v1/Content"): Call("ListContent", 200, "ContentPage", PAGING),
    ("POST", "/v1/Content"): Call(
        "CreateContent", 201, "Content", json=_TEMPLATE, required=("language", "types")
    ),
    ("GET", "/v1/Content/{Sid}"): Call("FetchContent", 200, "Content"),
    ("PUT", "/v1/Content/{Sid}"): Call("UpdateContent", 200, "Content", json=_TEMPLATE),
    ("DELETE", "/v1/Content/{Sid}"): Call("DeleteContent", 204),
}  # fmt: skip

# Numbers ------------------------------------------------------------------------------------

_NUMBERS: Final = f"{ACCOUNT}/IncomingPhoneNumbers"
_NUMBER_LIMITS: Final[Fields] = {"FriendlyName": text(FRIENDLY_NAME_MAX)}
_AREA_CODE: Final[Schema] = {"type": "string", "pattern": "^[0-9]{3}$"}
_OFFER_TYPES: Final[Fields] = {
    "AreaCode": _AREA_CODE, "Contains": {"type": "string", "pattern": "^[+]?[0-9A-Z*]{2,16}$"},
    **dict.fromkeys(available_numbers.CAPABILITIES, YES_OR_NO),
}  # fmt: skip


def _offer_query() -> Fields:
    fields = {name: _OFFER_TYPES.get(name, TEXT) for name in available_numbers.FILTERS}
    for name, why in available_numbers.WITHOUT_EFFECT.items():
        fields[name] = {**TEXT, "description": f"accepted without effect: {why}"}
    return {**fields, "PageSize": PAGING["PageSize"], "Page": PAGING["Page"]}


def _number_form(path: str, **changes: Schema) -> Fields:
    fields = _form(path, **_NUMBER_LIMITS, **changes)
    for name, why in numbers.WITHOUT_EFFECT.items():
        if name in fields:
            fields[name] = {**fields[name], "description": f"accepted without effect: {why}"}
    return fields


def _number_kind(kind: str) -> dict[tuple[str, str], Call]:
    """The numbers of a kind, or with "" of all kinds, and those that are for sale."""
    path = f"{_NUMBERS}/{kind}.json" if kind else f"{_NUMBERS}.json"
    form = _number_form(f"{_NUMBERS}.json", AreaCode=_AREA_CODE)
    query = _query(f"{_NUMBERS}.json")
    name = f"IncomingPhoneNumber{kind}"
    calls = {
        ("GET", path): Call(f"List{name}", 200, "PhoneNumberPage", query),
        ("POST", path): Call(f"Create{name}", 201, "PhoneNumber", form=form),
    }
    if kind:
        for_sale = f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}/{kind}.json"
        name = f"ListAvailablePhoneNumber{kind}"
        calls["GET", for_sale] = Call(name, 200, "AvailableNumberPage", _offer_query())
    return calls


_NUMBER: Final = f"{_NUMBERS}/{{Sid}}.json"
_COUNTRIES: Final = f"{ACCOUNT}/AvailablePhoneNumbers"

CALLS: Final[dict[tuple[str, str], Call]] = {
    **_MESSAGES,
    **_ADMINISTRATION,
    **_OWNED,
    **_keys("Keys", "Key"),
    **_keys("SigningKeys", "SigningKey"),
    **_number_kind(""),
    **{key: call for kind in numbers.KINDS for key, call in _number_kind(kind).items()},
    ("GET", _NUMBER): Call("FetchIncomingPhoneNumber", 200, "PhoneNumber"),
    ("POST", _NUMBER): Call(
        "UpdateIncomingPhoneNumber", 200, "PhoneNumber", form=_number_form(_NUMBER)
    ),
    ("DELETE", _NUMBER): Call("DeleteIncomingPhoneNumber", 204),
    ("GET", f"{_COUNTRIES}.json"): Call(
        "ListAvailablePhoneNumberCountry", 200, "CountryPage", PAGING
    ),
    ("GET", f"{_COUNTRIES}/{{CountryCode}}.json"): Call(
        "FetchAvailablePhoneNumberCountry", 200, "Country"
    ),
    ("GET", "/v2/PhoneNumbers/{PhoneNumber}"): Call(
        "FetchPhoneNumber", 200, "Lookup", {
            "Fields": {
                "type": "string",
                "description": f"of {', '.join(sorted(lookups.SERVED))}; separated by commas",
            },
            "CountryCode": {"type": "string", "pattern": "^[A-Za-z]{2}$", "default": "US"},
        },
    ),
}  # fmt: skip
