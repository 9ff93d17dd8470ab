"""What can be done with messages: send, fetch, list, redact, delete, and receive from a phone.

Checks come in one order, each with Twilio's own error; nothing is written before all passed.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock
from hushwire.domain import magic
from hushwire.domain.account import Account
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.message import (
    Change,
    Direction,
    Message,
    Status,
    born,
    deleted,
    history_line,
    is_finished,
    redacted,
)
from hushwire.domain.phone import is_sender_shape, mask, normalise
from hushwire.domain.query import MessageQuery
from hushwire.domain.sid import message_sid
from hushwire.domain.text import BODY_MAX, body_units, segments, smart_encode
from hushwire.errors import Refusal, Unavailable
from hushwire.observe import Metrics
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.store.listing import Listing
from hushwire.store.store import Store

VALIDITY_MAX_S: Final = 36_000
TRUNK_LANE: Final = 0  # one carrier, one lane, until there are trunks


class SendMessage(Struct, frozen=True, gc=False):
    """What a caller asks to be sent. Retentions are None, or a word of Twilio's."""

    to: Private | None
    from_: Private | None
    body: Private | None
    status_callback: Private | None = None
    validity_s: int = VALIDITY_MAX_S
    provide_feedback: bool = False
    smart_encoded: bool = False
    content_retention: str | None = None
    address_retention: str | None = None


class Limits(Struct, frozen=True):
    """When new messages are put off."""

    backlog: int  # messages that wait to be committed
    disk_low: Callable[[], bool]
    routable: bool  # is there a carrier to hand messages to?


