"""What a customer's answer means (twilio-messaging 6.7, 6.8, 3.6)."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from hushwire.domain.twiml import (
    ALERTS,
    BYTES_MAX,
    MEDIA_MAX,
    REPLIES_MAX,
    Redirect,
    Reply,
    SendReply,
    TwimlProblem,
    TwimlWarning,
    read_answer,
)
from hushwire.errors import PROBLEMS
from hushwire.private import Private


def read(xml: str, content_type: str = "text/xml") -> Reply:
    reply = read_answer(content_type, xml.encode())
    assert isinstance(reply, Reply), reply
    return reply


def codes(reply: Reply) -> list[int]:
    return [warning.code for warning in reply.warnings]


def texts(reply: Reply) -> list[str | None]:
    return [v.text and v.text.reveal() for v in reply.verbs if isinstance(v, SendReply)]


# --- What kind of answer it is -------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type", ["text/xml", "application/xml", "text/html; charset=utf-8", "Text/XML"]
)
def test_markup(content_type: str):
    assert texts(read("<Response><Message>Hi</Message></Response>", content_type)) == ["Hi"]


def test_plain_text_is_one_reply():
    reply = read("  <Response> & co.\n", "text/plain; charset=UTF-8")
    assert reply == Reply((SendReply(text=Private("<Response> & co.")),))


@pytest.mark.parametrize("body", [b"", b" \r\n"])
@pytest.mark.parametrize("content_type", ["", "text/xml", "text/plain", "application/json"])
def test_an_empty_answer_is_no_reply(content_type: str, body: bytes):
    assert read_answer(content_type, body) == Reply()


@pytest.mark.parametrize("content_type", ["", "application/json", "text/xml; charset=klingon"])
def test_another_content_type_is_12300(content_type: str):
    assert read_answer(content_type, b"<Response/>") == TwimlProblem(12300)


@pytest.mark.parametrize("content_type", ["text/xml", "text/plain"])
def test_more_than_64_kb_is_11750(content_type: str):
    start, end = b"<Response><!--", b"--></Response>"
    body = start + b"x" * (BYTES_MAX - len(start) - len(end)) + end
    assert isinstance(read_answer(content_type, body), Reply)
    assert read_answer(content_type, body + b"\n") == TwimlProblem(11750)


@pytest.mark.parametrize(
    ("xml", "problem"),
    [
        ("<Response>\n<Message>Hi</Response>", TwimlProblem(12100, 2)),
        ("\n<?xml version='1.0'?><Response/>", TwimlProblem(12100, 2)),
        ("<!DOCTYPE html><Response/>", TwimlProblem(12100, 1)),
        ("<?xml version='1.1'?><Response/>", TwimlProblem(12101, 1)),
        ("<!-- -->\n<response/>", TwimlProblem(12102, 2)),
        ("<html/>", TwimlProblem(12102, 1)),
    ],
)
def test_what_cannot_be_read(xml: str, problem: TwimlProblem):
    assert read_answer("text/xml", xml.encode()) == problem


# --- Verbs ---------------------------------------------------------------------------------


def test_a_message_with_everything():
    reply = read(
        '<Response><Message to="+14155550101" from="12345" action="/done" method="get"'
        ' statusCallback="https://example.com/s"> Hello <Body>World</Body>\n'
        "<Media>https://example.com/1.png</Media><Media> 2.png </Media></Message></Response>"
    )
    assert reply == Reply(
        (
            SendReply(
                to=Private("+14155550101"),
                from_=Private("12345"),
                text=Private("Hello\nWorld"),
                media_urls=(Private("https://example.com/1.png"), Private("2.png")),
                action=Private("/done"),
                method="GET",
                status_callback=Private("https://example.com/s"),
            ),
        )
    )


def test_verbs_are_in_order_and_end_with_a_redirect():
    reply = read(
        "<Response><Sms>1</Sms><Message><Body>2</Body></Message>"
        "<Redirect method='GET'>/more</Redirect><Message>3</Message></Response>"
    )
    assert reply == Reply(
        (
            SendReply(text=Private("1")),
            SendReply(text=Private("2")),
            Redirect(Private("/more"), "GET"),
        )
    )


def test_other_verbs_are_left_out_with_14110():
    reply = read(
        "<Response>\n<Say>Hi</Say><message>no</message>\n<Play/><Message>1</Message></Response>"
    )
    assert texts(reply) == ["1"]
    assert reply.warnings == (TwimlWarning(14110, 2),)


@pytest.mark.parametrize(
    "xml",
    [
        "<Response><Message colour='red'>1</Message></Response>",
        "<Response><Message To='+14155550101'>1</Message></Response>",  # case counts
        "<Response lang='en'><Message>1</Message></Response>",
        "<Response>Hello<Message>1</Message></Response>",
        "<Response><Message><Body lang='en'>1</Body></Message></Response>",
        "<Response><Message><Body>1<b>2</b></Body></Message></Response>",
        "<Response><Message>1<body>2</body></Message></Response>",
        "<Response><Message>1<Media/></Message></Response>",
        "<Response><Message>1</Message><Redirect to='x'>/</Redirect></Response>",
    ],
)
def test_what_the_schema_does_not_know_is_12200(xml: str):
    reply = read(xml)
    assert texts(reply) == ["1"]
    assert codes(reply) == [12200]


def test_a_method_that_is_none_is_14104():
    reply = read("<Response><Message method='PUT'>1</Message></Response>")
    assert reply == Reply((SendReply(text=Private("1")),), (TwimlWarning(14104, 1),))


# --- Limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "<Body> </Body>", "x" * 1601, "\U0001f600" * 801])
def test_nothing_to_send_or_too_much_is_14103(text: str):
    reply = read(f"<Response><Message>{text}</Message><Message>next</Message></Response>")
    assert texts(reply) == ["next"]
    assert codes(reply) == [14103]


def test_as_long_as_a_body_may_be():
    assert texts(read("x" * 1600, "text/plain")) == ["x" * 1600]
    assert codes(read("x" * 1601, "text/plain")) == [14103]


def test_ten_replies_then_14109():
    """The first ten are sent; a redirect after them still counts."""
    messages = "".join(f"<Message>{n}</Message>" for n in range(12))
    reply = read(f"<Response>{messages}<Redirect>/</Redirect></Response>")
    assert texts(reply) == [str(n) for n in range(REPLIES_MAX)]
    assert codes(reply) == [14109]
    assert isinstance(reply.verbs[-1], Redirect)


def test_replies_of_earlier_documents_count():
    body = b"<Response><Message>1</Message><Message>2</Message></Response>"
    reply = read_answer("text/xml", body, replies_left=1)
    assert isinstance(reply, Reply)
    assert (texts(reply), codes(reply)) == (["1"], [14109])


def test_ten_media():
    ten = "<Media>u</Media>" * MEDIA_MAX
    reply = read(
        f"<Response><Message>{ten}</Message><Message>{ten}<Media>u</Media></Message></Response>"
    )
    assert texts(reply) == [None]
    assert codes(reply) == [21623]


def test_a_kind_of_warning_comes_once():
    reply = read("<Response>\n" + "<Say/><Message/>\n" * 300 + "</Response>")
    assert reply.warnings == (TwimlWarning(14110, 2), TwimlWarning(14103, 2))


def test_alerts_name_problems_there_are():
    assert ALERTS.keys() <= PROBLEMS.keys()


# --- Privacy -------------------------------------------------------------------------------


def test_nothing_of_an_answer_shows():
    reply = read_answer(
        "text/html",
        b"<Response><Message to='canary' from='canary' action='canary' statusCallback='canary'>"
        b"canary<Media>canary</Media></Message><canary canary='canary'>canary</canary>"
        b"<Redirect>canary</Redirect></Response>",
    )
    assert isinstance(reply, Reply)
    assert len(reply.verbs) == 2
    assert "canary" not in repr(reply)
    assert "canary" not in repr(read_answer("text/html", b"<canary>canary"))


# --- Against Twilio's own builder ----------------------------------------------------------

CHARS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
TEXT = st.text(CHARS, min_size=1, max_size=80).map(str.strip).filter(bool)
METHOD = st.sampled_from(["GET", "POST"])
MESSAGE = st.fixed_dictionaries(
    {"text": TEXT, "media": st.lists(TEXT, max_size=3)},
    optional={"to": TEXT, "from_": TEXT, "action": TEXT, "method": METHOD, "status_callback": TEXT},
)


@settings(deadline=None)
@given(st.lists(MESSAGE, max_size=REPLIES_MAX), st.none() | st.tuples(TEXT, METHOD), st.booleans())
def test_reads_what_twilios_builder_writes(
    messages: list[dict[str, Any]], redirect: tuple[str, Any] | None, nested: bool
):
    response = MessagingResponse()
    expected: list[SendReply | Redirect] = []
    for wanted in messages:
        options = {key: wanted[key] for key in wanted.keys() - {"text", "media"}}
        message = response.message(None if nested else wanted["text"], **options)
        if nested:
            message.body(wanted["text"])
        for url in wanted["media"]:
            message.media(url)
        private = {k: v if k == "method" else Private(v) for k, v in options.items()}
        media = tuple(map(Private, wanted["media"]))
        expected.append(SendReply(text=Private(wanted["text"]), media_urls=media, **private))
    if redirect is not None:
        response.redirect(redirect[0], method=redirect[1])
        expected.append(Redirect(Private(redirect[0]), redirect[1]))
    assert read(str(response)) == Reply(tuple(expected))


# --- Anything at all -----------------------------------------------------------------------

PIECES = st.sampled_from(
    ["<Response>", "</Response>", "<Message>", "</Message>", "<Body>", "</Body>", "<Media>", "u",
     "</Media>", "<Redirect>", "</Redirect>", "<Say/>", "<!--", "-->", "<![CDATA[", "]]>", "&amp;",
     "&x;", "<!DOCTYPE r [", "<!ENTITY x 'xx'>", "]>", "<?xml version='1.0'?>", "<Message to='",
     "'>", "é", "\x00", "<", ">"]
)  # fmt: skip


@settings(deadline=None)
@given(
    st.sampled_from(
        ["", "text/xml", "text/plain", "text/html; charset=utf-16", "TEXT/XML;;charset"]
    )
    | st.text(max_size=30),
    st.binary(max_size=200) | st.lists(PIECES, max_size=60).map("".join).map(str.encode),
)
def test_never_raises_never_slow(content_type: str, body: bytes):
    started = time.perf_counter()
    answer = read_answer(content_type, body)
    assert time.perf_counter() - started < 1
    if isinstance(answer, Reply):
        replies = [verb for verb in answer.verbs if isinstance(verb, SendReply)]
        assert len(replies) <= REPLIES_MAX
        assert all(reply.text or reply.media_urls for reply in replies)
