"""The parts that keep and forget messages: retention, minimums, legal holds.

`assemble` makes one `Forgetting` a server, before anything is recorded.
"""

import asyncio
from typing import NoReturn

from starlette.routing import Route

from hushwire.actions.legal_holds import LegalHoldActions
from hushwire.actions.retention import RetentionSettings
from hushwire.api.door import Door
from hushwire.api.legal_holds import LegalHoldResource
from hushwire.api.retention import RetentionResource
from hushwire.clock import Clock, Entropy
from hushwire.dispatch.expire import Expiry
from hushwire.dispatch.waits import Waits
from hushwire.observe import Journal
from hushwire.store.custodian import Custodian
from hushwire.store.engine import Database
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.media import MediaTable
from hushwire.store.retained import Retained
from hushwire.store.store import Store


class Forgetting:
    """Make it on the running loop, once store and media are there."""

    def __init__(
        self, store: Store, media: MediaTable, clock: Clock, entropy: Entropy, journal: Journal
    ) -> None:
        reader = Database(store.path, readonly=True)
        self._holds = LegalHolds(reader, store.accounts.keys)
        reader.close()
        self._retained = Retained(store.path)
        self.custodian = Custodian(store, self._holds, clock)
        media.held = self.custodian.holds_media
        store.vanished = media.vanish
        self.waits = Waits(store, clock, self.custodian, media)
        loop = asyncio.get_running_loop()
        self._expiry = Expiry(
            store, self.custodian, self._holds, media, self._retained, clock, journal,
            measured_ms=lambda: int(loop.time() * 1000),
        )  # fmt: skip
        self._settings = RetentionSettings(store, self._retained, self._holds, self._expiry, clock)
        self.legal_holds = LegalHoldActions(store, self._holds, clock, entropy)

    async def run(self) -> NoReturn:
        """Forget what is kept no longer, for ever."""
        await self._expiry.run()

    def busy(self) -> int:
        """1 while something expires."""
        return self._expiry.busy()

    def close(self) -> None:
        """After the store: nothing is asked any more."""
        self._retained.close()

    def routes(self, door: Door) -> list[Route]:
        return [
            *RetentionResource(self._settings, door).routes(),
            *LegalHoldResource(self.legal_holds, door).routes(),
        ]
