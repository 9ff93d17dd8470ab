"""What can be done with deactivations: hand out the operator's list of a day, by a short link.

The carriers publish which numbers of phones were given up on a day. The operator puts that
list into the data directory as `deactivations/YYYY-MM-DD.csv`; nothing of it is kept here.
"""

import hmac
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.domain.usage import day_at, read_date
from hushwire.errors import Refusal
from hushwire.vault.lookup import day_of

LINK_MS: Final = 120_000  # how long a link leads somewhere (7.7)


class Link(Struct, frozen=True):
    """What leads to the list of a day for two minutes, without credentials."""

    day: str
    expires_ms: int
    signature: str


class Deactivations:
    """The lists in a directory. Links end with the process: their key is never kept."""

    def __init__(self, directory: Path, clock: Clock, entropy: Entropy) -> None:
        self._directory = directory
        self._clock = clock
        self._key = entropy.bytes(32)

    def link(self, text: str) -> Link:
        """A link to the list of that day.

        Raises Refusal: deactivations_date_invalid, deactivations_not_yet for today or later and
        for days after the newest list, deactivations_too_old for other days without one.
        """
        day = read_date(text)
        if day is None:
            raise Refusal("deactivations_date_invalid")
        if day >= day_at(day_of(self._clock.now_ms())):
            raise Refusal("deactivations_not_yet")
        if not self._path(day).is_file():
            later = any(found > day for found in self._days())
            raise Refusal("deactivations_too_old" if later else "deactivations_not_yet")
        expires_ms = self._clock.now_ms() + LINK_MS
        return Link(str(day), expires_ms, self._sign(str(day), expires_ms))

    def open(self, link: Link) -> Path | None:
        """The list that a link leads to; None when it is over, or none of ours."""
        right = hmac.compare_digest(
            self._sign(link.day, link.expires_ms).encode(), link.signature.encode()
        )
        day = read_date(link.day)
        if not right or day is None or link.expires_ms < self._clock.now_ms():
            return None
        path = self._path(day)
        return path if path.is_file() else None

    def _days(self) -> list[date]:
        found = (read_date(path.stem) for path in self._directory.glob("*.csv"))
        return [day for day in found if day is not None]

    def _path(self, day: date) -> Path:
        return self._directory / f"{day}.csv"

    def _sign(self, day: str, expires_ms: int) -> str:
        return blake2b(f"{day} {expires_ms}".encode(), key=self._key, digest_size=32).hexdigest()
