"""The rules of the account scan: what is found, under which switch, in which profile."""

from collections.abc import Iterator
from itertools import product
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.domain.account import Number, NumberSettings
from hushwire.domain.alert_table import KINDS
from hushwire.domain.application import Application, ApplicationSettings
from hushwire.domain.connection import Connection, Secrets
from hushwire.domain.debugger import Debugger
from hushwire.domain.keywords import Keywords
from hushwire.domain.optout import KeywordSet, OptOut, Rule
from hushwire.domain.privacy import Privacy, ScanProfile
from hushwire.domain.scan import RULES, Configuration, Finding, is_exposed, numbers_in, scan
from hushwire.domain.service import Member, Service, ServiceSettings
from hushwire.domain.shortcode import ShortCode, ShortCodeSettings
from hushwire.domain.stream import Sink

AC = "AC" + "0" * 32
PN, PN2, SC, MG, AP, DG, DW = (
    kind + "1" * 31 for kind in ("PN1", "PN2", "SC1", "MG1", "AP1", "DG1", "DW1")
)
URL, OTHER = "https://one.example.com/in", "https://two.example.com/in"
OWN = "+15005550006"
BODY, NUMBERS = {"redact_body": True}, {"redact_numbers": True}
SWITCHES = [{}, BODY, NUMBERS, {**BODY, **NUMBERS}]
PROFILES: list[ScanProfile] = ["hushwire", "twilio"]
SAFE = {"sms_url": URL, "sms_fallback_url": OTHER}
OWN_WORDS = KeywordSet((Rule(OptOut.STOP, ("BASTA",), "You are out."),))


def owned(sid: str) -> dict[str, object]:
    return {"sid": sid, "account_id": 1, "created_ms": 0, "updated_ms": 0}


def number(sid: str = PN, **settings: object) -> Number:
    return Number(1, sid, 1, OWN, None, 0, 0, NumberSettings(**{**SAFE, **settings}))


def short_code(**settings: object) -> ShortCode:
    own = ShortCodeSettings(**{**SAFE, **settings})
    return ShortCode(**owned(SC), digits="54321", country="US", settings=own)


def application(**settings: object) -> Application:
    return Application(**owned(AP), settings=ApplicationSettings(**{**SAFE, **settings}))


def service(*members: str, **settings: object) -> Service:
    pool = tuple(
        Member(sid, OWN, "long_code" if sid[0] == "P" else "short_code", "US", 0) for sid in members
    )
    quiet: dict[str, object] = {"sticky_sender": False, "fallback_to_long_code": False}
    quiet |= {"inbound_url": URL, "fallback_url": OTHER}
    return Service(
        **owned(MG), settings=ServiceSettings("Shop", **{**quiet, **settings}), pool=pool
    )


def keywords(scope: str, **changes: object) -> Keywords:
    return Keywords(**{**owned(f"KW{scope[2:]}"), "scope": scope, **changes})


def connection(**changes: object) -> Connection:
    secrets = Secrets({}, bytes(32))
    known = {
        "name": "x", "url": "", "kind": "basic", "backend_sid": "AC0", "shown": {},
        "secrets": secrets, "scopes": None, "view": "masked", "profile": "x",
    }  # fmt: skip
    return Connection(**{**owned(CX), **known, **changes})


def sink(**changes: object) -> Sink:
    return Sink(**{**owned(DG), "description": "x", "destination": URL, **changes})


def configuration(**has: object) -> Configuration:
    return Configuration(account_sid=AC, **has)


def found(
    of: Configuration, profile: ScanProfile, **switches: bool
) -> list[tuple[int | None, str]]:
    """Code and resource of each finding."""
    settings = Privacy(scan_profile=profile, **switches)
    return [(finding.code, finding.resource_sid) for finding in scan(of, settings)]


