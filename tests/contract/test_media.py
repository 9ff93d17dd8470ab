"""The list of a message's media (5.7): its envelope, its filters, its errors."""

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from harness import RunningServer
from picture_host import PictureHost
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, until


def media(server: RunningServer, sid: str, more: str = ".json") -> str:
    return messages(server, sid).replace(".json", f"/Media{more}")


def test_the_list_is_empty_and_whole(server: RunningServer) -> None:
    message = create(server)
    sid = message["sid"]
    path = media(server, sid)
    assert message["subresource_uris"]["media"] == path
    assert get(server, path) == {
        "media_list": [], "first_page_uri": f"{path}?PageSize=50&Page=0", "next_page_uri": None,
        "previous_page_uri": None, "uri": f"{path}?PageSize=50&Page=0", "page": 0,
        "page_size": 50, "start": 0, "end": 0,
    }  # fmt: skip
    filtered = get(server, f"{path}?DateCreated%3E=2026-01-01&DateCreated<=2026-12-31&PageSize=5")
    assert filtered["uri"] == (
        f"{path}?DateCreated%3C=2026-12-31&DateCreated%3E=2026-01-01&PageSize=5&Page=0"
    )


def test_the_sdk_lists_none(server: RunningServer) -> None:
    message = server.client().messages(create(server)["sid"])
    assert message.media.list() == []
    assert message.media.list(date_created="2026-01-01", limit=3) == []


@pytest.mark.parametrize("name", ["DateCreated", "DateCreated%3C", "DateCreated%3E"])
def test_what_is_no_date_is_refused(server: RunningServer, name: str) -> None:
    path = media(server, create(server)["sid"])
    assert_refused(server.request("GET", f"{path}?{name}=soon"), 400, 20001)
    assert get(server, f"{path}?{name}=")["media_list"] == []


@pytest.mark.parametrize(
    ("query", "code"), [("PageSize=0", 20007), ("PageSize=1001", 20007), ("PageToken=x", 21481)]
)
def test_bad_pages_are_refused(server: RunningServer, query: str, code: int) -> None:
    path = media(server, create(server)["sid"])
    assert_refused(server.request("GET", f"{path}?{query}"), 400, code)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("GET", f"/ME{'0' * 32}.json"), ("GET", "/x.json"), ("GET", f"/ME{'0' * 32}"),
        ("DELETE", f"/ME{'0' * 32}.json"), ("DELETE", "/x.json"), ("DELETE", f"/ME{'0' * 32}"),
    ],
)  # fmt: skip
def test_there_is_no_medium(server: RunningServer, method: str, more: str) -> None:
    path = media(server, create(server)["sid"], more)
    text = f"The requested resource {path} was not found"
    assert_refused(server.request(method, path), 404, 20404, text)


def test_there_must_be_a_message_of_the_account(server: RunningServer) -> None:
    foreign = media(server, create(server)["sid"]).replace(server.sid, "AC" + "0" * 32)
    for path in (media(server, "SM" + "0" * 32), media(server, "x"), foreign):
        assert_refused(server.request("GET", path), 404, 20404)
    assert_refused(server.request("POST", media(server, create(server)["sid"]), b""), 405, 20004)
    assert_refused(server.request("GET", media(server, "x"), auth=False), 401, 20003)


def test_lists_are_filtered_and_paged(server: RunningServer) -> None:
    with PictureHost() as host:
        form = [("To", fresh_phone()), ("From", server.number)]
        form += [("MediaUrl", host.url(path)) for path in ("/cat.png", "/dog.jpg", "/wave.gif")]
        sid = json.loads(post(server, form)[2])["sid"]
        until(server, sid, "delivered")
    path = media(server, sid)
    whole = get(server, path)["media_list"]
    assert list(whole[0]) == [
        "sid", "account_sid", "parent_sid", "content_type", "date_created", "date_updated", "uri",
    ]  # fmt: skip
    assert get(server, whole[0]["uri"]) == whole[0]
    today = parsedate_to_datetime(whole[0]["date_created"]).date()
    before, after = today - timedelta(days=1), today + timedelta(days=1)
    for query, found in (
        (f"DateCreated={today}", 3), (f"DateCreated={before}", 0), (f"DateCreated%3E={today}", 3),
        (f"DateCreated%3E={after}", 0), (f"DateCreated%3C={today}", 3),
        (f"DateCreated%3C={before}", 0), (f"DateCreated%3E={before}&DateCreated%3C={after}", 3),
    ):  # fmt: skip
        assert len(get(server, f"{path}?{query}")["media_list"]) == found, query
    page, walked = get(server, f"{path}?PageSize=2"), []
    walked += page["media_list"]
    page = get(server, page["next_page_uri"])
    assert walked + page["media_list"] == whole
    assert page["next_page_uri"] is None
    assert get(server, page["previous_page_uri"])["media_list"] == walked
