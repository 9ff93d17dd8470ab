"""A command's connection: where credentials come from, and what goes wrong on the way."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from e2e.self_signed import certificate
from hushwire.cli.connection import Credentials, find_credentials
from hushwire.cli.exits import Configuration
from hushwire.cli.main import COMMANDS, cli

SID, TOKEN = "AC" + "0123456789abcdef" * 2, "fedcba9876543210" * 2
ENVIRON = {"HUSHWIRE_ACCOUNT_SID": SID, "HUSHWIRE_AUTH_TOKEN": TOKEN}


class Stub:
    """An HTTP server that answers everything with one status and body."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(stub.status)
                self.end_headers()
                self.wfile.write(stub.body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.server.shutdown()
    stub.server.server_close()


def listed(url: str, **environ: str) -> Result:
    return CliRunner().invoke(
        cli, ["messages", "list"], env={**ENVIRON, "HUSHWIRE_URL": url, **environ}
    )


def saved(directory: Path, url: str) -> Path:
    kept = {"url": url, "account_sid": SID, "auth_token": TOKEN, "phone_number": "+15005550006"}
    (directory / "credentials.json").write_text(json.dumps(kept))
    return directory


def where(found: Credentials) -> tuple[str, str, str]:
    return found.url, found.account_sid, found.auth_token.reveal()


def test_the_flag_goes_before_the_environment_and_that_before_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flag", "variable", "hushwire-data"):
        (tmp_path / name).mkdir()
        saved(tmp_path / name, f"http://{name}")
    monkeypatch.chdir(tmp_path)
    environ = {**ENVIRON, "HUSHWIRE_URL": "http://environment/"}
    assert where(find_credentials("flag", environ)) == ("http://flag", SID, TOKEN)
    assert where(find_credentials(None, environ)) == ("http://environment", SID, TOKEN)
    variable = {**ENVIRON, "HUSHWIRE_DATA": "variable"}  # without a URL, SID and token do not count
    assert find_credentials(None, variable).url == "http://variable"
    assert find_credentials(None, {}).url == "http://hushwire-data"


def test_the_token_does_not_show() -> None:
    found = find_credentials(None, {**ENVIRON, "HUSHWIRE_URL": "http://a"})
    assert TOKEN not in repr(found)


@pytest.mark.parametrize("missing", ["HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN"])
def test_half_an_environment_is_refused_with_what_is_missing(missing: str) -> None:
    environ = {**ENVIRON, "HUSHWIRE_URL": "http://a", missing: ""}
    with pytest.raises(Configuration) as found:
        find_credentials(None, environ)
    assert missing in found.value.message
    assert TOKEN not in found.value.message


@pytest.mark.parametrize("content", ["", "[]", '{"url": "http://a"}', "\xff"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content, encoding="latin-1")
    with pytest.raises(Configuration) as found:
        find_credentials(str(tmp_path), {})
    assert f"{tmp_path}/credentials.json is damaged" in found.value.message


def test_nobody_there_is_75_with_the_cure() -> None:
    found = listed("http://127.0.0.1:1")
    assert found.exit_code == 75
    assert "http://127.0.0.1:1" in found.stderr
    assert "hushwire up" in found.stderr
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("url", ["127.0.0.1:8008", "ftp://127.0.0.1", "http://[::1", "http://"])
def test_a_url_that_is_none_is_78(url: str) -> None:
    found = listed(url)
    assert found.exit_code == 78, found.stderr
    assert "URL" in found.stderr


def test_a_certificate_nobody_vouches_for_is_78_and_can_be_named(
    stub: Stub, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    stub.server.socket = context.wrap_socket(stub.server.socket, server_side=True)
    stub.body = json.dumps({"messages": [], "next_page_uri": None}).encode()
    found = listed(stub.url("https"))
    assert found.exit_code == 78
    assert "SSL_CERT_FILE" in found.stderr
    assert listed(stub.url("https"), SSL_CERT_FILE=str(cert)).exit_code == 0


@pytest.mark.parametrize(("status", "exit_code"), [(503, 75), (429, 75), (401, 78), (400, 1)])
def test_what_is_refused_has_its_exit_code_and_twilios(
    stub: Stub, status: int, exit_code: int
) -> None:
    stub.status = status
    stub.body = b'{"code": 20001, "message": "Not like this.", "status": 400}'
    found = listed(stub.url())
    assert found.exit_code == exit_code
    assert found.stderr.startswith("Error: Not like this (20001)")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.parametrize("status", [200, 302, 404])
def test_another_servers_answer_is_1(stub: Stub, status: int) -> None:
    stub.status, stub.body = status, b"<html>Welcome</html>"
    found = listed(stub.url())
    assert found.exit_code == 1
    assert "is the URL of the connection right?" in found.stderr


def test_this_machine_is_not_asked_for_through_a_proxy(stub: Stub) -> None:
    stub.body = json.dumps({"messages": [], "next_page_uri": None}).encode()
    proxy = "http://127.0.0.1:1"
    assert listed(stub.url(), HTTP_PROXY=proxy, http_proxy=proxy, ALL_PROXY=proxy).exit_code == 0
    assert listed("http://example.invalid", HTTP_PROXY=stub.url()).exit_code == 0  # control


def test_what_a_terminal_would_obey_is_not_printed(stub: Stub) -> None:
    message = {
        "sid": "SM1", "status": "received", "direction": "inbound", "from": "+14155550123",
        "to": "+15005550006", "body": "\x1b[2J\x07[bold]Hi[/]\n\x9bthere", "error_code": None,
        "date_sent": None, "date_created": "Thu, 24 Aug 2023 05:01:45 +0000",
    }  # fmt: skip
    stub.body = json.dumps({"messages": [message], "next_page_uri": None}).encode()
    found = listed(stub.url())
    assert found.exit_code == 0
    assert "�[2J[bold]Hi[/] �there" in found.stdout
    assert found.stdout.replace("\n", "").isprintable()
    assert "2023-08-24 05:01" in found.stdout


@pytest.mark.parametrize(
    ("noun", "verbs"),
    [
        ("messages", {"list", "show", "send", "redact", "delete"}),
        ("accounts", {"list", "show"}),
        ("numbers", {"list", "buy", "release"}),
    ],
)
def test_every_verb_teaches_by_example_and_speaks_json(noun: str, verbs: set[str]) -> None:
    assert noun in COMMANDS
    for verb in verbs:
        found = CliRunner().invoke(cli, [noun, verb, "--help"])
        assert found.exit_code == 0
        assert f"  hushwire {noun} {verb}" in found.output
        assert "--json" in found.output
        assert "--data DIR" in found.output
