"""A short code: a few digits that a carrier rents to a company (twilio-messaging 7.3)."""

from msgspec import Struct

from hushwire.domain.owned import Owned


class ShortCodeSettings(Struct, frozen=True):
    """What its owner set. URLs may hold credentials; an empty one is not set."""

    friendly_name: str = ""  # shown as the digits when there is none
    sms_url: str = ""
    sms_method: str = "POST"
    sms_fallback_url: str = ""
    sms_fallback_method: str = "POST"


class ShortCode(Owned, frozen=True, kw_only=True):
    """A short code of an account."""

    digits: str
    country: str  # ISO 3166: only phones there know it
    settings: ShortCodeSettings = ShortCodeSettings()
