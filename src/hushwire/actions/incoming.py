"""What can be done with texts that come in: receive them, obey STOP, and reply.

A keyword is obeyed before anybody is told of it. Where a text is told is asked anew each time,
because the customer may have put it right meanwhile.
"""

from collections.abc import Collection, Sequence

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.applications import Applications
from hushwire.actions.keywords import KeywordSets
from hushwire.actions.messages import (
    TRUNK_LANE,
    VALIDITY_MAX_S,
    Blocks,
    Limits,
    Messages,
    SendMessage,
)
from hushwire.actions.services import Services
from hushwire.actions.shortcodes import ShortCodes
from hushwire.clock import Clock
from hushwire.domain.account import NumberSettings
from hushwire.domain.application import ApplicationSettings
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.incoming import (
    CLAIM_MS,
    TOO_LONG,
    Webhook,
    asked_line,
    beginning,
    keyword_reply_line,
    offered_line,
    webhook_of,
)
from hushwire.domain.message import (
    SECOND,
    Change,
    Direction,
    Message,
    Status,
    born,
    history_line,
    redacted,
)
from hushwire.domain.mms import as_mms
from hushwire.domain.optout import OptOut, OptOutRequest, effect
from hushwire.domain.phone import is_e164
from hushwire.domain.service import Service
from hushwire.domain.shift_tables import Language
from hushwire.domain.shortcode import ShortCodeSettings
from hushwire.domain.sid import message_sid
from hushwire.domain.task import Task, TaskKind
from hushwire.domain.text import segments
from hushwire.domain.withholding import LOOK
from hushwire.errors import Refusal, Unavailable
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.media import MediaTable, SealedFile
from hushwire.store.optouts import OptOuts
from hushwire.store.store import Store


class _Own(Struct, frozen=True):
    """A number or short code of an account, which somebody wrote to."""

    sid: str
    account_id: int
    settings: NumberSettings | ShortCodeSettings


class _Text(Struct, frozen=True):
    """A text as it came."""

    from_: Private
    to: Private
    body: str  # as much of it as is kept
    cut: bool


