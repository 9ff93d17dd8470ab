"""`AsyncHushwire`: the core actions as methods, for programs with an event loop."""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Unpack

from msgspec import Struct, convert

from hushwire.client.fields import (
    FilterFields,
    ListAccountsFields,
    ListMessagesFields,
    ListNumbersFields,
    SendFields,
)
from hushwire.client.sources import Place, Remote, Source, cloud, find
from hushwire.connect.messages import message_of, query_of
from hushwire.connect.models import (
    Account,
    AccountPage,
    Deleted,
    ListMessages,
    Message,
    Messages,
    Numbers,
    Phone,
)
from hushwire.connect.paging import PAGE_MAX, pages
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import Connected, run
from hushwire.private import Private

Made = TypeVar("Made", bound=Struct)


class Door:
    """Opens its source when it is first asked, and runs actions against it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = asyncio.Lock()
        self._connected: Connected | None = None
        self._closed = False

    async def open(self) -> Connected:
        async with self._lock:
            if self._closed:
                raise RuntimeError("this Hushwire is closed: make another one")
            if self._connected is None:
                self._connected = await self._source.open()
            return self._connected

    async def close(self) -> None:
        async with self._lock:
            if self._connected is not None:
                await self._source.close()
            self._connected, self._closed = None, True

    async def run(
        self, action: str, given: Mapping[str, object], key: str | None = None
    ) -> dict[str, Any]:
        return await run(action, given, await self.open(), key=key)

    async def call(
        self, action: str, given: Mapping[str, object], model: type[Made], key: str | None = None
    ) -> Made:
        """As `run`, with the names of arguments (`from_`), typed."""
        return convert(await self.run(action, _wire_names(given), key), model, strict=False)


def _wire_names(given: Mapping[str, object]) -> dict[str, object]:
    """`from_` is a keyword of Python's elsewhere; None is as if it were left out."""
    return {name.removesuffix("_"): value for name, value in given.items() if value is not None}


class AsyncMessages:
    """`hush.messages`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def send(
        self, *, idempotency_key: str | None = None, **fields: Unpack[SendFields]
    ) -> Message:
        """Send an SMS, MMS or WhatsApp message. It is accepted when this returns, not delivered.

        With the same `idempotency_key` it is sent once, however often this is called. Raises
        Refused; 504 when the connection broke and nobody knows whether it was accepted.
        """
        return await self._door.call("send_message", fields, Message, idempotency_key)

    async def list(self, **fields: Unpack[ListMessagesFields]) -> Messages:
        """One page, or all up to `limit`, newest first; `filters_applied` as the backend said."""
        return await self._door.call("list_messages", fields, Messages)

    async def iterate(self, **fields: Unpack[FilterFields]) -> AsyncGenerator[Message]:
        """All messages, newest first. A page is fetched when it is reached."""
        async for page in self.pages(**fields):
            for message in page:
                yield message

    async def pages(self, **fields: Unpack[FilterFields]) -> AsyncGenerator[tuple[Message, ...]]:
        """As `iterate`, a page at a time."""
        given: ListMessages = REGISTRY.find("list_messages").read(_wire_names(fields))
        to = await self._door.open()
        path = f"/2010-04-01/Accounts/{given.account_sid or to.account_sid}/Messages.json"
        size = given.page_size or PAGE_MAX
        async for found in pages(to.wire, path, "messages", query_of(given), page_size=size):
            yield tuple(map(message_of, found.records))

    async def retrieve(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Read one message."""
        given = {"sid": sid, "account_sid": account_sid}
        return await self._door.call("retrieve_message", given, Message)

    async def update(
        self, sid: str, *, body: str | None = None, status: Literal["canceled"] | None = None,
        account_sid: str | None = None,
    ) -> Message:  # fmt: skip
        """Forget the text of a finished message (body ""), or cancel a scheduled one."""
        given = {"sid": sid, "body": body, "status": status, "account_sid": account_sid}
        return await self._door.call("update_message", given, Message)

    async def cancel(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Cancel a scheduled message: it is never sent."""
        given = {"sid": sid, "account_sid": account_sid}
        return await self._door.call("cancel_message", given, Message)

    async def redact(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Forget the text of a finished message; the rest stays. It cannot be brought back."""
        given = {"sid": sid, "account_sid": account_sid}
        return await self._door.call("redact_message", given, Message)

    async def delete(self, sid: str, *, account_sid: str | None = None) -> Deleted:
        """Delete a finished message and its media. What is already gone counts as deleted."""
        given = {"sid": sid, "account_sid": account_sid}
        return await self._door.call("delete_message", given, Deleted)


class AsyncAccounts:
    """`hush.accounts`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def list(self, **fields: Unpack[ListAccountsFields]) -> AccountPage:
        """The account and its subaccounts, newest first. Never shows a token."""
        return await self._door.call("list_accounts", fields, AccountPage)

    async def retrieve(self, sid: str) -> Account:
        """Read one account. Never shows its token."""
        return await self._door.call("retrieve_account", {"sid": sid}, Account)


class AsyncNumbers:
    """`hush.numbers`."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def list(self, **fields: Unpack[ListNumbersFields]) -> Numbers:
        """The numbers the account owns and sends from."""
        return await self._door.call("list_numbers", fields, Numbers)


class AsyncHushwire:
    """A Hushwire server, Twilio's cloud, or a server in this very process.

    Use it with `async with`, or close it. It belongs to the loop that first uses it. What is
    refused raises `hushwire.Refused`: code, status, text, field.
    """

    def __init__(self, *, url: str, account_sid: str, auth_token: str) -> None:
        self._begin(Remote(Place(url, account_sid, Private(auth_token))))

    @classmethod
    def from_env(cls) -> Self:
        """HUSHWIRE_URL, HUSHWIRE_ACCOUNT_SID and HUSHWIRE_AUTH_TOKEN; else credentials.json of
        the data directory. Raises Misconfigured."""
        return cls._of(Remote(find(os.environ)))

    @classmethod
    def twilio(cls, account_sid: str, auth_token: str) -> Self:
        """Twilio's own cloud."""
        return cls._of(Remote(cloud(account_sid, auth_token)))

    @classmethod
    def local(cls, data_dir: str | os.PathLike[str]) -> Self:
        """A server in this process, without a socket, on `data_dir`; made if it is not there.

        It opens when it is first used. Raises Misconfigured then: when another process has the
        directory open, above all.
        """
        # Loaded only here: the server is much larger than the rest.
        server = import_module("hushwire.client.local")
        return cls._of(server.Local(Path(data_dir)))

    @classmethod
    def _of(cls, source: Source) -> Self:
        made = cls.__new__(cls)
        made._begin(source)
        return made

    def _begin(self, source: Source) -> None:
        self._door = Door(source)
        self.messages = AsyncMessages(self._door)
        self.accounts = AsyncAccounts(self._door)
        self.numbers = AsyncNumbers(self._door)

    async def look_up(self, phone_number: str, *, account_sid: str | None = None) -> Phone:
        """Is a number valid, and how much was written to it and from it?"""
        given = {"phone_number": phone_number, "account_sid": account_sid}
        return await self._door.call("look_up_phone", given, Phone)

    async def run(
        self, action: str, given: Mapping[str, object] | None = None, *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Any action by its name, with the fields of its model. Raises Refused."""
        return await self._door.run(action, given or {}, idempotency_key)

    async def open(self) -> None:
        """Open it now; otherwise the first call does."""
        await self._door.open()

    async def close(self) -> None:
        await self._door.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
