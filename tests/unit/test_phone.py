"""Phone numbers: E.164 in, other spellings, senders, channels and masks."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.domain import magic
from hushwire.domain.phone import channel_of, is_e164, is_sender_shape, mask, normalise
from hushwire.errors import PROBLEMS


@pytest.mark.parametrize(
    "number",
    ["+14155550123", "+15557122661", "+447911123456", "+390612345678", "+2250701234567",
     "+6834002", "+80012345678", "+918888888888", "+4915112345678",
     *(f"+1500555000{n}" for n in range(10))],
)  # fmt: skip
def test_a_number_in_e164_stays_as_it_is(number: str):
    assert normalise(number) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("(415) 555-0123", "+14155550123"),
        ("415.555.0123", "+14155550123"),
        ("4155550123", "+14155550123"),
        ("14155550123", "+14155550123"),
        ("+1 415 555 0123", "+14155550123"),
        ("  +14155550123 ", "+14155550123"),
        (" 14155550123", "+14155550123"),  # a raw plus in a query (W3)
        (" 447911123456", "+447911123456"),
        (" (415) 555-0123", "+14155550123"),
        (" 4155550123", "+14155550123"),  # no number of Switzerland: read at home
        ("+4407911123456", "+447911123456"),  # the trunk prefix goes
        ("+44 (0)7911 123456", "+447911123456"),
        ("１４１５５５５０１２３", "+14155550123"),
    ],
)
def test_other_spellings(text: str, number: str):
    assert normalise(text) == number


@pytest.mark.parametrize(
    "text",
    ["", " ", "+", "+1", "+123456789", "+1500555000", "+150055500001", "+11155550123",
     "+14151550123", "555-0123", "+999123456", "+310000000", "+0123456789", "+49151",
     "+1234567890123456", "415555012x", "1-800-FLOWERS", "+14155550123;ext=5",
     "whatsapp:+14155550123", "tel:+14155550123", "HUSHWIRE", "+14155550123\u0000", "9" * 300],
)  # fmt: skip
def test_what_is_no_number(text: str):
    assert normalise(text) is None


def test_a_number_without_country_is_read_in_the_default_region():
    assert normalise("07911 123456", "GB") == "+447911123456"
    assert normalise("07911 123456", "ZZ") is None


@given(st.text(max_size=30) | st.from_regex(r"[ +(]?[0-9() .-]{3,18}", fullmatch=True))
def test_what_comes_out_is_e164_and_stays(text: str):
    number = normalise(text)
    if number is not None:
        assert is_e164(number)
        assert normalise(number) == number


@given(
    st.sampled_from([44, 49, 33, 91, 61, 86, 39, 225, 354, 506, 683, 800, 882]),
    st.from_regex(r"[1-9][0-9]{2,13}", fullmatch=True),
)
def test_lengths_agree_with_libphonenumber(country: int, national: str):
    number = f"+{country}{national}"
    if not 8 <= len(number) <= 16:
        return
    possible = phonenumbers.is_possible_number_with_reason(
        phonenumbers.PhoneNumber(country_code=country, national_number=int(national))
    )
    if possible == phonenumbers.ValidationResult.IS_POSSIBLE:
        assert normalise(number) == number
    else:
        assert normalise(number) != number


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+14155550123", True), ("+6834002", True), ("14155550123", False), ("+0415555", False),
     ("+123456", False), ("+1234567890123456", False), ("+14155550123\n", False), ("", False),
     ("+1415555012٣", False)],
)  # fmt: skip
def test_e164_is_a_plus_and_7_to_15_digits(text: str, expected: bool):
    assert is_e164(text) is expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+15551234567", "+1555123XXXX"),
        ("whatsapp:+15551234567", "whatsapp:+1555123XXXX"),
        ("12345", "1XXXX"),
        ("123", "XXXX"),
        ("whatsapp:", "whatsapp:XXXX"),
        ("15551234567:", "15551234XXXX"),  # digits are no channel: they are not kept
        ("", "XXXX"),
    ],
)
def test_a_mask_hides_the_last_four(text: str, shown: str):
    assert mask(text) == shown


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_masking_twice_is_masking_once(number: str):
    assert mask(mask(number)) == mask(number)
    assert len(mask(number)) == len(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("+14155550123", True), ("123", True), ("12345678", True), ("HUSHWIRE", True),
     ("My Shop", True), ("A", True), ("ABCDEFGHIJK", True), ("3M", True), ("A-1_b&c+", True),
     ("12", False), ("123456789", False), ("ABCDEFGHIJKL", False), ("", False), ("+123", False),
     ("1 2 3", False), ("Café", False), ("A!", False), ("A\n", False)],
)  # fmt: skip
def test_shapes_of_senders(text: str, expected: bool):
    assert is_sender_shape(text) is expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("whatsapp:+14155550123", ("whatsapp", "+14155550123")),
        ("WhatsApp:+14155550123", ("whatsapp", "+14155550123")),
        ("rcs:agent:1", ("rcs", "agent:1")),
        ("+14155550123", ("sms", "+14155550123")),
        ("12:34", ("sms", "12:34")),
    ],
)
def test_channels(text: str, parts: tuple[str, str]):
    assert channel_of(text) == parts


def test_magic_numbers_name_problems_and_can_be_sent():
    for table in (magic.FROM, magic.TO, magic.PURCHASE):
        for number, problem in table.items():
            assert normalise(number) == number
            assert problem in PROBLEMS
    assert [PROBLEMS[magic.FROM[f"+1500555000{n}"]].code for n in (1, 7, 8)] == [
        21212, 21606, 21611,
    ]  # fmt: skip
    assert [PROBLEMS[magic.TO[f"+1500555000{n}"]].code for n in (1, 2, 3, 4, 9)] == [
        21211, 21612, 21408, 21610, 21614,
    ]  # fmt: skip
    assert [PROBLEMS[magic.PURCHASE[f"+1500555000{n}"]].code for n in (0, 1)] == [21422, 21421]
    assert PROBLEMS[magic.AREA_CODE["533"]].code == 21452
