"""The wire: bodies in, resources and errors out, as Twilio's clients expect them.

Twilio's spelling lives in `api/` only. Everything here is on the hot path.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from decimal import Decimal
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes

import msgspec

from hushwire.api.dates import iso8601, rfc2822
from hushwire.domain.extras import extras_of
from hushwire.domain.message import WAITING, Message, Status, is_finished
from hushwire.domain.rates import shown as shown_cost
from hushwire.domain.usage import PRICE_PLACES
from hushwire.errors import Refusal, Unavailable, error_text
from hushwire.private import Private

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Form = dict[str, list[str]]

REQUEST_ID: Final = "request_id"  # where the application keeps it in the scope
REQUEST_ID_HEADER: Final = b"twilio-request-id"
API_VERSION: Final = "2010-04-01"
CURRENCY: Final = "USD"  # of prices, while there is no table of rates
WHOLE: Final = "hushwire.whole"  # where the scope has a `Whole`, if it came in one piece
BODY_BYTES_MAX: Final = 65_536  # of a request
FIELDS_MAX: Final = 200

_MULTIPART = re.compile(
    rb'multipart/form-data\s*;(?:.*;)?\s*boundary="?([^\s";]{1,70})"?\s*(?:;|\Z)', re.IGNORECASE
)
_FIELD_NAME = re.compile(
    rb'^content-disposition:[ ]*form-data;(?:[^\r\n]*;)?[ ]*name="([^"\r\n]*)"',
    re.IGNORECASE | re.MULTILINE,
)

_SCOPE_MISSING: Final = "scope_missing"  # of `errors.toml`
_QUEUED: Final = Status.QUEUED  # to look a member up costs more than a call
_UNUSUAL: Final = (b"--", b"{", b"[")  # how multipart begins, and JSON
_PLAIN_ESCAPES: Final = (("%2B", "+"), ("%2C", ","), ("%2F", "/"), ("%3A", ":"), ("%20", " "))

_CREATED: Final = (
    b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    + REQUEST_ID_HEADER
    + b": %s\r\n\r\n%s"
)

encode = msgspec.json.Encoder().encode


class Whole(Protocol):
    """The connection of a request that came in one piece (`listening`)."""

    def whole_body(self) -> bytes:
        """The request's body, while it begins."""
        ...

    def answer_whole(self, scope: object, answer: bytes) -> bool:
        """Write an answer from its status line to its last byte; False: it must go by `send`."""
        ...


