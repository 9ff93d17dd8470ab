"""The journal: one typed method for each line that may be written.

A field is written only when `FIELDS` knows its name and its value has the shape given there:
ids, counts, codes, milliseconds and fixed words, never text that came from outside. What does
not fit is withheld and counted. Errors show their type and where they passed, never their text.
"""

import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Final, Literal, TextIO

from msgspec import json

from hushwire.observe.metrics import Metrics
from hushwire.private import Private

Level = Literal["debug", "info", "warning", "error"]
_RANK: Final[dict[Level, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_BURST: Final = 20  # lines of one event in one second; the rest is counted

# Nine digits at most: a phone number cannot pass for a count.
_NUMBER: Final = re.compile(r"-?\d{1,9}(\.\d{1,6})?\Z")
_SID: Final = re.compile(r"[A-Z]{2}[0-9a-f]{32}\Z")
_WORD: Final = re.compile(r"[a-z][a-z_.-]{0,39}\Z")  # no digit: a number cannot pass for a word
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,59}\Z")
_PLACES: Final = re.compile(r"([\w.<>-]{1,60}:\d{1,6} ?){1,8}\Z", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_VERSION: Final = re.compile(r"\d{1,4}(\.\d{1,4}){1,3}[a-z0-9.]{0,8}\Z")

FIELDS: Final[dict[str, re.Pattern[str]]] = {
    "account": _SID, "hold": _SID, "message": _SID,
    "hash": _HASH, "error": _TYPE, "logger": _TYPE, "where": _PLACES, "version": _VERSION,
    "carrier": _WORD, "reason": _WORD, "result": _WORD, "sandbox": _WORD, "signal": _WORD,
    "attempt": _NUMBER, "callbacks": _NUMBER, "code": _NUMBER, "days": _NUMBER,
    "free_mb": _NUMBER,
    "in_doubt": _NUMBER, "messages": _NUMBER, "ms": _NUMBER, "port": _NUMBER,
    "reserve_mb": _NUMBER, "retry_ms": _NUMBER, "seconds": _NUMBER, "seq": _NUMBER,
    "status": _NUMBER, "waiting": _NUMBER,
}  # fmt: skip


class Journal:
    """Writes lines to `stream`: plain text when it is a terminal, else one JSON object a line.

    Safe from any thread. Never raises for what it is given or when the stream is gone.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        level: Level = "info",
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._stream = stream or sys.stderr
        self._plain = self._stream.isatty()
        self._least = _RANK[level]
        self._now = now
        self._lock = threading.RLock()  # a finalizer may log while a line is written
        self._second = 0
        self._lines: defaultdict[str, int] = defaultdict(int)  # in this second, by event
        self._over: defaultdict[str, int] = defaultdict(int)  # not written, by event

    # One method a line that may be written ------------------------------------------------

    def started(self, version: str, port: int, ms: int, *, sandbox: bool) -> None:
        """The server accepts requests."""
        word = "on" if sandbox else "off"
        self._write("info", "started", version=version, port=port, ms=ms, sandbox=word)

    def recovered(self, messages: int, in_doubt: int, callbacks: int, ms: int) -> None:
        """What an earlier process left behind is under way again."""
        self._write("info", "recovered", messages=messages, in_doubt=in_doubt,
                    callbacks=callbacks, ms=ms)  # fmt: skip

    def restored(self, in_doubt: int) -> None:
        """The first start of a restored database; what may have been sent since is in doubt."""
        self._write("info", "restored", in_doubt=in_doubt)

    def stopping(self, signal: str) -> None:
        """Nothing new is accepted; `signal` in lower case, as in `sigterm`."""
        self._write("info", "stopping", signal=signal)

    def stopped(self, ms: int, waiting: int) -> None:
        """All is on disk; `waiting` tasks will go on at the next start."""
        self._write("info", "stopped", ms=ms, waiting=waiting)

    def refused(self, code: int, status: int, account: str | None = None) -> None:
        """A request was refused with Twilio's `code` and HTTP `status`."""
        self._write("debug", "refused", code=code, status=status, account=account)

    def status_changed(self, message: str, result: str, code: int | None = None) -> None:
        """A message reached the status `result`."""
        self._write("debug", "status_changed", message=message, result=result, code=code)

    def callback_done(self, message: str, status: int, attempt: int, ms: int) -> None:
        """A callback was answered with HTTP `status`."""
        self._write("debug", "callback_done", message=message, status=status,
                    attempt=attempt, ms=ms)  # fmt: skip

    def callback_failed(
        self, message: str, reason: str, attempt: int, retry_ms: int | None = None
    ) -> None:
        """An attempt failed; the next follows after `retry_ms`, or none when it is None."""
        level: Level = "warning" if retry_ms is None else "info"
        self._write(level, "callback_failed", message=message, reason=reason,
                    attempt=attempt, retry_ms=retry_ms)  # fmt: skip

    def carrier_up(self, carrier: str) -> None:
        """A carrier takes messages."""
        self._write("info", "carrier_up", carrier=carrier)

    def carrier_down(self, carrier: str, reason: str) -> None:
        """A carrier takes no messages; they wait."""
        self._write("warning", "carrier_down", carrier=carrier, reason=reason)

    def in_doubt(self, message: str, carrier: str, reason: str) -> None:
        """A message may or may not have reached its carrier."""
        self._write("warning", "in_doubt", message=message, carrier=carrier, reason=reason)

    def overloaded(self, reason: str, waiting: int) -> None:
        """New messages are put off (429 or 503): `reason` says what is full."""
        self._write("warning", "overloaded", reason=reason, waiting=waiting)

    def disk_low(self, free_mb: int, reserve_mb: int) -> None:
        """New messages are put off until the disk has more than the reserve."""
        self._write("warning", "disk_low", free_mb=free_mb, reserve_mb=reserve_mb)

    def media_unswept(self, reason: str, media: int) -> None:
        """What crashes left of media stays for now: the object store is `unavailable`, or the
        objects of the `media` there are lie `elsewhere`."""
        self._write("warning", "media_unswept", reason=reason, waiting=media)

    def clock_moved(self, seconds: int, pending: int) -> None:
        """The sandbox clock was advanced; `pending` of what is due is still under way."""
        self._write("info", "clock_moved", seconds=seconds, waiting=pending)

    def clock_doubted(self) -> None:
        """The machine's clock jumped forward: nothing expires until it was steady for a day, or
        somebody confirms it."""
        self._write("warning", "clock_doubted")

    def legal_hold_in_force(self, account: str, hold: str, days: int) -> None:
        """A reminder, once a week: what this hold is about is not destroyed."""
        self._write("warning", "legal_hold_in_force", account=account, hold=hold, days=days)

    def audited(self, seq: int, digest: str) -> None:
        """The newest record of the audit log: its number and its hash, 64 hex digits."""
        self._write("info", "audited", seq=seq, hash=digest)

    def storage_failed(self, reason: str, error: BaseException) -> None:
        """A write to `reason` (`vault`, `commit`, …) failed: the process must not go on."""
        self._write("error", "storage_failed", reason=reason, error=_type(error),
                    where=_places(error.__traceback__))  # fmt: skip

    def defect(self, error: BaseException, request_id: str | None = None) -> None:
        """An error that nobody expected: its type and the places it passed, outermost first."""
        self._write(
            "error", "defect", error=_type(error), where=_places(error.__traceback__),
            request=request_id,
        )  # fmt: skip

    def library(
        self, severity: Level, logger: str, where: str, error: BaseException | None = None
    ) -> None:
        """A line that a library logged, without its text."""
        kind, places = (None, where) if error is None else (
            _type(error), _places(error.__traceback__) or where)  # fmt: skip
        self._write(severity, "library", logger=logger, error=kind, where=places)

    # --------------------------------------------------------------------------------------

    def _write(self, level: Level, event: str, **given: object) -> None:
        if _RANK[level] < self._least:
            return
        now = self._now()
        with self._lock:
            suppressed = self._suppressed(event, int(now))
            if suppressed < 0:
                return
            shown = {k: self._shown(k, v) for k, v in given.items() if v is not None}
            fields = {name: value for name, value in shown.items() if value is not None}
            if suppressed:
                fields["suppressed"] = suppressed
            try:
                self._stream.write(self._line(now, level, event, fields))
                self._stream.flush()
            except (OSError, ValueError):  # the stream is gone: a log must not stop the server
                self.metrics.suppressed += 1

    def _suppressed(self, event: str, second: int) -> int:
        """-1 when this line is over the limit, else how many of its kind were since the last."""
        if second != self._second:
            self._second = second
            self._lines.clear()
        self._lines[event] += 1
        if self._lines[event] > _BURST:
            self._over[event] += 1
            self.metrics.suppressed += 1
            return -1
        return self._over.pop(event, 0)

    def _shown(self, name: str, value: object) -> str | int | float | None:
        """The value as it may be written; None withholds the field."""
        shape = FIELDS.get(name)
        if shape is not None:
            if isinstance(value, Private):
                return repr(value)
            wanted = int | float if shape is _NUMBER else str
            if isinstance(value, wanted) and shape.match(str(value)):
                return value if isinstance(value, int | float) else str(value)
        self.metrics.withheld += 1
        return None

    def _line(
        self, now: float, level: Level, event: str, fields: dict[str, str | int | float]
    ) -> str:
        at = datetime.fromtimestamp(now, UTC)
        if self._plain:
            pairs = "".join(f" {name}={value}" for name, value in fields.items())
            return f"{at:%H:%M:%S}.{at.microsecond // 1000:03} {level:7} {event}{pairs}\n"
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
        return json.encode({"at": stamp, "level": level, "event": event, **fields}).decode() + "\n"


def _type(error: BaseException) -> str:
    return type(error).__name__


def _places(trace: TracebackType | None) -> str | None:
    """The last eight places the error passed, as `file.py:line`, outermost first."""
    places: list[str] = []
    while trace is not None:
        file = re.sub(r"[^A-Za-z0-9_.-]", "_", PurePath(trace.tb_frame.f_code.co_filename).name)
        places.append(f"{file}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(places[-8:]) or None
