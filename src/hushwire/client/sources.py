"""Where a library's backend is: a URL with credentials, found or given; or this process."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from hushwire.connect.credentials import Basic
from hushwire.connect.run import Connected
from hushwire.connect.wire import CLOUD, Wire
from hushwire.errors import Misconfigured
from hushwire.private import Private
from hushwire.settings import Settings

VARIABLES: Final = ("HUSHWIRE_URL", "HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN")

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Source(Protocol):
    """What a library speaks to. It is opened once, on the loop that uses it, and closed."""

    async def open(self) -> Connected: ...

    async def close(self) -> None: ...


class Place(Struct, frozen=True):
    """Where a backend is, and who asks."""

    url: str
    account_sid: str
    auth_token: Private


class Remote:
    """A Hushwire server, or Twilio's cloud."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._wire: Wire | None = None

    async def open(self) -> Connected:
        place = self._place
        basic = Basic(place.account_sid, place.auth_token)
        self._wire = Wire(place.url, basic, transport=transport_to(place.url))
        return Connected(self._wire, place.account_sid)

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()


def transport_to(url: str) -> httpx.AsyncBaseTransport | None:
    """For this machine, one that knows of no proxy; else None: as the environment says."""
    return httpx.AsyncHTTPTransport() if urlsplit(url).hostname in _LOOPBACK else None


def cloud(account_sid: str, auth_token: str) -> Place:
    """Twilio's own cloud."""
    return Place(CLOUD, account_sid, Private(auth_token))


def find(environ: Mapping[str, str]) -> Place:
    """As the commands do: the three variables, else credentials.json of the data directory
    (HUSHWIRE_DATA, or hushwire-data here).

    Raises Misconfigured with the cure.
    """
    if environ.get(VARIABLES[0]):
        missing = [name for name in VARIABLES if not environ.get(name)]
        if missing:
            raise Misconfigured(f"HUSHWIRE_URL is set, but not {' and '.join(missing)}: set all")
        url, sid, token = (environ[name] for name in VARIABLES)
        return Place(url, sid, Private(token))
    path = Path(environ.get("HUSHWIRE_DATA") or Settings().data) / "credentials.json"
    try:
        kept = json.loads(path.read_bytes())
        return Place(kept["url"], kept["account_sid"], Private(kept["auth_token"]))
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be read ({error.strerror}): start `hushwire up` here, or set "
            f"{', '.join(VARIABLES)}"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Misconfigured(f"{path} is damaged: the next start of the server writes it") from None