async def create_body(scope: Scope, receive: Receive) -> bytes:
    """`read_body`, of a request that most likely came in one piece."""
    whole: Whole | None = scope.get(WHOLE)
    if whole is None:
        return await read_body(receive)
    body = whole.whole_body()
    if len(body) > BODY_BYTES_MAX:
        raise Refusal("entity_too_large")
    return body


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request. Raises Refusal when it is too large, or does not come whole."""
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":  # what came so far may say something else
            raise Refusal("malformed_request")
        body += event.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise Refusal("entity_too_large")
        more = event.get("more_body", False)
    return body


def parse_form(body: bytes, headers: Headers, *, keep_empty: bool = False) -> Form:
    """A form body as name → values, in order: url-encoded, or multipart (W4).

    Empty values mean absent (W5) unless `keep_empty`. Raises Refusal when it is not UTF-8, has
    too many fields, or is no form.
    """
    boundary = _boundary(body, headers) if body.startswith(_UNUSUAL) else None
    try:
        if boundary is None:
            return _url_encoded(body, keep_empty=keep_empty)
        return _multipart(body, boundary, keep_empty=keep_empty)
    except UnicodeDecodeError:
        raise Refusal("malformed_request") from None


def _url_encoded(body: bytes, *, keep_empty: bool) -> Form:
    text = body.decode().replace("+", " ")
    # The escapes of numbers, URLs and plain sentences, replaced all at once: what they stand
    # for neither ends a field nor makes another escape. Only the others need a decoder.
    for escape, char in _PLAIN_ESCAPES:
        if "%" not in text:
            break
        text = text.replace(escape, char)
    pairs = text.split("&")
    if len(pairs) > FIELDS_MAX:
        raise Refusal("malformed_request")
    form: Form = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if "%" in pair:
            name, value = unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()
        if value or keep_empty:
            if name in form:
                form[name].append(value)
            else:
                form[name] = [value]
    return form


def _boundary(body: bytes, headers: Headers) -> bytes | None:
    """What separates the parts of a multipart form (RFC 7578), or None when it is none.

    Raises Refusal for JSON: no form begins like it, encoded as it should be.
    """
    kind = b""
    for name, value in headers:
        if name == b"content-type":
            kind = value
            break
    if not body.startswith(b"--"):
        is_json = b"json" in kind.lower()
        raise Refusal("unsupported_media_type" if is_json else "malformed_request")
    found = _MULTIPART.match(kind)
    return found[1] if found is not None else None


def _multipart(body: bytes, boundary: bytes, *, keep_empty: bool) -> Form:
    form: Form = {}
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary, FIELDS_MAX)
    if parts[0] or not parts[-1].startswith(b"--"):
        raise Refusal("malformed_request")
    for part in parts[1:-1]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if not blank or name is None:
            raise Refusal("malformed_request")
        if value or keep_empty:
            form.setdefault(name[1].decode(), []).append(value.decode())
    return form


def created_json(message: Message, account_sid: str, currency: str = CURRENCY) -> bytes:
    """The answer to a create: `message_json` of a message just born, but for `feedback`.

    A plain one is written out, because it is nearly every create; only its free text goes
    through an encoder.
    """
    if (
        message.status is not _QUEUED
        or message.service is not None
        or message.extras is not None
        or message.media
    ):
        shown = message_json(message, account_sid, currency)
        return encode(
            {**shown, "subresource_uris": {"media": f"{_uri(message, account_sid)}/Media.json"}}
        )
    assert message.body is not None
    assert message.from_ is not None
    assert message.to is not None
    body = encode(message.body.reveal()).decode()
    from_, to = message.from_.reveal(), message.to.reveal()  # in E.164
    date, sid, uri = rfc2822(message.created_ms), message.sid, _uri(message, account_sid)
    return (
        f'{{"account_sid":"{account_sid}","api_version":"{API_VERSION}","body":{body},'
        f'"date_created":"{date}","date_sent":null,"date_updated":"{date}",'
        f'"direction":"outbound-api","error_code":null,"error_message":null,"from":"{from_}",'
        f'"messaging_service_sid":null,"num_media":"0","num_segments":"{message.segments}",'
        f'"price":null,"price_unit":"{currency}","sid":"{sid}","status":"queued",'
        f'"subresource_uris":{{"media":"{uri}/Media.json"}},"to":"{to}","uri":"{uri}.json"}}'
    ).encode()


def _uri(message: Message, account_sid: str) -> str:
    return f"/2010-04-01/Accounts/{account_sid}/Messages/{message.sid}"


def message_json(message: Message, account_sid: str, currency: str = CURRENCY) -> dict[str, object]:
    """A message as Twilio shows it (twilio-messaging 5.2). `currency` is that of all prices.

    `tags` are there only if they were given.
    """
    uri = _uri(message, account_sid)
    error_code = message.error_code
    tags = extras_of(message.extras).tags
    shown: dict[str, object] = {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": message.body.reveal() if message.body is not None else "",
        "date_created": rfc2822(message.created_ms),
        "date_sent": rfc2822(message.sent_ms) if message.sent_ms is not None else None,
        "date_updated": rfc2822(message.updated_ms),
        "direction": message.direction,
        "error_code": error_code,
        "error_message": error_text(error_code) if error_code is not None else None,
        "from": _address(message.from_, message.from_shown) or None,
        "messaging_service_sid": message.service,
        "num_media": str(message.media),
        "num_segments": str(message.segments) if _has_sender(message) else "0",
        "price": _price(message.price),
        "price_unit": currency,
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"},
        "to": _address(message.to, message.to_shown),
        "uri": f"{uri}.json",
    }
    if tags is not None:
        shown["tags"] = msgspec.Raw(tags.encode())
    return shown


def _has_sender(message: Message) -> bool:
    """Was its sender chosen? Before, nobody counts its segments (5.6)."""
    chosen = message.from_ is not None or bool(message.from_shown)
    return chosen and message.status not in WAITING


def _price(price: int | None) -> str | None:
    return shown_cost(Decimal(price).scaleb(-PRICE_PLACES)) if price is not None else None


def history_json(message: Message, outcome: str | None) -> dict[str, object]:
    """What happened to a message, and what it waits for: more than Twilio's resource can say.

    `outcome` is the customer's feedback.
    """
    changes: list[dict[str, object]] = []
    for line in message.history.splitlines():
        fact, at_ms, code = line.split(" ")
        error_code = None if code == "-" else int(code)
        changes.append({"fact": fact, "at": iso8601(int(at_ms)), "error_code": error_code})
    return {
        "sid": message.sid,
        "status": message.status,
        "in_doubt": message.in_doubt,
        "finished": is_finished(message),
        "attempts": message.attempt,
        "expires_at": iso8601(message.expires_ms) if message.expires_ms else None,
        "feedback": outcome,
        "history": changes,
    }


def _address(live: Private | None, shown: str | None) -> str | None:
    return live.reveal() if live is not None else shown


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One JSON answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def respond_created(scope: Scope, send: Send, body: bytes) -> None:
    """The 201 of a create: at once where the connection can, else by `send`."""
    whole: Whole | None = scope.get(WHOLE)
    if whole is None or not whole.answer_whole(
        scope, _CREATED % (len(body), scope[REQUEST_ID], body)
    ):
        await respond(send, 201, body, [request_id_header(scope)])


def request_id_header(scope: Scope) -> tuple[bytes, bytes]:
    """What names this request in the answer and in the journal."""
    return REQUEST_ID_HEADER, scope[REQUEST_ID]


def refusal_headers(refusal: Refusal, scope: Scope | None = None) -> Headers:
    """What goes with an error: how to authenticate, who may try again, and when.

    `scope`: of the request; whoever came with a bearer token is told of tokens (RFC 6750, 3).
    """
    headers: Headers = []
    challenge = _challenge(refusal, scope)
    if challenge is not None:
        headers.append((b"www-authenticate", challenge))
    if isinstance(refusal, Unavailable):
        headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
    elif refusal.problem.status == 429:
        headers.append((b"retry-after", b"1"))
    return headers


def _challenge(refusal: Refusal, scope: Scope | None) -> bytes | None:
    problem = refusal.problem
    if scope is not None and _has_bearer(scope):
        if problem.status == 401:
            return b'Bearer realm="Twilio API", error="invalid_token"'
        if problem.name == _SCOPE_MISSING:
            return b'Bearer realm="Twilio API", error="insufficient_scope"'
        return None
    return b'Basic realm="Twilio API"' if problem.status == 401 else None


def _has_bearer(scope: Scope) -> bool:
    return any(
        name == b"authorization" and value[:7].lower() == b"bearer "
        for name, value in scope["headers"]
    )
