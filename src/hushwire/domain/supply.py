"""Numbers that the sandbox can sell: valid by the numbering plan, and the same for all who ask.

They are good in the sandbox only: in the real network somebody may have them. In North America
the exchange 555 comes first, which is kept for directory services and for fiction. Pure;
metadata: libphonenumber.
"""

import re
from collections.abc import Container, Iterator
from functools import cache
from typing import Final, Literal
from zlib import crc32

import phonenumbers
from msgspec import Struct
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from hushwire.domain.routing import MMS_COUNTRIES

NumberKind = Literal["local", "mobile", "toll_free"]
KINDS: Final[tuple[NumberKind, ...]] = ("local", "mobile", "toll_free")

TRIES_MAX: Final = 5_000  # numbers looked at for one question: 0.1 s
_FREE_DIGITS = 6  # at the end of an example number, where only one is known

# ISO 3166 → name in English: countries of which Twilio sells numbers.
_NAMES: Final = {
    "AR": "Argentina", "AT": "Austria", "AU": "Australia", "BA": "Bosnia and Herzegovina",
    "BB": "Barbados", "BE": "Belgium", "BG": "Bulgaria", "BJ": "Benin", "BR": "Brazil",
    "BW": "Botswana", "CA": "Canada", "CH": "Switzerland", "CL": "Chile", "CO": "Colombia",
    "CY": "Cyprus", "CZ": "Czech Republic", "DE": "Germany", "DK": "Denmark",
    "DO": "Dominican Republic", "DZ": "Algeria", "EC": "Ecuador", "EE": "Estonia", "ES": "Spain",
    "FI": "Finland", "FR": "France", "GB": "United Kingdom", "GD": "Grenada", "GE": "Georgia",
    "GH": "Ghana", "GN": "Guinea", "GR": "Greece", "HK": "Hong Kong", "HR": "Croatia",
    "HU": "Hungary", "ID": "Indonesia", "IE": "Ireland", "IL": "Israel", "IN": "India",
    "IS": "Iceland", "IT": "Italy", "JM": "Jamaica", "JP": "Japan", "KE": "Kenya",
    "KR": "South Korea", "KY": "Cayman Islands", "LT": "Lithuania", "LU": "Luxembourg",
    "LV": "Latvia", "ML": "Mali", "MO": "Macau", "MT": "Malta", "MU": "Mauritius", "MX": "Mexico",
    "MY": "Malaysia", "NA": "Namibia", "NG": "Nigeria", "NL": "Netherlands", "NO": "Norway",
    "NZ": "New Zealand", "PA": "Panama", "PE": "Peru", "PH": "Philippines", "PL": "Poland",
    "PR": "Puerto Rico", "PT": "Portugal", "RO": "Romania", "RS": "Serbia", "SD": "Sudan",
    "SE": "Sweden", "SG": "Singapore", "SI": "Slovenia", "SK": "Slovakia", "SV": "El Salvador",
    "TH": "Thailand", "TN": "Tunisia", "TR": "Turkey", "TT": "Trinidad and Tobago", "TW": "Taiwan",
    "TZ": "Tanzania", "UA": "Ukraine", "UG": "Uganda", "US": "United States",
    "VI": "United States Virgin Islands", "VN": "Vietnam", "ZA": "South Africa",
}  # fmt: skip

_TYPES: Final[dict[NumberKind, tuple[int, ...]]] = {
    "local": (PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE),
    "mobile": (PhoneNumberType.MOBILE,),
    "toll_free": (PhoneNumberType.TOLL_FREE,),
}
_AREA_CODE_COUNTRIES: Final = ("US", "CA")
_TOLL_FREE_CODES: Final = ("800", "833", "844", "855", "866", "877", "888")
_KEYPAD: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "22233344455566677778889999")
_PATTERN: Final = re.compile(r"\+?[0-9A-Z*]{2,16}\Z")
_FREE: Final = "*"


