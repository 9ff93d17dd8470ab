"""What may be asked of monitoring, usage and event streams, and what they answer."""

from typing import Final

from openapi_calls import PAGING, TWILIO, Call, Fields, text
from openapi_schemas import (
    ISO8601,
    TEXT,
    URI,
    URIS,
    WHOLE,
    YES_OR_NO,
    Schema,
    meta_page,
    or_null,
    page,
    plain,
    record,
    sid,
    word,
)

from hushwire.actions.streams import DESCRIPTION_MAX
from hushwire.api.support import ACCOUNT
from hushwire.api.usage import VIEWS
from hushwire.domain.alert import LOG_LEVELS
from hushwire.domain.stream import TYPES

_ANY_SID: Final[Schema] = {"type": "string", "pattern": "^[A-Z]{2}[0-9a-f]{32}$"}
_LEVEL: Final = word(*LOG_LEVELS)
_TYPE: Final = word(*TYPES)
_WORDS: Final = or_null(TEXT)
_DESCRIPTION: Final = text(DESCRIPTION_MAX, 1)
_SPAN: Final[Fields] = {"StartDate": TEXT, "EndDate": TEXT}

PATH_SIDS: Final = {  # beginning of a path → what its {Sid} names
    "/v1/Alerts/": sid("NO"), "/v1/Events/": sid("AE"), "/v1/Sinks/": sid("DG"),
    "/v1/Subscriptions/": sid("DF"),
}  # fmt: skip
PATH_OTHERS: Final = {"Type": _TYPE}

_ALERT: Final[Schema] = {
    "account_sid": sid("AC"), "alert_text": TEXT, "api_version": TEXT, "date_created": ISO8601,
    "date_generated": ISO8601, "date_updated": ISO8601, "error_code": TEXT, "log_level": _LEVEL,
    "more_info": URI, "request_method": _WORDS, "request_url": or_null(URI),
    "resource_sid": or_null(_ANY_SID), "service_sid": or_null(sid("MG")), "sid": sid("NO"),
    "url": URI,
}  # fmt: skip
_USAGE: Final[Schema] = {
    name: plain(schema)
    for name, schema in TWILIO["components"]["schemas"]["api.v2010.account.usage.usage_record"][
        "properties"
    ].items()
}

MONITORING_RESOURCES: Final[dict[str, Schema]] = {
    "UsageRecord": record({
        **_USAGE, "count": _WORDS, "count_unit": _WORDS, "price": TEXT, "price_unit": TEXT,
        "subresource_uris": URIS,
    }),
    "Alert": record(_ALERT),
    "FetchedAlert": record({
        **_ALERT,
        **dict.fromkeys(
            ("request_headers", "request_variables", "response_body", "response_headers"), _WORDS
        ),
    }),
    "Event": record({
        "account_sid": sid("AC"), "actor_sid": or_null(_ANY_SID), "actor_type": TEXT,
        "description": _WORDS, "event_data": or_null({"type": "object"}), "event_date": ISO8601,
        "event_type": TEXT,
        "links": record({"actor": or_null(URI), "resource": or_null(URI)}),
        "resource_sid": _ANY_SID, "resource_type": TEXT, "sid": sid("AE"),
        "source": word("api", "twilio"), "source_ip_address": _WORDS, "url": URI,
    }),
    "Deactivations": record({"redirect_to": URI}),
    "Sink": record({
        "date_created": ISO8601, "date_updated": ISO8601, "description": TEXT, "links": URIS,
        "sid": sid("DG"),
        "sink_configuration": record({
            "destination": URI, "method": word("POST"), "batch_events": YES_OR_NO,
            "numbers": word("masked", "full"),
        }),
        "sink_type": word("webhook"), "status": word("active"), "url": URI,
    }),
    "SinkResult": record({"result": word("submitted", "valid")}),
    "Subscription": record({
        "account_sid": sid("AC"), "date_created": ISO8601, "date_updated": ISO8601,
        "description": TEXT, "links": URIS, "sid": sid("DF"), "sink_sid": sid("DG"), "url": URI,
    }),
    "SubscribedEvent": record({
        "account_sid": sid("AC"), "schema_version": WHOLE, "subscription_sid": sid("DF"),
        "type": _TYPE, "url": URI,
    }),
    "EventType": record({
        "date_created": ISO8601, "date_updated": ISO8601, "description": TEXT,
        "documentation_url": or_null(URI), "links": record({"schema": or_null(URI)}),
        "public": YES_OR_NO, "schema_id": TEXT, "status": word("available"), "type": _TYPE,
        "url": URI, "version": WHOLE,
    }),
}  # fmt: skip
MONITORING_PAGES: Final[dict[str, Schema]] = {
    "UsageRecordPage": page("usage_records", "UsageRecord"),
    "AlertPage": meta_page("alerts", "Alert"),
    "EventPage": meta_page("events", "Event"),
    "SinkPage": meta_page("sinks", "Sink"),
    "SubscriptionPage": meta_page("subscriptions", "Subscription"),
    "SubscribedEventPage": meta_page("types", "SubscribedEvent"),
    "EventTypePage": meta_page("types", "EventType"),
}

