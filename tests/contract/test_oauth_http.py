"""OAuth over HTTP: Twilio's SDK with a credential provider, the token endpoints, and which
operation takes which scope."""

import json
import re
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.credential.client_credential_provider import ClientCredentialProvider
from twilio.credential.orgs_credential_provider import OrgsCredentialProvider
from twilio.http.client_token_manager import ClientTokenManager
from twilio.http.orgs_token_manager import OrgTokenManager
from twilio.rest import Client

from belongings import send
from harness import RunningServer
from hushwire.connect.registry import SCOPES
from oauth_rig import APPS, App, bearer, code_of, make_app, post_json
from tenancy import ACCOUNT, EVERY, OURS, Operation
from tenants import Tenant, owner, subaccount
from wire_checks import FORM, fresh_phone

FORBIDDEN = 70051

# P-5: which scope each operation takes. Any other operation takes none, and refuses every bearer.
MESSAGE = f"{ACCOUNT}/Messages/{{Sid}}.json"
MEDIA = f"{ACCOUNT}/Messages/{{MessageSid}}/Media"
TAKES: dict[Operation, str] = {
    ("GET", f"{ACCOUNT}/Messages.json"): "messages.list",
    ("POST", f"{ACCOUNT}/Messages.json"): "messages.send",
    ("GET", MESSAGE): "messages.read",
    ("POST", MESSAGE): "messages.update",
    ("DELETE", MESSAGE): "messages.delete",
    ("GET", f"{MEDIA}.json"): "messages.read",
    ("GET", f"{MEDIA}/{{Sid}}.json"): "messages.read",
    ("GET", f"{MEDIA}/{{Sid}}"): "messages.read",
    ("GET", "/2010-04-01/Accounts.json"): "accounts.list",
    ("GET", "/2010-04-01/Accounts/{Sid}.json"): "accounts.read",
    ("GET", f"{ACCOUNT}/IncomingPhoneNumbers.json"): "numbers.list",
    **{
        ("GET", f"{ACCOUNT}/IncomingPhoneNumbers/{kind}.json"): "numbers.list"
        for kind in ("Local", "Mobile", "TollFree")
    },
    ("GET", "/v2/PhoneNumbers/{PhoneNumber}"): "lookups.read",
    ("GET", f"{OURS}/messages/{{Sid}}/history"): "messages.read",
    ("GET", f"{OURS}/messages/{{Sid}}/holds"): "messages.read",
    ("GET", f"{OURS}/tail"): "messages.list",
    ("GET", f"{OURS}/tombstones"): "messages.list",
}
ENDLESS = ("GET", f"{OURS}/tail")


@pytest.fixture(scope="module")
def tenant(server: RunningServer) -> Tenant:
    return subaccount(server, "Of OAuth")


@pytest.fixture(scope="module")
def app(tenant: Tenant) -> App:
    return make_app(tenant)


def paths(tenant: Tenant) -> list[tuple[Operation, str, str]]:
    """Each operation, its path with names that fit, and its query."""
    found: list[tuple[Operation, str, str]] = []
    for operation, row in EVERY.items():
        names = {
            "CountryCode": "US",
            "PhoneNumber": "+14155550123",
            "Type": "x",
            "Scope": tenant.sid,
        }
        sids = {name: f"{kind}{'0' * 32}" for name, kind in row.names.items()}
        names |= sids | {n: tenant.sid for n, kind in row.names.items() if kind == "AC"}
        path = re.sub(r"\{(\w+)\}", lambda name: names[name[1]], operation[1])  # noqa: B023
        found.append((operation, path, re.sub(r"\{\w+\}", tenant.sid, row.query)))
    return found


# The SDK --------------------------------------------------------------------------------------


def pointed(provider: Any, manager: Any, server: RunningServer, sid: str) -> Client:
    """The SDK with a credential provider, all of it pointed at the server."""
    manager.client.oauth.base_url = server.url
    provider.token_manager = manager
    client = Client(account_sid=sid, credential_provider=provider)
    client.api.base_url = server.url
    return client


def test_the_sdk_with_client_credentials(server: RunningServer, tenant: Tenant, app: App) -> None:
    """P-4: the official client fetches a token, and is answered."""
    given = (app.id, app.secret)
    manager = ClientTokenManager("client_credentials", *given)
    client = pointed(ClientCredentialProvider(*given), manager, server, tenant.sid)
    assert client.messages.list(limit=1) == []
    assert client.api.v2010.account.fetch().sid == tenant.sid
    manager = OrgTokenManager("client_credentials", *given)
    client = pointed(OrgsCredentialProvider(*given), manager, server, tenant.sid)
    assert client.api.v2010.account.fetch().sid == tenant.sid


