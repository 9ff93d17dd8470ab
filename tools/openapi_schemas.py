"""What the served API answers, as schemas of OpenAPI 3.0.

Types come from Twilio's own definition where it has them. What of it can be null here, and the
resources it does not have, stand here: nearly everything is nullable at Twilio, so its
definition alone would accept an answer full of nulls. Every property is there in every answer.
"""

import json
from pathlib import Path
from typing import Any, Final, get_args

from hushwire.api.lookups import LINE_TYPE, NOT_SERVED
from hushwire.api.paging import PAGE_SIZE_MAX
from hushwire.domain.lookup import LineType, ValidationError
from hushwire.domain.service import Scan, UseCase
from hushwire.domain.supply import NumberKind

Schema = dict[str, Any]

_FACTS: Final = Path(__file__).resolve().parent.parent / "tests" / "facts"
TWILIO: Final[Schema] = json.loads((_FACTS / "api_v2010_messaging.json").read_text("utf-8"))
_THEIRS: Final[Schema] = TWILIO["components"]["schemas"]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
YES_OR_NO: Final[Schema] = {"type": "boolean"}
RFC2822: Final[Schema] = {"type": "string", "format": "date-time-rfc-2822"}
ISO8601: Final[Schema] = {"type": "string", "format": "date-time"}
URI: Final[Schema] = {"type": "string", "format": "uri"}
URIS: Final[Schema] = {
    "type": "object", "format": "uri-map", "additionalProperties": {"type": "string"},
}  # fmt: skip
CAPABILITIES: Final[Schema] = {
    "type": "object",
    "properties": dict.fromkeys(("sms", "mms", "voice", "fax"), YES_OR_NO),
    "required": ["sms", "mms", "voice", "fax"],
    "additionalProperties": False,
}


def sid(*prefixes: str) -> Schema:
    """A SID of one of these kinds."""
    start = prefixes[0] if len(prefixes) == 1 else f"({'|'.join(prefixes)})"
    return {
        "type": "string", "minLength": 34, "maxLength": 34, "pattern": f"^{start}[0-9a-fA-F]{{32}}$"
    }  # fmt: skip


