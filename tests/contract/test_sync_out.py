"""`hushwire sync`, the command: against a server, one that plays the cloud, and by connections."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft7Validator

import hushwire.cli.sync as command
from backend_fixtures import cloud_server as cloud_server
from backends import Cloud
from harness import RunningServer, wait_for
from hushwire.cli.main import cli
from hushwire.connect.credentials import Basic
from hushwire.connect.wire import CLOUD, Wire

ALICE = "+14155550178"
GONE = "_sdc_deleted_at"
Sync = Callable[..., Result]


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., str]:
    """Writes a configuration; its path."""

    def write(**content: Any) -> str:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(content))
        return str(path)

    return write


def environment(server: RunningServer, url: str = "") -> dict[str, str]:
    return {
        "HUSHWIRE_URL": url or server.url, "HUSHWIRE_ACCOUNT_SID": server.sid,
        "HUSHWIRE_AUTH_TOKEN": server.token,
    }  # fmt: skip


@pytest.fixture
def sync(server: RunningServer) -> Sync:
    def call(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(cli, ["sync", *arguments], env={**environment(server), **more})

    return call


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def rows(output: str, stream: str = "messages") -> list[dict[str, Any]]:
    return [
        line["record"] for line in lines(output)
        if line["type"] == "RECORD" and line["stream"] == stream
    ]  # fmt: skip


def state_in(tmp_path: Path, output: str) -> str:
    """The last state, as a target would write it; its path."""
    states = [line["value"] for line in lines(output) if line["type"] == "STATE"]
    path = tmp_path / "state.json"
    path.write_text(json.dumps(states[-1]))
    return str(path)


def send(server: RunningServer, body: str = "Room 12", *, wait: bool = True) -> str:
    client = server.client()
    sid = client.messages.create(to=ALICE, from_=server.number, body=body).sid
    assert sid
    if wait:
        wait_for(lambda: client.messages(sid).fetch().status == "delivered")
    return sid


def test_new_changed_and_gone(
    server: RunningServer, sync: Sync, config: Callable[..., str], tmp_path: Path
) -> None:
    """Rows fit the schema before them; then only what changed; a tombstone for what went."""
    first, second = send(server), send(server)
    full = config(view="full")
    began = sync("--config", full)
    assert began.exit_code == 0, began.output
    assert began.stderr == ""
    schemas = {each["stream"]: each for each in lines(began.stdout) if each["type"] == "SCHEMA"}
    for stream in ("messages", "accounts"):
        fits = Draft7Validator({**schemas[stream]["schema"], "additionalProperties": False})
        for row in rows(began.stdout, stream):
            fits.validate(row)
    told = {row["sid"]: row for row in rows(began.stdout)}
    assert (told[first]["body"], told[first]["to"], told[first][GONE]) == ("Room 12", ALICE, None)
    assert server.sid in {row["sid"] for row in rows(began.stdout, "accounts")}
    assert server.token not in began.stdout

    server.client().messages(first).update(body="")
    server.client().messages(second).delete()
    third = send(server)
    state = state_in(tmp_path, began.stdout)
    later = sync("--config", full, "--state", state)
    found = rows(later.stdout)
    graves = {row["sid"]: row["forgotten"] for row in found if row.get(GONE)}
    assert graves == {first: ["content"], second: ["message"]}
    alive = {row["sid"]: row["body"] for row in found if not row.get(GONE)}
    assert alive == {first: "", third: "Room 12"}
    last = [row for row in found if row["sid"] == first][-1]
    assert last[GONE] is None  # what is left of it follows its tombstone

    idle = sync("--config", full, "--state", state_in(tmp_path, later.stdout))
    assert [line["type"] for line in lines(idle.stdout)] == ["SCHEMA", "SCHEMA", "STATE"]


def test_a_warehouse_gets_less_unless_it_is_told_otherwise(
    server: RunningServer, sync: Sync, config: Callable[..., str]
) -> None:
    """Item 11: without a view, numbers come masked and texts not at all."""
    sid = send(server, "A secret")
    plain = sync("--config", config())
    told = {row["sid"]: row for row in rows(plain.stdout)}
    assert (told[sid]["to"], told[sid]["body"]) == ("+1415555XXXX", None)
    assert "secret" not in plain.stdout
    columns = {"body": "block", "to": "hash", "from": "hash"}
    hashed = sync("--config", config(view="full", columns=columns, hash_key="k" * 32))
    told = {row["sid"]: row for row in rows(hashed.stdout)}
    assert told[sid]["to"].startswith("ph_")
    assert "body" not in told[sid]
    assert ALICE not in hashed.stdout


def test_against_the_cloud(
    server: RunningServer, cloud_server: RunningServer, config: Callable[..., str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No list of tombstones there: what is not found any more within the lookback is gone."""
    transport = Cloud(cloud_server.url)

    def played(url: str, basic: Basic, **_: object) -> Wire:
        return Wire(url, basic, transport=transport)

    monkeypatch.setattr(command, "Wire", played)
    known = environment(cloud_server, CLOUD)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["sync", *arguments], env=known)

    redacted, deleted = send(cloud_server), send(cloud_server)
    full = config(view="full", page_size=2)
    began = call("--config", full)
    assert began.exit_code == 0, began.output
    assert {redacted, deleted} <= {row["sid"] for row in rows(began.stdout)}
    assert not any("hushwire" in request.url.path for request in transport.asked)
    cloud_server.client().messages(redacted).update(body="")
    cloud_server.client().messages(deleted).delete()
    later = call("--config", full, "--state", state_in(tmp_path, began.stdout))
    graves = {row["sid"]: row for row in rows(later.stdout) if row.get(GONE)}
    assert {sid: row["forgotten"] for sid, row in graves.items()} == {
        redacted: ["content"], deleted: ["message"],
    }  # fmt: skip
    assert {row["reason"] for row in graves.values()} == {"unknown"}
    idle = call("--config", full, "--state", state_in(tmp_path, later.stdout))
    assert rows(idle.stdout) == []