class Capabilities(Struct, frozen=True):
    """What a number can do here; there are no calls and no faxes."""

    sms: bool = True
    mms: bool = False
    voice: bool = False
    fax: bool = False


def capabilities_of(country: str | None) -> Capabilities:
    """What a number of `country` (ISO 3166) can do: only there do phones take media."""
    return _WITH_MEDIA if country in MMS_COUNTRIES else _TEXTS


_TEXTS: Final = Capabilities()
_WITH_MEDIA: Final = Capabilities(mms=True)


class Offer(Struct, frozen=True):
    """A number for sale. Its place is not known, and is None."""

    phone: str  # E.164
    national: str  # as people there write it: its friendly name
    country: str  # ISO 3166
    kind: NumberKind
    capabilities: Capabilities
    locality: str | None = None
    region: str | None = None


class Country(Struct, frozen=True):
    """A country that numbers are sold of."""

    iso: str
    name: str
    kinds: tuple[NumberKind, ...]


@cache
def countries() -> tuple[Country, ...]:
    """Every country there are numbers of, by its name. The first call takes about 50 ms."""
    found = [
        Country(iso, name, tuple(kind for kind in KINDS if _example(iso, kind) is not None))
        for iso, name in sorted(_NAMES.items(), key=lambda item: item[1])
    ]
    return tuple(country for country in found if country.kinds)


def country(iso: str) -> Country | None:
    """The country of that ISO 3166 code, if there are numbers of it."""
    return next((country for country in countries() if country.iso == iso), None)


def is_pattern(contains: str) -> bool:
    """Is it digits, letters of a keypad and `*` for any digit, 2 to 16 of them?

    A plus before them means the beginning of the number.
    """
    return contains.isascii() and _PATTERN.match(contains.upper()) is not None


def is_area_code(iso: str, area_code: str, kind: NumberKind = "local") -> bool:
    """Does the North American plan give numbers of that kind and country in `area_code`?"""
    return area_code in _area_codes(iso, kind)


def available(
    iso: str,
    kind: NumberKind,
    *,
    area_code: str | None = None,
    contains: str | None = None,
    limit: int = 30,
    owned: Container[str] = (),
) -> list[Offer]:
    """Up to `limit` numbers, none of them in `owned` (E.164); the same question, the same answer.

    None for a country or kind that is not sold, an area code that is not one of the country
    (only the US and Canada have them), or a `contains` that is no pattern or fits nothing.
    """
    place = country(iso)
    if place is None or kind not in place.kinds or (contains and not is_pattern(contains)):
        return []
    wanted = (contains or "").upper().translate(_KEYPAD)
    offers: dict[str, Offer] = {}
    for tried, phone in enumerate(_candidates(iso, kind, area_code, wanted)):
        if len(offers) >= limit or tried >= TRIES_MAX:
            break
        if phone not in owned and phone not in offers and _is_sold(phone, iso, kind):
            offers[phone] = Offer(phone, friendly(phone), iso, kind, capabilities_of(iso))
    return list(offers.values())


def offer(phone: str) -> Offer | None:
    """`phone` (E.164) as a number for sale, whoever owns it; None when it is not sold."""
    try:
        iso = phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except NumberParseException:
        return None
    kind = kind_of(phone)
    place = country(iso) if iso is not None else None
    if place is None or kind not in place.kinds or not _is_sold(phone, place.iso, kind):
        return None
    return Offer(phone, friendly(phone), place.iso, kind, capabilities_of(place.iso))


def friendly(phone: str) -> str:
    """A number (E.164) as people in its country write it: `(500) 555-0006`; else as it is."""
    try:
        number = phonenumbers.parse(phone)
    except NumberParseException:
        return phone
    return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)


def kind_of(phone: str) -> NumberKind:
    """What a number (E.164) is sold as; local when the plan says nothing else."""
    try:
        of = phonenumbers.number_type(phonenumbers.parse(phone))
    except NumberParseException:
        return "local"
    for kind in KINDS:
        if of in _TYPES[kind]:
            return kind
    return "local"


