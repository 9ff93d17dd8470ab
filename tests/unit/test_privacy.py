"""Privacy settings: what may be set, what is left of an address, how long a message may wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import asdict, fields

from hushwire.domain.privacy import (
    DEFAULTS,
    LONGEST,
    SHORTEST,
    ChosenWindows,
    Privacy,
    Windows,
    changed,
    discards,
    obfuscates,
    shown,
)
from hushwire.errors import Refusal

NAMES = [field.name for field in fields(Windows)]


def test_both_switches_are_off_for_a_new_account():
    """RC-1, R1, D6."""
    assert (Privacy().redact_body, Privacy().redact_numbers) == (False, False)


def test_the_defaults_are_those_of_the_guide():
    """R6, R8, R10, R16 to R18, R20, R22."""
    assert asdict(DEFAULTS) == {
        "queue": 14_400, "recovery": 21_600, "inbound": 21_600, "media_us_ca": 900,
        "media_link": 604_800, "media_inbound": 86_400, "session": 86_400, "undelivered": 604_800,
    }  # fmt: skip


def test_what_is_not_named_stays():
    privacy = changed(Privacy(), {"redact_body": True, "windows_s": {"recovery": 0}})
    privacy = changed(privacy, {"display": "country", "windows_s": {"queue": 60}})
    assert privacy == Privacy(
        redact_body=True, display="country", windows_s=ChosenWindows(queue=60, recovery=0)
    )


def test_null_is_the_default():
    privacy = changed(Privacy(), {"redact_body": True, "windows_s": {"recovery": 0, "queue": 60}})
    privacy = changed(privacy, {"redact_body": None, "windows_s": {"recovery": None}})
    assert privacy == Privacy(windows_s=ChosenWindows(queue=60))
    assert changed(privacy, {"windows_s": None}) == Privacy()


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ({"redact_bodies": True}, "redact_bodies"),
        ({"windows_s": {"recover": 1}}, "windows_s.recover"),
        ({"windows_s": {"scan_profile": 1}}, "windows_s.scan_profile"),
        ({"": True}, ""),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(wanted: dict[str, object], name: str):
    with pytest.raises(Refusal) as refused:
        changed(Privacy(), wanted)
    assert refused.value.body()["message"] == f"There is no privacy setting {name}"
    assert refused.value.problem.name == "privacy_setting_unknown"


@pytest.mark.parametrize(
    ("wanted", "cure"),
    [
        ({"redact_body": 1}, "redact_body must be true, false or null"),
        ({"redact_numbers": "true"}, "redact_numbers must be true, false or null"),
        ({"redact_body": [True]}, "redact_body must be"),
        ({"display": "last3"}, 'display must be "last4", "country", "none" or null'),
        ({"scan_profile": True}, "scan_profile must be"),
        ({"windows_s": []}, "windows_s must be an object"),
        ({"windows_s": {"queue": 0}}, "windows_s.queue must be a whole number of seconds from 1"),
        ({"windows_s": {"recovery": -1}}, "windows_s.recovery must be"),
        ({"windows_s": {"recovery": 1.5}}, "windows_s.recovery must be"),
        ({"windows_s": {"recovery": True}}, "windows_s.recovery must be"),
        ({"windows_s": {"media_link": 10**9}}, "to 2592000, or null"),
        ({"redact_body": True, "display": "all"}, "display must be"),
    ],
)
def test_a_bad_value_is_refused_with_what_may_stand_there(wanted: dict[str, object], cure: str):
    with pytest.raises(Refusal) as refused:
        changed(Privacy(), wanted)
    assert cure in str(refused.value.body()["message"])


@given(
    st.dictionaries(
        st.sampled_from(NAMES), st.one_of(st.none(), st.integers(-10, 3_000_000)), max_size=8
    )
)
def test_windows_are_within_their_limits_or_refused(wanted: dict[str, int | None]):
    good = all(
        s is None or getattr(SHORTEST, name) <= s <= getattr(LONGEST, name)
        for name, s in wanted.items()
    )
    try:
        privacy = changed(Privacy(), {"windows_s": wanted})
    except Refusal:
        assert not good
        return
    assert good
    windows = privacy.windows_s.over(DEFAULTS)
    for name in NAMES:
        chosen = wanted.get(name)
        assert getattr(windows, name) == (getattr(DEFAULTS, name) if chosen is None else chosen)
    assert json.decode(json.encode(privacy), type=Privacy) == privacy  # as it is stored


@pytest.mark.parametrize(
    ("address", "last4", "country"),
    [
        ("+15551234567", "+1555123XXXX", "+1…"),
        ("+447911123456", "+44791112XXXX", "+44…"),
        ("whatsapp:+15551234567", "whatsapp:+1555123XXXX", "whatsapp:+1…"),
        ("12345", "1XXXX", "…"),
    ],
)
def test_what_is_left_of_an_address(address: str, last4: str, country: str):
    """R3: exactly the last four."""
    assert shown(address, "last4") == last4
    assert shown(address, "country") == country
    assert shown(address, "none") == ""


@pytest.mark.parametrize(
    ("switch", "retention", "forgotten"),
    [
        (False, None, False), (True, None, True), (True, "retain", False),
        (False, "retain", False),
    ],
)  # fmt: skip
def test_a_message_says_otherwise_than_its_account(
    switch: bool, retention: str | None, forgotten: bool
):
    """R33 to R36; RC-2."""
    assert discards(Privacy(redact_body=switch), retention) is forgotten
    assert obfuscates(Privacy(redact_numbers=switch), retention) is forgotten
    assert discards(Privacy(redact_body=switch), "discard")
    assert obfuscates(Privacy(redact_numbers=switch), "obfuscate")
