"""How long an account's messages are kept. Paths of our own: Twilio has no such settings.

Below an account `GET`, `PUT` and `PATCH /retention`, the settings in days, and `GET
/privacy/report`, what lives by field and what is overdue. `POST /hushwire/v1/clock/confirm`
says that the machine's clock is right; it is for the account of the first start.
"""

from typing import Final

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.retention import FieldReport, Report, RetentionSettings
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer
from hushwire.api.legal_holds import hold_json
from hushwire.api.privacy import object_of
from hushwire.api.wire import read_body

_RETENTION: Final = "hushwire/retention"
_REPORT: Final = "hushwire/privacy/report"


class RetentionResource:
    """Retention, spoken to the actions."""

    def __init__(self, settings: RetentionSettings, door: Door) -> None:
        self._settings = settings
        self._door = door

    def routes(self) -> list[Route]:
        account = "/hushwire/v1/accounts/{account_sid}"
        path = f"{account}/retention"
        return [
            Route(path, self._one, methods=["GET", "PUT", "PATCH"]),
            Route("/hushwire/v1/clock/confirm", self.confirm, methods=["POST"]),
            Route(f"{account}/privacy/report", self.report, methods=["GET"]),
        ]

    async def fetch(self, request: Request) -> Response:
        account = self._door.path_account(request, f"{_RETENTION}/read")
        return answer(200, asdict(account.retention))

    async def change(self, request: Request) -> Response:
        content = await read_body(request.receive)  # the settings may change while it comes
        account = self._door.path_account(request, f"{_RETENTION}/update")
        return answer(200, asdict(self._settings.change(account, object_of(content))))

    async def confirm(self, request: Request) -> Response:
        account = self._door.caller(request, f"{_RETENTION}/update").account
        return answer(200, {"doubted": self._settings.confirm_clock(account)})

    async def report(self, request: Request) -> Response:
        account = self._door.path_account(request, _REPORT)
        return answer(200, _json(await self._settings.report(account)))

    async def _one(self, request: Request) -> Response:
        return await (self.fetch(request) if request.method == "GET" else self.change(request))


def _json(report: Report) -> dict[str, object]:
    return {
        "fields": [_field(row) for row in report.fields],
        "holds": [hold_json(hold) for hold in report.holds],
        "clock_trusted": report.clock_trusted,
        "generated": iso8601_s(report.generated_ms),
    }


def _field(row: FieldReport) -> dict[str, object]:
    living = row.living
    return {
        "field": row.field,
        "oldest": iso8601_s(row.oldest_ms) if row.oldest_ms is not None else None,
        "days": row.days,
        "overdue": living.overdue,
        "live": living.live,
        "withheld": living.withheld,
        "capped": living.capped,
    }
