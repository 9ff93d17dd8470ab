"""The parameters of a create: what is taken, what is refused, what is ignored."""

import json
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.actions.messages import Particulars, SendMessage
from hushwire.api.parameters import (
    COMBINATIONS,
    HONOURED,
    PARAMETERS,
    REFUSED,
    WITHOUT_EFFECT,
    read_send,
)
from hushwire.clock import Clock
from hushwire.errors import PROBLEMS, Refusal
from hushwire.private import Private

TO, FROM, BODY = "+16285550100", "+15005550006", "Hello"
FACTS = json.loads((Path(__file__).parents[1] / "facts" / "api_v2010_messaging.json").read_text())
CREATE = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]["requestBody"]
NOW_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z
CLOCK = Clock(read=lambda: NOW_MS)
SERVICE = "MG" + "0" * 32
GOOD = {  # a value of each parameter that Twilio would take
    "ApplicationSid": "AP" + "0" * 32, "Attempt": "2", "ContentSid": "HX" + "aF" * 16,
    "ContentVariables": '{"1": "Ada"}', "FallbackFrom": "+15005550006", "ForceDelivery": "true",
    "MaxPrice": "0.0001", "MediaUrl": "https://example.com/cat.png", "MessagingServiceSid": SERVICE,
    "PersistentAction": "geo:37.78,-122.39|Here", "ProvideFeedback": "True",
    "RiskCheck": "disable", "ScheduleType": "fixed", "SendAsMms": "TRUE",
    "SendAt": "2026-03-02T12:00:00Z", "ShortenUrls": "true", "Tags": '{"campaign": {"a": [1]}}',
    "TrafficType": "free", "ValidityPeriod": "60", "SmartEncoded": "true",
    "ContentRetention": "discard", "AddressRetention": "obfuscate", "To": TO, "From": FROM,
    "Body": BODY, "StatusCallback": "https://example.com/x",
}  # fmt: skip
UNPUBLISHED = {"Tags"}  # in Twilio's examples, not in its specification


def form(**values: str | list[str]) -> dict[str, list[str]]:
    given = {"To": TO, "From": FROM, "Body": BODY, **values}
    return {name: [v] if isinstance(v, str) else v for name, v in given.items()}


def read(**values: str | list[str]) -> SendMessage:
    return read_send(form(**values), CLOCK)


