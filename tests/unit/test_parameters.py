"""The parameters of a create: what is taken, what is refused, what is ignored."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.actions.messages import VALIDITY_MAX_S
from hushwire.api.parameters import HONOURED, REFUSED, WITHOUT_EFFECT, read_send
from hushwire.errors import PROBLEMS, Refusal
from hushwire.private import Private

TO, FROM, BODY = "+16285550100", "+15005550006", "Hello"
FACTS = json.loads((Path(__file__).parents[1] / "facts" / "api_v2010_messaging.json").read_text())
CREATE = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]["post"]["requestBody"]
UNPUBLISHED = {"Tags"}  # in Twilio's examples, not in its specification


def form(**values: str | list[str]) -> dict[str, list[str]]:
    given = {"To": TO, "From": FROM, "Body": BODY, **values}
    return {name: [v] if isinstance(v, str) else v for name, v in given.items()}


def refused(problem: str, **values: str | list[str]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read_send(form(**values))
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
    wanted = read_send(form())
    assert (wanted.to, wanted.from_, wanted.body) == (Private(TO), Private(FROM), Private(BODY))
    assert wanted.validity_s == VALIDITY_MAX_S == 36_000
    assert (wanted.provide_feedback, wanted.smart_encoded) == (False, False)
    assert wanted.status_callback is wanted.content_retention is wanted.address_retention is None
    nothing = read_send({})
    assert nothing.to is nothing.from_ is nothing.body is None


def test_every_honoured_parameter_arrives() -> None:
    wanted = read_send(
        form(
            StatusCallback="https://example.com/x", ValidityPeriod="60", ProvideFeedback="TRUE",
            SmartEncoded="true", ContentRetention="discard", AddressRetention="obfuscate",
        )
    )  # fmt: skip
    assert wanted.status_callback == Private("https://example.com/x")
    assert (wanted.validity_s, wanted.provide_feedback, wanted.smart_encoded) == (60, True, True)
    assert (wanted.content_retention, wanted.address_retention) == ("discard", "obfuscate")


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_there_is_refused_by_its_own_error(name: str) -> None:
    refused(REFUSED[name], **{name: "true"})


@pytest.mark.parametrize("name", ["SendAsMms", "ShortenUrls"])
def test_a_capability_that_is_not_asked_for_is_no_matter(name: str) -> None:
    assert read_send(form(**{name: "false"})).body == Private(BODY)
    refused("invalid_boolean", **{name: "perhaps"})


@pytest.mark.parametrize("name", sorted(set(HONOURED) | {"SendAsMms"}))
def test_a_scalar_given_twice_is_refused_by_name(name: str) -> None:
    error = refused("invalid_parameter", **{name: ["a-secret", "another"]})
    assert name in error.text
    assert "secret" not in error.text


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT.keys() - {"ProvideFeedback"}))
def test_what_has_no_effect_is_taken_as_it_comes(name: str) -> None:
    assert read_send(form(**{name: ["anything", "twice"]})) == read_send(form())


@given(st.dictionaries(st.text(max_size=20), st.lists(st.text(), min_size=1, max_size=3)))
def test_unknown_parameters_are_ignored(unknown: dict[str, list[str]]) -> None:
    known = set(HONOURED) | set(REFUSED) | set(WITHOUT_EFFECT)
    unknown = {name: values for name, values in unknown.items() if name not in known}
    assert read_send({**unknown, **form()}) == read_send(form())


def test_a_service_as_sender_is_a_service() -> None:
    """W11: Engage sends `From=MG…`."""
    refused("service_not_found", From="MG" + "0" * 32)


@pytest.mark.parametrize("text", ["", "-1", "+5", "1.5", "soon", "٣", "9999999", "1e3", " 5"])
def test_what_is_no_number_of_seconds(text: str) -> None:
    refused("validity_invalid", ValidityPeriod=text)


@pytest.mark.parametrize("text", ["yes", "1", "0", "", "truee", "None"])
@pytest.mark.parametrize("name", ["ProvideFeedback", "SmartEncoded"])
def test_what_is_no_boolean(name: str, text: str) -> None:
    assert name in refused("invalid_boolean", **{name: text}).text


def test_what_is_private_shows_only_its_length() -> None:
    shown = repr(read_send(form(StatusCallback="https://example.com/secret")))
    for text in (TO, FROM, BODY, "secret"):
        assert text not in shown
