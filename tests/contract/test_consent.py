"""The consent page: what it says, whom it believes, and what it stores, which is nothing before
somebody approves."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from belongings import send
from harness import RunningServer
from hushwire.connect.registry import SCOPES
from oauth_rig import APPS, CALLBACK, App, Person, bearer, code_of, make_app, said
from tenants import Tenant, owner, subaccount

PERSONA = ("messages.read", "messages.list", "accounts.read", "accounts.list")


@pytest.fixture(scope="module")
def tenant(server: RunningServer) -> Tenant:
    return subaccount(server, "Of consent")


@pytest.fixture
def app(tenant: Tenant) -> App:
    return make_app(tenant, *PERSONA, name='Persona <script>alert("x")</script>')


@pytest.fixture
def person() -> Person:
    return Person()


def grants(app: App) -> list[dict[str, Any]]:
    return json.loads(send(app.tenant, "GET", f"{APPS}/{app.id}/grants")[2])["grants"]


def approved(app: App, person: Person, **changes: str) -> dict[str, str]:
    person.visit(app.page(**changes))
    return said(person.decide("approve", app.tenant.sid, app.tenant.password))


def test_review_and_approve(server: RunningServer, app: App, person: Person) -> None:
    """P-2, P-3: the page names the app and each permission in words; approving gives a code."""
    page = person.visit(app.page())
    assert page.status_code == 200
    assert "Review and approve the requested permissions" in page.text
    for scope in PERSONA:
        assert f"{SCOPES[scope].capitalize()}</span> <code>{scope}</code>" in page.text
    assert "messages.send" not in page.text
    assert "<script" not in page.text
    assert "Persona &lt;script&gt;" in page.text
    told = said(person.decide("approve", app.tenant.sid, app.tenant.password))
    assert (told["state"], told["iss"], told.keys()) == (
        "a state", server.url, {"code", "state", "iss"},
    )  # fmt: skip
    assert grants(app) == []
    given = json.loads(app.exchange(told["code"])[2])
    assert given["scope"] == " ".join(PERSONA)
    assert bearer(app.tenant, given["access_token"], "GET", "Messages.json")[0] == 200
    sent = bearer(app.tenant, given["access_token"], "POST", "Messages.json", To="+14155550172")
    assert (sent[0], code_of(sent)) == (403, 70051)
    assert [grant["scopes"] for grant in grants(app)] == [list(PERSONA)]


def test_denial_stores_nothing(app: App, person: Person) -> None:
    """P-3: it takes no credentials, and tells the app."""
    person.visit(app.page())
    told = said(person.decide("deny"))
    assert (told["error"], told["state"]) == ("access_denied", "a state")
    assert "code" not in told
    assert grants(app) == []


def test_a_grant_can_be_taken_back(app: App, person: Person) -> None:
    given = json.loads(app.exchange(approved(app, person)["code"])[2])
    (grant,) = grants(app)
    assert send(app.tenant, "DELETE", f"{APPS}/{app.id}/grants/{grant['sid']}")[0] == 204
    answer = bearer(app.tenant, given["access_token"], "GET", "Messages.json")
    assert (answer[0], code_of(answer)) == (401, 20101)
    refused = app.ask("refresh_token", refresh_token=given["refresh_token"])
    assert json.loads(refused[2])["error"] == "invalid_grant"


def test_refresh_rotates_and_reuse_ends_all(app: App, person: Person) -> None:
    given = json.loads(app.exchange(approved(app, person)["code"])[2])
    wider = app.ask("refresh_token", refresh_token=given["refresh_token"], scope="messages.send")
    assert json.loads(wider[2])["error"] == "invalid_scope"
    second = app.given("refresh_token", refresh_token=given["refresh_token"])
    assert second["refresh_token"] != given["refresh_token"]
    reuse = app.ask("refresh_token", refresh_token=given["refresh_token"])
    assert json.loads(reuse[2])["error"] == "invalid_grant"
    assert code_of(bearer(app.tenant, second["access_token"], "GET", "Messages.json")) == 20101
    assert grants(app) == []


def test_replay_and_a_wrong_verifier(app: App, person: Person) -> None:
    code = approved(app, person)["code"]
    token = json.loads(app.exchange(code)[2])["access_token"]
    assert json.loads(app.exchange(code)[2])["error"] == "invalid_grant"
    assert code_of(bearer(app.tenant, token, "GET", "Messages.json")) == 20101
    code = approved(app, person)["code"]
    assert json.loads(app.exchange(code, code_verifier="x" * 43)[2])["error"] == "invalid_grant"
    assert json.loads(app.exchange(code)[2])["error"] == "invalid_grant"


# Whom it believes -----------------------------------------------------------------------------


def test_wrong_credentials_approve_nothing(server: RunningServer, app: App, person: Person) -> None:
    """Nor do right ones of another account, its parent's, or a key's."""
    person.visit(app.page())
    parent, sibling, key = owner(server), subaccount(server), app.tenant.key(KeyType="main")
    for sid, token in (
        (app.tenant.sid, "0" * 32), (parent.sid, parent.password), (sibling.sid, sibling.password),
        (key.user, key.password), ("", ""), (app.tenant.sid, ""),
    ):  # fmt: skip
        answer = person.decide("approve", sid, token)
        assert answer.status_code == 403
        assert 'role="alert"' in answer.text
        assert not token or token not in answer.text
    assert said(person.decide("approve", app.tenant.sid, app.tenant.password))["code"]


def test_wrong_tries_are_throttled(
    tmp_path_factory: pytest.TempPathFactory, person: Person
) -> None:
    with RunningServer(tmp_path_factory.mktemp("throttle") / "data") as server:
        app = make_app(owner(server))
        person.visit(app.page())
        states = [person.decide("approve", server.sid, "x").status_code for _ in range(22)]
        assert states[0] == 403
        busy = person.decide("approve", server.sid, server.token)
        assert (busy.status_code, states[-1]) == (429, 429)
        assert int(busy.headers["retry-after"]) > 0


def test_a_form_of_another_site_is_refused(app: App, person: Person) -> None:
    """CSRF: the form belongs to this visitor, and to these parameters."""
    own = (app.tenant.sid, app.tenant.password)
    person.visit(app.page())
    stranger = Person()
    stranger.visit(app.page())
    stolen = stranger.proof()
    assert person.decide("approve", *own, proof=stolen).status_code == 403
    assert person.decide("approve", *own, proof="").status_code == 403
    assert person.decide("deny", proof="0" * 64).status_code == 403
    proof, shown = person.proof(), person.shown
    assert shown is not None
    form = {"proof": proof, "decision": "approve", "account_sid": own[0], "auth_token": own[1]}
    elsewhere = person.http.post(app.page(scope="messages.list"), data=form)
    assert elsewhere.status_code == 403  # what was reviewed is what is approved
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert person.http.post(str(shown.url), data=form, headers=headers).status_code == 403
    person.http.cookies.clear()
    assert person.http.post(str(shown.url), data=form).status_code == 403
    assert grants(app) == []


def test_headers_that_keep_the_page_to_itself(app: App, person: Person) -> None:
    """No frames, scripts, copies or referrer; the same on the error page and the way back."""
    page = person.visit(app.page())
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8765;" in policy
    assert "unsafe" not in policy
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    refused = Person().visit(app.page(client_id="x"))
    back = person.decide("deny")
    for answer in (page, refused, back):
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


# What is asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "OQ" + "0" * 32},
        {"client_id": None},
        {"redirect_uri": None},
        *(
            {"redirect_uri": uri}
            for uri in (
                f"{CALLBACK}/", f"{CALLBACK}?x=y", f"{CALLBACK}#x", "http://127.0.0.1:8766/callback",
                "http://127.0.0.1:8765/callback/../x", "HTTP://127.0.0.1:8765/callback",
                "http://127.0.0.1:8765@evil.example/callback", "https://evil.example/callback",
                "http://localhost:8765/callback", "//evil.example", "javascript:alert(1)",
                "http://127.0.0.1:8765/callback%00", f"{CALLBACK}\r\nSet-Cookie: a=b",
            )
        ),
    ],
)  # fmt: skip
def test_nobody_is_sent_where_the_app_does_not_say(
    app: App, person: Person, changes: dict[str, str | None]
) -> None:
    """Who asks is not certain, so nothing is told to anybody but the person."""
    answer = person.visit(app.page(**changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"state": None}, "invalid_request"),
        ({"state": "x" * 1_025}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "messages.send"}, "invalid_scope"),
        ({"scope": "messages.list everything"}, "invalid_scope"),
    ],
)
def test_what_cannot_be_is_told_to_the_app(
    app: App, person: Person, changes: dict[str, str | None], error: str
) -> None:
    assert said(person.visit(app.page(**changes)))["error"] == error


def test_fewer_scopes_may_be_asked_for(app: App, person: Person) -> None:
    """P-5: and the token has no more."""
    code = approved(app, person, scope="messages.list")["code"]
    given = json.loads(app.exchange(code)[2])
    assert given["scope"] == "messages.list"
    answer = bearer(app.tenant, given["access_token"], "GET", "/2010-04-01/Accounts.json")
    assert code_of(answer) == 70051


def test_a_parameter_that_is_given_twice(app: App, person: Person) -> None:
    twice = urlencode({"redirect_uri": "https://evil.example/"})
    answer = person.visit(f"{app.page()}&{twice}")
    assert answer.status_code == 400
    assert "redirect_uri twice" in answer.text


def test_forms_that_are_none(app: App, person: Person) -> None:
    page = person.visit(app.page())
    for body, kind in ((b"{}", "application/json"), (b"\xff=1", "text/plain"), (b"", "text/plain")):
        answer = person.http.post(str(page.url), content=body, headers={"Content-Type": kind})
        assert answer.status_code in (400, 403)
        assert answer.headers["content-type"].startswith("text/html")
    assert person.decide("perhaps").status_code == 400


def test_the_page_is_whole_without_scripts(app: App, person: Person) -> None:
    """Labels for each field, a language, a title, one heading: what a screen reader needs."""
    text = person.visit(app.page()).text
    ids = set(re.findall(r'<input id="(\w+)"', text))
    assert ids == set(re.findall(r'<label for="(\w+)"', text)) == {"account_sid", "auth_token"}
    assert '<html lang="en">' in text
    assert text.count("<h1>") == text.count("<title>") == 1
    assert not re.search(r"\son\w+=|javascript:|style=", text)


def test_it_survives_a_restart_and_leaves_no_secret_on_the_disk(
    tmp_path_factory: pytest.TempPathFactory, person: Person
) -> None:
    """Tokens count on after a start; none of them, nor a code or a secret, can be read there."""
    data = tmp_path_factory.mktemp("restart") / "data"
    with RunningServer(data) as server:
        app = make_app(owner(server), *PERSONA)
        code = approved(app, person)["code"]
        given = json.loads(app.exchange(code)[2])
    with RunningServer(data) as server:
        app = app._replace(tenant=owner(server))
        answer = bearer(app.tenant, given["access_token"], "GET", "Messages.json")
        assert answer[0] == 200
        renewed = app.given("refresh_token", refresh_token=given["refresh_token"])
        tokens = [
            each[name] for each in (given, renewed) for name in ("access_token", "refresh_token")
        ]
    found = b"".join(file.read_bytes() for file in data.parent.rglob("*") if file.is_file())
    assert app.id.encode() in found  # the search finds what is there
    for secret in (app.secret, code, *tokens):
        assert secret.encode() not in found
