"""Connections over HTTP: added when they work, used by name, shown without their secrets."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from action_checks import KEYS, act, as_caller, refused
from harness import RunningServer, wait_for
from tenants import owner, subaccount

ALICE = "+14155550175"
PATH = "/hushwire/v1/connections"
SHOWN = {
    "name", "url", "credential", "scopes", "view", "profile", "date_created", "date_updated",
}  # fmt: skip


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Another server, as a backend."""
    with RunningServer(tmp_path_factory.mktemp("other") / "data") as running:
        yield running


@pytest.fixture
def tidy(server: RunningServer) -> Iterator[None]:
    """Whatever a test added is gone after it."""
    yield
    for connection in server.json("GET", PATH)[1]["connections"]:
        server.json("DELETE", f"{PATH}/{connection['name'].replace(' ', '%20')}")


pytestmark = pytest.mark.usefixtures("tidy")


def token_of(backend: RunningServer) -> dict[str, str]:
    return {"kind": "token", "account_sid": backend.sid, "auth_token": backend.token}


def add(
    server: RunningServer, name: str, backend: RunningServer, **more: Any
) -> tuple[int, dict[str, Any]]:
    url = {} if backend is server else {"url": backend.url}
    content = {"name": name, **url, "credential": token_of(backend), **more}
    return server.json("POST", PATH, content)


def names(server: RunningServer) -> list[str]:
    return [each["name"] for each in server.json("GET", PATH)[1]["connections"]]


def test_two_backends_by_name(server: RunningServer, other: RunningServer) -> None:
    """G-3: two connections with different names coexist; every action names its own."""
    assert add(server, "mine", server)[0] == 201
    status, made = add(server, "Another one", other)
    assert status == 201
    assert set(made) == SHOWN
    assert names(server) == ["Another one", "mine"]
    given = {"to": ALICE, "from": other.number, "body": "By way of the other"}
    status, sent = act(server, "send_message", given, connection="Another one")
    assert status == 200
    assert sent["account_sid"] == other.sid
    wait_for(lambda: any(m["body"] == given["body"] for m in other.screen(ALICE)))
    assert not any(m["body"] == given["body"] for m in server.screen(ALICE))
    assert act(server, "list_accounts", {}, connection="mine")[1]["accounts"][0]["sid"]
    assert server.json("POST", f"{PATH}/Another%20one/test") == (
        200, {"name": "Another one", "works": True},
    )  # fmt: skip


def test_a_wrong_pair_is_told_and_not_stored(server: RunningServer, other: RunningServer) -> None:
    """K-4: 401 and 20003, whose they are, and nothing is kept."""
    wrong = {**token_of(other), "auth_token": "f" * 32}
    for backend in ({}, {"url": other.url}):
        answer = server.json("POST", PATH, {"name": "wrong", "credential": wrong, **backend})
        problem = refused(answer, 401, 20003)
        assert problem["field"] == "credential"
        assert "account_sid and auth_token" in problem["message"]
        assert "f" * 32 not in json.dumps(problem)
    assert names(server) == []


def test_a_key_connects_too(server: RunningServer) -> None:
    """K-1: an API key and its secret, a standard one too, which may not read accounts."""
    key = owner(server).key()
    credential = {
        "kind": "key", "account_sid": server.sid, "key_sid": key.user, "key_secret": key.password,
    }  # fmt: skip
    status, made = server.json("POST", PATH, {"name": "by key", "credential": credential})
    assert status == 201
    assert made["credential"] == {**credential, "key_secret": "********"}
    assert act(server, "list_messages", {"limit": 1}, connection="by key")[0] == 200


def test_a_secret_is_nowhere(server: RunningServer, other: RunningServer) -> None:
    """K-1, G-4: in no answer, no list, no error, no event, no log, no file."""
    key = owner(other).key()
    secret = key.password
    credential = {
        "kind": "key", "account_sid": other.sid, "key_sid": key.user, "key_secret": secret,
    }  # fmt: skip
    content = {"name": "sealed", "url": other.url, "credential": credential}
    answers = [
        server.json("POST", PATH, content), server.json("POST", PATH, content),
        server.json("POST", PATH, {**content, "name": "!"}), server.json("GET", PATH),
        server.json("GET", f"{PATH}/sealed"), server.json("POST", f"{PATH}/sealed/test"),
        act(server, "list_messages", {"limit": 1}, connection="sealed"),
        act(server, "list_messages", {"limit": "x"}, connection="sealed"),
        server.json("GET", "/v1/Events?PageSize=50"), server.json("GET", "/v1/Alerts"),
    ]  # fmt: skip
    assert [status for status, _ in answers[:6]] == [201, 409, 400, 200, 200, 200]
    assert secret not in json.dumps(answers)
    assert b"connection.created" in json.dumps(answers[8]).encode()
    assert secret not in server.request("GET", "/metrics")[2].decode()
    places = [path for path in server.data.rglob("*") if path.is_file()] + [server.log]
    assert len(places) > 3
    for path in places:
        assert secret.encode() not in path.read_bytes(), path