def refused(problem: str, **values: str | list[str]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(**values)
    assert caught.value.problem is PROBLEMS[problem]
    return caught.value


def test_every_parameter_of_twilios_has_one_place() -> None:
    """D11: honoured, without effect, or refused; none is forgotten, none is invented."""
    schema = CREATE["content"]["application/x-www-form-urlencoded"]["schema"]
    tables = [set(HONOURED), set(WITHOUT_EFFECT), set(REFUSED)]
    assert set.union(*tables) == set(schema["properties"]) | UNPUBLISHED
    assert sum(map(len, tables)) == len(set.union(*tables))
    assert {"To", "From", "Body", "StatusCallback"} <= set(HONOURED)


def test_refusals_are_problems_we_know() -> None:
    assert set(REFUSED.values()) <= set(PROBLEMS)
    assert all(PROBLEMS[name].status in (400, 404) for name in REFUSED.values())


def test_the_defaults() -> None:
    wanted = read()
    assert (wanted.to, wanted.from_, wanted.body) == (Private(TO), Private(FROM), Private(BODY))
    assert wanted.validity_s is wanted.smart_encoded is None, "a service may say it"
    assert not wanted.provide_feedback
    assert wanted.status_callback is wanted.content_retention is wanted.address_retention is None
    assert wanted.particulars is None, "it takes the short way"


def test_every_honoured_parameter_arrives() -> None:
    wanted = read(**{name: GOOD[name] for name in HONOURED})
    assert wanted.status_callback == Private("https://example.com/x")
    assert (wanted.validity_s, wanted.provide_feedback, wanted.smart_encoded) == (60, True, True)
    assert (wanted.content_retention, wanted.address_retention) == ("discard", "obfuscate")
    assert wanted.particulars == Particulars(
        service=SERVICE, application=GOOD["ApplicationSid"], content=GOOD["ContentSid"].lower()
        .replace("hx", "HX"), variables=Private(GOOD["ContentVariables"]), schedule_type="fixed",
        send_at=GOOD["SendAt"], tags=GOOD["Tags"],
    )  # fmt: skip


@pytest.mark.parametrize("from_", ["12345", "ACME", " 15005550006", "(500) 555-0006"])
def test_a_sender_that_may_be_no_number_takes_the_long_way(from_: str) -> None:
    assert read(From=from_).particulars == Particulars()


# What is not there yet ----------------------------------------------------------------------

ALONE = {  # what each refused parameter is given with, so that it alone is at fault
    "FallbackFrom": {"MessagingServiceSid": SERVICE, "From": []},
}


def lacking(wanted: SendMessage) -> tuple[str, str] | None:
    return wanted.particulars.lacking if wanted.particulars is not None else None


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_well_formed_and_not_there_is_left_to_the_action(name: str) -> None:
    """Its own error, but only after nothing is found wrong with the rest."""
    given = form(**{**ALONE.get(name, {}), name: GOOD[name]})
    wanted = read_send({n: v for n, v in given.items() if v}, CLOCK)
    assert lacking(wanted) == (REFUSED[name], name)


def test_of_several_the_first_of_the_table_is_named() -> None:
    for order in permutations(["ShortenUrls", "PersistentAction"]):
        assert lacking(read(**{n: GOOD[n] for n in order})) == (
            "parameter_not_supported", "PersistentAction",
        )  # fmt: skip


@pytest.mark.parametrize("name", ["SendAsMms", "ShortenUrls"])
def test_a_capability_that_is_not_asked_for_is_no_matter(name: str) -> None:
    assert lacking(read(**{name: "False"})) is None
    refused("invalid_boolean", **{name: "perhaps"})


# Values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_good_value_is_taken(name: str) -> None:
    assert PARAMETERS[name].fits(GOOD[name])


WRONG = [
    ("ValidityPeriod", ["0", "36001", "-1", "+5", "1.5", "soon", "٣", "9" * 400, "1e3", " 5"]),
    ("SmartEncoded", ["yes", "1", "0", "truee", "None", " TRUE "]),
    ("ProvideFeedback", ["yes"]), ("ForceDelivery", ["1"]), ("SendAsMms", ["on"]),
    ("ShortenUrls", ["on"]),
    ("Attempt", ["one", "-1", "1.0", "9" * 10, "²"]),
    ("MaxPrice", ["0", "0.0", "-1", "nan", "inf", "1e999", "1_0", "0.1$", " 1", ".", "1" * 33]),
    ("RiskCheck", ["true", "Enable"]), ("TrafficType", ["paid"]),
    ("Tags", ["spring", "[1]", '"x"', "1", "{", '{"a": NaN}', "[" * 60_000, '{"a":' * 30_000]),
    ("MessagingServiceSid", ["MG", "MG" + "0" * 31, "MG" + "g" * 32, "AC" + "0" * 32,
                             SERVICE + "\n"]),
    ("FallbackFrom", ["!!", "twelve chars"]),
    ("ScheduleType", ["Fixed", "later"]),
    ("SendAt", ["soon", "2026-03-32T00:00:00Z"]),
    ("MediaUrl", ["ftp://example.com/a", "example.com/a", "https://", "https:///a", "data:,x",
                  '["https://example.com/a","https://example.com/b"]']),
    ("ContentSid", ["HX1", SERVICE]),
    ("ContentVariables", ["Ada", "[]", '"x"', '{"1": 2}', '{"1": null}', "{'1': 'x'}"]),
    ("ApplicationSid", ["AP1", SERVICE]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "texts"), WRONG)
def test_a_wrong_value_is_told_as_such_whatever_becomes_of_its_parameter(
    name: str, texts: list[str]
) -> None:
    """W6 for MediaUrl: a JSON array in one is refused, and the text says what to do instead."""
    for text in texts:
        assert text not in refused(PARAMETERS[name].wrong, **{name: text}).text


def test_every_parameter_with_a_form_of_its_own_is_tried() -> None:
    checked = {name for name, p in PARAMETERS.items() if not p.fits("\n nothing fits\n")}
    assert checked == {name for name, _ in WRONG}


@pytest.mark.parametrize("name", sorted(PARAMETERS.keys() - {"MediaUrl", "PersistentAction"}))
def test_a_scalar_given_twice_is_refused_by_name(name: str) -> None:
    error = refused("invalid_parameter", **{name: ["a-secret", "another"]})
    assert name in error.text
    assert "secret" not in error.text


def test_media_may_repeat_ten_times() -> None:
    """T-14, W6: the eleventh is one too many, 21623."""
    urls = [f"https://example.com/{n}.png" for n in range(11)]
    assert read(MediaUrl=urls[:10]).media_urls == tuple(map(Private, urls[:10]))
    refused("media_too_many", MediaUrl=urls)
    refused("media_invalid", MediaUrl=[*urls[:9], "ftp://example.com/x"])


@pytest.mark.parametrize(
    ("seconds", "inside"), [(299, False), (300, True), (3_024_000, True), (3_024_001, False)]
)
def test_the_window_of_a_schedule(seconds: int, inside: bool) -> None:
    """35117: 300 seconds to 35 days ahead, inclusive; told before that there is no service."""
    at = datetime.fromtimestamp(NOW_MS / 1000 + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    refused("schedule_without_service" if inside else "send_at_out_of_range", SendAt=at)


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_noted_and_changes_nothing(name: str) -> None:
    """D11. MaxPrice has one where a setting says so."""
    wanted = read(**{name: GOOD[name]})
    max_price = GOOD[name] if name == "MaxPrice" else None
    assert wanted.particulars == Particulars(idle=(name,), max_price=max_price)
    assert replace(wanted, particulars=None) == read()


# Combinations -------------------------------------------------------------------------------

TOGETHER = [
    ("fallback_with_from", ["FallbackFrom", "From", "To", "Body"]),
    ("fallback_without_service", ["FallbackFrom", "To", "Body"]),
    ("schedule_without_service", ["ScheduleType", "To", "From", "Body"]),
    ("schedule_without_service", ["SendAt", "To", "From", "Body"]),
    ("schedule_without_service", ["SendAt", "ScheduleType", "To", "From", "Body"]),
    ("send_at_required", ["ScheduleType", "MessagingServiceSid", "To", "Body"]),
    ("schedule_type_invalid", ["SendAt", "MessagingServiceSid", "To", "Body"]),
    ("content_sid_required", ["ContentVariables", "To", "From", "Body"]),
    ("to_required", ["MessagingServiceSid", "Body"]),
    ("from_required", ["MediaUrl", "To"]),
    ("no_content", ["MessagingServiceSid", "To"]),
]


@pytest.mark.parametrize(("problem", "names"), TOGETHER)
def test_what_does_not_go_together_is_refused_in_any_order(problem: str, names: list[str]) -> None:
    for order in (names, names[::-1]):
        with pytest.raises(Refusal) as caught:
            read_send({name: [GOOD[name]] for name in order}, CLOCK)
        assert caught.value.problem is PROBLEMS[problem]


def test_every_combination_is_tried() -> None:
    assert {c.problem for c in COMBINATIONS} == {problem for problem, _ in TOGETHER}


def test_senders_that_are_services() -> None:
    """W11: Engage sends `From=MG…`; an alphanumeric sender may begin with MG, too."""
    wanted = read(From=SERVICE)
    assert (wanted.from_, wanted.particulars) == (None, Particulars(service=SERVICE))
    upper = read(From=SERVICE[:-1] + "A").particulars
    assert upper == Particulars(service=SERVICE[:-1] + "a"), "kept as SIDs are written"
    refused("service_invalid", From="MG" + "0" * 31)
    refused("invalid_parameter", From=SERVICE, MessagingServiceSid=SERVICE)
    assert read(From="MGM Resorts").from_ == Private("MGM Resorts")


WHATSAPP = "whatsapp:+16285550100"


@pytest.mark.parametrize(
    ("to", "from_", "problem"),
    [
        (WHATSAPP, FROM, "same_channel"),
        (TO, "whatsapp:+15005550006", "same_channel"),
        (WHATSAPP, "messenger:123", "same_channel"),
        (WHATSAPP, "whatsapp:+15005550006", "channel_not_found"),
        ("messenger:123", "messenger:456", "channel_not_found"),
        (WHATSAPP, WHATSAPP, "channel_same_address"),
        ("whatsapp:", "whatsapp:+15005550006", "to_invalid"),
        ("whatsapp:Ada", FROM, "to_invalid"),
        ("pigeon:+16285550100", FROM, "to_invalid"),
        ("1:2", "1:2", "to_invalid"),
        ("12", "whatsapp:+15005550006", "to_invalid"),
        (TO, "pigeon:+15005550006", "from_invalid"),
        (TO, "1:2", "from_invalid"),
        (WHATSAPP, [], "from_required"),
    ],
)  # fmt: skip
def test_addresses_of_channels(to: str, from_: str | list[str], problem: str) -> None:
    given = {name: values for name, values in form(To=to, From=from_).items() if values}
    with pytest.raises(Refusal) as caught:
        read_send(given, CLOCK)
    assert caught.value.problem is PROBLEMS[problem]
    assert not to[-4:].isdigit() or to[-4:] not in caught.value.text


def test_no_service_has_a_sender_of_a_channel() -> None:
    with pytest.raises(Refusal) as caught:
        read(To=WHATSAPP, From=SERVICE)
    assert caught.value.problem is PROBLEMS["channel_not_found"]


# Any form -----------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(), min_size=1, max_size=3)))
def test_unknown_parameters_are_ignored(unknown: dict[str, list[str]]) -> None:
    unknown = {name: values for name, values in unknown.items() if name not in PARAMETERS}
    assert read_send({**unknown, **form()}, CLOCK) == read()


TEXTS = st.one_of(st.text(st.characters(codec="utf-8")), st.sampled_from([*GOOD.values(), "false"]))


@given(
    st.dictionaries(st.sampled_from(sorted(PARAMETERS)), st.lists(TEXTS, min_size=1, max_size=3))
)
def test_any_form_is_read_or_refused(given: dict[str, list[str]]) -> None:
    """Whatever comes: what was given, as it is to be sent, or one of our own refusals."""
    try:
        wanted = read_send(given, CLOCK)
    except Refusal as refusal:
        problem, text = refusal.problem, refusal.text
    else:
        assert (wanted.body is None) == ("Body" not in given)
        assert wanted.body is None or [wanted.body.reveal()] == given["Body"]
        named = lacking(wanted)
        assert named is None or named[1] in given
        return
    assert problem.status in (400, 404)
    assert not any(len(v) > 12 and v in text for values in given.values() for v in values)


def test_what_is_private_shows_only_its_length() -> None:
    shown = repr(read(StatusCallback="https://example.com/secret"))
    for text in (TO, FROM, BODY, "secret"):
        assert text not in shown