@pytest.fixture
def connection(server: RunningServer) -> Iterator[Callable[..., str]]:
    """Adds a connection to this server; its name."""
    names: list[str] = []

    def add(name: str, **more: Any) -> str:
        credential = {"kind": "token", "account_sid": server.sid, "auth_token": server.token}
        content = {"name": name, "credential": credential, **more}
        status, answer = server.json("POST", "/hushwire/v1/connections", content)
        assert status == 201, answer
        names.append(name)
        return name

    yield add
    for name in names:
        server.json("DELETE", f"/hushwire/v1/connections/{name}")


def test_through_a_connection(
    server: RunningServer, sync: Sync, config: Callable[..., str],
    connection: Callable[..., str], tmp_path: Path,
) -> None:  # fmt: skip
    """Its view holds, whatever the configuration asks for; its secrets stay where they are."""
    sid = send(server, "A secret")
    name = connection("warehouse", view="pseudonymous")
    began = sync("--config", config(page_size=5), "--connection", name)
    assert began.exit_code == 0, began.output
    told = {row["sid"]: row for row in rows(began.stdout)}
    assert (told[sid]["to"][:3], told[sid]["body"]) == ("ph_", None)
    wider = sync("--config", config(view="full"), "--connection", name)
    assert (wider.exit_code, wider.stdout) == (1, "")
    assert "view 'full' gives more than the connection's 'pseudonymous'" in wider.stderr
    server.client().messages(sid).delete()
    state = state_in(tmp_path, began.stdout)
    later = sync("--state", state, "--connection", name)
    assert [row["sid"] for row in rows(later.stdout)] == [sid]


def test_what_a_connection_lacks_is_told(
    server: RunningServer, sync: Sync, connection: Callable[..., str]
) -> None:
    send(server)
    lists = connection("lists", scopes=["messages.list", "messages.read"])
    found = sync("--connection", lists)
    assert found.exit_code == 0, found.output
    assert "accounts are left out" in found.stderr
    assert rows(found.stdout)
    nothing = sync("--connection", connection("nothing", scopes=["accounts.list"]))
    assert nothing.exit_code == 1
    assert "lacks the scope messages.list" in nothing.stderr
    assert "(70051)" in nothing.stderr
    unknown = sync("--connection", "nobody")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "there is no connection 'nobody'" in unknown.stderr


