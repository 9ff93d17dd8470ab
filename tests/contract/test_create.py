"""A create that is accepted: every honoured parameter, and what is ignored."""

import json
from urllib.parse import urlencode

import pytest

from harness import Receiver, RunningServer
from wire_checks import FORM, assert_refused, create, fresh_phone, get, messages, post, until


def test_the_sdk_reads_every_property_back(server: RunningServer) -> None:
    """G-12 to G-27 and P-10 stand on these: types and formats as the SDK sees them."""
    to = fresh_phone()
    message = server.client().messages.create(to=to, from_=server.number, body="Hello Ada")
    assert message.sid is not None
    assert message.sid.startswith("SM")
    assert len(message.sid) == 34
    assert (message.account_sid, message.api_version) == (server.sid, "2010-04-01")
    assert (message.to, message.from_, message.body) == (to, server.number, "Hello Ada")
    assert (message.status, message.direction) == ("queued", "outbound-api")
    assert (message.num_segments, message.num_media) == ("1", "0")
    assert (message.price, message.price_unit) == (None, "USD")
    assert (message.error_code, message.error_message) == (None, None)
    assert message.messaging_service_sid is None
    assert message.date_created == message.date_updated
    assert message.date_created is not None
    assert message.date_sent is None
    assert message.uri == messages(server, message.sid)
    fetched = message.fetch()
    assert (fetched.sid, fetched.body, fetched.to) == (message.sid, "Hello Ada", to)


def test_every_honoured_parameter_is_taken_through_the_sdk(
    server: RunningServer, receiver: Receiver
) -> None:
    """T-15, T-23, T-24, RC-2: accepted, and the message goes its way."""
    to = fresh_phone()
    message = server.client().messages.create(
        to=to, from_=server.number, body="It’s “fine”",
        status_callback=receiver.url(), validity_period=60, provide_feedback=True,
        smart_encoded=True, content_retention="retain", address_retention="retain",
    )  # fmt: skip
    assert message.body == 'It\'s "fine"'
    assert receiver.wait(2)[1].form["MessageStatus"] == "delivered"
    assert server.screen(to)[0]["body"] == 'It\'s "fine"'


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("a" * 160, "1"),
        ("a" * 161, "2"),
        ("é" * 160, "1"),  # in GSM 03.38
        ("€" * 81, "2"),  # two places each
        ("ж" * 70, "1"),
        ("ж" * 71, "2"),
        ("a" * 1600, "11"),
        ("\U0001f600" * 800, "25"),  # 1600 UTF-16 units; no emoji is cut in two
        ("tab\there\nand a line\r\n", "1"),
        ("nul\x00 and del\x7f", "1"),
    ],
)
def test_any_text_arrives_as_it_was_sent(server: RunningServer, body: str, segments: str) -> None:
    """T-10, G-13, G-14: up to 1600 units, counted as the network bills them."""
    to = fresh_phone()
    made = create(server, To=to, Body=body)
    assert (made["body"], made["num_segments"]) == (body, segments)
    assert until(server, made["sid"], "delivered")["body"] == body
    assert server.screen(to)[0]["body"] == body


@pytest.mark.parametrize(
    ("smart", "segments"), [("true", "1"), ("True", "1"), ("false", "2"), (None, "2")]
)
def test_smart_encoding_replaces_what_only_looks_special(
    server: RunningServer, smart: str | None, segments: str
) -> None:
    made = create(server, Body="“" + "a" * 99 + "”", SmartEncoded=smart)
    assert made["num_segments"] == segments
    assert made["body"].startswith('"' if smart in ("true", "True") else "“")


def test_numbers_are_normalised(server: RunningServer) -> None:
    """K-6: one number, whatever its spelling; a raw plus in a form is a space (W3)."""
    to = fresh_phone()
    national = f"({to[2:5]}) {to[5:8]}-{to[8:]}"
    for spelling in (to, national, f" {to[1:]}", f"1-{to[2:5]}-{to[5:8]}-{to[8:]}"):
        assert create(server, To=spelling)["to"] == to
    raw = f"To={to}&From={server.number}&Body=raw+plus".encode()
    status, _, body = post(server, raw)
    assert (status, json.loads(body)["to"], json.loads(body)["body"]) == (201, to, "raw plus")


