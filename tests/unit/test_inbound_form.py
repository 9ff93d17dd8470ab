"""The inbound webhook's parameters and signature, checked by Twilio's own validator."""

from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace
from twilio.request_validator import RequestValidator

from hushwire.domain.incoming import Method, asked_line
from hushwire.domain.message import Direction, Message, Status, history_line
from hushwire.domain.optout import OptOut
from hushwire.private import Private
from hushwire.webhooks.inbound_form import action_params, inbound_params, request_of

TOKEN = "12345"
MESSAGE = Message(
    1, b"", "SM" + "1" * 32, 1, Direction.INBOUND, Status.RECEIVED, Private("+4915112345678"),
    Private("+15005550006"), Private("Käse & Brot"), None, 2, 0, 0, None, None,
    history=history_line("received", 5),
)  # fmt: skip


def test_the_parameters() -> None:
    params = inbound_params(MESSAGE, "AC1")
    assert params["FromCountry"] == "DE"
    assert params["Body"] == "Käse & Brot"
    assert params["NumSegments"] == "2"
    assert not {"MessagingServiceSid", "OptOutType", "MediaUrl0"} & set(params)


def test_what_few_messages_have() -> None:
    history = MESSAGE.history + asked_line(OptOut.HELP, 5)
    message = replace(MESSAGE, service="MG1", history=history)
    media = [("https://x/a", "image/png"), ("https://x/b", "text/vcard")]
    params = inbound_params(message, "AC1", media)
    assert params["MessagingServiceSid"] == "MG1"
    assert params["OptOutType"] == "HELP"
    assert params["NumMedia"] == "2"
    assert [params[f"MediaUrl{n}"] for n in range(2)] == ["https://x/a", "https://x/b"]
    assert params["MediaContentType1"] == "text/vcard"


def test_an_action_hears_of_the_reply() -> None:
    params = action_params(inbound_params(MESSAGE, "AC1"), "SM2")
    assert (params["MessageSid"], params["SmsSid"]) == ("SM2", "SM2")
    assert params["SmsMessageSid"] == MESSAGE.sid
    assert (params["MessageStatus"], params["SmsStatus"]) == ("queued", "queued")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("url", "seen"),  # as configured, and as a framework shows it to the validator
    [
        ("https://example.com/sms", "https://example.com/sms"),
        ("https://example.com:8443/sms?x=1&y=a%20b", "https://example.com:8443/sms?x=1&y=a%20b"),
        ("https://ada:pw@example.com/sms", "https://example.com/sms"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com?x=1", "https://example.com/?x=1"),
        ("https://example.com/sms?", "https://example.com/sms"),
        ("HTTPS://example.com/sms", "https://example.com/sms"),
    ],
)
def test_the_official_validator_accepts_it(method: Method, url: str, seen: str) -> None:
    """W14, 6.6."""
    params = inbound_params(MESSAGE, "AC1")
    request = request_of(method, url, params, TOKEN, "token")
    assert request is not None
    signature = request.headers["X-Twilio-Signature"]
    validator = RequestValidator(TOKEN)
    if method == "POST":
        assert request.url == url.rstrip("?")
        assert dict(parse_qsl(request.body.decode(), True)) == params
        assert validator.validate(seen, dict(params), signature)
        assert not validator.validate(seen, {**params, "Body": "x"}, signature)
        return
    query = request.query
    assert (request.url, query) == (url.rstrip("?"), request.form.decode())
    assert request.body == b""
    assert "Content-Type" not in request.headers
    full = f"{seen}{'&' if '?' in seen else '?'}{query}"
    assert validator.validate(full, {}, signature)
    assert not validator.validate(full + "&z=1", {}, signature)


def test_what_is_no_url_is_not_called() -> None:
    for url in ("", "ftp://example.com/", "https://exa mple.com/", "/relative"):
        assert request_of("POST", url, {}, TOKEN, "t") is None
