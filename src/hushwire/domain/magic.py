"""Twilio's magic numbers: literal tables of test numbers that always give the same answer.

Values are names of `errors.toml`. Source: twilio-messaging 3.4.
"""

from typing import Final

FROM_OK: Final = "+15005550006"  # passes every check as a sender

FROM: Final = {
    "+15005550001": "from_invalid",
    "+15005550007": "from_not_owned",
    "+15005550008": "queue_full",
}
TO: Final = {
    "+15005550001": "to_invalid",
    "+15005550002": "to_not_routable",
    "+15005550003": "region_not_enabled",
    "+15005550004": "unsubscribed",
    "+15005550009": "not_mobile",
}

PURCHASE_OK: Final = "+15005550006"

PURCHASE: Final = {
    "+15005550000": "number_not_available",
    "+15005550001": "number_invalid",
}
AREA_CODE_OK: Final = "500"

AREA_CODE: Final = {"533": "area_code_empty"}
