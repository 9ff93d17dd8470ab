"""Encoding, segments and smart encoding of a body (twilio-messaging 5.9)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.domain.shift_tables import LANGUAGES, LOCKING, RESERVED, SINGLE, Language
from hushwire.domain.text import (
    BODY_MAX,
    GSM_BASIC,
    GSM_EXTENSION,
    body_units,
    encoding_of,
    segments,
    smart_encode,
)

GRIN = "\U0001f600"
FLAG = "\U0001f1e9\U0001f1ea"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"  # 11 units
THUMB = "\U0001f44d\U0001f3fd"  # with a skin tone
HEART = "❤\ufe0f"
KEYCAP = "1\ufe0f\u20e3"
ACCENT = "e\u0301"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"  # 14 units
JAMO = "\u1112\u1161\u11ab"  # one syllable of three
GRAPHEMES = [GRIN, FLAG, FAMILY, THUMB, HEART, KEYCAP, ACCENT, SCOTLAND, JAMO]


# --- Encoding ------------------------------------------------------------------------------


def test_the_sets_are_those_of_gsm_0338():
    assert len(GSM_BASIC) == len(set(GSM_BASIC)) == 127  # 128 less the escape
    assert len(set(GSM_EXTENSION)) == 10
    assert encoding_of(GSM_BASIC + GSM_EXTENSION) == "GSM-7"


@pytest.mark.parametrize("char", ["`", "\t", "\x1b", "ç", "á", "’", "…", "ё", "中", GRIN, "\u00a0"])
def test_one_other_character_makes_it_ucs2(char: str):
    assert encoding_of("plain " + char) == "UCS-2"


@given(st.text())
def test_encoding_is_by_membership(body: str):
    inside = set(body) <= set(GSM_BASIC + GSM_EXTENSION)
    assert encoding_of(body) == ("GSM-7" if inside else "UCS-2")


# --- Length --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "units"),
    [("", 0), ("a" * 1600, 1600), ("€" * 1600, 1600), ("ж" * 1600, 1600), (GRIN * 800, 1600),
     (FAMILY, 11), (FLAG, 4), ("\r\n", 2), (ACCENT, 2)],
)  # fmt: skip
def test_units_against_the_limit(body: str, units: int):
    assert body_units(body) == units


# --- Segments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("", 1),
        ("a", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        *((("a" * 153 * n), n) for n in (2, 3, 10)),
        *((("a" * (153 * n + 1)), n + 1) for n in (2, 3, 10)),
        ("a" * 1600, 11),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 159 + "€", 2),
        ("a" * 158 + "€", 1),
        ("a" * 152 + "€" + "a" * 152, 3),  # 306 septets, but the euro sign moves over
        ("a" * 151 + "€" + "a" * 153, 2),
        ("€" * 76 * 2, 2),  # 76 in each part: a septet stays empty
        ("€" * (76 * 2 + 1), 3),
        ("a" * 152 + "\r\n" + "a" * 152, 2),  # CRLF is two characters
    ],
)
def test_gsm_segments(body: str, count: int):
    assert encoding_of(body) == "GSM-7"
    assert segments(body) == count


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        *(("ж" * 67 * n, n) for n in (2, 3, 10)),
        *(("ж" * (67 * n + 1), n + 1) for n in (2, 3, 10)),
        ("ж" * 1600, 24),
        (GRIN * 35, 1),
        (GRIN * 36, 2),
        (GRIN * 66, 2),  # 33 in each part: a unit stays empty
        (GRIN * 67, 3),
        (GRIN + "a" * 68, 1),
        (GRIN + "a" * 69, 2),
        ("ж" * 66 + "\r\n" + "ж" * 66, 2),  # CRLF is two characters
    ],
)
def test_ucs2_segments(body: str, count: int):
    assert encoding_of(body) == "UCS-2"
    assert segments(body) == count


@pytest.mark.parametrize("grapheme", GRAPHEMES)
def test_a_grapheme_is_not_split(grapheme: str):
    units = body_units(grapheme)
    for before in range(67 - units + 1, 67):  # it straddles the end of the first part
        body = "ж" * before + grapheme
        assert segments(body + "ж" * (67 - units)) == 2
        assert segments(body + "ж" * (67 - units + 1)) == 3
    fits = "ж" * (67 - units) + grapheme
    assert segments(fits + "ж" * 67) == 2


@pytest.mark.parametrize(
    "pair",
    [
        GRIN + GRIN,
        "가각",
        FLAG + FLAG,
        ACCENT + "e",
        "\u200d" + GRIN,
        "a\u200d" + GRIN,
        "жa",
        "中文",
    ],
)
def test_neighbours_are_split(pair: str):
    """What only stands side by side may part: the place between the two halves is an end."""
    first = pair[: (len(pair) + 1) // 2]
    body = "ж" * (67 - body_units(first)) + pair
    assert segments(body + "ж" * (67 - body_units(pair[len(first) :]))) == 2


def test_flags_pair_from_the_left():
    body = "ж" * 65 + FLAG * 17  # 133 units; the first flag would straddle
    assert segments(body) == 3


def test_a_grapheme_larger_than_a_segment_is_split_all_the_same():
    assert segments("e" + "\u0301" * 133) == 2
    assert segments("e" + "\u0301" * 134) == 3


@given(st.text(st.sampled_from([*GSM_BASIC, *GSM_EXTENSION]), max_size=700))
def test_gsm_packing_is_greedy(body: str):
    costs = [2 if char in GSM_EXTENSION else 1 for char in body]
    assert segments(body) == _packed(costs, 160, 153)


@given(st.lists(st.sampled_from(["ж", "a", "中", *GRAPHEMES[:-1]]), min_size=1, max_size=120))
def test_ucs2_packing_is_greedy(graphemes: list[str]):
    body = "ж" + "".join(graphemes)
    costs = [1, *(body_units(grapheme) for grapheme in graphemes)]
    assert segments(body) == _packed(costs, 70, 67)


def _packed(costs: list[int], single: int, part: int) -> int:
    if sum(costs) <= single:
        return 1
    count, room = 0, 0
    for cost in costs:
        if cost > room:
            count, room = count + 1, part
        room -= cost
    return count


@given(st.text(max_size=300))
def test_segments_lie_between_what_the_units_allow(body: str):
    count, units = segments(body), body_units(body)
    assert count >= 1
    if encoding_of(body) == "UCS-2" and units > 70:
        assert -(-units // 67) <= count <= units


@pytest.mark.parametrize(
    ("char", "count"), [("a", 11), ("€", 22), ("ж", 24), (GRIN, 25), (ACCENT, 25)]
)
def test_the_longest_bodies(char: str, count: int):
    """1,600 units; 33 whole emoji or accented letters fit where 67 units do."""
    body = char * (BODY_MAX // body_units(char))
    assert body_units(body) == BODY_MAX
    assert segments(body) == count


# --- National language shift tables: only where they are asked for --------------------------


def test_shift_tables_are_off_by_default():
    assert encoding_of("ş") == encoding_of("ş", ()) == "UCS-2"
    assert segments("ş" * 71) == segments("ş" * 71, ()) == 2


@pytest.mark.parametrize(
    ("body", "shift", "count"),
    [
        ("ş" * 155, ["turkish"], 1),  # locking: one septet each
        ("ş" * 156, ["turkish"], 2),
        ("ş" * 149 * 2, ["turkish"], 2),
        ("ş" * (149 * 2 + 1), ["turkish"], 3),
        ("á" * 77, ["spanish"], 1),  # single: an escape, then the letter
        ("á" * 78, ["spanish"], 2),
        ("á" * 74 * 2, ["spanish"], 2),  # 149 septets hold 74: one stays empty
        ("á" * (74 * 2 + 1), ["spanish"], 3),
        ("ığ" + "Æ" * 151, ["turkish"], 1),  # the locking table has no Æ
        ("á" * 150 + "[", ["portuguese", "spanish"], 1),  # [ stands in the extension too
        ("ä" + "á" * 76, ["spanish"], 1),
        ("õ" * 148 + "À" * 2 + "Φ", ["portuguese"], 1),  # both tables: 152 septets
        ("õ" * 149 + "À" * 2 + "Φ", ["portuguese"], 2),
        ("õ" * 146 + "Φ" * 73, ["portuguese"], 2),
        ("õ" * 146 + "Φ" * 74, ["portuguese"], 3),
        ("नमस्ते दुनिया", ["hindi"], 1),
        ("क" * 155, ["hindi"], 1),
        ("कि" * 78, ["hindi"], 2),
        ("क" * 148 + "कि" + "क" * 147, ["hindi"], 2),  # the letter goes with its vowel sign
        ("क" * 148 + "कि" + "क" * 148, ["hindi"], 3),
    ],
)
def test_segments_with_shift_tables(body: str, shift: list[Language], count: int):
    assert encoding_of(body) == "UCS-2"
    assert encoding_of(body, shift) == "GSM-7"
    assert segments(body, shift) == count


def test_what_no_table_has_stays_ucs2():
    assert encoding_of("ş中", LANGUAGES) == encoding_of("ş" + GRIN, LANGUAGES) == "UCS-2"
    assert segments("ş中" * 35, LANGUAGES) == 1
    assert encoding_of("ş", ["spanish"]) == "UCS-2"
    assert encoding_of("\uffff", LANGUAGES) == encoding_of("ş\x1b", LANGUAGES) == "UCS-2"


LETTERS = ["a", "ş", "ı", "Æ", "á", "õ", "Φ", "À", "€", "[", "\n", "क", "कि", "षे", "ا", "ب\u0651"]


@given(
    st.lists(st.sampled_from(LETTERS), max_size=320),
    st.frozensets(st.sampled_from(["turkish", "spanish", "portuguese", "hindi", "urdu"])),
)
def test_shifted_packing_is_the_best_of_every_combination(
    graphemes: list[str], shift: frozenset[Language]
):
    body = "".join(graphemes)
    plain = set(body) <= {*GSM_BASIC, *GSM_EXTENSION}
    counts = [] if plain else _by_every_combination(graphemes, shift)
    assert encoding_of(body, shift) == ("GSM-7" if plain or counts else "UCS-2")
    assert segments(body, shift) == min(counts, default=segments(body))


def _by_every_combination(graphemes: list[str], shift: frozenset[Language]) -> list[int]:
    counts: list[int] = []
    tables = [None, *shift]
    for locking, single in itertools.product(tables, tables):
        if locking == "spanish" or (locking is None and single is None):
            continue
        plain = set(LOCKING[locking]) - {RESERVED, "\x1b"}
        escaped = set(SINGLE[single]) - {RESERVED, "\x1b"}
        if set("".join(graphemes)) <= plain | escaped:
            octets = 1 + 3 * (locking is not None) + 3 * (single is not None)
            costs = [sum(1 if c in plain else 2 for c in grapheme) for grapheme in graphemes]
            counts.append(_packed(costs, (140 - octets) * 8 // 7, (135 - octets) * 8 // 7))
    return counts


@given(st.text(st.sampled_from("".join(LETTERS) + "中" + GRIN), max_size=400))
def test_shift_tables_never_cost_a_segment(body: str):
    assert segments(body, LANGUAGES) <= segments(body)
    if encoding_of(body) == "GSM-7":
        assert segments(body, LANGUAGES) == segments(body)


# --- Smart encoding ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "smart"),
    [
        ("“Don’t” – he said…", '"Don\'t" - he said...'),
        ("½ ‼ ⁄ ｜ ‗", "1/2 !! / | _"),
        ("‹a› «b»", '<a> "b"'),
        ("ＡＢ１２ ʜɪ", "AB12 HI"),
        ("a\u00a0b\u2003c\u3000d", "a b c d"),
        ("a\tb", "a       b"),
        ("\ufeffzero\u200bwidth\x00", "zerowidth"),
        ("`code`", "'code'"),
        ("ж 中 😀", "ж 中 😀"),
    ],
)
def test_look_alikes_are_replaced(body: str, smart: str):
    assert smart_encode(body) == smart


def test_smart_encoding_brings_a_body_back_to_gsm7():
    body = "“" + "a" * 157 + "”"
    assert (encoding_of(body), segments(body)) == ("UCS-2", 3)
    assert (encoding_of(smart_encode(body)), segments(smart_encode(body))) == ("GSM-7", 1)


@given(st.text())
def test_smart_encoding_twice_is_once(body: str):
    assert smart_encode(smart_encode(body)) == smart_encode(body)


@given(st.text(st.sampled_from(sorted(set(GSM_BASIC + GSM_EXTENSION)))))
def test_what_is_gsm7_stays(body: str):
    assert smart_encode(body) == body
