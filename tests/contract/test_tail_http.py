"""The live message log of the running server, over HTTP and as `hushwire tail`."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import RunningServer

ALICE, MASKED = "+14155550181", "+1415555XXXX"
BODY = "Your code is 471108"


@contextmanager
def following(server: RunningServer) -> Generator[Iterator[dict[str, Any]]]:
    """The lines of the log, from now on."""
    url = f"{server.url}/hushwire/v1/accounts/{server.sid}/tail"
    with httpx.stream("GET", url, auth=(server.sid, server.token), timeout=10) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = map(json.loads, answer.iter_lines())
        assert list(next(lines)) == ["heartbeat"]  # it has begun
        yield lines


def test_a_message_is_followed_from_its_birth_to_its_receipt(server: RunningServer) -> None:
    with following(server) as lines:
        sid = server.client().messages.create(to=ALICE, from_=server.number, body=BODY).sid
        seen = []
        while not seen or seen[-1]["status"] != "delivered":
            seen.append(next(lines))
    statuses = list(dict.fromkeys(line["status"] for line in seen))
    assert statuses in (["queued", "sending", "sent", "delivered"], ["queued", "sent", "delivered"])
    assert list(seen[0]) == [
        "sid", "at", "status", "direction", "from", "to", "segments", "error_code",
    ]  # fmt: skip
    for line in seen:
        assert (line["sid"], line["from"], line["to"]) == (sid, server.number, MASKED)
        assert (line["direction"], line["segments"], line["error_code"]) == (
            "outbound-api",
            1,
            None,
        )
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"])
    assert BODY not in json.dumps(seen)


def test_a_text_received_shows_the_own_number(server: RunningServer) -> None:
    with following(server) as lines:
        path = f"/sandbox/phones/{ALICE}/messages"
        _, told = server.json("POST", path, {"to": server.number, "body": BODY})
        line = next(lines)
    assert (line["sid"], line["status"]) == (told["sid"], "received")
    assert (line["from"], line["to"]) == (MASKED, server.number)


def test_why_it_failed_is_in_the_line(server: RunningServer) -> None:
    server.behave(ALICE, "unreachable")
    with following(server) as lines:
        server.client().messages.create(to=ALICE, from_=server.number, body=BODY)
        codes = {line["status"]: line["error_code"] for line in (next(lines) for _ in range(3))}
        while "undelivered" not in codes:
            line = next(lines)
            codes[line["status"]] = line["error_code"]
    server.behave(ALICE, "deliver")
    assert codes["undelivered"] == 30003


def test_only_who_may_read_messages_may_listen(server: RunningServer) -> None:
    path = f"/hushwire/v1/accounts/{server.sid}/tail"
    assert server.request("GET", path, auth=False)[0] == 401
    assert server.request("GET", path.replace(server.sid, "AC" + "0" * 32))[0] == 404
    assert server.request("POST", path, b"")[0] == 405


def test_a_server_that_stops_ends_the_log_at_once(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "data") as server, following(server) as lines:
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 3  # not the 5 s that open answers are waited for
        assert list(lines) == []


@contextmanager
def tail(server: RunningServer, *flags: str) -> Generator[subprocess.Popen[str]]:
    """`hushwire tail` as a process, sure to listen."""
    known = {"HUSHWIRE_URL": server.url, "HUSHWIRE_ACCOUNT_SID": server.sid,
             "HUSHWIRE_AUTH_TOKEN": server.token, "PYTHONUNBUFFERED": "1"}  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "hushwire", "tail", *flags], env={**os.environ, **known},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str], server: RunningServer, status: str) -> str:
    """Send a text a second until a line tells `status`."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    for _ in range(20):
        server.client().messages.create(to=ALICE, from_=server.number, body=BODY)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            line = process.stdout.readline()
            if status in line:
                return line
            time.sleep(0.01)
    raise AssertionError("no line came")


def test_tail_shows_a_line_a_change_and_ends_quietly(server: RunningServer) -> None:
    with tail(server) as process:
        line = line_of(process, server, "delivered")
        assert re.fullmatch(
            rf"\d\d:\d\d:\d\d SM[0-9a-f]{{32}} ↗ {re.escape(server.number)} → "
            rf"{re.escape(MASKED)} delivered\n",
            line,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_tail_as_json_passes_the_lines_on(server: RunningServer) -> None:
    with tail(server, "--json") as process:
        line = json.loads(line_of(process, server, "delivered"))
        assert (line["to"], line["status"]) == (MASKED, "delivered")


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_tail_of_a_server_that_ends_is_75(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with (
        RunningServer(tmp_path / "data") as server,
        tail(server, *flags) as process,
    ):
        line_of(process, server, "delivered")
        server.stop()
        assert process.wait(10) == 75
        assert process.stderr is not None
        assert process.stderr.read().startswith("Error: the server ended the connection")
