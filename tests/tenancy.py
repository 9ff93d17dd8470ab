"""What each operation names, as a literal table: the tests of tenants are made from it.

An operation that is served and has no row here fails `tests/contract/test_tenants.py`.
"""

from msgspec import Struct

from hushwire.api.support import ACCOUNT, V2010

Operation = tuple[str, str]  # method, path


class Row(Struct, frozen=True):
    """What an operation names: parameters (of path, query or form) → kind of SID.

    What is sent would succeed, if the names were the caller's own.
    """

    names: dict[str, str] = {}
    form: dict[str, str] = {}  # `{AccountSid}` in it is a name, too
    query: str = ""
    json: str = ""  # instead of a form; `<AccountSid>` in it is a name


OURS = "/hushwire/v1/accounts/{AccountSid}"
SERVICE, POOL = "/v1/Services/{Sid}", "/v1/Services/{ServiceSid}"

ONE = {"AccountSid": "AC"}
SM, SK, PN, AP, SC = ({**ONE, "Sid": kind} for kind in ("SM", "SK", "PN", "AP", "SC"))
OF_MESSAGE = {**ONE, "MessageSid": "SM"}
MEDIUM = {**OF_MESSAGE, "Sid": "ME"}
SCOPE = {**ONE, "Scope": "PN"}

NAMED = {"FriendlyName": "Renamed"}
BUY = {"AreaCode": "650"}
TEXT = {"To": "+14155550172", "From": "{number}", "Body": "x"}
BY_SERVICE = {"To": "+14155550172", "Body": "x"}
OPT_OUT = '{"phone":"+14155550173","scope":"<Scope>"}'
TEMPLATE = '{"language":"en","types":{"twilio/text":{"body":"x"}}}'


USAGE = (
    "Records", "Records/AllTime", "Records/Daily", "Records/LastMonth", "Records/Monthly",
    "Records/ThisMonth", "Records/Today", "Records/Yearly", "Records/Yesterday",
)  # fmt: skip
DG, DF = {"Sid": "DG"}, {"Sid": "DF"}
TYPE = "com.twilio.messaging.message.sent"
TYPES = '{{"type":"com.twilio.messaging.message.delivered"}}'
SINK = {
    "Description": "x", "SinkType": "webhook",
    "SinkConfiguration": '{{"destination":"http://127.0.0.1:9009/"}}',
}  # fmt: skip
SUBSCRIBED = "/v1/Subscriptions/{Sid}/SubscribedEvents"


def _each(path: str, names: dict[str, str], **posted: str) -> dict[Operation, Row]:
    """The rows of one resource: it can be fetched, changed and deleted."""
    return {
        ("GET", path): Row(names),
        ("POST", path): Row(names, posted),
        ("DELETE", path): Row(names),
    }


def _list(path: str, names: dict[str, str], **posted: str) -> dict[Operation, Row]:
    """The rows of a collection: it can be listed, and added to."""
    return {("GET", path): Row(names), ("POST", path): Row(names, posted)}


def _pool(path: str, kind: str, parameter: str) -> dict[Operation, Row]:
    """The rows of one part of a service's pool."""
    service = {"ServiceSid": "MG"}
    one = Row({**service, "Sid": kind})
    added = Row(service, {parameter: "Beta"})
    if kind != "AI":
        added = Row({**service, parameter: kind}, {parameter: f"{{{parameter}}}"})
    return {
        ("GET", f"{POOL}/{path}"): Row(service),
        ("POST", f"{POOL}/{path}"): added,
        ("GET", f"{POOL}/{path}/{{Sid}}"): one,
        ("DELETE", f"{POOL}/{path}/{{Sid}}"): one,
    }


