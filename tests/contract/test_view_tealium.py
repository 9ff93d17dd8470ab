"""The view `tealium` against a Hushwire server, one that plays Twilio's cloud, and recorded
answers of Twilio's (item 21)."""

import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest

from backend_fixtures import backend, cloud_server, live
from backends import Backend, Cut, Live, act, refusal_of
from harness import Receiver, RunningServer
from hushwire.connect.wire import CLOUD
from hushwire.private import Private
from picture_host import MB5, PNG, PictureHost
from tenants import owner, subaccount
from wire_checks import fresh_phone, get, messages, until

__all__ = ["backend", "cloud_server", "live"]

NAME = "send_sms_or_mms"
THEN = "tealium-2021"


@pytest.fixture(scope="module")
def host() -> Iterator[PictureHost]:
    with PictureHost() as host:
        yield host


def server_of(live: Backend) -> RunningServer:
    assert isinstance(live, Live)
    return live.server


def send(at: Backend, /, **changes: Any) -> dict[str, Any]:
    given = {"to": fresh_phone(), "from": at.number, "body": "Your table is ready", **changes}
    return act(at, NAME, {name: value for name, value in given.items() if value is not None})


def form_of(to: Backend, profile: str = "current", **changes: Any) -> dict[str, str]:
    """What is really sent."""
    transport = to.transport()
    given = {"to": fresh_phone(), "from": to.number, "body": "Hello", **changes}
    act(to, NAME, given, transport=transport, profile=profile)
    (request,) = transport.asked  # type: ignore[attr-defined]
    return dict(parse_qsl(request.content.decode()))


def test_an_sms_is_sent(backend: Backend) -> None:
    """T-1, T-2, T-3, T-4, T-5, item 21: HTTP Basic with exactly SID and token."""
    transport, phone = backend.transport(), fresh_phone()
    given = {"to": phone, "from": backend.number, "body": "Your table is ready"}
    made = act(backend, NAME, given, transport=transport)
    assert (made["to"], made["from"], made["status"]) == (phone, backend.number, "queued")
    assert made["warnings"] == {}
    (request,) = transport.asked  # type: ignore[attr-defined]
    kind, _, credentials = request.headers["authorization"].partition(" ")
    token = server_of(backend).token if isinstance(backend, Live) else "f" * 32
    assert (kind, credentials) == ("Basic", b64encode(f"{backend.sid}:{token}".encode()).decode())
    assert request.url.path == f"/2010-04-01/Accounts/{backend.sid}/Messages.json"
    assert dict(parse_qsl(request.content.decode())) == {
        "To": phone, "From": backend.number, "Body": "Your table is ready",
    }  # fmt: skip


def test_the_account_may_be_a_subaccount(live: Backend) -> None:
    """T-3: the parameter selects the account in the path; the credential is its parent's."""
    below = subaccount(server_of(live))
    number = below.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")["phone_number"]
    made = send(live, account_sid=below.sid, **{"from": number})
    assert made["account_sid"] == below.sid


def test_what_is_wrong_is_refused_before_the_call(live: Backend) -> None:
    """T-4, T-6, T-11, T-28: with a reason for each field."""
    transport = live.transport()
    given = {"to": "4155550123", "max_price": 0.00001, "validity_period": 0}
    problem = refusal_of(live, NAME, given, transport=transport)
    assert (problem.code, problem.status, problem.field) == (21211, 400, "to")
    for field in ("to", "from", "body", "max_price", "validity_period"):
        assert f"{field} " in problem.text
    assert transport.asked == []  # type: ignore[attr-defined]


def test_a_number_that_is_not_ones_own(live: Backend) -> None:
    """T-5: the server refuses it."""
    given = {"to": fresh_phone(), "from": "+14155559999", "body": "Hello"}
    assert refusal_of(live, NAME, given).code in (21606, 21212)


