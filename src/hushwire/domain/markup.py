"""XML from outside, read into a tree that is small whatever comes.

The parser is the standard library's expat. A handler stops it at a document type declaration,
so that no entity is ever declared and nothing is fetched or expanded: another package would do
the same with the same handlers. It is given text that is decoded and bounded already, so that
nothing in the document picks a codec.
"""

import re
from typing import Final
from xml.parsers.expat import ExpatError, ParserCreate

from msgspec import Struct, field

DEPTH_MAX: Final = 16
ELEMENTS_MAX: Final = 1_000
ATTRIBUTES_MAX: Final = 32  # of one element

CODECS: Final = {  # charsets, in small letters, that are read
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii",
    "iso-8859-1": "latin-1", "latin1": "latin-1", "windows-1252": "cp1252",
    "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip
_DECLARED = re.compile(rb"<\?xml\s[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")


class Element(Struct):
    """A part of a document."""

    name: str
    attributes: dict[str, str]
    line: int  # from 1
    texts: list[str] = field(default_factory=list[str])
    children: list["Element"] = field(default_factory=list["Element"])

    def own_text(self) -> str:
        """Its text without that of its children; the layout around it does not count."""
        return "".join(self.texts).strip()


class Unreadable(Struct, frozen=True):
    """Not XML 1.0, or more of it than is read."""

    line: int | None
    version: bool = False  # it is of another version of XML


class _Stop(Exception):  # ends the parser at once when a handler raises it
    def __init__(self, why: Unreadable) -> None:
        super().__init__()
        self.why = why


def read_xml(body: bytes, codec: str | None = None) -> Element | Unreadable:
    """The root element of a document. Never raises; the time is linear in the size of `body`.

    `codec`: what the transport says of the text, as a value of CODECS. It wins over what the
    document says (RFC 7303).
    """
    try:
        return _parse(_decoded(body, codec))
    except UnicodeError:
        return Unreadable(None)
    except ExpatError as error:
        return Unreadable(error.lineno)
    except _Stop as stop:
        return stop.why


def _decoded(body: bytes, codec: str | None) -> str:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16"
    elif codec is None:
        declared = _DECLARED.match(body.removeprefix(b"\xef\xbb\xbf"))
        name = declared[1].decode("ascii").lower() if declared is not None else "utf-8"
        if name not in CODECS or "16" in name:  # it could not be read here, were it UTF-16
            raise UnicodeError
        codec = CODECS[name]
    return body.decode(codec).removeprefix("\ufeff")


def _parse(text: str) -> Element:
    """The document's root. Raises ExpatError when it is not well formed, or _Stop."""
    parser = ParserCreate()
    parser.buffer_text = True
    top = Element("", {}, 0)
    path = [top]
    count = 0

    def declared(version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0":
            raise _Stop(Unreadable(1, version=True))

    def refuse(*_: object) -> None:
        raise _Stop(Unreadable(parser.CurrentLineNumber))

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > ELEMENTS_MAX or len(path) > DEPTH_MAX or len(attributes) > ATTRIBUTES_MAX:
            refuse()
        element = Element(name, attributes, parser.CurrentLineNumber)
        path[-1].children.append(element)
        path.append(element)

    def end(name: str) -> None:
        path.pop()

    def characters(data: str) -> None:
        path[-1].texts.append(data)

    parser.XmlDeclHandler = declared
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.Parse(text, True)  # text, so that expat takes it for UTF-8 whatever it says
    return top.children[0]