_RECORDS: Final = f"{ACCOUNT}/Usage/Records"
_USAGE_QUERY: Final[Fields] = {
    **{
        given["name"]: plain(given["schema"])
        for given in TWILIO["paths"][f"{_RECORDS}.json"]["get"]["parameters"]
        if given["in"] == "query"
    },
    **PAGING,
    "StartDate": {"type": "string", "description": "YYYY-MM-DD, or days from today: -30days"},
    "EndDate": {"type": "string", "description": "YYYY-MM-DD, or days from today: -30days"},
}
_SUBSCRIBED: Final = "/v1/Subscriptions/{Sid}/SubscribedEvents"
_VERSION: Final[Fields] = {"SchemaVersion": {"type": "integer", "minimum": 1, "maximum": 1}}

MONITORING: Final[dict[tuple[str, str], Call]] = {
    **{
        ("GET", f"{_RECORDS}{'/' if view else ''}{view}.json"): Call(
            f"ListUsageRecord{view}", 200, "UsageRecordPage", _USAGE_QUERY
        )
        for view in VIEWS
    },
    ("GET", "/v1/Alerts"): Call(
        "ListAlert", 200, "AlertPage", {"LogLevel": _LEVEL, **_SPAN, **PAGING}
    ),
    ("GET", "/v1/Alerts/{Sid}"): Call("FetchAlert", 200, "FetchedAlert"),
    ("GET", "/v1/Events"): Call(
        "ListEvent", 200, "EventPage", {
            "ActorSid": TEXT, "EventType": TEXT, "ResourceSid": TEXT, "SourceIpAddress": TEXT,
            **_SPAN, **PAGING,
        },
    ),
    ("GET", "/v1/Events/{Sid}"): Call("FetchEvent", 200, "Event"),
    ("GET", "/v1/Deactivations"): Call(
        "FetchDeactivation", 307, "Deactivations", {"Date": {"type": "string", "format": "date"}},
        required=("Date",),
    ),
    ("GET", "/v1/Sinks"): Call("ListSink", 200, "SinkPage", PAGING),
    ("POST", "/v1/Sinks"): Call(
        "CreateSink", 201, "Sink",
        form={
            "Description": _DESCRIPTION, "SinkConfiguration": TEXT, "SinkType": word("webhook"),
        },
        required=("Description", "SinkConfiguration", "SinkType"),
    ),
    ("GET", "/v1/Sinks/{Sid}"): Call("FetchSink", 200, "Sink"),
    ("DELETE", "/v1/Sinks/{Sid}"): Call("DeleteSink", 204),
    ("POST", "/v1/Sinks/{Sid}/Test"): Call("CreateSinkTest", 201, "SinkResult"),
    ("POST", "/v1/Sinks/{Sid}/Validate"): Call(
        "CreateSinkValidate", 201, "SinkResult", form={"TestId": TEXT}, required=("TestId",)
    ),
    ("GET", "/v1/Subscriptions"): Call(
        "ListSubscription", 200, "SubscriptionPage", {"SinkSid": sid("DG"), **PAGING}
    ),
    ("POST", "/v1/Subscriptions"): Call(
        "CreateSubscription", 201, "Subscription",
        form={
            "Description": _DESCRIPTION, "SinkSid": sid("DG"),
            "Types": {"type": "array", "items": TEXT, "minItems": 1},
        },
        required=("Description", "SinkSid", "Types"),
    ),
    ("GET", "/v1/Subscriptions/{Sid}"): Call("FetchSubscription", 200, "Subscription"),
    ("POST", "/v1/Subscriptions/{Sid}"): Call(
        "UpdateSubscription", 200, "Subscription",
        form={"Description": _DESCRIPTION, "SinkSid": sid("DG")},
    ),
    ("DELETE", "/v1/Subscriptions/{Sid}"): Call("DeleteSubscription", 204),
    ("GET", _SUBSCRIBED): Call("ListSubscribedEvent", 200, "SubscribedEventPage", PAGING),
    ("POST", _SUBSCRIBED): Call(
        "CreateSubscribedEvent", 201, "SubscribedEvent", form={"Type": _TYPE, **_VERSION},
        required=("Type",),
    ),
    ("GET", f"{_SUBSCRIBED}/{{Type}}"): Call("FetchSubscribedEvent", 200, "SubscribedEvent"),
    ("POST", f"{_SUBSCRIBED}/{{Type}}"): Call(
        "UpdateSubscribedEvent", 200, "SubscribedEvent", form=_VERSION
    ),
    ("DELETE", f"{_SUBSCRIBED}/{{Type}}"): Call("DeleteSubscribedEvent", 204),
    ("GET", "/v1/Types"): Call(
        "ListEventType", 200, "EventTypePage", {"SchemaId": TEXT, **PAGING}
    ),
    ("GET", "/v1/Types/{Type}"): Call("FetchEventType", 200, "EventType"),
}  # fmt: skip
