"""Providers of the root key: each gives 32 bytes or says in one sentence what to do."""

import json
import os
import stat
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hushwire.errors import Misconfigured
from hushwire.vault import providers
from hushwire.vault.providers import (
    DEFAULT,
    PROVIDERS,
    Surroundings,
    can_make,
    check_provider,
    erase_kept,
    install_staged,
    is_there,
    make_root,
    place_of,
    read_root,
    shown,
)

KEY = bytes(range(32))
TOKEN = "s.0123456789-the-token"


class KeyService:
    """Something of the shape of HashiCorp Vault's transit engine, on loopback."""

    def __init__(self) -> None:
        service = self
        self.asked: list[str] = []
        self.status = 200
        self.answer: bytes | None = None

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.asked.append(self.path)
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, data = service.serve(self.path, self.headers["X-Vault-Token"], content)
                body = service.answer or json.dumps({"data": data}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1/transit/decrypt/hushwire"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def serve(self, path: str, token: str, content: dict[str, str]) -> tuple[int, dict[str, str]]:
        if token != TOKEN:
            return 403, {}
        if path.endswith("/encrypt/hushwire"):
            sealed = b64encode(b64decode(content["plaintext"])[::-1]).decode()
            return self.status, {"ciphertext": f"vault:v1:{sealed}"}
        version, _, sealed = content["ciphertext"].rpartition(":")
        if version != "vault:v1":
            return 400, {}
        return self.status, {"plaintext": b64encode(b64decode(sealed)[::-1]).decode()}

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def service() -> Iterator[KeyService]:
    made = KeyService()
    yield made
    made.close()


def around(data: Path, **environ: str) -> Surroundings:
    return Surroundings(data, {"PATH": os.environ["PATH"], **environ})


def test_the_default_is_a_file_in_the_data_directory_made_once(tmp_path: Path) -> None:
    where = around(tmp_path / "data")
    assert not is_there(DEFAULT, where)
    root = make_root(DEFAULT, where)
    path = tmp_path / "data" / "root.key"
    assert len(root) == 32
    assert read_root(DEFAULT, where) == root == path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert make_root(DEFAULT, where) == root  # another process was first: its key counts
    assert [p.name for p in path.parent.iterdir()] == ["root.key"]
    assert make_root(f"file:{tmp_path / 'other.key'}", where) != root


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o444])
def test_a_root_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(KEY)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 0400"):
        read_root(DEFAULT, around(tmp_path))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_root_key_of_another_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(bytes(size))
    path.chmod(0o400)
    with pytest.raises(Misconfigured, match="not 32 bytes"):
        read_root(DEFAULT, around(tmp_path))


WRITTEN = [KEY.hex(), KEY.hex().upper(), b64encode(KEY).decode(), f"\n {KEY.hex()}\n"]
WRITTEN.append(b64encode(KEY).decode().rstrip("="))
NO_KEYS = ["x" * 64, KEY.hex()[:-2], b64encode(KEY[:-1]).decode(), "Ä" * 17, KEY.hex() + "00"]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_key_is_written_in_hex_or_base64(tmp_path: Path, text: str) -> None:
    where = around(tmp_path, ROOT=text, CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "root").write_text(text)
    for line in ("env:ROOT", "credential:root", f"command:cat {tmp_path / 'root'}"):
        assert read_root(line, where) == KEY
    (tmp_path / "root").write_bytes(KEY)
    assert read_root("credential:root", where) == KEY


@pytest.mark.parametrize("text", NO_KEYS)
def test_what_is_no_key_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    where = around(tmp_path, ROOT=text, CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "root").write_text(text)
    for line in ("env:ROOT", "credential:root", f"command:cat {tmp_path / 'root'}"):
        with pytest.raises(Misconfigured, match="openssl rand -hex 32") as refused:
            read_root(line, where)
        assert text not in str(refused.value)


REFUSED = [
    ("", "root_key must be one of"),
    ("root.key", "root_key must be one of"),
    ("file:", "root_key must be one of"),
    ("kms:arn", "root_key must be one of"),
    ("file:none.key", "missing: restore it"),
    ("file:.", "cannot be read"),
    ("env:NOWHERE", "NOWHERE is not set"),
    ("credential:root", "start by systemd"),
    ("command:/nowhere/program", "cannot be run"),
    ("command:'", "open quote"),
    ("command:''", "cannot be run"),
    ("command:false secret-argument", "ended with 1"),
    ("transit:ftp://host/v1/transit/decrypt/x", "transit: needs the URL"),
    ("transit:http://vault.example.com/v1/transit/decrypt/x", "transit: needs the URL"),
    ("transit:https://user:secret@host/v1/transit/decrypt/x", "transit: needs the URL"),
    ("transit:https://host:99999/v1/transit/decrypt/x", "transit: needs the URL"),
    ("transit:https://host/v1/secret/x", "transit: needs the URL"),
    ("transit:http://127.0.0.1:9/v1/transit/decrypt/x", "missing: restore it"),
]


@pytest.mark.parametrize(("line", "cure"), REFUSED)
def test_each_way_to_fail_has_its_cure(tmp_path: Path, line: str, cure: str) -> None:
    with pytest.raises(Misconfigured, match=cure) as refused:
        read_root(line, around(tmp_path))
    assert "secret" not in str(refused.value)