def test_bad_files_are_told(sync: Sync, config: Callable[..., str], tmp_path: Path) -> None:
    missing = sync("--config", str(tmp_path / "nothing.json"))
    assert missing.exit_code == 78
    path = tmp_path / "wrong.json"
    path.write_text("{")
    for flag in ("--config", "--state", "--catalog"):
        wrong = sync(flag, str(path))
        assert (wrong.exit_code, wrong.stdout) == (1, "")
        assert f"{flag[2:]} is no JSON object" in wrong.stderr
    path.write_text("")  # what a target has written before the first run
    assert sync("--config", config(), "--state", str(path)).exit_code == 0
    typo = sync("--config", config(colums={}))
    assert typo.exit_code == 1
    assert "colums is no field of the configuration" in typo.stderr


def test_discover_is_a_catalog(sync: Sync, tmp_path: Path, config: Callable[..., str]) -> None:
    found = sync("--discover")
    content = json.loads(found.stdout)
    assert [stream["tap_stream_id"] for stream in content["streams"]] == ["messages", "accounts"]
    content["streams"][0]["metadata"][0]["metadata"]["selected"] = False
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(content))
    chosen = sync("--config", config(), "--catalog", str(path))
    assert {line.get("stream") for line in lines(chosen.stdout)} == {"accounts", None}


def start(server: RunningServer, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process of its own, in no buffer of which a line waits."""
    return subprocess.Popen(
        [sys.executable, "-m", "hushwire", "sync", *arguments],
        env={**os.environ, **environment(server)}, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip


def test_killed_between_pages(
    cloud_server: RunningServer, config: Callable[..., str], tmp_path: Path
) -> None:
    """kill -9 while messages arrive and go: in the end there is no gap, and a tombstone each."""
    server = cloud_server
    for _ in range(12):
        send(server, wait=False)
    full = config(view="full", page_size=1)
    copy: dict[str, dict[str, Any]] = {}
    state = tmp_path / "state.json"
    state.write_text("")

    def follow(*, kill_after: int | None) -> int:
        """Take lines as a target does; how many rows."""
        process = start(server, "--config", full, "--state", str(state))
        assert process.stdout is not None
        count = states = 0
        for line in process.stdout:
            said = json.loads(line)
            if said["type"] == "STATE":
                state.write_text(json.dumps(said["value"]))
                states += 1
                if states == kill_after:
                    process.kill()
                    break
            elif said["type"] == "RECORD" and said["stream"] == "messages":
                count += 1
                if said["record"].get(GONE):
                    copy.pop(said["record"]["sid"], None)
                else:
                    copy[said["record"]["sid"]] = said["record"]
        process.stdout.close()
        process.wait(30)
        return count

    done = threading.Event()

    def live() -> None:
        while not done.is_set():
            sid = send(server)
            if int(sid[-1], 16) % 3 == 0:
                server.client().messages(sid).delete()

    traffic = threading.Thread(target=live)
    traffic.start()
    try:
        assert follow(kill_after=4) >= 2
        follow(kill_after=3)
        follow(kill_after=6)
    finally:
        done.set()
        traffic.join(30)
    follow(kill_after=None)
    follow(kill_after=None)
    present = {message.sid: message.status for message in server.client().messages.list()}
    assert {sid: row["status"] for sid, row in copy.items()} == present
    assert follow(kill_after=None) == 0


@pytest.mark.skipif("HUSHWIRE_SINGER_TARGET" not in os.environ, reason="needs a target to run")
def test_a_target_takes_it(
    server: RunningServer, sync: Sync, config: Callable[..., str], tmp_path: Path
) -> None:
    """HUSHWIRE_SINGER_TARGET=…/target-jsonl: somebody else's program reads and checks it."""
    sid = send(server)
    output = sync("--config", config(view="full")).stdout
    target = os.environ["HUSHWIRE_SINGER_TARGET"]
    taken = subprocess.run(
        [target], input=output.encode(), cwd=tmp_path, capture_output=True, check=True
    )
    assert json.loads(taken.stdout.splitlines()[-1])["version"] == 1
    (written,) = tmp_path.glob("messages-*.jsonl")
    assert sid in written.read_text()
