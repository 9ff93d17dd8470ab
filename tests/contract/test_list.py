"""Lists: the filters, in every form that clients send, newest first."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, quote_plus

import pytest
from twilio.base.exceptions import TwilioException

from harness import RunningServer, wait_for
from wire_checks import assert_refused, bodies, create, fresh_phone, get, messages, until

DAY_S = 86_400


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str, datetime]]:
    """A server where `to` was texted "one", "two" and "three", each two days after the last.

    With the server come `to` and the time when "two" was sent.
    """
    with RunningServer(tmp_path_factory.mktemp("days") / "data") as server:
        to = fresh_phone()
        for body in ("one", "two", "three"):
            until(server, create(server, To=to, Body=body)["sid"], "delivered")
            create(server, Body="somebody else's")
            server.advance(2 * DAY_S)
        two = get(server, f"{messages(server)}?To={quote(to)}")["messages"][1]
        yield server, to, parsedate_to_datetime(two["date_sent"])


def found(days: tuple[RunningServer, str, datetime], *filters: tuple[str, str]) -> list[str]:
    server, to, _ = days
    query = "&".join(f"{quote(name)}={quote_plus(value)}" for name, value in filters)
    return bodies(server, f"{messages(server)}?To={quote(to)}&{query}")


FORMS = [
    "%Y-%m-%dT%H:%M:%SZ",  # what SDKs send
    "%Y-%m-%d %H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.000",
    "%m/%d/%Y %H:%M:%S GMT",
    "%a, %d %b %Y %H:%M:%S +0000",
    "%Y-%m-%dT%H:%M:%S+00:00",
]


@pytest.mark.parametrize("form", FORMS)
def test_times_in_every_form(days: tuple[RunningServer, str, datetime], form: str) -> None:
    """W7: all forms of the specification's examples; bounds include the second they name."""
    sent = days[2]
    at, before, after = (
        (sent + timedelta(seconds=s)).strftime(form) for s in (0, -1, 1)
    )  # fmt: skip
    assert found(days, ("DateSent", at)) == ["two"]
    assert found(days, ("DateSent", before)) == []
    assert found(days, ("DateSent>", at)) == ["three", "two"]
    assert found(days, ("DateSent>", after)) == ["three"]
    assert found(days, ("DateSent<", at)) == ["two", "one"]
    assert found(days, ("DateSent<", before)) == ["one"]


def test_days_include_all_of_the_day(days: tuple[RunningServer, str, datetime]) -> None:
    """P-13, G-7: a bare date is that day in GMT, and as a bound it is inclusive (W7)."""
    day = days[2].date()
    one_later, one_before = day + timedelta(days=1), day - timedelta(days=1)
    assert found(days, ("DateSent", day.isoformat())) == ["two"]
    assert found(days, ("DateSent", day.strftime("%m/%d/%Y"))) == ["two"]
    assert found(days, ("DateSent", one_later.isoformat())) == []
    assert found(days, ("DateSent>", day.isoformat())) == ["three", "two"]
    assert found(days, ("DateSent>", one_later.isoformat())) == ["three"]
    assert found(days, ("DateSent<", day.isoformat())) == ["two", "one"]
    assert found(days, ("DateSent<", one_before.isoformat())) == ["one"]
    both = ("DateSent>", one_before.isoformat()), ("DateSent<", one_later.isoformat())
    assert found(days, *both) == ["two"]