def test_empty_parameters_are_absent(server: RunningServer) -> None:
    """W5: `StatusCallback=` and its like are what an HTML form sends for nothing."""
    empty = dict.fromkeys(
        ["StatusCallback", "ValidityPeriod", "ProvideFeedback", "SmartEncoded", "MediaUrl",
         "ContentRetention", "AddressRetention", "MessagingServiceSid", "ContentSid"], ""
    )  # fmt: skip
    made = create(server, **empty)
    until(server, made["sid"], "delivered")


def test_unknown_parameters_and_those_without_effect_are_ignored(server: RunningServer) -> None:
    made = create(
        server, Colour="blue", to="+1", Attempt="2", ForceDelivery="true", MaxPrice="0.01",
        RiskCheck="disable", TrafficType="free", Tags='{"a":"b"}', ShortenUrls="false",
        SendAsMms="false",
    )  # fmt: skip
    assert made["body"] == "Hello Ada"
    assert made["tags"] == {"a": "b"}


@pytest.mark.parametrize("seconds", ["1", "14400", "36000"])
def test_the_ends_of_the_validity_period(server: RunningServer, seconds: str) -> None:
    """T-24 with conflict C-1 decided for the current definition: 1 to 36000."""
    assert create(server, ValidityPeriod=seconds)["status"] == "queued"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.invalid/" + "a" * 3976,
        "http://user:secret@example.invalid:8080/x?y=%20#rc=5&rp=all",
        "http://127.0.0.1:1024/x",
        "https://xn--bcher-kva.invalid/x",
    ],
)
def test_callback_urls_that_are_good(server: RunningServer, url: str) -> None:
    """T-18, W11: 4000 characters, userinfo, port, fragment; loopback while the sandbox is on."""
    assert create(server, StatusCallback=url)["status"] == "queued"


def test_fields_come_in_any_order_and_encoding(server: RunningServer) -> None:
    to = fresh_phone()
    form = urlencode([("Body", "a&b=c+d %"), ("From", server.number), ("To", to)])
    plain = urlencode({"Body": "a&b=c+d %", "From": server.number, "To": to})
    for body in (form.encode(), plain.encode(), form.replace("To=", "%54o=").encode()):
        status, _, answer = post(server, body)
        assert (status, json.loads(answer)["body"]) == (201, "a&b=c+d %")
    found = get(server, f"{messages(server)}?To=%2B{to[1:]}")["messages"]
    assert [m["body"] for m in found] == ["a&b=c+d %"] * 3


def test_the_content_type_may_name_a_charset(server: RunningServer) -> None:
    """T-2: Basic credentials and a form, however the client spells its header."""
    form = urlencode({"To": fresh_phone(), "From": server.number, "Body": "héllo"}).encode()
    kind = {"Content-Type": FORM["Content-Type"] + "; charset=utf-8"}
    status, headers, body = server.request("POST", messages(server), form, kind)
    assert (status, headers["content-type"]) == (201, "application/json")
    assert json.loads(body)["body"] == "héllo"


def test_a_form_in_parts(server: RunningServer) -> None:
    """W4: multipart/form-data says the same as the url-encoded form, plus signs and all."""
    to = fresh_phone()
    fields = {"To": to, "From": server.number, "Body": "a+b=c&d\r\n--no boundary", "Tags": ""}
    parts = "".join(
        f'--xYz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    kind = {"Content-Type": "multipart/form-data; boundary=xYz"}
    body = f"{parts}--xYz--\r\n".encode()
    status, _, answer = server.request("POST", messages(server), body, kind)
    assert status == 201, answer
    assert (json.loads(answer)["to"], json.loads(answer)["body"]) == (to, fields["Body"])
    broken = server.request("POST", messages(server), parts.encode(), kind)
    assert_refused(broken, 400, 400)
