"""What is personal in our records: field by field, as data (twilio-messaging 8.7).

`handling` and `mtl_days` are Twilio's (`x-twilio.pii` of its OpenAPI documents); the tests hold
them against these documents. None is what Twilio calls "Not PII". Here no field has a minimum
unless an account sets one: `TWILIO_MINIMUMS` are those of Twilio's cloud. Pure.
"""

from typing import Final, Literal

from msgspec import Struct

Handling = Literal["standard", "sensitive"]
Key = Literal["content", "address", "media", "account", "pepper", "none"]


class PersonalField(Struct, frozen=True):
    """A field that is, or may be, about a person."""

    resource: str  # Twilio's name of it; a name of ours in lower case
    field: str
    handling: Handling | None
    mtl_days: int | None  # Twilio's minimum time to live, after creation
    key: Key  # whose destruction forgets it; none: it is in clear, and goes with its row
    purpose: str
    basis: str  # GDPR, article 6(1)


_CARRY: Final = "carry the message, answer what became of it"
_BILL: Final = "carrier reconciliation, tax, disputes about bills"
_SIGN: Final = "know who may use the API"
_LABEL: Final = "names that the customer gives what it set up"
_CONTRACT: Final = "b: contract with the customer"
_LAW: Final = "c: the law on consent to messages"

PII: Final = (
    PersonalField("Message", "body", "standard", 30, "content", _CARRY, _CONTRACT),
    PersonalField("Message", "from", "standard", 120, "address", _BILL, _CONTRACT),
    PersonalField("Message", "to", "standard", 120, "address", _BILL, _CONTRACT),
    PersonalField("Message", "status", None, None, "none", _BILL, _CONTRACT),
    PersonalField("Message", "price", None, None, "none", _BILL, _CONTRACT),
    PersonalField("Message", "date_sent", None, None, "none", _BILL, _CONTRACT),
    PersonalField("Media", "content", None, None, "media", _CARRY, _CONTRACT),
    PersonalField("MessageFeedback", "outcome", None, None, "none", _CARRY, _CONTRACT),
    PersonalField("Account", "auth_token", "sensitive", 30, "account", _SIGN, _CONTRACT),
    PersonalField("Account", "friendly_name", "standard", 30, "none", _LABEL, _CONTRACT),
    PersonalField("IncomingPhoneNumber", "friendly_name", "standard", 30, "account", _LABEL,
                  _CONTRACT),
    PersonalField("Key", "friendly_name", "standard", 30, "none", _LABEL, _CONTRACT),
    PersonalField("message", "callback", None, None, "content", _CARRY, _CONTRACT),
    PersonalField("message", "tags", None, None, "content", _CARRY, _CONTRACT),
    PersonalField("message", "number index", None, None, "pepper", _CARRY, _CONTRACT),
    PersonalField("opt-out", "number index", None, None, "pepper", "send no more texts", _LAW),
    PersonalField("sticky sender", "number index", None, None, "pepper", _CARRY, _CONTRACT),
    PersonalField("legal hold", "number index", None, None, "pepper", "keep evidence",
                  "c: a legal duty to keep it"),
)  # fmt: skip


def mtl_days(resource: str, field: str) -> int:
    """Twilio's minimum of a field; 0 where it has none."""
    found = (row.mtl_days for row in PII if (row.resource, row.field) == (resource, field))
    return next(found, None) or 0


TWILIO_MINIMUMS: Final[dict[str, int]] = {
    "body_minimum_days": mtl_days("Message", "body"),
    "numbers_minimum_days": max(mtl_days("Message", "from"), mtl_days("Message", "to")),
}
