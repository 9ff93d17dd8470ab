"""What can be sent beside a text from a number, and canceled: through a Messaging Service, at a
later time, from a template, a short code or an alphanumeric ID, with an application's callback.

`Messages` has the plain case, which nearly all messages are. What this adds is looked up
here, once, when the message is accepted; only the sender of a service is chosen later
(`dispatch.choose`). Where message, application and service say something, the message's own word
counts first, then the application's, then the service's.
"""

import asyncio
import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.alerts import Alerts
from hushwire.actions.applications import Applications
from hushwire.actions.contents import Contents
from hushwire.actions.messages import (
    TRUNK_LANE,
    VALIDITY_MAX_S,
    Blocks,
    Messages,
    Particulars,
    SendMessage,
)
from hushwire.actions.services import Services
from hushwire.actions.shortcodes import ShortCodes
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.address import area_code_of, country_of, read_sender
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.extras import Extras
from hushwire.domain.message import (
    Direction,
    Fact,
    Message,
    Status,
    advance,
    born,
    history_line,
)
from hushwire.domain.mms import as_mms
from hushwire.domain.phone import mask
from hushwire.domain.rates import read_max_price
from hushwire.domain.routing import (
    MMS_COUNTRIES,
    UNREGISTERED,
    NoSender,
    Options,
    Recipient,
    Sender,
    alpha_support,
    choose,
    obstacle,
)
from hushwire.domain.schedule import SCHEDULED_MAX, send_time
from hushwire.domain.service import Service, sender_of
from hushwire.domain.sid import message_sid
from hushwire.domain.template import read_variables, render
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.settings import CallbackProfile
from hushwire.store.schedule import ScheduledCounts
from hushwire.store.store import Store

MAX_PRICE: Final = "MaxPrice"
_CANCELED: Final = Fact("canceled")
_ORIGIN: Final = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


class Own(Struct, frozen=True):
    """What an account has, as far as messages name it."""

    services: Services
    short_codes: ShortCodes
    applications: Applications
    contents: Contents
    blocks: Blocks
    alerts: Alerts


class Draft(Struct, frozen=True):
    """A message whose every part was found good. Times are Unix milliseconds."""

    to: str
    body: str
    media: tuple[Private, ...]
    service: Service | None
    sender: str | None  # None: to be chosen
    callback: Private | None
    send_at_ms: int | None
    validity_s: int
    extras: Extras