def test_the_sdk_is_told_what_is_missing(server: RunningServer, tenant: Tenant) -> None:
    """P-6: an app that may read does not send."""
    app = make_app(tenant, "messages.read", "messages.list", "accounts.read", "accounts.list")
    given = (app.id, app.secret)
    client = pointed(
        ClientCredentialProvider(*given), ClientTokenManager("client_credentials", *given), server,
        tenant.sid,
    )  # fmt: skip
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(to=fresh_phone(), from_="+15005550006", body="x")
    assert (refused.value.status, refused.value.code) == (403, FORBIDDEN)
    manager = ClientTokenManager("client_credentials", app.id, "wrong")
    client = pointed(ClientCredentialProvider(*given), manager, server, tenant.sid)
    with pytest.raises(TwilioRestException) as wrong:
        client.messages.list(limit=1)
    assert (wrong.value.status, wrong.value.code) == (401, 20003)


# The token endpoints --------------------------------------------------------------------------


def test_both_spellings_of_the_token_endpoint(server: RunningServer, app: App) -> None:
    status, headers, body = app.ask()
    given = json.loads(body)
    assert (status, headers["cache-control"]) == (200, "no-store")
    assert given.pop("access_token").count(".") == 2
    assert given == {
        "id_token": None, "token_type": "Bearer", "expires_in": 3600, "refresh_token": None,
        "scope": " ".join(SCOPES),
    }  # fmt: skip
    form = f"GrantType=client_credentials&ClientId={app.id}&ClientSecret={app.secret}"
    basic = {**FORM, "Authorization": "Basic Og=="}  # SDKs send it; it means nothing
    status, _, body = server.request("POST", "/v1/token", form.encode(), basic, auth=False)
    assert (status, json.loads(body)["token_type"]) == (201, "bearer")


@pytest.mark.parametrize(
    ("changes", "status", "code", "error"),
    [
        ({"client_secret": "wrong"}, 401, 20003, "invalid_client"),
        ({"client_id": "OQ" + "0" * 32}, 401, 20003, "invalid_client"),
        ({"client_id": ""}, 400, 20001, "invalid_request"),
        ({"grant_type": "password"}, 400, 20422, "invalid_request"),
        ({"scope": "messages.list root"}, 400, 20422, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "x"}, 400, 20001, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, 20422, "invalid_grant"),
    ],
)
def test_what_the_token_endpoint_refuses(
    server: RunningServer, app: App, changes: dict[str, str], status: int, code: int, error: str
) -> None:
    got, headers, body = app.ask(**{"grant_type": "client_credentials", **changes})
    problem = json.loads(body)
    assert (got, problem["code"], problem["error"]) == (status, code, error)
    assert problem.keys() == {"code", "message", "more_info", "status", "error"}
    assert headers["cache-control"] == "no-store"
    assert app.secret not in body.decode()


def test_an_app_acts_for_its_own_account_alone(server: RunningServer) -> None:
    """2.1: not for subaccounts, though its account's token does."""
    parent, child = owner(server), subaccount(server)
    app = make_app(parent)
    token = app.token()
    answer = bearer(parent.at(child.sid), token, "GET", "Messages.json")
    assert (answer[0], code_of(answer)) == (404, 20404)
    answer = bearer(parent, token, "GET", f"/2010-04-01/Accounts/{child.sid}.json")
    assert (answer[0], code_of(answer)) == (404, 20404)
    listed = json.loads(bearer(parent, token, "GET", "/2010-04-01/Accounts.json")[2])
    assert [each["sid"] for each in listed["accounts"]] == [parent.sid]
    path = f"/v2/token?account_sid={child.sid}"
    form = f"grant_type=client_credentials&client_id={app.id}&client_secret={app.secret}"
    assert server.request("POST", path, form.encode(), FORM, auth=False)[0] == 400


# Scope and operation --------------------------------------------------------------------------


def test_each_operation_takes_its_scope_alone(tenant: Tenant, app: App) -> None:
    """P-4, P-5, P-6: passes with its scope alone, and with all but it is 403 (70051)."""
    alone = {scope: app.token(scope) for scope in SCOPES}
    without = {scope: app.token(*(SCOPES.keys() - {scope})) for scope in SCOPES}
    everything, passed = app.token(), set[str]()
    for operation, path, query in paths(tenant):
        method, where = operation[0], f"{path}?{query}" if query else path
        scope = TAKES.get(operation)
        refused = bearer(tenant, everything if scope is None else without[scope], method, where)
        assert (refused[0], code_of(refused)) == (403, FORBIDDEN), operation
        if scope is not None and operation != ENDLESS:
            assert code_of(bearer(tenant, alone[scope], method, where)) != FORBIDDEN, operation
            passed.add(scope)
    assert TAKES.keys() <= EVERY.keys()
    assert passed == SCOPES.keys()


