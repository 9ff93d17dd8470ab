"""`kill -9` while messages are forgotten: neither a forgetting nor its record is ever alone."""

import json
import random
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path

from promise_checker import live_keys, named_keys, read_database
from real_process import FORM, Process

from harness import wait_for
from hushwire.domain.audit import verify
from hushwire.store.audit import read_chain

LIVES, EACH = 6, 24


def test_kills_while_forgetting(tmp_path: Path) -> None:
    server, chance = Process(tmp_path / "data"), random.Random(7)
    sids: list[str] = []
    for _ in range(LIVES):
        with server:
            new = [server.sent() for _ in range(EACH)]
            sids += new
            wait_for(lambda sid=new[-1]: server.status_of(sid) == "delivered")
            with ThreadPoolExecutor(8) as clients:
                asked = [clients.submit(_forget, server, sid, n) for n, sid in enumerate(new)]
                enough = chance.randrange(1, EACH // 2)  # by answers, not by time: machines differ
                while sum(one.done() for one in asked) < enough:
                    time.sleep(0.0005)
                server.kill()
            answered = {sid for sid in (one.result() for one in asked) if sid is not None}
        _assert_recorded(server.data, answered)
    with server:
        wait_for(lambda: live_keys(server.data) == named_keys(server.data))  # the sweep is over
        wait_for(lambda: not _unrecorded(server.data, sids))
    rows, _ = read_database(server.data)
    redacted, deleted = _recorded(server.data)
    assert {sid for sid in sids if sid not in rows} == set(deleted)
    assert {sid for sid, row in rows.items() if row.content_key is None} <= set(redacted)
    assert set(redacted) - set(deleted) <= {s for s, r in rows.items() if r.content_key is None}
    assert max((redacted | deleted).values()) == 1, "nothing is recorded twice"
    assert redacted
    assert deleted
    assert len(redacted) + len(deleted) < len(sids), "all kills came too late to prove anything"
    assert verify(read_chain(server.data / "hushwire.db")).broken is None


def _forget(server: Process, sid: str, n: int) -> str | None:
    """Redact one, delete the next; the SID if that was answered."""
    with suppress(OSError, HTTPException, json.JSONDecodeError):
        if n % 2:
            status = server.request("DELETE", server.message_path(sid))[0]
        else:
            status = server.request("POST", server.message_path(sid), b"Body=", FORM)[0]
        if status < 300:
            return sid
    return None


def _assert_recorded(data: Path, answered: set[str]) -> None:
    """What was answered is on record, whatever happened right afterwards."""
    redacted, deleted = _recorded(data)
    assert answered <= {*redacted, *deleted}


def _unrecorded(data: Path, sids: list[str]) -> set[str]:
    """Messages that are gone, or whose body is, and of which no record tells."""
    rows, _ = read_database(data)
    redacted, deleted = _recorded(data)
    forgotten = {sid for sid in sids if sid not in rows or rows[sid].content_key is None}
    return forgotten - {*redacted, *deleted}


def _recorded(data: Path) -> tuple[Counter[str], Counter[str]]:
    """How often each message is on record as redacted, and as deleted."""
    redacted, deleted = Counter[str](), Counter[str]()
    with closing(sqlite3.connect(data / "hushwire.db")) as db:
        for what, subjects in db.execute("SELECT what, subjects FROM audit"):
            if what == "message.redacted":
                redacted.update(subjects.split())
            elif what == "message.deleted":
                deleted.update(subjects.split())
    return redacted, deleted
