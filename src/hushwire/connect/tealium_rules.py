"""The rules of `Send SMS or MMS`: what each parameter may be, checked before anything is sent.

Where the document of 2021 and Twilio's current definition differ, a profile decides:

    validity_period      2021: 1 to 14,400 seconds, 14,400 unless it is given; current: 36,000
    status_callback      2021: an application's own callback goes before it, so it is left out
    max_price            2021: a dearer message fails; current: Twilio's cloud ignores it

The rest differs in words alone (the size of media, the statuses of callbacks): the backend's
word counts.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from msgspec import Struct

from hushwire.domain.phone import is_e164, is_sender_shape
from hushwire.domain.text import BODY_MAX, body_units
from hushwire.outbound.url import has_path, parse_url, read_host, read_url

MEDIA_MAX: Final = 10
SHORT_VALIDITY_S: Final = 5  # below it a message is likely to expire
_SID: Final = r"[0-9a-fA-F]{32}\Z"
_PRICE: Final = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,4})?\Z")


class Profile(Struct, frozen=True):
    """The rules of a year."""

    validity_max_s: int
    validity_default_s: int | None  # None: the backend's own
    application_first: bool  # C-2


RULES: Final = {
    "current": Profile(36_000, None, application_first=False),
    "tealium-2021": Profile(14_400, 14_400, application_first=True),
}


class Parameters(Struct, frozen=True):
    """The parameters, as far as there are rules for them. Empty means absent."""

    to: str
    from_: str
    messaging_service_sid: str
    body: str
    media_url: list[str]
    status_callback: str
    application_sid: str
    max_price: str
    validity_period: int | None


class Problem(Struct, frozen=True):
    """Why a message is not sent: the field, Twilio's code, and one sentence without its value."""

    field: str
    code: int
    reason: str


class Warn(Struct, frozen=True):
    """What does not keep a message from being sent, and may surprise."""

    field: str
    text: str


def problems(given: Parameters, profile: Profile) -> list[Problem]:
    """All that is wrong, in the order of the parameters."""
    return [Problem(field, code, f"{field} {reason}") for rule in _RULES
            for field, code, reason in rule(given, profile)]  # fmt: skip


def warnings(given: Parameters, profile: Profile, *, cloud: bool) -> list[Warn]:
    """What may surprise. `cloud`: is the backend Twilio's own?"""
    found: list[Warn] = []
    if given.validity_period is not None and given.validity_period < SHORT_VALIDITY_S:
        found.append(Warn("validity_period", "below 5 seconds it may expire before it is sent"))
    if given.application_sid and given.status_callback:
        found.append(_callbacks(profile))
    if given.max_price and cloud:
        found.append(Warn("max_price", "Twilio's cloud ignores it since June 2024"))
    return found


def _callbacks(profile: Profile) -> Warn:
    if profile.application_first:
        return Warn("status_callback", "is left out: the application's own callback is told")
    return Warn("application_sid", "its callback is not told: status_callback goes first")


# --- a rule a parameter ----------------------------------------------------------------------

Found = Iterator[tuple[str, int, str]]


def _to(given: Parameters, _: Profile) -> Found:
    if not given.to:
        yield "to", 21604, "is missing: a number in E.164, +16175551212"
    elif not is_e164(given.to):
        yield "to", 21211, "must be E.164: a plus, the country code and the number, +16175551212"


def _from(given: Parameters, _: Profile) -> Found:
    if not given.from_ and not given.messaging_service_sid:
        yield "from", 21603, "is missing: give a sender, or a messaging_service_sid"
    elif given.from_ and not is_sender_shape(given.from_):
        yield "from", 21212, "must be E.164, a short code, or an alphanumeric sender ID"


def _service(given: Parameters, _: Profile) -> Found:
    if given.messaging_service_sid and not re.match("MG" + _SID, given.messaging_service_sid):
        yield "messaging_service_sid", 21705, "must be 34 characters: MG and 32 hex digits"


def _body(given: Parameters, _: Profile) -> Found:
    units = body_units(given.body)
    if not given.body and not given.media_url:
        yield "body", 21619, "is missing: give a body, or a media_url"
    elif units > BODY_MAX:
        yield "body", 21617, f"has {units} characters of {BODY_MAX}; an emoji counts as two or more"


def _media(given: Parameters, _: Profile) -> Found:
    if len(given.media_url) > MEDIA_MAX:
        yield "media_url", 21623, f"names {len(given.media_url)} files of {MEDIA_MAX}"
    for at, url in enumerate(given.media_url, 1):
        if isinstance(read_url(url), str):
            yield "media_url", 21620, f"no. {at} must be one http or https URL"


_WRONG_URL: Final = {
    "length": "has more than 4,000 characters",
    "scheme": "must begin with http:// or https://",
    "host": "must have a valid hostname, without an underscore",
    "port": "must have port 80, 443 or one above 1023",
    "characters": "must be ASCII without blanks",
}


def _callback(given: Parameters, _: Profile) -> Found:
    if not given.status_callback:
        return
    parts = parse_url(given.status_callback)
    if isinstance(parts, str):
        yield "status_callback", 21609, _WRONG_URL.get(parts, "must be an http or https URL")
    elif read_host(parts.host) is None:
        yield "status_callback", 21609, _WRONG_URL["host"]
    elif not has_path(given.status_callback, parts):
        yield "status_callback", 21609, "must have a path, at least a slash after the hostname"


def _application(given: Parameters, _: Profile) -> Found:
    if given.application_sid and not re.match("AP" + _SID, given.application_sid):
        yield "application_sid", 21420, "must be 34 characters: AP and 32 hex digits"


def _max_price(given: Parameters, _: Profile) -> Found:
    if not given.max_price:
        return
    if not _PRICE.match(given.max_price) or not Decimal(given.max_price):
        yield "max_price", 21627, "must be US dollars above 0, up to the fourth decimal: 0.0075"


def _validity(given: Parameters, profile: Profile) -> Found:
    seconds, most = given.validity_period, profile.validity_max_s
    if seconds is not None and not 1 <= seconds <= most:
        yield "validity_period", 21624, f"must be 1 to {most:,} seconds"


_RULES: Final[tuple[Callable[[Parameters, Profile], Found], ...]] = (
    _to, _from, _service, _body, _media, _callback, _application, _max_price, _validity,
)  # fmt: skip