def test_an_app_of_persona(server: RunningServer, tenant: Tenant) -> None:
    """P-2, P-4, P-6: its four scopes, each operation for real."""
    app = make_app(tenant, "messages.read", "messages.list", "accounts.read", "accounts.list")
    token = app.token()
    listed = json.loads(bearer(tenant, token, "GET", "Messages.json")[2])
    assert listed["messages"] == []
    answer = bearer(tenant, token, "GET", "/2010-04-01/Accounts.json")
    assert [each["sid"] for each in json.loads(answer[2])["accounts"]] == [tenant.sid]
    found = json.loads(bearer(tenant, token, "GET", f"/2010-04-01/Accounts/{tenant.sid}.json")[2])
    assert found["sid"] == tenant.sid
    for path in (APPS, "/v1/Keys", "/hushwire/v1/connections"):
        assert code_of(bearer(tenant, token, "GET", path)) == FORBIDDEN
    content = {"name": "x", "scopes": list(SCOPES)}
    assert code_of(bearer(tenant, token, "POST", APPS, content)) == FORBIDDEN


def test_the_action_door_takes_bearers(tenant: Tenant, app: App) -> None:
    """P-5, P-6: an action asks the API as its caller would."""
    reads = app.token("messages.list")
    door = "/hushwire/v1/actions"
    listed = bearer(tenant, reads, "POST", f"{door}/list_messages", {"input": {}})
    assert json.loads(listed[2])["messages"] == []
    given = {"to": fresh_phone(), "from": "+15005550006", "body": "x"}
    sent = bearer(tenant, reads, "POST", f"{door}/send_message", {"input": given})
    assert (sent[0], code_of(sent)) == (403, FORBIDDEN)
    through = {"input": {}, "connection": "any"}
    answer = bearer(tenant, app.token(), "POST", f"{door}/list_messages", through)
    assert (answer[0], code_of(answer)) == (403, FORBIDDEN)


# What lives, and what dies --------------------------------------------------------------------


def test_a_secret_without_grace_and_a_deleted_app_end_tokens_at_once(tenant: Tenant) -> None:
    app = make_app(tenant)
    token = app.token()
    status, rotated = post_json(tenant, f"{APPS}/{app.id}/secret", {"grace_s": 3600})
    assert (status, bearer(tenant, token, "GET", "Messages.json")[0]) == (200, 200)
    assert app.ask()[0] == 200
    assert app._replace(secret=rotated["client_secret"]).ask()[0] == 200
    _, rotated = post_json(tenant, f"{APPS}/{app.id}/secret", {"grace_s": 0})
    answer = bearer(tenant, token, "GET", "Messages.json")
    assert (answer[0], code_of(answer)) == (401, 20101)
    assert app.ask()[0] == 401
    app = app._replace(secret=rotated["client_secret"])
    token = app.token()
    assert bearer(tenant, token, "GET", "Messages.json")[0] == 200
    assert send(tenant, "DELETE", f"{APPS}/{app.id}")[0] == 204
    assert code_of(bearer(tenant, token, "GET", "Messages.json")) == 20101
    assert send(tenant, "GET", f"{APPS}/{app.id}")[0] == 404


def test_apps_are_their_accounts_and_show_no_secret(server: RunningServer, tenant: Tenant) -> None:
    app = make_app(tenant)
    other = subaccount(server)
    for method, path in (
        ("GET", app.id), ("DELETE", app.id), ("GET", f"{app.id}/grants"),
        ("DELETE", f"{app.id}/grants/{'OG' + '0' * 32}"),
    ):  # fmt: skip
        assert send(other, method, f"{APPS}/{path}")[0] == 404
    assert post_json(other, f"{APPS}/{app.id}/secret", {"grace_s": 0})[0] == 404
    listed = send(tenant, "GET", APPS)[2].decode()
    assert app.id in listed
    assert app.secret not in listed
    standard = tenant.key()
    assert code_of(send(standard, "GET", APPS)) == 20003


def test_a_token_that_expired(tmp_path_factory: pytest.TempPathFactory) -> None:
    """P-4: 401 (20104), and a new one is to be had."""
    with RunningServer(tmp_path_factory.mktemp("expired") / "data") as server:
        tenant = owner(server)
        app = make_app(tenant, lifetime_s=60)
        token = app.token()
        server.advance(61)
        answer = bearer(tenant, token, "GET", "Messages.json")
        assert (answer[0], code_of(answer)) == (401, 20104)
        assert bearer(tenant, app.token(), "GET", "Messages.json")[0] == 200


def test_the_metadata_tells_where_to_go(server: RunningServer) -> None:
    path = "/.well-known/oauth-authorization-server"
    told = json.loads(server.request("GET", path, auth=False)[2])
    assert told["issuer"] == server.url
    assert told["token_endpoint"] == f"{server.url}/v2/token"
    assert told["code_challenge_methods_supported"] == ["S256"]
