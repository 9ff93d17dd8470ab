"""TwiML: what a customer answers to an inbound message (twilio-messaging 6.7).

An answer is read into verbs that the caller carries out in order. What is wrong with it is a
number, for the alert (3.6), and a line: never a word of the answer.
"""

import re
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.markup import CODECS, Element, Unreadable, read_xml
from hushwire.domain.text import BODY_MAX, body_units
from hushwire.private import Private

BYTES_MAX: Final = 65_536
REPLIES_MAX: Final = 10  # to one inbound message, in all its documents (6.8)
MEDIA_MAX: Final = 10
DOCUMENTS_MAX: Final = 50  # to one inbound message, by <Redirect> and `action` (14106)

TOO_LARGE: Final = 11750
MALFORMED: Final = 12100
WRONG_VERSION: Final = 12101
NO_RESPONSE: Final = 12102
SCHEMA: Final = 12200
WRONG_TYPE: Final = 12300
BAD_BODY: Final = 14103
BAD_METHOD: Final = 14104
TOO_MANY_DOCUMENTS: Final = 14106
TOO_MANY_REPLIES: Final = 14109
UNKNOWN_VERB: Final = 14110
TOO_MANY_MEDIA: Final = 21623  # 14xxx has no code of its own for it

ALERTS: Final = {  # problems of errors.toml → the alert when a <Message> meets them (3.6)
    "to_invalid": 14101, "from_invalid": 14102, "from_not_owned": 14102,
    "from_not_sms_capable": 14108, "status_callback_invalid": 14105, "unverified": 14111,
}  # fmt: skip

_MARKUP = frozenset({"text/xml", "application/xml", "text/html"})
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)

_MESSAGE_ATTRIBUTES = frozenset({"to", "from", "action", "method", "statusCallback"})
_REDIRECT_ATTRIBUTES = frozenset({"method"})
_NONE: Final[frozenset[str]] = frozenset()

Method = Literal["GET", "POST"]


class SendReply(Struct, frozen=True):
    """`<Message>`, or a plain text. None: to who wrote, from the number that was written to.

    URLs may be relative to the document's own.
    """

    to: Private | None = None
    from_: Private | None = None
    text: Private | None = None  # None when there are only media
    media_urls: tuple[Private, ...] = ()
    action: Private | None = None  # called when the message is made; its answer goes on from here
    method: Method = "POST"  # of `action`
    status_callback: Private | None = None


class Redirect(Struct, frozen=True):
    """`<Redirect>`: the answer goes on in another document; this one ends here."""

    url: Private  # may be relative; empty is the document itself
    method: Method = "POST"


class TwimlWarning(Struct, frozen=True):
    """Something that was left out of an answer, or ignored in it."""

    code: int
    line: int  # of the answer, from 1


class TwimlProblem(Struct, frozen=True):
    """Why nothing of an answer can be carried out."""

    code: int
    line: int | None = None


class Reply(Struct, frozen=True):
    """An answer. Of each kind of warning there is only the first."""

    verbs: tuple[SendReply | Redirect, ...] = ()
    warnings: tuple[TwimlWarning, ...] = ()


def read_answer(
    content_type: str, body: bytes, replies_left: int = REPLIES_MAX
) -> Reply | TwimlProblem:
    """Read the 2xx answer to an inbound webhook. Never raises.

    `content_type` is the header as it came, empty when there is none. `replies_left`: how many
    more messages this inbound message may lead to.
    """
    if len(body) > BYTES_MAX:
        return TwimlProblem(TOO_LARGE)
    if not body.strip():
        return Reply()
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "text/plain" and media_type not in _MARKUP:
        return TwimlProblem(WRONG_TYPE)
    charset = _CHARSET.search(content_type)
    codec = CODECS.get(charset[1].lower()) if charset is not None else None
    if charset is not None and codec is None:
        return TwimlProblem(WRONG_TYPE)
    notes = _Notes()
    if media_type == "text/plain":
        text = body.decode(codec or "utf-8", "replace").removeprefix("\ufeff")
        message = Element("Message", {}, 1, [text])
        return Reply(_verbs([message], replies_left, notes), notes.all())
    root = read_xml(body, codec)
    if isinstance(root, Unreadable):
        return TwimlProblem(WRONG_VERSION if root.version else MALFORMED, root.line)
    if root.name != "Response":
        return TwimlProblem(NO_RESPONSE, root.line)
    if root.attributes or root.own_text():
        notes.add(SCHEMA, root.line)
    return Reply(_verbs(root.children, replies_left, notes), notes.all())


class _Notes:
    """The warnings of one answer: the first of each code."""

    def __init__(self) -> None:
        self._lines: dict[int, int] = {}

    def add(self, code: int, line: int) -> None:
        self._lines.setdefault(code, line)

    def all(self) -> tuple[TwimlWarning, ...]:
        return tuple(TwimlWarning(code, line) for code, line in self._lines.items())


def _verbs(
    elements: list[Element], replies_left: int, notes: _Notes
) -> tuple[SendReply | Redirect, ...]:
    verbs: list[SendReply | Redirect] = []
    for element in elements:
        if element.name == "Redirect":
            _check_attributes(element, _REDIRECT_ATTRIBUTES, notes)
            verbs.append(Redirect(Private(element.own_text()), _method(element, notes)))
            break  # what follows is never reached
        if element.name not in ("Message", "Sms"):
            notes.add(UNKNOWN_VERB, element.line)
            continue
        reply = _message(element, notes)
        if reply is None:
            continue
        if replies_left <= 0:
            notes.add(TOO_MANY_REPLIES, element.line)
            continue
        replies_left -= 1
        verbs.append(reply)
    return tuple(verbs)


def _message(element: Element, notes: _Notes) -> SendReply | None:
    """One `<Message>`, or None when it has nothing that can be sent.

    Its own text and each `<Body>` are paragraphs of one body.
    """
    _check_attributes(element, _MESSAGE_ATTRIBUTES, notes)
    texts = [element.own_text()]
    media: list[Private] = []
    for noun in element.children:
        _check_attributes(noun, _NONE, notes)
        if noun.children:
            notes.add(SCHEMA, noun.line)
        content = noun.own_text()
        if noun.name == "Body":
            texts.append(content)
        elif noun.name == "Media" and content:
            media.append(Private(content))
        else:
            notes.add(SCHEMA, noun.line)
    text = "\n".join(filter(None, texts))
    if not (text or media) or body_units(text) > BODY_MAX:
        notes.add(BAD_BODY, element.line)
        return None
    if len(media) > MEDIA_MAX:
        notes.add(TOO_MANY_MEDIA, element.line)
        return None
    return SendReply(
        to=_attribute(element, "to"),
        from_=_attribute(element, "from"),
        text=Private(text) if text else None,
        media_urls=tuple(media),
        action=_attribute(element, "action"),
        method=_method(element, notes),
        status_callback=_attribute(element, "statusCallback"),
    )


def _attribute(element: Element, name: str) -> Private | None:
    value = element.attributes.get(name, "").strip()
    return Private(value) if value else None


def _method(element: Element, notes: _Notes) -> Method:
    method = element.attributes.get("method", "POST").strip().upper()
    if method == "GET":
        return "GET"
    if method != "POST":
        notes.add(BAD_METHOD, element.line)
    return "POST"


def _check_attributes(element: Element, known: frozenset[str], notes: _Notes) -> None:
    if not element.attributes.keys() <= known:
        notes.add(SCHEMA, element.line)
