"""What accounts set up and what happened to them: every kind of owned record and of entry.

One line a kind. The name is written to the database, so it never changes.
"""

from typing import Final

from hushwire.domain.alert import Alert
from hushwire.domain.application import Application
from hushwire.domain.audit import Reveal
from hushwire.domain.connection import Connection
from hushwire.domain.content import Template
from hushwire.domain.debugger import Debugger
from hushwire.domain.delivery import Delivery
from hushwire.domain.entry import Entry
from hushwire.domain.event import Event
from hushwire.domain.keywords import Keywords
from hushwire.domain.oauth import OauthApp, OauthGrant
from hushwire.domain.owned import Owned
from hushwire.domain.service import Service
from hushwire.domain.shortcode import ShortCode
from hushwire.domain.stream import Sink, Subscription
from hushwire.store.engine import Database
from hushwire.store.entries import Entries
from hushwire.store.optouts import OptOuts, StickySenders
from hushwire.store.outbox import Outbox
from hushwire.store.owned import OwnedRecords
from hushwire.store.schedule import ScheduledCounts
from hushwire.store.store import Store
from hushwire.store.usage import UsageTable

OWNED: Final[dict[str, type[Owned]]] = {
    "application": Application,
    "content": Template,
    "service": Service,
    "short-code": ShortCode,
    "debugger": Debugger,
    "keywords": Keywords,
    "sink": Sink,
    "subscription": Subscription,
    "connection": Connection,
    "oauth-app": OauthApp,
    "oauth-grant": OauthGrant,
}
ENTRIES: Final[dict[str, type[Entry]]] = {
    "alert": Alert,
    "delivery": Delivery,
    "event": Event,
    "reveal": Reveal,
}


class Records:
    """The tables beside the messages, each behind its own small interface."""

    def __init__(self, store: Store) -> None:
        reader, keys = Database(store.path, readonly=True), store.accounts.keys
        self._reader = reader
        self.owned = OwnedRecords(reader, store.write_now, keys, OWNED)
        self.entries = Entries(reader, store.append, keys, ENTRIES)
        self.optouts = OptOuts(reader, store.write_now, keys)
        self.outbox = Outbox(reader, store.append)
        self.usage = UsageTable(reader, store.append)
        self.sticky = StickySenders(reader, store.write_now, keys)
        self.scheduled = ScheduledCounts(reader)

    def close(self) -> None:
        self._reader.close()
