"""Sending through a Messaging Service, from templates and with applications, by Twilio's SDK.

The server is this module's own: its senders and callbacks are counted.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance
from twilio.rest.messaging.v1.service import ServiceInstance

from harness import Receiver, RunningServer, wait_for
from tenants import owner
from v1_checks import sdk
from wire_checks import (
    assert_facts,
    assert_refused,
    create,
    fresh_phone,
    get,
    messages,
    post,
    until,
)

NOBODYS = "0" * 32
ENDED = ("delivered", "failed", "undelivered")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("send") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    return sdk(owner(server))


@pytest.fixture
def service(client: Client) -> ServiceInstance:
    """A service with a sender in San Francisco and one in Washington."""
    return pool_of(client, "415", "202")


def pool_of(client: Client, *area_codes: str, **settings: Any) -> ServiceInstance:
    service = client.messaging.v1.services.create(friendly_name="Shop", **settings)
    for area_code in area_codes:
        number = client.incoming_phone_numbers.create(area_code=area_code)
        service.phone_numbers.create(phone_number_sid=number.sid)
    return service


def senders(service: ServiceInstance) -> dict[str, str]:
    """Area code → number of the pool."""
    return {n.phone_number[2:5]: n.phone_number for n in service.phone_numbers.list()}


def ended(message: MessageInstance) -> MessageInstance:
    wait_for(lambda: message.fetch().status in ENDED)
    return message.fetch()


def send(
    client: Client, service: ServiceInstance, to: str | None = None, **more: Any
) -> MessageInstance:
    given = {"body": "Hello Ada", "messaging_service_sid": service.sid, **more}
    return client.messages.create(to=to or fresh_phone(), **given)


def short_code(server: RunningServer, digits: str, country: str = "US") -> str:
    path = f"/hushwire/v1/accounts/{server.sid}/short-codes"
    status, made = server.json("POST", path, {"short_code": digits, "country": country})
    assert status == 201, made
    return made["sid"]


# Through a service --------------------------------------------------------------------------


def test_it_is_accepted_and_then_a_sender_is_chosen(
    server: RunningServer, client: Client, service: ServiceInstance, receiver: Receiver
) -> None:
    """T-8, G-14, 5.3: `accepted`, without a sender; `queued` is called back, the birth is not."""
    message = send(client, service, status_callback=receiver.url("/told"))
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    assert message.messaging_service_sid == service.sid
    done = ended(message)
    assert (done.status, done.num_segments) == ("delivered", "1")
    assert done.from_ in senders(service).values()
    told = receiver.wait(3)
    assert [c.form["MessageStatus"] for c in told] == ["queued", "sent", "delivered"]
    assert {c.form["MessagingServiceSid"] for c in told} == {service.sid}
    assert {c.form["From"] for c in told} == {done.from_}
    (text,) = server.screen(done.to)
    assert text["from"] == done.from_
    listed = client.messages.list(from_=done.from_, to=done.to)
    assert [m.sid for m in listed] == [message.sid], "it is found by its sender"


def test_the_answer_has_every_property_of_twilios(
    server: RunningServer, service: ServiceInstance
) -> None:
    made = create(server, From=None, MessagingServiceSid=service.sid)
    schema = {"$ref": "#/components/schemas/api.v2010.account.message"}
    assert_facts(schema, made)
    assert made["subresource_uris"].keys() == {"media"}
    assert_facts(schema, until(server, made["sid"], "delivered"))


def test_a_service_as_sender(server: RunningServer, service: ServiceInstance) -> None:
    """W11."""
    made = create(server, From=service.sid)
    assert (made["status"], made["from"]) == ("accepted", None)
    assert made["messaging_service_sid"] == service.sid


def test_with_a_sender_it_is_queued_at_once(
    server: RunningServer, client: Client, service: ServiceInstance
) -> None:
    """T-9 and 5.3; one that is not in the pool is refused."""
    washington = senders(service)["202"]
    message = send(client, service, "+14155550123", from_=washington)
    assert (message.status, message.from_, message.num_segments) == ("queued", washington, "1")
    assert ended(message).messaging_service_sid == service.sid
    form = {"To": fresh_phone(), "Body": "x", "MessagingServiceSid": service.sid}
    assert_refused(post(server, {**form, "From": server.number}), 404, 21711)
    assert_refused(post(server, {**form, "From": "!!"}), 400, 21212)


def test_a_person_keeps_the_sender_over_fifty_messages(
    client: Client, service: ServiceInstance
) -> None:
    """7.6: sticky sender; others get the other one."""
    to = fresh_phone()
    sent = [send(client, service, to, body=f"No {n}") for n in range(50)]
    assert len({ended(message).from_ for message in sent}) == 1
    others = {ended(send(client, service)).from_ for _ in range(4)}
    assert others == set(senders(service).values())


def test_the_area_code_of_the_recipient_decides(client: Client, service: ServiceInstance) -> None:
    for area_code, number in senders(service).items():
        assert ended(send(client, service, f"+1{area_code}5550188")).from_ == number


def test_the_pool_counts_as_it_is_when_the_message_goes(client: Client) -> None:
    """An empty pool fails with 21704; a sender that joins is used, one that left is not."""
    service = pool_of(client)
    empty = ended(send(client, service))
    assert (empty.status, empty.error_code, empty.from_) == ("failed", 21704, None)
    assert empty.num_segments == "0"
    number = client.incoming_phone_numbers.create(area_code="415")
    member = service.phone_numbers.create(phone_number_sid=number.sid)
    to = fresh_phone()
    assert ended(send(client, service, to)).from_ == number.phone_number
    other = client.incoming_phone_numbers.create(area_code="415")
    service.phone_numbers.create(phone_number_sid=other.sid)
    member.delete()
    assert ended(send(client, service, to)).from_ == other.phone_number


def test_nobody_of_the_pool_reaches_there(server: RunningServer, client: Client) -> None:
    """21703, and the customer is told."""
    receiver = Receiver()
    try:
        service = pool_of(client, status_callback=receiver.url("/told"))
        service.alpha_senders.create(alpha_sender="ACME")
        failed = ended(send(client, service))
        assert (failed.status, failed.error_code) == ("failed", 21703)
        assert failed.error_message
        (told,) = receiver.wait(1)
        assert (told.form["MessageStatus"], told.form["ErrorCode"]) == ("failed", "21703")
        reached = ended(send(client, service, "+447700900155"))
        assert (reached.status, reached.from_) == ("delivered", "ACME")
    finally:
        receiver.close()


def test_what_the_service_says_where_the_message_does_not(
    server: RunningServer, client: Client
) -> None:
    """Smart encoding, callback and validity: the message's own word counts first."""
    receiver = Receiver()
    try:
        service = pool_of(client, "415", status_callback=receiver.url("/service"))
        smart = send(client, service, body="“Hello”")
        assert smart.body == '"Hello"'
        assert {c.path for c in receiver.wait(3)} == {"/service"}
        plain = send(
            client, service, body="“Hello”", smart_encoded=False,
            status_callback=receiver.url("/own"),
        )  # fmt: skip
        assert plain.body == "“Hello”"
        assert {c.path for c in receiver.wait(6)[3:]} == {"/own"}
        service.update(smart_encoding=False, validity_period=60)
        assert send(client, service, body="“Hello”").body == "“Hello”"
        for given, lifetime_s in (({}, 60), ({"validity_period": 90}, 90)):
            sid = send(client, service, **given).sid
            path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/history"
            history = get(server, path)
            assert seconds_between(history["history"][0]["at"], history["expires_at"]) == lifetime_s
    finally:
        receiver.close()