ROWS: dict[Operation, Row] = {
    **_list(f"{ACCOUNT}/Messages.json", ONE, **TEXT),
    **_each(f"{ACCOUNT}/Messages/{{Sid}}.json", SM, Body=""),
    ("POST", f"{ACCOUNT}/Messages/{{MessageSid}}/Feedback.json"): Row(
        OF_MESSAGE, {"Outcome": "confirmed"}
    ),
    ("GET", f"{ACCOUNT}/Messages/{{MessageSid}}/Media.json"): Row(OF_MESSAGE),
    ("GET", f"{ACCOUNT}/Messages/{{MessageSid}}/Media/{{Sid}}.json"): Row(MEDIUM),
    ("DELETE", f"{ACCOUNT}/Messages/{{MessageSid}}/Media/{{Sid}}.json"): Row(MEDIUM),
    ("GET", f"{ACCOUNT}/Messages/{{MessageSid}}/Media/{{Sid}}"): Row(MEDIUM),
    ("DELETE", f"{ACCOUNT}/Messages/{{MessageSid}}/Media/{{Sid}}"): Row(MEDIUM),
    **_list(f"{V2010}/Accounts.json", {}, **NAMED),
    ("GET", f"{V2010}/Accounts/{{Sid}}.json"): Row({"Sid": "AC"}),
    ("POST", f"{V2010}/Accounts/{{Sid}}.json"): Row({"Sid": "AC"}, NAMED),
    ("GET", f"{ACCOUNT}/Balance.json"): Row(ONE),
    **_list(f"{ACCOUNT}/Keys.json", ONE, **NAMED),
    **_each(f"{ACCOUNT}/Keys/{{Sid}}.json", SK, **NAMED),
    **_list(f"{ACCOUNT}/SigningKeys.json", ONE, **NAMED),
    **_each(f"{ACCOUNT}/SigningKeys/{{Sid}}.json", SK, **NAMED),
    ("GET", "/v1/Keys"): Row(ONE, query="AccountSid={AccountSid}"),
    ("POST", "/v1/Keys"): Row(ONE, {"AccountSid": "{AccountSid}"}),
    **_each("/v1/Keys/{Sid}", {"Sid": "SK"}, **NAMED),
    ("POST", "/v1/AuthTokens/Secondary"): Row(),
    ("DELETE", "/v1/AuthTokens/Secondary"): Row(),
    ("POST", "/v1/AuthTokens/Promote"): Row(),
    **_list(f"{ACCOUNT}/IncomingPhoneNumbers.json", ONE, **BUY),
    **_list(f"{ACCOUNT}/IncomingPhoneNumbers/Local.json", ONE, **BUY),
    **_list(f"{ACCOUNT}/IncomingPhoneNumbers/Mobile.json", ONE, **BUY),
    **_list(f"{ACCOUNT}/IncomingPhoneNumbers/TollFree.json", ONE, **BUY),
    **_each(f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json", PN, **NAMED),
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers.json"): Row(ONE),
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}.json"): Row(ONE),
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}/Local.json"): Row(ONE),
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}/Mobile.json"): Row(ONE),
    ("GET", f"{ACCOUNT}/AvailablePhoneNumbers/{{CountryCode}}/TollFree.json"): Row(ONE),
    ("GET", "/v2/PhoneNumbers/{PhoneNumber}"): Row(),
    ("GET", f"{ACCOUNT}/SMS/ShortCodes.json"): Row(ONE),
    ("GET", f"{ACCOUNT}/SMS/ShortCodes/{{Sid}}.json"): Row(SC),
    ("POST", f"{ACCOUNT}/SMS/ShortCodes/{{Sid}}.json"): Row(SC, NAMED),
    **_list(f"{ACCOUNT}/Applications.json", ONE, **NAMED),
    **_each(f"{ACCOUNT}/Applications/{{Sid}}.json", AP, **NAMED),
    **_list("/v1/Services", {}, **NAMED),
    **_each(SERVICE, {"Sid": "MG"}, **NAMED),
    **_pool("PhoneNumbers", "PN", "PhoneNumberSid"),
    **_pool("ShortCodes", "SC", "ShortCodeSid"),
    **_pool("AlphaSenders", "AI", "AlphaSender"),
    ("GET", "/v1/Content"): Row(),
    ("POST", "/v1/Content"): Row(json=TEMPLATE),
    ("GET", "/v1/Content/{Sid}"): Row({"Sid": "HX"}),
    ("PUT", "/v1/Content/{Sid}"): Row({"Sid": "HX"}, json=TEMPLATE),
    ("DELETE", "/v1/Content/{Sid}"): Row({"Sid": "HX"}),
    **{("GET", f"{ACCOUNT}/Usage/{view}.json"): Row(ONE) for view in USAGE},
    ("GET", "/v1/Alerts"): Row(),
    ("GET", "/v1/Alerts/{Sid}"): Row({"Sid": "NO"}),
    ("GET", "/v1/Events"): Row(),
    ("GET", "/v1/Events/{Sid}"): Row({"Sid": "AE"}),
    ("GET", "/v1/Deactivations"): Row(query="Date=2026-01-01"),
    **_list("/v1/Sinks", {}, **SINK),
    ("GET", "/v1/Sinks/{Sid}"): Row(DG),
    ("DELETE", "/v1/Sinks/{Sid}"): Row(DG),
    ("POST", "/v1/Sinks/{Sid}/Test"): Row(DG),
    ("POST", "/v1/Sinks/{Sid}/Validate"): Row(DG, {"TestId": "TE0"}),
    ("GET", "/v1/Subscriptions"): Row(),
    ("POST", "/v1/Subscriptions"): Row(
        {"SinkSid": "DG"}, {"Description": "x", "SinkSid": "{SinkSid}", "Types": TYPES}
    ),
    **_each("/v1/Subscriptions/{Sid}", DF, Description="Renamed"),
    **_list(SUBSCRIBED, DF, Type=TYPE),
    **_each(f"{SUBSCRIBED}/{{Type}}", DF),
    ("GET", "/v1/Types"): Row(),
    ("GET", "/v1/Types/{Type}"): Row(),
}

