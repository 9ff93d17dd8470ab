"""Numbers for sale: real by the numbering plan, what was asked for, and always the same."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hushwire.domain import magic
from hushwire.domain.phone import normalise
from hushwire.domain.supply import (
    KINDS,
    NumberKind,
    available,
    countries,
    country,
    friendly,
    is_area_code,
    is_pattern,
    kind_of,
    offer,
)

KEYPAD = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999", strict=True))
EVERY = [(place.iso, kind) for place in countries() for kind in place.kinds]


@pytest.mark.parametrize(("iso", "kind"), EVERY)
def test_every_offer_is_a_number_of_its_country_and_kind(iso: str, kind: NumberKind):
    offers = available(iso, kind, limit=5)
    assert len(offers) == len({one.phone for one in offers}) == 5
    for one in offers:
        number = phonenumbers.parse(one.phone)
        regions = {phonenumbers.region_code_for_number(number)}
        assert phonenumbers.is_valid_number(number)
        assert regions == {iso} or (kind == "toll_free" and iso == "CA" and regions == {"US"})
        assert (one.country, one.kind) == (iso, kind)
        assert kind_of(one.phone) == kind
        assert normalise(one.phone) == one.phone  # what we sell can send and receive
        assert one.national == friendly(one.phone)
        assert offer(one.phone) is not None


def test_countries_have_names_and_kinds():
    found = {place.iso: place for place in countries()}
    assert len(found) == len(countries()) > 50
    assert [place.name for place in countries()] == sorted(place.name for place in countries())
    assert found["US"].kinds == ("local", "toll_free")  # mobiles look like landlines there
    assert found["GB"].kinds == KINDS
    assert found["GB"].name == "United Kingdom"
    assert country("ZZ") is None


def test_the_same_question_has_the_same_answer():
    once = available("US", "local", contains="42", limit=20)
    assert available("US", "local", contains="42", limit=20) == once
    assert available("US", "local", contains="42", limit=7) == once[:7]
    assert available("US", "local", contains="43", limit=20) != once


def test_what_is_owned_is_not_offered():
    first = available("GB", "mobile", limit=10)
    owned = {one.phone for one in first[:4]}
    second = available("GB", "mobile", limit=10, owned=owned)
    assert second[:6] == first[4:]
    assert len(second) == 10
    assert not owned & {one.phone for one in second}


def test_an_area_code():
    offers = available("US", "local", area_code="510", limit=30)
    assert len(offers) == 30
    assert all(one.phone.startswith("+1510555") for one in offers)
    assert all(one.national.startswith("(510) 555-") for one in offers)
    assert available("CA", "local", area_code="416")[0].phone.startswith("+1416")
    assert available("US", "toll_free", area_code="833")[0].phone.startswith("+1833")


@pytest.mark.parametrize(
    ("iso", "area_code"),
    [("US", "416"), ("CA", "510"), ("US", "200"), ("US", "51"), ("US", ""), ("US", "500"),
     ("US", "533"), ("US", "800"), ("GB", "121"), ("DE", "30")],
)  # fmt: skip
def test_what_is_no_area_code_of_the_country(iso: str, area_code: str):
    assert not is_area_code(iso, area_code)
    assert available(iso, "local", area_code=area_code) == []


@pytest.mark.parametrize(
    ("contains", "part"),
    [("555", "555"), ("1234567", "1234567"), ("KYLO", "5956"), ("hush", "4874"),
     ("+1415", "1415"), ("9*9", None), ("415*****99", None), ("**", None)],
)  # fmt: skip
def test_a_pattern(contains: str, part: str | None):
    offers = available("US", "local", contains=contains, limit=12)
    assert len(offers) == 12
    for one in offers:
        assert _matches(one.phone, contains)
        if part is not None:
            assert part in one.phone


def test_a_pattern_within_an_area_code():
    offers = available("US", "local", area_code="510", contains="HUSH", limit=3)
    assert all(one.phone.startswith("+1510") and "4874" in one.phone for one in offers)
    assert offers[0].phone == "+15105554874"  # 555 comes first
    elsewhere = available("US", "local", area_code="510", contains="867****", limit=3)
    assert all(one.phone.startswith("+1510867") for one in elsewhere)


@pytest.mark.parametrize(
    "contains", ["5", "*", "+", "12 34", "ab-c", "1" * 17, "5\n", "ü5", "ßß", "5+5"]
)
def test_what_is_no_pattern(contains: str):
    assert not is_pattern(contains)
    assert available("US", "local", contains=contains) == []


def test_what_nothing_fits():
    assert available("US", "local", contains="000000000") == []
    assert available("GB", "mobile", contains="12345678901") == []
    assert available("US", "mobile") == []
    assert available("ZZ", "local") == []
    assert available("US", "local", limit=0) == []


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(EVERY),
    st.text("0123456789*AZ", min_size=2, max_size=5),
)
def test_any_pattern_is_kept(place: tuple[str, NumberKind], contains: str):
    for one in available(place[0], place[1], contains=contains, limit=4):
        assert _matches(one.phone, contains)


def _matches(phone: str, contains: str) -> bool:
    """Obvious and slow: is there a place where digit after digit fits?"""
    digits = phone if contains.startswith("+") else phone[1:]
    wanted = [KEYPAD.get(char, char) for char in contains.upper()]
    starts = [0] if contains.startswith("+") else range(len(digits) - len(wanted) + 1)
    return any(
        all(want in ("*", have) for have, want in zip(digits[start:], wanted, strict=False))
        for start in starts
    )


@pytest.mark.parametrize(
    ("phone", "national"),
    [(magic.PURCHASE_OK, "(500) 555-0006"), ("+15105647903", "(510) 564-7903"),
     ("+447400123456", "07400 123456"), ("12345", "12345"), ("", ""), ("+999123", "+999123")],
)  # fmt: skip
def test_a_friendly_name_is_the_national_format(phone: str, national: str):
    assert friendly(phone) == national


@pytest.mark.parametrize(
    ("phone", "kind"),
    [("+15105647903", "local"), ("+18005551234", "toll_free"), ("+447400123456", "mobile"),
     (magic.PURCHASE_OK, "local"), ("12345", "local")],
)  # fmt: skip
def test_what_a_number_is_sold_as(phone: str, kind: NumberKind):
    assert kind_of(phone) == kind


@pytest.mark.parametrize("phone", ["", "5105647903", "+1510", "+999123", "+80012345678",
                                   *magic.PURCHASE, magic.PURCHASE_OK])  # fmt: skip
def test_what_is_not_sold(phone: str):
    assert offer(phone) is None


def test_what_is_sold_has_its_country_and_kind():
    found = offer("+447400123456")
    assert found is not None
    assert (found.country, found.kind, found.national) == ("GB", "mobile", "07400 123456")
    assert found.capabilities.sms
    assert not found.capabilities.voice
    assert found.locality is found.region is None
