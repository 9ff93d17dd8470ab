"""Webhooks are believed exactly when the official validator believes them, and when they are whole.

W14: HMAC-SHA1 over URL and parameters, JSON by `bodySHA256`, HMAC-SHA256 by a shared key.
"""

from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlencode

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as of_tests
from hypothesis import strategies as st
from twilio.request_validator import HMAC_SHA256, RequestValidator

from hushwire.connect.signed import (
    Proxies,
    Secrets,
    Webhook,
    distrust,
    public_url,
    sign,
    spellings,
)
from hushwire.private import Private

TOKEN, OTHER, SHARED, KEY_ID = "a" * 32, "b" * 32, "shared-secret", "webhooks_sharedkey_1"
SECRETS = Secrets((Private(TOKEN),), {KEY_ID: Private(SHARED)})
URL = "https://example.com/sms?tenant=7"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
PARAMS = {"MessageSid": "SM1", "From": "+14155550123", "Body": "Grüße & more", "NumMedia": "0"}

texts = st.text(st.characters(codec="utf-8"), max_size=12)
forms = st.dictionaries(texts, texts, max_size=5)
secrets = st.text("0123456789abcdef", min_size=32, max_size=32)
ports = st.none() | st.sampled_from([80, 443, 8443])


def posted(url: str, params: Mapping[str, str], signature: str, **headers: str) -> Webhook:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = urlencode(params).encode()
    return Webhook("POST", url, {**FORM, "x-twilio-signature": signature, **named}, body)


def settings(algorithm: str = HMAC_SHA256, key: str = KEY_ID) -> dict[str, str]:
    return {"x_twilio_webhooks_signature_settings": f"key={key},algorithm={algorithm}"}


def test_the_published_vector() -> None:
    params = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234",
        "From": "+14158675310", "To": "+18005551212",
    }  # fmt: skip
    url = "https://example.com/myapp.php?foo=1&bar=2"
    signature = "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert sign(Private("12345"), url, params.items()) == signature
    assert distrust(posted(url, params, signature), Secrets((Private("12345"),))) is None


@of_tests(deadline=None)
@given(secrets, st.sampled_from(["http", "https"]), ports, texts, forms)
def test_what_the_sdk_signs_is_believed_and_the_other_way_round(
    token: str, scheme: str, port: int | None, path: str, params: dict[str, str]
) -> None:
    """W14: both ways, with a port and without one."""
    host = "example.com" if port is None else f"example.com:{port}"
    url = f"{scheme}://{host}/{urlencode({'p': path})}"
    sdk, own = RequestValidator(token), Private(token)
    for spelling in spellings(url):
        made = sdk.compute_signature(spelling, params)
        assert distrust(posted(url, params, made), Secrets((own,))) is None
        assert sdk.validate(url, params, sign(own, spelling, params.items()))


@of_tests(deadline=None)
@given(forms, forms, secrets, secrets)
@example({"a": "b"}, {"a": "b", "c": ""}, TOKEN, TOKEN)
@example({"a": ""}, {"a": "", "b": ""}, TOKEN, OTHER)
def test_it_is_believed_when_the_sdk_believes_it(
    signed: dict[str, str], sent: dict[str, str], by: str, known: str
) -> None:
    signature = RequestValidator(by).compute_signature(URL, signed)
    theirs = RequestValidator(known).validate(URL, sent, signature)
    ours = distrust(posted(URL, sent, signature), Secrets((Private(known),)))
    assert (ours is None) == theirs
    if by != known:
        assert ours == "signature"


@of_tests(deadline=None)
@given(st.integers(0, len(URL) - 1), st.sampled_from("abz019/?&="))
def test_any_change_of_the_url_is_refused(at: int, character: str) -> None:
    changed = URL[:at] + character + URL[at + 1 :]
    assume(changed != URL)
    signature = sign(Private(TOKEN), URL, PARAMS.items())
    assert distrust(posted(changed, PARAMS, signature), SECRETS) == "signature"


@of_tests(deadline=None)
@given(st.sampled_from(sorted(PARAMS)), texts)
def test_any_change_of_a_parameter_is_refused(name: str, value: str) -> None:
    assume(PARAMS[name] != value)
    signature = sign(Private(TOKEN), URL, PARAMS.items())
    assert distrust(posted(URL, {**PARAMS, name: value}, signature), SECRETS) == "signature"
    fewer = {key: text for key, text in PARAMS.items() if key != name}
    assert distrust(posted(URL, fewer, signature), SECRETS) == "signature"
    assert distrust(posted(URL, {**PARAMS, "Zz": value}, signature), SECRETS) == "signature"


@of_tests(deadline=None)
@given(st.binary(min_size=1, max_size=50), st.binary(min_size=1, max_size=50))
def test_a_json_body_is_held_to_its_hash(body: bytes, other: bytes) -> None:
    """W14: the hash is in the URL, and the URL is signed."""
    assume(body != other)
    url = f"{URL}&bodySHA256={sha256(body).hexdigest()}"
    headers = {"content-type": "application/json"}
    headers["x-twilio-signature"] = sign(Private(TOKEN), url)
    assert distrust(Webhook("POST", url, headers, body), SECRETS) is None
    assert distrust(Webhook("POST", url, headers, other), SECRETS) == "body"