# Paths of ours that name an account.
OUR_ROWS: dict[Operation, Row] = {
    ("GET", f"{OURS}/messages/{{Sid}}/history"): Row(SM),
    ("GET", f"{OURS}/messages/{{Sid}}/holds"): Row(SM),
    ("GET", f"{OURS}/privacy"): Row(ONE),
    ("PUT", f"{OURS}/privacy"): Row(ONE, json='{"redact_body":false}'),
    ("PATCH", f"{OURS}/privacy"): Row(ONE, json='{"redact_body":false}'),
    ("POST", f"{OURS}/privacy/scan"): Row(ONE),
    ("GET", f"{OURS}/privacy/report"): Row(ONE),
    ("GET", f"{OURS}/retention"): Row(ONE),
    ("PUT", f"{OURS}/retention"): Row(ONE, json='{"body_days":400}'),
    ("PATCH", f"{OURS}/retention"): Row(ONE, json='{"body_days":400}'),
    ("GET", f"{OURS}/legal-holds"): Row(ONE),
    ("POST", f"{OURS}/legal-holds"): Row(
        {**ONE, "MessageSid": "SM"},
        json='{"author":"x","reason":"x","message_sid":"<MessageSid>"}',
    ),
    ("POST", f"{OURS}/legal-holds/{{Sid}}/lift"): Row({**ONE, "Sid": "LH"}),
    ("GET", f"{OURS}/numbers/{{Sid}}"): Row(PN),
    ("PATCH", f"{OURS}/numbers/{{Sid}}"): Row(PN, json='{"mps":7}'),
    ("POST", f"{OURS}/short-codes"): Row(
        ONE,
        json='{"short_code":"<code>","country":"US"}',  # one that nobody has
    ),
    ("DELETE", f"{OURS}/short-codes/{{Sid}}"): Row(SC),
    ("POST", f"{OURS}/messages/{{Sid}}/reveal"): Row(SM, json='{"reason":"x"}'),
    ("GET", f"{OURS}/audit"): Row(ONE),
    ("GET", f"{OURS}/tombstones"): Row(ONE),
    ("GET", f"{OURS}/tail"): Row(ONE),
    ("GET", f"{OURS}/callbacks"): Row(ONE),
    ("POST", f"{OURS}/callbacks/redeliver"): Row(
        {**ONE, "MessageSid": "SM"}, json='{"message_sid":"<MessageSid>"}'
    ),
    ("GET", f"{OURS}/debugger"): Row(ONE),
    ("PUT", f"{OURS}/debugger"): Row(ONE, json='{"url":null}'),
    ("GET", f"{OURS}/opt-outs/check"): Row(ONE, query="phone=%2B14155550173"),
    ("POST", f"{OURS}/opt-outs"): Row(SCOPE, json=OPT_OUT),
    ("DELETE", f"{OURS}/opt-outs"): Row(SCOPE, json=OPT_OUT),
    ("GET", f"{OURS}/opt-out-keywords/{{Scope}}"): Row(SCOPE),
    ("PUT", f"{OURS}/opt-out-keywords/{{Scope}}"): Row(SCOPE, json='{"filtering":true}'),
}

