"""Tells a customer of one inbound message, and carries out what the answer says (6.7, 6.8).

A document is carried out from top to bottom; `<Redirect>` and `action` go on in another one.
Replies are born before the next document is asked for, and the last ones in the commit that
ends the task. After a crash the documents are asked for again, with the same idempotency
tokens, and the replies that were born by then are not born twice: the task counts them.

Whatever is wrong becomes an alert. It holds nothing of the message or of the answer.
"""

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import urljoin

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.alerts import Alerts
from hushwire.actions.incoming import Incoming
from hushwire.actions.messages import SendMessage
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.alert import origin, sizes_of, without_query
from hushwire.domain.alert_table import KINDS
from hushwire.domain.incoming import LoopGuard, Method
from hushwire.domain.message import Change, Message
from hushwire.domain.task import Task
from hushwire.domain.twiml import (
    ALERTS,
    DOCUMENTS_MAX,
    REPLIES_MAX,
    TOO_LARGE,
    TOO_MANY_DOCUMENTS,
    Redirect,
    Reply,
    SendReply,
    TwimlProblem,
    read_answer,
)
from hushwire.errors import Defect, Refusal, Unavailable
from hushwire.faults import reach
from hushwire.outbound import Answer
from hushwire.outbound.url import parse_url
from hushwire.private import Private
from hushwire.settings import GetWebhooks
from hushwire.store.endings import Endings
from hushwire.webhooks.claims import Claims
from hushwire.webhooks.cookies import IDLE_MS, Conversation, Cookies
from hushwire.webhooks.inbound_call import Called, Client, call
from hushwire.webhooks.inbound_form import Medium, Params, action_params, inbound_params
from hushwire.webhooks.overrides import split
from hushwire.webhooks.signature import idempotency_token

LOOP: Final = 14107
BY_GET: Final = 23006  # what is to be forgotten stood in the query of a URL
CLAIM: Final = "ClaimToken"
NOT_ELSEWHERE: Final = 12400  # a refusal that the table of alerts does not have
_FALLBACK: Final = 128  # from here on the tokens of what is asked of the fallback are numbered
_REFUSED: Final = "-"  # in the task, where a reply was refused


class Failed(Struct, frozen=True):
    """Why a document could not be carried out, and its URL. Private but for the code."""

    code: int
    url: str


class _Document(Struct, frozen=True):
    """What is asked for next. `own`: its URL is of the account's settings, not of an answer."""

    url: str  # with its fragment
    method: Method
    params: Params
    own: bool = False


class Desk:
    """What telling needs of the server; one for all messages."""

    def __init__(
        self, incoming: Incoming, endings: Endings, client: Client, clock: Clock, alerts: Alerts,
        media: Callable[[Message], Sequence[Medium]] = lambda message: (), *,
        claims: Claims | None = None, get_webhooks: GetWebhooks = "warn",
        cookies: Cookies | None = None,
    ) -> None:  # fmt: skip
        self.media: Final = media  # URL and content type of each file that came
        self.incoming = incoming
        self.endings = endings
        self.client = client
        self.clock = clock
        self.alerts = alerts
        if claims is None and get_webhooks == "thin":
            raise Defect("webhooks without content, and nowhere to claim it")
        self.claims = claims
        self.cookies: Final = cookies
        self.get_webhooks: Final = get_webhooks
        self.loops = LoopGuard()

    def answered(self, message: Message) -> None:
        """Its webhook took it; or may claim the rest of it."""
        if self.claims is not None and self.claims.awaits(message.key):
            self.incoming.offered(message)
        else:
            self.incoming.told(message)


