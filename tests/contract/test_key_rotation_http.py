"""Keys rotated through the server, beside its traffic; the official SDK reads every message."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twilio.rest import Client

from harness import RunningServer, wait_for
from hushwire.vault.providers import DEFAULT, Surroundings, read_root
from hushwire.vault.slots import HEADER_BYTES, SLOT_BYTES
from tenants import Tenant, owner, subaccount

KEYS, ROTATE = "/hushwire/v1/keys", "/hushwire/v1/keys/rotate"


class Traffic:
    """Sends messages until it is stopped, and knows what each said."""

    def __init__(self, client: Client, number: str) -> None:
        self.bodies: dict[str, str] = {}
        self.failures: list[Exception] = []
        self._client, self._number = client, number
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            body = f"Message {len(self.bodies)}"
            try:
                made = self._client.messages.create(
                    to="+14155550123", from_=self._number, body=body
                )
            except OSError as error:
                self.failures.append(error)
                return
            self.bodies[str(made.sid)] = body

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        assert not self.failures


def readable(client: Client, bodies: dict[str, str]) -> None:
    """Every message opens, in the list and by its SID."""
    listed = {str(message.sid): message.body for message in client.messages.list()}
    assert {sid: listed.get(sid) for sid in bodies} == bodies
    for sid in list(bodies)[:5]:
        assert client.messages(sid).fetch().body == bodies[sid]


def rotate(server: RunningServer, what: str) -> dict[str, Any]:
    """Ask for it, and wait for its end."""
    status, begun = server.json("POST", ROTATE, {"rotate": what})
    assert status == 202, begun
    assert begun["state"] == "running"
    wait_for(lambda: server.json("GET", ROTATE)[1]["state"] != "running")
    return server.json("GET", ROTATE)[1]


def command(server: RunningServer, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HUSHWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "hushwire", "keys", *words, "--data", str(server.data)],
        env={**kept, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def images(data: Path) -> list[bytes]:
    """What lies in the slots of the vault, without generations."""
    raw = b"".join(path.read_bytes()[HEADER_BYTES:] for path in (data / "vault").glob("*.slots"))
    slots = (raw[at : at + 60] for at in range(0, len(raw), SLOT_BYTES))
    return [slot for slot in slots if slot.strip(b"\0")]


def everything(data: Path) -> bytes:
    files = (path for path in data.parent.rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """One of its own, with a copy of its vault."""
    (tmp_path / "copy").mkdir()
    copy = str(tmp_path / "copy")
    with RunningServer(tmp_path / "data", HUSHWIRE_VAULT_COPY=copy) as running:
        yield running


def test_keys_are_rotated_under_live_traffic(server: RunningServer) -> None:
    """Before, during, after and after a restart; of the old images nothing is left."""
    client, number = server.client(), server.number
    sub = subaccount(server)
    before = Traffic(client, number)
    wait_for(lambda: len(before.bodies) >= 20)
    before.stop()
    old_root, old_images = read_root(DEFAULT, Surroundings(server.data, {})), images(server.data)
    assert len(old_images) >= 43  # two keys a message, three of each account
    during = Traffic(client, number)
    wait_for(lambda: during.bodies)
    ended = rotate(server, "all")
    assert (ended["state"], ended["accounts_done"], ended["damaged"]) == ("done", 2, 0)
    assert ended["keys"] >= 40
    readable(client, before.bodies)
    ended = rotate(server, "root")
    assert (ended["state"], ended["error"]) == ("done", None)
    count = len(during.bodies)
    wait_for(lambda: len(during.bodies) > count + 5)
    during.stop()
    bodies = before.bodies | during.bodies
    readable(client, bodies)
    found = server.json("GET", KEYS)[1]
    assert (found["account_keys"], found["rotations_unfinished"]) == (2, 0)
    assert sub.ask("GET", f"/2010-04-01/Accounts/{sub.sid}.json")[0] == 200  # its token opens
    assert server.stop() == 0
    left = everything(server.data)
    assert old_root not in left
    assert not [image for image in old_images if image[:28] in left]
    copy = server.data.parent / "copy" / "0000.slots"
    assert copy.read_bytes() == (server.data / "vault" / "0000.slots").read_bytes()
    server.start()
    readable(server.client(), bodies)
    assert server.stop() == 0
    root = server.data / "root.key"
    root.chmod(0o600)
    root.write_bytes(old_root)
    refused = command(server, "rotate", "--root", "--offline")
    assert refused.returncode == 78
    assert "root key" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


POINTS = [
    ("all", "rotation.former_kept"), ("all", "rotation.former_noted"),
    ("all", "rotation.exchanged"), ("all", "rotation.rewrapped"), ("all", "rotation.former_gone"),
    ("all", "rotation.former_forgotten"), ("root", "rotation.kept"), ("root", "rotation.noted"),
    ("root", "rotation.headers"), ("root", "rotation.installed"), ("root", "rotation.ended"),
]  # fmt: skip


def test_a_server_killed_at_any_point_of_a_rotation_goes_on(tmp_path: Path) -> None:
    """One server, killed at each point in turn: what was accepted is read in every life."""
    (tmp_path / "copy").mkdir()
    settings = {"HUSHWIRE_VAULT_COPY": str(tmp_path / "copy")}
    data, bodies = tmp_path / "data", dict[str, str]()
    with RunningServer(data, **settings):
        pass
    for what, point in POINTS:
        server = RunningServer(data, HUSHWIRE_FAULT=point, **settings).start()
        traffic = Traffic(server.client(), server.number)
        wait_for(lambda of=traffic: len(of.bodies) >= 3)
        traffic.stop()
        bodies |= traffic.bodies
        assert server.json("POST", ROTATE, {"rotate": what})[0] == 202
        assert server.process is not None
        assert server.process.wait(20) == -9, point
        with RunningServer(data, **settings) as again:
            readable(again.client(), bodies)
            wait_for(lambda of=again: of.json("GET", KEYS)[1]["rotations_unfinished"] == 0)
            readable(again.client(), bodies)
    first, second = (tmp_path / name / "0000.slots" for name in ("data/vault", "copy"))
    assert first.read_bytes() == second.read_bytes()
    assert {path.name for path in (data / "vault").iterdir()} == {
        "0000.slots", "root.json", "vault.lock",
    }  # fmt: skip
    assert not list(data.glob("root.key.*"))


def test_one_rotation_at_a_time_and_none_of_what_is_not_there(server: RunningServer) -> None:
    assert server.json("GET", ROTATE)[1]["state"] == "never"
    for wanted in ({"rotate": "AC" + "0" * 32}, {"rotate": ""}, {"rotate": "file:x"}):
        status, refused = server.json("POST", ROTATE, wanted)
        assert (status, refused["code"]) == (400, 20422), wanted
    for wrong in ({}, [], {"rotate": 1}, {"rotate": "root", "to": "command:touch x"}):
        status, refused = server.json("POST", ROTATE, wrong)
        assert status == 400, wrong
    traffic = Traffic(server.client(), server.number)
    wait_for(lambda: len(traffic.bodies) >= 50)
    traffic.stop()
    answers = [server.json("POST", ROTATE, {"rotate": "all"}) for _ in range(5)]
    assert answers[0][0] == 202
    assert {(status, found.get("code")) for status, found in answers} <= {(202, None), (409, 20409)}
    assert rotate_one(server, server.sid)["accounts_done"] == 1


def rotate_one(server: RunningServer, sid: str) -> dict[str, Any]:
    wait_for(lambda: server.json("GET", ROTATE)[1]["state"] == "done")
    return rotate(server, sid)


def callers(server: RunningServer) -> dict[str, tuple[Tenant, int]]:
    first = owner(server)
    reading = json.dumps({"allow": ["/hushwire/vault-keys/read"]})
    return {
        "subaccount": (subaccount(server), 403),
        "standard key": (first.key(), 401),
        "restricted key": (first.key(KeyType="restricted", Policy=reading), 401),
    }


def test_keys_are_the_operators(server: RunningServer) -> None:
    """The first account's, by its token or a main key; nobody learns or moves anything else."""
    for name, (who, status) in callers(server).items():
        assert who.ask("POST", ROTATE)[0] == status, name
        expected = 200 if name == "restricted key" else status
        assert who.ask("GET", KEYS)[0] == expected, name
        assert who.ask("GET", ROTATE)[0] == expected, name
    assert server.request("GET", KEYS, auth=False)[0] == 401
    assert server.json("GET", ROTATE)[1]["state"] == "never"
    assert owner(server).key(KeyType="main").ask("GET", KEYS)[0] == 200


