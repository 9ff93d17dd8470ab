"""What can be done with alerts: raise, list and fetch them."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.debugger import Debuggers
from hushwire.clock import Alarm, Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.alert import WITHOUT_EFFECT, Alert
from hushwire.domain.alert_table import KINDS, LogLevel
from hushwire.domain.entry import DAY_MS, KEPT_DAYS
from hushwire.domain.sid import new_sid
from hushwire.store.entries import Entries

EVERY_MS: Final = 60_000  # of one kind about one thing; what comes more often is counted
WATCHED_MAX: Final = 10_000  # kinds and things at once; beyond, nothing new is raised

_Key = tuple[int, int, str]  # account, code, what it is about


class Span(Struct, frozen=True):
    """From when (inclusive) to when (exclusive), Unix ms."""

    from_ms: int
    before_ms: int


class _Watched(Struct):
    """Something that was alerted of within the last minute."""

    until_ms: int
    count: int = 0  # since then
    latest: Alert | None = None


class Alerts:
    """The actions on alerts, for every door and worker."""

    def __init__(
        self, entries: Entries, debuggers: Debuggers, clock: Clock, entropy: Entropy
    ) -> None:
        self._entries = entries
        self._debuggers = debuggers
        self._clock = clock
        self._entropy = entropy
        self._watched: dict[_Key, _Watched] = {}
        self._told_day: dict[_Key, int] = {}  # what is told once a day → the last day
        self._alarm = Alarm(clock, self._minute_over)

    # -- raise ----------------------------------------------------------------------------

    def raise_(
        self, account_id: int, code: int, level: LogLevel | None = None, *,
        resource_sid: str | None = None, service_sid: str | None = None, url: str | None = None,
        method: str | None = None, http_status: int | None = None, detail: str | None = None,
        sent: tuple[tuple[str, int], ...] = (), answered_bytes: int | None = None,
    ) -> None:  # fmt: skip
        """Alert an account of `code`, a row of `alert_table`; `level` is that row's unless given.

        `url` has gone through `domain.alert.origin` or `without_query`; `detail` is our own
        words. The first about a URL, or a resource where there is none, is written at once.
        More of the kind within a minute become one, which counts them.
        """
        about = url or resource_sid or detail or ""
        key, now_ms = (account_id, code, about), self._clock.now_ms()
        alert = Alert(
            sid="", account_id=account_id, at_ms=now_ms, subject=resource_sid, code=code,
            level=level or KINDS[code][0], service_sid=service_sid, url=url, method=method,
            http_status=http_status, detail=detail, sent=sent, answered_bytes=answered_bytes,
        )  # fmt: skip
        watched = self._watched.get(key)
        if watched is not None:
            watched.count += 1
            watched.latest = alert
        elif len(self._watched) < WATCHED_MAX:
            self._watched[key] = _Watched(now_ms + EVERY_MS)
            self._alarm.set(now_ms + EVERY_MS)
            self._write(alert)

    def without_effect(self, account_id: int, parameter: str) -> None:
        """A parameter was given that has no effect here: told once a day (D11)."""
        self.once_a_day(account_id, WITHOUT_EFFECT, parameter)

    def once_a_day(self, account_id: int, code: int, detail: str | None = None) -> None:
        """Raise an alert that nobody needs twice on a day (UTC), also after a restart."""
        day = self._clock.now_ms() // DAY_MS
        key = (account_id, code, detail or "")
        if self._told_day.get(key) == day:
            return
        self._told_day[key] = day
        if not self._was_told(account_id, code, detail, day):
            self.raise_(account_id, code, detail=detail)

    def close(self) -> None:
        """The server stops: write what is counted and not yet told."""
        self._alarm.cancel()
        for watched in self._watched.values():
            self._write_counted(watched)
        self._watched.clear()

    # -- read -----------------------------------------------------------------------------

    def page(
        self, account: Account, level: LogLevel | None, span: Span, limit: int,
        after: str | None = None, *, upwards: bool = False,
    ) -> Sequence[Alert]:  # fmt: skip
        """Up to `limit` of the account's alerts, newest first: see `Entries.page`."""

        def fits(alert: Alert) -> bool:
            return level in (None, alert.level)

        from_ms = max(span.from_ms, self._oldest_ms())
        return self._entries.page(
            Alert, account.id, from_ms, span.before_ms, fits, limit, after, upwards=upwards
        )

    def fetch(self, account: Account, sid: str) -> Alert | None:
        """The account's alert of that SID, or None."""
        alert = self._entries.get(Alert, account.id, sid)
        return alert if alert is not None and alert.at_ms >= self._oldest_ms() else None

    # -- parts ----------------------------------------------------------------------------

    def _oldest_ms(self) -> int:
        return self._clock.now_ms() - KEPT_DAYS * DAY_MS

    def _was_told(self, account_id: int, code: int, detail: str | None, day: int) -> bool:
        """Was it told on that day, perhaps by the process before this one?"""

        def same(alert: Alert) -> bool:
            return (alert.code, alert.detail) == (code, detail)

        start_ms = day * DAY_MS
        return bool(self._entries.page(Alert, account_id, start_ms, start_ms + DAY_MS, same, 1))

    def _minute_over(self) -> None:
        """Tell of what was counted, and watch on; forget what happened no more."""
        now_ms = self._clock.now_ms()
        for key, watched in list(self._watched.items()):
            if watched.until_ms > now_ms:
                continue
            if watched.latest is None:
                del self._watched[key]
                continue
            self._write_counted(watched)
            self._watched[key] = _Watched(now_ms + EVERY_MS)
        if self._watched:
            self._alarm.set(min(watched.until_ms for watched in self._watched.values()))

    def _write_counted(self, watched: _Watched) -> None:
        if watched.latest is not None:
            self._write(replace(watched.latest, count=watched.count))

    def _write(self, alert: Alert) -> None:
        alert = replace(alert, sid=new_sid("NO", self._entropy.bytes(16)))
        self._entries.add(alert)
        self._debuggers.tell(alert)
