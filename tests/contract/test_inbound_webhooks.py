"""Inbound webhooks as an app lives them: Twilio's own helper library on the other side."""

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from urllib.parse import quote

import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from harness import RunningServer, wait_for
from webhook_app import App, Proxy, Request, Said
from wire_checks import FORM, assert_refused, fresh_phone, get

_numbers = itertools.count(1000)


def new_number(server: RunningServer, **settings: str) -> str:
    """A number of its own for a test."""
    phone = f"+1628556{next(_numbers):04d}"
    server.client().incoming_phone_numbers.create(phone_number=phone, **settings)
    return phone


def text(server: RunningServer, from_: str, to: str, body: str) -> str:
    """A phone sends a text; the SID of the message."""
    path = f"/sandbox/phones/{quote(from_)}/messages"
    status, answer = server.json("POST", path, {"to": to, "body": body})
    assert status == 201, answer
    return answer["sid"]


def screen(server: RunningServer, phone: str) -> list[str]:
    """The texts on a phone, oldest first."""
    return [shown["body"] for shown in reversed(server.screen(phone))]


def alerts(server: RunningServer, sid: str) -> list[str]:
    """The codes of the alerts about a message."""
    found = get(server, "/v1/Alerts?PageSize=1000")["alerts"]
    return [alert["error_code"] for alert in found if alert["resource_sid"] == sid]


class Diary:
    """An app that counts what each phone said, as customers write them."""

    def __init__(self, token: str) -> None:
        self.validator = RequestValidator(token)
        self.heard: dict[str, list[str]] = {}
        self.seen: set[str] = set()

    def answer(self, request: Request) -> Said:
        params = request.form if request.method == "POST" else {}
        signature = request.headers["x-twilio-signature"]
        if not self.validator.validate(request.url, params, signature):
            return Said("forged", 403, "text/plain")
        heard = self.heard.setdefault(request.form["From"], [])
        heard.append(request.form["Body"])
        response = MessagingResponse()
        response.message(f"{len(heard)}: {request.form['Body']}")
        return Said(str(response))


@pytest.fixture
def diary(server: RunningServer) -> Iterator[App]:
    with App(Diary(server.token).answer) as app:
        yield app


def test_an_app_behind_a_proxy_accepts_the_signature(server: RunningServer, diary: App) -> None:
    """W14: signed is the URL the customer gave, whatever host and port the app itself has."""
    with Proxy(diary) as proxy:
        url = f"http://localhost:{proxy.port}/sms?shop=7"
        for method in ("POST", "GET"):
            number = new_number(server, sms_url=url, sms_method=method)
            phone = fresh_phone()
            sid = text(server, phone, number, "Grüße & 100 %")
            wait_for(lambda phone=phone: screen(server, phone) == ["1: Grüße & 100 %"])
            assert alerts(server, sid) == []
        assert [request.method for request in diary.requests] == ["POST", "GET"]
        assert {request.headers["host"] for request in diary.requests} == {"internal"}


def test_two_phones_talk_to_a_number_each_in_order(server: RunningServer, diary: App) -> None:
    number = new_number(server, sms_url=diary.url())
    ada, bob = fresh_phone(), fresh_phone()
    for n in range(10):
        text(server, ada, number, f"a{n}")
        text(server, bob, number, f"b{n}")
    for phone, letter in ((ada, "a"), (bob, "b")):
        said = [f"{n + 1}: {letter}{n}" for n in range(10)]
        wait_for(lambda phone=phone: len(screen(server, phone)) == 10)
        assert sorted(screen(server, phone), key=lambda s: int(s.split(":")[0])) == said
    told = [(r.form["From"], r.form["Body"]) for r in diary.requests]
    assert [body for from_, body in told if from_ == ada] == [f"a{n}" for n in range(10)]
    assert len({r.headers["i-twilio-idempotency-token"] for r in diary.requests}) == 20


def test_a_session_is_a_conversation(server: RunningServer) -> None:
    """Cookies are kept for each pair of numbers (6.4)."""

    def count(request: Request) -> Said:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
        n = int(cookies["n"].value) + 1 if "n" in cookies else 1
        response = MessagingResponse()
        response.message(f"{n}")
        return Said(str(response), cookies=("theme=dark; Path=/other", f"n={n}; Path=/; HttpOnly"))

    with App(count) as app:
        number, ada, bob = new_number(server, sms_url=app.url()), fresh_phone(), fresh_phone()
        for phone, said in ((ada, ["1"]), (bob, ["1"]), (ada, ["1", "2"]), (ada, ["1", "2", "3"])):
            text(server, phone, number, "Hi")
            wait_for(lambda phone=phone, said=said: sorted(screen(server, phone)) == said)
        server.advance(4 * 3_600)
        text(server, ada, number, "Hi")
        wait_for(lambda: sorted(screen(server, ada)) == ["1", "1", "2", "3"])