# Name, what is set up, profiles, switches that it works against, code, resource.
CX = "CX" + "c" * 32
BOTH, FOR_NUMBERS = {"redact_body", "redact_numbers"}, {"redact_numbers"}
TWILIO, EITHER = {"twilio"}, {"twilio", "hushwire"}
Case = tuple[dict[str, object], set[str], set[str], int | None, str]
CASES: dict[str, Case] = {
    "R25 sticky sender": (
        {"services": (service(sticky_sender=True),)}, TWILIO, FOR_NUMBERS, 23003, MG,
    ),
    "R26 fallback to long code": (
        {"services": (service(fallback_to_long_code=True),)}, TWILIO, BOTH, 23005, MG,
    ),
    "R27 scheduled": ({"scheduled": 1}, TWILIO, BOTH, None, AC),
    "R28 a long code of its own": ({"numbers": (number(),)}, TWILIO, FOR_NUMBERS, 23001, PN),
    "R28 a long code in a service": (
        {"numbers": (number(),), "services": (service(PN),)}, TWILIO, FOR_NUMBERS, 23001, MG,
    ),
    "R28 a short code of its own": (
        {"short_codes": (short_code(),)}, TWILIO, FOR_NUMBERS, 23002, SC,
    ),
    "R28 a short code in a service": (
        {"short_codes": (short_code(),), "services": (service(SC),)},
        TWILIO, FOR_NUMBERS, 23002, MG,
    ),
    "R28 words of a service": (
        {"services": (service(),), "keywords": (keywords(MG, own=OWN_WORDS),)},
        TWILIO, FOR_NUMBERS, 23004, MG,
    ),
    "R29 R30 GET of a number": (
        {"numbers": (number(sms_method="GET"),), "keywords": (keywords(PN, filtering=False),)},
        EITHER, BOTH, 23006, PN,
    ),
    "R29 R30 GET of a fallback": (
        {"numbers": (number(sms_fallback_method="GET"),),
         "keywords": (keywords(PN, filtering=False),)},
        EITHER, BOTH, 23006, PN,
    ),
    "R29 R30 GET of a short code": (
        {"short_codes": (short_code(sms_method="GET"),),
         "keywords": (keywords(SC, filtering=False),)},
        EITHER, BOTH, 23006, SC,
    ),
    "R29 R30 GET of a service": (
        {"services": (service(inbound_method="GET"),)}, EITHER, BOTH, 23006, MG,
    ),
    "R29 R30 GET of a service's fallback": (
        {"services": (service(fallback_method="GET"),)}, EITHER, BOTH, 23006, MG,
    ),
    "R29 R30 GET of an application": (
        {"applications": (application(sms_method="GET"),)}, EITHER, BOTH, 23006, AP,
    ),
    "R29 R30 GET of an application's fallback": (
        {"applications": (application(sms_fallback_method="GET"),)}, EITHER, BOTH, 23006, AP,
    ),
    "R14 no fallback": (
        {"services": (service(fallback_url=""),)}, EITHER, BOTH, None, MG,
    ),
    "plain HTTP": (
        {"applications": (application(message_status_callback="http://one.example.com/"),)},
        EITHER, BOTH, None, AP,
    ),
    "a number in a URL": (
        {"services": (service(status_callback=f"{URL}?who=%2B14155550101"),)},
        EITHER, FOR_NUMBERS, None, MG,
    ),
    "credentials in a URL": (
        {"debugger": Debugger(**owned(DW), url="https://me:secret@one.example.com/")},
        EITHER, BOTH, None, DW,
    ),
    "whole numbers to a sink": ({"sinks": (sink(numbers="full"),)}, EITHER, FOR_NUMBERS, None, DG),
    "whole messages through a connection": (
        {"connections": (connection(view="full"),)}, EITHER, BOTH, None, CX,
    ),
    "filesystem": ({"shreds_stay": True}, EITHER, BOTH, None, AC),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_misconfiguration_is_one_finding(name: str) -> None:
    """RC-7, R14, R25-R30, R32: exactly it, in its profiles, under the switches it works against."""
    has, profiles, against, code, sid = CASES[name]
    for switches, profile in product(SWITCHES, PROFILES):
        expected = profile in profiles and not against.isdisjoint(switches)
        assert found(configuration(**has), profile, **switches) == [(code, sid)] * expected


def test_every_rule_has_its_case() -> None:
    """Every row of the table is found by some case, and by `test_texts_that_nobody_is_told_of`."""
    told = {
        finding.cure
        for has, *_ in CASES.values()
        for profile in PROFILES
        for finding in scan(configuration(**has), Privacy(True, True, profile))
    }
    untold = {name for name, rule in RULES.items() if f"{rule.why}: {rule.cure}" not in told}
    assert untold == {"no webhook"}
    assert {code for _, _, _, code, _ in CASES.values() if code} == set(range(23001, 23007))
    assert all(KINDS[rule.code][0] == "warning" for rule in RULES.values() if rule.code)


def test_what_is_well_set_up_has_no_findings() -> None:
    """8.4, 7: in profile `hushwire` nothing need be switched off."""
    of = configuration(
        numbers=(number(),), short_codes=(short_code(),), applications=(application(),),
        services=(service(PN, SC, sticky_sender=True, fallback_to_long_code=True),),
        keywords=(keywords(MG, own=OWN_WORDS),), sinks=(sink(),), scheduled=7,
        connections=(connection(), connection(view="full", url="https://api.example.com")),
    )  # fmt: skip
    assert found(of, "hushwire", **BODY, **NUMBERS) == []
    switched_off = replace(
        of, services=(service(PN, SC),), keywords=(keywords(MG, filtering=False),), scheduled=0
    )
    assert found(switched_off, "twilio", **BODY, **NUMBERS) == []


@pytest.mark.parametrize(("policy", "flagged"), [("warn", True), ("post", False), ("thin", False)])
def test_get_webhooks_that_the_server_makes_safe(policy: str, flagged: bool) -> None:
    """R29: Twilio flags them whatever we make of them."""
    of = configuration(services=(service(inbound_method="GET"),), get_webhooks=policy)
    assert found(of, "hushwire", **BODY) == [(23006, MG)] * flagged
    assert found(of, "twilio", **BODY) == [(23006, MG)]


def test_a_method_without_a_url_is_no_webhook() -> None:
    of = configuration(services=(service(inbound_url="", inbound_method="GET", fallback_url=""),))
    assert found(of, "twilio", **BODY) == []


def test_stop_in_a_mixed_service_and_in_an_empty_one() -> None:
    """R28: a service is found once a kind of sender, and not for what it does not have."""
    senders = {"numbers": (number(), number(PN2)), "short_codes": (short_code(),)}
    of = configuration(**senders, services=(service(PN, PN2, SC),))
    assert found(of, "twilio", **NUMBERS) == [(23001, MG), (23002, MG)]
    apart = configuration(**senders, services=(service(PN),))
    assert found(apart, "twilio", **NUMBERS) == [(23001, MG), (23001, PN2), (23002, SC)]
    assert found(configuration(services=(service(),)), "twilio", **NUMBERS) == []


def _texts() -> Iterator[tuple[str, dict[str, object], str | None]]:
    bare: dict[str, object] = {"sms_url": "", "sms_fallback_url": ""}
    no_url: dict[str, object] = {"inbound_url": "", "fallback_url": ""}
    yield "its own webhook", {"numbers": (number(),)}, None
    yield "none", {"numbers": (number(**bare),)}, PN
    yield "a short code without", {"short_codes": (short_code(**bare),)}, SC
    yield "its service's", {"numbers": (number(**bare),), "services": (service(PN),)}, None
    yield "its service has none", {"numbers": (number(),), "services": (service(PN, **no_url),)}, MG
    own = service(PN, inbound_on_number=True, **no_url)
    yield "its own before its service's", {"numbers": (number(),), "services": (own,)}, None
    yield "and it has none", {"numbers": (number(**bare),), "services": (own,)}, PN
    of_app = number(sms_application_sid=AP, **bare)
    yield "its application's", {"numbers": (of_app,), "applications": (application(),)}, None
    empty = application(**bare)
    yield "its application has none", {"numbers": (of_app,), "applications": (empty,)}, AP


@pytest.mark.parametrize(("name", "has", "sid"), list(_texts()))
def test_texts_that_nobody_is_told_of(name: str, has: dict[str, object], sid: str | None) -> None:
    """The webhook that counts is an application's, then the service's, then the number's."""
    expected = [] if sid is None else [(None, sid)]
    for switch in (BODY, NUMBERS):
        assert found(configuration(**has), "hushwire", **switch) == expected


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("https://one.example.com/", False), ("http://one.example.com/", True),
        ("HTTP://one.example.com/", True), ("http://localhost:9000/", False),
        ("http://app.localhost/", False), ("http://127.0.0.1/", False),
        ("http://127.9.9.9/", False),
        ("http://[::1]:9000/", False), ("http://10.0.0.1/", True), ("http://notlocalhost/", True),
        ("", False),
    ],
)  # fmt: skip
def test_plain_http_leaves_this_machine(url: str, exposed: bool) -> None:
    assert is_exposed(url) is exposed