class Listener(ThreadingHTTPServer):
    """A backend that takes every credential, and counts who connects."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Everything)
        self.connections = 0

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Everything(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    thread = Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield listening
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_a_missing_scope_is_refused_before_any_call(
    server: RunningServer, listener: Listener
) -> None:
    """P-4, K-3: 403 and 70051 from here; the backend sees no connection."""
    content = {
        "name": "reader", "url": f"http://127.0.0.1:{listener.server_port}",
        "credential": token_of(server), "scopes": ["messages.list"],
    }  # fmt: skip
    assert server.json("POST", PATH, content)[0] == 201
    seen = listener.connections
    assert seen > 0, "it was not tested"
    for name, given, scope in (
        ("list_accounts", {}, "accounts.list"),
        ("send_message", {"to": ALICE, "from": server.number, "body": "x"}, "messages.send"),
        ("look_up_phone", {"phone_number": ALICE}, "lookups.read"),
    ):
        problem = refused(act(server, name, given, connection="reader"), 403, 70051)
        assert problem["message"].startswith(f"connection 'reader' lacks the scope {scope}: ")
    assert listener.connections == seen
    assert server.json("POST", f"{PATH}/reader/test")[0] == 200
    assert listener.connections > seen


def test_a_view_hides_what_it_says(server: RunningServer) -> None:
    given = {"to": ALICE, "from": server.number, "body": "Canary 4711"}
    assert act(server, "send_message", given)[0] == 200
    for view in ("metadata", "masked", "pseudonymous"):
        assert add(server, view, server, view=view)[0] == 201
        status, found = act(server, "list_messages", {"to": ALICE, "limit": 5}, connection=view)
        assert status == 200
        assert found["messages"]
        assert not any(text in json.dumps(found) for text in (ALICE, "Canary 4711"))


def test_what_connections_of_which_kind_ask_for(server: RunningServer) -> None:
    """G-4, K-1: one description of the fields, for every form and prompt."""
    status, answer = server.json("GET", f"{PATH}/kinds")
    assert status == 200
    kinds = {kind["kind"]: kind for kind in answer["kinds"]}
    assert kinds["token"]["title"] == "Connect using Account SID and Auth Token"
    assert kinds["token"]["fields"] == [
        {"name": "account_sid", "label": "Account SID", "type": "text", "required": True,
         "description": "The Account SID from your Twilio account."},
        {"name": "auth_token", "label": "Auth Token", "type": "sensitive", "required": True,
         "description": "The Auth Token from your Twilio account."},
    ]  # fmt: skip


def test_connections_are_the_accounts_own(server: RunningServer) -> None:
    """Another tenant's name is as unknown as one that nobody has."""
    assert add(server, "mine", server)[0] == 201
    child = subaccount(server)
    found = child.ask("GET", PATH)
    assert json.loads(found[2]) == {"connections": []}
    for method, path in (("GET", "mine"), ("DELETE", "mine"), ("POST", "mine/test")):
        theirs = json.loads(child.ask(method, f"{PATH}/{path}")[2])
        nobodys = json.loads(child.ask(method, f"{PATH}/{path.replace('mine', 'ours')}")[2])
        assert (theirs["status"], theirs["code"]) == (404, 20404)
        assert theirs["message"].replace("mine", "ours") == nobodys["message"]
    assert names(server) == ["mine"]


def test_a_restricted_key_uses_no_connection(server: RunningServer) -> None:
    """It would lend it a power that it was not given."""
    assert add(server, "mine", server)[0] == 201
    reader = owner(server).key(
        KeyType="restricted", Policy='{"allow": ["/twilio/messaging/messages/list"]}'
    )
    for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", f"{PATH}/mine"),
                         ("POST", f"{PATH}/mine/test"), ("GET", f"{PATH}/kinds")):  # fmt: skip
        status, _, body = reader.ask(method, path)
        assert (status, json.loads(body)["code"]) == (401, 70051), path
    assert as_caller(reader, "list_messages", {"limit": 1})[0] == 200
    status, problem = as_caller(reader, "list_messages", {}, connection="mine")
    assert (status, problem["code"]) == (401, 70051)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", PATH), ("POST", PATH), ("GET", f"{PATH}/x"), ("DELETE", f"{PATH}/x"),
     ("POST", f"{PATH}/x/test"), ("GET", f"{PATH}/kinds")],
)  # fmt: skip
def test_nobody_is_answered_without_credentials(
    server: RunningServer, method: str, path: str
) -> None:
    status, _, body = server.request(method, path, b"{", auth=False)
    assert (status, json.loads(body)["code"]) == (401, 20003)


def test_where_a_connection_may_not_lead(server: RunningServer) -> None:
    """The sandbox may call this machine, and nothing else that is not public."""
    for url in (
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://127.0.0.1:22",
        "http://localhost.:8008",
        "https://user:pass@example.com",
        "http://[::]",
    ):
        content = {"name": "x", "url": url, "credential": token_of(server)}
        problem = refused(server.json("POST", PATH, content), 400, 20001)
        assert problem["field"] == "url"
        assert set(problem) == KEYS


def test_it_survives_a_restart(tmp_path: Any) -> None:
    with RunningServer(tmp_path / "data") as running:
        assert add(running, "kept", running)[0] == 201
        running.stop()
        running.start()
        assert running.json("POST", f"{PATH}/kept/test")[0] == 200
