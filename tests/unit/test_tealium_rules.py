"""The rules of Send SMS or MMS, by profile."""

from typing import Any

import pytest
from msgspec.structs import replace

from hushwire.connect.registry import PROFILES, REGISTRY
from hushwire.connect.run import run
from hushwire.connect.tealium_rules import RULES, Parameters, problems, warnings

__all__ = ["run"]

GOOD = Parameters("+16175551212", "+15005550006", "", "Hello", [], "", "", "", None)
NOW, THEN = RULES["current"], RULES["tealium-2021"]
MG, AP = "MG" + "0" * 32, "AP" + "0" * 32


def faults(**changes: Any) -> list[tuple[str, int]]:
    return [(each.field, each.code) for each in problems(replace(GOOD, **changes), NOW)]


def test_there_are_rules_for_every_profile() -> None:
    """Item 20."""
    assert RULES.keys() == PROFILES.keys()


def test_there_is_one_action() -> None:
    """T-1, T-26, RC-2: every parameter of the document, and the two of redaction."""
    (action,) = [action for action in REGISTRY if action.view == "tealium"]
    assert action.title == "Send SMS or MMS"
    names = action.describe()["input"]["$defs"]["SendSmsOrMms"]["properties"].keys()  # type: ignore[index]
    assert names >= {
        "account_sid", "to", "from", "messaging_service_sid", "body", "media_url",
        "status_callback", "application_sid", "max_price", "provide_feedback",
        "validity_period", "content_retention", "address_retention",
    }  # fmt: skip


def test_what_is_right_has_no_faults() -> None:
    assert faults() == []
    assert faults(from_="12345") == faults(from_="Hushwire") == []
    assert faults(from_="", messaging_service_sid=MG) == faults(messaging_service_sid=MG) == []
    assert faults(body="", media_url=["https://example.com/a.png"]) == []


@pytest.mark.parametrize(
    "to", ["6175551212", "16175551212", "+1 617 555 1212", "+", "whatsapp:+16175551212", "+0123456"]
)
def test_to_is_e164(to: str) -> None:
    """T-4."""
    assert faults(to=to) == [("to", 21211)]


def test_to_is_required() -> None:
    """T-4."""
    assert faults(to="") == [("to", 21604)]


@pytest.mark.parametrize("sender", ["+1", "no such sender!", "twelve chars!", "12", "+44 20"])
def test_from_is_a_sender(sender: str) -> None:
    """T-5."""
    assert faults(from_=sender) == [("from", 21212)]


def test_from_or_a_service() -> None:
    """T-6, T-7: 34 characters."""
    assert faults(from_="") == [("from", 21603)]
    for wrong in (MG[:-1], MG + "0", "SK" + "0" * 32, "MG" + "x" * 32):
        assert faults(messaging_service_sid=wrong) == [("messaging_service_sid", 21705)]


@pytest.mark.parametrize(
    ("body", "good"),
    [("x" * 1600, True), ("x" * 1601, False), ("€" * 1600, True), ("é" * 1601, False),
     ("😀" * 800, True), ("😀" * 800 + "x", False)],
)  # fmt: skip
def test_a_body_has_1600_characters(body: str, good: bool) -> None:
    """T-10: an emoji counts as two."""
    assert faults(body=body) == ([] if good else [("body", 21617)])


def test_body_or_media() -> None:
    """T-11."""
    assert faults(body="") == [("body", 21619)]


@pytest.mark.parametrize(
    "url", ["", "ftp://example.com/a.png", "example.com/a.png", '["https://example.com/a.png"]']
)
def test_media_are_urls(url: str) -> None:
    """T-12, W6: a JSON array in one is refused."""
    assert faults(media_url=[url]) == [("media_url", 21620)]


def test_ten_files_at_most() -> None:
    """T-14."""
    urls = [f"https://example.com/{at}.png" for at in range(11)]
    assert faults(media_url=urls[:10]) == []
    assert faults(media_url=urls) == [("media_url", 21623)]


@pytest.mark.parametrize(
    "url",
    ["http://my_host.example.com/x", "example.com/x", "https://example.com", "ftp://example.com/x",
     "https:///x", "https://example.com/" + "x" * 4000, "http://-a.example/x"],
)  # fmt: skip
def test_a_status_callback_has_a_valid_hostname(url: str) -> None:
    """T-18: no underscore; scheme and path; 4,000 characters. The reason says which."""
    assert faults(status_callback=url) == [("status_callback", 21609)]


def test_a_status_callback_may_be_here_or_have_overrides() -> None:
    """T-18, W11: whether loopback may be called is the server's policy."""
    assert faults(status_callback="http://127.0.0.1:9000/status") == []
    assert faults(status_callback="https://example.com/s#rp=all&rc=5") == []


@pytest.mark.parametrize(
    ("price", "good"),
    [("0.0001", True), ("0.0075", True), ("2", True), ("0.00001", False), ("0", False),
     ("-1", False), ("1e3", False), ("1,5", False), ("nan", False)],
)  # fmt: skip
def test_a_price_has_four_decimals(price: str, good: bool) -> None:
    """T-21: more are refused, not rounded."""
    assert faults(max_price=price) == ([] if good else [("max_price", 21627)])


@pytest.mark.parametrize(
    ("seconds", "then", "now"),
    [(0, False, False), (1, True, True), (14_400, True, True), (14_401, False, True),
     (36_000, False, True), (36_001, False, False)],
)  # fmt: skip
def test_validity_by_profile(seconds: int, then: bool, now: bool) -> None:
    """T-24, C-1."""
    given = replace(GOOD, validity_period=seconds)
    assert (problems(given, THEN) == [], problems(given, NOW) == []) == (then, now)
    assert (THEN.validity_default_s, NOW.validity_default_s) == (14_400, None)


def test_an_application_is_named_by_its_sid() -> None:
    """T-19."""
    assert faults(application_sid=AP) == []
    assert faults(application_sid="AP1") == [("application_sid", 21420)]


def test_all_faults_are_told_at_once_and_no_value_is() -> None:
    """T-28: one reason a field."""
    bad = Parameters(
        "4155550123", "4711 4711 4711", "MG4711", "4711" * 401, ["4711"], "4711", "AP4711",
        "47.11111", 4711,
    )  # fmt: skip
    found = problems(bad, THEN)
    assert [each.field for each in found] == [
        "to", "from", "messaging_service_sid", "body", "media_url", "status_callback",
        "application_sid", "max_price",
    ]  # fmt: skip
    assert not any("4711" in each.reason or "0123" in each.reason for each in found)


def test_what_may_surprise_is_told() -> None:
    """T-22, T-24, C-2, C-3: below five seconds; two callbacks; a price on the cloud."""
    given = replace(
        GOOD, validity_period=4, application_sid=AP, status_callback="https://a.example/s",
        max_price="0.01",
    )  # fmt: skip
    cloud = {each.field: each.text for each in warnings(given, THEN, cloud=True)}
    assert cloud.keys() == {"validity_period", "status_callback", "max_price"}
    here = {each.field for each in warnings(given, NOW, cloud=False)}
    assert here == {"validity_period", "application_sid"}
    assert warnings(replace(GOOD, validity_period=5), THEN, cloud=True) == []
