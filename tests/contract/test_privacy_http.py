"""`/hushwire/v1/accounts/{sid}/privacy`, as others script against it."""

import json
from typing import Any

import pytest

from harness import RunningServer
from tenants import Tenant, assert_unknown, owner, subaccount
from wire_checks import fresh_phone

DEFAULT: dict[str, Any] = {
    "redact_body": False, "redact_numbers": False, "scan_profile": "hushwire", "display": "last4",
    "windows_s": {
        "queue": 14_400, "recovery": 21_600, "inbound": 21_600, "media_us_ca": 900,
        "media_link": 604_800, "media_inbound": 86_400, "session": 86_400, "undelivered": 604_800,
    },
}  # fmt: skip


def path(account: Tenant) -> str:
    return f"/hushwire/v1/accounts/{account.sid}/privacy"


def ask(
    server: RunningServer, method: str, account: Tenant, content: object = None
) -> tuple[int, dict[str, Any]]:
    """With the first account's credentials."""
    return server.json(method, path(account), content)


def test_put_and_patch_change_what_they_name(server: RunningServer) -> None:
    account = subaccount(server)
    assert ask(server, "GET", account) == (200, DEFAULT)
    for method, wanted in (
        ("PUT", {"redact_body": True, "windows_s": {"recovery": 60}}),
        ("PATCH", {"display": "none", "windows_s": {"queue": 30}}),
    ):
        status, answer = ask(server, method, account, wanted)
        assert status == 200
        assert set(answer) == {*DEFAULT, "scan"}
    windows = {**DEFAULT["windows_s"], "recovery": 60, "queue": 30}
    now = {**DEFAULT, "redact_body": True, "display": "none", "windows_s": windows}
    assert ask(server, "GET", account) == (200, now)
    nothing: dict[str, Any] = dict.fromkeys(DEFAULT)
    assert ask(server, "PATCH", account, nothing)[0] == 200
    assert ask(server, "GET", account) == (200, DEFAULT)


@pytest.mark.parametrize(
    "content",
    [
        {"redact_body": True, "redact_all": True}, {"redact_body": "yes"}, {"display": 4},
        {"windows_s": {"recovery": -1}}, {"windows_s": {"forever": 1}}, {"windows_s": 5}, [], "x",
        None, 7,
    ],
)  # fmt: skip
def test_what_is_wrong_changes_nothing(server: RunningServer, content: object) -> None:
    account = subaccount(server)
    for method in ("PUT", "PATCH"):
        status, _, body = server.request(
            method,
            path(account),
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        assert status == 400
        assert set(json.loads(body)) == {"code", "message", "more_info", "status"}
    assert ask(server, "GET", account) == (200, DEFAULT)


def test_no_json_at_all(server: RunningServer) -> None:
    for body in (b"", b"{", b"\xff{}", b'{"redact_body": tru'):
        assert server.request("PUT", path(owner(server)), body)[0] == 400


def test_the_account_or_its_parent_may_and_nobody_else(server: RunningServer) -> None:
    one, other, parent = subaccount(server), subaccount(server), owner(server)
    assert one.made("GET", path(one)) == DEFAULT
    assert parent.made("GET", path(one)) == DEFAULT
    for stranger, whose in ((other, one), (one, parent)):
        assert_unknown(stranger.ask("GET", path(whose)), path(whose))


def test_a_restricted_key_must_name_it(server: RunningServer) -> None:
    account = subaccount(server)
    policy = json.dumps({"allow": ["/hushwire/privacy/read"]})
    key = account.key(KeyType="restricted", Policy=policy)
    assert key.may("GET", path(account)) == 0
    assert key.may("PUT", path(account)) == 70051


def test_it_survives_a_restart_and_counts_from_now_on(server: RunningServer) -> None:
    """RC-1: what was sent before stays as it was asked then."""
    account = owner(server)
    form = {"To": fresh_phone(), "From": server.number, "Body": "Before"}
    before = account.made("POST", "Messages.json", 201, **form)
    try:
        assert ask(server, "PUT", account, {"redact_numbers": True})[0] == 200
        assert server.stop() == 0
        server.start()
        status, answer = ask(server, "GET", account)
        assert (status, answer["redact_numbers"]) == (200, True)
        server.advance(21_660)
        assert account.made("GET", f"Messages/{before['sid']}.json")["to"] == form["To"]
    finally:
        ask(server, "PUT", account, {"redact_numbers": None})
