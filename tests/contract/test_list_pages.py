"""Paging: sizes, tokens, neighbours, and pages that stay put while messages come and go."""

import json
from itertools import islice
from typing import Any
from urllib.parse import quote

import pytest
from twilio.base.exceptions import TwilioException

from harness import RunningServer, wait_for
from wire_checks import assert_refused, create, fresh_phone, get, messages, until


def texted(server: RunningServer, to: str, count: int, start: int = 0) -> None:
    for n in range(start, start + count):
        create(server, To=to, Body=f"m{n}")


def shown(page: dict[str, Any]) -> list[str]:
    return [message["body"] for message in page["messages"]]


def path_to(server: RunningServer, to: str, size: int) -> str:
    return f"{messages(server)}?To={quote(to)}&PageSize={size}"


def named(*numbers: int) -> list[str]:
    return [f"m{n}" for n in numbers]


def test_pages_forward_and_back(server: RunningServer) -> None:
    to = fresh_phone()
    texted(server, to, 5)
    first = get(server, path_to(server, to, 2))
    second = get(server, first["next_page_uri"])
    third = get(server, second["next_page_uri"])
    assert [shown(p) for p in (first, second, third)] == [named(4, 3), named(2, 1), named(0)]
    assert [p["page"] for p in (first, second, third)] == [0, 1, 2]
    assert first["previous_page_uri"] is None
    assert third["next_page_uri"] is None
    back = get(server, third["previous_page_uri"])
    assert (shown(back), back["page"]) == (named(2, 1), 1)
    again = get(server, back["previous_page_uri"])
    assert (shown(again), again["previous_page_uri"]) == (named(4, 3), None)
    assert shown(get(server, again["next_page_uri"])) == named(2, 1)
    assert shown(get(server, second["first_page_uri"])) == named(4, 3)
    assert shown(get(server, second["uri"])) == named(2, 1)


def test_arrivals_between_pages_repeat_and_skip_nothing(server: RunningServer) -> None:
    """P-26: the next page is what it would have been; the new ones are on the pages before."""
    to = fresh_phone()
    texted(server, to, 4)
    first = get(server, path_to(server, to, 2))
    texted(server, to, 3, start=4)
    second = get(server, first["next_page_uri"])
    assert shown(second) == named(1, 0)
    before = get(server, second["previous_page_uri"])
    assert shown(before) == named(3, 2), "the same page, not the one that is now in its place"
    newer = get(server, before["previous_page_uri"])
    newest = get(server, newer["previous_page_uri"])
    assert (shown(newer), shown(newest)) == (named(5, 4), named(6))
    assert newest["previous_page_uri"] is None


def test_departures_between_pages_skip_nothing(server: RunningServer) -> None:
    """An offset would skip two records here; a token outlives the record it names."""
    to = fresh_phone()
    texted(server, to, 6)
    first = get(server, path_to(server, to, 2))
    for message in first["messages"]:
        until(server, message["sid"], "delivered")
        assert server.request("DELETE", messages(server, message["sid"]))[0] == 204
    second = get(server, first["next_page_uri"])
    assert shown(second) == named(3, 2)
    emptied = get(server, second["previous_page_uri"])
    assert (shown(emptied), emptied["next_page_uri"]) == ([], None)
    assert shown(get(server, second["next_page_uri"])) == named(1, 0)


def test_the_sdk_walks_every_page_while_messages_arrive(server: RunningServer) -> None:
    """G-9, P-15, P-26: `.stream()` over small pages sees each message once."""
    to = fresh_phone()
    texted(server, to, 7)
    seen = []
    for message in server.client().messages.stream(to=to, page_size=2):
        seen.append(message.body)
        create(server, To=to, Body="later")
    assert seen == named(6, 5, 4, 3, 2, 1, 0)


def test_the_sdks_four_ways_to_read(server: RunningServer) -> None:
    """W9: relative URIs, which the SDK joins to the host."""
    to = fresh_phone()
    texted(server, to, 5)
    api = server.client().messages
    assert [m.body for m in api.list(to=to, limit=3)] == named(4, 3, 2)
    assert [m.body for m in api.list(to=to, limit=3, page_size=1)] == named(4, 3, 2)
    assert [m.body for m in api.list(to=to)] == named(4, 3, 2, 1, 0)
    assert [m.body for m in islice(api.stream(to=to, page_size=2), 3)] == named(4, 3, 2)
    page = api.page(to=to, page_size=2)
    assert [m.body for m in page] == named(4, 3)
    following = api.get_page(page.next_page_url)
    assert following.previous_page_url is not None
    assert [m.body for m in following] == named(2, 1)
    last = following.next_page()
    assert last is not None
    assert [m.body for m in last] == named(0)
    assert last.next_page() is None
    back = last.previous_page()
    assert back is not None
    assert [m.body for m in back] == named(2, 1)