def service_of(live: Backend, **form: str) -> tuple[str, str]:
    """A Messaging Service, and the number in its pool."""
    tenant = owner(server_of(live))
    service = tenant.made("POST", "/v1/Services", 201, FriendlyName="Desk", **form)["sid"]
    bought = tenant.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")
    path = f"/v1/Services/{service}/PhoneNumbers"
    tenant.made("POST", path, 201, PhoneNumberSid=bought["sid"])
    return service, bought["phone_number"]


def test_a_service_chooses_the_sender(live: Backend) -> None:
    """T-6, T-8: of its pool."""
    service, number = service_of(live)
    made = send(live, messaging_service_sid=service, **{"from": None})
    assert (made["messaging_service_sid"], made["from"]) == (service, None)
    assert until(server_of(live), made["sid"], "delivered")["from"] == number


def test_a_service_and_a_sender(live: Backend) -> None:
    """T-9: the sender must be of the pool, and is used."""
    service, number = service_of(live)
    made = send(live, messaging_service_sid=service, **{"from": number})
    assert made["from"] == number
    given = {
        "to": fresh_phone(),
        "from": live.number,
        "body": "x",
        "messaging_service_sid": service,
    }
    assert refusal_of(live, NAME, given).code == 21711


def test_1600_characters_pass_and_the_server_agrees(live: Backend) -> None:
    """T-10: 1,600 of GSM-7, 800 emoji; one more is refused there as here."""
    assert send(live, body="x" * 1600)["num_segments"] == "11"
    assert send(live, body="😀" * 800)["num_segments"] == "25"
    for body in ("x" * 1601, "😀" * 801):
        given = {"to": fresh_phone(), "from": live.number, "body": body}
        assert refusal_of(live, NAME, given).code == 21617
        tenant = owner(server_of(live))
        form = {"To": given["to"], "From": live.number, "Body": body}
        assert tenant.may("POST", "Messages.json", **form) == 21617


def test_pictures(live: Backend, host: PictureHost) -> None:
    """T-11, T-12, T-14: several MediaUrl in one POST, up to ten."""
    urls = [host.url("/cat.png"), host.url("/dog.jpg"), host.url("/wave.gif")]
    made = send(live, body=None, media_url=urls)
    assert (made["sid"][:2], made["num_media"]) == ("MM", "3")
    until(server_of(live), made["sid"], "delivered")
    assert send(live, media_url=host.url("/cat.png"))["num_media"] == "1"
    assert send(live, media_url=[host.url(f"/cat.png?{n}") for n in range(10)])["num_media"] == "10"


def test_five_megabytes(live: Backend, host: PictureHost) -> None:
    """T-13, C-7: one byte more fails, with the message."""
    host.files["/full.png"] = ("image/png", PNG + bytes(MB5 - len(PNG)))
    host.files["/over.png"] = ("image/png", PNG + bytes(MB5 - len(PNG) + 1))
    server = server_of(live)
    full = send(live, media_url=host.url("/full.png"))["sid"]
    over = send(live, media_url=host.url("/over.png"))["sid"]
    until(server, full, "delivered")
    assert until(server, over, "failed")["error_code"]


def told(receiver: Receiver, count: int) -> list[dict[str, str]]:
    return [callback.form for callback in receiver.wait(count)]


def test_status_callbacks(live: Backend, receiver: Receiver) -> None:
    """T-15, T-16, C-9: each change, with SID, status, code and the standard parameters."""
    server, phone = server_of(live), fresh_phone()
    server.behave(phone, "unreachable")
    made = send(live, to=phone, status_callback=receiver.url())["sid"]
    found = told(receiver, 2)
    assert [form["MessageStatus"] for form in found] == ["sent", "undelivered"]
    assert {form["MessageSid"] for form in found} == {made}
    assert found[1]["ErrorCode"] == "30003"
    assert {"To", "From", "AccountSid", "ApiVersion", "SmsSid"} <= found[0].keys()


