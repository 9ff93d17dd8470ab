"""What a body costs on the wire: encoding, segments, and smart encoding.

A body is GSM-7 when every character is in the GSM 03.38 basic or extension set, else UCS-2.
One segment holds 160 septets or 70 UTF-16 code units; of a longer body, each part holds 153 or
67 (a header takes the rest). National language shift tables are used only when they are asked
for, and only for a body that would be UCS-2 without them; a longer header names them. Source:
3GPP TS 23.038 6.2.1, twilio-messaging 5.9.
"""

import re
from collections.abc import Collection, Sequence
from typing import Final, Literal
from unicodedata import category

from hushwire.domain.shift_tables import (
    ESCAPE,
    GSM_BASIC,
    GSM_EXTENSION,
    Alphabet,
    Language,
    alphabets,
)

Encoding = Literal["GSM-7", "UCS-2"]

BODY_MAX: Final = 1600  # of `body_units`

_BASIC = re.compile(f"[{re.escape(GSM_BASIC)}]*\\Z")
_GSM = re.compile(f"[{re.escape(GSM_BASIC + GSM_EXTENSION)}]*\\Z")


def encoding_of(body: str, shift: Collection[Language] = ()) -> Encoding:
    """How `body` goes over the wire; `shift` names languages whose shift tables may be used."""
    if _GSM.match(body) is not None or (shift and _fitting(body, shift)):
        return "GSM-7"
    return "UCS-2"


def body_units(body: str) -> int:
    """Length against the limit of 1,600: UTF-16 code units, so an emoji counts two or more."""
    if body.isascii():
        return len(body)
    return len(body.encode("utf-16-le", "surrogatepass")) >> 1


