"""Usage Records, through Twilio's SDK and plain HTTP. The server's clock is moved."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from harness import RunningServer, wait_for
from hushwire.api.usage import VIEWS
from hushwire.domain.usage import CATEGORIES, NOT_COUNTED
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import Facts
from wire_checks import assert_refused, fresh_phone

FACTS = Facts("api_v2010_messaging")
RECORDS = "Usage/Records"
PAGE = Path(__file__).parents[2] / "docs/reference/usage.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("usage") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    """An account with a number, and no usage."""
    return with_number(subaccount(server))


def with_number(tenant: Tenant) -> Tenant:
    tenant.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="415")
    return tenant


def send(tenant: Tenant, body: str = "Hi") -> date:
    """Send a text; the day in GMT."""
    number = tenant.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"][0]
    form = {"From": number["phone_number"], "To": fresh_phone(), "Body": body}
    made = tenant.made("POST", "Messages.json", 201, **form)
    return parsedate_to_datetime(made["date_created"]).date()


def records(tenant: Tenant, view: str = "", **query: str) -> list[dict[str, Any]]:
    path = f"{RECORDS}{'/' if view else ''}{view}.json?{urlencode({'PageSize': '1000', **query})}"
    return tenant.made("GET", path)["usage_records"]


def counts(tenant: Tenant, view: str = "", **query: str) -> list[str | None]:
    """Of texts, by period, newest first."""
    return [record["count"] for record in records(tenant, view, Category="sms", **query)]


def test_a_record_has_every_property(tenant: Tenant) -> None:
    """7.5: all categories, zeros too; strings where Twilio's examples have them."""
    day = send(tenant, "x" * 200)
    page = tenant.made("GET", f"{RECORDS}.json")
    schema = FACTS.schemas["api.v2010.account.usage.usage_record"]["properties"]
    assert [record["category"] for record in page["usage_records"]] == list(CATEGORIES)
    assert all(record.keys() == schema.keys() for record in page["usage_records"])
    (record,) = records(tenant, Category="sms-outbound-longcode")
    base = tenant.path(RECORDS)
    links = record.pop("subresource_uris")
    as_of = datetime.fromisoformat(record.pop("as_of"))
    assert (as_of.tzname(), as_of.microsecond) == ("UTC", 0)
    assert record == {
        "account_sid": tenant.sid, "api_version": "2010-04-01",
        "category": "sms-outbound-longcode", "count": "1", "count_unit": "messages",
        "description": "Outbound SMS from long codes", "end_date": f"{day}", "price": "0.00000",
        "price_unit": "usd", "start_date": f"{day}",
        "uri": f"{base}.json?Category=sms-outbound-longcode&StartDate={day}&EndDate={day}",
        "usage": "2", "usage_unit": "segments",
    }  # fmt: skip
    assert len(links) == len(VIEWS) - 1
    for uri in links.values():
        (found,) = tenant.made("GET", uri)["usage_records"][:1]
        assert found["category"] == "sms-outbound-longcode"
    assert tenant.made("GET", record["uri"])["usage_records"][0]["count"] == "1"
    (total,) = records(tenant, Category="totalprice")
    assert (total["count"], total["usage"], total["usage_unit"]) == (None, "0.00000", "usd")


def test_inbound_texts_are_counted_apart(tenant: Tenant) -> None:
    number = tenant.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"][0]
    text = {"to": number["phone_number"], "body": "Hello"}
    path = f"/sandbox/phones/%2B{fresh_phone()[1:]}/messages"
    assert tenant.server.json("POST", path, text)[0] == 201
    send(tenant)
    found = {r["category"]: r["count"] for r in records(tenant)}
    assert (found["sms"], found["sms-inbound"], found["sms-outbound"]) == ("2", "1", "1")
    assert (found["sms-inbound-longcode"], found["sms-inbound-shortcode"]) == ("1", "0")
    assert found["mms"] == "0"


