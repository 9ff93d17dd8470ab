"""What of Twilio's Messaging API is served, as literal tables (D11).

The support page is made from these and from `parameters`; `tests/contract/test_support.py`
holds every line of them against the running server, and both against Twilio's own definition.
"""

from typing import Final, Literal

from msgspec import Struct

from hushwire.api.message_query import RETENTION_DAYS
from hushwire.api.paging import PAGE_SIZE, PAGE_SIZE_MAX

Method = Literal["GET", "POST", "PUT", "DELETE"]

V2010: Final = "/2010-04-01"
ACCOUNT: Final = f"{V2010}/Accounts/{{AccountSid}}"


class Operation(Struct, frozen=True):
    """One method of one path of Twilio's API."""

    method: Method
    path: str
    what: str
    served: bool = False


def _resource(path: str, *, served: bool = False, **operations: str) -> tuple[Operation, ...]:
    """What each method of `path` does, or would do."""
    methods: tuple[Method, ...] = ("GET", "POST", "PUT", "DELETE")
    return tuple(
        Operation(method, path, operations[method.lower()], served)
        for method in methods
        if method.lower() in operations
    )


def _served(path: str, **operations: str) -> tuple[Operation, ...]:
    return _resource(path, served=True, **operations)


_MESSAGE: Final = f"{ACCOUNT}/Messages/{{MessageSid}}"

# All of Twilio's own definition of the API, and what is served beyond it.
OPERATIONS: Final[tuple[Operation, ...]] = (
    *_served(f"{ACCOUNT}/Messages.json", post="send a message", get="list messages"),
    *_served(
        f"{ACCOUNT}/Messages/{{Sid}}.json", get="fetch a message",
        post="redact its body, or cancel it", delete="delete it",
    ),
    *_served(f"{_MESSAGE}/Feedback.json", post="report an outcome"),
    *_served(f"{_MESSAGE}/Media.json", get="list media"),
    *_served(f"{_MESSAGE}/Media/{{Sid}}.json", get="fetch a medium", delete="delete it"),
    *_served(f"{_MESSAGE}/Media/{{Sid}}", get="fetch the file", delete="delete it"),
    *_served(f"{V2010}/Accounts.json", get="list accounts", post="make a subaccount"),
    *_served(f"{V2010}/Accounts/{{Sid}}.json", get="fetch an account", post="change it"),
    *_served(f"{ACCOUNT}/Balance.json", get="the balance"),
    *_served(f"{ACCOUNT}/Keys.json", get="list API keys", post="make an API key"),
    *_served(
        f"{ACCOUNT}/Keys/{{Sid}}.json", get="fetch an API key", post="rename it",
        delete="revoke it",
    ),
    *_served(f"{ACCOUNT}/SigningKeys.json", get="list API keys", post="make an API key"),
    *_served(
        f"{ACCOUNT}/SigningKeys/{{Sid}}.json", get="fetch an API key", post="rename it",
        delete="revoke it",
    ),
    *_served("/v1/Keys", get="list API keys", post="make an API key of any kind"),
    *_served(
        "/v1/Keys/{Sid}", get="fetch an API key", post="change it", delete="revoke it"
    ),
    *_served("/v1/AuthTokens/Secondary", post="make a second token", delete="drop it"),
    *_served("/v1/AuthTokens/Promote", post="make it the first"),
    *_served(
        f"{ACCOUNT}/IncomingPhoneNumbers.json", get="list own numbers", post="get a number"
    ),
    *(
        operation
        for kind in ("Local", "Mobile", "TollFree")
        for operation in _served(
            f"{ACCOUNT}/IncomingPhoneNumbers/{kind}.json", get="list those of that kind",
            post="get one of that kind",
        )
    ),
    *_served(
        f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json", get="fetch a number", post="change it",
        delete="release it",
    ),
    *_served(f"{ACCOUNT}/AvailablePhoneNumbers.json", get="list countries"),
    *_served(f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}.json", get="fetch a country"),
    *(
        operation
        for kind in ("Local", "Mobile", "TollFree")
        for operation in _served(
            f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}/{kind}.json",
            get="search numbers to get",
        )
    ),
    *_served("/v2/PhoneNumbers/{PhoneNumber}", get="look a number up (Lookups)"),
    *_served(f"{ACCOUNT}/SMS/ShortCodes.json", get="list short codes"),
    *_served(
        f"{ACCOUNT}/SMS/ShortCodes/{{Sid}}.json", get="fetch a short code", post="change it"
    ),
    *_served(
        f"{ACCOUNT}/Applications.json", get="list applications", post="make an application"
    ),
    *_served(
        f"{ACCOUNT}/Applications/{{Sid}}.json", get="fetch an application", post="change it",
        delete="delete it",
    ),
    *_served("/v1/Services", get="list Messaging Services", post="make a service"),
    *_served("/v1/Services/{Sid}", get="fetch a service", post="change it", delete="delete it"),
    *(
        operation
        for kind, what in (
            ("PhoneNumbers", "a number"), ("ShortCodes", "a short code"),
            ("AlphaSenders", "an alphanumeric ID"),
        )
        for operation in (
            *_served(
                f"/v1/Services/{{ServiceSid}}/{kind}", get="list that part of its pool",
                post=f"put {what} into its pool",
            ),
            *_served(
                f"/v1/Services/{{ServiceSid}}/{kind}/{{Sid}}", get=f"fetch {what} of its pool",
                delete="take it out of the pool",
            ),
        )
    ),
    *_served("/v1/Content", get="list templates", post="make a template"),
    *_served("/v1/Content/{Sid}", get="fetch a template", put="change it", delete="delete it"),
    *_served(f"{ACCOUNT}/Usage/Records.json", get="list usage"),
    *(
        operation
        for view in (
            "AllTime", "Daily", "LastMonth", "Monthly", "ThisMonth", "Today", "Yearly", "Yesterday",
        )
        for operation in _served(f"{ACCOUNT}/Usage/Records/{view}.json", get="list usage by period")
    ),
    *_served("/v1/Alerts", get="list alerts (Monitor)"),
    *_served("/v1/Alerts/{Sid}", get="fetch an alert"),
    *_served("/v1/Events", get="list events (Monitor)"),
    *_served("/v1/Events/{Sid}", get="fetch an event"),
    *_served("/v1/Deactivations", get="a day's deactivated numbers"),
    *_served("/v1/Sinks", get="list sinks (Event Streams)", post="make a webhook sink"),
    *_served("/v1/Sinks/{Sid}", get="fetch a sink", delete="delete it"),
    *_served("/v1/Sinks/{Sid}/Test", post="send it a test event"),
    *_served("/v1/Sinks/{Sid}/Validate", post="tell that it came"),
    *_served("/v1/Subscriptions", get="list subscriptions", post="subscribe a sink"),
    *_served(
        "/v1/Subscriptions/{Sid}", get="fetch a subscription", post="change it", delete="delete it"
    ),
    *_served(
        "/v1/Subscriptions/{Sid}/SubscribedEvents", get="list its event types", post="add one"
    ),
    *_served(
        "/v1/Subscriptions/{Sid}/SubscribedEvents/{Type}", get="fetch one", post="change it",
        delete="drop it",
    ),
    *_served("/v1/Types", get="list event types"),
    *_served("/v1/Types/{Type}", get="fetch an event type"),
)  # fmt: skip

