"""The wire: request bodies in, resources and errors out."""

import asyncio
from string import Formatter
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.api.wire import (
    BODY_BYTES_MAX,
    FIELDS_MAX,
    created_json,
    encode,
    message_json,
    parse_form,
    read_body,
    refusal_headers,
    respond,
)
from hushwire.domain.message import Direction, Message, Status
from hushwire.errors import PROBLEMS, Refusal, Unavailable
from hushwire.private import Private

ACCOUNT = "AC" + "a" * 32
SID = "SM" + "b" * 32
URI = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{SID}"
PARTS = b"multipart/form-data; boundary=x"
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


def message(**changes: Any) -> Message:
    whole: dict[str, Any] = {
        "key": 1, "tail": b"", "sid": SID, "account_id": 1, "direction": Direction.OUTBOUND_API,
        "status": Status.QUEUED, "from_": Private("+15005550006"), "to": Private("+16285550100"),
        "body": Private("Hello"), "callback": None, "segments": 2, "created_ms": 1_692_853_305_999,
        "updated_ms": 1_692_853_306_000, "content_key": 1, "address_key": 2,
    }  # fmt: skip
    return Message(**{**whole, **changes})


def refused(problem: str, body: bytes, content_type: bytes = b"") -> None:
    with pytest.raises(Refusal) as caught:
        parse_form(body, [(b"content-type", content_type)])
    assert caught.value.problem is PROBLEMS[problem]


# -- bodies -------------------------------------------------------------------------------


def read(*parts: bytes) -> bytes:
    events = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    events.append({"type": "http.request"})

    async def receive() -> dict[str, Any]:
        return events.pop(0)

    return asyncio.run(read_body(receive))


def test_a_body_comes_in_pieces() -> None:
    assert read(b"To=", b"", b"x") == b"To=x"
    assert read() == b""
    assert len(read(b"a" * BODY_BYTES_MAX)) == BODY_BYTES_MAX


@pytest.mark.parametrize("parts", [[b"a" * (BODY_BYTES_MAX + 1)], [b"a" * 1024] * 65])
def test_a_body_has_an_end(parts: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        read(*parts)
    assert caught.value.problem.status == 413


# -- forms --------------------------------------------------------------------------------


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20))
def test_what_any_client_encodes_is_read(pairs: list[tuple[str, str]]) -> None:
    expected: dict[str, list[str]] = {}
    for name, value in pairs:
        if value:
            expected.setdefault(name, []).append(value)
    assert parse_form(urlencode(pairs).encode(), []) == expected


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20))
def test_a_form_in_parts_says_the_same(pairs: list[tuple[str, str]]) -> None:
    """W4. Quotes and line ends in names are percent-encoded by browsers; here they are left out."""
    pairs = [(n.translate({34: "", 13: "", 10: ""}), v) for n, v in pairs if "--0dd" not in v]
    body = b"".join(
        f'--0dd\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name="{n}"'
        f"\r\n\r\n{v}\r\n".encode()
        for n, v in pairs
    )
    kind = (b"content-type", b'multipart/form-data; charset=utf-8; boundary="0dd"')
    assert parse_form(body + b"--0dd--", [kind]) == parse_form(urlencode(pairs).encode(), [])


def test_empty_values_are_absent_unless_they_count() -> None:
    """W5; an update asks for the empty ones too."""
    assert parse_form(b"Body=&To=x&Flag", []) == {"To": ["x"]}
    kept = parse_form(b"Body=&To=x&Flag", [], keep_empty=True)
    assert kept == {"Body": [""], "To": ["x"], "Flag": [""]}


def test_names_may_be_encoded_and_values_keep_their_order() -> None:
    form = parse_form(b"Media%55rl=b&MediaUrl=a&MediaUrl=b", [])
    assert form == {"MediaUrl": ["b", "a", "b"]}


@pytest.mark.parametrize("body", [b"a=%ff", b"%ff=a", b"a=\xff", b"a=%ED%A0%80", b"a=%C0%80"])
def test_what_is_not_utf8_is_refused(body: bytes) -> None:
    refused("malformed_request", body)


def test_a_form_has_so_many_fields_and_no_more() -> None:
    assert parse_form(b"&".join([b"a=1"] * FIELDS_MAX), []) == {"a": ["1"] * FIELDS_MAX}
    refused("malformed_request", b"&".join([b"a=1"] * (FIELDS_MAX + 1)))
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    refused(
        "malformed_request", part * (FIELDS_MAX + 1) + b"--x--", b"multipart/form-data; boundary=x"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"--x", b"--y\r\n\r\n\r\n--y--", b"--x\r\n\r\nvalue\r\n--x--",
        b"--x\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nv\r\n--x--",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\nv\r\n--x--",
        b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n",
        b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--",
    ],
)  # fmt: skip
def test_broken_parts_are_refused(body: bytes) -> None:
    refused("malformed_request", body, PARTS)


