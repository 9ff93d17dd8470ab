"""What became of each attempt at a status callback: a line in its log, an alert when it failed."""

from hushwire.actions.alerts import Alerts
from hushwire.actions.callbacks import CallbackLog
from hushwire.domain.alert import code_of_failure, origin, sizes_of
from hushwire.domain.delivery import ANSWER, ANSWERED
from hushwire.domain.message import Message
from hushwire.domain.task import Task
from hushwire.outbound import Answer, Failure


class Outcomes:
    """Hears of attempts. `wants_all`: also of those that succeed the first time."""

    def __init__(self, alerts: Alerts, log: CallbackLog) -> None:
        self._alerts = alerts
        self._log = log
        self.wants_all = log.keep == "all"

    def misread(self, account_id: int, code: int) -> None:
        """The fragment of a callback's URL asks for what nobody knows."""
        self._alerts.once_a_day(account_id, code)

    def ended(
        self, task: Task, message: Message, url: str, body: bytes, result: Answer | Failure,
        ms: int, *, last: bool,
    ) -> None:  # fmt: skip
        """An attempt ended after `ms`; `last`: none follows of itself."""
        why = ""
        if isinstance(result, Answer):
            outcome = ANSWERED if 200 <= result.status < 300 else ANSWER
            http_status, size = result.status, len(result.body)
        else:
            outcome, http_status, size, why = result.kind, None, None, result.detail
        self._log.add(message, task, outcome, http_status, ms, last=last)
        if outcome == ANSWERED:
            return
        self._alerts.raise_(
            message.account_id,
            code_of_failure(outcome, why),
            resource_sid=message.sid,
            url=origin(url),
            method="POST",
            http_status=http_status,
            detail=outcome if http_status is None else None,
            sent=sizes_of(body),
            answered_bytes=size,
        )
