"""Content templates: what they may hold, and how one becomes a message (twilio-messaging 7.8).

A template has the same content in several types, for several channels. Text, media and quick
replies can be sent; the other types are kept and given back as they came, for who reads them.

In a text message there are no buttons: under the text stand the replies, each on a line of its
own after a dash, so that a person can write the one they mean.
"""

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from hushwire.domain.address import Channel
from hushwire.domain.text import BODY_MAX, body_units
from hushwire.errors import Refusal
from hushwire.private import Private

SendableType = Literal["twilio/text", "twilio/media", "twilio/quick-reply"]

STORED_ONLY: Final = frozenset(
    {"twilio/location", "twilio/list-picker", "twilio/call-to-action", "twilio/card",
     "twilio/catalog", "twilio/carousel", "twilio/flows", "twilio/schedule", "whatsapp/card",
     "whatsapp/authentication", "whatsapp/flows"}
)  # fmt: skip
TITLE_MAX: Final = 25  # of a quick reply: WhatsApp's limit

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_]{1,64})\s*\}\}")

_Body = Annotated[str, Meta(min_length=1, max_length=BODY_MAX)]
_Title = Annotated[str, Meta(min_length=1, max_length=BODY_MAX)]  # measured when it is filled in


class Action(Struct, frozen=True, forbid_unknown_fields=True):
    """One button of a quick reply. `id` comes back as `ButtonPayload`."""

    title: _Title
    id: Annotated[str, Meta(max_length=200)] | None = None
    type: Literal["QUICK_REPLY"] | None = None


class _Text(Struct, frozen=True, forbid_unknown_fields=True):
    body: _Body


class _Media(Struct, frozen=True, forbid_unknown_fields=True):
    media: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)]
    body: _Body | None = None


class _QuickReply(Struct, frozen=True, forbid_unknown_fields=True):
    body: Annotated[str, Meta(min_length=1, max_length=1_024)]
    actions: Annotated[tuple[Action, ...], Meta(min_length=1, max_length=10)]


_SHAPES: Final[dict[SendableType, type[_Text | _Media | _QuickReply]]] = {
    "twilio/text": _Text, "twilio/media": _Media, "twilio/quick-reply": _QuickReply,
}  # fmt: skip
# What says most comes first; a phone without a channel of its own has no buttons.
_SMS_ORDER: Final[tuple[SendableType, ...]] = ("twilio/media", "twilio/text", "twilio/quick-reply")
_CHANNEL_ORDER: Final[tuple[SendableType, ...]] = (
    "twilio/quick-reply", "twilio/media", "twilio/text",
)  # fmt: skip


class Content(Struct, frozen=True):
    """A template as it was given. Nothing in it is a person's."""

    language: str
    types: dict[str, Raw]  # JSON of each type
    variables: dict[str, str] = {}  # name → value when the message gives none
    friendly_name: str | None = None


class Rendered(Struct, frozen=True):
    """A template filled in for one message."""

    type: SendableType
    text: Private | None
    media_urls: tuple[Private, ...] = ()
    replies: tuple[
        tuple[Private, Private | None], ...
    ] = ()  # title and id, where there are buttons


class _Request(Struct, frozen=True, forbid_unknown_fields=True):
    language: Annotated[str, Meta(min_length=2, max_length=16)]
    types: dict[str, Raw]
    variables: dict[str, str] | None = None
    friendly_name: Annotated[str, Meta(max_length=64)] | None = None


def read_content(body: bytes) -> Content:
    """The template in the JSON body of a create or update. Types that are null are not there.

    Raises Refusal (`content_invalid`), which says what is wrong where.
    """
    try:
        request = msgspec.json.decode(body, type=_Request)
        types = {
            name: value.copy() for name, value in request.types.items() if bytes(value) != b"null"
        }
        reasons = [_fault(name, value) for name, value in types.items()]
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Refusal("content_invalid", reason=str(error)) from None
    for reason in reasons:
        if reason is not None:
            raise Refusal("content_invalid", reason=reason)
    if not types:
        raise Refusal("content_invalid", reason="types is empty")
    return Content(request.language, types, request.variables or {}, request.friendly_name)


def _fault(name: str, value: Raw) -> str | None:
    """What is wrong with one type of a template. Raises ValidationError for its shape."""
    if name in STORED_ONLY:
        msgspec.json.decode(value, type=dict[str, Raw])
        return None
    if name not in _SHAPES:
        return "types has a name that is no type"
    shape = msgspec.json.decode(value, type=_SHAPES[name])
    if isinstance(shape, _QuickReply):
        titles = (_PLACEHOLDER.sub("", action.title) for action in shape.actions)
        if any(len(title) > TITLE_MAX for title in titles):
            return f"a title has more than {TITLE_MAX} characters"
    return None


def read_variables(text: Private) -> dict[str, Private]:
    """`ContentVariables`: a JSON object of strings. Raises Refusal (21656)."""
    try:
        values = msgspec.json.decode(text.reveal(), type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError):
        raise Refusal("content_variables_invalid") from None  # the reason would quote it
    return {name: Private(value) for name, value in values.items()}


def render(content: Content, values: dict[str, Private], channel: Channel = "sms") -> Rendered:
    """The message of a template. `values` come before the template's own.

    Raises Refusal: no type that can be sent (21655), a placeholder without any value (21656),
    a reply that is too long (21658), a text that is too long or empty (21617, 21602).
    """
    kind = _kind(content, channel)
    if kind is None:
        raise Refusal("content_sid_invalid")
    filler = _Filler({name: Private(value) for name, value in content.variables.items()} | values)
    shape = msgspec.json.decode(content.types[kind], type=_SHAPES[kind])
    media: tuple[Private, ...] = ()
    replies: tuple[tuple[Private, Private | None], ...] = ()
    text = filler.fill(shape.body) if shape.body is not None else ""
    if isinstance(shape, _Media):
        media = tuple(Private(filler.fill(url)) for url in shape.media)
    elif isinstance(shape, _QuickReply):
        replies = tuple(_reply(action, filler) for action in shape.actions)
        if channel == "sms":
            text = "\n".join([text, *(f"- {title.reveal()}" for title, _ in replies)])
            replies = ()
    if body_units(text) > BODY_MAX:
        raise Refusal("body_too_long")
    if not text.strip() and not media:
        raise Refusal("no_content")
    return Rendered(kind, Private(text) if text else None, media, replies)


def _kind(content: Content, channel: Channel) -> SendableType | None:
    kinds = _SMS_ORDER if channel == "sms" else _CHANNEL_ORDER
    for kind in kinds:
        if content.types.get(kind) is not None:
            return kind
    return None


class _Filler:
    """Puts values into places, once: what looks like a place within a value stays."""

    def __init__(self, values: dict[str, Private]) -> None:
        self._values = values

    def fill(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._value, text)

    def _value(self, place: re.Match[str]) -> str:
        value = self._values.get(place[1])
        if value is None:  # nobody should be sent `{{1}}`
            raise Refusal("content_variables_invalid")
        return value.reveal()


def _reply(action: Action, filler: _Filler) -> tuple[Private, Private | None]:
    title = filler.fill(action.title)
    if not 1 <= len(title) <= TITLE_MAX:
        raise Refusal("content_too_long")
    return Private(title), Private(filler.fill(action.id)) if action.id is not None else None
