"""The view `kognitos` against a Hushwire server, one that plays Twilio's cloud, and recorded
answers of Twilio's (item 21)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from backend_fixtures import backend, cloud_server, live
from backends import (
    RECORDED,
    Backend,
    Busy,
    Cut,
    Live,
    Recorded,
    act,
    recorded_messages,
    refusal_of,
)
from harness import wait_for
from hushwire.connect.kognitos import INTEGRATION
from hushwire.connect.refused import UNSURE
from hushwire.connect.registry import REGISTRY
from hushwire.connect.sms_message import FIELDS, no_service
from tenants import owner
from wire_checks import fresh_phone

__all__ = ["backend", "cloud_server", "live"]

READ, SEND = INTEGRATION.actions


def send(to: Backend, phone: str, body: str = "Hello", **more: Any) -> dict[str, Any]:
    given = {"recipient_number": phone, "sender_number": to.number, "body": body}
    return act(to, SEND, given, **more)


def read(of: Backend, **filters: object) -> list[dict[str, Any]]:
    return act(of, READ, filters)["messages"]


def sent(to: Backend, phone: str, body: str = "Hello") -> dict[str, Any]:
    """A message that was delivered, as it is read then."""
    made = send(to, phone, body)
    wait_for(lambda: read(to, recipient_number=phone, sid=made["sid"])[0]["status"] == "delivered")
    return read(to, recipient_number=phone, sid=made["sid"])[0]


def test_there_are_exactly_two_actions_under_their_titles() -> None:
    """G-1, G-5."""
    titles = [action.title for action in REGISTRY if action.view == "kognitos"]
    assert titles == ["Read some SMS messages", "Send an SMS message"]
    assert INTEGRATION.version == "2.0.1"
    for words in ("communications platform", "SMS sending", "phone call management",
                  "communication workflows", "customer engagement"):  # fmt: skip
        assert words in INTEGRATION.description


def test_what_is_read_is_the_model_and_nothing_else(backend: Backend) -> None:
    """G-6, G-28, item 21."""
    if isinstance(backend, Live):
        send(backend, fresh_phone())
    found = read(backend, limit=30)
    assert found
    assert {tuple(message) for message in found} == {FIELDS}


def test_what_is_not_there_is_an_empty_list(live: Backend) -> None:
    """G-6."""
    output = act(live, READ, {"recipient_number": fresh_phone()})
    assert output["messages"] == []
    assert output["more"] is False


def test_a_message_is_sent_and_comes_back_as_the_model(backend: Backend) -> None:
    """G-10, G-12, G-14, G-15, G-16, G-18, G-19, G-21, G-24, G-25."""
    phone = fresh_phone()
    made = send(backend, phone, "Your table is ready")
    assert tuple(made) == FIELDS
    assert made["sid"][:2] == "SM"
    assert (made["sender_number"], made["recipient_number"]) == (backend.number, phone)
    assert (made["num_segments"], made["num_media"], made["price"]) == ("1", 0, None)
    assert made["messaging_service_sid"] == no_service(backend.sid)
    assert (made["account_sid"], made["price_unit"], made["status"]) == (
        backend.sid, "USD", "queued",
    )  # fmt: skip
    assert datetime.fromisoformat(made["date_created"]).tzinfo is not None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"sender_number": "+15005550006", "body": "x"}, "recipient_number"),
        ({"recipient_number": "+14155550123", "body": "x"}, "sender_number"),
        ({"recipient_number": "+14155550123", "sender_number": "+15005550006"}, "body"),
        ({"recipient_number": "+14155550123", "messaging_service_sid": "MG1", "body": "x"},
         "messaging_service_sid"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_before_any_call(
    live: Backend, given: dict[str, object], field: str
) -> None:
    """G-10."""
    transport = live.transport()
    assert refusal_of(live, SEND, given, transport=transport).field == field
    assert transport.asked == []  # type: ignore[attr-defined]


def test_an_error_is_typed(live: Backend) -> None:
    """G-11: code, message and more_info; the number in it masked."""
    given = {"recipient_number": "+1415", "sender_number": live.number, "body": "x"}
    body = refusal_of(live, SEND, given).body()
    assert (body["code"], body["status"]) == (21211, 400)
    assert body["more_info"] == "https://www.twilio.com/docs/errors/21211"
    assert "XXXX" in str(body["message"])


def test_numbers_and_dates_are_filtered_by_the_backend(live: Backend) -> None:
    """G-7, G-8: pushed down, and said so; both numbers combine."""
    phone = fresh_phone()
    day = datetime.fromisoformat(sent(live, phone)["date_sent"])  # by the clock of the server
    today = f"{day:%Y-%m-%d}"
    filters = {
        "recipient_number": phone, "sender_number": live.number, "date_sent": today,
        "date_sent_after": today, "date_sent_before": today,
    }  # fmt: skip
    output = act(live, READ, filters)
    assert [message["recipient_number"] for message in output["messages"]] == [phone]
    assert output["filters_applied"] == {
        "To": phone, "From": live.number, "DateSent": today, "DateSent>": today,
        "DateSent<": today,
    }  # fmt: skip
    assert output["filters_local"] == []
    yesterday = f"{day - timedelta(days=1):%Y-%m-%d}"
    assert read(live, recipient_number=phone, date_sent_before=yesterday) == []
    assert read(live, recipient_number=phone, sender_number="+15005550009") == []


def test_each_field_filters(live: Backend) -> None:
    """G-8: all 16 fields, alone; what the backend has no parameter for is filtered after it."""
    phone = fresh_phone()
    one, _ = sent(live, phone, "First"), sent(live, phone, "Second")
    pushed = {"recipient_number", "sender_number", "account_sid"}
    for field in FIELDS:
        if one[field] is None:
            continue
        given = {"recipient_number": phone, field: one[field]}
        output = act(live, READ, given)
        assert one in output["messages"], field
        local = set() if field in pushed else {field}
        assert set(output["filters_local"]) == local, field
    assert read(live, recipient_number=phone, body="Second", sid=one["sid"]) == []
    assert act(live, READ, {"account_sid": live.sid, "limit": 1})["filters_applied"] == {
        "AccountSid": live.sid
    }


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"price": -0.0125}, ["from a short code, in another currency"]),
        ({"price_unit": "EUR"}, ["from a short code, in another currency"]),
        ({"error_code": 30001}, ["failed in a queue"]),
        ({"error_message": "Carrier violation"}, ["an error, and yet sent"]),
        ({"num_media": 3}, ["MMS"]),
        ({"num_segments": "0", "status": "accepted"}, ["through a service, sender not chosen"]),
        ({"status": "read"}, ["WhatsApp, read"]),
        ({"body": "", "status": "delivered"}, ["body forgotten", "number and body forgotten"]),
        ({"date_created_after": "2019-05-25"}, []),
        ({"date_created": "2019-05-24T17:44:47Z"}, []),
        ({"date_created": "2019-05-24T17:44:45Z"}, []),
        ({"date_created_before": "2019-05-24T17:44:45Z"}, []),
        ({"date_created_after": "2019-05-24T17:44:46Z", "status": "read"}, ["WhatsApp, read"]),
        ({"status": "canceled", "date_created": "2019-05-24T19:44:46+02:00"}, ["canceled"]),
        ({"status": "canceled", "date_updated_before": "2019-05-24"}, ["canceled"]),
    ],
)
def test_a_recorded_answer_is_filtered_after_typing(
    filters: dict[str, object], names: list[str]
) -> None:
    """G-8, G-9, G-13, G-14, G-17, G-20, G-26: through both pages."""
    numbered = {int(m["sid"][2:], 16): m for m in read(Recorded(), **filters)}
    assert [RECORDED["messages"][at]["name"] for at in sorted(numbered)] == names


def test_a_masked_number_is_nobodys() -> None:
    """RC-8: what was forgotten is read, and matches no number that somebody asks for."""
    (masked,) = [m for m in read(Recorded()) if m["recipient_number"] == "+1415555XXXX"]
    assert masked["body"] == ""


def test_all_pages_are_read_up_to_the_limit(live: Backend) -> None:
    """G-9: more than a page; `more` tells whether there are others."""
    phone = fresh_phone()
    for at in range(7):
        send(live, phone, f"No. {at}")
    output = act(live, READ, {"recipient_number": phone, "limit": 5})
    assert [m["body"] for m in output["messages"]] == ["No. 6", "No. 5", "No. 4", "No. 3", "No. 2"]
    assert output["more"] is True
    assert len(read(live, recipient_number=phone)) == 7
    assert act(live, READ, {"recipient_number": phone})["more"] is False


def test_every_page_of_recorded_answers_is_read() -> None:
    """G-9, G-29: the next page by its URI, as it was recorded."""
    assert [m["sid"] for m in read(Recorded())] == [m["sid"] for m in recorded_messages()]


def test_a_service_without_a_sender_yet(live: Backend) -> None:
    """G-14, G-21: num_segments is "0" at first, and the service is the real one."""
    assert isinstance(live, Live)
    service, number = service_of(live)
    given = {
        "recipient_number": fresh_phone(), "messaging_service_sid": service, "body": "Hello",
        "content_retention": "retain", "address_retention": "retain",
    }  # fmt: skip
    made = act(live, SEND, given)
    assert (made["messaging_service_sid"], made["num_segments"], made["status"]) == (
        service, "0", "accepted",
    )  # fmt: skip
    assert made["sender_number"] is None
    wait_for(lambda: read(live, sid=made["sid"], recipient_number=given["recipient_number"])[0][
        "sender_number"] == number)  # fmt: skip


def service_of(live: Live) -> tuple[str, str]:
    """A Messaging Service with a number of its own."""
    tenant = owner(live.server)
    service = tenant.made("POST", "/v1/Services", 201, FriendlyName="Desk")["sid"]
    bought = tenant.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")
    tenant.made("POST", f"/v1/Services/{service}/PhoneNumbers", 201, PhoneNumberSid=bought["sid"])
    return service, bought["phone_number"]


def test_forget_at_once_is_passed_on(live: Backend) -> None:
    """RC-2: ContentRetention and AddressRetention, either way."""
    phone, transport = fresh_phone(), live.transport()
    given = {
        "recipient_number": phone, "sender_number": live.number, "body": "4711",
        "content_retention": "discard", "address_retention": "obfuscate",
    }  # fmt: skip
    act(live, SEND, given, transport=transport)
    form = transport.asked[0].content.decode()  # type: ignore[attr-defined]
    assert "ContentRetention=discard" in form
    assert "AddressRetention=obfuscate" in form


def test_what_was_put_off_is_asked_again(live: Backend) -> None:
    """W15: 429 with Retry-After is waited for, and then done."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    phone = fresh_phone()
    send(live, phone, transport=Busy(live.transport(), "3", "7"), sleep=sleep)
    assert waited == [3, 7]
    assert len(read(live, recipient_number=phone)) == 1