def test_it_goes_before_the_callback_of_the_service(live: Backend, receiver: Receiver) -> None:
    """T-17."""
    other = Receiver()
    try:
        service, _ = service_of(live, StatusCallback=other.url())
        changes = {"messaging_service_sid": service, "from": None}
        send(live, status_callback=receiver.url(), **changes)
        statuses = [form["MessageStatus"] for form in told(receiver, 3)]
        assert statuses == ["queued", "sent", "delivered"]
        assert other.callbacks == []
    finally:
        other.close()


def application_of(live: Backend, url: str) -> str:
    tenant = owner(server_of(live))
    form = {"FriendlyName": "Desk", "MessageStatusCallback": url}
    return str(tenant.made("POST", "Applications.json", 201, **form)["sid"])


def test_the_callback_of_an_application(live: Backend, receiver: Receiver) -> None:
    """T-19."""
    made = send(live, application_sid=application_of(live, receiver.url()))["sid"]
    found = told(receiver, 2)
    assert [(f["MessageSid"], f["MessageStatus"]) for f in found] == [
        (made, "sent"), (made, "delivered"),
    ]  # fmt: skip


@pytest.mark.parametrize(("profile", "told_one"), [("current", "message"), (THEN, "application")])
def test_both_callbacks(live: Backend, receiver: Receiver, profile: str, told_one: str) -> None:
    """T-20, C-2, item 20: whose goes first depends on the profile; the other one is silent."""
    own = Receiver()
    try:
        application = application_of(live, receiver.url())
        given = {"application_sid": application, "status_callback": own.url(), "profile": profile}
        made = send(live, **given)
        chosen, silent = (receiver, own) if told_one == "application" else (own, receiver)
        assert [form["MessageStatus"] for form in told(chosen, 2)] == ["sent", "delivered"]
        assert silent.callbacks == []
        assert len(made["warnings"]) == 1
    finally:
        own.close()


def test_a_hostname_with_an_underscore(live: Backend) -> None:
    """T-18: refused here and there."""
    url = "http://my_host.example.com/status"
    given = {"to": fresh_phone(), "from": live.number, "body": "x", "status_callback": url}
    problem = refusal_of(live, NAME, given)
    assert (problem.code, problem.field) == (21609, "status_callback")
    form = {"To": given["to"], "From": live.number, "Body": "x", "StatusCallback": url}
    assert owner(server_of(live)).may("POST", "Messages.json", **form) == 21609


def test_max_price(live: Backend) -> None:
    """T-21, T-22, C-3: passed on as it is; on the cloud it comes with a warning."""
    assert form_of(live, max_price="0.0075")["MaxPrice"] == "0.0075"
    assert form_of(live, max_price=0.0001)["MaxPrice"] == "0.0001"
    warned = "max_price" in send(live, max_price=2)["warnings"]
    assert warned == (live.name == "cloud")


def test_a_dearer_message_fails(tmp_path_factory: pytest.TempPathFactory) -> None:
    """T-22: queued, and failed later, on a server that honours prices."""
    where = tmp_path_factory.mktemp("priced")
    rates = where / "rates.csv"
    rates.write_text(
        "destination,sender,direction,unit,price,currency\n*,*,outbound,segment,0.01,USD\n"
    )
    with RunningServer(
        where / "data", HUSHWIRE_MAX_PRICE="honoured", HUSHWIRE_RATES=str(rates)
    ) as server:
        at = Live(server, cloud=False)
        cheap, dear = send(at, max_price=0.01), send(at, max_price=0.0099)
        assert (cheap["status"], dear["status"]) == ("queued", "queued")
        until(server, cheap["sid"], "delivered")
        assert until(server, dear["sid"], "failed")["error_code"] == 30010


def test_feedback(live: Backend) -> None:
    """T-23: false unless it is asked for; then the outcome can be reported."""
    assert "ProvideFeedback" not in form_of(live)
    assert form_of(live, provide_feedback=True)["ProvideFeedback"] == "true"
    sid = send(live, provide_feedback=True)["sid"]
    path = f"Messages/{sid}/Feedback.json"
    found = owner(server_of(live)).made("POST", path, 200, Outcome="confirmed")
    assert found["outcome"] == "confirmed"