def test_a_zone_is_reckoned_with(days: tuple[RunningServer, str, datetime]) -> None:
    mst = (days[2] - timedelta(hours=7)).strftime("%m/%d/%Y %H:%M:%S MST")
    assert found(days, ("DateSent", mst)) == ["two"]
    east = (days[2] + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S+05:30")
    assert found(days, ("DateSent", east)) == ["two"]
    server, to, _ = days
    raw_plus = f"{messages(server)}?To={to}&DateSent={east}"  # both pluses unescaped (W3)
    assert bodies(server, raw_plus) == ["two"]


def test_filters_through_the_sdk(days: tuple[RunningServer, str, datetime]) -> None:
    """G-7: `date_sent`, `date_sent_after` and `date_sent_before`, as dates and as datetimes."""
    server, to, sent = days
    find = server.client().messages.list
    assert [m.body for m in find(to=to, date_sent_after=sent)] == ["three", "two"]
    assert [m.body for m in find(to=to, date_sent_before=sent)] == ["two", "one"]
    assert [m.body for m in find(to=to, date_sent=sent)] == ["two"]
    midnight = date(sent.year, sent.month, sent.day)
    after = [m.body for m in find(to=to, date_sent_after=midnight)]
    assert after == ["three", "two"]


def test_unescaped_bounds_are_read_too(days: tuple[RunningServer, str, datetime]) -> None:
    """`DateSent>=…`: the equals sign separates name and value, so both spellings are one."""
    server, to, sent = days
    day = sent.date().isoformat()
    path = f"{messages(server)}?To={quote(to)}"
    assert bodies(server, f"{path}&DateSent>={day}") == ["three", "two"]
    assert bodies(server, f"{path}&DateSent<={day}") == ["two", "one"]
    page = get(server, f"{path}&DateSent<={day}&PageSize=1")
    assert f"DateSent%3C={day}" in page["next_page_uri"]
    assert bodies(server, page["next_page_uri"]) == ["one"]


@pytest.mark.parametrize("name", ["DateSent", "DateSent<", "DateSent>"])
@pytest.mark.parametrize("text", ["today", "2026-13-01", "20260101", "2026-11-01T25:00:00Z"])
def test_what_is_no_date_is_refused(server: RunningServer, name: str, text: str) -> None:
    answer = server.request("GET", f"{messages(server)}?{quote(name)}={quote(text)}")
    assert_refused(answer, 400, 20001, f"Invalid date in parameter {name}")


@pytest.mark.parametrize("name", ["DateSent", "DateSent<", "DateSent>"])
def test_dates_before_the_retention_window_are_refused(server: RunningServer, name: str) -> None:
    """P-16: 20004 and not an empty list; W8: by day, so that exactly 400 days pass."""
    now = datetime.now(UTC)
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"):
        path = f"{messages(server)}?{quote(name)}={{}}"
        old = (now - timedelta(days=401)).strftime(form)
        assert_refused(
            server.request("GET", path.format(old)), 400, 20004,
            "Date range specified in query is partially or entirely outside of retention window "
            "of 400 days",
        )  # fmt: skip
        assert get(server, path.format((now - timedelta(days=400)).strftime(form)))
    with pytest.raises(TwilioException) as caught:
        server.client().messages.list(date_sent_after=datetime(2020, 1, 1))
    assert json.loads(caught.value.args[1].text)["code"] == 20004


def test_numbers_filter_exactly_and_together(server: RunningServer) -> None:
    """P-13, K-7: AND of both; each direction is found by its own end."""
    ada, bob = fresh_phone(), fresh_phone()
    create(server, To=ada, Body="to Ada")
    create(server, To=bob, Body="to Bob")
    answer = server.json(
        "POST", f"/sandbox/phones/{quote(ada)}/messages", {"to": server.number, "body": "from Ada"}
    )
    assert answer[0] == 201
    path, ours = messages(server), quote(server.number)
    assert bodies(server, f"{path}?To={quote(ada)}") == ["to Ada"]
    assert bodies(server, f"{path}?From={quote(ada)}") == ["from Ada"]
    assert bodies(server, f"{path}?From={ours}&To={quote(bob)}") == ["to Bob"]
    assert bodies(server, f"{path}?From={quote(ada)}&To={ours}") == ["from Ada"]
    assert bodies(server, f"{path}?From={quote(ada)}&To={quote(bob)}") == []
    assert bodies(server, f"{path}?To={quote(ada[:-1])}") == []
    sdk = server.client().messages.list(to=bob, from_=server.number)
    assert [m.body for m in sdk] == ["to Bob"]


def test_a_number_filter_is_read_in_any_spelling(server: RunningServer) -> None:
    """W3: a raw plus arrives as a space; an empty filter is none (P-11)."""
    to = fresh_phone()
    create(server, To=to, Body="found")
    path = messages(server)
    national = quote(f"({to[2:5]}) {to[5:8]}-{to[8:]}")
    for spelling in (to, quote(to), national, f"%20{to[1:]}", f" {to[1:]}".replace(" ", "+")):
        assert bodies(server, f"{path}?To={spelling}") == ["found"]
    assert bodies(server, f"{path}?To={quote(to)}&From=&DateSent=&PageToken=") == ["found"]
    assert bodies(server, f"{path}?To=nobody") == []
    assert bodies(server, f"{path}?To=%ff%00") == []


def test_newest_first_without_a_filter(server: RunningServer) -> None:
    made = [create(server, Body=f"n{n}")["sid"] for n in range(4)]
    page = get(server, f"{messages(server)}?PageSize=4")["messages"]
    assert [m["sid"] for m in page] == made[::-1]
    wait_for(lambda: get(server, messages(server, made[-1]))["status"] == "delivered")
    page = get(server, f"{messages(server)}?PageSize=4")["messages"]
    assert [m["sid"] for m in page] == made[::-1], "the order does not change with the status"
