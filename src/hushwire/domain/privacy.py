"""What an account has us forget, and how long we hold what is to be forgotten (8.1, 8.4).

Two switches, each for itself: bodies, and numbers of people. A message may say otherwise
(ContentRetention, AddressRetention). Pure.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast

from msgspec import Struct, json
from msgspec.structs import asdict, fields, replace

from hushwire.domain.phone import SMS, channel_of, country_code, is_e164
from hushwire.errors import Refusal

ScanProfile = Literal["twilio", "hushwire"]
Display = Literal["last4", "country", "none"]

_HIDDEN: Final = 4  # characters of an address that "last4" hides


class Windows(Struct, frozen=True):
    """How long what is to be forgotten may be held, in seconds."""

    queue: int = 14_400  # longest validity of such a message (R6, D7)
    recovery: int = 21_600  # after the hand-over (R8, D5)
    inbound: int = 21_600  # while the webhooks are tried (R10)
    media_us_ca: int = 900  # R16
    media_link: int = 604_800  # R17
    media_inbound: int = 86_400  # R18
    session: int = 86_400  # a WhatsApp recipient is one contact for so long (R20)
    undelivered: int = 604_800  # a channel tries again for so long (R22)


DEFAULTS: Final = Windows()
_DAY: Final = 86_400
LONGEST: Final = Windows(
    queue=36_000, recovery=3 * _DAY, inbound=3 * _DAY, media_us_ca=7 * _DAY,
    media_link=30 * _DAY, media_inbound=7 * _DAY, session=2 * _DAY, undelivered=7 * _DAY,
)  # fmt: skip
SHORTEST: Final = Windows(1, 0, 0, 0, 0, 0, 0, 0)  # a message must have time to leave


class ChosenWindows(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The windows an account set itself; the server's defaults for the rest."""

    queue: int | None = None
    recovery: int | None = None
    inbound: int | None = None
    media_us_ca: int | None = None
    media_link: int | None = None
    media_inbound: int | None = None
    session: int | None = None
    undelivered: int | None = None

    def over(self, defaults: Windows) -> Windows:
        """What counts: these, over the defaults."""
        chosen = {name: s for name, s in asdict(self).items() if s is not None}
        return replace(defaults, **chosen) if chosen else defaults


class Privacy(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An account's privacy settings. Both switches are off for a new account (D6)."""

    redact_body: bool = False
    redact_numbers: bool = False
    scan_profile: ScanProfile = "hushwire"
    display: Display = "last4"
    windows_s: ChosenWindows = ChosenWindows()


def shown(address: str, display: Display) -> str:
    """What is left of a person's address: `+1555123XXXX`, `+1…`, or nothing.

    Exactly four characters are hidden by default (R3). A channel's prefix stays.
    """
    channel, bare = channel_of(address)
    prefix = "" if channel == SMS else f"{channel}:"
    match display:
        case "last4":
            return f"{prefix}{bare[:-_HIDDEN]}{'X' * _HIDDEN}"
        case "country":
            return f"{prefix}{f'+{country_code(bare)}' if is_e164(bare) else ''}…"
        case "none":
            return ""


def discards(privacy: Privacy, retention: str | None) -> bool:
    """Is the body to be forgotten, where the message says `retention` of its content?"""
    return privacy.redact_body if retention is None else retention == "discard"


def obfuscates(privacy: Privacy, retention: str | None) -> bool:
    """Is the address to be forgotten, where the message says `retention` of its addresses?"""
    return privacy.redact_numbers if retention is None else retention == "obfuscate"


def changed(privacy: Privacy, wanted: Mapping[str, object]) -> Privacy:
    """The settings after a change to what `wanted` names; None puts a default back.

    Raises Refusal for a name or a value that is none: then nothing is changed.
    """
    values: dict[str, object] = {}
    for name, value in wanted.items():
        if name not in _FIELDS:
            raise Refusal("privacy_setting_unknown", setting=_spelled(name))
        if value is None:
            values[name] = _FIELDS[name]
        elif name == "windows_s":
            values[name] = _windows(privacy.windows_s, value)
        elif value in _CHOICES[name] and type(value) is type(_CHOICES[name][0]):
            values[name] = value
        else:
            raise Refusal("privacy_setting_invalid", setting=name, cure=_cure(_CHOICES[name]))
    return replace(privacy, **values)


def _windows(chosen: ChosenWindows, wanted: object) -> ChosenWindows:
    if not isinstance(wanted, Mapping):
        cure = "an object of seconds by window, or null"
        raise Refusal("privacy_setting_invalid", setting="windows_s", cure=cure)
    values: dict[str, int | None] = {}
    for name, value in cast("Mapping[object, object]", wanted).items():
        if not isinstance(name, str) or name not in _LIMITS:
            raise Refusal("privacy_setting_unknown", setting=f"windows_s.{_spelled(name)}")
        low, high = _LIMITS[name]
        if value is not None and (type(value) is not int or not low <= value <= high):
            cure = f"a whole number of seconds from {low} to {high}, or null"
            raise Refusal("privacy_setting_invalid", setting=f"windows_s.{name}", cure=cure)
        values[name] = value
    return replace(chosen, **values)


def _cure(choices: tuple[object, ...]) -> str:
    return f"{', '.join(json.encode(each).decode() for each in choices)} or null"


def _spelled(name: object) -> str:
    """A name as somebody spelled it, for the sentence that refuses it."""
    return str(name)[:40]


_FIELDS: Final[dict[str, object]] = {field.name: field.default for field in fields(Privacy)}
_LIMITS: Final[dict[str, tuple[int, int]]] = {
    field.name: (getattr(SHORTEST, field.name), getattr(LONGEST, field.name))
    for field in fields(Windows)
}
_CHOICES: Final[dict[str, tuple[object, ...]]] = {
    "redact_body": (True, False),
    "redact_numbers": (True, False),
    "scan_profile": ("twilio", "hushwire"),
    "display": ("last4", "country", "none"),
}
