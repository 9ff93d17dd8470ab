"""Usage Records of the 2010 API (twilio-messaging 7.5)."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.usage import Usage, UsageRecord
from hushwire.api.door import Door, answer
from hushwire.api.paging import page_json, read_asked, read_given
from hushwire.api.values import is_boolean, is_true
from hushwire.api.wire import API_VERSION, CURRENCY
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.usage import (
    CATEGORIES,
    NOT_COUNTED,
    PRICE_PLACES,
    TOTAL,
    Period,
    Sum,
    read_day,
)
from hushwire.errors import Refusal

PERMISSION: Final = "twilio/usage/records/list"
VIEWS: Final[dict[str, Period]] = {  # view → how it is cut
    "": "all", "AllTime": "all", "Daily": "daily", "LastMonth": "all", "Monthly": "monthly",
    "ThisMonth": "all", "Today": "all", "Yearly": "yearly", "Yesterday": "all",
}  # fmt: skip
_FILTERS: Final = ("Category", "StartDate", "EndDate", "IncludeSubaccounts")
_LINKS: Final = {
    "all_time": "AllTime", "daily": "Daily", "last_month": "LastMonth", "monthly": "Monthly",
    "this_month": "ThisMonth", "today": "Today", "yearly": "Yearly", "yesterday": "Yesterday",
}  # fmt: skip


class UsageResource:
    """Twilio's UsageRecords, spoken to the actions. `currency`: of all prices, ISO 4217."""

    def __init__(self, usage: Usage, door: Door, clock: Clock, currency: str = CURRENCY) -> None:
        self._unit = currency.lower()  # as Twilio shows it here, and only here
        self._usage = usage
        self._door = door
        self._clock = clock

    def routes(self) -> list[Route]:
        base = f"/{API_VERSION}/Accounts/{{account_sid}}/Usage/Records"
        return [Route(f"{base}{'/' if v else ''}{v}.json", self.list) for v in VIEWS]

    async def list(self, request: Request) -> Response:
        account = self._door.path_account(request, PERMISSION)
        path: str = request.scope["path"]
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, _FILTERS)
        view = next(v for v in VIEWS if path.endswith(f"/{v or 'Records'}.json"))
        subaccounts = given.get("IncludeSubaccounts") or "true"
        if not is_boolean(subaccounts):
            raise Refusal("invalid_boolean", parameter="IncludeSubaccounts")
        first, last = self._span(view, given)
        found = self._usage.records(
            account, VIEWS[view], first, last, _categories(given),
            subaccounts=is_true(subaccounts),
        )  # fmt: skip
        page = asked.of(found)
        records = [self._json(account, view, record) for record in page.records]
        return answer(200, page_json(path, asked, page, records, "usage_records"))

    def _span(self, view: str, given: dict[str, str]) -> tuple[date | None, date | None]:
        """The days that are asked for, both included; None: as far as there is usage."""
        today = self._usage.today()
        month = today.replace(day=1)
        match view:
            case "Today":
                return today, today
            case "Yesterday":
                return today - timedelta(days=1), today - timedelta(days=1)
            case "ThisMonth":
                return month, today
            case "LastMonth":
                last = month - timedelta(days=1)
                return last.replace(day=1), last
            case _:
                return _day(given, "StartDate", today), _day(given, "EndDate", today)

    def _json(self, account: Account, view: str, record: UsageRecord) -> dict[str, object]:
        """A record as Twilio shows it."""
        base = f"/{API_VERSION}/Accounts/{account.sid}/Usage/Records"
        of = {"Category": record.category}
        span = {**of, "StartDate": f"{record.start}", "EndDate": f"{record.end}"}
        now = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
        return {
            "account_sid": account.sid,
            "api_version": API_VERSION,
            "as_of": now.isoformat(),
            "category": record.category,
            "description": CATEGORIES.get(record.category, record.category),
            "end_date": f"{record.end}",
            "price": _money(record.used.price),
            "price_unit": self._unit,
            "start_date": f"{record.start}",
            "subresource_uris": {
                name: f"{base}/{rest}.json?{urlencode(of)}" for name, rest in _LINKS.items()
            },
            "uri": f"{base}{'/' if view else ''}{view}.json?{urlencode(span)}",
            **_counts(record.category, record.used, self._unit),
        }


def _counts(category: str, used: Sum, unit: str) -> dict[str, object]:
    """How much, in which units. The total is money alone."""
    if category == TOTAL:
        money = {"usage": _money(used.price), "usage_unit": unit}
        return {"count": None, "count_unit": None, **money}
    return {
        "count": str(used.count),
        "count_unit": "messages",
        "usage": str(used.usage),
        "usage_unit": "segments" if category.startswith("sms") else "messages",
    }


def _money(price: int) -> str:
    whole, rest = divmod(price, 10**PRICE_PLACES)
    return f"{whole}.{rest:0{PRICE_PLACES}}"


def _categories(given: dict[str, str]) -> tuple[str, ...]:
    category = given.get("Category")
    if not category:
        return tuple(CATEGORIES)
    if category not in CATEGORIES and category not in NOT_COUNTED:
        raise Refusal("invalid_parameter", parameter="Category")
    return (category,)


def _day(given: dict[str, str], name: str, today: date) -> date | None:
    text = given.get(name)
    if not text:
        return None
    day = read_day(text, today)
    if day is None:
        raise Refusal("invalid_date", field=name)
    return day
