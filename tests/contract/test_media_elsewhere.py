"""Media that come another way than `MediaUrl`: in TwiML replies, from templates, by a service."""

import itertools
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from twilio.rest import Client
from twilio.twiml.messaging_response import Message, MessagingResponse, Redirect

from harness import RunningServer, wait_for
from picture_host import JPEG, PNG, PictureHost
from tenants import owner
from v1_checks import sdk
from webhook_app import App, Request, Said
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, until

_numbers = itertools.count(1000)


@pytest.fixture(scope="module")
def host() -> Iterator[PictureHost]:
    with PictureHost() as host:
        yield host


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    return sdk(owner(server))


def replies_of(server: RunningServer, app: App, phone: str) -> list[dict]:  # type: ignore[type-arg]
    """A phone writes to a number with that app; the replies it got, oldest first."""
    number = f"+1628557{next(_numbers):04d}"
    server.client().incoming_phone_numbers.create(phone_number=number, sms_url=app.url())
    path = f"/sandbox/phones/{quote(phone)}/messages"
    assert server.json("POST", path, {"to": number, "body": "Hi"})[0] == 201
    app.wait(1)
    wait_for(lambda: server.screen(phone))
    return server.screen(phone)[::-1]


def fetched(server: RunningServer, shown: dict) -> list[bytes]:  # type: ignore[type-arg]
    """What the phone gets from the links of a message."""
    paths = (url.removeprefix(server.url) for url in shown["media_urls"])
    return [server.request("GET", path, auth=False)[2] for path in paths]


# TwiML --------------------------------------------------------------------------------------


def test_a_reply_with_media_by_the_helper_library(server: RunningServer, host: PictureHost) -> None:
    """6.7: several <Media> beside a <Body>."""
    response = MessagingResponse()
    both = response.message()
    both.body("Look")
    both.media(host.url("/cat.png"))
    both.media(host.url("/dog.jpg"))
    phone = fresh_phone()
    with App(lambda request: Said(str(response))) as app:
        (shown,) = replies_of(server, app, phone)
    assert shown["body"] == "Look"
    assert fetched(server, shown) == [PNG, JPEG]
    reply = until(server, shown["sid"], "delivered")
    assert (reply["direction"], reply["num_media"]) == ("outbound-reply", "2")
    assert shown["sid"].startswith("MM")
    listed = get(server, messages(server, shown["sid"]).replace(".json", "/Media.json"))
    assert [medium["content_type"] for medium in listed["media_list"]] == [
        "image/png", "image/jpeg",
    ]  # fmt: skip


def test_a_picture_alone_and_a_relative_url(server: RunningServer, host: PictureHost) -> None:
    """No <Body>; the URL is relative to its document."""

    def answer(request: Request) -> Said:
        if request.path.startswith("/sms"):
            response = MessagingResponse()
            response.append(Redirect(host.url("/deeper/answer.xml"), method="GET"))
            return Said(str(response))
        raise AssertionError(request.path)

    document = MessagingResponse()
    picture = Message()
    picture.media("../cat.png")
    document.append(picture)
    host.files["/deeper/answer.xml"] = ("text/xml", str(document).encode())
    with App(answer) as app:
        (shown,) = replies_of(server, app, fresh_phone())
    assert (shown["body"], fetched(server, shown)) == ("", [PNG])


def test_media_that_cannot_be_had_fail_that_reply_alone(
    server: RunningServer, host: PictureHost
) -> None:
    """The reply fails as a message with such media does; the next one goes."""
    response = MessagingResponse()
    response.message("Broken").media(host.url("/nothing-here.png"))
    response.message("Whole").media(host.url("/cat.png"))
    phone = fresh_phone()
    with App(lambda request: Said(str(response))) as app:
        (shown,) = replies_of(server, app, phone)
    assert shown["body"] == "Whole"
    listed = get(server, f"{messages(server)}?To={quote(phone)}")["messages"]
    failed = next(found for found in listed if found["body"] == "Broken")
    assert until(server, failed["sid"], "failed")["error_code"] == 11200


# Templates ----------------------------------------------------------------------------------


def template(server: RunningServer, **types: object) -> str:
    content = {"language": "en", "variables": {"1": "cat", "2": "you"}, "types": types}
    headers = {"Content-Type": "application/json"}
    status, _, body = server.request("POST", "/v1/Content", json.dumps(content).encode(), headers)
    assert status == 201, body
    return json.loads(body)["sid"]


def test_a_template_with_media(server: RunningServer, host: PictureHost) -> None:
    """7.8: variables count in the text and in the URL; its media go as those of a message."""
    sid = template(server, **{"twilio/media": {
        "body": "Look, {{2}}", "media": [f"{host.url('/')}{{{{1}}}}.png", host.url("/dog.jpg")],
    }})  # fmt: skip
    to = fresh_phone()
    made = create(server, To=to, Body=None, ContentSid=sid, ContentVariables='{"2": "Ada"}')
    assert made["sid"].startswith("MM")
    assert (made["body"], made["num_media"]) == ("Look, Ada", "2")
    until(server, made["sid"], "delivered")
    (shown,) = server.screen(to)
    assert shown["body"] == "Look, Ada"
    assert fetched(server, shown) == [PNG, JPEG]


def test_a_template_with_media_and_no_text(server: RunningServer, host: PictureHost) -> None:
    sid = template(server, **{"twilio/media": {"media": [host.url("/cat.png")]}})
    to = fresh_phone()
    made = create(server, To=to, Body=None, ContentSid=sid)
    assert (made["body"], made["num_media"]) == ("", "1")
    until(server, made["sid"], "delivered")
    assert fetched(server, server.screen(to)[0]) == [PNG]


def test_what_a_template_makes_of_a_url_is_checked_as_a_media_url(server: RunningServer) -> None:
    """21620: a variable leads to no URL, or inwards."""
    sid = template(server, **{"twilio/media": {"body": "x", "media": ["{{1}}"]}})
    form = {"To": fresh_phone(), "From": server.number, "ContentSid": sid}
    for wrong in ("cat", "http://169.254.169.254/", "file:///etc/passwd"):
        variables = json.dumps({"1": wrong})
        assert_refused(post(server, {**form, "ContentVariables": variables}), 400, 21620)
