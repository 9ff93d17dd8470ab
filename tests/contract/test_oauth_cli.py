"""`hushwire connections add --oauth`: the page, the way back to this machine, the connection."""

import json
import socket
from collections.abc import Callable
from threading import Thread

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from action_checks import act
from belongings import send
from harness import RunningServer
from hushwire.cli.main import cli
from oauth_rig import APPS, App, Person, make_app
from tenants import Tenant, subaccount

PERSONA = ("messages.read", "messages.list", "accounts.read", "accounts.list")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def app(server: RunningServer, port: int) -> App:
    tenant = subaccount(server, "Of the commands")
    return make_app(tenant, *PERSONA, redirect_uris=[f"http://127.0.0.1:{port}/callback"])


def run(tenant: Tenant, *arguments: str, typed: str = "") -> Result:
    known = {
        "HUSHWIRE_URL": tenant.server.url, "HUSHWIRE_ACCOUNT_SID": tenant.user,
        "HUSHWIRE_AUTH_TOKEN": tenant.password,
    }  # fmt: skip
    return CliRunner().invoke(cli, arguments, input=typed, env=known)


def add(app: App, port: int, *more: str) -> Result:
    return run(
        app.tenant, "connections", "add", "persona", "--oauth", app.tenant.server.url,
        "--port", str(port), "--account-sid", app.tenant.sid, "--field", f"client_id={app.id}",
        "--secret", "-", *more, typed=f"{app.secret}\n",
    )  # fmt: skip


def browse(monkeypatch: pytest.MonkeyPatch, visit: Callable[[str], None]) -> list[Thread]:
    """Stand in for the browser that the command opens."""
    started: list[Thread] = []

    def launch(page: str) -> int:
        started.append(Thread(target=visit, args=(page,)))
        started[-1].start()
        return 0

    monkeypatch.setattr(click, "launch", launch)
    return started


def decides(decision: str, tenant: Tenant, port: int) -> Callable[[str], None]:
    def visit(page: str) -> None:
        person, home = Person(), f"http://127.0.0.1:{port}"
        person.visit(page)
        back = person.decide(decision, tenant.sid, tenant.password)
        assert person.http.get(f"{home}/favicon.ico").status_code == 404
        forged = person.http.get(f"{home}/callback?code=stolen&state=x")
        assert forged.status_code == 404
        assert person.http.get(back.headers["location"]).status_code == 200

    return visit


def test_approved_in_a_browser(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """P-1, P-3, P-4: the connection works, and its refresh token is replaced as it is used."""
    threads = browse(monkeypatch, decides("approve", app.tenant, port))
    done = add(app, port)
    for thread in threads:
        thread.join(10)
    assert done.exit_code == 0, done.output
    assert "persona works, and is stored" in done.stdout
    assert app.secret not in done.output
    assert run(app.tenant, "connections", "test", "persona").exit_code == 0
    listed = run(app.tenant, "actions", "run", "list_messages", "--connection", "persona", "--json")
    assert json.loads(listed.stdout)["messages"] == []
    sent = run(
        app.tenant, "send", "+14155550172", "x", "--from", "+15005550006", "--connection", "persona"
    )
    assert sent.exit_code != 0
    assert "(70051)" in sent.output
    (grant,) = json.loads(send(app.tenant, "GET", f"{APPS}/{app.id}/grants")[2])["grants"]
    assert grant["scopes"] == list(PERSONA)
    send(app.tenant, "DELETE", f"{APPS}/{app.id}/grants/{grant['sid']}")
    after = run(app.tenant, "connections", "test", "persona")
    assert after.exit_code != 0
    assert "20003" in after.output


def test_denied_in_a_browser(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """P-3: denial stores nothing."""
    threads = browse(monkeypatch, decides("deny", app.tenant, port))
    done = add(app, port)
    for thread in threads:
        thread.join(10)
    assert done.exit_code == 1
    assert "denied: nothing is stored" in done.output
    assert json.loads(run(app.tenant, "connections", "list", "--json").stdout) == []


def test_a_port_that_is_taken(app: App, port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        done = add(app, port)
    assert done.exit_code == 1
    assert "choose another with --port" in done.output


def test_an_app_that_acts_for_itself(server: RunningServer, app: App) -> None:
    """P-1: client credentials, kept by the server and sealed."""
    tenant = app.tenant
    added = run(
        tenant, "connections", "add", "itself", "--kind", "oauth", "--account-sid", tenant.sid,
        "--field", f"client_id={app.id}", "--secret", "-", typed=f"{app.secret}\n",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    shown = run(tenant, "connections", "list", "--json").stdout
    assert app.secret not in shown
    assert app.id in shown
    wrong = run(
        tenant, "connections", "add", "wrong", "--kind", "oauth", "--account-sid", tenant.sid,
        "--field", f"client_id={app.id}", "--secret", "-", typed="x\n",
    )  # fmt: skip
    assert wrong.exit_code == 78
    assert "wrong" not in run(tenant, "connections", "list", "--json").stdout


def test_a_token_that_expired_is_renewed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """P-4: nobody has to do anything when a token's time is over."""
    with RunningServer(tmp_path_factory.mktemp("renewed") / "data") as server:
        owner = Tenant(server, server.sid, server.token, server.sid)
        app = make_app(owner, lifetime_s=60)
        added = run(
            owner, "connections", "add", "itself", "--kind", "oauth", "--account-sid", server.sid,
            "--field", f"client_id={app.id}", "--secret", "-", typed=f"{app.secret}\n",
        )  # fmt: skip
        assert added.exit_code == 0, added.output
        assert act(server, "list_messages", {}, connection="itself")[0] == 200
        server.advance(61)
        assert act(server, "list_messages", {}, connection="itself")[0] == 200


def test_the_callback_is_not_logged(app: App, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code that comes back is in no line that the command prints."""
    seen: list[str] = []

    def visit(page: str) -> None:
        person = Person()
        person.visit(page)
        back = person.decide("approve", app.tenant.sid, app.tenant.password)
        seen.append(str(httpx.URL(back.headers["location"]).params["code"]))
        person.http.get(back.headers["location"])

    threads = browse(monkeypatch, visit)
    done = add(app, port)
    for thread in threads:
        thread.join(10)
    assert done.exit_code == 0, done.output
    assert seen[0] not in done.output
