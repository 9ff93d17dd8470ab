"""Every refusal of a create: Twilio's code, HTTP status and text, to any client and to the SDK."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

import pytest

from harness import RunningServer
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, refusal

LONG_URL = "https://example.invalid/" + "a" * 3977  # 4001 characters
SDK_NAMES = {
    "To": "to", "From": "from_", "Body": "body", "StatusCallback": "status_callback",
    "ValidityPeriod": "validity_period", "ProvideFeedback": "provide_feedback",
    "SmartEncoded": "smart_encoded", "ContentRetention": "content_retention",
    "AddressRetention": "address_retention", "MediaUrl": "media_url",
    "MessagingServiceSid": "messaging_service_sid", "ContentSid": "content_sid",
    "ContentVariables": "content_variables", "ApplicationSid": "application_sid",
    "ScheduleType": "schedule_type", "SendAt": "send_at", "SendAsMms": "send_as_mms",
    "ShortenUrls": "shorten_urls", "PersistentAction": "persistent_action",
    "FallbackFrom": "fallback_from", "Attempt": "attempt", "ForceDelivery": "force_delivery",
    "MaxPrice": "max_price", "RiskCheck": "risk_check", "TrafficType": "traffic_type",
}  # fmt: skip

TO_INVALID = "Invalid 'To' Phone Number: {}"
NOT_OWNED = (
    "The 'From' phone number provided is not a valid message-capable Twilio phone number "
    "for this destination"
)
SERVICE, TEMPLATE = "MG" + "0" * 32, "HX" + "0" * 32
PNG = "https://example.invalid/a.png"
TOMORROW = "tomorrow"  # stands for a time, which would not be the same in every worker
Changes = dict[str, str | list[str] | None]
REFUSALS: list[tuple[Changes, int, int, str | None]] = [
    # recipient
    ({"To": None}, 400, 21604, "A 'To' phone number is required."),
    ({"To": ""}, 400, 21604, "A 'To' phone number is required."),
    ({"To": "+1234567890"}, 400, 21211, TO_INVALID.format("+123456XXXX")),
    ({"To": "12"}, 400, 21211, TO_INVALID.format("XXXX")),
    ({"To": "Ada"}, 400, 21211, TO_INVALID.format("XXXX")),
    ({"To": "+999123456789"}, 400, 21211, TO_INVALID.format("+99912345XXXX")),
    ({"To": "+1628555123456789"}, 400, 21211, TO_INVALID.format("+162855512345XXXX")),
    # sender
    ({"From": None}, 400, 21603, None),
    ({"From": ""}, 400, 21603, None),
    ({"From": "!!"}, 400, 21212, None),
    ({"From": "twelve chars"}, 400, 21212, None),
    ({"From": "+14155559999"}, 400, 21606, None),
    ({"From": "Acme"}, 400, 21606, None),
    ({"From": "12345"}, 400, 21606, None),
    ({"From": "MG" + "0" * 32}, 404, 21701, None),
    # content
    ({"Body": None}, 400, 21602, "Message body is required."),
    ({"Body": ""}, 400, 21602, "Message body is required."),
    ({"Body": "a" * 1601}, 400, 21617,
     "The concatenated message body exceeds the 1600 character limit"),
    ({"Body": "\U0001f600" * 801}, 400, 21617, None),
    # options
    ({"StatusCallback": "ftp://example.invalid/x"}, 400, 21609, "Invalid 'StatusCallback'"),
    ({"StatusCallback": "example.invalid/x"}, 400, 21609, None),
    ({"StatusCallback": "https://example.invalid"}, 400, 21609, None),
    ({"StatusCallback": "https:///x"}, 400, 21609, None),
    ({"StatusCallback": "https://a_b.example.invalid/x"}, 400, 21609, None),
    ({"StatusCallback": "https://exa mple.com/x"}, 400, 21609, None),
    ({"StatusCallback": LONG_URL}, 400, 21609, None),
    ({"StatusCallback": "http://10.0.0.1/x"}, 400, 21609, None),
    ({"StatusCallback": "http://169.254.169.254/latest"}, 400, 21609, None),
    ({"StatusCallback": "http://127.1/x"}, 400, 21609, None),
    ({"ValidityPeriod": "0"}, 400, 21624, "Invalid validity period value"),
    ({"ValidityPeriod": "36001"}, 400, 21624, None),
    ({"ValidityPeriod": "-5"}, 400, 21624, None),
    ({"ValidityPeriod": "1.5"}, 400, 21624, None),
    ({"ValidityPeriod": "soon"}, 400, 21624, None),
    ({"ValidityPeriod": "9" * 400}, 400, 21624, None),
    ({"ProvideFeedback": "yes"}, 400, 20422, None),
    ({"SmartEncoded": "1"}, 400, 20422, None),
    ({"ContentRetention": "keep"}, 400, 30029, "Invalid ContentRetention"),
    ({"ContentRetention": "DISCARD"}, 400, 30029, None),
    ({"AddressRetention": "hide"}, 400, 30030, "Invalid AddressRetention"),
    ({"ForceDelivery": "yes"}, 400, 20422,
     "Invalid Parameter: ForceDelivery must be true or false"),
    ({"Attempt": "first"}, 400, 20422, "Invalid Parameter: Attempt"),
    ({"MaxPrice": "0"}, 400, 21627, "Max Price must be a valid positive float"),
    ({"MaxPrice": "-0.01"}, 400, 21627, None),
    ({"MaxPrice": "cheap"}, 400, 21627, None),
    ({"RiskCheck": "true"}, 400, 20422, "Invalid Parameter: RiskCheck"),
    ({"TrafficType": "paid"}, 400, 20422, None),
    ({"Tags": "spring"}, 400, 20422, "Invalid Parameter: Tags"),
    ({"Tags": "[" * 10_000}, 400, 20422, None),
    # capabilities that are not there: refused, never silently dropped
    ({"MessagingServiceSid": SERVICE}, 404, 21701, "The Messaging Service does not exist"),
    ({"MessagingServiceSid": SERVICE, "From": None}, 404, 21701, None),
    ({"ContentSid": TEMPLATE}, 400, 21655, "The ContentSid is Invalid"),
    ({"ContentSid": TEMPLATE, "ContentVariables": '{"1":"x"}', "Body": None}, 400, 21655, None),
    ({"ApplicationSid": "AP" + "0" * 32}, 400, 21420, "ApplicationSid is not accessible"),
    ({"ShortenUrls": "true"}, 400, 20422, None),
    ({"PersistentAction": "geo:1,2"}, 400, 20422, None),
    ({"PersistentAction": ["geo:1,2", "x"]}, 400, 20422, None),
    # a value that is wrong is told as such, whether its capability is there or not
    ({"MediaUrl": "ftp://example.invalid/a.png"}, 400, 21620, None),
    ({"MediaUrl": f'["{PNG}","{PNG}"]'}, 400, 21620,
     "Invalid media URL(s): each must be an http or https URL in a MediaUrl of its own"),
    ({"MediaUrl": [PNG, "a.png"]}, 400, 21620, None),
    ({"MediaUrl": [PNG] * 11}, 400, 21623, "Number of media files exceeds allowed limit"),
    ({"MessagingServiceSid": "MG1"}, 400, 21705,
     "The MessagingServiceSid is not a valid Messaging Service SID"),
    ({"MessagingServiceSid": SERVICE[:-1]}, 400, 21705, None),
    ({"From": SERVICE[:-1]}, 400, 21705, None),
    ({"From": "MGM Resorts"}, 400, 21606, None),
    ({"ContentSid": "HX1"}, 400, 21655, None),
    ({"ContentVariables": "Ada"}, 400, 21656, "The ContentVariables Parameter is invalid"),
    ({"ContentSid": TEMPLATE, "ContentVariables": '["Ada"]'}, 400, 21656, None),
    ({"ApplicationSid": "AP1"}, 400, 21420, None),
    ({"SendAsMms": "yes"}, 400, 20422, None),
    ({"ScheduleType": "later"}, 400, 35126, None),
    ({"SendAt": "soon"}, 400, 35117, None),
    ({"SendAt": "2030-01-01T00:00:00Z"}, 400, 35117,
     "SendAt time must be between 300 seconds and 35 days (3024000 seconds) in the future, "
     "inclusive"),
    ({"FallbackFrom": "!!"}, 400, 21665, None),
    ({"To": "12", "MediaUrl": PNG}, 400, 21211, None),
    ({"Body": "a" * 1601, "MessagingServiceSid": SERVICE}, 400, 21617, None),
    ({"From": "+14155559999", "SendAsMms": "true"}, 400, 21606, None),
    # what goes together, and what does not
    ({"ContentVariables": '{"1":"x"}'}, 400, 21654, "ContentSid Required"),
    ({"ScheduleType": "fixed"}, 400, 35118, None),
    ({"ScheduleType": "fixed", "SendAt": TOMORROW}, 400, 35118,
     "MessagingServiceSid is required to schedule a message"),
    ({"SendAt": TOMORROW}, 400, 35118, None),
    ({"ScheduleType": "fixed", "MessagingServiceSid": SERVICE}, 400, 35111,
     "SendAt cannot be empty for ScheduleType 'fixed'"),
    ({"ScheduleType": "fixed", "SendAt": TOMORROW, "MessagingServiceSid": SERVICE}, 404, 21701,
     None),
    ({"SendAt": TOMORROW, "MessagingServiceSid": SERVICE}, 400, 35126, None),
    ({"FallbackFrom": "+15005550006"}, 400, 21664, None),
    ({"FallbackFrom": "+15005550006", "From": None}, 400, 21666, None),
    ({"FallbackFrom": "+15005550006", "From": None, "MessagingServiceSid": SERVICE}, 404, 21701,
     None),
    ({"MessagingServiceSid": SERVICE, "Body": None}, 400, 21602, None),
    ({"MessagingServiceSid": SERVICE, "To": None}, 400, 21604, None),
    ({"MediaUrl": PNG, "From": None}, 400, 21603, None),
    # channels
    ({"To": "whatsapp:+16285550100"}, 400, 21910, "'From' and 'To' should be of the same channel"),
    ({"From": "whatsapp:+15005550006"}, 400, 21910, None),
    ({"To": "whatsapp:+16285550100", "From": "whatsapp:+15005550006"}, 400, 63007,
     "Twilio could not find a Channel with the specified From address"),
    ({"To": "whatsapp:+16285550100", "From": "whatsapp:+16285550100"}, 400, 63031, None),
    ({"To": "whatsapp:Ada"}, 400, 21211, TO_INVALID.format("whatsapp:XXXX")),
    ({"To": "whatsapp:+16285550100", "From": None, "MessagingServiceSid": SERVICE}, 400, 63007,
     None),
]  # fmt: skip

MAGIC: list[tuple[Changes, int, int, str | None]] = [
    ({"From": "+15005550001"}, 400, 21212, None),
    ({"From": "+15005550007"}, 400, 21606, NOT_OWNED),
    ({"From": "+15005550008"}, 429, 21611,
     "This 'From' number has exceeded the maximum number of queued messages"),
    ({"To": "+15005550001"}, 400, 21211, TO_INVALID.format("+1500555XXXX")),
    ({"To": "+15005550002"}, 400, 21612, None),
    ({"To": "+15005550003"}, 400, 21408, None),
    ({"To": "+15005550004"}, 400, 21610, "Attempt to send to unsubscribed recipient"),
    ({"To": "+15005550009"}, 400, 21614, "To number: +15005550009, is not a mobile number"),
]  # fmt: skip


def named(case: object) -> str:
    return " ".join(f"{k}={v}"[:40] for k, v in case.items()) if isinstance(case, dict) else ""


@pytest.mark.parametrize(("changes", "status", "code", "text"), REFUSALS + MAGIC, ids=named)
def test_it_is_refused_with_twilios_own_error_and_nothing_is_stored(
    server: RunningServer, changes: Changes, status: int, code: int, text: str | None
) -> None:
    """G-11, T-4 to T-7, T-10, T-11, T-14, T-18, W6, W11: raw in either order, and by the SDK."""
    to = fresh_phone()
    form: Changes = {"To": to, "From": server.number, "Body": "Hello", **changes}
    if form.get("SendAt") == TOMORROW:
        at = datetime.now(UTC) + timedelta(days=1)
        form["SendAt"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {name: value for name, value in form.items() if value is not None}
    for order in (given.items(), reversed(given.items())):
        answer = post(server, urlencode(list(order), doseq=True).encode())
        assert_refused(answer, status, code, text)
        assert ("retry-after" in answer[1]) == (status == 429)
    if "Tags" not in given:  # which the SDK does not know
        wanted = {SDK_NAMES[name]: value for name, value in given.items()}
        wanted.setdefault("to", "")
        error = refusal(lambda: server.client().messages.create(**wanted))  # type: ignore[arg-type]
        assert (error.status, error.code, error.method) == (status, code, "POST")
        assert error.details is None
        assert error.uri == f"/Accounts/{server.sid}/Messages.json"
        if text is not None:
            assert error.msg == f"Unable to create record: {text}"
    assert get(server, f"{messages(server)}?To={quote(to)}")["messages"] == []


TAKEN: list[dict[str, str]] = [
    {"SendAsMms": "false", "ShortenUrls": "False", "ForceDelivery": "TRUE"},
    {"ProvideFeedback": "True", "SmartEncoded": "FALSE"},
    {"Attempt": "3", "MaxPrice": "0.0001", "RiskCheck": "disable", "TrafficType": "free"},
    {"Tags": '{"campaign":"spring"}'},
    {"StatusCallback": "", "MediaUrl": "", "MessagingServiceSid": "", "SendAt": "", "Tags": ""},
    {"Colour": "blue", "ApiVersion": "x", "mediaurl": "ftp://x", "AccountSid": "AC0"},
]


@pytest.mark.parametrize("more", TAKEN, ids=named)
def test_it_is_taken(server: RunningServer, more: dict[str, str]) -> None:
    """W5: empty is absent. What Twilio does not know is ignored; booleans are so in any case."""
    assert create(server, **more)["status"] == "queued"


def test_numbers_in_error_texts_are_masked(server: RunningServer) -> None:
    for changes in ({"From": "+14155550123"}, {"To": "+1234567890"}, {"From": "+0155550123x"}):
        form = {"To": fresh_phone(), "From": server.number, "Body": "Hello", **changes}
        text = post(server, form)[2].decode()
        assert next(iter(changes.values())) not in text
        assert next(iter(changes.values()))[-4:] not in text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"To=%2B16285550100&To=%2B16285550101&From=%2B15005550006&Body=x", 400, 20422),
        (b"To=%2B16285550100&From=%2B15005550006&Body=x&Body=y", 400, 20422),
        (b"To=%2B16285550100&From=%2B15005550006&Body=%ff%fe", 400, 400),
        (b"To=%2B16285550100&From=%2B15005550006&Body=\xff\xfe", 400, 400),
        (b"To=%2B16285550100&From=%2B15005550006&Body=%ED%A0%80", 400, 400),  # half a surrogate
        (b"To=%2B16285550100&From=%2B15005550006&%ff=x&Body=y", 400, 400),
        (b"&".join(b"x%d=1" % n for n in range(201)), 400, 400),
        (b"Body=" + b"a" * 65_536, 413, 20413),
        (b'{"To":"+16285550100","From":"+15005550006","Body":"x"}', 400, 400),  # said to be a form
        (b"", 400, 21604),
        (b"&&=&=x&To", 400, 21604),
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused(
    server: RunningServer, body: bytes, status: int, code: int
) -> None:
    """A scalar given twice would be a guess; bytes that are no text are never stored as some."""
    assert_refused(post(server, body), status, code)


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
@pytest.mark.parametrize("method", ["create", "update"])
def test_json_is_no_form_and_told_so(server: RunningServer, kind: str, method: str) -> None:
    """415, and not that To is missing."""
    path = messages(server, create(server)["sid"] if method == "update" else None)
    body = b' {"To": "+16285550100"}'.lstrip()
    answer = server.request("POST", path, body, {"Content-Type": kind})
    assert_refused(answer, 415, 415, "Unsupported Media Type")
