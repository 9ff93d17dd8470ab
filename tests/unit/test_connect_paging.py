"""Lists of a backend: all pages, in order; and a backend that leaves out a filter is caught."""

import asyncio
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from backends import Recorded, Transport
from hushwire.connect.paging import FilterMismatch, Found, walk

PATH = f"/2010-04-01/Accounts/{Recorded.sid}/Messages.json"
COUNT = 7


def ask(
    transport: httpx.AsyncBaseTransport, query: dict[str, str] | None = None, **more: Any
) -> Found:
    async def go() -> Found:
        wire = Recorded().wire(transport)
        try:
            return await walk(wire, PATH, "messages", query or {}, **more)
        finally:
            await wire.close()

    return asyncio.run(go())


def numbered(host: str = "", *, drop: str = "") -> Transport:
    """Records 0 to 6; `drop` is a filter that the backend does not understand."""

    def answer(request: httpx.Request) -> httpx.Response:
        given = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        size, at = int(given["PageSize"]), int(given.get("PageToken", "0"))
        kept = httpx.QueryParams({k: v for k, v in given.items() if k != drop})
        end = at + size
        following = f"{host}{PATH}?{kept.set('PageToken', str(end))}" if end < COUNT else None
        return httpx.Response(200, json={
            "messages": [{"at": n} for n in range(at, min(end, COUNT))],
            "first_page_uri": f"{PATH}?{kept.set('Page', '0')}", "next_page_uri": following,
        })  # fmt: skip

    return Transport(httpx.MockTransport(answer))


def numbers(found: Found) -> list[int]:
    return [record["at"] for record in found.records]


@pytest.mark.parametrize(
    ("asked", "expected", "more"),
    [
        ({}, range(7), False),
        ({"page_size": 3}, range(3), True),
        ({"page_size": 3, "page": 1}, range(3, 6), True),
        ({"page_size": 3, "page": 2}, range(6, 7), False),
        ({"page_size": 3, "page": 3}, range(0), False),
        ({"limit": 7, "page_size": 2}, range(7), False),
        ({"limit": 6, "page_size": 2}, range(6), True),
        ({"limit": 5, "page_size": 2}, range(5), True),
        ({"limit": 100}, range(7), False),
    ],
)
def test_pages_are_walked(asked: dict[str, int], expected: range, more: bool) -> None:
    """P-15, C-4, G-9."""
    found = ask(numbered(), **asked)
    assert (numbers(found), found.more) == (list(expected), more)


def test_the_filters_that_were_applied_are_told() -> None:
    """Item 17."""
    found = ask(numbered(), {"To": "+14155550123", "DateSent>": "2026-01-31"})
    assert found.applied == {"To": "+14155550123", "DateSent>": "2026-01-31"}


def test_a_filter_that_was_not_applied_is_an_error() -> None:
    """Item 17: otherwise everybody's messages would pass for one person's."""
    with pytest.raises(FilterMismatch) as refused:
        ask(numbered(drop="To"), {"To": "+14155550123"})
    assert "To" in refused.value.text
    assert "+1415" not in refused.value.text


def test_a_page_elsewhere_is_asked_for_here() -> None:
    """W9: credentials go to the backend alone, wherever an answer points."""
    transport = numbered("https://elsewhere.example")
    assert numbers(ask(transport, limit=7, page_size=3)) == list(range(7))
    assert {request.url.host for request in transport.asked} == {"api.twilio.com"}