def test_the_validity_period_of_2021(live: Backend) -> None:
    """T-24, C-1, item 20: 14,400 unless given, and at most; the connection's profile counts."""
    assert form_of(live, profile=THEN)["ValidityPeriod"] == "14400"
    assert form_of(live, profile=THEN, validity_period=60)["ValidityPeriod"] == "60"
    assert "ValidityPeriod" not in form_of(live)
    assert form_of(live, validity_period=36_000)["ValidityPeriod"] == "36000"
    given = {"to": fresh_phone(), "from": live.number, "body": "x", "validity_period": 14_401}
    assert refusal_of(live, NAME, given, profile=THEN).code == 21624
    assert "validity_period" in send(live, validity_period=4)["warnings"]


def test_a_message_that_waited_too_long_fails(
    receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """T-24, T-25: what is still queued then; the callback says failed."""
    with RunningServer(tmp_path_factory.mktemp("valid") / "data") as server:
        assert server.stop() == 0
        database = sqlite3.connect(server.data / "hushwire.db")
        database.execute("UPDATE number SET mps = 0.01")  # a segment in 100 seconds
        database.commit()
        database.close()
        server.start()
        at = Live(server, cloud=False)
        made = send(at, validity_period=50, status_callback=receiver.url())
        assert made["status"] == "queued"
        server.advance(53)
        assert until(server, made["sid"], "failed")["error_code"] == 30036
        assert [form["MessageStatus"] for form in told(receiver, 1)] == ["failed"]


def test_forget_at_once(live: Backend) -> None:
    """RC-2."""
    form = form_of(live, content_retention="discard", address_retention="obfuscate")
    assert (form["ContentRetention"], form["AddressRetention"]) == ("discard", "obfuscate")


def test_a_dry_run_shows_the_exact_request_and_sends_nothing(live: Backend) -> None:
    """T-30: byte for byte what is sent afterwards, without the secret."""
    key = f"dry {fresh_phone()}"  # of this test alone
    given = {
        "to": fresh_phone(), "from": live.number, "body": "Grüße 👋 & more",
        "media_url": ["http://a.example/1.png", "http://a.example/2.png"], "max_price": 0.01,
    }  # fmt: skip
    transport = live.transport()
    shown = act(live, NAME, {**given, "dry_run": True}, key=key, transport=transport)
    assert transport.asked == []  # type: ignore[attr-defined]
    assert (shown["sid"], shown["problems"]) == (None, {})
    act(live, NAME, given, key=key, transport=transport)
    (sent,) = transport.asked  # type: ignore[attr-defined]
    request = shown["request"]
    assert (request["method"], request["url"]) == (sent.method, str(sent.url))
    assert request["body"] == sent.content.decode()
    assert unquote(request["body"]).count("MediaUrl=") == 2
    assert request["headers"] == {**sent.headers, "authorization": "***"}
    assert str(request["url"]).startswith(CLOUD if live.name == "cloud" else "http://127.0.0.1:")
    assert Private(server_of(live).token).reveal() not in str(shown)


def test_a_dry_run_tells_all_faults(live: Backend) -> None:
    """T-30."""
    shown = act(live, NAME, {"to": "1", "dry_run": True})
    assert shown["problems"].keys() == {"to", "from", "body"}
    assert shown["problems"]["to"].startswith("21211: ")


async def no_wait(seconds: float) -> None:
    """Time is not what this test is about."""


def test_a_send_whose_answer_is_lost_is_one_message(live: Backend) -> None:
    """Item 13."""
    phone = fresh_phone()
    cut = Cut(live.transport(), after=True)
    given = {"to": phone, "from": live.number, "body": "Hello"}
    made = act(live, NAME, given, transport=cut, sleep=no_wait)
    page = get(server_of(live), f"{messages(server_of(live))}?To=%2B{phone[1:]}")
    assert [message["sid"] for message in page["messages"]] == [made["sid"]]