# Paths that answer 404 with 20404, and why.
UNSERVED: Final = {
    f"{ACCOUNT}/Messages": "XML: only `.json` is served, so nothing without a suffix",
    f"{ACCOUNT}/Messages.xml": "XML: only `.json` is served",
    f"{ACCOUNT}/SMS/Messages.json": "retired by Twilio: use Messages.json",
    f"{ACCOUNT}/Calls.json": "phone calls are out of scope",
    f"{ACCOUNT}/Conferences.json": "phone calls are out of scope",
    f"{ACCOUNT}/Queues.json": "phone calls are out of scope",
    f"{ACCOUNT}/Recordings.json": "phone calls are out of scope",
    f"{ACCOUNT}/Transcriptions.json": "phone calls are out of scope",
    f"{ACCOUNT}/OutgoingCallerIds.json": "phone calls are out of scope",
    f"{ACCOUNT}/SIP/Domains.json": "phone calls are out of scope",
    f"{ACCOUNT}/Addresses.json": "no number needs an address here",
    f"{ACCOUNT}/ConnectApps.json": "there are no apps of third parties",
    f"{ACCOUNT}/Notifications.json": "replaced by Twilio: see Alerts",
    "/v1/Services/{Sid}/ChannelSenders": "there are no channels but SMS yet",
    "/v1/Services/{Sid}/DestinationAlphaSenders": "an alphanumeric ID is for all countries here",
    "/v1/Services/{Sid}/Compliance/Usa2p": "campaigns are registered with the carriers",
    "/v1/Services/{Sid}/Messages": "send with MessagingServiceSid",
    "/v1/Content/{Sid}/ApprovalRequests": "no template needs to be approved",
    "/v1/Content/{Sid}/ApprovalRequests/whatsapp": "no template needs to be approved",
    "/v1/ContentAndApprovals": "no template needs to be approved",
    "/v1/LegacyContent": "there were never other templates",
    "/v2/Services": "Verify and Chat are other products",
    "/v1/Conversations": "Conversations is another product",
    "/v1/Users": "Conversations is another product: it has no users here",
    "/v1/Flows": "Studio is another product",
    "/v1/Workspaces": "TaskRouter is another product",
    "/v1/Rooms": "Video is another product",
}

