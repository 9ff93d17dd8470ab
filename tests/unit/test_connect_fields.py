"""What is wrong with an input, in one sentence: field, value, cure; and nothing private in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.connect.fields import fields_of, what_is_wrong
from hushwire.connect.refused import Refused
from hushwire.connect.registry import REGISTRY, AnyAction
from hushwire.connect.run import run as run  # with it come all actions

ACTIONS = list(REGISTRY)
CANARY = "4155550199"


def refusal(name: str, given: dict[str, object]) -> Refused:
    with pytest.raises(Refused) as refused:
        REGISTRY.find(name).read(given)
    return refused.value


PRIVATE = st.sampled_from([f"+1{CANARY}", f"whatsapp:+1{CANARY}", f"text {CANARY}\n", CANARY])
WRONG = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), PRIVATE, st.just(""),
    st.just("x" * 1601), st.lists(st.one_of(PRIVATE, st.integers()), max_size=12),
    st.dictionaries(PRIVATE, PRIVATE, max_size=2),
)  # fmt: skip
HARMLESS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from(["", "zz", "SM1", "2026-13-99"]),
    st.lists(PRIVATE, max_size=2),
)  # fmt: skip


@st.composite
def inputs(draw: st.DrawFn, action: AnyAction) -> dict[str, object]:
    """Any values for some of its fields, and for names that are none of them."""
    fields = {field.name: field for field in fields_of(action.input)}
    names = draw(st.lists(st.sampled_from([*fields, "bogus", f"+1{CANARY}"]), unique=True))
    return {
        name: draw(HARMLESS if name in fields and fields[name].pii is None else WRONG)
        for name in names
    }


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
@given(data=st.data())
def test_any_wrong_input_is_one_sentence_that_names_the_field(
    action: AnyAction, data: st.DataObject
) -> None:
    given = data.draw(inputs(action))
    refused = read(action, given)
    if refused is None:
        return
    assert (refused.code, refused.status) == (20001, 400)
    assert "\n" not in refused.text
    assert CANARY not in refused.text
    if f"+1{CANARY}" not in given:
        assert refused.field is not None
    if refused.field is not None:
        assert refused.text.startswith(refused.field)
        assert refused.field in {*given, *(field.name for field in fields_of(action.input))}


def read(action: AnyAction, given: dict[str, object]) -> Refused | None:
    try:
        action.read(given)
    except Refused as refused:
        return refused
    return None


SENTENCES: list[tuple[str, dict[str, Any], str]] = [
    ("send_message", {}, "to is missing: A number in E.164, or a channel address "
     "(whatsapp:+15552229999)"),
    ("send_message", {"To": "+1"}, "To is no field of this action: it is called to"),
    ("send_message", {"to": ""}, "to must not be empty (A number in E.164, or a channel address "
     "(whatsapp:+15552229999))"),
    ("send_message", {"to": "+1", "body": "x" * 1601},
     "body must have 1600 characters at most (The text, up to 1,600 characters)"),
    ("send_message", {"to": "+1", "validity_period": "99999"},
     "validity_period '99999' must be a whole number of at most 36000 "
     "(Seconds it may wait to be sent)"),
    ("send_message", {"to": "+1", "content_retention": "keep"},
     "content_retention 'keep' must be discard or retain (Of its body)"),
    ("list_messages", {"page_size": 1001},
     "page_size 1001 must be a whole number of at most 1000 (How many a page)"),
    ("list_messages", {"page_size": "many"},
     "page_size 'many' must be a whole number (How many a page)"),
    ("retrieve_message", {"sid": "SM1"},
     "sid 'SM1' is spelled otherwise than it must be (SM or MM and 32 hex digits)"),
    ("retrieve_message", {"sid": f"SM{'0' * 32}\n"}, f"sid 'SM{'0' * 32}\\n' is spelled otherwise "
     "than it must be (SM or MM and 32 hex digits)"),
    ("retrieve_message", {"sid": "SM1", "message_sid": "SM1"},
     "sid is given twice: message_sid is another name for it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "sentence"), SENTENCES)
def test_the_sentences(name: str, given: dict[str, Any], sentence: str) -> None:
    assert refusal(name, given).text == sentence


def test_an_unknown_field_is_told_which_there_are() -> None:
    refused = refusal("retrieve_account", {"ssid": "x"})
    assert refused.text == "ssid is no field of this action: there are sid"


def test_an_unknown_action_is_told_a_near_one() -> None:
    with pytest.raises(Refused, match="there is no action 'sendmessage': did you mean send_mess"):
        REGISTRY.find("sendmessage")
    with pytest.raises(Refused, match="there are send_message, list_messages"):
        REGISTRY.find("x" * 1000)


def test_what_is_no_object_has_no_field() -> None:
    model = REGISTRY.find("send_message").input
    field, text = what_is_wrong(model, {}, "Expected `object`, got `array`")
    assert field is None
    assert text == "the input must be an object: must be an object"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_describes_itself_whole(action: AnyAction) -> None:
    """What doors are made from: title, sentence, scopes, effect, schemas, and what is private."""
    told = action.describe()
    assert told["title"]
    assert str(told["summary"]).endswith((".", "?"))
    assert told["scopes"]
    if action.view is None:
        assert all(field.description for field in fields_of(action.input))
    for field in fields_of(action.input):
        if field.name in ("to", "from", "recipient_number", "sender_number", "media_url"):
            assert field.pii, field