class Messages:
    """The actions on messages, for every door."""

    def __init__(
        self, store: Store, listing: Listing, clock: Clock, guard: Guard, metrics: Metrics,
        limits: Limits, *, sandbox: bool,
    ) -> None:  # fmt: skip
        self._store = store
        self._listing = listing
        self._clock = clock
        self._guard = guard
        self._metrics = metrics
        self._limits = limits
        self._sandbox = sandbox

    # -- send -----------------------------------------------------------------------------

    def send(self, account: Account, wanted: SendMessage) -> tuple[Message, "asyncio.Future[None]"]:
        """Accept a message. It is accepted only once the future ends without an error."""
        to = self._recipient(wanted.to)
        from_ = self._sender(account, wanted.from_)
        body = self._text(wanted)
        self._check_options(wanted)
        if not self._limits.routable:
            raise Refusal("to_not_routable")
        if self._store.backlog() >= self._limits.backlog:
            raise Unavailable("too_many_requests", retry_after_s=1)
        if self._limits.disk_low():
            raise Unavailable("unavailable", retry_after_s=30)
        now_ms = self._clock.now_ms()
        count = segments(body)
        due_ms = self._store.accounts.paces[from_].reserve(now_ms, count)
        if due_ms is None:
            raise Refusal("queue_full")
        callback = wanted.status_callback
        ident, content_key, address_key = self._store.reserve(now_ms)
        obfuscate = wanted.address_retention == "obfuscate"
        change = born(
            Message(
                key=ident.key,
                tail=ident.tail,
                sid=message_sid("SM", ident),
                account_id=account.id,
                direction=Direction.OUTBOUND_API,
                status=Status.QUEUED,
                from_=_same(wanted.from_, from_),
                to=_same(wanted.to, to),
                body=_same(wanted.body, body),
                callback=callback,
                segments=count,
                created_ms=ident.key >> 16,
                updated_ms=ident.key >> 16,
                content_key=content_key,
                address_key=address_key,
                expires_ms=now_ms + wanted.validity_s * 1000,
                provide_feedback=wanted.provide_feedback,
                discard=wanted.content_retention == "discard",
                obfuscate=obfuscate,
                from_shown=from_ if obfuscate else None,
                to_shown=mask(to) if obfuscate else None,
                lane=TRUNK_LANE,
                callback_lane=endpoint_lane(callback.reveal()) if callback is not None else 0,
                history=history_line(Status.QUEUED, ident.key >> 16),
            ),
            due_ms,
        )
        assert change.after is not None
        self._metrics.accepted += 1
        return change.after, self._store.record((change,))

    def _recipient(self, wanted: Private | None) -> str:
        """The recipient in E.164. Magic numbers answer as Twilio documents (sandbox only)."""
        if wanted is None:
            raise Refusal("to_required")
        text = wanted.reveal()
        to = normalise(text)
        if self._sandbox and to in magic.TO:
            raise Refusal(magic.TO[to], number=to if magic.TO[to] == "not_mobile" else mask(to))
        if to is None:
            raise Refusal("to_invalid", number=mask(text))
        return to

    def _sender(self, account: Account, wanted: Private | None) -> str:
        """The sender, which the account must own."""
        if wanted is None:
            raise Refusal("from_required")
        text = wanted.reveal()
        numbers = self._store.accounts.numbers
        from_ = text if text in numbers else normalise(text) or text
        if self._sandbox and from_ in magic.FROM:
            raise Refusal(magic.FROM[from_], number=from_)
        number = numbers.get(from_)
        if number is None or number.account_id != account.id:
            if not is_sender_shape(from_):
                raise Refusal("from_invalid", number=mask(text))
            raise Refusal("from_not_owned", number=mask(text))
        return from_

    def _text(self, wanted: SendMessage) -> str:
        if wanted.body is None:
            raise Refusal("no_content")
        body = wanted.body.reveal()
        if wanted.smart_encoded:
            body = smart_encode(body)
        if body_units(body) > BODY_MAX:
            raise Refusal("body_too_long")
        return body

    def _check_options(self, wanted: SendMessage) -> None:
        if not 1 <= wanted.validity_s <= VALIDITY_MAX_S:
            raise Refusal("validity_invalid")
        callback = wanted.status_callback
        if callback is not None and self._guard.check_syntax(callback.reveal()) is not None:
            raise Refusal("status_callback_invalid")
        if wanted.content_retention not in (None, "retain", "discard"):
            raise Refusal("content_retention_invalid")
        if wanted.address_retention not in (None, "retain", "obfuscate"):
            raise Refusal("address_retention_invalid")

    # -- receive --------------------------------------------------------------------------

    async def receive(self, from_: Private, to: Private, body: Private) -> Message:
        """A phone texted one of our numbers. Raises Refusal when nobody owns the number."""
        number = self._store.accounts.numbers.get(to.reveal())
        if number is None:
            raise Refusal("not_found", path="/sandbox/phones")
        if self._limits.disk_low():
            raise Unavailable("unavailable", retry_after_s=30)
        now_ms = self._clock.now_ms()
        ident, content_key, address_key = self._store.reserve(now_ms)
        message = Message(
            key=ident.key,
            tail=ident.tail,
            sid=message_sid("SM", ident),
            account_id=number.account_id,
            direction=Direction.INBOUND,
            status=Status.RECEIVED,
            from_=from_,
            to=to,
            body=body,
            callback=None,
            segments=segments(body.reveal()),
            created_ms=ident.key >> 16,
            updated_ms=ident.key >> 16,
            sent_ms=ident.key >> 16,
            content_key=content_key,
            address_key=address_key,
            settled=True,
            history=history_line(Status.RECEIVED, ident.key >> 16),
        )
        change = born(message, now_ms)
        await self._store.record((change,))
        self._metrics.received += 1
        return message

    # -- read, redact, delete -------------------------------------------------------------

    def fetch(self, account: Account, sid: str) -> Message | None:
        """The account's message of that SID, or None."""
        return self._store.find(account.id, sid)

    async def page(self, query: MessageQuery, limit: int) -> list[Message]:
        """Up to `limit` messages, newest first; read off the event loop."""
        return await asyncio.to_thread(self._listing.page, query, limit)

    async def redact(self, message: Message) -> Message:
        """Destroy the body's key. Raises Refusal while the message is unfinished."""
        if not is_finished(message):
            raise Refusal("update_not_complete")
        change = redacted(message, self._clock.now_ms(), body=True)
        await self._shred(change)
        return change.after or message

    async def delete(self, message: Message) -> None:
        """Destroy all keys and the row. Raises Refusal while the message is unfinished (20009)."""
        if not is_finished(message):
            raise Refusal("not_complete")
        await self._shred(deleted(message))

    async def _shred(self, change: Change) -> None:
        if change.after is not change.before:
            await self._store.record((change,))


def _same(given: Private | None, text: str) -> Private:
    """`text` as a Private: the one that was given, unless it was spelled otherwise."""
    return given if given is not None and given.reveal() is text else Private(text)
