"""Keywords of opting out and in (twilio-messaging 6.9)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hushwire.domain.optout import (
    DEFAULTS,
    KEYWORD_MAX,
    KEYWORDS_MAX,
    NO_RULES,
    Effect,
    KeywordSet,
    OptOut,
    OptOutRequest,
    Rule,
    effect,
    fold,
    read_keywords,
    read_request,
)
from hushwire.domain.text import encoding_of, segments
from hushwire.errors import Refusal

STOP, START, HELP = OptOut.STOP, OptOut.START, OptOut.HELP


def type_of(body: str, own: KeywordSet = NO_RULES, *, toll_free: bool = False) -> OptOut | None:
    request = read_request(body, own, toll_free=toll_free)
    return request and request.type


# --- Words ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "type_"),
    [
        ("STOP STOPALL UNSUBSCRIBE CANCEL END QUIT REVOKE OPTOUT ARRET ARRETE ARRETT ALTO", STOP),
        ("START YES UNSTOP", START),
        ("HELP INFO AIDE AYUDA", HELP),
    ],
)
def test_the_default_words(words: str, type_: OptOut):
    for word in words.split():
        for body in (word, word.lower(), word.title(), f" \n{word}\t", f"{word}\u200b"):
            assert type_of(body) is type_, body


@pytest.mark.parametrize("body", ["ARRÊT", "arrêt", "Arre\u0302t", "ARRÊTÉ", "ＳＴＯＰ", "ﬆop"])
def test_accents_and_forms_do_not_matter(body: str):
    assert type_of(body) is STOP


@pytest.mark.parametrize(
    "body",
    ["", " ", "STOP.", "please stop", "STOP ALL", "STOPP", "NO", "STOP " * 50, "\u0301" * 2_000],
)
def test_only_a_whole_message_counts(body: str):
    assert type_of(body) is None


def test_each_language_is_answered_in_itself():
    texts = {
        body: read_request(body) for body in ("stop", "arrêt", "alto", "help", "aide", "ayuda")
    }
    answers = [request.text for request in texts.values() if request is not None]
    assert len(set(answers)) == 6
    assert "désabonner" in answers[4]
    assert "cancelar" in answers[5]


def test_an_answer_is_one_segment():
    for rule in DEFAULTS:
        assert (encoding_of(rule.text), segments(rule.text)) == ("GSM-7", 1)


def test_yes_does_not_opt_in_on_toll_free():
    assert [type_of(word, toll_free=True) for word in ("YES", "START", "UNSTOP")] == [
        None,
        START,
        START,
    ]
    assert type_of("STOP", toll_free=True) is STOP
    own = KeywordSet((Rule(START, ("Ja",), "ok"),))
    assert (type_of("ja", own), type_of("ja", own, toll_free=True)) == (START, None)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str):
    assert fold(fold(text)) == fold(text)


@settings(deadline=None)
@given(st.sampled_from(DEFAULTS), st.data())
def test_any_spelling_of_a_word_is_the_word(rule: Rule, data: st.DataObject):
    word = data.draw(st.sampled_from(rule.keywords))
    spelt = "".join(
        data.draw(st.sampled_from([c, c.lower()]))
        + data.draw(st.sampled_from(["", "\u0301", "\u200d"]))
        for c in word
    )
    pad = st.text(alphabet=" \t\r\n\u00a0", max_size=3)
    assert type_of(data.draw(pad) + spelt + data.draw(pad)) is rule.type


# --- What follows --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "blocked", "expected"),
    [
        (STOP, False, Effect(True, "text")),
        (STOP, True, Effect(True, None)),  # confirmed once
        (START, True, Effect(False, "text")),
        (START, False, Effect(False, None)),  # YES to some other question
        (HELP, False, Effect(False, "text")),
        (HELP, True, Effect(True, "text")),
    ],
)
def test_effects(type_: OptOut, blocked: bool, expected: Effect):
    assert effect(OptOutRequest(type_, "text"), blocked=blocked) == expected


# --- A service's own -----------------------------------------------------------------------


def rules(*rows: object) -> str:
    return json.dumps({"rules": rows})


def row(type_: object = "STOP", keywords: object = ("parar",), text: object = "ok") -> object:
    return {"type": type_, "keywords": keywords, "text": text}


def test_own_words_and_texts_come_first():
    own = read_keywords(
        rules(row("STOP", ["Parar", "stop"], "Adeus"), row("HELP", ["nicht jetzt"]))
    )
    assert read_request(" PARAR", own) == OptOutRequest(STOP, "Adeus")
    assert read_request("Stop", own) == OptOutRequest(STOP, "Adeus")
    assert type_of("Nicht  Jetzt", own) is HELP
    assert type_of("cancel", own) is STOP  # the defaults stay
    assert read_request("parar") is None  # of this service only


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`, got `array`"),
        ('{"rule": []}', "unknown field `rule`"),
        (rules(row("PAUSE")), "`$.rules[0].type`"),
        (rules({"type": "STOP", "keywords": ["x"]}), "missing required field `text`"),
        (rules(row(keywords="x")), "`$.rules[0].keywords`"),
        (rules(row(keywords=[])), "rule 1 has no keywords"),
        (rules(row(), row(keywords=["ok", " "])), "a keyword of rule 2 has not 1 to 30"),
        (rules(row(keywords=["x" * (KEYWORD_MAX + 1)])), "a keyword of rule 1"),
        (rules(row(text=" ")), "the text of rule 1 has not 1 to 1600"),
        (rules(row(text="x" * 1601)), "the text of rule 1"),
        (rules(row("START", ["Cancel"])), "CANCEL in rule 1 is reserved for STOP"),
        (rules(row("HELP", ["yes"])), "YES in rule 1 is reserved for START"),
        (rules(row("STOP", ["aide"])), "AIDE in rule 1 is reserved for HELP"),
        (rules(row("STOP"), row("HELP"), row("HELP", ["x"])), "rules 1 and 2 share a keyword"),
        (rules(row(keywords=[f"w{n}" for n in range(KEYWORDS_MAX + 1)])), "more than 200"),
    ],
)
def test_rules_that_cannot_be_used(text: str, reason: str):
    with pytest.raises(Refusal) as refused:
        read_keywords(text)
    assert refused.value.problem.name == "keywords_invalid"
    assert reason in refused.value.text
    assert reason not in str(refused.value)  # what is logged


WORDS = st.text(min_size=1, max_size=12)
RULES = st.lists(
    st.builds(row, st.sampled_from(["STOP", "START", "HELP"]), st.lists(WORDS, max_size=3), WORDS)
)


@settings(deadline=None)
@given(RULES)
def test_reserved_words_keep_their_meaning_whatever_is_added(rows: list[object]):
    try:
        own = read_keywords(rules(*rows))
    except Refusal:
        return
    for rule in DEFAULTS:
        for word in rule.keywords:
            assert type_of(word, own) is rule.type
    for rule in own.rules:
        for word in rule.keywords:
            assert type_of(word, own) is rule.type
