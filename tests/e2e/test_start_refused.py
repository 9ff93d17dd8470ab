"""Refusing to start: exit code 78, one sentence that names the cure, and nothing harmed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from promise_checker import check_keys
from real_process import SMALL, Process, environment, refused
from self_signed import certificate

from harness import wait_for

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "fedcba9876543210" * 2


@pytest.mark.parametrize(
    "half", [{"HUSHWIRE_ACCOUNT_SID": SID}, {"HUSHWIRE_AUTH_TOKEN": TOKEN}], ids=["sid", "token"]
)
def test_half_an_account_is_refused(tmp_path: Path, half: dict[str, str]) -> None:
    sentence = refused(tmp_path / "data", **half)
    assert "account_sid and auth_token" in sentence
    assert TOKEN not in sentence
    assert not (tmp_path / "data" / "hushwire.db").exists()


def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with Process(tmp_path / "data") as server:
        sentence = refused(tmp_path / "data")
        assert "another server" in sentence
        assert server.status_of(server.sent()) in ("queued", "sending", "sent", "delivered")


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with Process(tmp_path / "data") as server:
        port = server.url.rpartition(":")[2]
        assert port in refused(tmp_path / "other", "--port", port)
    assert not (tmp_path / "other" / "hushwire.db").exists()


def used(data: Path) -> str:
    """Data with a delivered message in it; its SID."""
    with Process(data) as server:
        sid = server.sent()
        wait_for(lambda: server.status_of(sid) == "delivered")
        return sid


def test_a_missing_root_key_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sid = used(data)
    (data / "root.key").rename(tmp_path / "kept.key")
    assert "root key" in refused(data)
    assert not (data / "root.key").exists()
    (tmp_path / "kept.key").rename(data / "root.key")
    with Process(data) as server:
        assert server.json("GET", server.message_path(sid))[1]["body"] == "Hello"


def test_another_root_key_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    used(data)
    (data / "root.key").chmod(0o600)
    (data / "root.key").write_bytes(os.urandom(32))
    assert "root key" in refused(data)


@pytest.mark.parametrize("whose", ["foreign", "empty"])
def test_a_vault_of_another_database_is_refused(tmp_path: Path, whose: str) -> None:
    """A vault in its place that was made with the same root key, or none: nothing opens."""
    data, vault = tmp_path / "data", tmp_path / "data" / "vault"
    sid = used(data)
    vault.rename(tmp_path / "kept")
    if whose == "foreign":
        other = tmp_path / "other"
        other.mkdir()
        shutil.copy2(data / "root.key", other / "root.key")
        used(other)
        (other / "vault").rename(vault)
    assert "vault" in refused(data)
    shutil.rmtree(vault, ignore_errors=True)
    (tmp_path / "kept").rename(vault)
    with Process(data) as server:
        assert server.json("GET", server.message_path(sid))[1]["body"] == "Hello"


def test_a_vault_without_its_database_is_refused_and_kept(tmp_path: Path) -> None:
    """A mistyped database_url must not make an empty database, whose sweep empties the vault."""
    data = tmp_path / "data"
    sid = used(data)
    assert "vault" in refused(data, HUSHWIRE_DATABASE_URL="sqlite:///hushwrie.db")
    with Process(data) as server:
        assert server.json("GET", server.message_path(sid))[1]["body"] == "Hello"
    check_keys(data)


@pytest.mark.parametrize("damage", ["text", "torn", "half"])
def test_a_corrupt_database_is_refused(tmp_path: Path, damage: str) -> None:
    data = tmp_path / "data"
    used(data)
    path = data / "hushwire.db"
    content = path.read_bytes()
    left = {"text": b"no database\n" * 400, "torn": content[:1000], "half": content[:20_000]}
    path.write_bytes(left[damage])
    assert "hushwire.db" in refused(data)


@pytest.mark.parametrize("broken", ["missing", "half", "garbage", "stranger"])
def test_unusable_tls_is_refused(tmp_path: Path, broken: str) -> None:
    cert, key = certificate(tmp_path)
    if broken == "half":
        assert "tls_key" in refused(tmp_path / "data", "--tls-cert", str(cert))
        return
    if broken == "missing":
        cert.unlink()
    elif broken == "garbage":
        cert.write_text("no certificate")
    else:
        (tmp_path / "stranger").mkdir()
        _, key = certificate(tmp_path / "stranger")
    sentence = refused(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key))
    assert "tls_cert" in sentence


# Run in a process of its own: a part of the server that cannot be started.
BREAK = """
import sys
from hushwire import assemble, serve
from hushwire.cli.main import main
from hushwire.errors import Misconfigured

def broken(*_, **__):
    raise Misconfigured("part: it cannot start; mend it") if {planned} else TypeError("ours")

{where} = broken
main()
"""
PARTS = [
    "assemble.Forgetting", "assemble.KeyRotation", "assemble.Server._measure",
    "assemble.Server.app", "serve._credentials",
]  # fmt: skip


@pytest.mark.parametrize("where", PARTS)
def test_a_start_that_fails_half_way_ends_at_once_with_one_sentence(
    tmp_path: Path, where: str
) -> None:
    """Whatever runs already by then."""
    for planned, code in ((True, 78), (False, 1)):
        script = BREAK.format(where=where, planned=planned)
        found = subprocess.run(
            [sys.executable, "-c", script, "up", "--port", "0", "--data", str(tmp_path / "data")],
            env=environment(**SMALL), capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        assert found.returncode == code, found.stderr
        said = [line for line in found.stderr.splitlines() if '"level":"info"' not in line]
        assert len(said) == 1, found.stderr
        assert "part: it cannot start; mend it" in said[0] if planned else '"defect"' in said[0]
    with Process(tmp_path / "data") as server:
        assert server.status_of(server.sent()) in ("queued", "sending", "sent", "delivered")