class Incoming:
    """The actions on texts that come in, for every door and for the worker that tells of them."""

    def __init__(
        self, store: Store, messages: Messages, optouts: OptOuts, services: Services,
        short_codes: ShortCodes, applications: Applications, keywords: KeywordSets, clock: Clock,
        metrics: Metrics, limits: Limits, blocks: Blocks, *, shift: Collection[Language] = (),
        media: MediaTable | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._messages = messages
        self._optouts = optouts
        self._services = services
        self._short_codes = short_codes
        self._applications = applications
        self._keywords = keywords
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._blocks = blocks
        self._media = media
        self._shift = shift

    # -- receive --------------------------------------------------------------------------

    async def receive(
        self, from_: Private, to: Private, body: Private, files: Sequence[SealedFile] = ()
    ) -> Message | None:
        """Somebody texted one of our numbers or short codes; durable when this returns.

        `files`, which came with it, become its media.

        None: its service takes no texts, so nothing was kept; a keyword was obeyed all the
        same. Raises Refusal when no active account owns `to`, Unavailable without room.
        """
        accounts = self._store.accounts
        own = self._own(to.reveal())
        if own is None or not accounts.is_active(accounts.by_id[own.account_id]):
            raise Refusal("not_found", path="/sandbox/phones")
        if self._limits.disk_low():
            raise Unavailable("unavailable", retry_after_s=30)
        home = self._services.home(own.account_id, own.sid)
        scope = home.sid if home is not None else own.sid
        kept = beginning(body.reveal())
        text = _Text(from_, to, kept, cut=kept != body.reveal())
        request = self._keyword(own, scope, text)
        reply = self._obey(own, scope, from_, request) if request is not None else None
        now_ms = self._clock.now_ms()
        births: list[Change] = []
        message = None
        if self._takes_texts(own, home):
            message = self._message(own, home, text, request, now_ms)
            if files and self._media is not None:
                message = replace(as_mms(message), media=len(files))
                self._media.attach(files, message.key, message.account_id, now_ms)
            message = self._messages.confidential(message)
            births.append(born(message, now_ms, self._store.accounts.windows[own.account_id]))
        if reply is not None:
            births.append(self._confirmation(own, home, text, reply, now_ms))
        if births:
            durable = self._store.record(births)
            if message is not None and not message.callback_lane:
                self.told(message)  # nobody asked to be told
            await durable
        if message is not None:
            self._metrics.received += 1
        return message

    def held_ms(self, message: Message) -> int:
        """How long its account has a text held for its webhooks, at most (milliseconds)."""
        return self._store.accounts.windows[message.account_id].inbound * SECOND

    def told(self, message: Message) -> None:
        """Nothing holds an inbound message any more: it was taken, or nobody will (R12, D5).

        What is to be forgotten of it is, in the commit of this tick.
        """
        latest = self._store.latest(message.key) if message.discard or message.obfuscate else None
        if latest is None:
            return
        now_ms = self._clock.now_ms()
        change = redacted(latest, now_ms, body=latest.discard, address=latest.obfuscate)
        if change.after is not latest:
            self._store.record([change])

    def offered(self, message: Message) -> None:
        """Its webhook was answered, and has not claimed the content: what is to be forgotten is
        held for that, a minute at most, on the record."""
        latest = self._store.latest(message.key) if message.discard or message.obfuscate else None
        if latest is None:
            return
        now_ms = self._clock.now_ms()
        after = replace(latest, history=latest.history + offered_line(now_ms))
        look = Task(latest.key, LOOK, TaskKind.REDACT, latest.lane, now_ms + CLAIM_MS)
        self._store.record([Change(latest, after, (look,))])

    def _own(self, address: str) -> _Own | None:
        """Whose number or short code that is."""
        number = self._store.accounts.numbers.get(address)
        if number is not None:
            return _Own(number.sid, number.account_id, number.settings)
        code = self._short_codes.by_digits(address)
        return _Own(code.sid, code.account_id, code.settings) if code is not None else None

    def _message(
        self, own: _Own, home: Service | None, text: _Text, request: OptOutRequest | None,
        now_ms: int,
    ) -> Message:  # fmt: skip
        ident, content_key, address_key = self._store.reserve(now_ms)
        at_ms = ident.key >> 16
        status, error_code = (Status.FAILED, TOO_LONG) if text.cut else (Status.RECEIVED, None)
        history = history_line(status, at_ms, error_code)
        if request is not None:
            history += asked_line(request.type, at_ms)
        webhook = self._webhook(own, home)
        return Message(
            key=ident.key, tail=ident.tail, sid=message_sid("SM", ident),
            account_id=own.account_id, direction=Direction.INBOUND, status=status,
            from_=text.from_, to=text.to, body=Private(text.body), callback=None,
            segments=segments(text.body, self._shift), created_ms=at_ms, updated_ms=at_ms,
            sent_ms=at_ms, error_code=error_code, content_key=content_key,
            address_key=address_key, settled=True, history=history,
            callback_lane=endpoint_lane(webhook.url) if webhook is not None else 0,
            service=home.sid if home is not None else None,
        )  # fmt: skip

    # -- where it is told -----------------------------------------------------------------

    def webhook(self, message: Message) -> Webhook | None:
        """Where an inbound message is told, as the settings are now; None: nowhere."""
        if message.to is None:
            return None
        own = self._own(message.to.reveal())
        if own is None or own.account_id != message.account_id:
            return None  # it was released, or handed over: it is not the new owner's to read
        return self._webhook(own, self._services.home(own.account_id, own.sid))

    def _webhook(self, own: _Own, home: Service | None) -> Webhook | None:
        """An application's goes first, then the service's, then the number's (6.2)."""
        application = self._application(own)
        if application is None and home is not None and not home.settings.inbound_on_number:
            of = home.settings
            return webhook_of(
                of.inbound_url, of.inbound_method, of.fallback_url, of.fallback_method
            )
        settings = application or own.settings
        return webhook_of(
            settings.sms_url, settings.sms_method, settings.sms_fallback_url,
            settings.sms_fallback_method,
        )  # fmt: skip

    def _takes_texts(self, own: _Own, home: Service | None) -> bool:
        """Twilio: a service without an inbound URL receives nothing, and nothing is logged."""
        if home is None or home.settings.inbound_on_number or home.settings.inbound_url:
            return True
        return self._application(own) is not None

    def _application(self, own: _Own) -> ApplicationSettings | None:
        if not isinstance(own.settings, NumberSettings) or not own.settings.sms_application_sid:
            return None
        found = self._applications.find(own.account_id, own.settings.sms_application_sid)
        return found.settings if found is not None else None

    # -- keywords -------------------------------------------------------------------------

    def _keyword(self, own: _Own, scope: str, text: _Text) -> OptOutRequest | None:
        if text.cut or not is_e164(text.from_.reveal()):
            return None  # a short code or a name: nobody who could be written to
        return self._keywords.request(own.account_id, scope, text.to.reveal(), text.body)

    def _obey(self, own: _Own, scope: str, from_: Private, request: OptOutRequest) -> str | None:
        """Block or welcome the person, durably; returns what is to be answered.

        A number in a pool speaks for its service; a block from before it came there counts too.
        """
        account_id, person = own.account_id, from_.reveal()
        scopes = dict.fromkeys((scope, own.sid))
        blocked = [each for each in scopes if self._optouts.blocked(account_id, each, person)]
        if request.type is OptOut.STOP and scope not in blocked:
            self._optouts.add(account_id, scope, person, OptOut.STOP, self._clock.now_ms())
        elif request.type is OptOut.START:
            for each in blocked:
                self._optouts.remove(account_id, each, person)
        return effect(request, blocked=bool(blocked)).reply

    def _confirmation(
        self, own: _Own, home: Service | None, text: _Text, reply: str, now_ms: int
    ) -> Change:
        """The answer to a keyword, from the number that was written to. It goes at once: what
        waits for its turn there may be just what was stopped."""
        message = self._outbound(own.account_id, text.to, text.from_, reply, now_ms)
        message = replace(
            message,
            history=message.history + keyword_reply_line(message.created_ms),
            service=home.sid if home is not None else None,
        )
        return born(self._messages.confidential(message), now_ms)

    # -- reply ----------------------------------------------------------------------------

    def reply(self, message: Message, wanted: SendMessage) -> Change:
        """The birth of a reply to `message`, with the checks of a create; not recorded yet.

        Raises Refusal, or Unavailable while nothing more is accepted.
        """
        account = self._store.accounts.by_id[message.account_id]
        sender = wanted.from_.reveal() if wanted.from_ is not None else ""
        code = self._short_codes.by_digits(sender)
        if code is None or code.account_id != account.id:
            return born(*self._messages.compose(account, wanted, Direction.OUTBOUND_REPLY))
        to = self._messages.recipient(wanted.to)
        media = wanted.media_urls
        text = wanted.body if wanted.body is not None or not media else Private("")
        body = self._messages.text(text, smart=wanted.smart_encoded)
        self._messages.check_options(wanted)
        if self._blocks(account.id, sender, to):
            raise Refusal("unsubscribed")
        self._messages.check_room()
        now_ms = self._clock.now_ms()
        made = self._outbound(account.id, Private(sender), Private(to), body, now_ms)
        url = wanted.status_callback
        lane = endpoint_lane(url.reveal()) if url is not None else 0
        made = as_mms(made, media) if media else made
        made = self._messages.confidential(made, wanted)
        return born(replace(made, callback=url, callback_lane=lane), now_ms)

    def _outbound(
        self, account_id: int, from_: Private, to: Private, body: str, now_ms: int
    ) -> Message:
        count = segments(body, self._shift)
        ident, content_key, address_key = self._store.reserve(now_ms)
        at_ms = ident.key >> 16
        return Message(
            key=ident.key, tail=ident.tail, sid=message_sid("SM", ident), account_id=account_id,
            direction=Direction.OUTBOUND_REPLY, status=Status.QUEUED, from_=from_, to=to,
            body=Private(body), callback=None, segments=count, created_ms=at_ms,
            updated_ms=at_ms, content_key=content_key, address_key=address_key,
            expires_ms=now_ms + VALIDITY_MAX_S * 1000, lane=TRUNK_LANE,
            history=history_line(Status.QUEUED, at_ms),
        )  # fmt: skip