def word(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """What may also be null; for a reference, as OpenAPI 3.0 wants it."""
    return {**({"allOf": [schema]} if "$ref" in schema else schema), "nullable": True}


def record(properties: Schema) -> Schema:
    """An object with all of these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def plain(schema: Schema) -> Schema:
    """A schema of Twilio's definition, without its notes to generators of code; never null."""
    if "$ref" in schema:
        return plain(_THEIRS[schema["$ref"].rpartition("/")[2]])
    kept = {k: v for k, v in schema.items() if not k.startswith("x-") and k != "nullable"}
    if kept.get("format") == "phone-number-capabilities":
        return CAPABILITIES
    if kept.get("format") == "uri-map":
        return URIS
    if "items" in kept:
        kept["items"] = plain(kept["items"])
    return kept


def _theirs(name: str, *nulls: str, **changes: Schema) -> Schema:
    """A resource of Twilio's definition; `nulls` are the properties that may be null here."""
    properties = {k: plain(v) for k, v in _THEIRS[f"api.v2010.account{name}"]["properties"].items()}
    nullable = {k: or_null(v) if k in nulls else v for k, v in properties.items()}
    return record({**nullable, **changes})


_KEY: Final[Schema] = {
    "sid": sid("SK"), "friendly_name": or_null(TEXT), "date_created": RFC2822,
    "date_updated": RFC2822,
}  # fmt: skip
_POLICY: Final = or_null(record({"allow": {"type": "array", "items": TEXT}}))
_TOKEN: Final[Schema] = {
    "account_sid": sid("AC"), "date_created": ISO8601, "date_updated": ISO8601, "url": URI,
}  # fmt: skip
_METHOD: Final = word("GET", "POST")
_MEMBER: Final[Schema] = {
    "account_sid": sid("AC"), "service_sid": sid("MG"), "date_created": ISO8601,
    "date_updated": ISO8601, "capabilities": {"type": "array", "items": TEXT}, "url": URI,
}  # fmt: skip
_MESSAGE: Final = _theirs(
    ".message", "date_sent", "error_code", "error_message", "from", "messaging_service_sid", "price"
)
_TAGS: Final[Schema] = {"type": "object", "description": "as given; only where they were given"}
_NEVER: Final = or_null(TEXT)  # always null: what it would hold is not known here

RESOURCES: Final[dict[str, Schema]] = {
    "Message": {**_MESSAGE, "properties": {**_MESSAGE["properties"], "tags": _TAGS}},
    "Media": _theirs(".message.media"),
    "File": {"type": "string", "format": "binary"},  # of any accepted type
    "Feedback": _theirs(".message.message_feedback"),
    "Account": _theirs("", "auth_token"),
    "NewAccount": _theirs(""),
    "Balance": record({"account_sid": sid("AC"), "balance": TEXT, "currency": TEXT}),
    "Key": _theirs(".key", "friendly_name"),
    "NewKey": _theirs(".new_key", "friendly_name"),
    "V1Key": record({**_KEY, "policy": _POLICY}),
    "NewV1Key": record({**_KEY, "secret": TEXT, "policy": _POLICY}),
    "SecondaryToken": record({**_TOKEN, "secondary_auth_token": TEXT}),
    "PromotedToken": record({**_TOKEN, "auth_token": TEXT}),
    "PhoneNumber": _theirs(
        ".incoming_phone_number", "address_sid", "bundle_sid", "emergency_address_sid",
        "identity_sid", "sms_application_sid", "sms_fallback_url", "sms_url", "status_callback",
        "trunk_sid", "voice_application_sid", "voice_fallback_url", "voice_url",
        type=word(*get_args(NumberKind)),
    ),
    "Country": record({
        "beta": YES_OR_NO, "country": TEXT, "country_code": TEXT, "subresource_uris": URIS,
        "uri": TEXT,
    }),
    "AvailableNumber": record({
        "address_requirements": TEXT, "beta": YES_OR_NO, "capabilities": CAPABILITIES,
        "friendly_name": TEXT, "iso_country": TEXT, "lata": _NEVER, "latitude": _NEVER,
        "locality": _NEVER, "longitude": _NEVER, "phone_number": TEXT, "postal_code": _NEVER,
        "rate_center": _NEVER, "region": _NEVER,
    }),
    "Lookup": record({
        "calling_country_code": _NEVER, "country_code": _NEVER, "phone_number": TEXT,
        "national_format": _NEVER, "valid": YES_OR_NO,
        "validation_errors": {"type": "array", "items": word(*get_args(ValidationError))},
        **dict.fromkeys(NOT_SERVED, or_null({"type": "object"})),
        LINE_TYPE: or_null(record({
            "mobile_country_code": _NEVER, "mobile_network_code": _NEVER, "carrier_name": _NEVER,
            "type": {**word(*get_args(LineType)), "nullable": True},
            "error_code": or_null(WHOLE),
        })),
        "url": URI,
    }),
    "ShortCode": _theirs(".short_code", "sms_fallback_url", "sms_url"),
    "Application": _theirs(
        ".application", "friendly_name", "message_status_callback", "sms_fallback_url",
        "sms_status_callback", "sms_url", "status_callback", "voice_fallback_url", "voice_url",
    ),
    "Service": record({
        "sid": sid("MG"), "account_sid": sid("AC"), "friendly_name": TEXT, "date_created": ISO8601,
        "date_updated": ISO8601, "inbound_request_url": or_null(URI), "inbound_method": _METHOD,
        "fallback_url": or_null(URI), "fallback_method": _METHOD, "status_callback": or_null(URI),
        **dict.fromkeys(
            ("sticky_sender", "mms_converter", "smart_encoding", "fallback_to_long_code",
             "area_code_geomatch", "synchronous_validation", "us_app_to_person_registered",
             "use_inbound_webhook_on_number"),
            YES_OR_NO,
        ),
        "scan_message_content": word(*get_args(Scan)), "usecase": word(*get_args(UseCase)),
        "validity_period": WHOLE, "url": URI, "links": URIS,
    }),
    "ServicePhoneNumber": record({
        **_MEMBER, "sid": sid("PN"), "phone_number": TEXT, "country_code": or_null(TEXT),
    }),
    "ServiceShortCode": record({
        **_MEMBER, "sid": sid("SC"), "short_code": TEXT, "country_code": or_null(TEXT),
    }),
    "AlphaSender": record({**_MEMBER, "sid": sid("AI"), "alpha_sender": TEXT}),
    "Content": record({
        "sid": sid("HX"), "account_sid": sid("AC"), "friendly_name": or_null(TEXT),
        "language": TEXT, "variables": {"type": "object", "additionalProperties": TEXT},
        "types": {"type": "object"}, "url": URI, "date_created": ISO8601,
        "date_updated": ISO8601, "links": URIS,
    }),
    "Error": record({"code": WHOLE, "message": TEXT, "more_info": URI, "status": WHOLE}),
}  # fmt: skip

_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_SIZE: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_MAX}


def page(key: str, resource: str) -> Schema:
    """The 2010 API's envelope around a page of resources."""
    return record({
        key: {"type": "array", "items": ref(resource)},
        "first_page_uri": TEXT, "next_page_uri": or_null(TEXT), "previous_page_uri": or_null(TEXT),
        "uri": TEXT, "page": _COUNT, "page_size": _SIZE, "start": _COUNT, "end": _COUNT,
    })  # fmt: skip


def meta_page(key: str, resource: str) -> Schema:
    """The v1 APIs' envelope, with absolute URLs under `meta`."""
    meta = record({
        "page": _COUNT, "page_size": _SIZE, "first_page_url": URI,
        "previous_page_url": or_null(URI), "url": URI, "next_page_url": or_null(URI),
        "key": word(key),
    })  # fmt: skip
    return record({key: {"type": "array", "items": ref(resource)}, "meta": meta})


PAGES: Final[dict[str, Schema]] = {
    "MessagePage": page("messages", "Message"),
    "MediaPage": page("media_list", "Media"),
    "AccountPage": page("accounts", "Account"),
    "KeyPage": page("keys", "Key"),
    "SigningKeyPage": page("signing_keys", "Key"),
    "V1KeyPage": meta_page("keys", "Key"),
    "PhoneNumberPage": page("incoming_phone_numbers", "PhoneNumber"),
    "CountryPage": page("countries", "Country"),
    "AvailableNumberPage": page("available_phone_numbers", "AvailableNumber"),
    "ShortCodePage": page("short_codes", "ShortCode"),
    "ApplicationPage": page("applications", "Application"),
    "ServicePage": meta_page("services", "Service"),
    "ServicePhoneNumberPage": meta_page("phone_numbers", "ServicePhoneNumber"),
    "ServiceShortCodePage": meta_page("short_codes", "ServiceShortCode"),
    "AlphaSenderPage": meta_page("alpha_senders", "AlphaSender"),
    "ContentPage": meta_page("contents", "Content"),
}