def test_a_form_of_no_parts_is_empty() -> None:
    assert parse_form(b"--x--", [(b"content-type", PARTS)]) == {}


@pytest.mark.parametrize("kind", [b"application/x-www-form-urlencoded", b"multipart/form-data",
                                  b"multipart/mixed; boundary=x"])  # fmt: skip
def test_dashes_alone_are_no_parts(kind: bytes) -> None:
    assert parse_form(b"--x=1", [(b"content-type", kind)]) == {"--x": ["1"]}
    assert parse_form(b"--x=1", []) == {"--x": ["1"]}


# -- answers ------------------------------------------------------------------------------


def test_a_message_as_read() -> None:
    shown = message_json(message(), ACCOUNT)
    assert shown["date_created"] == "Thu, 24 Aug 2023 05:01:45 +0000"
    assert shown["date_updated"] == "Thu, 24 Aug 2023 05:01:46 +0000"
    assert shown["date_sent"] is None
    assert (shown["num_segments"], shown["num_media"]) == ("2", "0")
    assert shown["uri"] == f"{URI}.json"
    feedback = {"media": f"{URI}/Media.json", "feedback": f"{URI}/Feedback.json"}
    assert shown["subresource_uris"] == feedback


@pytest.mark.parametrize("body", ["Hi", 'a "quoted" \\ % {line}\n\x00\x7f', "é\U0001f600\u2028"])
@pytest.mark.parametrize(
    "more", [{}, {"status": Status.SCHEDULED}, {"service": "MG1"}, {"media": 1}]
)
def test_a_message_as_created(body: str, more: dict[str, Any]) -> None:
    whole = {"status": Status.QUEUED, "updated_ms": 1_692_853_305_999, "body": Private(body)}
    new = message(**{**whole, **more})
    media = {"media": f"{URI}/Media.json"}
    assert created_json(new, ACCOUNT) == encode(
        {**message_json(new, ACCOUNT), "subresource_uris": media}
    )


@pytest.mark.parametrize(
    ("code", "text"), [(None, None), (30003, "Unreachable destination handset"), (99999, None)]
)
def test_an_error_code_and_its_text(code: int | None, text: str | None) -> None:
    shown = message_json(message(status=Status.UNDELIVERED, error_code=code), ACCOUNT)
    assert (shown["error_code"], shown["error_message"]) == (code, text)


def test_what_was_forgotten_shows_what_is_left_of_it() -> None:
    """RC-8: an empty body, a masked number, our own in full."""
    left = message(body=None, from_=None, to=None, from_shown="+1500", to_shown="+1628555XXXX")
    shown = message_json(left, ACCOUNT)
    assert (shown["body"], shown["from"], shown["to"]) == ("", "+1500", "+1628555XXXX")


def test_an_answer_is_json_of_a_known_length() -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    body = encode(message_json(message(body=Private("é\U0001f600")), ACCOUNT))
    asyncio.run(respond(send, 201, body, [(b"x-more", b"1")]))
    head, content = sent
    assert head["status"] == 201
    assert dict(head["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": str(len(body)).encode(),
        b"x-more": b"1",
    }
    assert msgspec.json.decode(content["body"])["body"] == "é\U0001f600"


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_who_may_try_again_is_told_when(name: str) -> None:
    """W15: every 429 says when; every 401 says how."""
    problem = PROBLEMS[name]
    headers = {name for name, _ in refusal_headers(_refusal(name))}
    assert (b"retry-after" in headers) == (problem.status == 429)
    assert (b"www-authenticate" in headers) == (problem.status == 401)


@pytest.mark.parametrize(
    ("name", "header", "challenge"),
    [
        ("token_invalid", b"Bearer x", b'Bearer realm="Twilio API", error="invalid_token"'),
        ("token_expired", b"bearer x", b'Bearer realm="Twilio API", error="invalid_token"'),
        ("authenticate", b"Bearer x", b'Bearer realm="Twilio API", error="invalid_token"'),
        ("scope_missing", b"Bearer x", b'Bearer realm="Twilio API", error="insufficient_scope"'),
        ("authenticate", b"Basic x", b'Basic realm="Twilio API"'),
        ("not_found", b"Bearer x", None), ("not_found", b"Basic x", None),
    ],
)  # fmt: skip
def test_a_bearer_is_told_of_tokens(name: str, header: bytes, challenge: bytes | None) -> None:
    """RFC 6750, 3: the scheme that came, and what was wrong with the token."""
    scope = {"headers": [(b"authorization", header)]}
    found = dict(refusal_headers(_refusal(name), scope)).get(b"www-authenticate")
    assert found == challenge


def _refusal(name: str) -> Refusal:
    fields = [field for _, field, _, _ in Formatter().parse(PROBLEMS[name].message) if field]
    return Refusal(name, **dict.fromkeys(fields, "x"))


def test_come_back_later_says_when() -> None:
    assert refusal_headers(Unavailable("unavailable", 30)) == [(b"retry-after", b"30")]
