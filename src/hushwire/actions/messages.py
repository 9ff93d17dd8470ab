"""What can be done with messages: send, fetch, list, redact and delete.

Checks come in one order, each with Twilio's own error; nothing is written before all passed.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain import magic
from hushwire.domain.account import Account
from hushwire.domain.address import is_landline
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.message import (
    INBOUND,
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
from hushwire.domain.mms import as_mms
from hushwire.domain.phone import is_sender_shape, mask, normalise
from hushwire.domain.privacy import Display, discards, obfuscates, shown
from hushwire.domain.query import MessageQuery
from hushwire.domain.shift_tables import Language
from hushwire.domain.sid import message_sid
from hushwire.domain.text import BODY_MAX, body_units, segments, smart_encode
from hushwire.errors import Refusal, Unavailable
from hushwire.observe import Metrics
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.store.audit import requested
from hushwire.store.listing import Listing
from hushwire.store.store import Store

VALIDITY_MAX_S: Final = 36_000
TRUNK_LANE: Final = 0  # one carrier, one lane, until there are trunks

Blocks = Callable[[int, str, str], bool]  # account, sender, recipient: has the person opted out?
_API: Final = Direction.OUTBOUND_API
_EMPTY: Final = Private("")


class Particulars(Struct, frozen=True, gc=False):
    """What few creates ask for. SIDs are well formed; whether they exist, the action says.

    `lacking` is what is asked for and not there: the problem, and the parameter's name.
    """

    service: str | None = None  # SID of a Messaging Service
    application: str | None = None  # SID
    content: str | None = None  # SID of a template
    variables: Private | None = None  # of the template, JSON
    schedule_type: str | None = None
    send_at: str | None = None  # ISO 8601
    max_price: str | None = None
    tags: str | None = None  # a JSON object
    lacking: tuple[str, str] | None = None
    idle: tuple[str, ...] = ()  # parameters that were given and have no effect


class SendMessage(Struct, frozen=True, gc=False):
    """What a caller asks to be sent. Retentions are None, or a word of Twilio's.

    With `particulars` it is for `Outgoing`, as is a sender that is no number in E.164.
    """

    to: Private | None
    from_: Private | None
    body: Private | None
    status_callback: Private | None = None
    validity_s: int | None = None
    provide_feedback: bool = False
    smart_encoded: bool | None = None
    content_retention: str | None = None
    address_retention: str | None = None
    particulars: Particulars | None = None
    media_urls: tuple[Private, ...] = ()
    as_mms: bool = False  # whether it has media or not


class Limits(Struct, frozen=True):
    """When new messages are put off."""

    backlog: int  # messages that wait to be committed
    disk_low: Callable[[], bool]
    routable: bool  # is there a carrier to hand messages to?


class Messages:
    """The actions on messages, for every door."""

    def __init__(
        self, store: Store, listing: Listing, clock: Clock, guard: Guard, metrics: Metrics,
        limits: Limits, blocks: Blocks, *, sandbox: bool, shift: Collection[Language] = (),
        landlines: bool = True,
    ) -> None:  # fmt: skip
        self._store = store
        self._listing = listing
        self._clock = clock
        self._guard = guard
        self._metrics = metrics
        self._limits = limits
        self._blocks = blocks
        self._sandbox = sandbox
        self._landlines = landlines
        self._shift = shift  # languages whose shift tables make a body fit GSM-7

    # -- send -----------------------------------------------------------------------------

    def send(self, account: Account, wanted: SendMessage) -> tuple[Message, "asyncio.Future[None]"]:
        """Accept a message from a number. It is accepted once the future ends without an error.

        What has particulars goes through `Outgoing`.
        """
        message, due_ms = self.compose(account, wanted, _API)
        return message, self.accept(born(message, due_ms))

    def accept(self, birth: Change) -> "asyncio.Future[None]":
        """Record a birth; the message is accepted once the future ends without an error."""
        self._metrics.accepted += 1
        return self._store.record((birth,))

    def compose(
        self, account: Account, wanted: SendMessage, direction: Direction
    ) -> tuple[Message, int]:
        """The message, checked and not recorded yet, and when its turn comes (Unix ms).

        Raises Refusal, or Unavailable while nothing more is accepted.
        """
        to = self.recipient(wanted.to)
        from_ = self.sender(account, wanted.from_)
        media = wanted.media_urls
        text = wanted.body if wanted.body is not None or not media else _EMPTY
        body = self.text(text, smart=wanted.smart_encoded)
        self.check_options(wanted)
        if self._blocks(account.id, from_, to):
            raise Refusal("unsubscribed")
        self.check_room()
        now_ms = self._clock.now_ms()
        count = 1 if media else segments(body, self._shift)
        pace = self._store.accounts.paces.get(from_)
        due_ms = pace.reserve(now_ms, count) if pace is not None else now_ms
        if due_ms is None:
            raise Refusal("queue_full")
        callback, validity_s = wanted.status_callback, wanted.validity_s
        ident, content_key, address_key = self._store.reserve(now_ms)
        at_ms = ident.key >> 16
        message = Message(  # by place: so many fields by name take as long as sealing the body
            ident.key, ident.tail, message_sid("SM", ident), account.id, direction,
            Status.QUEUED, _same(wanted.from_, from_), _same(wanted.to, to),
            _same(wanted.body, body), callback, count, at_ms, at_ms, content_key, address_key,
            now_ms + (VALIDITY_MAX_S if validity_s is None else validity_s) * 1000,
            lane=TRUNK_LANE,
            callback_lane=endpoint_lane(callback.reveal()) if callback is not None else 0,
            history=history_line(Status.QUEUED, at_ms),
        )  # fmt: skip
        privacy = account.privacy
        if (
            wanted.provide_feedback or wanted.content_retention or wanted.address_retention
            or privacy.redact_body or privacy.redact_numbers
        ):  # fmt: skip
            message = replace(message, provide_feedback=wanted.provide_feedback)
            message = self.confidential(message, wanted)
        if media or wanted.as_mms:
            message = as_mms(message, media)
        return message, due_ms

    def confidential(self, message: Message, wanted: SendMessage | None = None) -> Message:
        """The message with what its account, or it itself, has us forget.

        An address that is to be forgotten says now what will be left of it. Who is to forget
        does not wait for long: validity is at most the queue window (D7).
        """
        privacy = self._store.accounts.by_id[message.account_id].privacy
        content = wanted.content_retention if wanted is not None else None
        address = wanted.address_retention if wanted is not None else None
        discard, obfuscate = discards(privacy, content), obfuscates(privacy, address)
        if not (discard or obfuscate):
            return message
        windows = self._store.accounts.windows[message.account_id]
        begin_ms = message.send_at_ms or message.created_ms
        message = replace(
            message, discard=discard, obfuscate=obfuscate,
            expires_ms=min(message.expires_ms, begin_ms + windows.queue * 1000),
        )  # fmt: skip
        return replace(message, **what_is_left(message, privacy.display)) if obfuscate else message

    def check_room(self) -> None:
        """Raises Refusal, or Unavailable: new messages are put off."""
        limits = self._limits
        if not limits.routable:
            raise Refusal("to_not_routable")
        if self._store.backlog() >= limits.backlog:
            raise Unavailable("too_many_requests", retry_after_s=1)
        if limits.disk_low():
            raise Unavailable("unavailable", retry_after_s=30)

    def recipient(self, wanted: Private | None) -> str:
        """The recipient in E.164. Magic numbers answer as Twilio documents (sandbox only)."""
        if wanted is None:
            raise Refusal("to_required")
        text = wanted.reveal()
        to = normalise(text)
        if self._sandbox and to in magic.TO:
            raise Refusal(magic.TO[to], number=to if magic.TO[to] == "not_mobile" else mask(to))
        if to is None:
            raise Refusal("to_invalid", number=mask(text))
        if not self._landlines and is_landline(to):
            raise Refusal("landline")
        return to

    def sender(self, account: Account, wanted: Private | None) -> str:
        """The number to send from, E.164, which the account must own."""
        if wanted is None:
            raise Refusal("from_required")
        text = wanted.reveal()
        numbers = self._store.accounts.numbers
        from_ = text if text in numbers else normalise(text) or text
        if self._sandbox and from_ in magic.FROM:
            raise Refusal(magic.FROM[from_], number=from_)
        if self._sandbox and from_ == magic.FROM_OK:
            return from_  # good for every account
        number = numbers.get(from_)
        if number is None or number.account_id != account.id:
            if not is_sender_shape(from_):
                raise Refusal("from_invalid", number=mask(text))
            raise Refusal("from_not_owned", number=mask(text))
        return from_

    def text(self, wanted: Private | None, *, smart: bool | None) -> str:
        """The body as it is sent."""
        if wanted is None:
            raise Refusal("no_content")
        body = wanted.reveal()
        if smart:
            body = smart_encode(body)
        if body_units(body) > BODY_MAX:
            raise Refusal("body_too_long")
        return body

    def segments(self, body: str) -> int:
        """How many segments a text has in the air."""
        return segments(body, self._shift)

    def check_options(self, wanted: SendMessage) -> None:
        """Raises Refusal for an option that is none."""
        validity_s = wanted.validity_s
        if validity_s is not None and not 1 <= validity_s <= VALIDITY_MAX_S:
            raise Refusal("validity_invalid")
        callback = wanted.status_callback
        if callback is not None and self._guard.check_syntax(callback.reveal()) is not None:
            raise Refusal("status_callback_invalid")
        for url in wanted.media_urls:
            if self._guard.check_syntax(url.reveal()) not in (None, "path"):
                raise Refusal("media_invalid")
        if wanted.content_retention not in (None, "retain", "discard"):
            raise Refusal("content_retention_invalid")
        if wanted.address_retention not in (None, "retain", "obfuscate"):
            raise Refusal("address_retention_invalid")

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
            await self._store.record((change,), cause=requested())


def what_is_left(message: Message, display: Display) -> dict[str, str]:
    """What will be shown of its addresses: of the person's as much as `display` says, the
    account's own whole (R4). A sender that is not yet chosen is empty."""
    from_ = message.from_.reveal() if message.from_ is not None else ""
    to = message.to.reveal() if message.to is not None else ""
    if message.direction is INBOUND:
        return {"from_shown": shown(from_, display), "to_shown": to}
    return {"from_shown": from_, "to_shown": shown(to, display)}


def _same(given: Private | None, text: str) -> Private:
    """`text` as a Private: the one that was given, unless it was spelled otherwise."""
    return given if given is not None and given.reveal() is text else Private(text)
