"""Our signature against the official validator."""

import uuid
from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from hushwire.outbound.url import parse_url
from hushwire.webhooks.signature import Signer, idempotency_token, sign, signed_url

TOKEN = "12345"

hosts = st.sampled_from(
    ["example.com", "EXAMPLE.com", "a.b.example.org", "8.8.8.8", "xn--e-4ga.de"]
)
ports = st.one_of(st.just(""), st.sampled_from([":80", ":443", ":8443", ":65535"]))
userinfos = st.sampled_from(["", "user@", "user:p%40ss@", ":@"])
fragments = st.sampled_from(["", "#", "#rc=2&rp=all", "#a?b/c@d"])
words = st.text(st.characters(min_codepoint=0x21, exclude_categories=("Cs",)), max_size=12)
# urlsplit, inside the validator, drops what follows an empty ";" and reads no control characters
segments = words.map(lambda t: "".join(c for c in t if c not in "/?#;\\" and c.isprintable()))
paths = st.lists(segments, max_size=4).map(lambda parts: "/" + "/".join(parts)).filter(
    lambda path: not path.startswith("//")
)  # fmt: skip
queries = st.lists(st.tuples(segments, segments), max_size=4).map(
    lambda pairs: "?" + "&".join(f"{k}={v}" for k, v in pairs) if pairs else ""
)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(st.sampled_from(["http", "https", "HTTPS"]), userinfos, hosts, ports, paths, queries,
       fragments, st.dictionaries(names, values, max_size=8), names)  # fmt: skip
def test_the_official_validator_accepts(
    scheme: str, userinfo: str, host: str, port: str, path: str, query: str, fragment: str,
    params: dict[str, str], token: str,
) -> None:  # fmt: skip
    signature = sign(
        token, f"{scheme}://{userinfo}{host}{port}{path}{query}{fragment}", sorted(params.items())
    )
    seen = f"{scheme.lower()}://{host}{port}{path}{query}"  # rebuilt from the request
    validator = RequestValidator(token)
    assert validator.validate(seen, params, signature)
    assert not validator.validate(seen + "x", params, signature)
    assert not validator.validate(seen, {**params, "more": "x"}, signature)


@given(userinfos, hosts, ports, paths, queries, fragments)
def test_what_is_signed_is_what_is_called(
    userinfo: str, host: str, port: str, path: str, query: str, fragment: str
) -> None:
    url = f"https://{userinfo}{host}{port}{path}{query}{fragment}"
    parts = parse_url(url)
    if not isinstance(parts, str):
        assert parts.text() == signed_url(url)
        assert urlsplit(parts.text()).geturl() == parts.text()


def test_repeated_names_are_signed_like_the_validator_has_them() -> None:
    class Form(dict[str, list[str]]):
        def getall(self, name: str) -> list[str]:
            return self[name]

    pairs = [("A", "1"), ("A", "2"), ("B", "")]
    signature = sign(TOKEN, "https://example.com/p", pairs)
    form = Form(A=["2", "1", "1"], B=[""])
    assert RequestValidator(TOKEN).validate("https://example.com/p", form, signature)


def test_the_published_vector() -> None:
    params = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234",
        "From": "+14158675310", "To": "+18005551212",
    }  # fmt: skip
    url = "https://example.com/myapp.php?foo=1&bar=2"
    expected = "L/OH5YylLD5NRKLltdqwSvS0BnU="
    assert sign(TOKEN, url, sorted(params.items())) == expected
    joined = "".join(name + value for name, value in sorted(params.items()))
    assert Signer(TOKEN).sign_text(url, joined) == expected


def test_the_signed_url() -> None:
    assert (
        signed_url("HTTPS://u:p@Example.com:443/a?b=c@d#rc=2") == "https://Example.com:443/a?b=c@d"
    )
    assert signed_url("https://example.com/a@b?") == "https://example.com/a@b"
    assert signed_url("https://example.com?to=a@b/c") == "https://example.com?to=a@b/c"
    assert signed_url("https://example.com/a??") == "https://example.com/a??"


def test_idempotency_tokens() -> None:
    sid = "SM" + "0" * 32
    token = idempotency_token(sid, 2)
    assert token == idempotency_token(sid, 2)
    assert len({token, idempotency_token(sid, 3), idempotency_token("SM" + "1" * 32, 2)}) == 3
    for number in range(64):
        text = idempotency_token(sid, number)
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 8, uuid.RFC_4122)