def test_json_is_signed_as_the_sdk_signs_it() -> None:
    body = '{"MessageSid":"SM1"}'
    url = f"{URL}&bodySHA256={sha256(body.encode()).hexdigest()}"
    made = RequestValidator(TOKEN).compute_signature(url, {})
    assert RequestValidator(TOKEN).validate(url, body, made)
    headers = {"content-type": "application/json", "x-twilio-signature": made}
    assert distrust(Webhook("POST", url, headers, body.encode()), SECRETS) is None


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_a_body_without_a_hash_is_refused(content_type: str) -> None:
    """The signature of a URL says nothing of a body beside it."""
    headers = {"x-twilio-signature": sign(Private(TOKEN), URL), "content-type": content_type}
    assert distrust(Webhook("POST", URL, headers, b"{}"), SECRETS) == "body"
    assert distrust(Webhook("GET", URL, headers), SECRETS) is None


def test_two_hashes_are_no_hash() -> None:
    body = b"{}"
    url = f"{URL}&bodySHA256={sha256(body).hexdigest()}&bodySHA256={'0' * 64}"
    headers = {"x-twilio-signature": sign(Private(TOKEN), url)}
    assert distrust(Webhook("POST", url, headers, body), SECRETS) == "body"


def test_shared_keys() -> None:
    """W14: `X-Twilio-Webhooks-Signature-Settings: key=…,algorithm=HMAC_SHA256`."""
    made = RequestValidator(SHARED).compute_signature(URL, PARAMS, HMAC_SHA256)
    assert made == sign(Private(SHARED), URL, PARAMS.items(), "sha256")
    assert distrust(posted(URL, PARAMS, made, **settings()), SECRETS) is None
    assert distrust(posted(URL, PARAMS, made), SECRETS) == "signature"
    unknown = posted(URL, PARAMS, made, **settings(key="webhooks_sharedkey_2"))
    assert distrust(unknown, SECRETS) == "unknown_key"
    newer = posted(URL, PARAMS, made, **settings("HMAC_SHA3"))
    assert distrust(newer, SECRETS) == "unknown_algorithm"
    by_token = sign(Private(TOKEN), URL, PARAMS.items(), "sha256")
    assert distrust(posted(URL, PARAMS, by_token, **settings()), SECRETS) == "signature"


def test_both_tokens_count_while_one_is_exchanged() -> None:
    both = Secrets((Private(TOKEN), Private(OTHER)))
    for token in (TOKEN, OTHER):
        made = sign(Private(token), URL, PARAMS.items())
        assert distrust(posted(URL, PARAMS, made), both) is None
    assert distrust(posted(URL, PARAMS, ""), both) == "unsigned"
    assert distrust(posted(URL, PARAMS, "ü"), both) == "signature"
    nobody = sign(Private(TOKEN), URL, PARAMS.items())
    assert distrust(posted(URL, PARAMS, nobody), Secrets()) == "signature"


def test_a_repeated_parameter_counts_once() -> None:
    """W14: duplicates are de-duplicated."""
    pairs = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]
    made = sign(Private(TOKEN), URL, [("MediaUrl", "a"), ("MediaUrl", "b")])
    headers = {**FORM, "x-twilio-signature": made}
    assert distrust(Webhook("POST", URL, headers, urlencode(pairs).encode()), SECRETS) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://h/p", ("https://h/p", "https://h:443/p")),
        ("http://h/p", ("http://h/p", "http://h:80/p")),
        ("https://h:8443/p?q=1", ("https://h/p?q=1", "https://h:8443/p?q=1")),
        ("https://me:pw@h/p#rc=2", ("https://h/p", "https://h:443/p")),
        ("https://[::1]/p", ("https://[::1]/p", "https://[::1]:443/p")),
        ("https://[::1]:9/p", ("https://[::1]/p", "https://[::1]:9/p")),
    ],
)
def test_spellings(url: str, expected: tuple[str, ...]) -> None:
    """W14: with and without the port; what is no part of a request is never signed."""
    assert spellings(url) == expected


BEHIND = Proxies(trusted=("10.0.0.0/8", "::1"))


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("10.1.2.3", {"x-forwarded-proto": "https"}, "https://inner:8000/sms?a=%20"),
        ("10.1.2.3", {"x-forwarded-proto": "https", "x-forwarded-host": "me.example"},
         "https://me.example/sms?a=%20"),
        ("::1", {"x-forwarded-proto": "https, http", "x-forwarded-host": "me.example, in",
                 "x-forwarded-port": "443"}, "https://me.example/sms?a=%20"),
        ("10.1.2.3", {"x-forwarded-host": "me.example", "x-forwarded-port": "8443"},
         "http://me.example:8443/sms?a=%20"),
        ("203.0.113.9", {"x-forwarded-proto": "https", "x-forwarded-host": "evil"},
         "http://inner:8000/sms?a=%20"),
        ("", {"x-forwarded-host": "evil"}, "http://inner:8000/sms?a=%20"),
    ],
)  # fmt: skip
def test_the_url_behind_a_proxy(peer: str, headers: dict[str, str], expected: str) -> None:
    """Only a trusted proxy is believed; the target stays as it came, escapes included."""
    given = {"host": "inner:8000", **headers}
    assert public_url(BEHIND, peer, "http", given, "/sms?a=%20") == expected


def test_a_public_url_needs_no_header() -> None:
    proxies = Proxies("https://me.example/")
    found = public_url(proxies, "203.0.113.9", "http", {"host": "x"}, "/sms")
    assert found == "https://me.example/sms"
    made = RequestValidator(TOKEN).compute_signature("https://me.example:443/sms", PARAMS)
    assert distrust(posted(found, PARAMS, made), SECRETS) is None


def test_nothing_private_is_shown() -> None:
    shown = repr(posted(URL, PARAMS, "x"))
    assert "4155550123" not in shown
    assert "example" not in shown
