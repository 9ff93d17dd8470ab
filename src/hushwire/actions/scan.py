"""Looks through an account for what works against redaction (8.4, R32), and raises alerts.

It looks when a switch is turned on, whenever it is asked, shortly after a number, service, short
code, application or keywords change, and once a day while a switch is on.
"""

from collections.abc import Callable
from typing import Final

from hushwire.actions.alerts import Alerts
from hushwire.actions.events import Record
from hushwire.clock import Alarm, Clock
from hushwire.domain.account import Account, Number
from hushwire.domain.alert import Alert
from hushwire.domain.application import Application
from hushwire.domain.connection import Connection
from hushwire.domain.debugger import Debugger
from hushwire.domain.entry import DAY_MS
from hushwire.domain.keywords import Keywords
from hushwire.domain.scan import Configuration, Finding, scan
from hushwire.domain.service import Service
from hushwire.domain.shortcode import ShortCode
from hushwire.domain.stream import Sink
from hushwire.settings import GetWebhooks
from hushwire.store.records import Records
from hushwire.store.store import Store

SOON_MS: Final = 1_000  # after a change: of many that come together, one look takes in all

_LOOKED_AT: Final = (Number, Service, ShortCode, Application, Keywords)

_Told = tuple[int, int, str]  # account, code, resource


class AccountScan:
    """The scan of every account. `start` it when the server starts working."""

    def __init__(
        self, store: Store, records: Records, alerts: Alerts, clock: Clock, *,
        get_webhooks: GetWebhooks = "warn", shreds_stay: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        """`shreds_stay`: may the vault's filesystem keep what is overwritten? None: not known."""
        self._accounts = store.accounts
        self._records = records
        self._alerts = alerts
        self._clock = clock
        self._get_webhooks: GetWebhooks = get_webhooks
        self._shreds_stay = shreds_stay
        self._told_ms: dict[_Told, int] = {}
        self._waiting: dict[int, None] = {}  # accounts to look through, in order
        self._round_ms: int | None = None  # when all of them are looked through next
        self._alarm = Alarm(clock, self._ring)

    def start(self) -> None:
        """Look through all accounts now, and from then on once a day."""
        self._round_ms = self._clock.now_ms()
        self._alarm.set(self._round_ms)

    def stop(self) -> None:
        """Look no more."""
        self._alarm.cancel()

    def scan(self, account: Account) -> list[Finding]:
        """What works against the redaction that is on; nothing while it is all off.

        What has a code is alerted of, too: once a day about one resource.
        """
        found = self._look(account)
        if self._round_ms is None and not self._waiting:  # the first with a switch on
            self._round_ms = self._clock.now_ms() + DAY_MS
            self._alarm.set(self._round_ms)
        return found

    def changed(self, before: Record | None, after: Record | None) -> None:
        """A record was made (no `before`), changed, or deleted (no `after`), and is on disk.

        What is deleted works against nothing any more.
        """
        if isinstance(after, _LOOKED_AT) and self._is_redacting(after.account_id):
            self._waiting[after.account_id] = None
            self._alarm.set(self._clock.now_ms() + SOON_MS)

    # -- parts ----------------------------------------------------------------------------

    def _look(self, account: Account) -> list[Finding]:
        found = scan(self._configuration(account), account.privacy)
        for finding in found:
            if finding.code is not None:
                self._tell(account.id, finding.code, finding)
        return found

    def _configuration(self, account: Account) -> Configuration:
        numbers, owned = self._accounts.numbers.values(), self._records.owned
        return Configuration(
            account_sid=account.sid,
            numbers=tuple(number for number in numbers if number.account_id == account.id),
            short_codes=tuple(owned.of(ShortCode, account.id)),
            services=tuple(owned.of(Service, account.id)),
            applications=tuple(owned.of(Application, account.id)),
            keywords=tuple(owned.of(Keywords, account.id)),
            sinks=tuple(owned.of(Sink, account.id)),
            connections=tuple(owned.of(Connection, account.id)),
            debugger=next(iter(owned.of(Debugger, account.id)), None),
            scheduled=self._records.scheduled.of(account.id),
            get_webhooks=self._get_webhooks,
            shreds_stay=self._shreds_stay is not None and self._shreds_stay(),
        )

    def _tell(self, account_id: int, code: int, finding: Finding) -> None:
        key, now_ms = (account_id, code, finding.resource_sid), self._clock.now_ms()
        told_ms = self._told_ms.get(key)
        if told_ms is None:  # perhaps by the process before this one
            told_ms = self._told_before(key)
        if told_ms is not None and now_ms - told_ms < DAY_MS:
            self._told_ms[key] = told_ms
            return
        self._told_ms[key] = now_ms
        self._alerts.raise_(
            account_id, code, resource_sid=finding.resource_sid, detail=finding.cure
        )

    def _told_before(self, key: _Told) -> int | None:
        account_id, code, sid = key
        alerts = self._records.entries.of(Alert, account_id, sid)
        return max((alert.at_ms for alert in alerts if alert.code == code), default=None)

    def _is_redacting(self, account_id: int) -> bool:
        account = self._accounts.by_id[account_id]
        privacy = account.privacy
        return account.status != "closed" and (privacy.redact_body or privacy.redact_numbers)

    def _ring(self) -> None:
        """Look through one account, and come back at once while more of them wait."""
        now_ms = self._clock.now_ms()
        if self._round_ms is not None and self._round_ms <= now_ms:
            self._begin_round(now_ms)
        looked = bool(self._waiting)
        if looked:
            account_id = next(iter(self._waiting))
            del self._waiting[account_id]
            if self._is_redacting(account_id):
                self._look(self._accounts.by_id[account_id])
        if self._waiting:
            self._alarm.set(now_ms)
            return
        if looked and self._round_ms is None:
            # A day from the end of a round: no alert is then less than a day old.
            self._round_ms = self._clock.now_ms() + DAY_MS
        if self._round_ms is not None:
            self._alarm.set(self._round_ms)

    def _begin_round(self, now_ms: int) -> None:
        self._round_ms = None
        self._told_ms = {key: ms for key, ms in self._told_ms.items() if now_ms - ms < DAY_MS}
        for account_id in self._accounts.by_id:
            if self._is_redacting(account_id):
                self._waiting[account_id] = None
