"""What actions take and give, named as Twilio's parameters and properties, in snake_case.

A field that is private says so (`pii`), and what it is: doors, views and documents go by that.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

Pii = Literal["number", "body", "url", "secret"]


def _pii(kind: Pii, description: str, **limits: Any) -> Meta:
    return Meta(description=description, extra={"pii": kind}, **limits)


def _about(description: str, **limits: Any) -> Meta:
    return Meta(description=description, **limits)


_AC: Final = r"^AC[0-9a-fA-F]{32}$"
_SM: Final = r"^(SM|MM)[0-9a-fA-F]{32}$"
_MG: Final = r"^MG[0-9a-fA-F]{32}$"
_AP: Final = r"^AP[0-9a-fA-F]{32}$"
_HX: Final = r"^HX[0-9a-fA-F]{32}$"

AccountSid = Annotated[
    str, _about("AC and 32 hex digits; the connection's own if absent", pattern=_AC)
]
MessageSid = Annotated[str, _about("SM or MM and 32 hex digits", pattern=_SM)]
Address = Annotated[
    str, _pii("number", "A number in E.164, or a channel address (whatsapp:+15552229999)",
              min_length=1)
]  # fmt: skip
Sender = Annotated[
    str,
    _pii("number", "A number of yours in E.164, a short code, an alphanumeric sender ID, or a "
         "channel address", min_length=1),
]  # fmt: skip
_Url = Annotated[str, _pii("url", "A URL of the account's, which may hold credentials")] | None
Limit = Annotated[int, _about("How many at most; all pages are walked up to it", ge=1, le=100_000)]


class Input(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What every action takes: the account, where it is not the connection's own."""

    account_sid: AccountSid | None = None


# --- messages --------------------------------------------------------------------------------


class SendMessage(Input, frozen=True, rename={"from_": "from"}):
    """A message to be sent: to whom, from whom, and what."""

    to: Address
    from_: Sender | None = None
    messaging_service_sid: (
        Annotated[str, _about("MG and 32 hex digits; its pool has the sender", pattern=_MG)] | None
    ) = None
    body: (
        Annotated[str, _pii("body", "The text, up to 1,600 characters", max_length=1600)] | None
    ) = None
    media_url: (
        Annotated[list[Annotated[str, _pii("url", "Where a file is")]],
                  _about("Up to 10 URLs of files", max_length=10)] | str | None
    ) = None  # fmt: skip
    content_sid: Annotated[str, _about("HX and 32 hex digits: a template", pattern=_HX)] | None = (
        None
    )
    content_variables: Annotated[str, _pii("body", "JSON: the template's variables")] | None = None
    status_callback: Annotated[str, _pii("url", "Is told each change of status")] | None = None
    application_sid: (
        Annotated[str, _about("AP and 32 hex digits: its callback is told", pattern=_AP)] | None
    ) = None
    max_price: (
        Annotated[str, _about("In the account's currency, up to the fourth decimal")] | None
    ) = None
    provide_feedback: Annotated[bool, _about("Its outcome will be reported")] | None = None
    attempt: Annotated[int, _about("Attempts made before this one", ge=0)] | None = None
    validity_period: (
        Annotated[int, _about("Seconds it may wait to be sent", ge=1, le=36_000)] | None
    ) = None
    force_delivery: Annotated[bool, _about("Reserved")] | None = None
    content_retention: Annotated[Literal["retain", "discard"], _about("Of its body")] | None = None
    address_retention: (
        Annotated[Literal["retain", "obfuscate"], _about("Of the person's number")] | None
    ) = None
    smart_encoded: (
        Annotated[bool, _about("Write look-alikes of GSM characters as those")] | None
    ) = None
    shorten_urls: Annotated[bool, _about("Shorten the links in it")] | None = None
    schedule_type: Annotated[Literal["fixed"], _about("With send_at")] | None = None
    send_at: Annotated[str, _about("ISO 8601: when to send it, through a service")] | None = None
    send_as_mms: Annotated[bool, _about("As an MMS whether it has media or not")] | None = None
    risk_check: (
        Annotated[Literal["enable", "disable"], _about("Traffic pumping protection")] | None
    ) = None
    fallback_from: Annotated[str, _pii("number", "The sender if the first cannot")] | None = None
    tags: Annotated[str, _pii("body", "A JSON object of names and values")] | None = None


class ListMessages(Input, frozen=True, rename={"from_": "from"}):
    """Which messages. Filters combine with AND."""

    to: Address | None = None
    from_: Sender | None = None
    date_sent: Annotated[str, _about("That day (GMT), or from that moment: 2026-01-31")] | None = (
        None
    )
    date_sent_before: Annotated[str, _about("Sent on that day or before")] | None = None
    date_sent_after: Annotated[str, _about("Sent on that day or after")] | None = None
    page_size: Annotated[int, _about("How many a page", ge=1, le=1000)] | None = None
    page: Annotated[int, _about("Which page, from 0", ge=0)] | None = None
    limit: Limit | None = None


