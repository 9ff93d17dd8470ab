"""The shape of every answer: key for key what stands in `golden/`, and fit for Twilio's OpenAPI.

Nearly every property is nullable in the OpenAPI, so a schema alone proves little: the golden
files hold the exact keys, types and values of each state, only SIDs and dates as `<SM>`,
`<AC>` and `<date>`.
"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from harness import RunningServer
from wire_checks import (
    FACTS,
    assert_facts,
    create,
    fresh_phone,
    get,
    messages,
    post,
    shape,
    until,
)

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "answers.json").read_text(encoding="utf-8")
)
MESSAGE = {"$ref": "#/components/schemas/api.v2010.account.message"}
LIST = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["get"]["responses"]
ENVELOPE = LIST["200"]["content"]["application/json"]["schema"]
NUMBER = "+16285551999"  # the recipient in the golden files


def assert_golden(name: str, answer: dict[str, Any]) -> None:
    assert shape(answer) == GOLDEN[name]
    assert list(answer) == list(GOLDEN[name]), "the order of keys is stable too"
    assert_facts(MESSAGE, answer)


def final(server: RunningServer, behaviour: str, status: str) -> dict[str, Any]:
    server.behave(NUMBER, behaviour)
    try:
        made = create(server, To=NUMBER)
        return until(server, made["sid"], status)
    finally:
        server.behave(NUMBER, "deliver")


def test_created(server: RunningServer) -> None:
    """5.2: queued, no `date_sent`, and only the media subresource."""
    assert_golden("created", create(server, To=NUMBER))


def test_sent(server: RunningServer) -> None:
    assert_golden("sent", final(server, "silent", "sent"))


def test_delivered(server: RunningServer) -> None:
    assert_golden("delivered", final(server, "deliver", "delivered"))


@pytest.mark.parametrize(
    "behaviour", ["undeliverable", "unreachable", "blocked", "landline", "filtered"]
)
def test_undelivered(server: RunningServer, behaviour: str) -> None:
    """G-26, G-27: each behaviour with its own code and text."""
    assert_golden(behaviour, final(server, behaviour, "undelivered"))


def test_redacted(server: RunningServer) -> None:
    """RC-8: the body is an empty text, not null; all else is as it was."""
    made = final(server, "deliver", "delivered")
    status, _, body = post(server, b"Body=", messages(server, made["sid"]))
    assert status == 200
    assert_golden("redacted", json.loads(body))
    assert get(server, messages(server, made["sid"])) == json.loads(body)


def test_inbound(server: RunningServer) -> None:
    """G-15, G-22: the phone is the sender, and `date_sent` is there."""
    status, answer = server.json(
        "POST", f"/sandbox/phones/{NUMBER}/messages", {"to": server.number, "body": "Hi"}
    )
    assert (status, answer["status"]) == (201, "received")
    assert_golden("inbound", get(server, messages(server, answer["sid"])))


def test_a_list_item_is_the_message_as_fetched(server: RunningServer) -> None:
    to = fresh_phone()
    until(server, create(server, To=to)["sid"], "delivered")
    page = get(server, f"{messages(server)}?To=%2B{to[1:]}")
    (item,) = page["messages"]
    assert item == get(server, messages(server, item["sid"]))
    assert_facts(ENVELOPE, page)


def test_the_envelope_of_a_page(server: RunningServer) -> None:
    """Section 4: no `total`, no `num_pages`, nothing that stops an SDK from reading it."""
    to = fresh_phone()
    made = [create(server, To=to) for _ in range(5)]
    until(server, made[-1]["sid"], "delivered")
    day = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    page = get(server, f"{messages(server)}?To=%2B{to[1:]}&DateSent%3E={day}&PageSize=2")
    for name in ("first_page", "middle_page", "last_page"):
        assert_facts(ENVELOPE, page)
        envelope = {key: value for key, value in page.items() if key != "messages"}
        text = json.dumps(GOLDEN[name]).replace("<TO>", to[1:]).replace("<DAY>", day)
        assert shape(envelope) == json.loads(text)
        if page["next_page_uri"] is not None:
            page = get(server, page["next_page_uri"])


def test_the_envelope_of_an_empty_page(server: RunningServer) -> None:
    page = get(server, f"{messages(server)}?To=%2B{fresh_phone()[1:]}&PageSize=2")
    assert (page["messages"], page["start"], page["end"]) == ([], 0, 0)
    assert (page["next_page_uri"], page["previous_page_uri"]) == (None, None)
    assert set(page) == {"messages", *GOLDEN["first_page"]}


def test_errors_have_four_keys(server: RunningServer) -> None:
    status, _, body = post(server, {"From": server.number, "Body": "x"})
    assert (status, json.loads(body)) == (400, GOLDEN["error"])
    status, _, body = server.request("GET", messages(server, "SM" + "0" * 32))
    assert status == 404
    assert shape(json.loads(body)) == GOLDEN["not_found"]


def test_dates_are_the_seconds_they_say(server: RunningServer) -> None:
    """G-22 to G-24: RFC 2822 in GMT, in the order things happened."""
    before = parsedate_to_datetime(create(server)["date_created"])
    done = until(server, create(server)["sid"], "delivered")
    created, sent, updated = (
        parsedate_to_datetime(done[key]) for key in ("date_created", "date_sent", "date_updated")
    )
    assert before <= created <= sent <= updated
    assert (updated - before).total_seconds() < 60
    sid_ms = int(done["sid"][2:14], 16)
    assert sid_ms // 1000 == int(created.timestamp())
