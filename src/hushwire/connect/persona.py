"""The view of identity teams: four steps that read, for workflows that branch on what they find.

A step's outcome is data: a workflow goes on when a message is not found, or when a day lies too
far back, and decides. What was configured wrongly, and what the backend refuses otherwise, is an
error. A step's configuration is checked by `Action.read`, which is also what runs before each
call.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from hushwire.connect.accounts import list_accounts, retrieve_account
from hushwire.connect.integration import Integration
from hushwire.connect.messages import list_messages, retrieve_message
from hushwire.connect.models import (
    Account,
    Address,
    Input,
    ListAccounts,
    ListMessages,
    Message,
    OneMessage,
    RetrieveAccount,
    Sender,
)
from hushwire.connect.paging import PAGE_DEFAULT
from hushwire.connect.refused import Refused
from hushwire.connect.registry import Call, action

_RETENTION_CODE: Final = 20004  # with HTTP 400; with 405 the same code is "method not allowed"


def _about(description: str) -> Meta:
    return Meta(description=description)


_AccountSid = Annotated[str, Meta(description="AC and 32 hex digits",
                                  pattern="^AC[0-9a-fA-F]{32}$")]  # fmt: skip
_MessageSid = Annotated[str, Meta(description="SM or MM and 32 hex digits",
                                  pattern="^(SM|MM)[0-9a-fA-F]{32}$")]  # fmt: skip
_PageSize = Annotated[int, Meta(description="How many a page", ge=1, le=1000)]
_Page = Annotated[int, Meta(description="Which page, from 0", ge=0)]
_About = Annotated[str, Meta(extra={"pii": "number"})]
_Applied = Annotated[Mapping[str, _About | None], _about("The filters that the backend applied")]
_Reason = Annotated[str, _about("Why there is nothing, in words")]


class ListMessagesFields(Input, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Optional filters; they combine with AND."""

    to: Address | None = None
    from_: Sender | None = None
    date_sent: Annotated[date, _about("That day (GMT): YYYY-MM-DD")] | None = None
    page_size: _PageSize = PAGE_DEFAULT
    page: _Page = 0


class RetrieveMessageFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which message. Both are required."""

    account_sid: _AccountSid
    message_sid: _MessageSid


class ListAccountsFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Optional filters; they combine with AND."""

    friendly_name: Annotated[str, _about("Exactly this name; case counts")] | None = None
    status: (
        Annotated[Literal["active", "suspended", "closed"], _about("Only with this status")] | None
    ) = None
    page_size: _PageSize = PAGE_DEFAULT
    page: _Page = 0


class RetrieveAccountFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which account. Required."""

    account_sid: _AccountSid


class MessagesFound(Struct, frozen=True):
    """A page of messages, newest first; none (null, not an empty list) beyond the retention."""

    outcome: Literal["ok", "outside_retention"]
    messages: list[Message] | None = None
    filters_applied: _Applied | None = None
    more: Annotated[bool, _about("Is there a page after this one?")] = False
    reason: _Reason | None = None


class MessageFound(Struct, frozen=True):
    """A message, or that there is none."""

    outcome: Literal["ok", "not_found"]
    message: Message | None = None
    reason: _Reason | None = None


class AccountsFound(Struct, frozen=True):
    """A page of accounts, subaccounts included."""

    outcome: Literal["ok"]
    accounts: list[Account]
    filters_applied: _Applied
    more: Annotated[bool, _about("Is there a page after this one?")] = False


class AccountFound(Struct, frozen=True):
    """An account, or that there is none."""

    outcome: Literal["ok", "not_found"]
    account: Account | None = None
    reason: _Reason | None = None


@action("List Messages", name="list_messages_step", scopes=("messages.list",), effect="reads",
        idempotency="safe", view="persona")  # fmt: skip
async def list_messages_step(call: Call, given: ListMessagesFields) -> MessagesFound:
    """Retrieve a list of messages for the account, of the last 400 days."""
    day = None if given.date_sent is None else given.date_sent.isoformat()
    wanted = ListMessages(
        account_sid=given.account_sid, to=given.to, from_=given.from_, date_sent=day,
        page_size=given.page_size, page=given.page,
    )  # fmt: skip
    try:
        found = await list_messages(call, wanted)
    except Refused as problem:
        if (problem.status, problem.code) != (400, _RETENTION_CODE):
            raise
        return MessagesFound("outside_retention", reason=problem.text)
    return MessagesFound("ok", found.messages, found.filters_applied, found.more)


@action("Retrieve Message", name="retrieve_message_step", scopes=("messages.read",),
        effect="reads", idempotency="safe", view="persona")  # fmt: skip
async def retrieve_message_step(call: Call, given: RetrieveMessageFields) -> MessageFound:
    """Fetch a single message by its Message SID."""
    wanted = OneMessage(account_sid=given.account_sid, sid=given.message_sid)
    try:
        return MessageFound("ok", await retrieve_message(call, wanted))
    except Refused as problem:
        return MessageFound("not_found", reason=_not_found(problem))


@action("List Accounts", name="list_accounts_step", scopes=("accounts.list",), effect="reads",
        idempotency="safe", view="persona")  # fmt: skip
async def list_accounts_step(call: Call, given: ListAccountsFields) -> AccountsFound:
    """Retrieve the accounts of the credential, subaccounts included. Never shows a token."""
    wanted = ListAccounts(
        friendly_name=given.friendly_name, status=given.status, page_size=given.page_size,
        page=given.page,
    )  # fmt: skip
    found = await list_accounts(call, wanted)
    return AccountsFound("ok", found.accounts, found.filters_applied, found.more)


@action("Retrieve Account", name="retrieve_account_step", scopes=("accounts.read",),
        effect="reads", idempotency="safe", view="persona")  # fmt: skip
async def retrieve_account_step(call: Call, given: RetrieveAccountFields) -> AccountFound:
    """Fetch details for a single account by its Account SID. Never shows its token."""
    try:
        return AccountFound(
            "ok", await retrieve_account(call, RetrieveAccount(sid=given.account_sid))
        )
    except Refused as problem:
        return AccountFound("not_found", reason=_not_found(problem))


INTEGRATION: Final = Integration(
    view="persona",
    title="Twilio",
    version="1.0",
    description="Message and account data in onboarding, verification and case workflows. It "
    "reads: sending or updating messages is not possible with it.",
    actions=(
        "list_messages_step", "retrieve_message_step", "list_accounts_step",
        "retrieve_account_step",
    ),
    scopes=("messages.read", "messages.list", "accounts.read", "accounts.list"),
    prerequisites=(
        "A Twilio account, or an account on a Hushwire server",
        "Its Account SID",
        "OAuth credentials configured there",
        "The scopes messages.read, messages.list, accounts.read, accounts.list",
    ),
)  # fmt: skip


def _not_found(problem: Refused) -> str:
    """What the backend says of what is not there, or another account's. Raises all the rest."""
    if problem.status != 404:
        raise problem
    return problem.text
