"""Content templates (twilio-messaging 7.8)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.rest.content.v1.content import ContentList

from hushwire.domain.template import (
    STORED_ONLY,
    TITLE_MAX,
    Content,
    Rendered,
    read_content,
    read_variables,
    render,
)
from hushwire.errors import Refusal
from hushwire.private import Private

TEXT = {"twilio/text": {"body": "Hi {{1}}, see {{ place }}."}}
MEDIA = {"twilio/media": {"body": "Look", "media": ["https://example.com/{{1}}.png"]}}
REPLIES = {
    "twilio/quick-reply": {
        "body": "Coming, {{1}}?",
        "actions": [
            {"title": "Yes", "id": "yes-{{1}}"},
            {"title": "{{no}}", "type": "QUICK_REPLY"},
        ],
    }
}


def content(types: dict[str, Any], **more: Any) -> Content:
    return read_content(json.dumps({"language": "en", "types": types, **more}).encode())


def private(**values: str) -> dict[str, Private]:
    return {name.removeprefix("_"): Private(value) for name, value in values.items()}


def refused(name: str, function: Any, *args: Any) -> Refusal:
    with pytest.raises(Refusal) as raised:
        function(*args)
    assert raised.value.problem.name == name
    return raised.value


# --- What a template may hold --------------------------------------------------------------


def test_what_the_sdk_sends_is_read():
    """It sends every type, those that are not there as null."""
    request = ContentList.ContentCreateRequest(
        {
            "friendly_name": "hello",
            "language": "en",
            "variables": {"1": "you"},
            "types": ContentList.Types(
                {
                    "twilio/text": ContentList.TwilioText({"body": "Hi {{1}}"}),
                    "twilio/media": ContentList.TwilioMedia({"media": ["https://example.com/x"]}),
                    "twilio/quick-reply": ContentList.TwilioQuickReply(
                        {"body": "?", "actions": [{"title": "Yes"}]}
                    ),
                }
            ),
        }
    )
    read = read_content(json.dumps(request.to_dict()).encode())
    assert (read.friendly_name, read.language, read.variables) == ("hello", "en", {"1": "you"})
    assert set(read.types) == {"twilio/text", "twilio/media", "twilio/quick-reply"}
    assert render(read, {}).media_urls == (Private("https://example.com/x"),)


@pytest.mark.parametrize("name", sorted(STORED_ONLY))
def test_other_types_are_kept_as_they_came_and_not_sent(name: str):
    value = {"body": "x", "deep": [{"1": None}], "price": 1.50}
    read = content({name: value})
    assert json.loads(bytes(read.types[name])) == value
    assert refused("content_sid_invalid", render, read, {}).problem.code == 21655
    both = content({name: value, "twilio/text": {"body": "plain"}})
    assert render(both, {}).text == Private("plain")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"language": "en"}',
        b'{"language": "en", "types": {}}',
        b'{"language": "en", "types": {"twilio/text": null}}',
        b'{"language": "e", "types": {"twilio/text": {"body": "x"}}}',
        b'{"language": "en", "extra": 1, "types": {"twilio/text": {"body": "x"}}}',
        b'{"language": "en", "variables": {"1": 1}, "types": {"twilio/text": {"body": "x"}}}',
        b'{"language": "en", "types": {"twilio/card": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}",
    ],
)
def test_what_is_no_template(body: bytes):
    refused("content_invalid", read_content, body)


@pytest.mark.parametrize(
    "types",
    [
        {"twilio/sms": {"body": "x"}},
        {"twilio/text": "x"},
        {"twilio/text": {}},
        {"twilio/text": {"body": ""}},
        {"twilio/text": {"body": "x" * 1601}},
        {"twilio/text": {"body": "x", "media": []}},
        {"twilio/media": {"body": "x"}},
        {"twilio/media": {"media": []}},
        {"twilio/media": {"media": ["u"] * 11}},
        {"twilio/quick-reply": {"body": "x", "actions": []}},
        {"twilio/quick-reply": {"body": "x", "actions": [{"title": "x"}] * 11}},
        {"twilio/quick-reply": {"body": "x", "actions": [{"title": "x" * (TITLE_MAX + 1)}]}},
        {"twilio/quick-reply": {"body": "x", "actions": [{"title": "x", "type": "URL"}]}},
        {"twilio/quick-reply": {"body": "x" * 1025, "actions": [{"title": "x"}]}},
        {"twilio/card": ["x"]},
        {"twilio/text": {"body": "fine"}, "twilio/card": "x"},
    ],
)
def test_what_its_types_may_not_hold(types: dict[str, Any]):
    refused("content_invalid", content, types)


# --- Filled in -----------------------------------------------------------------------------


def test_values_come_before_the_templates_own():
    read = content(TEXT, variables={"1": "you", "place": "here"})
    assert render(read, {}).text == Private("Hi you, see here.")
    assert render(read, private(_1="Eve", other="x")).text == Private("Hi Eve, see here.")
    assert render(read, private(_1="")).text == Private("Hi , see here.")


def test_a_place_without_any_value_is_refused():
    read = content(TEXT, variables={"place": "here"})
    assert refused("content_variables_invalid", render, read, {}).problem.code == 21656


def test_a_value_is_not_filled_in_again():
    read = content(TEXT, variables={"1": "{{place}}", "place": "{{1}}"})
    assert render(read, {}).text == Private("Hi {{place}}, see {{1}}.")


@pytest.mark.parametrize("body", ["{1}", "{{}}", "{{ a b }}", "{{{x", "{{é}}"])
def test_what_is_no_place_stays(body: str):
    assert render(content({"twilio/text": {"body": body}}), {}).text == Private(body)


def test_media_and_text_and_buttons_by_channel():
    values = private(_1="Eve", place="here", no="No")
    everything = content(TEXT | MEDIA | REPLIES)
    url = Private("https://example.com/Eve.png")
    assert render(everything, values) == Rendered("twilio/media", Private("Look"), (url,))
    assert render(content(TEXT | REPLIES), values).text == Private("Hi Eve, see here.")
    assert render(everything, values, "whatsapp") == Rendered(
        "twilio/quick-reply",
        Private("Coming, Eve?"),
        replies=((Private("Yes"), Private("yes-Eve")), (Private("No"), None)),
    )


def test_buttons_become_lines_of_a_text():
    rendered = render(content(REPLIES), private(_1="Eve", no="Not now"))
    assert rendered == Rendered("twilio/quick-reply", Private("Coming, Eve?\n- Yes\n- Not now"))


def test_media_alone():
    rendered = render(content({"twilio/media": {"media": ["https://example.com/x"]}}), {})
    assert rendered == Rendered("twilio/media", None, (Private("https://example.com/x"),))


@pytest.mark.parametrize(
    ("types", "value", "problem"),
    [
        ({"twilio/text": {"body": "{{1}}"}}, "x" * 1601, "body_too_long"),
        ({"twilio/text": {"body": "{{1}}"}}, "\U0001f600" * 801, "body_too_long"),
        ({"twilio/text": {"body": "{{1}}"}}, " ", "no_content"),
        (
            {"twilio/quick-reply": {"body": "x", "actions": [{"title": "{{1}}"}]}},
            "x" * (TITLE_MAX + 1),
            "content_too_long",
        ),
        (
            {"twilio/quick-reply": {"body": "x", "actions": [{"title": "{{1}}"}]}},
            "",
            "content_too_long",
        ),
        ({"twilio/quick-reply": {"body": "{{1}}", "actions": [{"title": "Yes"}]}}, "x" * 1595,
         "body_too_long"),
    ],
)  # fmt: skip
def test_limits_hold_after_filling_in(types: dict[str, Any], value: str, problem: str):
    refused(problem, render, content(types), private(_1=value))


# --- ContentVariables ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "x", "[]", '"x"', "null", '{"1": 2}', '{"1": null}', '{"1": {"a": "b"}}', "{1: 2}"]
)
def test_variables_that_are_no_object_of_strings(text: str):
    assert refused("content_variables_invalid", read_variables, Private(text)).problem.code == 21656


def test_nothing_of_a_value_shows():
    refusal = refused("content_variables_invalid", read_variables, Private('{"1": "canary", 2}'))
    assert "canary" not in repr(refusal) + refusal.text
    rendered = render(content({"twilio/text": {"body": "{{1}}"}}), private(_1="canary"))
    assert "canary" not in repr(rendered)


NAMES = st.from_regex(r"\A[A-Za-z0-9_]{1,8}\Z")
PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}"), max_size=20)


@settings(deadline=None)
@given(
    st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    st.data(),
)
def test_filling_in_is_joining(values: dict[str, str], data: st.DataObject):
    pieces = [("x", None), *data.draw(st.lists(st.tuples(PLAIN, st.sampled_from([None, *values]))))]
    body = "".join(text + (f"{{{{{name}}}}}" if name else "") for text, name in pieces)
    expected = "".join(text + (values[name] if name else "") for text, name in pieces)
    read = content({"twilio/text": {"body": body}})
    assert render(read, read_variables(Private(json.dumps(values)))).text == Private(expected)


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_anything_is_a_template_or_refused(body: str | bytes):
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    refused("content_invalid", read_content, raw)
