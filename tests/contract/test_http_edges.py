"""The edges of HTTP: credentials, paths and methods nobody serves, and requests that are none."""

import http.client
import json
from base64 import b64encode
from urllib.parse import urlsplit

import pytest

from harness import RunningServer
from wire_checks import FORM, assert_refused, create, fresh_phone, get, messages, post, refusal


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


METHODS = [("GET", None), ("POST", b"Body=x"), ("DELETE", None)]


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic ", "Basic !", "Basic QUM=", "Basic /w==", "Digest x", "x",
     "Basic " + b64encode(b":").decode(), "Basic " + "A" * 5000],
)  # fmt: skip
def test_malformed_credentials(server: RunningServer, header: str) -> None:
    answer = server.request("GET", messages(server), None, {"Authorization": header}, auth=False)
    assert_refused(answer, 401, 20003, "Authenticate")
    assert answer[1]["www-authenticate"] == 'Basic realm="Twilio API"'


def test_a_bearer_that_is_none_of_ours(server: RunningServer) -> None:
    headers = {"Authorization": "Bearer abc"}
    answer = server.request("GET", messages(server), None, headers, auth=False)
    assert_refused(answer, 401, 20101, "Invalid Access Token")
    assert answer[1]["www-authenticate"] == 'Bearer realm="Twilio API", error="invalid_token"'


@pytest.mark.parametrize(("method", "body"), METHODS)
def test_none_and_wrong_credentials(server: RunningServer, method: str, body: bytes | None) -> None:
    """K-4, 2.6: 401 with 20003 and how to authenticate, on every resource, whatever is sent."""
    sid = create(server)["sid"]
    path = messages(server) if method == "POST" else messages(server, sid)
    answer = server.request(method, path, body, auth=False)
    assert_refused(answer, 401, 20003, "Authentication Error - No credentials provided")
    assert answer[1]["www-authenticate"] == 'Basic realm="Twilio API"'
    for user, password in [
        (server.sid, "0" * 32), (server.sid, ""), ("AC" + "0" * 32, server.token),
        ("", server.token), (server.sid, server.token + "0"), (server.sid.lower(), server.token),
        (server.sid, "é"), (server.token, server.sid),
    ]:  # fmt: skip
        answer = server.request(method, path, body, basic(user, password), auth=False)
        assert_refused(answer, 401, 20003, "Authenticate")
        assert answer[1]["www-authenticate"] == 'Basic realm="Twilio API"'
    assert get(server, messages(server, sid))["sid"] == sid


def test_the_sdk_with_a_wrong_token(server: RunningServer) -> None:
    client = server.client()
    client.auth = (server.sid, "0" * 32)
    to = fresh_phone()
    error = refusal(lambda: client.messages.create(to=to, from_=server.number, body="x"))
    assert (error.status, error.code) == (401, 20003)
    assert error.msg == "Unable to create record: Authenticate"


def test_the_scheme_is_read_in_any_case(server: RunningServer) -> None:
    for scheme in ("basic", "BASIC"):
        value = scheme + " " + basic(server.sid, server.token)["Authorization"][6:]
        answer = server.request("GET", messages(server), None, {"Authorization": value}, auth=False)
        assert answer[0] == 200


@pytest.mark.parametrize("account", ["AC" + "0" * 32, "AC" + "f" * 32, "ACx", "x", "AC%20"])
def test_a_foreign_account_is_as_unknown_as_none(server: RunningServer, account: str) -> None:
    """D13, P-20: 404 with 20404 and no data; nothing tells an account that is from one that is
    not."""
    sid = create(server)["sid"]
    base = f"/2010-04-01/Accounts/{account}/Messages"
    answers = [
        server.request("GET", f"{base}.json"),
        post(server, {"To": fresh_phone(), "From": server.number, "Body": "x"}, f"{base}.json"),
        server.request("GET", f"{base}/{sid}.json"),
        post(server, b"Body=", f"{base}/{sid}.json"),
        server.request("DELETE", f"{base}/{sid}.json"),
    ]
    for answer in answers:
        assert_refused(answer, 404, 20404)
    assert get(server, messages(server, sid))["body"] == "Hello Ada"