def seconds_between(first: str, second: str) -> int:
    span = datetime.fromisoformat(second) - datetime.fromisoformat(first)
    return round(span.total_seconds())


# Other senders ------------------------------------------------------------------------------


def test_a_short_code_of_the_account_sends(server: RunningServer, client: Client) -> None:
    """5.1: to phones of its country."""
    short_code(server, "72345")
    message = client.messages.create(to=fresh_phone(), from_="72345", body="Hello")
    assert (message.status, message.from_) == ("queued", "72345")
    assert ended(message).status == "delivered"
    form = {"From": "72345", "To": "+447700900155", "Body": "x"}
    assert_refused(post(server, form), 400, 21606)


def test_an_alphanumeric_id_sends_once_it_is_in_a_pool(
    server: RunningServer, client: Client
) -> None:
    """T-5: where phones show it; elsewhere 21612."""
    form = {"From": "Globex", "To": "+447700900156", "Body": "x"}
    assert_refused(post(server, form), 400, 21606)
    pool_of(client).alpha_senders.create(alpha_sender="Globex")
    made = create(server, From="Globex", To="+447700900156")
    assert (made["from"], made["messaging_service_sid"]) == ("Globex", None)
    assert until(server, made["sid"], "delivered")["from"] == "Globex"
    assert_refused(post(server, {**form, "To": fresh_phone()}), 400, 21612)
    for _ in range(2):
        create(server, From="Globex", To="+919812345678")
    alerts = get(server, "/v1/Alerts?PageSize=1000")["alerts"]
    told = [alert["alert_text"] for alert in alerts if alert["error_code"] == "30018"]
    assert len(told) == 1, "registered IDs only, says the account's alert of the day"
    assert "IN" in told[0]