def test_views_cut_the_time(tenant: Tenant) -> None:
    first = send(tenant)
    tenant.server.advance(86_400)
    for _ in range(2):
        second = send(tenant)
    assert second == first + timedelta(days=1)
    assert counts(tenant) == counts(tenant, "AllTime") == ["3"]
    assert counts(tenant, "Daily") == ["2", "1"]
    assert (counts(tenant, "Today"), counts(tenant, "Yesterday")) == (["2"], ["1"])
    same_month = first.month == second.month
    assert counts(tenant, "ThisMonth") == ["3" if same_month else "2"]
    assert counts(tenant, "Monthly") == (["3"] if same_month else ["2", "1"])
    assert counts(tenant, "LastMonth") == ["0" if same_month else "1"]
    assert counts(tenant, "Yearly") == (["3"] if first.year == second.year else ["2", "1"])
    for query, expected in (
        ({"StartDate": f"{second}"}, ["2"]), ({"EndDate": f"{first}"}, ["1"]),
        ({"StartDate": "-1days", "EndDate": "-1day"}, ["1"]), ({"EndDate": "+30days"}, ["3"]),
        ({"StartDate": "+1days"}, []), ({"EndDate": "2020-01-01"}, []),
        ({"StartDate": "2020-01-01"}, ["3"]),
    ):  # fmt: skip
        assert counts(tenant, **query) == expected, query
    api = tenant.sdk().api.account.usage.records
    assert [r.count for r in api.daily.list(category="sms")] == ["2", "1"]
    assert [r.count for r in api.list(category="sms", start_date=second)] == ["2"]
    page = tenant.made("GET", f"{RECORDS}/Daily.json?Category=sms&PageSize=1")
    following = tenant.made("GET", page["next_page_uri"])
    assert [r["count"] for r in following["usage_records"]] == ["1"]
    assert tenant.made("GET", following["previous_page_uri"])["usage_records"][0]["count"] == "2"


def test_a_parent_counts_its_subaccounts(tenant: Tenant) -> None:
    me = owner(tenant.server)
    before = int(counts(me)[0] or 0)
    send(tenant)
    assert counts(me) == [f"{before + 1}"]
    alone = counts(me, IncludeSubaccounts="false")
    assert int(alone[0] or 0) < before + 1
    assert_refused(me.ask("GET", f"{RECORDS}.json?IncludeSubaccounts=maybe"), 400, 20422)


def test_categories_and_dates_must_be_known(tenant: Tenant) -> None:
    for category in NOT_COUNTED:
        (record,) = records(tenant, Category=category)
        assert (record["count"], record["price"]) == ("0", "0.00000")
    assert_refused(tenant.ask("GET", f"{RECORDS}.json?Category=pigeons"), 400, 20422)
    assert_refused(tenant.ask("GET", f"{RECORDS}.json?StartDate=2026-13-01"), 400, 20001)
    foreign = tenant.at(owner(tenant.server).sid).path(f"{RECORDS}.json")
    assert_unknown(tenant.ask("GET", foreign), foreign)


def test_usage_outlives_messages_and_a_restart(tmp_path: Path) -> None:
    """Deleting a message deletes what it said and to whom, not that it was sent."""
    with RunningServer(tmp_path / "data") as server:
        me = owner(server)
        for _ in range(3):
            send(me)
        server.advance(5)
        for message in me.made("GET", "Messages.json")["messages"]:
            assert me.ask("DELETE", f"Messages/{message['sid']}.json")[0] == 204
        assert counts(me) == ["3"]
        assert server.stop() == 0
        server.start()
        assert counts(me) == ["3"]
        assert json.dumps(records(me))


def test_the_page_lists_what_is_never_counted() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{category}`" in text for category in NOT_COUNTED)


def test_of_a_service_counts_what_was_given_a_sender(tenant: Tenant) -> None:
    """A canceled message, and one that nobody could send, were never used."""
    service = tenant.made("POST", "/v1/Services", 201, FriendlyName="Shop")["sid"]
    form = {"To": fresh_phone(), "MessagingServiceSid": service, "Body": "Hello"}
    refused = tenant.made("POST", "Messages.json", 201, **form)["sid"]
    wait_for(lambda: tenant.made("GET", f"Messages/{refused}.json")["status"] == "failed")
    number = tenant.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"][0]
    pool = f"/v1/Services/{service}/PhoneNumbers"
    tenant.made("POST", pool, 201, PhoneNumberSid=number["sid"])
    now = datetime.fromisoformat(tenant.server.json("GET", "/sandbox/clock")[1]["now"])
    at = (now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    later = {**form, "ScheduleType": "fixed", "SendAt": at}
    canceled = tenant.made("POST", "Messages.json", 201, **later)["sid"]
    tenant.made("POST", f"Messages/{canceled}.json", Status="canceled")
    assert [r["count"] for r in records(tenant, Category="sms")] == ["0"]
    sent = tenant.made("POST", "Messages.json", 201, **form)["sid"]
    wait_for(lambda: tenant.made("GET", f"Messages/{sent}.json")["status"] == "delivered")
    assert [r["count"] for r in records(tenant, Category="sms-outbound-longcode")] == ["1"]
    assert [r["count"] for r in records(tenant, Category="sms")] == ["1"]
