"""The view of who automates in plain words: read some SMS messages, send one."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from hushwire.connect.dates import is_day, span
from hushwire.connect.integration import Integration
from hushwire.connect.messages import form_of, path_of
from hushwire.connect.models import Address, Input, Sender, SendMessage
from hushwire.connect.outcome import send_once
from hushwire.connect.paging import PAGE_MAX, pages
from hushwire.connect.refused import INPUT, refused
from hushwire.connect.registry import Call, action
from hushwire.connect.sms_message import (
    Body,
    Cost,
    PhoneNumber,
    Segments,
    SenderName,
    Status,
    TwilioSmsMessage,
    Unit,
    from_api,
)

READ_MAX: Final = 100_000  # messages that one reading gives at most


def _about(description: str, **more: Any) -> Meta:
    return Meta(description=description, **more)


class SmsMessages(Struct, frozen=True):
    """Messages, newest first; which filters the backend applied, and which were applied here."""

    messages: list[TwilioSmsMessage]
    filters_applied: Mapping[str, Annotated[str, Meta(extra={"pii": "number"})] | None]
    filters_local: Annotated[list[str], _about("Fields that were filtered after reading")]
    more: Annotated[bool, _about("Are there more than the limit?")] = False


_Moment = Annotated[str, _about("A day (GMT) 2026-01-31, or a moment 2026-01-31T12:00:00Z")]
_From = Annotated[str, _about("On that day or at that moment, or after it")]
_Until = Annotated[str, _about("On that day or at that moment, or before it")]


class ReadSmsMessages(Input, frozen=True):
    """Which messages. A filter for each field of the model; they combine with AND."""

    sid: str | None = None
    body: Body | None = None
    num_segments: Segments | None = None
    sender_number: SenderName | None = None
    recipient_number: PhoneNumber | None = None
    price: Cost | None = None
    num_media: int | None = None
    status: Status | None = None
    messaging_service_sid: str | None = None
    date_sent: _Moment | None = None
    date_sent_after: _From | None = None
    date_sent_before: _Until | None = None
    date_created: _Moment | None = None
    date_created_after: _From | None = None
    date_created_before: _Until | None = None
    date_updated: _Moment | None = None
    date_updated_after: _From | None = None
    date_updated_before: _Until | None = None
    price_unit: Unit | None = None
    error_code: int | None = None
    error_message: str | None = None
    limit: Annotated[int, _about("How many at most", ge=1, le=READ_MAX)] = READ_MAX


class SendSmsMessage(Input, frozen=True, kw_only=True):
    """To whom, from whom, and what."""

    recipient_number: Address
    sender_number: Sender | None = None
    messaging_service_sid: (
        Annotated[str, _about("MG and 32 hex digits; its pool has the sender",
                              pattern="^MG[0-9a-fA-F]{32}$")] | None
    ) = None  # fmt: skip
    body: Body
    content_retention: Annotated[Literal["retain", "discard"], _about("Of its body")] | None = None
    address_retention: (
        Annotated[Literal["retain", "obfuscate"], _about("Of the person's number")] | None
    ) = None


@action("Read some SMS messages", scopes=("messages.list",), effect="reads", idempotency="safe",
        view="kognitos")  # fmt: skip
async def read_some_sms_messages(call: Call, given: ReadSmsMessages) -> SmsMessages:
    """Get SMS messages, newest first: all pages up to the limit, by any field of the model."""
    query, keeps = _pushed(given), _local(given)
    wanted = 1 if given.sid is not None else given.limit
    size = PAGE_MAX if keeps else min(wanted, PAGE_MAX)
    path = path_of(call, given.account_sid)
    found, applied, more = list[TwilioSmsMessage](), dict[str, str](), False
    async for page in pages(call.wire, path, "messages", query, page_size=size):
        applied = page.applied
        kept = [one for one in map(from_api, page.records) if all(ok(one) for ok in keeps.values())]
        found += kept
        more = page.more or len(found) > wanted
        if len(found) >= wanted:
            break
    if given.account_sid is not None:
        applied = {"AccountSid": given.account_sid, **applied}
    return SmsMessages(found[:wanted], applied, list(keeps), more and given.sid is None)


@action("Send an SMS message", scopes=("messages.send",), effect="sends", idempotency="key",
        view="kognitos")  # fmt: skip
async def send_an_sms_message(call: Call, given: SendSmsMessage) -> TwilioSmsMessage:
    """Send an SMS message. It is accepted when this returns; not yet delivered."""
    if given.sender_number is None and given.messaging_service_sid is None:
        raise refused(
            INPUT, "sender_number is missing: name a sender, or a messaging_service_sid",
            field="sender_number",
        )  # fmt: skip
    wanted = SendMessage(
        account_sid=given.account_sid, to=given.recipient_number, from_=given.sender_number,
        messaging_service_sid=given.messaging_service_sid, body=given.body,
        content_retention=given.content_retention, address_retention=given.address_retention,
    )  # fmt: skip
    return from_api(await send_once(call, path_of(call, given.account_sid), form_of(wanted)))


INTEGRATION: Final = Integration(
    view="kognitos",
    title="Twilio",
    version="2.0.1",  # of the document whose actions and model these are
    description="A cloud communications platform with messaging APIs: automated SMS sending, "
    "phone call management, communication workflows, and customer engagement automation. Calls "
    "are out of scope here.",
    actions=("read_some_sms_messages", "send_an_sms_message"),
    scopes=("messages.list", "messages.send"),
)


# --- filters ---------------------------------------------------------------------------------

Keeps = Callable[[TwilioSmsMessage], bool]


def _pushed(given: ReadSmsMessages) -> dict[str, str]:
    """What the backend filters: numbers, and when a message was sent."""
    asked = {
        "To": given.recipient_number, "From": given.sender_number,
        "DateSent": given.date_sent and _asked("date_sent", given.date_sent),
        "DateSent>": given.date_sent_after and _asked("date_sent_after", given.date_sent_after),
        "DateSent<": given.date_sent_before and _asked("date_sent_before", given.date_sent_before),
    }  # fmt: skip
    return {name: value for name, value in asked.items() if value is not None}


_SAME: Final = (
    "sid", "body", "num_segments", "price", "num_media", "status", "messaging_service_sid",
    "price_unit", "error_code", "error_message",
)  # fmt: skip


def _local(given: ReadSmsMessages) -> dict[str, Keeps]:
    """What is filtered here, by field: Twilio's list has no parameter for it."""
    keeps: dict[str, Keeps] = {}
    for name in _SAME:
        if (wanted := getattr(given, name)) is not None:
            keeps[name] = _is(name, wanted)
    for field in ("date_created", "date_updated"):
        for name, of in ((field, "on"), (f"{field}_after", "from"), (f"{field}_before", "until")):
            if (text := getattr(given, name)) is not None:
                keeps[name] = _when(field, of, span(name, text))
    if given.date_sent is not None and not is_day(given.date_sent):
        # A moment is pushed down as its day: what Twilio makes of a time here is not documented.
        keeps["date_sent"] = _when("date_sent", "on", span("date_sent", given.date_sent))
    return keeps


def _is(name: str, wanted: object) -> Keeps:
    return lambda message: getattr(message, name) == wanted


def _when(field: str, of: str, between: tuple[datetime, datetime]) -> Keeps:
    start, end = between

    def keeps(message: TwilioSmsMessage) -> bool:
        at: datetime | None = getattr(message, field)
        return at is not None and (of == "until" or at >= start) and (of == "from" or at < end)

    return keeps


def _asked(field: str, text: str) -> str:
    """A bare date, or a moment as Twilio's SDKs write it; the day of an exact `date_sent`."""
    start, end = span(field, text)
    whole_day = field == "date_sent" or end - start == timedelta(days=1)
    return f"{start:%Y-%m-%d}" if whole_day else f"{start:%Y-%m-%dT%H:%M:%SZ}"