class Outgoing:
    """The action of sending, for every door."""

    def __init__(
        self, messages: Messages, store: Store, own: Own, scheduled: ScheduledCounts, clock: Clock,
        *, honour_max_price: bool, profile: CallbackProfile = "current",
    ) -> None:  # fmt: skip
        self._messages = messages
        self._store = store
        self._own = own
        self._scheduled = scheduled
        self._clock = clock
        self._honour_max_price = honour_max_price
        self._application_first = profile == "2021"

    def send(self, account: Account, wanted: SendMessage) -> tuple[Message, "asyncio.Future[None]"]:
        """Accept a message. It is accepted only once the future ends without an error."""
        asked = wanted.particulars
        if asked is None:
            return self._messages.send(account, wanted)
        draft = self._draft(account, wanted, asked)
        self._messages.check_room()
        message, due_ms = self._written(account, wanted, draft)
        durable = self._messages.accept(born(message, due_ms))
        if message.status is Status.SCHEDULED:
            self._scheduled.add(account.id)
            durable.add_done_callback(lambda done: self._recorded(account.id, done))
        for parameter in asked.idle:
            if parameter != MAX_PRICE or not self._honour_max_price:
                self._own.alerts.without_effect(account.id, parameter)
        return message, durable

    async def cancel(self, message: Message) -> Message:
        """Cancel a scheduled message. Raises Refusal (30409) for any other."""
        change = advance(message, _CANCELED, self._clock.now_ms())
        if change is None or change.after is None:
            raise Refusal("not_cancelable")
        self._scheduled.remove(message.account_id)
        await self._store.record((change,), urgent=True)
        return change.after

    def _recorded(self, account_id: int, done: "asyncio.Future[None]") -> None:
        if done.exception() is not None:  # a full disk refused it
            self._scheduled.remove(account_id)

    # -- checks ---------------------------------------------------------------------------

    def _draft(self, account: Account, wanted: SendMessage, asked: Particulars) -> Draft:
        """Everything is checked in the order of the plain case; then what only these have."""
        own, messages = self._own, self._messages
        to = messages.recipient(wanted.to)
        service = own.services.find(account.id, asked.service) if asked.service else None
        sender = None
        if asked.service is None:
            sender = self._own_sender(account, wanted.from_, to)
        smart = wanted.smart_encoded
        if smart is None:
            smart = service is not None and service.settings.smart_encoding
        wanted = self._rendered(account, wanted, asked)
        media = wanted.media_urls
        text = wanted.body if wanted.body is not None or not media else Private("")
        body = messages.text(text, smart=smart)
        messages.check_options(wanted)
        if asked.service is not None and service is None:
            raise Refusal("service_not_found")
        if asked.lacking is not None:
            raise Refusal(asked.lacking[0], parameter=asked.lacking[1])
        if service is not None and wanted.from_ is not None:
            sender = _of_pool(service, wanted.from_, to, media=bool(media))
        if service is None and sender is not None and own.blocks(account.id, sender, to):
            raise Refusal("unsubscribed")
        return Draft(
            to, body, media, service, sender,
            self._callback(account, wanted, asked, service),
            self._send_at_ms(account, asked),
            _validity_s(wanted, service),
            self._extras(asked, service),
        )  # fmt: skip

    def _own_sender(self, account: Account, wanted: Private | None, to: str) -> str:
        """The sender that was named, as on the wire: a number, short code or alphanumeric ID."""
        address = read_sender(wanted.reveal()) if wanted is not None else None
        if address is None or address.kind not in ("short_code", "alphanumeric"):
            return self._messages.sender(account, wanted)
        name = address.name.reveal()
        sender = None
        if address.kind == "short_code":
            code = self._own.short_codes.by_digits(name)
            if code is not None and code.account_id == account.id:
                sender = Sender(code.sid, name, "short_code", code.country)
        else:
            sender = self._alphanumeric(account, name)
        if sender is None:
            return self._messages.sender(account, wanted)  # which says what is wrong
        recipient = recipient_of(to)
        problem = obstacle(sender, recipient, Options())
        if problem is not None:
            raise Refusal(problem)
        if address.kind == "alphanumeric" and alpha_support(recipient.country) == "registration":
            self._own.alerts.once_a_day(account.id, UNREGISTERED, recipient.country)
        return name

    def _alphanumeric(self, account: Account, name: str) -> Sender | None:
        """An alphanumeric ID is the account's once it is in a pool of its services."""
        for service in self._own.services.list(account):
            for member in service.members("AI"):
                if member.address == name:
                    return sender_of(member)
        return None

    def _rendered(self, account: Account, wanted: SendMessage, asked: Particulars) -> SendMessage:
        """With the text and the media of the template, if there is one."""
        if asked.content is None:
            return wanted
        template = self._own.contents.find(account.id, asked.content)
        if template is None:
            raise Refusal("content_sid_invalid")
        values = read_variables(asked.variables) if asked.variables is not None else {}
        rendered = render(template.content, values)
        return replace(
            wanted, body=rendered.text, media_urls=wanted.media_urls + rendered.media_urls
        )

    def _callback(
        self, account: Account, wanted: SendMessage, asked: Particulars, service: Service | None
    ) -> Private | None:
        """Who is told: the message's own URL, its application's, or its service's (6.3).

        By the profile of 2021 the application's goes before the message's own (C-2).
        """
        if asked.application is None:
            url = ""
        else:
            application = self._own.applications.find(account.id, asked.application)
            if application is None:
                raise Refusal("application_not_accessible")
            url = application.settings.message_status_callback
        if wanted.status_callback is not None and not (url and self._application_first):
            return wanted.status_callback
        url = url or (service.settings.status_callback if service is not None else "")
        return Private(_with_path(url)) if url else None

    def _send_at_ms(self, account: Account, asked: Particulars) -> int | None:
        at_ms = send_time(
            asked.schedule_type, asked.send_at, self._clock.now_ms(),
            service=asked.service is not None, channel="sms",
        )  # fmt: skip
        if at_ms is not None and self._scheduled.of(account.id) >= SCHEDULED_MAX:
            raise Refusal("schedule_limit")
        return at_ms

    def _extras(self, asked: Particulars, service: Service | None) -> Extras:
        limit = asked.max_price if self._honour_max_price else None
        if limit is not None:
            read_max_price(limit)
        fallback = service is not None and _falls_back(service)
        return Extras(tags=asked.tags, max_price=limit, fallback=fallback)

    # -- the message ----------------------------------------------------------------------

    def _written(self, account: Account, wanted: SendMessage, draft: Draft) -> tuple[Message, int]:
        """The message, and when it is due: at its time, or at its sender's turn."""
        now_ms = self._clock.now_ms()
        count = 1 if draft.media else self._messages.segments(draft.body)
        status, due_ms = Status.QUEUED, now_ms
        if draft.send_at_ms is not None:
            status, due_ms = Status.SCHEDULED, draft.send_at_ms
        elif draft.sender is None:
            status = Status.ACCEPTED
        else:
            due_ms = self._turn_ms(draft.sender, count, now_ms)
        ident, content_key, address_key = self._store.reserve(now_ms)
        at_ms, callback = ident.key >> 16, draft.callback
        begin_ms = now_ms if draft.send_at_ms is None else draft.send_at_ms
        message = Message(
            key=ident.key,
            tail=ident.tail,
            sid=message_sid("SM", ident),
            account_id=account.id,
            direction=Direction.OUTBOUND_API,
            status=status,
            from_=Private(draft.sender) if draft.sender is not None else None,
            to=Private(draft.to),
            body=Private(draft.body),
            callback=callback,
            segments=count,
            created_ms=at_ms,
            updated_ms=at_ms,
            content_key=content_key,
            address_key=address_key,
            expires_ms=begin_ms + draft.validity_s * 1000,
            lane=TRUNK_LANE,
            callback_lane=endpoint_lane(callback.reveal()) if callback is not None else 0,
            history=history_line(status, at_ms),
            service=draft.service.sid if draft.service is not None else None,
            extras=draft.extras.sealed(),
            send_at_ms=draft.send_at_ms or 0,
            provide_feedback=wanted.provide_feedback,
        )
        message = self._messages.confidential(message, wanted)
        if draft.media or wanted.as_mms:
            message = as_mms(message, draft.media)
        return message, due_ms

    def _turn_ms(self, sender: str, count: int, now_ms: int) -> int:
        pace = self._store.accounts.paces.get(sender)
        due_ms = pace.reserve(now_ms, count) if pace is not None else now_ms
        if due_ms is None:
            raise Refusal("queue_full")
        return due_ms


