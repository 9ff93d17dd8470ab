"""Triggers: what happens at a backend, told once to everybody who wants to know.

There are two ways to learn of it: the backend calls (a webhook), or it is asked again and again
(polling). Both end in an `Intake`, which drops what it knows already and hands the rest to each
subscriber. A number has one webhook URL: it is that of the intake, so that a subscriber that
comes or goes leaves the others theirs.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

from msgspec import DecodeError, Struct, ValidationError, json

from hushwire.connect.messages import message_of, path_of
from hushwire.connect.models import Message
from hushwire.connect.paging import PAGE_MAX, pages
from hushwire.connect.refused import Refused
from hushwire.connect.registry import REGISTRY, Call
from hushwire.connect.run import Connected, check_scopes
from hushwire.connect.signed import SIGNATURE, Secrets, Webhook, distrust
from hushwire.connect.sync_state import created_of, listed_of
from hushwire.connect.view import shown

Kind = Literal["received", "status", "event"]
Offered = Literal["told", "repeated", "stale", "busy"]

IDEMPOTENCY: Final = "i-twilio-idempotency-token"
WINDOW_S: Final = 7 * 86_400.0  # what came within it is known, and does not count again
IDS_MAX: Final = 1_000_000  # that are remembered; some 100 MB
ROOM: Final = 1_000  # events that may wait for one subscriber
LOOKBACK: Final = timedelta(days=1)

_TAKEN: Final = 20409
_EARLY: Final = ("receiving", "received")


class Event(Struct, frozen=True):
    """Something that happened. `repr` shows nothing that is private."""

    id: str  # the same, however often and by whichever way it is learned
    kind: Kind  # a message came in; a message has a new status; something of an event stream
    content: Mapping[str, Any]  # Twilio's parameters, or what the stream says
    sid: str = ""  # of the message
    status: str = ""
    number: str = ""  # the account's own: the recipient of what came in, else the sender
    at: float | None = None  # Unix seconds, where it is told

    def __repr__(self) -> str:
        return f"<event {self.kind} {self.sid} {self.status}>"


# --- what is known already -------------------------------------------------------------------


class Known(Protocol):
    """Remembers ids. One that shall outlive the process keeps them on a disk."""

    def has(self, ident: str) -> bool: ...
    def add(self, ident: str) -> None: ...


class Recent:
    """Ids of the last `window_s`, in memory; of more than `most` the oldest are let go."""

    def __init__(
        self, now: Callable[[], float], window_s: float = WINDOW_S, most: int = IDS_MAX
    ) -> None:
        self._now = now
        self._window_s = window_s
        self._most = most
        self._came: dict[str, float] = {}  # in that order

    def has(self, ident: str) -> bool:
        self._let_go()
        return ident in self._came

    def add(self, ident: str) -> None:
        self._came.setdefault(ident, self._now())
        self._let_go()

    def _let_go(self) -> None:
        oldest = self._now() - self._window_s
        while self._came:
            ident, came = next(iter(self._came.items()))
            if came > oldest and len(self._came) <= self._most:
                return
            del self._came[ident]


# --- who wants to know -----------------------------------------------------------------------


class Subscription:
    """What one subscriber is told. `async for event in subscription`; it ends when it is left."""

    def __init__(self, kinds: frozenset[Kind] | None, numbers: frozenset[str] | None) -> None:
        self.waiting: asyncio.Queue[Event | None] = asyncio.Queue()
        self._kinds = kinds
        self._numbers = numbers

    def wants(self, event: Event) -> bool:
        return (self._kinds is None or event.kind in self._kinds) and (
            self._numbers is None or event.number in self._numbers
        )

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        event = await self.waiting.get()
        if event is None:
            raise StopAsyncIteration
        return event


class Intake:
    """Where all that happens comes together, and goes to each subscriber. On one loop.

    All are told of an event, or none: one without room for more has it refused as `busy`, and
    whoever brought it comes again with it.
    """

    def __init__(
        self, known: Known, now: Callable[[], float], *, window_s: float = WINDOW_S,
        room: int = ROOM,
    ) -> None:  # fmt: skip
        self._known = known
        self._now = now
        self._window_s = window_s
        self._room = room
        self._subscriptions: dict[str, Subscription] = {}

    def subscribe(
        self, name: str, *, kinds: Iterable[Kind] | None = None,
        numbers: Iterable[str] | None = None,
    ) -> Subscription:  # fmt: skip
        """Be told of what happens from now on. `numbers`: of the account, E.164.

        Raises Refused (409) when the name is taken: two would share what each wants whole.
        """
        if name in self._subscriptions:
            raise Refused(_TAKEN, 409, f"subscriber {name!r:.70} is there: choose another name",
                          field="name")  # fmt: skip
        made = Subscription(
            None if kinds is None else frozenset(kinds),
            None if numbers is None else frozenset(numbers),
        )
        self._subscriptions[name] = made
        return made

    def leave(self, name: str) -> None:
        """The subscription ends after what waits in it."""
        left = self._subscriptions.pop(name, None)
        if left is not None:
            left.waiting.put_nowait(None)

    def offer(self, event: Event) -> Offered:
        """Tell everybody who wants it, unless it is known."""
        if event.at is not None and event.at < self._now() - self._window_s:
            return "stale"
        if self._known.has(event.id):
            return "repeated"
        wanting = [each for each in self._subscriptions.values() if each.wants(event)]
        if any(each.waiting.qsize() >= self._room for each in wanting):
            return "busy"
        for each in wanting:
            each.waiting.put_nowait(event)
        self._known.add(event.id)
        return "told"

    def remember(self, event: Event) -> None:
        """It happened before anybody asked."""
        self._known.add(event.id)


# --- the backend calls -----------------------------------------------------------------------


class Receipt(Struct, frozen=True):
    """How to answer a webhook: HTTP's status, and why. The why is for a log, not for the caller."""

    status: int
    why: str