def segments(body: str, shift: Collection[Language] = ()) -> int:
    """How many segments `body` takes; an empty body takes one. `shift` as in `encoding_of`.

    What is one character to a reader (an extension character, a surrogate pair, an emoji of
    several code points, a letter with its marks) moves whole to the next segment; CRLF is two
    characters. Graphemes follow UAX 29 extended clusters without rule GB9c (Indic conjuncts).
    """
    if _BASIC.match(body) is not None:
        chars = len(body)
        return 1 if chars <= 160 else -(-chars // 153)
    if _GSM.match(body) is not None:
        return _gsm_segments(body)
    if shift:
        counts = [_shifted_segments(body, alphabet) for alphabet in _fitting(body, shift)]
        if counts:
            return min(counts)
    return _ucs2_segments(body)


def _gsm_segments(body: str) -> int:
    septets = body  # written a character per septet, with its escapes; no body holds one itself
    for char in GSM_EXTENSION:
        septets = septets.replace(char, ESCAPE + char)
    end = len(septets)
    if end <= 160:
        return 1
    at = count = 0
    while at < end:
        at += 153
        if at < end and septets[at - 1] == ESCAPE:
            at -= 1
        count += 1
    return count


def _fitting(body: str, shift: Collection[Language]) -> list[Alphabet]:
    """What can write `body`: for each locking table, the alphabet with the most room."""
    chars = frozenset(body)
    found: dict[Language | None, Alphabet] = {}
    for alphabet in alphabets(frozenset(shift)):
        if alphabet.locking not in found and chars - alphabet.plain <= alphabet.escaped:
            found[alphabet.locking] = alphabet
    return list(found.values())


def _shifted_segments(body: str, alphabet: Alphabet) -> int:
    costs = [1 if char in alphabet.plain else 2 for char in body]
    if sum(costs) <= alphabet.room:
        return 1
    at = count = 0
    while at < len(body):
        at = _shifted_end(body, costs, at, alphabet.part_room)
        count += 1
    return count


def _shifted_end(body: str, costs: Sequence[int], at: int, room: int) -> int:
    """Where the part that starts at `at` ends: after `room` septets at most."""
    end = at
    while end < len(body) and costs[end] <= room:
        room -= costs[end]
        end += 1
    return _between_graphemes(body, at, end)


def _ucs2_segments(body: str) -> int:
    if body_units(body) <= 70:
        return 1
    at = count = 0
    while at < len(body):
        at = _part_end(body, at)
        count += 1
    return count


def _part_end(body: str, at: int) -> int:
    """Where the part that starts at `at` ends: after 67 units at most, between graphemes."""
    end = min(at + 67, len(body))
    units = body_units(body[at:end])
    while units > 67:
        end -= 1
        units -= 2 if body[end] > "\uffff" else 1
    return _between_graphemes(body, at, end)


def _between_graphemes(body: str, at: int, fit: int) -> int:
    """The last end up to `fit` of a part from `at` that splits no grapheme."""
    end = fit
    while end > at and end < len(body) and _is_joined(body, end):
        end -= 1
    return end if end > at else fit  # a grapheme larger than a part has to be split


# --- Graphemes: UAX 29, rules GB3 to GB13, asked of one place at a time ---------------------

_ZWJ = "\u200d"
_JOINERS = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")  # join to the left, yet no marks
_TONES = ("\U0001f3fb", "\U0001f3ff")
_FLAGS = ("\U0001f1e6", "\U0001f1ff")
_TAGS = ("\U000e0020", "\U000e007f")
_LONE_MARKS = frozenset(  # spacing marks that UAX 29 leaves out of the cluster before them
    "\u102b\u102c\u1038\u1062\u1063\u1064\u1067\u1068\u1069\u106a\u106b\u106c\u106d\u1083"
    "\u1087\u1088\u1089\u108a\u108b\u108c\u108f\u109a\u109b\u109c\u1a61\u1a63\u1a64\uaa7b"
    "\uaa7d\U00011720\U00011721"
)
_PREPENDED = frozenset(  # join to the right
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
    "\U000110bd\U000110cd\U000111c2\U000111c3\U0001193f\U00011941\U00011a84\U00011a85"
    "\U00011a86\U00011a87\U00011a88\U00011a89\U00011d46"
)


def _is_joined(text: str, at: int) -> bool:
    """Are the characters before and after place `at` (0 < at < len) one grapheme?"""
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return False
    if _is_control(before) or _is_control(after):
        return False
    if _is_extending(after) or before in _PREPENDED:
        return True
    if _FLAGS[0] <= after <= _FLAGS[1]:
        return _flags_before(text, at) % 2 == 1
    if before == _ZWJ:
        return _is_pictograph(after) and _is_pictograph(_base_before(text, at - 1))
    return _is_hangul_pair(before, after)


def _is_control(char: str) -> bool:
    kind = category(char)
    if kind == "Cf":
        return not (char in _JOINERS or char in _PREPENDED or _TAGS[0] <= char <= _TAGS[1])
    return kind in ("Cc", "Cs", "Zl", "Zp")


def _is_extending(char: str) -> bool:
    if char in _JOINERS or _TONES[0] <= char <= _TONES[1] or _TAGS[0] <= char <= _TAGS[1]:
        return True
    return category(char)[0] == "M" and char not in _LONE_MARKS


def _is_pictograph(char: str) -> bool:
    """Extended_Pictographic, by category and block: the property is not in `unicodedata`."""
    if "\U0001f000" <= char <= "\U0001faff":
        return not (_FLAGS[0] <= char <= _FLAGS[1] or _TONES[0] <= char <= _TONES[1])
    return category(char) == "So" or char in "‼⁉↔"


def _flags_before(text: str, at: int) -> int:
    start = at
    while start > 0 and _FLAGS[0] <= text[start - 1] <= _FLAGS[1]:
        start -= 1
    return at - start


def _base_before(text: str, at: int) -> str:
    """The character that the marks before place `at` sit on; an ASCII one when there is none."""
    while at > 0:
        at -= 1
        if not _is_extending(text[at]):
            return text[at]
    return " "


def _is_hangul_pair(before: str, after: str) -> bool:
    left, right = _hangul(before), _hangul(after)
    match left:
        case "L":
            return right in ("L", "V", "LV", "LVT")
        case "V" | "LV":
            return right in ("V", "T")
        case "T" | "LVT":
            return right == "T"
        case _:
            return False


def _hangul(char: str) -> str:
    """Hangul_Syllable_Type, or "" outside Hangul."""
    if "가" <= char <= "힣":
        return "LV" if (ord(char) - ord("가")) % 28 == 0 else "LVT"
    if "\u1100" <= char <= "\u115f" or "\ua960" <= char <= "\ua97c":
        return "L"
    if "\u1160" <= char <= "\u11a7" or "\ud7b0" <= char <= "\ud7c6":
        return "V"
    if "\u11a8" <= char <= "\u11ff" or "\ud7cb" <= char <= "\ud7fb":
        return "T"
    return ""


# --- Smart encoding: look-alikes that keep a body in GSM-7 (twilio-messaging 5.9) -----------
#
# Twilio's calculator turns ‹ into > and › into <; here each keeps its direction. It writes two
# spaces for most wide or unbreakable ones; here a space stays one.

_LOOK_ALIKES: Final = {
    '"': "00AB 00BB 201C 201D 02BA 02EE 201F 201E 275D 275E 301D 301E FF02",
    "'": "2018 2019 02BB 02C8 02BC 02BD 02B9 201B FF07 00B4 02CA 0060 02CB 275B 275C 0313 0314"
    " FE10 FE11",
    "-": "23BC 23BD 2015 FE63 FF0D 2010 2043 2014 2013 2022",
    "...": "2026",
    "!!": "203C",
    "1/4": "00BC",
    "1/2": "00BD",
    "3/4": "00BE",
    "/": "00F7 29F8 0337 0338 2044 2215 FF0F",
    "\\": "29F9 29F5 20E5 FE68 FF3C",
    "_": "0332 FF3F 2017",
    "|": "20D2 20D3 2223 FF5C 23B8 23B9 23D0 239C 239F",
    ",": "201A 0326 FE50 FE51 FF0C FF64 3001",
    ".": "3002 FE52 FF0E FF61",
    ":": "02D0 02F8 2982 A789 FE13 FF1A",
    ";": "204F FE14 FE54 FF1B",
    "*": "204E 2217 229B 2722 2723 2724 2725 2731 2732 2733 273A 273B 273C 273D 2743 2749 274A"
    " 274B 29C6 FE61 FF0A",
    "<": "FE64 FF1C 2039",
    ">": "FE65 FF1E 203A",
    "=": "0347 A78A FE66 FF1D",
    "+": "02D6 FE62 FF0B",
    "(": "2768 276A FE59 FF08 27EE 2985",
    ")": "2769 276B FE5A FF09 27EF 2986",
    "[": "FF3B",
    "]": "FF3D",
    "{": "2774 FE5B FF5B",
    "}": "2775 FE5C FF5D",
    "@": "FE6B FF20",
    "$": "FE69 FF04",
    "!": "01C3 FE15 FE57 FF01",
    "#": "FE5F FF03",
    "%": "FE6A FF05",
    "&": "FE60 FF06",
    "?": "FE16 FE56 FF1F",
    "^": "02C6 0302 FF3E 1DCD",
    "~": "02DC 02F7 0303 0330 0334 223C FF5E",
    " ": "00A0 2000 2001 2002 2003 2004 2005 2006 2007 2008 2009 200A 202F 205F 3000 2028 2029"
    " 008D 009F 0080 0090 009B",
    " " * 7: "0009",
    "": "0000 0003 0004 0010 0011 0012 0013 0014 0017 0019 2060 200B FEFF",
}
_SMALL_CAPITALS: Final = {
    "ᴀ": "A", "ʙ": "B", "ᴄ": "C", "ᴅ": "D", "ᴇ": "E", "ꜰ": "F", "ɢ": "G", "ʜ": "H", "ɪ": "I",
    "ᴊ": "J", "ᴋ": "K", "ʟ": "L", "ᴍ": "M", "ɴ": "N", "ᴏ": "O", "ᴘ": "P", "ʀ": "R", "ꜱ": "S",
    "ᴛ": "T", "ᴜ": "U", "ᴠ": "V", "ᴡ": "W", "ʏ": "Y", "ᴢ": "Z",
}  # fmt: skip
_FULL_WIDTH: Final = {
    chr(ord(char) + 0xFEE0): char for char in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
}

_SMART = str.maketrans(
    {chr(int(code, 16)): to for to, codes in _LOOK_ALIKES.items() for code in codes.split()}
    | _SMALL_CAPITALS
    | _FULL_WIDTH
)


def smart_encode(body: str) -> str:
    """`body` with look-alikes of GSM-7 characters replaced; what has none stays as it is."""
    return body.translate(_SMART)
