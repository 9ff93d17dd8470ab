"""Where the library finds its backend."""

import json
from pathlib import Path

import pytest

from hushwire import AsyncHushwire, Misconfigured
from hushwire.client.sources import cloud, find, transport_to

SID, TOKEN = "AC" + "0" * 32, "fedcba9876543210" * 2
ALL = {
    "HUSHWIRE_URL": "https://sms.example.com", "HUSHWIRE_ACCOUNT_SID": SID,
    "HUSHWIRE_AUTH_TOKEN": TOKEN,
}  # fmt: skip


def test_the_environment_comes_first_and_must_be_whole(tmp_path: Path) -> None:
    place = find({**ALL, "HUSHWIRE_DATA": str(tmp_path)})
    assert (place.url, place.account_sid) == ("https://sms.example.com", SID)
    assert place.auth_token.reveal() == TOKEN
    with pytest.raises(Misconfigured, match=r"but not HUSHWIRE_AUTH_TOKEN: set all"):
        find({name: value for name, value in ALL.items() if "TOKEN" not in name})


def test_else_the_credentials_of_a_data_directory(tmp_path: Path) -> None:
    environ = {"HUSHWIRE_DATA": str(tmp_path)}
    path = tmp_path / "credentials.json"
    with pytest.raises(Misconfigured, match="cannot be read"):
        find(environ)
    path.write_text(json.dumps({"url": "http://x", "account_sid": SID, "auth_token": TOKEN}))
    assert find(environ).auth_token.reveal() == TOKEN
    path.write_text('{"url": 1}')
    with pytest.raises(Misconfigured, match="is damaged"):
        find(environ)


def test_a_token_is_shown_nowhere() -> None:
    hush = AsyncHushwire.twilio(SID, TOKEN)
    assert TOKEN not in repr(cloud(SID, TOKEN))
    assert TOKEN not in repr(vars(hush))


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com:3128")
    assert transport_to("http://127.0.0.1:8008") is not None
    assert transport_to("http://[::1]:8008") is not None
    assert transport_to("https://api.twilio.com") is None
