"""The simulated phone network: a carrier with phones, for the sandbox, tests and figures.

It takes every message, shows it on the recipient's screen (in memory only) and reports a
receipt a little later. Phones can be told to behave badly. Like a real network it outlives
us: what it accepted, it reports after a restart too (`network_log`), and it may report a
receipt twice.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire import faults
from hushwire.carriers.base import (
    Accepted,
    NotNow,
    Outcome,
    Receipt,
    ReportOutcomes,
    ReportReceipts,
    Submission,
)
from hushwire.carriers.network_log import NEVER, Due, NetworkLog
from hushwire.clock import Alarm, Clock
from hushwire.errors import Defect
from hushwire.private import Private

PHONES_MAX: Final = 10_000  # screens, and behaviours, remembered; the oldest go first
SCREEN_MAX: Final = 200  # texts on one screen
SLOW_MS: Final = 30_000

# A reported receipt is logged this much later: by then the receiver has committed it. Logged
# at once, it would be lost when the process dies in between; logged late, it comes twice.
_ACKNOWLEDGED_AFTER_MS: Final = 5_000
_LOG_RETRY_S: Final = 1.0


class Behaviour(StrEnum):
    """What a phone does with the messages it is sent."""

    DELIVER = "deliver"
    UNDELIVERABLE = "undeliverable"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"
    LANDLINE = "landline"
    FILTERED = "filtered"
    SLOW = "slow"  # the receipt comes after 30 s
    SILENT = "silent"  # delivered, but no receipt ever comes
    NO_SHORT_CODES = "no_short_codes"  # its carrier takes nothing from short codes


ERROR_CODES: Final = {
    Behaviour.UNREACHABLE: 30003,
    Behaviour.BLOCKED: 30004,
    Behaviour.UNDELIVERABLE: 30005,
    Behaviour.LANDLINE: 30006,
    Behaviour.FILTERED: 30007,
}
NO_SHORT_CODES_ERROR: Final = 30005


class ScreenMessage(Struct, frozen=True):
    """A text as the recipient's phone shows it."""

    sid: str
    reference: int
    from_: Private
    to: Private
    body: Private
    media_urls: tuple[Private, ...]
    received_ms: int


