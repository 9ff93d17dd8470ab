"""Connection overrides in the fragment of a webhook URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.outbound import Answer, Failure, FailureKind, Limits
from hushwire.webhooks.overrides import DEFAULTS, Overrides, parse_overrides, split


def test_the_defaults_are_twilios() -> None:
    assert DEFAULTS.limits == Limits(connect_ms=5000, read_ms=15000, total_ms=15000, redirects=5)
    assert (DEFAULTS.retries, DEFAULTS.policy) == (1, {"ct"})


def test_the_documented_example() -> None:
    url = "https://h/p?q=1#ct=2000&rt=5000&rp=ct,rt,5xx&rc=2&tt=10000&e=ashburn&sni=y"
    base, overrides = split(url)
    assert base == "https://h/p?q=1"
    assert overrides == Overrides(
        Limits(connect_ms=2000, read_ms=5000, total_ms=10000), 2, frozenset(("ct", "rt", "5xx"))
    )
    assert split(url)[1] is overrides


@pytest.mark.parametrize(
    "url", ["https://h/p", "https://h/p#", "https://h/p#top", "https://h/p#a=b&=&&"]
)
def test_nothing_asked_for(url: str) -> None:
    assert split(url) == ("https://h/p", DEFAULTS)


@pytest.mark.parametrize(
    ("fragment", "changed"),
    [
        ("ct=100", {"connect_ms": 100}), ("ct=10000", {"connect_ms": 10000}),
        ("rt=100", {"read_ms": 100}), ("rt=15000", {"read_ms": 15000}),
        ("tt=100", {"total_ms": 100}), ("tt=15000", {"total_ms": 15000}),
        ("ct=99", {}), ("ct=10001", {}), ("rt=99", {}), ("rt=15001", {}), ("tt=0", {}),
        ("ct=", {}), ("ct", {}), ("ct=-500", {}), ("ct=+500", {}), ("ct=5e2", {}), ("ct= 500", {}),
        ("ct=٥٠٠", {}), ("CT=500", {}), ("ct=" + "9" * 5000, {}),
        ("ct=200&ct=300", {"connect_ms": 200}), ("c%74=%32%30%30", {"connect_ms": 200}),
    ],
)  # fmt: skip
def test_times(fragment: str, changed: dict[str, int]) -> None:
    assert parse_overrides(fragment) == Overrides(Limits(**changed))


@pytest.mark.parametrize(
    ("fragment", "retries"),
    [("rc=0", 0), ("rc=5", 5), ("rc=6", 1), ("rc=x", 1), ("rc=", 1), ("rc=00002", 2)],
)
def test_retries(fragment: str, retries: int) -> None:
    assert parse_overrides(fragment).retries == retries


@pytest.mark.parametrize(
    ("fragment", "policy"),
    [
        ("rp=all", {"all"}), ("rp=4xx,5xx,ct,rt", {"4xx", "5xx", "ct", "rt"}), ("rp=rt", {"rt"}),
        ("rp=4xx%2Crt", {"4xx", "rt"}), ("rp=", {"ct"}), ("rp=4xx,6xx", {"ct"}), ("rp=,", {"ct"}),
        ("rp=ALL", {"ct"}), ("rp=rt,", {"ct"}),
    ],
)  # fmt: skip
def test_policies(fragment: str, policy: set[str]) -> None:
    assert parse_overrides(fragment).policy == policy


@pytest.mark.parametrize(
    ("fragment", "problem"),
    [("rp=all&e=dublin", None), ("e=ashburn,sao-paulo-ix", None), ("ct=1", None),
     ("rp=4xx,6xx", 11243), ("rp=", 11243), ("e=atlantis", 11240), ("e=dublin,mars", 11240),
     ("rp=x&e=mars", 11243)],
)  # fmt: skip
def test_what_nobody_knows_is_an_alert(fragment: str, problem: int | None) -> None:
    """6.5: 11243 for a policy, 11240 for an edge."""
    assert parse_overrides(fragment).problem == problem


@given(st.text())
def test_no_fragment_breaks_it(fragment: str) -> None:
    overrides = parse_overrides(fragment)
    assert 0 <= overrides.retries <= 5
    assert 100 <= overrides.limits.connect_ms <= 10000
    assert 100 <= overrides.limits.read_ms <= 15000
    assert 100 <= overrides.limits.total_ms <= 15000
    assert overrides.policy


ANSWERS = {200: "", 204: "", 302: "", 400: "4xx", 404: "4xx", 410: "4xx", 500: "5xx", 503: "5xx"}
KINDS: dict[FailureKind, str] = {
    "resolve": "ct", "connect": "ct", "tls": "ct", "timeout_connect": "ct", "timeout_read": "rt",
    "timeout_total": "rt", "closed": "all", "protocol": "all", "too_large": "all",
    "redirects": "all", "refused_by_guard": "",
}  # fmt: skip


@pytest.mark.parametrize("policy", ["4xx", "5xx", "ct", "rt", "all"])
def test_what_is_tried_again(policy: str) -> None:
    overrides = parse_overrides(f"rp={policy}")
    for status, needs in ANSWERS.items():
        again = needs != "" and policy in (needs, "all")
        assert overrides.retries_on(Answer(status, {}, b"")) is again
    for kind, needs in KINDS.items():
        again = needs != "" and policy in (needs, "all")
        assert overrides.retries_on(Failure(kind)) is again
        assert not overrides.retries_on(Failure(kind, partial=True))
