"""Addresses: what messages go to and come from. Pure; knows spelling, not who owns what.

A recipient is a phone number or an address in a channel (`whatsapp:+1…`). A sender may also be
a short code or an alphanumeric ID, to which nobody can answer. Metadata: libphonenumber.
"""

import re
from typing import Final, Literal

import phonenumbers
from msgspec import Struct
from phonenumbers import NumberParseException, PhoneNumberType

from hushwire.domain.lookup import look_up
from hushwire.domain.phone import SMS, channel_of, is_sender_shape, normalise
from hushwire.private import Private

Channel = Literal["sms", "whatsapp", "messenger", "rcs"]
AddressKind = Literal["phone", "short_code", "alphanumeric", "account"]

_CHANNELS: Final[dict[str, Channel]] = {
    SMS: "sms", "whatsapp": "whatsapp", "messenger": "messenger", "rcs": "rcs",
}  # fmt: skip
# What stands after the prefix and is no number: a page or user of Messenger, an agent of RCS.
_ACCOUNTS: Final[dict[Channel, re.Pattern[str]]] = {
    "messenger": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"),
    "rcs": re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z"),
}
_DIGITS = re.compile(r"[0-9]+\Z")
_NORTH_AMERICA: Final = "+1"
_NOWHERE: Final = phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY

# Digits of the codes that companies send from: libphonenumber's short number metadata (SMS
# services), where the national rules are known to be as strict. Elsewhere 3 to 8.
SHORT_CODE_LENGTHS: Final = {
    "US": (5, 6), "CA": (5, 6), "FR": (5,), "BE": (4,), "NL": (4,), "SE": (5,), "CH": (3, 4, 5),
}  # fmt: skip
_ANY_LENGTH: Final = (3, 4, 5, 6, 7, 8)


class Address(Struct, frozen=True):
    """An address taken apart."""

    channel: Channel
    kind: AddressKind
    name: Private  # E.164, digits of a short code, or as written; without the channel's prefix

    def text(self) -> Private:
        """The address as it is written on the wire."""
        name = self.name.reveal()
        return self.name if self.channel == "sms" else Private(f"{self.channel}:{name}")

    @property
    def phone(self) -> Private | None:
        """The phone number in it (E.164), on whatever channel; None where there is none."""
        return self.name if self.kind == "phone" else None


def read_recipient(text: str, region: str = "US") -> Address | None:
    """Somebody a message can be sent to, or None.

    `region` (ISO 3166) reads numbers without a country code. Prefixes may have any case.
    """
    prefix, name = channel_of(text)
    channel = _CHANNELS.get(prefix)
    if channel is None:
        return None
    accounts = _ACCOUNTS.get(channel)
    if channel != "messenger":  # where digits are a user, not a number
        phone = normalise(name, region)
        if phone is not None:
            return Address(channel, "phone", Private(phone))
    if accounts is not None and accounts.match(name) is not None:
        return Address(channel, "account", Private(name))
    return None


def read_sender(text: str, region: str = "US") -> Address | None:
    """Something a message can be sent from, or None. Digits alone are a short code if they can be.

    A number in a national spelling is a number when it is one in `region`.
    """
    recipient = read_recipient(text, region)
    if recipient is not None or channel_of(text)[0] != SMS or not is_sender_shape(text):
        return recipient
    if _DIGITS.match(text) is not None:
        return Address("sms", "short_code", Private(text))
    return None if text.startswith("+") else Address("sms", "alphanumeric", Private(text))


def country_of(phone: str) -> str | None:
    """The country (ISO 3166) of a number in E.164; None for +800 and its like.

    Of a number no plan knows, the main country of its calling code.
    """
    try:
        number = phonenumbers.parse(phone)
    except NumberParseException:
        return None
    country = phonenumbers.region_code_for_number(number)
    if country is None:
        country = phonenumbers.region_code_for_country_code(number.country_code or 0)
    return country if country not in (_NOWHERE, phonenumbers.UNKNOWN_REGION) else None


def area_code_of(phone: str) -> str | None:
    """The area code of a number in E.164. Only the North American plan has one to match by."""
    return phone[2:5] if phone.startswith(_NORTH_AMERICA) and len(phone) == 12 else None


def is_toll_free(phone: str) -> bool:
    """Is that number (E.164) free for who calls it?"""
    try:
        return phonenumbers.number_type(phonenumbers.parse(phone)) == PhoneNumberType.TOLL_FREE
    except NumberParseException:
        return False


def is_landline(phone: str) -> bool:
    """Is that number (E.164) certainly fixed? Where a plan mixes both kinds, as in North America,
    it is not; and a valid number of a fixed range may still take messages. About 50 µs.
    """
    return look_up(phone).line_type == "landline"


def is_short_code(digits: str, country: str | None = None) -> bool:
    """Could these digits be a short code, of that country (ISO 3166)?"""
    lengths = SHORT_CODE_LENGTHS.get(country or "", _ANY_LENGTH)
    return digits.isascii() and digits.isdigit() and len(digits) in lengths
