"""Starting, starting again, refusing to start, and stopping."""

import json
import os
import pty
import re
import shlex
import shutil
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import pytest
from promise_checker import check_keys, read_database
from real_process import FORM, HELLO, SMALL, Process, command, environment, refused
from self_signed import certificate

from harness import Receiver, wait_for

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "fedcba9876543210" * 2


# Starting again ---------------------------------------------------------------------------


def test_starting_again_keeps_everything(tmp_path: Path) -> None:
    server = Process(tmp_path / "data")
    with server:
        who = server.sid, server.token, server.number
        sid = server.sent()
        wait_for(lambda: server.status_of(sid) == "delivered")
        server.advance(86_400)
        before = server.json("GET", server.message_path(sid))
        assert server.stop() == 0
    with server:
        assert (server.sid, server.token, server.number) == who
        assert server.json("GET", server.message_path(sid)) == before
        assert server.json("GET", "/sandbox/clock")[1]["offset_s"] == 86_400
        later = server.sent()
        _, page = server.json("GET", server.messages_path)
        assert [message["sid"] for message in page["messages"]] == [later, sid]
        assert server.stop() == 0
    check_keys(server.data)


def test_credentials_are_written_anew_for_their_owner_alone(tmp_path: Path) -> None:
    server = Process(tmp_path / "data")
    path = server.data / "credentials.json"
    with server:
        first = json.loads(path.read_text())
        assert set(first) == {"url", "account_sid", "auth_token", "phone_number"}
    path.write_text("{}")
    path.chmod(0o644)
    with server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        again = json.loads(path.read_text())
        assert {**again, "url": first["url"]} == first
        with urllib.request.urlopen(again["url"] + "/healthz", timeout=5) as answer:
            assert answer.status == 200
    kept = {p.name: stat.S_IMODE(p.stat().st_mode) for p in server.data.iterdir()}
    assert kept["root.key"] == 0o400
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert not [name for name in kept if name.endswith(".part")]


def test_the_account_may_be_fixed_at_the_first_start(tmp_path: Path) -> None:
    fixed = {"HUSHWIRE_ACCOUNT_SID": SID, "HUSHWIRE_AUTH_TOKEN": TOKEN}
    server = Process(tmp_path / "data", **fixed)
    with server:
        assert (server.sid, server.token) == (SID, TOKEN)
        assert server.request("GET", server.messages_path)[0] == 200
    with Process(tmp_path / "data") as later:  # unset, the stored ones stand
        assert (later.sid, later.token) == (SID, TOKEN)
    other = refused(tmp_path / "data", HUSHWIRE_ACCOUNT_SID="AC" + "1" * 32,
                    HUSHWIRE_AUTH_TOKEN=TOKEN)  # fmt: skip
    assert "account_sid" in other
    other = refused(tmp_path / "data", HUSHWIRE_ACCOUNT_SID=SID, HUSHWIRE_AUTH_TOKEN="1" * 32)
    assert "auth_token" in other
    assert "1" * 32 not in other, "a token is never repeated"
    with server:
        assert server.request("GET", server.messages_path)[0] == 200


# Stopping ---------------------------------------------------------------------------------


def test_ctrl_c_drains_with_callbacks_in_flight(tmp_path: Path) -> None:
    """The endpoint is slow; what it was not told before the stop, it is told after the start."""
    slow = Receiver(lambda _: time.sleep(1) or 200)
    server = Process(tmp_path / "data")
    more = b"&StatusCallback=" + slow.url().encode()
    with server:
        sids = [server.sent(more) for _ in range(30)]
        slow.wait(5)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8
    assert {row.status for row in read_database(server.data)[0].values()} <= {"sent", "delivered"}
    slow.answer = None
    with server:
        wait_for(lambda: all(server.status_of(sid) == "delivered" for sid in sids))
        everything = {(sid, word) for sid in sids for word in ("sent", "delivered")}
        wait_for(lambda: everything <= {
            (c.form["MessageSid"], c.form["MessageStatus"]) for c in list(slow.callbacks)
        })  # fmt: skip
        wait_for(lambda: read_database(server.data)[1] == [])
        assert server.stop() == 0
    slow.close()
    log = [json.loads(x) for x in server.log.read_text().splitlines() if x.startswith("{")]
    assert [x["event"] for x in log if x["level"] in ("warning", "error")] == []


