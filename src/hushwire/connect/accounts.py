"""The actions on accounts and numbers, and on the numbers of people."""

import asyncio
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from msgspec import convert

from hushwire.connect.messages import path_of
from hushwire.connect.models import (
    Account,
    AccountPage,
    ListAccounts,
    ListNumbers,
    LookUpPhone,
    Number,
    Numbers,
    Phone,
    RetrieveAccount,
)
from hushwire.connect.paging import PAGE_MAX, walk
from hushwire.connect.refused import INPUT, refused
from hushwire.connect.registry import Call, action
from hushwire.domain.phone import normalise

_ACCOUNTS: Final = "/2010-04-01/Accounts"


@action("List accounts", scopes=("accounts.list",), effect="reads", idempotency="safe")
async def list_accounts(call: Call, given: ListAccounts) -> AccountPage:
    """List the account and its subaccounts, newest first. Never shows a token."""
    asked = {"FriendlyName": given.friendly_name, "Status": given.status}
    query = {name: value for name, value in asked.items() if value is not None}
    found = await walk(
        call.wire, f"{_ACCOUNTS}.json", "accounts", query, limit=given.limit, page=given.page,
        page_size=given.page_size,
    )  # fmt: skip
    accounts = [convert(one, Account, strict=False) for one in found.records]
    return AccountPage(accounts, found.applied, found.more)


@action("Retrieve an account", scopes=("accounts.read",), effect="reads", idempotency="safe",
        aliases={"account_sid": "sid"})  # fmt: skip
async def retrieve_account(call: Call, given: RetrieveAccount) -> Account:
    """Read one account by its SID. Never shows its token."""
    return convert(await call.wire.get(f"{_ACCOUNTS}/{given.sid}.json"), Account, strict=False)


@action("List numbers", scopes=("numbers.list",), effect="reads", idempotency="safe")
async def list_numbers(call: Call, given: ListNumbers) -> Numbers:
    """List the numbers the account owns and sends from."""
    asked = {"PhoneNumber": given.phone_number, "FriendlyName": given.friendly_name}
    query = {name: value for name, value in asked.items() if value is not None}
    path = path_of(call, given.account_sid, "IncomingPhoneNumbers.json")
    found = await walk(call.wire, path, "incoming_phone_numbers", query, limit=given.limit)
    numbers = [convert(one, Number, strict=False) for one in found.records]
    return Numbers(numbers, found.applied, found.more)


@action("Look a phone up", scopes=("lookups.read", "messages.list"), effect="reads",
        idempotency="safe")  # fmt: skip
async def look_up_phone(call: Call, given: LookUpPhone) -> Phone:
    """Is a number valid, and how much was written to it and from it?"""
    number = normalise(given.phone_number)
    if number is None:
        raise refused(INPUT, "phone_number is no number that can exist: give E.164, +14155550123",
                      field="phone_number")  # fmt: skip
    path = path_of(call, given.account_sid)
    looked, to, from_ = await asyncio.gather(
        call.wire.get(f"/v2/PhoneNumbers/{quote(number)}", product="lookups"),
        walk(call.wire, path, "messages", {"To": number}, page_size=PAGE_MAX),
        walk(call.wire, path, "messages", {"From": number}, page_size=PAGE_MAX),
    )
    newest = [found.records[0]["date_created"] for found in (to, from_) if found.records]
    return Phone(
        number, bool(looked.get("valid")), looked.get("country_code"),
        looked.get("national_format"), len(to.records), len(from_.records),
        max(newest, key=_moment, default=None), more=to.more or from_.more,
    )  # fmt: skip


def _moment(date: str) -> datetime:
    return parsedate_to_datetime(date)