def test_the_message_and_its_reply_in_the_api(server: RunningServer, diary: App) -> None:
    number, phone = new_number(server, sms_url=diary.url()), fresh_phone()
    sid = text(server, phone, number, "Hello")
    client = server.client()
    wait_for(lambda: screen(server, phone) == ["1: Hello"])
    wait_for(lambda: client.messages.list(to=phone)[0].status == "delivered")
    (reply,) = client.messages.list(to=phone)
    assert (reply.direction, reply.from_, reply.body) == ("outbound-reply", number, "1: Hello")
    inbound = client.messages(sid).fetch()
    assert (inbound.direction, inbound.status, inbound.from_) == ("inbound", "received", phone)
    assert inbound.body == "Hello"


def test_helper_library_documents(server: RunningServer) -> None:
    """What the official builder writes: redirects, actions, status callbacks."""

    def answer(request: Request) -> Said:
        response = MessagingResponse()
        match request.path.partition("?")[0]:
            case "/sms":
                response.message("one", action="/after", method="POST")
            case "/after":
                assert request.form["MessageStatus"] == "queued"
                response.message("two", status_callback="/status")
                response.redirect("/last?n=3", method="GET")
            case "/last":
                message = response.message()
                message.body("three")
            case "/status":
                return Said("", 204)
        return Said(str(response))

    with App(answer) as app:
        number, phone = new_number(server, sms_url=app.url()), fresh_phone()
        text(server, phone, number, "go")
        wait_for(lambda: sorted(screen(server, phone)) == ["one", "three", "two"])
        wait_for(lambda: sum(r.path == "/status" for r in app.requests) == 2)
        statuses = [r.form["MessageStatus"] for r in app.requests if r.path == "/status"]
        assert statuses == ["sent", "delivered"]


def test_the_fallback_answers_when_the_webhook_cannot(server: RunningServer) -> None:
    """RC-4, R11."""

    def answer(request: Request) -> Said:
        if request.path == "/sms":
            return Said("oops", 500, "text/plain")
        return Said(f"{request.form['ErrorCode']} {request.form['Body']}", 200, "text/plain")

    with App(answer) as app:
        number = new_number(server, sms_url=app.url(), sms_fallback_url=app.url("/fallback"))
        phone = fresh_phone()
        sid = text(server, phone, number, "Hello")
        wait_for(lambda: screen(server, phone) == ["11200 Hello"])
        assert app.requests[1].form["ErrorUrl"] == app.url()
        wait_for(lambda: alerts(server, sid) == ["11200"])


def test_a_text_is_told_once_the_app_is_mended(server: RunningServer) -> None:
    """Hours later by the table; the clock is the server's."""
    broken = True

    def answer(request: Request) -> Said:
        return Said("", 503) if broken else Said("mended", 200, "text/plain")

    with App(answer) as app:
        number, phone = new_number(server, sms_url=app.url()), fresh_phone()
        text(server, phone, number, "Hello")
        app.wait(1)
        server.advance(1_000)
        assert len(app.requests) == 4
        assert len({r.headers["i-twilio-idempotency-token"] for r in app.requests}) == 1
        broken = False
        server.advance(4_000)
        wait_for(lambda: screen(server, phone) == ["mended"])
        assert len(app.requests) == 5


def test_a_service_hears_for_its_numbers(server: RunningServer, diary: App) -> None:
    client = server.client()
    client.messaging.base_url = server.url
    service = client.messaging.v1.services.create("Shop", inbound_request_url=diary.url())
    phone = fresh_phone()
    number = client.incoming_phone_numbers.create(phone_number=new_number_text())
    service.phone_numbers.create(phone_number_sid=number.sid)
    sid = text(server, phone, number.phone_number, "Hello")
    (request,) = diary.wait(1)
    assert request.form["MessagingServiceSid"] == service.sid
    assert client.messages(sid).fetch().messaging_service_sid == service.sid
    client.messaging.v1.services(service.sid).update(inbound_request_url="")
    path = f"/sandbox/phones/{quote(phone)}/messages"
    status, answer = server.json("POST", path, {"to": number.phone_number, "body": "Lost"})
    assert (status, answer) == (201, {"sid": None, "status": "disabled"})
    bodies = [m.body for m in client.messages.list(from_=phone)]
    assert bodies == ["Hello"]