def test_ctrl_c_with_an_endpoint_that_never_answers(tmp_path: Path) -> None:
    """The drain has an end: the attempt is given up and is made again at the next start."""
    dead = Receiver(lambda _: time.sleep(30) or 200)
    server = Process(tmp_path / "data")
    with server:
        sid = server.sent(b"&StatusCallback=" + dead.url().encode())
        dead.wait(1)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 12
    dead.answer = None
    with server:
        wait_for(lambda: {c.form["MessageStatus"] for c in dead.callbacks} == {"sent", "delivered"})
        tokens = {c.headers["i-twilio-idempotency-token"] for c in dead.callbacks}
        assert len(tokens) == 2, "the attempt that is made again has the token of the first"
        assert {c.form["MessageSid"] for c in dead.callbacks} == {sid}
    dead.close()


def test_a_stop_leaves_one_database_file_and_no_log_of_it(tmp_path: Path) -> None:
    server = Process(tmp_path / "data")
    with server:
        server.sent()
        assert server.stop() == 0
    assert sorted(p.name for p in server.data.glob("hushwire.db*")) == ["hushwire.db"]


# Doors ------------------------------------------------------------------------------------


def test_without_the_sandbox_there_are_no_phones(tmp_path: Path) -> None:
    with Process(tmp_path / "data", "--no-sandbox") as server:
        assert server.number == ""
        for method, path in (
            ("GET", "/sandbox/clock"),
            ("POST", "/sandbox/clock"),
            ("GET", "/sandbox/phones/%2B14155550101/messages"),
            ("POST", "/sandbox/phones/%2B14155550101"),
        ):
            status, answer = server.json(method, path, {} if method == "POST" else None)
            assert (status, answer["code"]) == (404, 20404)
        status, _, body = server.request("POST", server.messages_path, HELLO, FORM)
        answer = json.loads(body)
        assert status == 400
        assert set(answer) == {"code", "message", "more_info", "status"}
        assert 21000 <= answer["code"] < 22000
        assert server.json("GET", server.messages_path)[1]["messages"] == []


def test_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    server = Process(tmp_path / "data", "--tls-cert", str(cert), "--tls-key", str(key))
    server.launch()
    try:
        wait_for(lambda: (server.data / "credentials.json").exists())
        server.credentials = json.loads((server.data / "credentials.json").read_text())
        assert server.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(cert))
        basic = b64encode(f"{server.sid}:{server.token}".encode()).decode()
        request = urllib.request.Request(
            server.url + server.messages_path, HELLO, {"Authorization": f"Basic {basic}", **FORM}
        )
        with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
            assert answer.status == 201
        with (
            pytest.raises(OSError),
            urllib.request.urlopen(
                server.url.replace("https", "http") + "/healthz", timeout=5
            ) as answer,
        ):
            answer.read()
    finally:
        assert server.stop() == 0


# What is printed --------------------------------------------------------------------------


def test_a_file_or_pipe_never_gets_the_token(tmp_path: Path) -> None:
    """D15: to anything but a terminal, the path of the credentials file."""
    server = Process(tmp_path / "data")
    with server:
        token = server.token
        assert server.stop() == 0
    output = server.log.read_text()
    assert token not in output
    assert str(server.data / "credentials.json") in output
    assert server.url in output


def test_a_terminal_gets_the_token_and_lines_that_work(tmp_path: Path) -> None:
    """D15: the printed SDK snippet and curl line are pasted as they stand, and send messages."""
    data = tmp_path / "data"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(data), env=environment(**SMALL, TERM="xterm"), stdin=subprocess.DEVNULL,
        stdout=theirs, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = _read_until(ours, "--no-sandbox")
        credentials = json.loads((data / "credentials.json").read_text())
        for value in credentials.values():
            assert value in shown
        snippet = re.search(r"( {2}from twilio.*?\))\n\n", shown, re.DOTALL)
        assert snippet is not None, shown
        code = "\n".join(line.strip() for line in snippet[1].splitlines())
        ran = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
        assert ran.returncode == 0
        expected = 1
        curl = re.search(r"( {2}curl .*Body=Hello)", shown, re.DOTALL)
        assert curl is not None, shown
        if shutil.which("curl"):
            expected = 2
            words = shlex.split(curl[1].replace("\\\n", " "))
            ran = subprocess.run([*words, "--silent", "--fail"], capture_output=True, timeout=60,
                                 check=False)  # fmt: skip
            assert ran.returncode == 0, ran.stderr
            assert json.loads(ran.stdout)["status"] == "queued"
        wait_for(lambda: len(read_database(data)[0]) == expected)
    finally:
        process.terminate()
        assert process.wait(20) == 0
        os.close(ours)


def _read_until(terminal: int, word: str) -> str:
    shown = ""
    deadline = time.monotonic() + 20
    while word not in shown:
        assert time.monotonic() < deadline, shown
        with suppress(OSError):
            shown += os.read(terminal, 65_536).decode().replace("\r\n", "\n")
    return shown
