"""How owners change the settings of what they have: numbers, services, applications, short codes.

A settings record is a frozen Struct. What a field's text may be follows from its name, so that
the same word means the same everywhere.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.outbound.url import parse_url

FRIENDLY_NAME_MAX: Final = 64
METHODS: Final = ("GET", "POST")

S = TypeVar("S", bound=Struct)


def changed(settings: S, changes: Mapping[str, object], guard: Guard) -> S:
    """`settings` after `changes`, field → value. Empty text puts the default back.

    Raises Refusal: invalid_friendly_name (also for an empty name where one must be),
    method_invalid, url_invalid. Values that are no text were read by the door.
    """
    after = dict(changes)
    for field in fields(settings):
        value = changes.get(field.name)
        if value == "":
            if field.default is NODEFAULT:
                raise Refusal("invalid_friendly_name")
            after[field.name] = field.default
        elif isinstance(value, str):
            _check(field.name, value, guard)
    return replace(settings, **after)


def may_be_called(url: str, guard: Guard) -> bool:
    """As a StatusCallback, except that the URL may leave out its path."""
    parts = parse_url(url)
    return not isinstance(parts, str) and guard.check_syntax(parts.text()) is None


def _check(name: str, text: str, guard: Guard) -> None:
    if name == "friendly_name":
        if len(text) > FRIENDLY_NAME_MAX:
            raise Refusal("invalid_friendly_name")
    elif name.endswith("_method"):
        if text not in METHODS:
            raise Refusal("method_invalid")
    elif name.endswith(("_url", "_callback")) and not may_be_called(text, guard):
        raise Refusal("url_invalid")
