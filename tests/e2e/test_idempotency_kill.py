"""A create that names itself, asked for while the process dies: one message, never two.

The process ends at each named point that a create passes. Who was answered 201 holds the SID of
the one message; who got no answer asks again, with the same key, and gets it too.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from uuid import uuid4

import pytest
from promise_checker import check_keys, live_keys, named_keys, read_database
from real_process import FORM, HELLO, Process

from harness import quiet, wait_for

CLIENTS = 20
POINTS = [
    "vault.written", "vault.synced", "store.vault_written", "store.committed", "dispatch.marked",
    "dispatch.logged", "dispatch.submitted", "network.accepted", "network.reported",
]  # fmt: skip


def ask(server: Process, key: str) -> str | None:
    """The SID that was answered; None when the process died first."""
    headers = {**FORM, "Idempotency-Key": key}
    with suppress(OSError, HTTPException, ValueError):
        status, _, body = server.request("POST", server.messages_path, HELLO, headers)
        assert status == 201, body
        return str(json.loads(body)["sid"])
    return None


@pytest.mark.parametrize("point", POINTS)
def test_a_death_between_repetitions(point: str, tmp_path: Path) -> None:
    server, key = Process(tmp_path / "data"), str(uuid4())
    now = tmp_path / "now"
    server.launch(HUSHWIRE_FAULT=f"{point}:1:{now}")
    assert server.ready(), server.log.read_text()
    quiet(server)
    now.touch()
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda _: ask(server, key), range(CLIENTS)))
    assert server.ended(10) == -9
    with server:
        again = {ask(server, key) for _ in range(3)}
        (sid,) = again
        assert sid is not None
        assert {answer for answer in answers if answer is not None} <= {sid}
        wait_for(lambda: live_keys(server.data) == named_keys(server.data))  # the sweep is over
        assert server.stop() == 0
    found, _ = read_database(server.data)
    assert list(found) == [sid]
    check_keys(server.data)
