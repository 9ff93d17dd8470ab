"""What of Twilio's Messaging API is served, as literal tables (D11).

The support page is made from these and from `parameters`; `tests/contract/test_support.py`
holds every line of them against the running server, and both against Twilio's own definition.
"""

from typing import Final, Literal

from msgspec import Struct

from hushwire.api.message_query import RETENTION_DAYS
from hushwire.api.paging import PAGE_SIZE, PAGE_SIZE_MAX

Method = Literal["GET", "POST", "DELETE"]

ACCOUNT: Final = "/2010-04-01/Accounts/{AccountSid}"


class Operation(Struct, frozen=True):
    """One method of one path of Twilio's API 2010-04-01."""

    method: Method
    path: str
    what: str
    served: bool = False


def _resource(path: str, **operations: str) -> tuple[Operation, ...]:
    """Operations not served yet: what each method of `path` would do."""
    methods: tuple[Method, ...] = ("GET", "POST", "DELETE")
    return tuple(
        Operation(method, path, operations[method.lower()])
        for method in methods
        if method.lower() in operations
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation("POST", f"{ACCOUNT}/Messages.json", "send a message", served=True),
    Operation("GET", f"{ACCOUNT}/Messages.json", "list messages", served=True),
    Operation("GET", f"{ACCOUNT}/Messages/{{Sid}}.json", "fetch a message", served=True),
    Operation("POST", f"{ACCOUNT}/Messages/{{Sid}}.json", "redact its body", served=True),
    Operation("DELETE", f"{ACCOUNT}/Messages/{{Sid}}.json", "delete it", served=True),
    *_resource(f"{ACCOUNT}/Messages/{{MessageSid}}/Feedback.json", post="report an outcome"),
    *_resource(f"{ACCOUNT}/Messages/{{MessageSid}}/Media.json", get="list media"),
    *_resource(
        f"{ACCOUNT}/Messages/{{MessageSid}}/Media/{{Sid}}.json",
        get="fetch a medium", delete="delete it",
    ),
    *_resource("/2010-04-01/Accounts.json", get="list accounts", post="make a subaccount"),
    *_resource("/2010-04-01/Accounts/{Sid}.json", get="fetch an account", post="change it"),
    *_resource(f"{ACCOUNT}/Keys.json", get="list API keys", post="make an API key"),
    *_resource(
        f"{ACCOUNT}/Keys/{{Sid}}.json", get="fetch an API key", post="rename it",
        delete="revoke it",
    ),
    *_resource(
        f"{ACCOUNT}/IncomingPhoneNumbers.json", get="list own numbers", post="get a number"
    ),
    *_resource(
        f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json", get="fetch a number", post="change it",
        delete="release it",
    ),
    *_resource(f"{ACCOUNT}/SMS/ShortCodes.json", get="list short codes"),
    *_resource(
        f"{ACCOUNT}/SMS/ShortCodes/{{Sid}}.json", get="fetch a short code", post="change it"
    ),
    *_resource(
        f"{ACCOUNT}/Applications.json", get="list applications", post="make an application"
    ),
    *_resource(
        f"{ACCOUNT}/Applications/{{Sid}}.json", get="fetch an application", post="change it",
        delete="delete it",
    ),
    *_resource(f"{ACCOUNT}/Usage/Records.json", get="list usage"),
)  # fmt: skip

# Create: what each parameter of `parameters.HONOURED` does, and what its values may be.
CREATE_HONOURED: Final = {
    "To": "the recipient in E.164; other spellings of a number are understood",
    "From": "a number the account owns",
    "Body": "the text, up to 1,600 characters (UTF-16 units)",
    "StatusCallback": "URL that is told each status; see status-callbacks.md",
    "ValidityPeriod": "seconds the message may wait to be handed over, 1 to 36,000; then it fails",
    "SmartEncoded": "`true` replaces typographic characters, so that the text fits GSM-7",
    "ContentRetention": "`discard` forgets the body six hours after the hand-over; `retain`",
    "AddressRetention": "`obfuscate` then forgets the recipient but for `+1415555XXXX`; `retain`",
}

# Create: why each of `parameters.REFUSED` is refused. All of them will come.
CREATE_REFUSED: Final = {
    "ApplicationSid": "there are no applications yet: give StatusCallback",
    "ContentSid": "there are no templates yet",
    "ContentVariables": "goes with ContentSid",
    "FallbackFrom": "goes with MessagingServiceSid",
    "MediaUrl": "there are no media yet",
    "MessagingServiceSid": "there are no Messaging Services yet; the same for `From=MG…`",
    "PersistentAction": "there are no channels but SMS yet",
    "ScheduleType": "goes with MessagingServiceSid",
    "SendAt": "goes with MessagingServiceSid",
    "SendAsMms": "there are no media yet; `false` is accepted",
    "ShortenUrls": "links are not shortened; `false` is accepted",
}

# Update: (parameter, what it does); Status is refused whatever its value.
UPDATE_HONOURED: Final = {"Body": "empty: the body is forgotten; anything else is refused (30400)"}
UPDATE_REFUSED: Final = {
    "Status": ("not_cancelable", "`canceled`: there are no scheduled messages yet"),
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
    "from": "the sender",
    "messaging_service_sid": None,
    "num_media": '`"0"`: a text',
    "num_segments": "a text: the segments of the body",
    "price": None,
    "price_unit": "`USD`",
    "sid": "`SM` and 32 hex digits; they begin with the time of creation",
    "status": "see messages.md",
    "subresource_uris": "`media` and `feedback` (not served yet); `media` alone in a create",
    "to": "the recipient; `+1415555XXXX` once it is forgotten",
    "uri": "the path of the message",
}
