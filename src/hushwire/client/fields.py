"""The keyword arguments of methods, for type checkers: those of the actions' input models.

A test holds each of these to its model in `connect.models`, which also says what a field means.
`None` is as if the argument were left out.
"""

from typing import Literal, Required, TypedDict


class SendFields(TypedDict, total=False):
    """Of `send_message`."""

    to: Required[str]
    from_: str | None
    messaging_service_sid: str | None
    body: str | None
    media_url: list[str] | str | None
    content_sid: str | None
    content_variables: str | None
    status_callback: str | None
    application_sid: str | None
    max_price: str | None
    provide_feedback: bool | None
    attempt: int | None
    validity_period: int | None
    force_delivery: bool | None
    content_retention: Literal["retain", "discard"] | None
    address_retention: Literal["retain", "obfuscate"] | None
    smart_encoded: bool | None
    shorten_urls: bool | None
    schedule_type: Literal["fixed"] | None
    send_at: str | None
    send_as_mms: bool | None
    risk_check: Literal["enable", "disable"] | None
    fallback_from: str | None
    tags: str | None
    account_sid: str | None


class FilterFields(TypedDict, total=False):
    """Which messages: what `list_messages` filters by."""

    to: str | None
    from_: str | None
    date_sent: str | None
    date_sent_before: str | None
    date_sent_after: str | None
    page_size: int | None
    account_sid: str | None


class ListMessagesFields(FilterFields, total=False):
    """Of `list_messages`."""

    page: int | None
    limit: int | None


class ListAccountsFields(TypedDict, total=False):
    """Of `list_accounts`."""

    friendly_name: str | None
    status: Literal["active", "suspended", "closed"] | None
    page_size: int | None
    page: int | None
    limit: int | None
    account_sid: str | None


class ListNumbersFields(TypedDict, total=False):
    """Of `list_numbers`."""

    phone_number: str | None
    friendly_name: str | None
    limit: int | None
    account_sid: str | None
