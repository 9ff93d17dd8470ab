"""Messages older than 400 days: no longer shown, and still to be forgotten."""

from collections.abc import Iterator

import pytest

from harness import RunningServer
from wire_checks import (
    FORM,
    assert_refused,
    bodies,
    create,
    get,
    messages,
    refusal,
    until,
)

DAY_S = 86_400


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str, str]]:
    """A server with two messages, delivered 399 days ago."""
    with RunningServer(tmp_path_factory.mktemp("old") / "data") as server:
        one, two = (until(server, create(server)["sid"], "delivered")["sid"] for _ in range(2))
        longer = {"metadata_days": 500, "body_days": 500, "numbers_days": 500}
        path = f"/hushwire/v1/accounts/{server.sid}/retention"
        assert server.json("PUT", path, longer)[0] == 200
        server.advance(399 * DAY_S)
        yield server, one, two


def test_what_is_older_than_400_days_is_not_shown(aged: tuple[RunningServer, str, str]) -> None:
    """P-17: 399 days are shown, 401 are not; by SID as in lists."""
    server, one, _ = aged
    assert get(server, messages(server, one))["body"] == "Hello Ada"
    assert len(bodies(server, messages(server))) == 2
    server.advance(2 * DAY_S)
    assert bodies(server, messages(server)) == []
    path = messages(server, one)
    text = f"The requested resource {path} was not found"
    assert_refused(server.request("GET", path), 404, 20404, text)
    error = refusal(server.client().messages(one).fetch)
    assert (error.status, error.code) == (404, 20404)


def test_it_can_still_be_forgotten(aged: tuple[RunningServer, str, str]) -> None:
    """What nobody is shown any more must not stay for ever because of it."""
    server, one, two = aged
    server.advance(2 * DAY_S)
    assert server.request("POST", messages(server, one), b"Body=", FORM)[0] == 200
    assert server.request("DELETE", messages(server, one))[0] == 204
    assert server.request("DELETE", messages(server, two))[0] == 204
    assert server.request("DELETE", messages(server, two))[0] == 404