class Telling:
    """One inbound message being told. Made anew for each try."""

    def __init__(self, desk: Desk, account: Account, message: Message, task: Task) -> None:
        self._desk = desk
        self._account = account
        self._message = message
        self.task = task  # as it stands in the table
        self.failures = 0  # documents that could not be carried out
        self._params = inbound_params(message, account.sid, desk.media(message))
        self._before = (task.detail or "").split()  # replies of an earlier life, in order
        self._done: list[str] = []  # their SIDs, and those of this one
        self._births: list[Change] = []  # not recorded yet
        self._documents = 0

    @property
    def replied(self) -> bool:
        """Has it led to a reply already?"""
        return any(sid != _REFUSED for sid in (*self._before, *self._done))

    async def ask(self, url: str, method: Method, before: Failed | None = None) -> Failed | None:
        """Carry out what a webhook answers; None when that could be done.

        `before`: why the primary webhook could not; then this is the fallback. Raises
        Unavailable while nothing more is accepted: later, then.
        """
        params = self._params
        if before is not None:
            params = {**params, "ErrorCode": str(before.code), "ErrorUrl": before.url}
        document: _Document | None = _Document(url, method, params, own=True)
        while document is not None:
            if self._documents == DOCUMENTS_MAX:
                self._alert(TOO_MANY_DOCUMENTS)
                return None
            called, reply = await self._fetch(document, _FALLBACK if before else 0)
            if not isinstance(reply, Reply):
                return Failed(reply, _seen(called.url))
            document = await self._carry_out(reply, called.url)
        return None

    async def end(self) -> None:
        """It is told: the task ends, in the commit of the last replies."""
        births, self._births = self._births, []
        reach("inbound.answered")
        durable = self._desk.endings.end(self.task, births)
        self._desk.answered(self._message)
        await durable

    # -- documents ------------------------------------------------------------------------

    async def _fetch(self, document: _Document, tokens: int) -> tuple[Called, Reply | int]:
        """The document, or the code of what is wrong with it."""
        token = idempotency_token(self._message.sid, tokens + self._documents)
        self._documents += 1
        method, params = self._carried(document)
        _, overrides = split(document.url)
        if overrides.problem is not None:
            self._desk.alerts.once_a_day(self._account.id, overrides.problem)
        client, cookies = self._desk.client, self._cookies()
        called = await call(client, self._account, method, document.url, params, token, cookies)
        answer = called.result
        if called.code is not None or not isinstance(answer, Answer):
            code, line = called.code or NOT_ELSEWHERE, None
        else:
            found = _read(answer, REPLIES_MAX - len(self._done))
            if isinstance(found, Reply):
                for warning in found.warnings:
                    self._alert(warning.code, document, called, line=warning.line)
                return called, found
            code, line = found.code, found.line
        self.failures += 1
        self._alert(code, document, called, line=line)
        return called, code

    def _cookies(self) -> Conversation | None:
        """Those of this conversation. Where the text is to be forgotten, an app's cookies, which
        may hold some of it, last no longer than it may be held."""
        desk, message = self._desk, self._message
        if desk.cookies is None or message.from_ is None or message.to is None:
            return None
        idle_ms = IDLE_MS
        if message.discard or message.obfuscate:
            idle_ms = desk.incoming.held_ms(message)
        return desk.cookies.of(self._account.id, message.from_, message.to, idle_ms)

    def _carried(self, document: _Document) -> tuple[Method, Callable[[], Params]]:
        """How a document is asked for, and with what. A GET puts it into a query, which other
        servers log: the setting `get_webhooks` says whether it may (privacy-reliability 7)."""
        method, params, desk = document.method, document.params, self._desk
        if method == "GET" and desk.get_webhooks == "post":
            method = "POST"
        elif method == "GET" and desk.get_webhooks == "thin":
            return method, lambda: self._claim(params)
        elif method == "GET" and (self._message.discard or self._message.obfuscate):
            desk.alerts.once_a_day(self._account.id, BY_GET)
        return method, lambda: params

    def _claim(self, params: Params) -> Params:
        """What a GET carries instead of `params`: whose they are, and a token to get them with."""
        account, claims = self._account, self._desk.claims
        assert claims is not None, "the desk has them where it needs them"
        token = claims.offer(account.id, self._message.key, params)
        return {name: params[name] for name in ("MessageSid", "AccountSid")} | {CLAIM: token}

    async def _carry_out(self, reply: Reply, base: str) -> _Document | None:
        """Do as a document says; returns the one that it goes on in."""
        following = None
        for verb in reply.verbs:
            if isinstance(verb, Redirect):
                following = self._next(base, verb.url, verb.method, self._params)
                break
            sid = self._send(verb, base)
            if verb.action is not None and sid is not None:  # what comes after is not reached
                following = self._next(
                    base, verb.action, verb.method, action_params(self._params, sid)
                )
                break
        if following is not None:
            await self._flush()
        return following

    def _next(self, base: str, url: Private, method: Method, params: Params) -> _Document:
        return _Document(_absolute(base, url.reveal()), method, params)

    async def _flush(self) -> None:
        """The replies so far go out; the task remembers them."""
        births, self._births = self._births, []
        if births:
            task = replace(self.task, detail=" ".join(self._done))
            await self._desk.endings.go_on(task, births)
            self.task = task
            reach("inbound.replied")

    # -- replies --------------------------------------------------------------------------

    def _send(self, verb: SendReply, base: str) -> str | None:
        """The SID of the reply, about to be recorded; None when it is refused."""
        n = len(self._done)
        born_before = n < len(self._before)  # before a crash
        sid = self._before[n] if born_before else self._born(verb, base) or _REFUSED
        self._done.append(sid)
        return None if sid == _REFUSED else sid

    def _born(self, verb: SendReply, base: str) -> str | None:
        message, desk = self._message, self._desk
        to, from_ = verb.to or message.from_, verb.from_ or message.to
        assert to is not None
        assert from_ is not None
        if not desk.loops.allows((to, from_), desk.clock.now_ms()):
            self._alert(LOOP)
            return None
        callback = None
        if verb.status_callback is not None:
            callback = Private(_absolute(base, verb.status_callback.reveal()))
        media = tuple(Private(_absolute(base, url.reveal())) for url in verb.media_urls)
        wanted = SendMessage(
            to=to, from_=from_, body=verb.text, status_callback=callback, media_urls=media
        )
        try:
            birth = desk.incoming.reply(message, wanted)
        except Unavailable:
            raise
        except Refusal as refusal:
            problem = refusal.problem
            code = ALERTS.get(problem.name, problem.code)
            if code in KINDS:
                self._alert(code)
            else:
                self._alert(NOT_ELSEWHERE, detail=problem.name)
            return None
        self._births.append(birth)
        assert birth.after is not None
        return birth.after.sid

    # -- alerts ---------------------------------------------------------------------------

    def _alert(
        self, code: int, document: _Document | None = None, called: Called | None = None, *,
        line: int | None = None, detail: str | None = None,
    ) -> None:  # fmt: skip
        url = method = http_status = answered = None
        sent: Sequence[tuple[str, int]] = ()
        if document is not None and called is not None:
            url, method = _shown(called.url, own=document.own), called.method
            http_status, sent = called.http_status, sizes_of(called.form) if called.form else ()
            if isinstance(called.result, Answer):
                answered = len(called.result.body)
            else:
                detail = called.result.kind
        if line is not None:
            detail = f"line {line} of the answer"
        self._desk.alerts.raise_(
            self._account.id, code, resource_sid=self._message.sid,
            service_sid=self._message.service, url=url, method=method, http_status=http_status,
            detail=detail, sent=tuple(sent), answered_bytes=answered,
        )  # fmt: skip


def _read(answer: Answer, replies_left: int) -> Reply | TwimlProblem:
    if answer.cut:
        return TwimlProblem(TOO_LARGE)
    return read_answer(answer.header("content-type"), answer.body, replies_left)


def _absolute(base: str, url: str) -> str:
    """`url` of a document, which `base` is. What cannot be joined is refused where it is used."""
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def _seen(url: str) -> str:
    """A URL as its server sees it; empty when it is none."""
    at = parse_url(url)
    return at.text() if not isinstance(at, str) else ""


def _shown(url: str, *, own: bool) -> str | None:
    """What an alert may keep of a URL: less of one that came in an answer."""
    if isinstance(parse_url(url), str):
        return None
    return without_query(url) if own else origin(url)
