"""Tables of the GSM 7 bit alphabet: the default one, its extension, and those of languages.

A locking shift table stands in for the default alphabet, a single shift table for the
extension; a message may use one of each, and names them in its user data header. Sources:
3GPP TS 23.038 6.2.1, A.2, A.3; TS 23.040 9.2.3.24.15 and 16 (the header). In A.3.7 a slip of
the standard is corrected, as Android does: 0x24 is the letter DDA of Kannada, not PA again.
"""

from functools import cache
from typing import Final, Literal, get_args

from msgspec import Struct

# In the order of their National Language Identifiers, from 1 (TS 23.038 6.2.1.2.4).
Language = Literal[
    "turkish", "spanish", "portuguese", "bengali", "gujarati", "hindi", "kannada", "malayalam",
    "oriya", "punjabi", "tamil", "telugu", "urdu",
]  # fmt: skip
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

ESCAPE: Final = "\x1b"
RESERVED: Final = "\uffff"  # a code without a character

GSM_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION: Final = "\f^{}\\[~]|€"  # two septets each: an escape, then the character

_DEFAULT: Final = GSM_BASIC[:0x1B] + ESCAPE + GSM_BASIC[0x1B:]
_EXTENSION: Final = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]",
    0x40: "|", 0x65: "€",
}  # fmt: skip

# --- Latin: what differs from the default alphabet, or is added to the extension ------------

_LATIN_LOCKING: Final[dict[Language, dict[int, str]]] = {
    "turkish": {0x04: "€", 0x07: "ı", 0x0B: "Ğğ", 0x1C: "Şş", 0x40: "İ", 0x60: "ç"},
    "portuguese": {
        0x04: "êéúíóç", 0x0B: "Ôô", 0x0E: "Áá", 0x12: "ªÇÀ∞^\\€Ó|", 0x1C: "ÂâÊ", 0x24: "º",
        0x40: "Í", 0x5B: "ÃÕÚ", 0x60: "~", 0x7B: "ãõ`",
    },
}  # fmt: skip
_LATIN_SINGLE: Final[dict[Language, dict[int, str]]] = {
    "turkish": {
        0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş",
    },
    "spanish": {
        0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó",
        0x75: "ú",
    },
    "portuguese": {
        0x05: "ê", 0x09: "ç", 0x0B: "Ôô", 0x0E: "Áá", 0x12: "ΦΓ", 0x15: "ΩΠΨΣΘ", 0x1F: "Ê",
        0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x5B: "ÃÕ", 0x61: "Â", 0x69: "í", 0x6F: "ó",
        0x75: "ú", 0x7B: "ãõ", 0x7F: "â",
    },
}  # fmt: skip

# --- Other scripts: letters put into the free places of a common frame, in order ------------
#
# "05-0C" is a run of letters by the low byte of their code points, "0964" one in full,
# "--" a reserved place; so are places that are left over.

_FREE = "\ufffe"
_LOCKING_FRAME: Final = (
    10 * _FREE + "\n" + 2 * _FREE + "\r" + 2 * _FREE
    + 11 * _FREE + ESCAPE + 4 * _FREE
    + " !" + 6 * _FREE + ")(" + 2 * _FREE + "," + _FREE + "." + _FREE
    + "0123456789:;" + 3 * _FREE + "?"
    + 33 * _FREE + "abcdefghijklmnopqrstuvwxyz" + 5 * _FREE
)  # fmt: skip
_SINGLE_FRAME: Final = (
    "@£$¥¿\"¤%&'\f*+" + RESERVED + "-/"
    + "<=>¡^¡_#*" + 2 * _FREE + ESCAPE + 4 * _FREE
    + 8 * _FREE + "{}" + 5 * _FREE + "\\"
    + 12 * _FREE + "[~]" + _FREE
    + "|ABCDEFGHIJKLMNOPQRSTUVWXYZ" + 10 * RESERVED + "€" + 26 * RESERVED
)  # fmt: skip

