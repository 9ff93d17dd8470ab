"""Who calls, and under which URL: what proxies say, and whom of them is believed."""

from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.api.front import FORWARDED_BYTES_MAX, Front
from hushwire.settings import Networks

PROXIES = Networks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
PROXY = "10.0.0.1"
STRANGER = "203.0.113.9"


def scope(peer: str | None, *headers: tuple[str, str], scheme: str = "http") -> dict[str, Any]:
    return {
        "type": "http", "scheme": scheme, "server": ("127.0.0.1", 8008),
        "client": None if peer is None else (peer, 40_000),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip


def client(peer: str | None, *forwarded: str, trusted: Networks = PROXIES) -> str:
    headers = [("x-forwarded-for", value) for value in forwarded]
    return Front(trusted, "").client(scope(peer, *headers))


def base(*headers: tuple[str, str], peer: str = PROXY, scheme: str = "http") -> str:
    return Front(PROXIES, "").base_url(scope(peer, *headers, scheme=scheme))


# Who calls --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forwarded", "caller"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("1.1.1.1, 198.51.100.7", "198.51.100.7"),  # the left one was written by the caller
        ("1.1.1.1, 198.51.100.7, 10.0.0.2,10.9.9.9", "198.51.100.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),  # all are ours: the first of them called
        ("2001:DB8:0::7", "2001:db8::7"),
        ("198.51.100.7:5111", "198.51.100.7"),
        ("[2001:db8::7]:5111", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        ("fe80::1%<anything>", "fe80::1"),
    ],
)
def test_a_trusted_proxy_names_the_caller(forwarded: str, caller: str) -> None:
    assert client(PROXY, forwarded) == caller


def test_several_headers_are_one() -> None:
    assert client(PROXY, "1.1.1.1", "198.51.100.7", "10.0.0.2") == "198.51.100.7"


def test_nobody_else_is_believed() -> None:
    assert client(STRANGER, "198.51.100.7") == STRANGER
    assert client(PROXY, "198.51.100.7", trusted=Networks()) == PROXY
    assert client("::ffff:203.0.113.9", "198.51.100.7") == STRANGER
    assert client(PROXY) == PROXY
    assert client("::ffff:10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert client("fd00::1", "198.51.100.7") == "198.51.100.7"
    assert client(None, "198.51.100.7") == ""


@pytest.mark.parametrize(
    "broken",
    ["", " ", "unknown", "_hidden", "198.51.100", "198.51.100.7.1", "1.1.1.1:x",
     "[1.1.1.1", "1.1.1.1 2.2.2.2", "198.51.100.007", "\xb2.1.1.1", "2001:db8::7:5111:0:0:0:0:0"],
)  # fmt: skip
def test_what_is_no_address_ends_the_walk(broken: str) -> None:
    """The nearest proxy that is known stands for whoever is behind it."""
    assert client(PROXY, broken) == PROXY
    assert client(PROXY, f"198.51.100.7, {broken}") == PROXY
    assert client(PROXY, f"198.51.100.7, {broken}, 10.0.0.2") == "10.0.0.2"


def test_a_long_header_is_read_from_the_right_only() -> None:
    ours = ", 10.0.0.2" * 100
    assert client(PROXY, "7" * 1_000_000 + ", 198.51.100.7" + ours) == "198.51.100.7"
    assert client(PROXY, "198.51.100.7" + ", 10.0.0.2" * 1_000) == "10.0.0.2"


@pytest.mark.parametrize("over", range(14))
def test_a_cut_never_makes_an_address(over: int) -> None:
    """Whatever is cut off its left-most address, what is left of that is not read."""
    left, right = "198.51.100.77", ",10.0.0.2"
    pad = " " * (FORWARDED_BYTES_MAX + over - len(left) - len(right))
    assert client(PROXY, left + right + pad) == (left if over == 0 else "10.0.0.2")


@given(st.lists(st.sampled_from(["10.0.0.2", "198.51.100.7", "203.0.113.80", "x", "fd00::2"])))
def test_the_caller_is_the_right_most_that_is_not_trusted(entries: list[str]) -> None:
    """Against the rule, word for word."""
    expected = PROXY
    for entry in reversed(entries):
        if entry == "x":
            break
        expected = entry
        if entry in ("198.51.100.7", "203.0.113.80"):
            break
    assert client(PROXY, ", ".join(entries)) == expected


# Under which URL --------------------------------------------------------------------------


def test_the_public_url_wins() -> None:
    front = Front(PROXIES, "https://sms.example.com")
    headers = [("host", "in"), ("x-forwarded-host", "out"), ("x-forwarded-proto", "https")]
    assert front.base_url(scope(PROXY, *headers)) == "https://sms.example.com"
    assert front.base_url(scope(STRANGER)) == "https://sms.example.com"


def test_a_trusted_proxy_tells_scheme_and_host() -> None:
    host = ("host", "hushwire:8008")
    assert base(host, ("x-forwarded-proto", "https")) == "https://hushwire:8008"
    assert base(host, ("x-forwarded-host", "sms.example.com")) == "http://sms.example.com"
    both = [("x-forwarded-proto", "HTTPS"), ("x-forwarded-host", "sms.example.com:8443")]
    assert base(host, *both) == "https://sms.example.com:8443"
    assert base(host, *both, peer=STRANGER) == "http://hushwire:8008"
    chain = [("x-forwarded-proto", "http, https"), ("x-forwarded-host", "evil, sms.example.com")]
    assert base(host, *chain) == "https://sms.example.com"
    twice = [("x-forwarded-host", "evil"), ("x-forwarded-host", "sms.example.com")]
    assert base(host, *twice) == "http://sms.example.com"


@pytest.mark.parametrize("host", ["a", "LocalHost:1", "127.0.0.1:9", "[::1]", "[::1]:80", "a_b.c."])
def test_without_a_proxy_it_is_what_the_request_was_sent_to(host: str) -> None:
    assert base(("host", host), peer=STRANGER, scheme="https") == f"https://{host}"


@pytest.mark.parametrize(
    "host",
    ["", "a b", "a/b", "a@b", "a?b", "a#b", "a:b", "a:123456", "[::1", "a\\b", '"', "<script>",
     "\xe9", "a\x00", "-a", "a" * 300, "a:"],
)  # fmt: skip
def test_what_is_no_host_is_not_repeated(host: str) -> None:
    assert base(("host", host), peer=STRANGER) == "http://127.0.0.1:8008"
    assert base(("host", "in"), ("x-forwarded-host", host)) == "http://in"
    assert base(("host", "in"), ("x-forwarded-proto", host)) == "http://in"


def test_without_a_host_it_is_our_own_address() -> None:
    assert base() == "http://127.0.0.1:8008"
    alone = scope(PROXY)
    assert Front(PROXIES, "").base_url({**alone, "server": ("::1", 80)}) == "http://[::1]:80"
    assert Front(PROXIES, "").base_url({**alone, "server": None}) == "http://localhost"
