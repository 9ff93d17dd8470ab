"""The custodian: what must be kept although it was to be forgotten.

The store asks it of every change that destroys something, so that no way of forgetting goes
past a minimum or a legal hold.
"""

from hushwire.clock import Clock
from hushwire.domain.holds import Custody, custody_of
from hushwire.domain.message import Change, Message
from hushwire.domain.task import TaskKind
from hushwire.domain.withholding import kept, withhold
from hushwire.store.legal_holds import LegalHolds
from hushwire.store.store import Store


class Custodian:
    """Minimums and legal holds, as they are now. It makes itself the store's custodian."""

    def __init__(self, store: Store, holds: LegalHolds, clock: Clock) -> None:
        self._store = store
        self._holds = holds
        self._clock = clock
        store.custodian = self.allowed

    def allowed(self, change: Change) -> Change:
        """What of a change may be destroyed now; the rest is withheld."""
        message = change.before
        assert message is not None
        retention = self._store.accounts.by_id[message.account_id].retention
        keeps = kept(message, retention, legal=self.is_held(message))
        return withhold(change, keeps, self._clock.now_ms())

    def is_held(self, message: Message) -> bool:
        """Is a legal hold about this message?"""
        return self._holds.about(message, self._store.parties)

    def holds_media(self, record: int) -> bool:
        """Is one about the message of that key, and so about its media?"""
        message = self._store.load([record], withheld=True).get(record)
        return message is not None and self.is_held(message)

    def custody(self, message: Message) -> Custody:
        """What decides how long the parts of a message live, as things are now."""
        store = self._store
        return custody_of(
            message,
            callbacks_pending=store.has_task(message.key, TaskKind.CALLBACK),
            answered=not store.has_task(message.key, TaskKind.INBOUND),
            retention=store.accounts.by_id[message.account_id].retention,
            legal=self.is_held(message),
        )
