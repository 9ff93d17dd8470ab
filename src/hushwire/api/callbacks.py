"""The log of status callbacks, and having them posted again: ours, so under our own path."""

from collections.abc import Callable
from typing import Final, get_args

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.callbacks import CallbackLog
from hushwire.api.dates import iso8601, parse_filter_date
from hushwire.api.door import Door, answer, not_found
from hushwire.api.entry_pages import entry_page, read_span
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.wire import read_body
from hushwire.domain.delivery import ANSWER, ANSWERED, Delivery
from hushwire.errors import Refusal
from hushwire.outbound import FailureKind

OUTCOMES: Final = frozenset({ANSWERED, ANSWER, *get_args(FailureKind)})
_FILTERS: Final = ("MessageSid", "StartDate", "EndDate", "Outcome")
_LIST: Final = "twilio/messaging/callbacks/list"
_UPDATE: Final = "twilio/messaging/callbacks/update"


class _Again(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What is to be posted again: one message's callbacks, or what failed in a span of time."""

    message_sid: str | None = None
    from_: str | None = None
    to: str | None = None


class CallbackResource:
    """`/hushwire/v1/accounts/{sid}/callbacks`."""

    def __init__(self, log: CallbackLog, door: Door) -> None:
        self._log = log
        self._door = door

    def routes(self) -> list[Route]:
        path = "/hushwire/v1/accounts/{account_sid}/callbacks"
        return [
            Route(path, self.list, methods=["GET"]),
            Route(f"{path}/redeliver", self.redeliver, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, _FILTERS)
        fits = _filter(given)
        from_ms, before_ms = read_span(given)
        page = entry_page(
            asked,
            lambda limit, after, upwards: self._log.page(
                account, fits, from_ms, before_ms, limit, after, upwards=upwards
            ),
        )
        records = [_json(delivery) for delivery in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "callbacks"))

    async def redeliver(self, request: Request) -> Response:
        """How many callbacks are due again."""
        content = await read_body(request.receive)
        account = self._door.path_account(request, _UPDATE)
        try:
            wanted = msgspec.json.decode(content, type=_Again)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed_request") from None
        if wanted.message_sid is not None:
            if wanted.from_ is not None or wanted.to is not None:
                raise Refusal("invalid_parameter", parameter="message_sid")
            count = await self._log.redeliver(account, wanted.message_sid)
            if count is None:
                raise not_found(request)
        else:
            from_ms, before_ms = _moment("from", wanted.from_)[0], _moment("to", wanted.to)[1]
            count = await self._log.redeliver_failed(account, from_ms, before_ms)
        return answer(200, {"redelivered": count})


def _moment(name: str, text: str | None) -> tuple[int, int]:
    if text is None:
        raise Refusal("parameter_required", parameter=name)
    span = parse_filter_date(text)
    if span is None:
        raise Refusal("invalid_date", field=name)
    return span


def _filter(given: dict[str, str]) -> Callable[[Delivery], bool]:
    sid, outcome = given.get("MessageSid") or None, given.get("Outcome") or None
    if outcome is not None and outcome not in OUTCOMES:
        raise Refusal("invalid_parameter", parameter="Outcome")
    return lambda entry: sid in (None, entry.subject) and outcome in (None, entry.outcome)


def _json(delivery: Delivery) -> dict[str, object]:
    """One attempt: neither URL nor content."""
    return {
        "sid": delivery.sid,
        "message_sid": delivery.subject,
        "message_status": delivery.status,
        "attempt": delivery.attempt,
        "outcome": delivery.outcome,
        "http_status": delivery.http_status,
        "duration_ms": delivery.ms,
        "last": delivery.last,
        "at": iso8601(delivery.at_ms),
    }