def recipient_of(phone: str) -> Recipient:
    """A phone number (E.164) as the choice of a sender sees it. About 50 µs."""
    country = country_of(phone)
    return Recipient("sms", country, area_code_of(phone), mms=country in MMS_COUNTRIES)


def _of_pool(service: Service, wanted: Private, to: str, *, media: bool) -> str:
    """The sender that was named, which must be in the service's pool."""
    address = read_sender(wanted.reveal())
    if address is None:
        raise Refusal("from_invalid", number=mask(wanted.reveal()))
    options = Options(
        media=media, from_=address.text().reveal(), mms_converter=service.settings.mms_converter
    )
    found = choose([sender_of(member) for member in service.pool], recipient_of(to), options)
    if isinstance(found, NoSender):
        raise Refusal(found.problem)
    return found.sender.address


def _falls_back(service: Service) -> bool:
    """May a long code of its pool have to try what a short code of it could not deliver?"""
    if not service.settings.fallback_to_long_code:
        return False
    return {"short_code", "long_code"} <= {member.kind for member in service.pool}


def _with_path(url: str) -> str:
    """A URL whose owner may leave out the path, as its server sees it: so it is signed."""
    origin = _ORIGIN.match(url)
    end = origin.end() if origin is not None else len(url)
    return url if url[end : end + 1] == "/" else f"{url[:end]}/{url[end:]}"


def _validity_s(wanted: SendMessage, service: Service | None) -> int:
    if wanted.validity_s is not None:
        return wanted.validity_s
    return service.settings.validity_s if service is not None else VALIDITY_MAX_S
