"""What a parameter's value may look like: one question a value, none about what exists.

Twilio's spelling of booleans, SIDs, dates and JSON (twilio-messaging 1.1, 5.1).
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from hushwire.domain.phone import is_sender_shape
from hushwire.domain.schedule import read_time

Fits = Callable[[str], bool]

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}\Z")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?\Z")
_URL = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_VARIABLES: Final = msgspec.json.Decoder(dict[str, str])
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_boolean(text: str) -> bool:
    """`true` or `false`, in any case of letters."""
    return text.lower() in ("true", "false")


def is_true(text: str) -> bool:
    """Is this boolean `true`?"""
    return text.lower() == "true"


def whole(low: int, high: int) -> Fits:
    """A whole number in that range, both ends included."""
    digits = len(str(high))
    return lambda text: (
        text.isascii() and text.isdigit() and len(text) <= digits and low <= int(text) <= high
    )


def is_price(text: str) -> bool:
    """A positive decimal number."""
    return len(text) <= 32 and _NUMBER.match(text) is not None and 0 < float(text) < math.inf


def is_url(text: str) -> bool:
    """An http or https URL with a host. Whether it may be called is the guard's question."""
    return _URL.match(text) is not None


def is_time(text: str) -> bool:
    """A date and a time of day, ISO 8601."""
    return read_time(text) is not None


def is_variables(text: str) -> bool:
    """A JSON object of texts."""
    return _decodes(_VARIABLES, text)


def is_object(text: str) -> bool:
    """A JSON object."""
    return _decodes(_OBJECT, text)


def is_sender(text: str) -> bool:
    """E.164, a short code or an alphanumeric ID."""
    return is_sender_shape(text)


def sid(prefix: str) -> Fits:
    """A SID of that kind, in either case of hex digits."""
    return lambda text: text.startswith(prefix) and _SID.match(text) is not None


def word(*words: str) -> Fits:
    """One of these words, as they are spelled."""
    return lambda text: text in words


def anything(text: str) -> bool:
    """Any text: the action has its own say."""
    return True


def _decodes(decoder: "msgspec.json.Decoder[Any]", text: str) -> bool:
    try:
        decoder.decode(text)
    except (msgspec.DecodeError, RecursionError):  # not JSON, or nested too deep to be looked at
        return False
    return True