# Templates, applications, tags --------------------------------------------------------------


def template(server: RunningServer, **types: Any) -> str:
    content = {"language": "en", "variables": {"1": "you"}, "types": types}
    headers = {"Content-Type": "application/json"}
    status, _, body = server.request("POST", "/v1/Content", json.dumps(content).encode(), headers)
    assert status == 201, body
    return json.loads(body)["sid"]


def test_a_template_is_filled_in(server: RunningServer) -> None:
    """7.8: variables of the message, else the template's own."""
    sid = template(server, **{"twilio/text": {"body": "Hi {{1}}!"}})
    given = {"Body": None, "ContentSid": sid}
    assert create(server, **given)["body"] == "Hi you!"
    variables = json.dumps({"1": "Ada {{1}}"})
    made = create(server, **given, ContentVariables=variables)
    assert made["body"] == "Hi Ada {{1}}!"
    assert until(server, made["sid"], "delivered")["body"] == "Hi Ada {{1}}!"
    unknown = template(server, **{"twilio/text": {"body": "{{2}}"}})
    form = {"To": fresh_phone(), "From": server.number, "ContentSid": unknown}
    assert_refused(post(server, form), 400, 21656)
    assert_refused(post(server, {**form, "ContentSid": "HX" + NOBODYS}), 400, 21655)


def test_an_applications_callback(
    server: RunningServer, client: Client, receiver: Receiver
) -> None:
    """T-19, C-2 as Twilio has it today: StatusCallback, then the application, then the service."""
    application = client.applications.create(message_status_callback=receiver.url("/application"))
    service = pool_of(client, "415", status_callback=receiver.url("/service"))
    ended(send(client, service, application_sid=application.sid))
    assert {c.path for c in receiver.wait(3)} == {"/application"}
    own = receiver.url("/own")
    ended(send(client, service, application_sid=application.sid, status_callback=own))
    assert {c.path for c in receiver.wait(6)[3:]} == {"/own"}
    application.update(message_status_callback="")
    ended(send(client, service, application_sid=application.sid))
    assert {c.path for c in receiver.wait(9)[6:]} == {"/service"}
    form = {"To": fresh_phone(), "From": server.number, "Body": "x"}
    form["ApplicationSid"] = "AP" + NOBODYS
    assert_refused(post(server, form), 400, 21420)


def test_tags_come_back_and_are_forgotten_with_the_body(server: RunningServer) -> None:
    """W11."""
    tags = {"campaign": "spring", "n": [1, {"é": None}]}
    made = create(server, Tags=json.dumps(tags))
    assert made["tags"] == tags
    done = until(server, made["sid"], "delivered")
    assert done["tags"] == tags
    assert_refused(post(server, {"Tags": "[1]", "To": fresh_phone(), "Body": "x"}), 400, 20422)
    status, _, body = post(server, {"Body": ""}, messages(server, made["sid"]))
    assert status == 200
    assert "tags" not in json.loads(body)
    assert "tags" not in create(server)


def test_another_accounts_service_is_none(server: RunningServer, client: Client) -> None:
    child = client.api.v2010.accounts.create(friendly_name="Child")
    theirs = Client(child.sid, child.auth_token)
    theirs.api.base_url = theirs.messaging.base_url = server.url
    foreign = theirs.messaging.v1.services.create(friendly_name="Theirs")
    with pytest.raises(TwilioRestException) as caught:
        send(client, foreign)
    assert (caught.value.status, caught.value.code) == (404, 21701)


def test_an_alert_a_day_of_what_has_no_effect(server: RunningServer) -> None:
    """D11."""
    for _ in range(3):
        create(server, TrafficType="free")
    told: list[Any] = []

    def alerts() -> bool:
        told[:] = [a for a in get(server, "/v1/Alerts")["alerts"] if a["error_code"] == "20001"]
        return bool(told)

    wait_for(alerts)
    assert len(told) == 1
