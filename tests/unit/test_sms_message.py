"""The model `Twilio sms message`: every recorded sample fits, and maps back."""

from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json, to_builtins
from msgspec.structs import replace

from backends import RECORDED, recorded_messages
from hushwire.connect.sms_message import (
    FIELDS,
    MODEL_NAME,
    TwilioSmsMessage,
    from_api,
    no_service,
    schema,
    to_api,
)

NAMES = [sample["name"] for sample in RECORDED["messages"]]
SAMPLES = pytest.mark.parametrize("record", recorded_messages(), ids=NAMES)


def by_name(name: str) -> TwilioSmsMessage:
    return from_api(recorded_messages()[NAMES.index(name)])


@SAMPLES
def test_a_sample_validates_against_the_published_schema(record: dict[str, Any]) -> None:
    """G-20, G-28, G-29: outbound, inbound, failed, scheduled, redacted, WhatsApp."""
    shown = to_builtins(from_api(record))
    jsonschema_rs.validator_for(schema()).validate(shown)
    assert json.decode(json.encode(shown), type=TwilioSmsMessage) == from_api(record)
    assert tuple(shown) == FIELDS


def test_the_schema_says_types_and_what_is_never_absent() -> None:
    """G-12 to G-27, G-29."""
    assert schema()["title"] == MODEL_NAME == "Twilio sms message"
    (found,) = schema()["$defs"].values()
    assert tuple(found["properties"]) == FIELDS
    assert len(FIELDS) == 16
    kinds = {name: _kinds(part) for name, part in found["properties"].items()}
    text, number = {"string", "null"}, {"number", "null"}
    assert kinds == {
        "sid": text, "body": text, "num_segments": text, "sender_number": text,
        "recipient_number": text, "price": number, "account_sid": {"string"},
        "num_media": {"integer"}, "status": text, "messaging_service_sid": {"string"},
        "date_sent": {"date-time", "null"}, "date_created": {"date-time", "null"},
        "date_updated": {"date-time", "null"}, "price_unit": {"string"},
        "error_code": {"integer", "null"}, "error_message": text,
    }  # fmt: skip


def _kinds(part: dict[str, Any]) -> set[str]:
    if "anyOf" in part:
        return {kind for each in part["anyOf"] for kind in _kinds(each)}
    if "enum" in part:
        return {"null" if value is None else "string" for value in part["enum"]}
    return {part.get("format", part["type"])}


@SAMPLES
def test_it_maps_back_without_loss(record: dict[str, Any]) -> None:
    """G-30: what it says of a message is what Twilio said; only a currency is never null."""
    message = from_api(record)
    back = to_api(message)
    assert from_api(back) == message
    unit = record["price_unit"] or "USD"
    assert back == {name: record[name] for name in back} | {"price_unit": unit}


@given(
    st.decimals(-100, 100, places=5), st.datetimes(datetime(1999, 1, 1), datetime(2100, 1, 1))
)  # fmt: skip
def test_prices_and_dates_survive(price: Any, when: datetime) -> None:
    """G-17, G-22 to G-24, G-30."""
    base = by_name("delivered and billed")
    at = when.replace(microsecond=0, tzinfo=UTC)
    record = {**to_api(base), "price": f"{price:.5f}"}
    message = from_api(record)
    assert message.price == float(price)
    assert to_api(message)["price"] == f"{price:.5f}"
    dated = replace(message, date_sent=at, date_created=at, date_updated=at)
    assert from_api(to_api(dated)) == dated


def test_the_samples_say_what_the_document_says() -> None:
    """G-13 to G-27, one by one."""
    billed = by_name("delivered and billed")
    assert billed.price == -0.0075
    assert billed.num_segments == "1"
    assert billed.num_media == 0
    assert billed.date_sent == datetime(2019, 5, 24, 17, 44, 50, tzinfo=UTC)
    assert billed.messaging_service_sid == no_service(billed.account_sid)
    assert no_service(billed.account_sid) == "MGf2ad9af7a54976d584d44fc3e10ba53c"
    assert no_service("AC" + "1" * 32) != no_service("AC" + "2" * 32)
    assert by_name("just created, not even the currency").price_unit == "USD"
    assert by_name("just created, not even the currency").price is None
    assert by_name("scheduled").sender_number is None
    assert by_name("scheduled").num_segments == "0"
    assert by_name("failed in a queue").error_code == 30001
    assert by_name("failed in a queue").error_message == "Queue overflow"
    assert by_name("delivered and billed").error_code is None
    assert by_name("body forgotten").body == ""
    assert by_name("WhatsApp, read").sender_number == "whatsapp:+15554449999"
    assert by_name("inbound").recipient_number == "+15005550006"
    assert by_name("from an alphanumeric sender").sender_number == "Hushwire"
    assert by_name("MMS").num_media == 3