class OneMessage(Input, frozen=True):
    """Which message."""

    sid: MessageSid


class UpdateMessage(OneMessage, frozen=True):
    """What is to change of a message: an empty body forgets it, `canceled` cancels it."""

    body: Annotated[str, _about("Only empty: forget the body", max_length=0)] | None = None
    status: Annotated[Literal["canceled"], _about("Cancel a scheduled message")] | None = None


class Message(Struct, frozen=True, rename={"from_": "from"}):
    """A message as Twilio's API shows it. What a view hides is null."""

    sid: str
    account_sid: str
    status: str
    direction: str
    to: Annotated[str, _pii("number", "To whom")] | None = None
    from_: Annotated[str, _pii("number", "From whom")] | None = None
    body: Annotated[str, _pii("body", "The text; empty once it was forgotten")] | None = None
    num_segments: str | None = None
    num_media: str | None = None
    messaging_service_sid: str | None = None
    price: str | None = None
    price_unit: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    date_created: Annotated[str, _about("RFC 2822, GMT")] | None = None
    date_sent: Annotated[str, _about("RFC 2822, GMT")] | None = None
    date_updated: Annotated[str, _about("RFC 2822, GMT")] | None = None
    api_version: str | None = None
    uri: str | None = None
    subresource_uris: dict[str, str] | None = None


class Messages(Struct, frozen=True):
    """Messages, newest first, and the filters that the backend really applied."""

    messages: list[Message]
    filters_applied: Mapping[str, Annotated[str, _pii("number", "By parameter")] | None]
    more: Annotated[bool, _about("Are there more than the limit?")] = False


class Deleted(Struct, frozen=True):
    """What is no longer there."""

    sid: str
    deleted: bool = True
    already: Annotated[bool, _about("Was it gone before?")] = False


# --- accounts and numbers --------------------------------------------------------------------


class ListAccounts(Input, frozen=True):
    """Which accounts."""

    friendly_name: Annotated[str, _about("Exactly this name; case counts")] | None = None
    status: (
        Annotated[Literal["active", "suspended", "closed"], _about("Only with this status")] | None
    ) = None
    page_size: Annotated[int, _about("How many a page", ge=1, le=1000)] | None = None
    page: Annotated[int, _about("Which page, from 0", ge=0)] | None = None
    limit: Limit | None = None


class RetrieveAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which account."""

    sid: Annotated[str, _about("AC and 32 hex digits", pattern=_AC)]


class Account(Struct, frozen=True):
    """An account, without its token."""

    sid: str
    owner_account_sid: str | None = None
    friendly_name: str | None = None
    status: str | None = None
    type: str | None = None
    date_created: str | None = None
    date_updated: str | None = None
    uri: str | None = None
    subresource_uris: dict[str, str] | None = None


class AccountPage(Struct, frozen=True):
    """Accounts, and the filters that the backend really applied."""

    accounts: list[Account]
    filters_applied: dict[str, str]
    more: bool = False


class ListNumbers(Input, frozen=True):
    """Which of the account's numbers."""

    phone_number: Annotated[str, _about("A number, or a part of it")] | None = None
    friendly_name: Annotated[str, _about("Exactly this name")] | None = None
    limit: Limit | None = None


class Number(Struct, frozen=True):
    """A number the account owns. It is the account's own, not a person's."""

    sid: str
    account_sid: str
    phone_number: str
    friendly_name: str | None = None
    capabilities: dict[str, bool] | None = None
    sms_url: _Url = None
    sms_method: str | None = None
    sms_fallback_url: _Url = None
    status_callback: _Url = None
    date_created: str | None = None
    date_updated: str | None = None


class Numbers(Struct, frozen=True):
    """Numbers, and the filters that the backend really applied."""

    incoming_phone_numbers: list[Number]
    filters_applied: dict[str, str]
    more: bool = False


class LookUpPhone(Input, frozen=True):
    """Whose number."""

    phone_number: Annotated[str, _pii("number", "E.164")]


class Phone(Struct, frozen=True):
    """What is known of a number, and of what was written to and from it."""

    phone_number: Annotated[str, _pii("number", "E.164")] | None
    valid: bool
    country_code: str | None
    national_format: Annotated[str, _pii("number", "As it is written there")] | None
    messages_to: Annotated[int, _about("Messages to it; see more")]
    messages_from: Annotated[int, _about("Messages from it; see more")]
    last_message_date: str | None
    more: Annotated[bool, _about("Are there more than were counted (1,000 each way)?")] = False
