"""The parameters of a message's create, one table (D11): the support page is made from it.

Honoured · accepted without effect · refused, with Twilio's own error, until the capability
comes. A parameter that is in none of the tables is unknown and ignored, as Twilio does.
"""

from typing import Final

from hushwire.actions.messages import VALIDITY_MAX_S, SendMessage
from hushwire.errors import Refusal
from hushwire.private import Private

HONOURED: Final = (
    "To", "From", "Body", "StatusCallback", "ValidityPeriod", "ProvideFeedback", "SmartEncoded",
    "ContentRetention", "AddressRetention",
)  # fmt: skip

WITHOUT_EFFECT: Final = {
    "Attempt": "informational at Twilio too",
    "ForceDelivery": "reserved by Twilio",
    "MaxPrice": "obsolete at Twilio since June 2024",
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


def read_send(form: dict[str, list[str]]) -> SendMessage:
    """A create's form as what is to be sent. Raises Refusal for what cannot be honoured."""
    for name in form.keys() & REFUSED.keys():
        if name not in _FLAGS or _boolean(form, name):
            raise Refusal(REFUSED[name], parameter=name)
    from_ = _one(form, "From")
    if from_ is not None and from_.startswith("MG"):  # Engage sends a service as From (W11)
        raise Refusal("service_not_found")
    return SendMessage(
        to=_private(form, "To"),
        from_=Private(from_) if from_ is not None else None,
        body=_private(form, "Body"),
        status_callback=_private(form, "StatusCallback"),
        validity_s=_validity(form),
        provide_feedback=_boolean(form, "ProvideFeedback"),
        smart_encoded=_boolean(form, "SmartEncoded"),
        content_retention=_one(form, "ContentRetention"),
        address_retention=_one(form, "AddressRetention"),
    )


def _one(form: dict[str, list[str]], name: str) -> str | None:
    values = form.get(name)
    if values is None:
        return None
    if len(values) > 1:  # which one counts would be a guess
        raise Refusal("invalid_parameter", parameter=name)
    return values[0]


def _private(form: dict[str, list[str]], name: str) -> Private | None:
    value = _one(form, name)
    return Private(value) if value is not None else None


def _boolean(form: dict[str, list[str]], name: str) -> bool:
    value = _one(form, name)
    if value is None:
        return False
    match value.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise Refusal("invalid_boolean", parameter=name)


def _validity(form: dict[str, list[str]]) -> int:
    value = _one(form, "ValidityPeriod")
    if value is None:
        return VALIDITY_MAX_S
    if not (value.isascii() and value.isdigit() and len(value) <= 6):
        raise Refusal("validity_invalid")
    return int(value)
