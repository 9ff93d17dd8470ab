"""Phone numbers, sender shapes and channel addresses. Pure; knows spelling, not who owns what.

A number is good when its country exists and its length is possible there: numbering plans
change too often to refuse by range. Metadata: libphonenumber.
"""

import re
from functools import cache
from typing import Final

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat

SMS: Final = "sms"  # the channel of an address without a prefix

_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z")
# The North American plan is checked by shape: neither area nor exchange starts with 0 or 1.
_PLAUSIBLE = re.compile(r"\+(?:1[2-9][0-9]{2}[2-9][0-9]{6}|[2-9][0-9]{6,14})\Z")
_SPELLING = re.compile(r"[+\uff0b]?[\d\s().\-/\u2010-\u2015]{3,40}\Z")
_SENDER = re.compile(
    r"(?:\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9 +\-_&]{1,11})\Z"
)
_NOWHERE: Final[frozenset[int]] = frozenset()


class _PlainLengths(dict[str, frozenset[int]]):
    """First four digits of a number → lengths of E.164 text that need no second look.

    Filled as countries are met: there are at most 9,000 keys, and no whole number is kept.
    """

    def __missing__(self, head: str) -> frozenset[int]:
        found = _country(head)
        if found is None:
            lengths = _NOWHERE
        else:
            digits, country = found
            # "+44 (0)7911 …" written together: libphonenumber takes the trunk prefix out.
            trunk = country.national_prefix
            doubtful = trunk is not None and trunk[0] == head[digits]
            lengths = _NOWHERE if doubtful else _possible_lengths(head)
        self[head] = lengths
        return lengths


_PLAIN_LENGTHS = _PlainLengths()


def normalise(text: str, default_region: str = "US") -> str | None:
    """`text` as E.164, or None when it is not a number that can exist.

    `default_region` (ISO 3166) reads numbers without a country code. A leading space before a
    digit is taken for a plus that was not escaped in a query.
    """
    if _PLAUSIBLE.match(text) is not None and len(text) in _PLAIN_LENGTHS[text[1:5]]:
        return text
    bare = text.strip()
    if text[:1] == " " and bare[:1].isdigit():
        number = _respell("+" + bare, default_region)
        if number is not None:
            return number
    return _respell(bare, default_region)


def is_e164(text: str) -> bool:
    """Is `text` a plus and 7 to 15 digits? Says nothing about the country."""
    return _E164.match(text) is not None


def is_sender_shape(text: str) -> bool:
    """Could `text` be a sender: E.164, a short code (3-8 digits), or an alphanumeric ID?

    An alphanumeric ID has 1 to 11 of letters, digits, space and `+-_&`, a letter among them.
    """
    return _SENDER.match(text) is not None


def channel_of(address: str) -> tuple[str, str]:
    """Channel and address within it: `whatsapp:+1…` → `("whatsapp", "+1…")`; none → `SMS`."""
    channel, colon, rest = address.partition(":")
    return (channel.lower(), rest) if colon and channel.isalpha() else (SMS, address)


def country_code(number: str) -> str:
    """The digits of a number's country code (E.164), or nothing when it has none that exists."""
    found = _country(number[1:5])
    return number[1 : 1 + found[0]] if found is not None else ""


def mask(address: str) -> str:
    """`address` with its last four characters hidden: `+1555123XXXX`, `whatsapp:+1555123XXXX`."""
    channel, colon, rest = address.partition(":")
    if colon and channel.isalpha():
        return f"{channel}:{rest[:-4]}XXXX"
    return f"{address[:-4]}XXXX"


def _respell(text: str, default_region: str) -> str | None:
    """`text` in some other spelling as E.164, by libphonenumber. About 20 µs."""
    if _SPELLING.match(text) is None:
        return None
    number = _read(text, default_region)
    if number is None or _PLAUSIBLE.match(number) is None:
        return None
    if len(number) in _PLAIN_LENGTHS[number[1:5]]:
        return number
    # What would be read as another number the next time (+31 000…) is none.
    stays = number == text or _read(number, default_region) == number
    return number if stays and len(number) in _possible_lengths(number[1:5]) else None


def _read(text: str, default_region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(parsed, PhoneNumberFormat.E164)


@cache
def _possible_lengths(head: str) -> frozenset[int]:
    """Lengths of E.164 text (with the plus) possible in the country of these four digits."""
    found = _country(head)
    if found is None:
        return _NOWHERE
    digits, country = found
    national = country.general_desc.possible_length if country.general_desc is not None else ()
    return frozenset(1 + digits + length for length in national if length > 0)


def _country(head: str) -> tuple[int, PhoneMetadata] | None:
    """How many digits the country code has, and its country. Codes are prefix-free."""
    for digits in (1, 2, 3):
        code = int(head[:digits])
        regions = COUNTRY_CODE_TO_REGION_CODE.get(code)
        if regions is not None:
            country = (
                PhoneMetadata.metadata_for_nongeo_region(code)
                if regions[0] == "001"
                else PhoneMetadata.metadata_for_region(regions[0])
            )
            return None if country is None else (digits, country)
    return None
