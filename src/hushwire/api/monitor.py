"""Monitor: Alerts and Events, `/v1/Alerts` and `/v1/Events` (twilio-messaging 9.1, 9.2)."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.alerts import Alerts, Span
from hushwire.actions.events import Events
from hushwire.api.dates import iso8601_s
from hushwire.api.door import Door, answer, not_found
from hushwire.api.entry_pages import entry_page, read_span
from hushwire.api.paging import meta_json, read_asked, read_given
from hushwire.api.wire import API_VERSION, Scope
from hushwire.domain.account import Account
from hushwire.domain.alert import LOG_LEVELS, Alert, text_of
from hushwire.domain.event import Event
from hushwire.errors import MORE_INFO, Refusal

ALERTS: Final = "/v1/Alerts"
EVENTS: Final = "/v1/Events"
_ALERT_FILTERS: Final = ("LogLevel", "StartDate", "EndDate")
_EVENT_FILTERS: Final = (
    "ActorSid", "EventType", "ResourceSid", "SourceIpAddress", "StartDate", "EndDate",
)  # fmt: skip
_ONE_OF: Final = ("ActorSid", "ResourceSid", "SourceIpAddress", "ResourceType")
_PLACES: Final = {  # where the API shows a resource: prefix of its SID → path
    "AC": f"/{API_VERSION}/Accounts/{{sid}}.json",
    "SK": f"/{API_VERSION}/Accounts/{{account}}/Keys/{{sid}}.json",
    "PN": f"/{API_VERSION}/Accounts/{{account}}/IncomingPhoneNumbers/{{sid}}.json",
    "SC": f"/{API_VERSION}/Accounts/{{account}}/SMS/ShortCodes/{{sid}}.json",
    "AP": f"/{API_VERSION}/Accounts/{{account}}/Applications/{{sid}}.json",
    "MG": "/v1/Services/{sid}",
    "HX": "/v1/Content/{sid}",
    "DG": "/v1/Sinks/{sid}",
    "DF": "/v1/Subscriptions/{sid}",
}


class MonitorResource:
    """Twilio's Monitor, spoken to the actions. `base` gives scheme and host of links."""

    def __init__(
        self, alerts: Alerts, events: Events, door: Door, base: Callable[[Scope], str]
    ) -> None:
        self._alerts = alerts
        self._events = events
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        return [
            Route(ALERTS, self.list_alerts, methods=["GET"]),
            Route(f"{ALERTS}/{{sid}}", self.fetch_alert, methods=["GET"]),
            Route(EVENTS, self.list_events, methods=["GET"]),
            Route(f"{EVENTS}/{{sid}}", self.fetch_event, methods=["GET"]),
        ]

    async def list_alerts(self, request: Request) -> Response:
        account = self._door.caller(request, "twilio/monitor/alerts/list").account
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, _ALERT_FILTERS)
        level = LOG_LEVELS.get(given.get("LogLevel", ""))
        if given.get("LogLevel") and level is None:
            raise Refusal("invalid_parameter", parameter="LogLevel")
        span = Span(*read_span(given))
        page = entry_page(
            asked,
            lambda limit, after, upwards: self._alerts.page(
                account, level, span, limit, after, upwards=upwards
            ),
        )
        base = self._base(request.scope)
        records = [alert_json(alert, account.sid, base) for alert in page.records]
        return answer(200, meta_json(base + ALERTS, asked, page, records, "alerts"))

    async def fetch_alert(self, request: Request) -> Response:
        account = self._door.caller(request, "twilio/monitor/alerts/read").account
        alert = self._alerts.fetch(account, request.path_params["sid"])
        if alert is None:
            raise not_found(request)
        base = self._base(request.scope)
        return answer(200, {**alert_json(alert, account.sid, base), **_sizes_json(alert)})

    async def list_events(self, request: Request) -> Response:
        account = self._door.caller(request, "twilio/monitor/events/list").account
        given = read_given(request.scope["query_string"])
        asked = read_asked(given, _EVENT_FILTERS)
        fits = _event_filter(given)
        from_ms, before_ms = read_span(given)
        page = entry_page(
            asked,
            lambda limit, after, upwards: self._events.page(
                account, fits, from_ms, before_ms, limit, after, upwards=upwards
            ),
        )
        base = self._base(request.scope)
        records = [event_json(event, account, base) for event in page.records]
        return answer(200, meta_json(base + EVENTS, asked, page, records, "events"))

    async def fetch_event(self, request: Request) -> Response:
        account = self._door.caller(request, "twilio/monitor/events/read").account
        event = self._events.fetch(account, request.path_params["sid"])
        if event is None:
            raise not_found(request)
        return answer(200, event_json(event, account, self._base(request.scope)))


def alert_json(alert: Alert, account_sid: str, base: str) -> dict[str, object]:
    """An alert as Twilio lists it."""
    date = iso8601_s(alert.at_ms)
    return {
        "account_sid": account_sid,
        "alert_text": text_of(alert),
        "api_version": API_VERSION,
        "date_created": date,
        "date_generated": date,
        "date_updated": date,
        "error_code": str(alert.code),
        "log_level": alert.level,
        "more_info": f"{MORE_INFO}{alert.code}",
        "request_method": alert.method,
        "request_url": alert.url,
        "resource_sid": alert.subject,
        "service_sid": alert.service_sid,
        "sid": alert.sid,
        "url": f"{base}{ALERTS}/{alert.sid}",
    }


def _sizes_json(alert: Alert) -> dict[str, object]:
    """What a single alert shows besides: names and sizes, where Twilio shows the content."""
    size = alert.answered_bytes
    return {
        "request_headers": None,
        "request_variables": "&".join(f"{name}=<{chars}>" for name, chars in alert.sent) or None,
        "response_body": f"<{size}>" if size is not None else None,
        "response_headers": None,
    }


def event_json(event: Event, account: Account, base: str) -> dict[str, object]:
    """An event as Twilio shows it."""
    changes = {
        name: {"previous": previous, "updated": updated}
        for name, (previous, updated) in event.changes.items()
    }
    return {
        "account_sid": account.sid,
        "actor_sid": event.actor_sid,
        "actor_type": "account" if event.actor_sid is not None else "twilio-admin",
        "description": None,
        "event_data": {"resource_properties": changes} if changes else None,
        "event_date": iso8601_s(event.at_ms),
        "event_type": event.type,
        "links": {
            "actor": _link(event.actor_sid, account.sid, base),
            "resource": _link(event.subject, account.sid, base),
        },
        "resource_sid": event.subject,
        "resource_type": event.resource_type,
        "sid": event.sid,
        "source": event.source,
        "source_ip_address": event.ip,
        "url": f"{base}{EVENTS}/{event.sid}",
    }


def _link(sid: str | None, account_sid: str, base: str) -> str | None:
    place = _PLACES.get(sid[:2]) if sid is not None else None
    return None if place is None else base + place.format(sid=sid, account=account_sid)


def _event_filter(given: dict[str, str]) -> Callable[[Event], bool]:
    """Which events are asked for. Raises Refusal for filters that do not go together (9.2)."""
    if sum(bool(given.get(name)) for name in _ONE_OF) > 1:
        raise Refusal("event_filters")
    actor, kind, resource, address = (given.get(name) or None for name in _EVENT_FILTERS[:4])

    def fits(event: Event) -> bool:
        return (
            actor in (None, event.actor_sid)
            and kind in (None, event.type)
            and resource in (None, event.subject)
            and address in (None, event.ip)
        )

    return fits
