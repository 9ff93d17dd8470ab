"""The tables of TS 23.038, and the room their headers leave."""

import unicodedata
from typing import get_args

import pytest

from hushwire import settings
from hushwire.domain.shift_tables import (
    ESCAPE,
    LANGUAGES,
    LOCKING,
    RESERVED,
    SINGLE,
    Language,
    alphabets,
)
from hushwire.domain.text import GSM_BASIC, GSM_EXTENSION

TABLES = [*LOCKING.values(), *SINGLE.values()]
INDIC = LANGUAGES[3:]


def test_identifiers_follow_the_standard():
    assert LANGUAGES.index("turkish") + 1 == 1
    assert LANGUAGES.index("portuguese") + 1 == 3
    assert LANGUAGES.index("urdu") + 1 == 13
    assert set(SINGLE) == {None, *LANGUAGES}
    assert set(SINGLE) - set(LOCKING) == {"spanish"}  # A.3.2 is void


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_128_codes_and_escapes_at_1b(table: str):
    assert len(table) == 128
    assert table.index(ESCAPE) == 0x1B
    assert table.count(ESCAPE) == 1
    known = table.replace(RESERVED, "").replace("\n", "").replace("\r", "").replace("\f", "")
    assert all(unicodedata.category(char) != "Cn" for char in known)


@pytest.mark.parametrize("name", LOCKING)
def test_no_locking_table_has_a_character_twice(name: Language | None):
    chars = LOCKING[name].replace(RESERVED, "")
    assert len(chars) == len(set(chars))


def test_the_default_tables_are_gsm_0338():
    assert LOCKING[None].replace(ESCAPE, "") == GSM_BASIC
    assert set(SINGLE[None]) == {*GSM_EXTENSION, ESCAPE, RESERVED}


@pytest.mark.parametrize(
    ("name", "code", "chars"),
    [
        ("turkish", 0x00, "@£$¥€éùıòÇ\nĞğ\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bŞşßÉ"),
        ("turkish", 0x40, "İABC"),
        ("turkish", 0x5B, "ÄÖÑÜ§çabc"),
        ("portuguese", 0x00, "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ !\"#º%"),
        ("portuguese", 0x40, "ÍABC"),
        ("portuguese", 0x5B, "ÃÕÚÜ§~abc"),
        ("portuguese", 0x7B, "ãõ`üà"),
        ("bengali", 0x40, "বভমযর\uffffল\uffff\uffff\uffffশষসহ"),
        ("hindi", 0x10, "ऐऑऒओऔकखगघङच\x1bछजझञ !टठडढणत)(थद,ध.न0123456789:;ऩपफ?"),
        ("kannada", 0x22, "ಟಠಡಢಣತ)(ಥದ,ಧ.ನ"),  # 0x24: the slip of A.3.7 is corrected
        ("tamil", 0x50, "ாிீுூ\uffff\uffff\uffffெேை\uffffொோௌ்ௐabc"),
        ("urdu", 0x00, "اآبٻڀپڦتۂٿ\nٹٽ\rٺټثجځڄڃڅچڇحخد\x1bڌڈډڊ !ڏڍذرڑړ)(ڙز,ږ.ژ"),
    ],
)  # fmt: skip
def test_locking_tables(name: Language, code: int, chars: str):
    assert LOCKING[name][code : code + len(chars)] == chars


@pytest.mark.parametrize(
    ("name", "code", "chars"),
    [
        ("turkish", 0x47, "Ğ\uffffİ"),
        ("turkish", 0x63, "ç\uffff€\uffffğ\uffffı"),
        ("spanish", 0x09, "ç\f"),
        ("spanish", 0x61, "á\uffff\uffff\uffff€\uffff\uffff\uffffí"),
        ("portuguese", 0x05, "ê\uffff\uffff\uffffç\fÔô\uffffÁá\uffff\uffffΦΓ^ΩΠΨΣΘ"),
        ("portuguese", 0x7B, "ãõ\uffff\uffffâ"),
        ("hindi", 0x24, "\u096e\u096f\u0951\u0952{}\u0953\u0954\u0958\u0959\u095a\\\u095b\u095c"),
        ("hindi", 0x32, "\u095d\u095e\u095f\u0960\u0961\u0962\u0963\u0970\u0971\uffff[~]\uffff|A"),
        ("telugu", 0x19, "\uffff\uffff\x1b౦౧౨౩౪౫౬౭౮౯ౘౙ{}౸౹౺౻౼\\౽౾౿\uffff"),
        ("urdu", 0x3B, "ۍ[~]۔|A"),
    ],
)  # fmt: skip
def test_single_tables(name: Language, code: int, chars: str):
    assert SINGLE[name][code : code + len(chars)] == chars


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_table_keeps_the_extension(name: Language | None):
    for char in GSM_EXTENSION:
        assert SINGLE[name].index(char) == SINGLE[None].index(char)


@pytest.mark.parametrize("name", INDIC)
def test_the_other_scripts_share_a_frame(name: Language):
    locking, single = LOCKING[name], SINGLE[name]
    assert locking[0x30:0x3C] == "0123456789:;"
    assert locking[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz"
    assert single[0x41:0x5B] == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert single[0x65] == "€"


# --- Room ----------------------------------------------------------------------------------


def header(locking: int | None, single: int | None, *, parts: bool) -> bytes:
    """A user data header as it goes over the air (TS 23.040 9.2.3.24)."""
    elements = b""
    if parts:
        elements += bytes([0x00, 3, 77, 2, 1])
    if single is not None:
        elements += bytes([0x24, 1, single])
    if locking is not None:
        elements += bytes([0x25, 1, locking])
    return bytes([len(elements)]) + elements


def septets_left(octets: bytes) -> int:
    return (140 * 8 - len(octets) * 8) // 7


def test_room_is_what_the_header_leaves():
    for alphabet in alphabets(frozenset(LANGUAGES)):
        locking = LANGUAGES.index(alphabet.locking) + 1 if alphabet.locking else None
        single = LANGUAGES.index(alphabet.single) + 1 if alphabet.single else None
        assert alphabet.room == septets_left(header(locking, single, parts=False))
        assert alphabet.part_room == septets_left(header(locking, single, parts=True))


def test_combinations_of_two_languages_come_smaller_headers_first():
    found = alphabets(frozenset({"turkish", "spanish"}))
    assert [(a.locking, a.single, a.room, a.part_room) for a in found] == [
        (None, "turkish", 155, 149),
        (None, "spanish", 155, 149),
        ("turkish", None, 155, 149),
        ("turkish", "turkish", 152, 146),
        ("turkish", "spanish", 152, 146),
    ]
    assert alphabets(frozenset()) == ()


def test_the_setting_names_the_same_languages() -> None:
    assert get_args(settings.Language) == LANGUAGES
