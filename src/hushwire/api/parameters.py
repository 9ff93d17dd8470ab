"""The parameters of a message's create, one table (D11): the support page is made from it.

Honoured · accepted without effect · refused, with Twilio's own error, until the capability
comes. A parameter that is in none of the tables is unknown and ignored, as Twilio does.
"""

from typing import Final

from hushwire.actions.messages import VALIDITY_MAX_S, SendMessage
from hushwire.errors import Refusal
from hushwire.private import Private

HONOURED: Final = (
    "To", "From", "Body", "StatusCallback", "ValidityPeriod", "SmartEncoded", "ContentRetention",
    "AddressRetention",
)  # fmt: skip

WITHOUT_EFFECT: Final = {
    "Attempt": "informational at Twilio too",
    "ForceDelivery": "reserved by Twilio",
    "MaxPrice": "obsolete at Twilio since June 2024",
    "ProvideFeedback": "checked and kept with the message; Feedback.json is not served yet",
    "RiskCheck": "no risk check is made",
    "Tags": "not stored",
    "TrafficType": "semantics unpublished",
}

REFUSED: Final = {
    "ApplicationSid": "application_not_accessible",
    "ContentSid": "content_sid_invalid",
    "ContentVariables": "content_sid_required",
    "FallbackFrom": "fallback_without_service",
    "MediaUrl": "account_not_mms_capable",
    "MessagingServiceSid": "service_not_found",
    "PersistentAction": "parameter_not_supported",
    "ScheduleType": "schedule_without_service",
    "SendAt": "schedule_without_service",
    "SendAsMms": "account_not_mms_capable",
    "ShortenUrls": "parameter_not_supported",
}

_FLAGS: Final = frozenset({"SendAsMms", "ShortenUrls"})  # refused only when true
_SCALARS: Final = frozenset(HONOURED) | _FLAGS | {"ProvideFeedback"}


def read_send(form: dict[str, list[str]]) -> SendMessage:
    """A create's form as what is to be sent. Raises Refusal for what cannot be honoured."""
    for name, values in form.items():
        if len(values) > 1 and name in _SCALARS:  # which one counts would be a guess
            raise Refusal("invalid_parameter", parameter=name)
        if name in REFUSED and (name not in _FLAGS or _boolean(form, name)):
            raise Refusal(REFUSED[name], parameter=name)
    get = form.get
    to, from_, body, callback = get("To"), get("From"), get("Body"), get("StatusCallback")
    if from_ is not None and from_[0].startswith("MG"):  # Engage sends a service as From (W11)
        raise Refusal("service_not_found")
    content, address = get("ContentRetention"), get("AddressRetention")
    return SendMessage(
        to=Private(to[0]) if to is not None else None,
        from_=Private(from_[0]) if from_ is not None else None,
        body=Private(body[0]) if body is not None else None,
        status_callback=Private(callback[0]) if callback is not None else None,
        validity_s=_validity(form) if "ValidityPeriod" in form else VALIDITY_MAX_S,
        provide_feedback="ProvideFeedback" in form and _boolean(form, "ProvideFeedback"),
        smart_encoded="SmartEncoded" in form and _boolean(form, "SmartEncoded"),
        content_retention=content[0] if content is not None else None,
        address_retention=address[0] if address is not None else None,
    )


def _boolean(form: dict[str, list[str]], name: str) -> bool:
    match form[name][0].lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise Refusal("invalid_boolean", parameter=name)


def _validity(form: dict[str, list[str]]) -> int:
    value = form["ValidityPeriod"][0]
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise Refusal("validity_invalid")
    return int(value)