@pytest.mark.parametrize(
    ("url", "numbers"),
    [
        ("https://x.example/a?to=%2B14155550101", {"14155550101"}),
        ("https://x.example/a?to=%252B14155550101", {"14155550101"}),
        ("https://x.example/+491711234567/b", {"491711234567"}),
        ("https://x.example/a?to=14155550101&from=+447700900123", {"14155550101", "447700900123"}),
        ("https://14155550101.x.example/", {"14155550101"}),
        ("https://x.example/a?at=1772366399", set()),
        ("https://x.example/a?at=1772366399900", set()),
        ("https://x.example/a?id=11155550101", set()), ("https://x.example:18080/v1/2026", set()),
        ("https://x.example/+1234567890123456", set()), ("", set()),
    ],
)  # fmt: skip
def test_numbers_in_urls(url: str, numbers: set[str]) -> None:
    assert numbers_in(url) == numbers


@given(st.from_regex(r"\A[1-9][0-9]{6,14}\Z"), st.integers(0, 2))
def test_a_number_in_e164_is_found_however_it_is_encoded(digits: str, times: int) -> None:
    text = f"+{digits}"
    for _ in range(times):
        text = quote(text, safe="")
    assert digits in numbers_in(f"https://x.example/in?who={text}&what=x")


def test_ones_own_number_in_a_url_is_nobodys_secret() -> None:
    """R4: it is never obfuscated."""
    own = number(sms_url=f"https://x.example/{OWN}")
    assert found(configuration(numbers=(own,)), "hushwire", **NUMBERS) == []


@given(st.lists(st.sampled_from(sorted(CASES)), unique=True), st.sampled_from(SWITCHES))
def test_what_twilio_has_a_code_for_is_the_same_or_less_here(
    names: list[str], switches: dict[str, bool]
) -> None:
    """Whatever is set up together: profile `hushwire` alerts of no more than `twilio` does, and
    no finding tells a URL or stands there twice."""
    has: dict[str, object] = {}
    for name in names:
        has |= CASES[name][0]
    of = configuration(**has)
    here, there = (scan(of, Privacy(scan_profile=profile, **switches)) for profile in PROFILES)
    coded = {(f.code, f.resource_sid) for f in here if f.code is not None}
    assert coded <= {(f.code, f.resource_sid) for f in there}
    for findings in (here, there):
        assert len(set(findings)) == len(findings)
        assert not any("example.com" in finding.cure for finding in findings)
        assert bool(findings) <= bool(switches)
    assert all(isinstance(finding, Finding) for finding in here)
