"""Media: the files a message may carry, and how they are told apart (twilio-messaging 5.7).

What a file is says its first bytes, never its name; what its server says of it must agree.
Pure; the file is only looked at, never decoded.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.address import country_of
from hushwire.domain.privacy import Windows
from hushwire.domain.routing import MMS_COUNTRIES
from hushwire.private import Private

COUNT_MAX: Final = 10  # of one message
MESSAGE_MAX: Final = 5 * 1024 * 1024  # bytes of all files of a message together
IMAGE_MAX: Final = MESSAGE_MAX  # of a jpeg, png or gif
OTHER_MAX: Final = 500 * 1024

RETRIEVAL_ERROR: Final = 11200
TOO_LARGE_ERROR: Final = 11751
TYPE_ERROR: Final = 12300

SECOND: Final = 1000

MediaKind = Literal["mms", "link", "inbound"]

_SHOWN_WELL: Final = frozenset({"image/jpeg", "image/png", "image/gif"})
_UNKNOWN: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_BOM: Final = b"\xef\xbb\xbf"
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FTYP: Final = rb".{4}ftyp"


class Medium(Struct, frozen=True, array_like=True):
    """A file of a message, as the store knows it. Nothing of it is private but the file."""

    sid: str
    record: int  # the message's key
    account_id: int
    position: int  # among the media of its message, from 0
    content_type: str
    size: int  # bytes
    name: str  # of its object; chance
    key_ref: int  # vault key that opens the object
    created_ms: int


class Format(Struct, frozen=True):
    """A kind of file that is accepted."""

    content_type: str  # how it is served, unless its server said one of the others
    suffix: str  # of the name it is served under
    begins: re.Pattern[bytes]
    names: frozenset[str]  # every type that a server may call it
    text: bool = False


def _format(
    content_type: str, suffix: str, begins: bytes, *names: str, text: bool = False
) -> Format:
    pattern = re.compile(begins, re.DOTALL | (re.IGNORECASE if text else re.NOFLAG))
    return Format(content_type, suffix, pattern, frozenset({content_type, *names}), text)


# The types Twilio accepts, where the first bytes tell them. A file is the first that fits it.
FORMATS: Final = (
    _format("image/jpeg", "jpg", rb"\xff\xd8\xff", "image/jpg", "image/pjpeg"),
    _format("image/png", "png", rb"\x89PNG\r\n\x1a\n"),
    _format("image/gif", "gif", rb"GIF8[79]a"),
    _format("image/bmp", "bmp", rb"BM.{4}\0{4}", "image/x-ms-bmp"),
    _format("image/tiff", "tiff", rb"II\*\0|MM\0\*"),
    _format("video/quicktime", "mov", _FTYP + rb"qt  "),
    _format("video/3gpp", "3gp", _FTYP + rb"3g[ehprs]", "audio/3gpp"),
    _format("video/3gpp2", "3g2", _FTYP + rb"3g2", "audio/3gpp2"),
    _format("audio/mp4", "m4a", _FTYP + rb"M4[AB] ", "audio/x-m4a", "audio/m4a"),
    _format("video/mp4", "mp4", _FTYP, "audio/mp4"),
    _format("video/webm", "webm", rb"\x1a\x45\xdf\xa3", "audio/webm"),
    _format("video/mpeg", "mpg", rb"\0\0\x01[\xb3\xba]"),
    _format("audio/mpeg", "mp3", rb"ID3|\xff[\xfa\xfb\xf2\xf3\xe2\xe3]", "audio/mp3"),
    _format("audio/ogg", "ogg", rb"OggS", "application/ogg", "video/ogg"),
    _format("audio/amr", "amr", rb"#!AMR", "audio/amr-nb"),
    _format("audio/vnd.wave", "wav", rb"RIFF.{4}WAVE", "audio/wav", "audio/x-wav", "audio/wave"),
    _format("audio/basic", "au", rb"\.snd"),
    _format("audio/ac3", "ac3", rb"\x0b\x77"),
    _format("application/pdf", "pdf", rb"%PDF-"),
    _format("application/vnd.apple.pkpass", "pkpass", rb"PK\x03\x04"),
    _format(
        "text/vcard", "vcf", rb"BEGIN:VCARD\s", "text/x-vcard", "text/directory",
        "application/vcard", text=True,
    ),
    _format("text/calendar", "ics", rb"BEGIN:VCALENDAR\s", text=True),
    _format("text/rtf", "rtf", rb"\{\\rtf", "application/rtf", "text/richtext", text=True),
    _format("text/csv", "csv", rb"(?!\s*<)", text=True),
)  # fmt: skip
# Their beginning is not theirs alone: they are what their server calls them, or nothing.
_MUST_BE_NAMED: Final = frozenset({"application/vnd.apple.pkpass", "text/csv", "audio/ac3"})


def recognise(declared: str, content: bytes) -> str | None:
    """The content type to serve `content` with, or None when it is not accepted.

    `declared` is its server's Content-Type. It must be a name of what the content is; where it
    says nothing, the content alone decides.
    """
    named = declared.partition(";")[0].strip().lower()
    kind = next((kind for kind in FORMATS if _is(kind, content)), None)
    if kind is None:
        return None
    if named in _UNKNOWN:
        return kind.content_type if kind.content_type not in _MUST_BE_NAMED else None
    if named not in kind.names:
        return None
    return named if named in _OWN_NAMES else kind.content_type


# What else a server may call a file, if it knows better than the first bytes do.
_OWN_NAMES: Final = frozenset(
    {"audio/3gpp", "audio/3gpp2", "audio/mp4", "audio/webm", "text/x-vcard", "text/directory"}
)


def _is(kind: Format, content: bytes) -> bool:
    if not kind.text:
        return kind.begins.match(content) is not None
    body = content.removeprefix(_BOM)
    return kind.begins.match(body) is not None and _is_text(body)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return _CONTROLS.search(body) is None


def size_max(content_type: str) -> int:
    """How many bytes a file of that type may have."""
    return IMAGE_MAX if content_type in _SHOWN_WELL else OTHER_MAX


def file_name(medium: Medium) -> str:
    """The name a medium is served under: ours, never one that came with it."""
    kinds = (kind.suffix for kind in FORMATS if medium.content_type in kind.names)
    return f"{medium.sid}.{next(kinds, 'bin')}"


def takes_mms(from_: str, to: str) -> bool:
    """Do media go from `from_` to `to` (E.164) as they are? Else the text gets links to them."""
    return not re.search("[A-Za-z]", from_) and country_of(to) in MMS_COUNTRIES


def as_link(body: str, urls: Sequence[str]) -> str:
    """The text for who cannot take media: a link to each, in a line of its own."""
    return "\n".join((body, *urls) if body else urls)


def kind_of(to: Private | None, *, inbound: bool) -> MediaKind:
    """How media go: as they are, as a link, or they came to us."""
    if inbound:
        return "inbound"
    return "link" if to is not None and country_of(to.reveal()) not in MMS_COUNTRIES else "mms"


def hold_ms(kind: MediaKind, windows: Windows) -> int:
    """How long media that are to be forgotten outlive their message's way (section 8.4)."""
    match kind:
        case "mms":
            return windows.media_us_ca * SECOND
        case "link":
            return windows.media_link * SECOND
        case "inbound":
            return windows.media_inbound * SECOND