# Create: what each parameter of `parameters.HONOURED` does, and what its values may be.
CREATE_HONOURED: Final = {
    "To": "the recipient in E.164; other spellings of a number are understood",
    "From": "a number or short code of the account, or an alphanumeric ID in a pool of it; with a "
    "service, a sender of its pool",
    "Body": "the text, up to 1,600 characters (UTF-16 units); not used with ContentSid",
    "StatusCallback": "URL that is told each status; see status-callbacks.md",
    "ValidityPeriod": "seconds the message may wait to be handed over, 1 to 36,000; then it fails",
    "SmartEncoded": "`true` replaces typographic characters, so that the text fits GSM-7",
    "ContentRetention": "`discard` forgets the body six hours after the hand-over; `retain`",
    "AddressRetention": "`obfuscate` then forgets the recipient but for `+1415555XXXX`; `retain`",
    "ProvideFeedback": "`true`: the outcome counts as unconfirmed until Feedback.json says more",
    "Tags": "a JSON object that comes back as `tags`; forgotten with the body",
    "MessagingServiceSid": "a service, whose pool it is sent from; `From=MG…` is the same",
    "ScheduleType": "`fixed`: it is sent at SendAt; see scheduling.md",
    "SendAt": "ISO 8601, 300 seconds to 35 days ahead; without a zone it is UTC",
    "ContentSid": "a template, whose text is sent; see content.md",
    "ContentVariables": "a JSON object of what is filled in",
    "MediaUrl": "URL of a file to send with it; up to 10; see media.md",
    "SendAsMms": "`true`: it counts as an MMS though it may have no media",
    "ApplicationSid": "an application, whose MessageStatusCallback is told unless there is a "
    "StatusCallback",
}

# Create: why each of `parameters.REFUSED` is refused. All of them will come.
CREATE_REFUSED: Final = {
    "FallbackFrom": "no service has an RCS sender yet; not with From (21664)",
    "PersistentAction": "there are no channels but SMS yet",
    "ShortenUrls": "links are not shortened; `false` is accepted",
}

# Update: what each parameter does.
UPDATE_HONOURED: Final = {
    "Body": "empty: the body is forgotten; anything else is refused (30400)",
    "Status": "`canceled`: a scheduled message is not sent; any other is refused (30409)",
}

LIST_HONOURED: Final = {
    "To": "messages to exactly this number",
    "From": "messages from exactly this number",
    "DateSent": "sent on that day (GMT), or in that second",
    "DateSent<": "sent on or before that day or second",
    "DateSent>": f"sent on or after it; all three at most {RETENTION_DAYS} days back",
    "PageSize": f"messages on a page, 1 to {PAGE_SIZE_MAX:,}; {PAGE_SIZE} unless given",
    "Page": "number of the page, from 0; take next_page_uri rather than counting",
    "PageToken": "where the page begins: part of next_page_uri and previous_page_uri",
}

# Properties of a message: what they hold; None is what is always null.
PROPERTIES: Final[dict[str, str | None]] = {
    "account_sid": "the account",
    "api_version": "`2010-04-01`",
    "body": 'the text; `""` once it is forgotten',
    "date_created": "RFC 2822, GMT",
    "date_sent": "RFC 2822, GMT; null until the carrier took it",
    "date_updated": "RFC 2822, GMT: the last change",
    "direction": "`outbound-api` or `inbound`",
    "error_code": "null unless failed or undelivered",
    "error_message": "the text of the code; null with it",
    "from": "the sender; null until it is chosen",
    "messaging_service_sid": "the Messaging Service it is sent through, or was received by",
    "num_media": "a text: how many media it has, or had",
    "num_segments": 'a text: the segments of the body; `"0"` until its sender is chosen',
    "price": "a text, negative: `-0.00750`; null until the carrier took it, or without rates",
    "price_unit": "the currency of the rates; `USD` without",
    "sid": "`SM`, or `MM` with media, and 32 hex digits; they begin with the time of creation",
    "status": "see messages.md",
    "subresource_uris": "`media` and `feedback`; `media` alone in the answer to a create",
    "to": "the recipient; `+1415555XXXX` once it is forgotten",
    "uri": "the path of the message",
}