async def no_wait(seconds: float) -> None:
    """Time is not what these tests are about."""


def test_a_send_whose_answer_is_lost_is_one_message(live: Backend) -> None:
    """Item 13: on the cloud it is looked for before anything else; Hushwire knows its key."""
    phone = fresh_phone()
    cut = Cut(live.transport(), after=True)
    made = send(live, phone, transport=cut, sleep=no_wait)
    found = read(live, recipient_number=phone)
    assert [message["sid"] for message in found] == [made["sid"]]
    posts = [request for request in cut.asked if request.method == "POST"]
    assert len(posts) == (1 if live.name == "cloud" else 2)


def test_a_send_that_never_arrived_is_never_two(live: Backend) -> None:
    """Item 13: where nobody can tell, it is told so; nothing is sent again on a guess."""
    phone = fresh_phone()
    cut = Cut(live.transport(), after=False)
    if live.name == "cloud":
        given = {"recipient_number": phone, "sender_number": live.number, "body": "Hello"}
        problem = refusal_of(live, SEND, given, transport=cut, sleep=no_wait)
        assert problem.code == UNSURE.code
        assert read(live, recipient_number=phone) == []
    else:
        send(live, phone, transport=cut, sleep=no_wait)
        assert len(read(live, recipient_number=phone)) == 1
