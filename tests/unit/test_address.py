"""Addresses, countries and kinds of numbers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata

from hushwire.domain.address import (
    SHORT_CODE_LENGTHS,
    Address,
    area_code_of,
    country_of,
    is_landline,
    is_short_code,
    is_toll_free,
    read_recipient,
    read_sender,
)
from hushwire.private import Private

PHONES = [
    ("+14155550100", ("sms", "phone", "+14155550100")),
    ("(415) 555-0100", ("sms", "phone", "+14155550100")),
    (" 14155550100", ("sms", "phone", "+14155550100")),  # a plus that was not escaped
    ("whatsapp:+447911123456", ("whatsapp", "phone", "+447911123456")),
    ("WhatsApp:+447911123456", ("whatsapp", "phone", "+447911123456")),
    ("rcs:+14155550100", ("rcs", "phone", "+14155550100")),
    ("rcs:my_agent", ("rcs", "account", "my_agent")),
    ("messenger:14155550100", ("messenger", "account", "14155550100")),
    ("messenger:page.name", ("messenger", "account", "page.name")),
]
SENDERS = [
    ("12345", ("sms", "short_code", "12345")),
    ("123", ("sms", "short_code", "123")),
    ("HushWire", ("sms", "alphanumeric", "HushWire")),
    ("R2 D2_&+-", ("sms", "alphanumeric", "R2 D2_&+-")),
]
NEITHER = [
    "", " ", "+", "+999", "+1", "12", "1234567890123456", "TwelveLetter", "Ünicode", "a:b",
    "whatsapp:", "whatsapp:12345", "whatsapp:Hush", "telegram:+14155550100", "messenger:",
    "messenger:a b", "rcs:", "rcs:12345", "sip:a@example.com", "whatsapp:whatsapp:+14155550100",
]  # fmt: skip


def parts(address: Address | None) -> tuple[str, str, str] | None:
    return address and (address.channel, address.kind, address.name.reveal())


@pytest.mark.parametrize(("text", "expected"), PHONES)
def test_recipients_can_be_senders(text: str, expected: tuple[str, str, str]):
    assert parts(read_recipient(text)) == parts(read_sender(text)) == expected


@pytest.mark.parametrize(("text", "expected"), SENDERS)
def test_senders_nobody_can_be_reached_at(text: str, expected: tuple[str, str, str]):
    assert parts(read_sender(text)) == expected
    assert read_recipient(text) is None


@pytest.mark.parametrize("text", NEITHER)
def test_what_is_no_address(text: str):
    assert read_recipient(text) is None
    assert read_sender(text) is None


def test_the_region_reads_national_numbers():
    assert parts(read_recipient("020 7946 0000", "GB")) == ("sms", "phone", "+442079460000")
    assert parts(read_recipient("whatsapp:030 123456", "DE")) == (
        "whatsapp",
        "phone",
        "+4930123456",
    )
    # eight digits are a number in Singapore, and nowhere in North America
    assert parts(read_sender("91234567", "SG")) == ("sms", "phone", "+6591234567")
    assert parts(read_sender("91234567")) == ("sms", "short_code", "91234567")


@pytest.mark.parametrize(("text", "expected"), [*PHONES, *SENDERS])
def test_an_address_is_read_as_it_is_written(text: str, expected: tuple[str, str, str]):
    address = read_sender(text)
    assert address is not None
    assert read_sender(address.text().reveal()) == address
    assert address.phone == (Private(expected[2]) if expected[1] == "phone" else None)
    assert expected[2] not in repr(address)


@pytest.mark.parametrize(
    ("phone", "country", "area_code"),
    [
        ("+14155550100", "US", "415"),
        ("+15145550100", "CA", "514"),
        ("+12425550100", "BS", "242"),
        ("+15005550006", "US", "500"),
        ("+442079460000", "GB", None),
        ("+491511234567", "DE", None),  # one digit short of what is given out
        ("+80012345678", None, None),
        ("+99912345678", None, None),
        ("nonsense", None, None),
    ],
)
def test_countries_and_area_codes(phone: str, country: str | None, area_code: str | None):
    assert (country_of(phone), area_code_of(phone)) == (country, area_code)


def test_toll_free():
    numbers = [
        "+18005550100",
        "+18885550100",
        "+448001111111",
        "+14155550100",
        "+447911123456",
        "x",
    ]
    assert [is_toll_free(number) for number in numbers] == [True, True, True, False, False, False]


def test_landlines_only_where_it_is_certain():
    numbers = ["+442079460000", "+33142685300", "+447911123456", "+14155550100", "+491511234567"]
    assert [is_landline(number) for number in numbers] == [True, True, False, False, False]


def test_short_codes():
    assert [is_short_code(code, "US") for code in ("1234", "12345", "123456", "1234567")] == [
        False,
        True,
        True,
        False,
    ]
    assert [is_short_code("1234", country) for country in ("BE", "FR", "GB", None)] == [
        True,
        False,
        True,
        True,
    ]
    assert not any(is_short_code(code) for code in ("", "12", "123456789", "12a45", "١٢٣٤٥"))


def test_lengths_agree_with_the_metadata():
    for country, lengths in SHORT_CODE_LENGTHS.items():
        metadata = PhoneMetadata.short_metadata_for_region(country)
        assert metadata is not None
        assert metadata.sms_services is not None
        assert set(lengths) <= set(metadata.sms_services.possible_length)


@settings(deadline=None)
@given(
    st.text(max_size=30) | st.from_regex(r"\A(whatsapp|rcs|messenger|x)?:?[+0-9a-zA-Z .]{0,20}\Z")
)
def test_anything_is_read_once_or_not_at_all(text: str):
    sender, recipient = read_sender(text), read_recipient(text)
    if recipient is not None:
        assert sender == recipient
    if sender is not None:
        assert read_sender(sender.text().reveal()) == sender