def new_number_text() -> str:
    return f"+1628556{next(_numbers):04d}"


# -- keywords -----------------------------------------------------------------------------


def test_stop_start_and_help(server: RunningServer, diary: App) -> None:
    number, phone = new_number(server, sms_url=diary.url()), fresh_phone()
    sid = text(server, phone, number, "Stop")
    diary.wait(1)
    wait_for(lambda: alerts(server, sid) == ["21610"])
    assert diary.requests[0].form["OptOutType"] == "STOP"
    wait_for(lambda: len(screen(server, phone)) == 1)
    assert screen(server, phone)[0].startswith("You have successfully been unsubscribed.")
    path = f"/2010-04-01/Accounts/{server.sid}/Messages.json"
    form = f"To={quote(phone)}&From={quote(number)}&Body=Buy".encode()
    assert_refused(server.request("POST", path, form, FORM), 400, 21610)
    text(server, phone, number, "HELP")
    wait_for(lambda: screen(server, phone)[-1].startswith("Reply STOP to unsubscribe."))
    text(server, phone, number, "START")
    wait_for(lambda: any("re-subscribed" in shown for shown in screen(server, phone)))
    wait_for(lambda: screen(server, phone)[-1] == "3: START")
    assert server.request("POST", path, form, FORM)[0] == 201


def test_nobody_is_written_to_a_second_after_stop(server: RunningServer) -> None:
    """In force within a second: for what is being accepted, and for what waits for its turn."""
    number, phone = new_number(server), fresh_phone()
    client = server.client()
    (found,) = client.incoming_phone_numbers.list(phone_number=number)
    path = f"/hushwire/v1/accounts/{server.sid}/numbers/{found.sid}"
    assert server.json("PATCH", path, {"mps": 20})[0] == 200
    create = f"/2010-04-01/Accounts/{server.sid}/Messages.json"
    form = f"To={quote(phone)}&From={quote(number)}&Body=Buy".encode()

    def send(n: int) -> int:
        return server.request("POST", create, form, FORM)[0]

    with ThreadPoolExecutor(4) as many:
        racing = many.map(send, range(100))
        wait_for(lambda: len(screen(server, phone)) >= 3)
        text(server, phone, number, "STOP")
        statuses = set(racing)
    assert statuses <= {201, 400}
    wait_for(lambda: any("unsubscribed" in shown for shown in screen(server, phone)))
    shown = screen(server, phone)
    wait_for(lambda: all(m.status in ("delivered", "failed") for m in sent(server, phone)))
    assert len(screen(server, phone)) <= len(shown) + 1, "what was on the wire at that moment"
    failed = [m.error_code for m in sent(server, phone) if m.status == "failed"]
    assert set(failed) == {21610}
    assert len(failed) + len(screen(server, phone)) == len(sent(server, phone))


def sent(server: RunningServer, phone: str) -> list:  # type: ignore[type-arg]
    return server.client().messages.list(to=phone)


def test_own_keywords(server: RunningServer, diary: App) -> None:
    number, phone = new_number(server, sms_url=diary.url()), fresh_phone()
    (found,) = server.client().incoming_phone_numbers.list(phone_number=number)
    path = f"/hushwire/v1/accounts/{server.sid}/opt-out-keywords/{found.sid}"
    assert server.json("GET", path) == (
        200, {"scope": found.sid, "filtering": True, "rules": []},
    )  # fmt: skip
    rules = [{"type": "STOP", "keywords": ["Genug"], "text": "Schade."}]
    status, answer = server.json("PUT", path, {"rules": rules})
    assert (status, answer) == (200, {"scope": found.sid, "filtering": True, "rules": rules})
    text(server, phone, number, "genug")
    wait_for(lambda: screen(server, phone) == ["Schade."])
    assert server.json("PUT", path, {"filtering": False})[0] == 200
    other = fresh_phone()
    text(server, other, number, "STOP")
    wait_for(lambda: screen(server, other) == ["1: STOP"])


def test_keywords_are_refused_and_found_as_they_should(server: RunningServer) -> None:
    base = f"/hushwire/v1/accounts/{server.sid}/opt-out-keywords"
    (found, *_) = server.client().incoming_phone_numbers.list()
    bad = json.dumps({"rules": [{"type": "STOP", "keywords": ["start"], "text": "x"}]}).encode()
    refused = server.request("PUT", f"{base}/{found.sid}", bad)
    assert_refused(refused, 400, 20001)
    assert_refused(server.request("GET", f"{base}/PN{'0' * 31}9"), 404, 20404)
    assert server.request("GET", f"{base}/{found.sid}", auth=False)[0] == 401