# Language → high byte of its code points, letters of the locking and of the single shift table.
_LETTERS: Final[dict[Language, tuple[int, str, str]]] = {
    "bengali": (
        0x09,
        "81-83 85-8C -- -- 8F 90 -- -- 93-A8 -- AA-B0 -- B2 -- -- -- B6-B9 BC-C4 -- -- C7 C8 -- --"
        " CB-CE D7 DC DD F0 F1",
        "E6-EF DF-E3 F2-FA",
    ),
    "gujarati": (
        0x0A,
        "81-83 85-8D -- 8F-91 -- 93-A8 -- AA-B0 -- B2 B3 -- B5-B9 BC-C5 -- C7-C9 -- CB-CD D0 E0-E3"
        " F1",
        "0964 0965 E6-EF",
    ),
    "hindi": (0x09, "01-03 05-39 3C-4D 50 72 7B 7C 7E 7F", "64-6F 51-54 58-63 70 71"),
    "kannada": (
        0x0C,
        "-- 82 83 85-8C -- 8E-90 -- 92-A8 -- AA-B3 -- B5-B9 BC-C4 -- C6-C8 -- CA-CD D5 D6 E0-E3",
        "0964 0965 E6-EF DE F1 F2",
    ),
    "malayalam": (
        0x0D,
        "-- 02 03 05-0C -- 0E-10 -- 12-28 -- 2A-39 -- 3D-44 -- 46-48 -- 4A-4D 57 60-63 79",
        "0964 0965 66-75 7A-7F",
    ),
    "oriya": (
        0x0B,
        "01-03 05-0C -- -- 0F 10 -- -- 13-28 -- 2A-30 -- 32 33 -- 35-39 3C-44 -- -- 47 48 -- --"
        " 4B-4D 56 57 60-63",
        "0964 0965 66-6F 5C 5D 5F 70 71",
    ),
    "punjabi": (
        0x0A,
        "01-03 05-0A -- -- -- -- 0F 10 -- -- 13-28 -- 2A-30 -- 32 33 -- 35 36 -- 38 39 3C -- 3E-42"
        " -- -- -- -- 47 48 -- -- 4B-4D 51 70-74",
        "0964 0965 66-6F 59-5C 5E 75",
    ),
    "tamil": (
        0x0B,
        "-- 82 83 85-8A -- -- -- 8E-90 -- 92-95 -- -- -- 99 9A -- 9C -- 9E 9F -- -- -- A3 A4 -- --"
        " -- A8-AA -- -- -- AE-B9 -- -- BE-C2 -- -- -- C6-C8 -- CA-CD D0 D7 F0-F2 F9",
        "0964 0965 E6-EF F3-F8 FA",
    ),
    "telugu": (
        0x0C,
        "01-03 05-0C -- 0E-10 -- 12-28 -- 2A-33 -- 35-39 -- 3D-44 -- 46-48 -- 4A-4D 55 56 60-63",
        "-- -- 66-6F 58 59 78-7F",
    ),
    "urdu": (
        0x06,
        "27 22 28 7B 80 7E A6 2A C2 7F 79 7D 7A 7C 2B 2C 81 84 83 85-87 2D-2F 8C 88-8A 8F 8D 30 31"
        " 91 93 99 32 96 98 9A 33-39 41 42 A9-AB AF B3 B1 44-46 BA-BC 48 C4 D5 C1 BE 21 CC D0 D2 4D"
        " 50 4F 57 54 55 51 53 56 70",
        "00 01 F0-F9 0C-14 1B 1F 40 52 58 6B 6C 72 73 CD D4",
    ),
}


def _changed(table: str, changes: dict[int, str]) -> str:
    for code, chars in changes.items():
        table = table[:code] + chars + table[code + len(chars) :]
    return table


def _letters(high: int, runs: str) -> str:
    letters = ""
    for run in runs.split():
        first, _, last = run.partition("-")
        if not first:
            letters += RESERVED
        elif len(run) == 4:
            letters += chr(int(run, 16))
        else:
            low = range(int(first, 16), int(last or first, 16) + 1)
            letters += "".join(chr(high << 8 | code) for code in low)
    return letters


def _framed(frame: str, letters: str) -> str:
    for letter in letters:
        frame = frame.replace(_FREE, letter, 1)
    return frame.replace(_FREE, RESERVED)


# Tables of 128 characters, by code; None is the default alphabet and its extension.
LOCKING: Final[dict[Language | None, str]] = {
    None: _DEFAULT,
    **{name: _changed(_DEFAULT, changes) for name, changes in _LATIN_LOCKING.items()},
    **{
        name: _framed(_LOCKING_FRAME, _letters(high, letters))
        for name, (high, letters, _) in _LETTERS.items()
    },
}
SINGLE: Final[dict[Language | None, str]] = {
    None: _changed(128 * RESERVED, {**_EXTENSION, 0x1B: ESCAPE}),
    **{
        name: _changed(128 * RESERVED, {**_EXTENSION, 0x1B: ESCAPE, **changes})
        for name, changes in _LATIN_SINGLE.items()
    },
    **{
        name: _framed(_SINGLE_FRAME, _letters(high, letters))
        for name, (high, _, letters) in _LETTERS.items()
    },
}

_USER_DATA_OCTETS = 140
_CONCATENATION_OCTETS = 5  # IEI, length, reference, parts, number of the part
_TABLE_OCTETS = 3  # IEI, length, National Language Identifier


class Alphabet(Struct, frozen=True):
    """A locking and a single shift table that go together, and the room they leave."""

    locking: Language | None
    single: Language | None
    plain: frozenset[str]  # characters of one septet
    escaped: frozenset[str]  # characters of two
    room: int  # septets in a message of one segment
    part_room: int  # septets in each segment of a longer one


@cache
def alphabets(languages: frozenset[Language]) -> tuple[Alphabet, ...]:
    """Every combination of tables of these languages, those with the smaller header first.

    The default alphabet with the default extension is not among them.
    """
    named: tuple[Language | None, ...] = (None, *(name for name in LANGUAGES if name in languages))
    found = [_alphabet(a, b) for a in named if a in LOCKING for b in named if a or b]
    return tuple(sorted(found, key=lambda alphabet: -alphabet.room))


def _alphabet(locking: Language | None, single: Language | None) -> Alphabet:
    tables = (locking is not None) + (single is not None)
    header = 1 + tables * _TABLE_OCTETS  # the header tells its own length first
    plain = frozenset(LOCKING[locking]) - {ESCAPE, RESERVED}
    return Alphabet(
        locking=locking,
        single=single,
        plain=plain,
        escaped=frozenset(SINGLE[single]) - {ESCAPE, RESERVED} - plain,
        room=_septets(header),
        part_room=_septets(header + _CONCATENATION_OCTETS),
    )


def _septets(header: int) -> int:
    """Septets beside a header of so many octets; text begins at a septet's boundary."""
    return (_USER_DATA_OCTETS - header) * 8 // 7
