"""Hushwire: a private-by-design messaging platform that speaks Twilio's Messaging API.

    from hushwire import Hushwire

    with Hushwire.from_env() as hush:
        hush.messages.send(to="+14155550123", from_="+15005550006", body="Hello")

`import hushwire` loads nothing else: a name is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hushwire.client.asynchronous import AsyncHushwire
    from hushwire.client.synchronous import Hushwire
    from hushwire.connect.models import (
        Account,
        AccountPage,
        Deleted,
        Message,
        Messages,
        Number,
        Numbers,
        Phone,
    )
    from hushwire.connect.refused import Refused
    from hushwire.errors import Misconfigured

__version__ = "0.1.0"

__all__ = [
    "Account", "AccountPage", "AsyncHushwire", "Deleted", "Hushwire", "Message", "Messages",
    "Misconfigured", "Number", "Numbers", "Phone", "Refused",
]  # fmt: skip

_MODELS: Final = "hushwire.connect.models"
_PLACES: Final = {
    "AsyncHushwire": "hushwire.client.asynchronous",
    "Hushwire": "hushwire.client.synchronous",
    "Misconfigured": "hushwire.errors",
    "Refused": "hushwire.connect.refused",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES.get(name, _MODELS)), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