# --- Candidates ----------------------------------------------------------------------------


def _candidates(iso: str, kind: NumberKind, area_code: str | None, wanted: str) -> Iterator[str]:
    """Numbers that fit the question, valid or not, in an order that the question decides."""
    seed = crc32(f"{iso} {kind} {area_code} {wanted}".encode())
    for masks in _masks(iso, kind, area_code):
        placed = [mask for mask in masks for mask in _placed(mask, wanted)]
        yield from _filled(placed, seed)


def _masks(iso: str, kind: NumberKind, area_code: str | None) -> Iterator[list[str]]:
    """Numbers (E.164) with free digits, those we would rather sell first."""
    codes = _area_codes(iso, kind)
    if area_code is not None:
        codes = tuple(code for code in codes if code == area_code)
    elif not codes:
        example = _example(iso, kind)
        if example is not None:
            free = min(_FREE_DIGITS, len(example) - 5)
            yield [example[:-free] + free * _FREE]
        return
    yield [f"+1{code}555****" for code in codes]
    yield [f"+1{code}*******" for code in codes]


def _placed(mask: str, wanted: str) -> Iterator[str]:
    """`mask` with `wanted` put into it, at every place from the right where it fits."""
    anchored = wanted.startswith("+")
    wanted = wanted.removeprefix("+")
    last = 1 if anchored else len(mask) - len(wanted)
    for start in range(last, 0, -1):
        end = start + len(wanted)
        pairs = list(zip(mask[start:end], wanted, strict=False))
        if len(pairs) == len(wanted) and all(_FREE in pair or pair[0] == pair[1] for pair in pairs):
            digits = "".join(want if have == _FREE else have for have, want in pairs)
            yield mask[:start] + digits + mask[end:]
        if not wanted:
            return


def _filled(masks: list[str], seed: int) -> Iterator[str]:
    """Every number of the masks, one of each in turn."""
    walks = [_walk(mask, seed + place) for place, mask in enumerate(masks)]
    if walks:
        turn = seed % len(walks)
        walks = walks[turn:] + walks[:turn]
    while walks:
        for walk in tuple(walks):
            phone = next(walk, None)
            if phone is None:
                walks.remove(walk)
            else:
                yield phone


def _walk(mask: str, seed: int) -> Iterator[str]:
    """Every number of one mask, once, scattered: a step that shares no factor with 10ⁿ."""
    free = mask.count(_FREE)
    size = 10**free
    step = 7_919 if free > 3 else 7
    for place in range(size):
        digits = iter(f"{(seed + place * step) % size:0{free}d}") if free else iter("")
        yield "".join(next(digits) if char == _FREE else char for char in mask)


# --- The numbering plans -------------------------------------------------------------------


@cache
def _example(iso: str, kind: NumberKind) -> str | None:
    """A valid number (E.164) of that country and kind, or None where there are none."""
    number = phonenumbers.example_number_for_type(iso, _TYPES[kind][0])
    if number is None:
        return None
    phone = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return phone if _is_sold(phone, iso, kind) else None


@cache
def _area_codes(iso: str, kind: NumberKind) -> tuple[str, ...]:
    if iso not in _AREA_CODE_COUNTRIES:
        return ()
    codes = (
        _TOLL_FREE_CODES if kind == "toll_free" else tuple(str(code) for code in range(200, 1000))
    )
    return tuple(code for code in codes if _is_sold(f"+1{code}5550123", iso, kind))


def _is_sold(phone: str, iso: str, kind: NumberKind) -> bool:
    """Is it valid, and of that country and kind? A number has one country, where it can be told."""
    number = phonenumbers.parse(phone)
    found = phonenumbers.region_code_for_number(number)
    shared = kind == "toll_free" and iso == "CA" and found == "US"  # one range for both
    return (
        (found == iso or shared)
        and phonenumbers.is_valid_number(number)
        and phonenumbers.number_type(number) in _TYPES[kind]
    )
