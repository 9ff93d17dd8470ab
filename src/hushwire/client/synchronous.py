"""`Hushwire`: the core actions as methods that wait. `AsyncHushwire` on a thread of its own."""

import os
from collections.abc import Generator, Mapping
from typing import Any, Literal, Self, Unpack

from hushwire.client.asynchronous import (
    AsyncAccounts,
    AsyncHushwire,
    AsyncMessages,
    AsyncNumbers,
)
from hushwire.client.fields import (
    FilterFields,
    ListAccountsFields,
    ListMessagesFields,
    ListNumbersFields,
    SendFields,
)
from hushwire.client.thread import LoopThread
from hushwire.connect.models import (
    Account,
    AccountPage,
    Deleted,
    Message,
    Messages,
    Numbers,
    Phone,
)


class MessageCalls:
    """`hush.messages`."""

    def __init__(self, calls: AsyncMessages, thread: LoopThread) -> None:
        self._calls = calls
        self._thread = thread

    def send(self, *, idempotency_key: str | None = None, **fields: Unpack[SendFields]) -> Message:
        """Send an SMS, MMS or WhatsApp message. It is accepted when this returns, not delivered.

        With the same `idempotency_key` it is sent once, however often this is called. Raises
        Refused; 504 when the connection broke and nobody knows whether it was accepted.
        """
        return self._thread.call(self._calls.send(idempotency_key=idempotency_key, **fields))

    def list(self, **fields: Unpack[ListMessagesFields]) -> Messages:
        """One page, or all up to `limit`, newest first; `filters_applied` as the backend said."""
        return self._thread.call(self._calls.list(**fields))

    def iterate(self, **fields: Unpack[FilterFields]) -> Generator[Message]:
        """All messages, newest first. A page is fetched when it is reached."""
        pages = self._calls.pages(**fields)

        async def next_page() -> tuple[Message, ...] | None:
            return await anext(pages, None)

        async def stop() -> None:
            await pages.aclose()

        try:
            while (page := self._thread.call(next_page())) is not None:
                yield from page
        finally:
            self._thread.post(stop())

    def retrieve(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Read one message."""
        return self._thread.call(self._calls.retrieve(sid, account_sid=account_sid))

    def update(
        self, sid: str, *, body: str | None = None, status: Literal["canceled"] | None = None,
        account_sid: str | None = None,
    ) -> Message:  # fmt: skip
        """Forget the text of a finished message (body ""), or cancel a scheduled one."""
        return self._thread.call(
            self._calls.update(sid, body=body, status=status, account_sid=account_sid)
        )

    def cancel(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Cancel a scheduled message: it is never sent."""
        return self._thread.call(self._calls.cancel(sid, account_sid=account_sid))

    def redact(self, sid: str, *, account_sid: str | None = None) -> Message:
        """Forget the text of a finished message; the rest stays. It cannot be brought back."""
        return self._thread.call(self._calls.redact(sid, account_sid=account_sid))

    def delete(self, sid: str, *, account_sid: str | None = None) -> Deleted:
        """Delete a finished message and its media. What is already gone counts as deleted."""
        return self._thread.call(self._calls.delete(sid, account_sid=account_sid))


class AccountCalls:
    """`hush.accounts`."""

    def __init__(self, calls: AsyncAccounts, thread: LoopThread) -> None:
        self._calls = calls
        self._thread = thread

    def list(self, **fields: Unpack[ListAccountsFields]) -> AccountPage:
        """The account and its subaccounts, newest first. Never shows a token."""
        return self._thread.call(self._calls.list(**fields))

    def retrieve(self, sid: str) -> Account:
        """Read one account. Never shows its token."""
        return self._thread.call(self._calls.retrieve(sid))


class NumberCalls:
    """`hush.numbers`."""

    def __init__(self, calls: AsyncNumbers, thread: LoopThread) -> None:
        self._calls = calls
        self._thread = thread

    def list(self, **fields: Unpack[ListNumbersFields]) -> Numbers:
        """The numbers the account owns and sends from."""
        return self._thread.call(self._calls.list(**fields))


class Hushwire:
    """A Hushwire server, Twilio's cloud, or a server in this very process.

    Use it with `with`, or close it. Any thread may call it. What is refused raises
    `hushwire.Refused`: code, status, text, field.
    """

    def __init__(self, *, url: str, account_sid: str, auth_token: str) -> None:
        self._begin(AsyncHushwire(url=url, account_sid=account_sid, auth_token=auth_token))

    @classmethod
    def from_env(cls) -> Self:
        """HUSHWIRE_URL, HUSHWIRE_ACCOUNT_SID and HUSHWIRE_AUTH_TOKEN; else credentials.json of
        the data directory. Raises Misconfigured."""
        return cls._of(AsyncHushwire.from_env())

    @classmethod
    def twilio(cls, account_sid: str, auth_token: str) -> Self:
        """Twilio's own cloud."""
        return cls._of(AsyncHushwire.twilio(account_sid, auth_token))

    @classmethod
    def local(cls, data_dir: str | os.PathLike[str]) -> Self:
        """A server in this process, without a socket, on `data_dir`; made if it is not there.

        Raises Misconfigured: when another process has the directory open, above all.
        """
        made = cls._of(AsyncHushwire.local(data_dir))
        try:
            made._thread.call(made._calls.open())
        except BaseException:
            made._thread.close()
            raise
        return made

    @classmethod
    def _of(cls, calls: AsyncHushwire) -> Self:
        made = cls.__new__(cls)
        made._begin(calls)
        return made

    def _begin(self, calls: AsyncHushwire) -> None:
        self._calls = calls
        self._thread = LoopThread()
        self.messages = MessageCalls(calls.messages, self._thread)
        self.accounts = AccountCalls(calls.accounts, self._thread)
        self.numbers = NumberCalls(calls.numbers, self._thread)

    def look_up(self, phone_number: str, *, account_sid: str | None = None) -> Phone:
        """Is a number valid, and how much was written to it and from it?"""
        return self._thread.call(self._calls.look_up(phone_number, account_sid=account_sid))

    def run(
        self, action: str, given: Mapping[str, object] | None = None, *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Any action by its name, with the fields of its model. Raises Refused."""
        return self._thread.call(self._calls.run(action, given, idempotency_key=idempotency_key))

    def close(self) -> None:
        """A second time it does nothing. A local server first finishes what it has begun."""
        if not self._thread.closed:
            self._thread.call(self._calls.close())
            self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
