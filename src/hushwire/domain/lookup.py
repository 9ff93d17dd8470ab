"""What the numbering plans tell of a phone number. Pure; nobody is asked. Metadata: libphonenumber.

Whether a number is in service, and at which carrier, cannot be told. Plans change: an
invalid number may be a new one.
"""

from typing import Final, Literal

import phonenumbers
from msgspec import Struct
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)

from hushwire.private import Private

ValidationError = Literal[
    "TOO_SHORT", "TOO_LONG", "INVALID_BUT_POSSIBLE", "INVALID_COUNTRY_CODE", "INVALID_LENGTH",
    "NOT_A_NUMBER",
]  # fmt: skip
LineType = Literal[
    "landline", "mobile", "tollFree", "premium", "sharedCost", "nonFixedVoip", "personal", "pager",
    "uan", "voicemail", "unknown",
]  # fmt: skip

_UNREADABLE: Final[dict[int, ValidationError]] = {
    NumberParseException.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
    NumberParseException.NOT_A_NUMBER: "NOT_A_NUMBER",
    NumberParseException.TOO_SHORT_AFTER_IDD: "TOO_SHORT",
    NumberParseException.TOO_SHORT_NSN: "TOO_SHORT",
    NumberParseException.TOO_LONG: "TOO_LONG",
}
_IMPOSSIBLE: Final[dict[int, ValidationError]] = {
    ValidationResult.INVALID_COUNTRY_CODE: "INVALID_COUNTRY_CODE",
    ValidationResult.TOO_SHORT: "TOO_SHORT",
    ValidationResult.TOO_LONG: "TOO_LONG",
    ValidationResult.INVALID_LENGTH: "INVALID_LENGTH",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "TOO_SHORT",  # the area code is missing
}
# Plans that mix mobiles and landlines (all of North America) tell nothing: None. Voice over IP
# has ranges of its own where a number is bound to no address, so it is never `fixedVoip`.
_LINE_TYPES: Final[dict[int, LineType | None]] = {
    PhoneNumberType.FIXED_LINE: "landline",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: None,
    PhoneNumberType.TOLL_FREE: "tollFree",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "sharedCost",
    PhoneNumberType.VOIP: "nonFixedVoip",
    PhoneNumberType.PERSONAL_NUMBER: "personal",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
    PhoneNumberType.UNKNOWN: "unknown",
}


class Lookup(Struct, frozen=True):
    """What is known of a number. Unless it is valid, only `phone` and `errors` hold something."""

    phone: Private  # E.164 where it could be read, else as it was given
    errors: tuple[ValidationError, ...] = ()
    national: Private | None = None  # as people there write it
    country: str | None = None  # ISO 3166; None for a number of no country, such as +800
    calling_code: str | None = None
    line_type: LineType | None = None  # None: the plan does not tell

    @property
    def valid(self) -> bool:
        """Is it in a range that a carrier may give to somebody?"""
        return not self.errors


def look_up(text: str, region: str = "US") -> Lookup:
    """What is known of `text`: E.164, or as written in `region` (ISO 3166). Never raises.

    About 50 µs.
    """
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException as error:
        return Lookup(Private(text), (_UNREADABLE[error.error_type],))
    number.extension = None  # of a number's owner, not of its plan
    phone = Private(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    error = _error(number)
    if error is not None:
        return Lookup(phone, (error,))
    country = phonenumbers.region_code_for_number(number)
    return Lookup(
        phone=phone,
        national=Private(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)),
        country=country if country != phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else None,
        calling_code=str(number.country_code),
        line_type=_LINE_TYPES[phonenumbers.number_type(number)],
    )


def is_region(code: str) -> bool:
    """Is `code` an ISO 3166 code, in capitals, that has a numbering plan?"""
    return code in phonenumbers.SUPPORTED_REGIONS


def _error(number: PhoneNumber) -> ValidationError | None:
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason in _IMPOSSIBLE:
        return _IMPOSSIBLE[reason]
    return None if phonenumbers.is_valid_number(number) else "INVALID_BUT_POSSIBLE"