def test_the_commands_show_and_rotate(server: RunningServer) -> None:
    shown = command(server, "show", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["root_provider"] == DEFAULT
    table = command(server, "show")
    assert "root key from" in table.stdout
    assert command(server, "rotate", "--all").stdout.startswith("1 account has a new key")
    assert command(server, "rotate", "--account", server.sid).returncode == 0
    ended = command(server, "rotate", "--root", "--json")
    assert json.loads(ended.stdout)["state"] == "done"
    assert command(server, "rotate").returncode == 2
    assert command(server, "rotate", "--all", "--to", "env:X").returncode == 2
    running = command(server, "rotate", "--root", "--offline")
    assert (running.returncode, "another server" in running.stderr) == (78, True)


def test_the_root_key_moves_to_another_provider(tmp_path: Path) -> None:
    """The server is stopped for it; with the old setting it does not start again."""
    data, key = tmp_path / "data", os.urandom(32).hex()
    with RunningServer(data) as server:
        made = server.client().messages.create(to="+14155550123", from_=server.number, body="Hi")
    moved = command(server, "rotate", "--root", "--to", "env:HUSHWIRE_ROOT", HUSHWIRE_ROOT=key)
    assert moved.returncode == 0, moved.stderr
    assert "Set root_key" in moved.stdout
    assert key not in moved.stdout + moved.stderr
    assert not (data / "root.key").exists()
    refused = command(server, "rotate", "--root", "--offline")
    assert (refused.returncode, "set root_key" in refused.stderr) == (78, True)
    given = {"HUSHWIRE_ROOT_KEY": "env:HUSHWIRE_ROOT", "HUSHWIRE_ROOT": key}
    with RunningServer(data, **given) as server:
        assert server.client().messages(str(made.sid)).fetch().body == "Hi"
        status, answer = server.json("POST", ROTATE, {"rotate": "root"})
        assert (status, answer["code"]) == (409, 20409)
        log = server.log.read_text()
    assert key not in log + everything(data).decode("latin-1")