def receive(webhook: Webhook, secrets: Secrets, intake: Intake) -> Receipt:
    """Take what a backend posted: 200 taken (or known), 403 not to be believed, 400 unreadable,
    503 come again."""
    reason = distrust(webhook, secrets)
    if reason is not None:
        return Receipt(403, reason)
    events = _events(webhook)
    if events is None:
        return Receipt(400, "unreadable")
    answers = [intake.offer(event) for event in events]
    if "busy" in answers:
        return Receipt(503, "busy")  # those that were told are known when it comes again
    return Receipt(200, ",".join(sorted(set(answers))))


def _events(webhook: Webhook) -> list[Event] | None:
    if webhook.is_form or not webhook.body:
        return [_of_params(webhook)]
    many = webhook.body.lstrip().startswith(b"[")
    try:
        items = _STREAM.decode(webhook.body) if many else [_ITEM.decode(webhook.body)]
        return [_of_stream(item) for item in items]
    except (DecodeError, ValidationError, UnicodeDecodeError, ValueError):
        return None


def _of_params(webhook: Webhook) -> Event:
    """A form, or a query. What identifies it is what is signed: a token in a header is not, and
    who has heard a request could send it again with another token, or burn that of another."""
    params: dict[str, str] = {}
    for name, value in webhook.params():
        params.setdefault(name, value)
    sid = params.get("MessageSid") or params.get("SmsSid") or ""
    status = params.get("MessageStatus") or params.get("SmsStatus") or ""
    if sid:
        return _of_message(sid, status, params.get("To", ""), params.get("From", ""), params)
    ident = webhook.headers.get(IDEMPOTENCY) or webhook.headers[SIGNATURE]
    return Event(ident, "event", params)


def _of_message(sid: str, status: str, to: str, from_: str, content: Mapping[str, Any]) -> Event:
    came = not status or status in _EARLY
    status = "received" if came else status
    kind: Kind = "received" if came else "status"
    return Event(f"{sid}:{status}", kind, content, sid, status, to if came else from_)


class _CloudEvent(Struct, frozen=True):
    """An item of an event stream (CloudEvents 1.0)."""

    id: str
    type: str
    time: str
    data: dict[str, Any] = {}


_ITEM: Final = json.Decoder(_CloudEvent)
_STREAM: Final = json.Decoder(list[_CloudEvent])


def _of_stream(item: _CloudEvent) -> Event:
    at = datetime.fromisoformat(item.time).timestamp()
    content = {"type": item.type, "time": item.time, "data": item.data}
    return Event(item.id, "event", content, at=at)


# --- the backend is asked --------------------------------------------------------------------


class Polling:
    """Learns of the same by reading the list again and again, where no webhook can reach.

    Of statuses that follow each other between two looks it learns the last.
    """

    def __init__(
        self, connected: Connected, intake: Intake, *, account_sid: str | None = None,
        lookback: timedelta = LOOKBACK, page_size: int = PAGE_MAX,
    ) -> None:  # fmt: skip
        check_scopes(REGISTRY.find("list_messages"), connected)
        self._connected = connected
        self._intake = intake
        call = Call(connected.wire, connected.account_sid)
        self._path = path_of(call, account_sid)
        self._lookback_s = lookback.total_seconds()
        self._page_size = page_size
        self._began = False

    async def run(self, every_s: float) -> None:
        """Look, and look again, until it is cancelled. Raises Refused, as `look`."""
        while True:
            await self.look()
            await self._connected.wire.pause(every_s)

    async def look(self) -> int:
        """How many events were told. The first look tells nothing: it learns what was before.

        Raises Refused when the backend does not answer; the next look makes up for it.
        """
        told = 0
        floor: float | None = None
        async for found in pages(
            self._connected.wire, self._path, "messages", {}, page_size=self._page_size
        ):
            messages = [message_of(record) for record in found.records]
            if not messages:
                break
            floor = floor or max(map(created_of, messages)) - self._lookback_s
            for message in messages:
                told += self._take(message)
            if listed_of(messages[-1]) < floor:
                break
        self._began = True
        return told

    def _take(self, message: Message) -> bool:
        content = shown(message, self._connected.view, self._connected.view_key)
        event = _of_message(
            message.sid, message.status, message.to or "", message.from_ or "", _params(content)
        )
        if self._began:
            return self._intake.offer(event) == "told"
        self._intake.remember(event)
        return False


def _params(content: Mapping[str, Any]) -> dict[str, Any]:
    """A message by the names that a webhook has for it."""
    names = {
        "MessageSid": "sid", "AccountSid": "account_sid", "MessageStatus": "status", "To": "to",
        "From": "from", "Body": "body", "NumMedia": "num_media", "NumSegments": "num_segments",
        "MessagingServiceSid": "messaging_service_sid", "ErrorCode": "error_code",
    }  # fmt: skip
    return {name: str(content[key]) for name, key in names.items() if content.get(key) is not None}
