"""What can be done with an account's debugger webhook: set, show and unset its URL."""

from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.alert import Alert
from hushwire.domain.debugger import Debugger
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.outbox import Draft, Outbox
from hushwire.store.owned import OwnedRecords

PREFIX = "DW"  # our own: Twilio's debugger webhook has no SID


class Debuggers:
    """The debugger webhooks of all accounts."""

    def __init__(
        self, owned: OwnedRecords, outbox: Outbox, guard: Guard, clock: Clock, entropy: Entropy
    ) -> None:
        self._owned = owned
        self._outbox = outbox
        self._guard = guard
        self._clock = clock
        self._entropy = entropy

    def of(self, account_id: int) -> Debugger | None:
        """The account's, or None."""
        return next(iter(self._owned.of(Debugger, account_id)), None)

    def set(self, account: Account, url: str | None) -> Debugger | None:
        """Where the account is told of alerts from now on; None for nowhere.

        Raises Refusal (21609) for a URL that can never be called. What waits to be told to a
        URL that is unset is told nobody.
        """
        known = self.of(account.id)
        if url is None:
            if known is not None:
                self._owned.delete(known)
                self._outbox.clear(known.sid)
            return None
        if self._guard.check_syntax(url) is not None:
            raise Refusal("status_callback_invalid")
        now_ms = self._clock.now_ms()
        if known is None:
            sid = new_sid(PREFIX, self._entropy.bytes(16))
            made = Debugger(
                sid=sid, account_id=account.id, created_ms=now_ms, updated_ms=now_ms, url=url
            )
        else:
            made = replace(known, url=url, updated_ms=now_ms)
        self._owned.put(made)
        return made

    def tell(self, alert: Alert) -> None:
        """Tell the account of an alert that is about to be written."""
        debugger = self.of(alert.account_id)
        if debugger is not None:
            due_ms = self._clock.now_ms()
            self._outbox.put(Draft(debugger.sid, alert.account_id, alert.sid, "", due_ms))