@pytest.mark.parametrize(
    "path",
    ["/", "/2010-04-01/", "/2010-04-01/Accounts/{sid}/Calls.json",
     "/2010-04-01/Accounts/{sid}/Messages", "/2010-04-01/Accounts/{sid}/Messages.xml",
     "/2010-04-01/Accounts/{sid}/Messages.json/", "/2010-04-01/Accounts/{sid}/messages.json",
     "/2010-04-01/Accounts/{sid}/SMS/Messages.json", "/v1/Flows", "/hushwire/v1/action",
     "/2010-04-01/Accounts/{sid}/Messages/SM%2F..%2F..json", "/favicon.ico"],
)  # fmt: skip
def test_what_is_not_served_is_not_found(server: RunningServer, path: str) -> None:
    """In Twilio's shape, so that an SDK makes an error of it."""
    path = path.format(sid=server.sid)
    answer = server.request("GET", path)
    assert_refused(answer, 404, 20404)
    if "%" not in path:
        text = f"The requested resource {path} was not found"
        assert json.loads(answer[2])["message"] == text


def test_the_sdk_on_a_resource_that_is_not_there(server: RunningServer) -> None:
    error = refusal(lambda: server.client().calls("CA" + "0" * 32).fetch())
    assert (error.status, error.code) == (404, 20404)


@pytest.mark.parametrize(
    ("method", "one"),
    [("PUT", False), ("DELETE", False), ("OPTIONS", False), ("PATCH", True), ("PUT", True)],
)
def test_other_methods_are_not_allowed(server: RunningServer, method: str, one: bool) -> None:
    """D13: 405 with 20004, and what is allowed."""
    path = messages(server, "SM" + "0" * 32 if one else None)
    answer = server.request(method, path, b"" if method in ("PUT", "PATCH") else None)
    assert_refused(answer, 405, 20004, "Method not allowed")
    allowed = {"GET", "HEAD", "POST"} | ({"DELETE"} if one else set())
    assert set(answer[1]["allow"].split(", ")) == allowed


def test_a_body_that_is_too_large(server: RunningServer) -> None:
    """413, also when its length is not told beforehand; 64 KiB pass."""
    path, auth = messages(server), basic(server.sid, server.token)
    limit = 65_536
    form = f"From={server.number}&Body=x&To={fresh_phone()}&Pad=".replace("+", "%2B").encode()
    assert post(server, form + b"a" * (limit - len(form)))[0] == 201
    assert_refused(post(server, form + b"a" * (limit - len(form) + 1)), 413, 20413)
    sid = create(server)["sid"]
    assert_refused(post(server, b"Body=" + b"a" * limit, messages(server, sid)), 413, 20413)
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    chunks = (b"a" * 8_192 for _ in range(9))
    connection.request("POST", path, chunks, {**FORM, **auth}, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (413, 20413)
    connection.close()


def test_one_connection_serves_many_requests_and_errors(server: RunningServer) -> None:
    """Keep-alive survives refusals: what follows on the connection is read as what it is."""
    auth = basic(server.sid, server.token)
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    expected = [("GET", None, 200), ("POST", b"To=12", 400), ("PUT", b"x", 405),
                ("POST", b"Body=%ff", 400), ("GET", None, 200)]  # fmt: skip
    for method, body, status in expected:
        connection.request(method, messages(server), body, {**FORM, **auth})
        response = connection.getresponse()
        assert (response.status, response.getheader("content-type")) == (status, "application/json")
        response.read()
    connection.close()


@pytest.mark.parametrize("host", ["evil.example/x", "a b", "[::1", "x?y", "x#y"])
def test_uris_do_not_follow_the_host_header(server: RunningServer, host: str) -> None:
    auth = basic(server.sid, server.token)
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    connection.putrequest("GET", f"{messages(server)}?PageSize=1", skip_host=True)
    for name, value in {"Host": host, **auth}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200
    assert json.loads(body)["uri"] == f"{messages(server)}?PageSize=1&Page=0"


def test_head_is_get_without_a_body(server: RunningServer) -> None:
    status, headers, body = server.request("HEAD", messages(server))
    assert (status, body, headers["content-type"]) == (200, b"", "application/json")


def test_health_needs_no_credentials(server: RunningServer) -> None:
    for path, text in (("/healthz", b"ok\n"), ("/readyz", b"ready\n")):
        status, _, body = server.request("GET", path, auth=False)
        assert (status, body) == (200, text)
    status, headers, body = server.request("GET", "/metrics", auth=False)
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/plain")
    assert b"# TYPE" in body