def test_a_credential_that_is_not_there_names_the_line_of_the_unit(tmp_path: Path) -> None:
    where = around(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    with pytest.raises(Misconfigured, match="LoadCredentialEncrypted=root"):
        read_root("credential:root", where)


def test_a_command_runs_without_a_shell_and_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = f"import sys; print({KEY.hex()!r}); print('secret', file=sys.stderr); sys.argv[1]"
    line = f'command:{sys.executable} -c "{script}" "$(touch {tmp_path}/shell)"'
    assert read_root(line, around(tmp_path)) == KEY
    assert not (tmp_path / "shell").exists()
    assert capfd.readouterr() == ("", "")


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "TIME_LIMIT_S", 0.2)
    began = time.monotonic()
    with pytest.raises(Misconfigured, match="did not end within"):
        read_root("command:sleep 60", around(tmp_path))
    assert time.monotonic() - began < 10


def test_a_key_service_keeps_the_root_wrapped(tmp_path: Path, service: KeyService) -> None:
    """It is asked once for each read, and only the wrapped key lies on the disk."""
    line, where = f"transit:{service.url}", around(tmp_path, VAULT_TOKEN=TOKEN)
    root = make_root(line, where)
    assert len(root) == 32
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes().startswith(b"vault:v1:")
    assert root not in kept.read_bytes()
    assert b64encode(root) not in kept.read_bytes()
    asked = len(service.asked)
    assert read_root(line, where) == root
    assert service.asked[asked:] == ["/v1/transit/decrypt/hushwire"]


@pytest.mark.parametrize(
    ("status", "cure"),
    [(400, "restore the .wrapped"), (403, "VAULT_TOKEN is wrong"), (404, "correct the URL"),
     (503, "unseal it"), (500, "see its log")],
)  # fmt: skip
def test_what_a_key_service_refuses_has_its_cure(
    tmp_path: Path, service: KeyService, status: int, cure: str
) -> None:
    line, where = f"transit:{service.url}", around(tmp_path, VAULT_TOKEN=TOKEN)
    make_root(line, where)
    service.status = status
    with pytest.raises(Misconfigured, match=cure) as refused:
        read_root(line, where)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize("answer", [b"", b"<html>", b'{"data": null}', b'{"data": {"a": 1}}'])
def test_an_answer_of_another_shape_is_refused(
    tmp_path: Path, service: KeyService, answer: bytes
) -> None:
    line, where = f"transit:{service.url}", around(tmp_path, VAULT_TOKEN=TOKEN)
    make_root(line, where)
    service.answer = answer or b"\xff"
    with pytest.raises(Misconfigured, match="not that of a transit engine"):
        read_root(line, where)


def test_a_key_service_that_is_away_or_without_token_is_refused(
    tmp_path: Path, service: KeyService
) -> None:
    line, where = f"transit:{service.url}", around(tmp_path, VAULT_TOKEN=TOKEN)
    make_root(line, where)
    with pytest.raises(Misconfigured, match="set VAULT_TOKEN"):
        read_root(line, around(tmp_path))
    for wrong in ("s.wrong", "new\nline"):
        with pytest.raises(Misconfigured, match=r"token|TOKEN"):
            read_root(line, around(tmp_path, VAULT_TOKEN=wrong))
    service.close()
    with pytest.raises(Misconfigured, match="did not answer"):
        read_root(line, where)
    service.__init__()  # for the fixture to close


def test_only_what_is_kept_can_be_made_anew(tmp_path: Path) -> None:
    assert {kind for kind in PROVIDERS if can_make(f"{kind}:x")} == {"file", "transit"}
    with pytest.raises(Misconfigured, match="only gives a key"):
        make_root("env:ROOT", around(tmp_path, ROOT=KEY.hex()))


def test_a_staged_key_takes_the_place_of_the_old_in_its_own_blocks(tmp_path: Path) -> None:
    """Through a link, which stays one; and nothing of the old key is left in the file."""
    where, disk = around(tmp_path / "data"), tmp_path / "disk"
    disk.mkdir()
    old = make_root(f"file:{disk / 'root.key'}", where)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "root.key").symlink_to(disk / "root.key")
    inode = (disk / "root.key").stat().st_ino
    new = make_root(DEFAULT, where, staged=True)
    assert read_root(DEFAULT, where) == old
    install_staged(DEFAULT, where)
    assert read_root(DEFAULT, where) == new != old
    assert (tmp_path / "data" / "root.key").is_symlink()
    assert (disk / "root.key").stat().st_ino == inode
    assert stat.S_IMODE((disk / "root.key").stat().st_mode) == 0o400
    erase_kept(DEFAULT, where, staged=True)
    assert [path.name for path in disk.iterdir()] == ["root.key"]
    erase_kept(DEFAULT, where)
    assert not list(disk.iterdir())
    erase_kept("env:ROOT", where)  # nothing is kept there


def test_what_people_see_of_a_provider_holds_no_argument_that_may_be_secret(tmp_path: Path) -> None:
    assert shown("command:vault --password hunter2") == "command:…"
    assert shown("transit:https://host/v1/transit/decrypt/x") == "transit:…"
    assert shown("env:ROOT") == "env:ROOT"
    assert place_of("env:ROOT", around(tmp_path)) is None
    check_provider("env:ROOT")