class Simulator:
    """A `Carrier` whose network is this process.

    `log_path` names the file that lets the network survive a crash; None: it does not.
    A healthy phone's receipt is due `receipt_ms` after the submission, on `clock`.
    """

    name = "simulator"

    def __init__(
        self, clock: Clock, log_path: Path | None, *, window: int = 1000, receipt_ms: int = 200
    ) -> None:
        self.window = window
        self._clock = clock
        self._receipt_ms = receipt_ms
        self._log = NetworkLog(log_path)
        self._alarm = Alarm(clock, self._ring)
        self._number = 0  # of the last submission
        self._open: list[Submission] = []  # without outcome
        self._due: list[Due] = []  # a heap
        self._told: deque[tuple[int, list[Due]]] = deque()  # reported at, not yet logged
        self._screens: OrderedDict[str, list[tuple[int, Submission]]] = OrderedDict()
        self._behaviours: OrderedDict[str, Behaviour] = OrderedDict()
        self._outcomes: ReportOutcomes | None = None
        self._receipts: ReportReceipts | None = None

    # The carrier

    def start(self, outcomes: ReportOutcomes, receipts: ReportReceipts) -> None:
        """Begin to work, first with the receipts that an earlier process left unreported.

        Raises OSError when the log can be neither read nor created.
        """
        self._outcomes, self._receipts = outcomes, receipts
        self._due = self._log.open()
        heapify(self._due)
        # Twenty bits below the millisecond: refs stay unique though the log is thrown away.
        self._number = max(self._clock.now_ms() << 20, self._log.last_number)
        self._set_alarm()

    def submit(self, batch: Sequence[Submission]) -> None:
        """Take the batch; its outcomes are reported at the end of this tick."""
        if self._outcomes is None:
            raise Defect("submitted to a network that is not started")
        if not self._open:
            asyncio.get_running_loop().call_soon(self._accept)
        self._open.extend(batch)

    def busy(self) -> int:
        """Submissions without outcome, and receipts due now but not reported."""
        return len(self._open) + self._due_now()

    async def stop(self) -> None:
        """Report the open outcomes and leave. Receipts not yet due come after the next start."""
        self._accept()
        self._alarm.cancel()
        self._log.close()
        self._outcomes = self._receipts = None

    # The phones

    def screen(self, number: Private) -> list[ScreenMessage]:
        """The last texts the phone received, newest first."""
        shown = self._screens.get(number.reveal())
        if shown is None:
            return []
        self._screens.move_to_end(number.reveal())
        return [
            ScreenMessage(
                sid=text.sid,
                reference=text.reference,
                from_=text.from_,
                to=text.to,
                body=text.body,
                media_urls=text.media,
                received_ms=at_ms,
            )
            for at_ms, text in reversed(shown)
        ]

    def clear(self, number: Private) -> None:
        """Empty the phone's screen."""
        self._screens.pop(number.reveal(), None)

    def behave(self, number: Private, behaviour: str) -> None:
        """Tell the phone how to behave from now on. Raises ValueError for an unknown behaviour."""
        wanted = Behaviour(behaviour)
        self._behaviours.pop(number.reveal(), None)
        if wanted is not Behaviour.DELIVER:
            self._behaviours[number.reveal()] = wanted
            if len(self._behaviours) > PHONES_MAX:
                self._behaviours.popitem(last=False)

    # The network

    def _accept(self) -> None:
        """Log what was submitted in this tick, put it on the screens, report the outcomes."""
        batch, self._open = self._open, []
        report = self._outcomes
        if not batch or report is None:
            return
        now_ms = self._clock.now_ms()
        dues = [self._plan(submission, now_ms) for submission in batch]
        try:
            self._log.accepted(dues)
        except OSError:
            # It did not happen: a receipt that a crash would lose is not promised.
            busy: Outcome = NotNow(_LOG_RETRY_S)
            report([(submission, busy) for submission in batch])
            return
        faults.reach("network.accepted")
        for submission, due in zip(batch, dues, strict=True):
            if due.error_code is None:
                self._show(submission, now_ms)
            if due.due_ms != NEVER:
                heappush(self._due, due)
        self._set_alarm()
        report([(s, Accepted(due.carrier_ref)) for s, due in zip(batch, dues, strict=True)])

    def _plan(self, submission: Submission, now_ms: int) -> Due:
        """What the recipient's phone will make of it, and when the network says so."""
        self._number += 1
        due_ms, error_code = now_ms + self._receipt_ms, None
        if self._behaviours:
            behaviour = self._behaviours.get(submission.to.reveal(), Behaviour.DELIVER)
            error_code = ERROR_CODES.get(behaviour)
            if behaviour is Behaviour.SLOW:
                due_ms = now_ms + SLOW_MS
            elif behaviour is Behaviour.SILENT:
                due_ms = NEVER
            elif behaviour is Behaviour.NO_SHORT_CODES and submission.from_.reveal().isdigit():
                error_code = NO_SHORT_CODES_ERROR
        return Due(due_ms, self._number, submission.reference, error_code)

    def _show(self, submission: Submission, now_ms: int) -> None:
        number = submission.to.reveal()
        screen = self._screens.get(number)
        if screen is None:
            self._screens[number] = [(now_ms, submission)]
            if len(self._screens) > PHONES_MAX:
                self._screens.popitem(last=False)
        else:
            self._screens.move_to_end(number)
            screen.append((now_ms, submission))
            if len(screen) > SCREEN_MAX:
                del screen[0]

    def _set_alarm(self) -> None:
        if self._due:
            self._alarm.set(self._due[0].due_ms)

    def _ring(self) -> None:
        """Report all receipts that are due, in due order."""
        now_ms = self._clock.now_ms()
        ready: list[Due] = []
        while self._due and self._due[0].due_ms <= now_ms:
            ready.append(heappop(self._due))
        self._set_alarm()
        self._log_told(now_ms)
        if ready and self._receipts is not None:
            self._told.append((now_ms, ready))
            self._receipts([_receipt(due) for due in ready])
            faults.reach("network.reported")

    def _log_told(self, now_ms: int) -> None:
        # A full disk keeps them in the queue: they are written at a later ring.
        with suppress(OSError):
            while self._told and self._told[0][0] + _ACKNOWLEDGED_AFTER_MS <= now_ms:
                self._log.reported(self._told[0][1])
                self._told.popleft()

    def _due_now(self) -> int:
        """How many receipts are due, walking only the part of the heap that is."""
        heap, now_ms = self._due, self._clock.now_ms()
        count, nodes = 0, [0]
        while nodes:
            node = nodes.pop()
            if node < len(heap) and heap[node].due_ms <= now_ms:
                count += 1
                nodes += (2 * node + 1, 2 * node + 2)
        return count


def _receipt(due: Due) -> Receipt:
    due_ms, _, reference, error_code = due
    return Receipt(
        due.carrier_ref, reference, error_code is None, error_code, _done_date(due_ms // 60_000)
    )


@lru_cache(maxsize=16)
def _done_date(minute: int) -> str:
    """YYMMDDhhmm in UTC, as SMPP receipts write it."""
    return time.strftime("%y%m%d%H%M", time.gmtime(minute * 60))