# Further rows: what else their forms may name.
_SEND: Operation = ("POST", f"{ACCOUNT}/Messages.json")
_BUY: Operation = ("POST", f"{ACCOUNT}/IncomingPhoneNumbers.json")
_CHANGE: Operation = ("POST", f"{ACCOUNT}/IncomingPhoneNumbers/{{Sid}}.json")
FORMS: list[tuple[Operation, Row]] = [
    (_SEND, Row({**ONE, "MG": "MG"}, {**BY_SERVICE, "MessagingServiceSid": "{MG}"})),
    (_SEND, Row({**ONE, "MG": "MG"}, {**BY_SERVICE, "From": "{MG}"})),
    (_SEND, Row({**ONE, "HX": "HX"}, {**TEXT, "ContentSid": "{HX}"})),
    (_SEND, Row({**ONE, "AP": "AP"}, {**TEXT, "ApplicationSid": "{AP}"})),
    (_BUY, Row({**ONE, "AP": "AP"}, {**BUY, "SmsApplicationSid": "{AP}"})),
    (_CHANGE, Row({**PN, "AP": "AP"}, {"SmsApplicationSid": "{AP}"})),
    (_CHANGE, Row({**PN, "Heir": "AC"}, {"AccountSid": "{Heir}"})),
]

EVERY: dict[Operation, Row] = {**ROWS, **OUR_ROWS}
NAMING = [*((operation, row) for operation, row in EVERY.items() if row.names), *FORMS]

LISTS = [  # path, key of the records, kind of SID
    (f"{ACCOUNT}/Messages.json", "messages", "SM"),
    (f"{V2010}/Accounts.json", "accounts", "AC"),
    (f"{ACCOUNT}/Keys.json", "keys", "SK"),
    (f"{ACCOUNT}/SigningKeys.json", "signing_keys", "SK"),
    ("/v1/Keys?AccountSid={AccountSid}", "keys", "SK"),
    (f"{ACCOUNT}/IncomingPhoneNumbers.json", "incoming_phone_numbers", "PN"),
    (f"{ACCOUNT}/IncomingPhoneNumbers/Local.json", "incoming_phone_numbers", "PN"),
    (f"{ACCOUNT}/SMS/ShortCodes.json", "short_codes", "SC"),
    (f"{ACCOUNT}/Applications.json", "applications", "AP"),
    ("/v1/Services", "services", "MG"),
    (f"{POOL}/PhoneNumbers", "phone_numbers", "PN"),
    (f"{POOL}/ShortCodes", "short_codes", "SC"),
    (f"{POOL}/AlphaSenders", "alpha_senders", "AI"),
    ("/v1/Content", "contents", "HX"),
    ("/v1/Alerts", "alerts", "NO"),
    ("/v1/Events", "events", "AE"),
    ("/v1/Sinks", "sinks", "DG"),
    ("/v1/Subscriptions", "subscriptions", "DF"),
]