def test_a_page_by_its_number_alone(server: RunningServer) -> None:
    """P-15: page N is the (N+1)-th of the query; with a token the number is the client's own."""
    to = fresh_phone()
    texted(server, to, 5)
    path = path_to(server, to, 2)
    page = get(server, f"{path}&Page=1")
    assert (shown(page), page["start"], page["end"]) == (named(2, 1), 2, 3)
    assert shown(get(server, page["next_page_uri"])) == named(0)
    assert shown(get(server, page["previous_page_uri"])) == named(4, 3)
    assert shown(get(server, f"{path}&Page=2")) == named(0)
    beyond = get(server, f"{path}&Page=3")
    assert (shown(beyond), beyond["start"], beyond["end"], beyond["page"]) == ([], 0, 0, 3)
    assert beyond["next_page_uri"] is beyond["previous_page_uri"] is None
    token = page["next_page_uri"].partition("PageToken=")[2]
    lying = get(server, f"{path}&Page=77&PageToken={token}")
    assert (shown(lying), lying["page"]) == (named(0), 77)


def test_sizes(server: RunningServer) -> None:
    """P-14: 1 to 1000, 50 without one, 0 and 1001 refused; W12: 1000 is accepted."""
    assert get(server, f"{messages(server)}?PageSize=1000")["page_size"] == 1000
    one = get(server, f"{messages(server)}?PageSize=1")
    assert one["page_size"] == 1
    assert len(one["messages"]) <= 1
    for absent in ("", "?PageSize="):
        assert get(server, messages(server) + absent)["page_size"] == 50
    for size in ("0", "1001", "-1", "ten", "1.5", "%00", "9" * 30):
        answer = server.request("GET", f"{messages(server)}?PageSize={size}")
        assert_refused(answer, 400, 20007, "Page size must be between 1 and 1000")
    with pytest.raises(TwilioException) as caught:
        server.client().messages.page(page_size=1001)
    assert json.loads(caught.value.args[1].text)["code"] == 20007


@pytest.mark.parametrize(
    "token",
    ["x", "PA", "PB", "PASM", "PA" + "0" * 34, "PASM" + "0" * 31, "PASM" + "0" * 33,
     "PCSM" + "0" * 32, "paSM" + "0" * 32, "PASM" + "f" * 32, "SM" + "0" * 32, "%00", "%ff"],
)  # fmt: skip
def test_bad_tokens_are_refused(server: RunningServer, token: str) -> None:
    answer = server.request("GET", f"{messages(server)}?PageToken={token}")
    assert_refused(answer, 400, 21481, "Invalid PageToken")


@pytest.mark.parametrize("page", ["-1", "x", "1.5", "9" * 9])
def test_bad_page_numbers_are_refused(server: RunningServer, page: str) -> None:
    answer = server.request("GET", f"{messages(server)}?PageSize=1000&Page={page}")
    assert_refused(answer, 400, 21481)


def test_a_guessed_token_shows_nothing_new(server: RunningServer) -> None:
    """A token is a place in the caller's own list, not a key to a record."""
    to = fresh_phone()
    texted(server, to, 2)
    ends = {"PASM" + "0" * 32: [], "PBSM" + "0" * 32: named(1, 0), "PASM7" + "f" * 31: named(1, 0)}
    for token, expected in ends.items():
        page = get(server, f"{path_to(server, to, 50)}&PageToken={token}")
        assert shown(page) == expected


def test_a_page_of_many(server: RunningServer) -> None:
    """More than one chunk of the reader: all are there, once, in order."""
    to = fresh_phone()
    texted(server, to, 230)
    page = get(server, path_to(server, to, 1000))
    assert shown(page) == named(*reversed(range(230)))
    wait_for(lambda: get(server, path_to(server, to, 1))["messages"][0]["status"] == "delivered")
    walked: list[str] = []
    uri: str | None = path_to(server, to, 100)
    while uri is not None:
        page = get(server, uri)
        walked += [json.dumps(message["sid"]) for message in page["messages"]]
        uri = page["next_page_uri"]
    assert len(walked) == len(set(walked)) == 230
