"""The model `Twilio sms message`: 16 fields, typed, and the way from Twilio's API and back.

A price is a number, a date knows its zone, and four fields are never absent. What stands in them
where Twilio says nothing:

    messaging_service_sid   MG and 32 digits made from the account's SID (`no_service`): stable,
                            unique for each account, and no service's
    price_unit              USD, which Twilio bills in unless an account says otherwise
    num_media               0
"""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime, parsedate_to_datetime
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta, Struct, json
from msgspec.structs import fields

from hushwire.connect.wire import Record

Status = Literal[
    "accepted", "scheduled", "canceled", "queued", "sending", "sent", "failed", "delivered",
    "undelivered", "receiving", "received", "read", "partially_delivered",
]  # fmt: skip


def _about(description: str, **more: Any) -> Meta:
    return Meta(description=description, **more)


Sid = Annotated[str, _about("SM or MM and 32 hex digits", pattern="^(SM|MM)[0-9a-fA-F]{32}$")]
PhoneNumber = Annotated[
    str, Meta(description="E.164, or a channel address (whatsapp:+15552229999)",
              extra={"pii": "number"})
]  # fmt: skip
SenderName = Annotated[
    str, Meta(description="E.164, an alphanumeric sender ID, a Wireless SIM, a short code, or a "
              "channel address (whatsapp:+15554449999)", extra={"pii": "number"})
]  # fmt: skip
Body = Annotated[
    str, Meta(description="The text; empty once it was forgotten", extra={"pii": "body"})
]
Cost = Annotated[float, _about("Billed, in price_unit; null until it is known")]
Unit = Annotated[str, _about("ISO 4217: USD, EUR, JPY")]
Segments = Annotated[
    str, _about("How many segments, as text; 0 until a Messaging Service has chosen a sender")
]
Moment = Annotated[datetime, Meta(tz=True)]
Sent = Annotated[Moment, _about("When it was sent; of an inbound one, when the webhook was asked")]


class TwilioSmsMessage(Struct, frozen=True):
    """Twilio sms message: a text that was sent between phones."""

    sid: Sid | None
    body: Body | None
    num_segments: Segments | None
    sender_number: SenderName | None
    recipient_number: PhoneNumber | None
    price: Cost | None
    account_sid: Annotated[str, _about("AC and 32 hex digits")]
    num_media: Annotated[int, _about("How many files")]
    status: Status | None
    messaging_service_sid: Annotated[
        str, _about("The Messaging Service; a default of the account's own if there is none")
    ]
    date_sent: Sent | None
    date_created: Moment | None
    date_updated: Moment | None
    price_unit: Unit
    error_code: Annotated[int, _about("Why it failed or was not delivered")] | None
    error_message: Annotated[str, _about("What error_code means")] | None


MODEL_NAME: Final = "Twilio sms message"
FIELDS: Final = tuple(field.name for field in fields(TwilioSmsMessage))


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Twilio sms message`."""
    return {**json.schema(TwilioSmsMessage), "title": MODEL_NAME}


def no_service(account_sid: str) -> str:
    """What messaging_service_sid is where no Messaging Service was used: a hash, so that not even
    an example whose SIDs all have the same digits is taken for it."""
    return f"MG{hashlib.sha256(f'no messaging service: {account_sid}'.encode()).hexdigest()[:32]}"


def from_api(record: Record) -> TwilioSmsMessage:
    """A message as Twilio's API shows it → the model."""
    price, account = record.get("price"), str(record["account_sid"])
    return TwilioSmsMessage(
        sid=record.get("sid"), body=record.get("body"), num_segments=record.get("num_segments"),
        sender_number=record.get("from"), recipient_number=record.get("to"),
        price=None if price is None else float(price), account_sid=account,
        num_media=int(record.get("num_media") or 0), status=record.get("status"),
        messaging_service_sid=record.get("messaging_service_sid") or no_service(account),
        date_sent=_moment(record.get("date_sent")), date_created=_moment(record["date_created"]),
        date_updated=_moment(record["date_updated"]),
        price_unit=record.get("price_unit") or "USD", error_code=record.get("error_code"),
        error_message=record.get("error_message"),
    )  # fmt: skip


def to_api(message: TwilioSmsMessage) -> Record:
    """The model → the 16 properties as Twilio's API shows them. Nothing of the model is lost."""
    service = message.messaging_service_sid
    return {
        "sid": message.sid, "body": message.body, "num_segments": message.num_segments,
        "from": message.sender_number, "to": message.recipient_number,
        "price": None if message.price is None else _price(message.price),
        "account_sid": message.account_sid, "num_media": str(message.num_media),
        "status": message.status,
        "messaging_service_sid": None if service == no_service(message.account_sid) else service,
        "date_sent": _date(message.date_sent), "date_created": _date(message.date_created),
        "date_updated": _date(message.date_updated), "price_unit": message.price_unit,
        "error_code": message.error_code, "error_message": message.error_message,
    }  # fmt: skip


def _moment(date: str | None) -> datetime | None:
    """RFC 2822 → aware, in UTC."""
    if date is None:
        return None
    found = parsedate_to_datetime(date)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _date(moment: datetime | None) -> str | None:
    return None if moment is None else format_datetime(moment.astimezone(UTC))


def _price(price: float) -> str:
    """Five places, as Twilio writes it; more where there are more."""
    exact = Decimal(repr(price))
    places = -cast("int", exact.as_tuple().exponent)
    return f"{exact:.{max(places, 5)}f}"
