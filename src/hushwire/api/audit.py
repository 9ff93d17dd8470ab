"""The audit log over HTTP. It is ours, not Twilio's.

    GET /hushwire/v1/accounts/{sid}/audit   an account's records and its subaccounts', in pages
    GET /hushwire/v1/audit/head             {"seq", "hash"}: the newest record of the server
    GET /hushwire/v1/audit/chain?After=n    {"records": […]}: as they are hashed, oldest first

The last two are for the account of the first start.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.audit import Audits
from hushwire.api.dates import iso8601
from hushwire.api.door import Door, answer
from hushwire.api.entry_pages import entry_page, read_span
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.domain.account import Account
from hushwire.domain.audit import AuditRecord, Span, What
from hushwire.errors import Refusal

_LIST: Final = "hushwire/audit/list"
_READ: Final = "hushwire/audit/read"
_FILTERS: Final = ("What", "Subject", "StartDate", "EndDate")
_WHATS: Final = frozenset(get_args(What))
_SUBJECT_MAX: Final = 67  # characters: `ix:` and 64 hex digits
_DIGITS_MAX: Final = 18


class AuditResource:
    """The audit log, spoken to the actions."""

    def __init__(self, audits: Audits, door: Door) -> None:
        self._audits = audits
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route("/hushwire/v1/accounts/{account_sid}/audit", self.list, methods=["GET"]),
            Route("/hushwire/v1/audit/head", self.head, methods=["GET"]),
            Route("/hushwire/v1/audit/chain", self.chain, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, _FILTERS)
        span = _span(given)
        # An account with few records among many has the disk read for long.
        page = await asyncio.to_thread(entry_page, asked, partial(self._read, account, span))
        records = [self._json(record) for record in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "audit"))

    async def head(self, request: Request) -> Response:
        self._operator(request)
        head = self._audits.head()
        return answer(200, {"seq": head.seq, "hash": head.hash.hex()})

    async def chain(self, request: Request) -> Response:
        self._operator(request)
        after = read_given(request.scope["query_string"]).get("After") or "0"
        if not (after.isascii() and after.isdigit() and len(after) <= _DIGITS_MAX):
            raise Refusal("invalid_parameter", parameter="After")
        records = await asyncio.to_thread(self._audits.chain, int(after))
        return answer(200, {"records": [_as_hashed(record) for record in records]})

    def _operator(self, request: Request) -> None:
        """Raises Refusal unless it is the account that keeps the server."""
        if not self._audits.is_operator(self._door.caller(request, _READ).account):
            raise Refusal("access_denied")

    def _read(
        self, account: Account, span: Span, limit: int, after: str | None, upwards: bool
    ) -> Sequence[AuditRecord]:
        return self._audits.page(account, span, limit, after, upwards=upwards)

    def _json(self, record: AuditRecord) -> dict[str, object]:
        reason = self._audits.reason(record)
        return {
            "seq": record.seq,
            "at": iso8601(record.at_ms),
            "account_sid": record.account,
            "what": record.what,
            "actor_sid": record.actor,
            "subjects": record.subjects.split(),
            "detail": record.detail,
            "reason": reason.reveal() if reason is not None else None,
            "hash": record.hash.hex(),
        }


def _as_hashed(record: AuditRecord) -> tuple[object, ...]:
    return (
        record.seq, record.at_ms, record.account, record.what, record.actor, record.subjects,
        record.detail, record.hash.hex(),
    )  # fmt: skip


def _span(given: dict[str, str]) -> Span:
    from_ms, before_ms = read_span(given)
    what, subject = given.get("What") or None, given.get("Subject") or None
    if what is not None and what not in _WHATS:
        raise Refusal("invalid_parameter", parameter="What")
    if subject is not None and len(subject) > _SUBJECT_MAX:
        raise Refusal("invalid_parameter", parameter="Subject")
    return Span(from_ms, before_ms, what, subject)
