"""A server of another version on the same data."""

import sqlite3
from pathlib import Path

from real_process import Process, refused

from hushwire.store.sql import migrations

NEWEST = migrations()[-1][0]


def _mark(data: Path, version: int) -> None:
    database = sqlite3.connect(data / "hushwire.db")
    with database:
        database.execute(f"PRAGMA user_version = {version}")
    database.close()


def test_data_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    """An older server does not touch what it does not know: exit 78, and the newer one goes on."""
    server = Process(tmp_path / "data")
    with server:
        sid = server.sent()
    _mark(server.data, NEWEST + 1)
    before = (server.data / "hushwire.db").read_bytes()
    sentence = refused(server.data)
    assert f"schema {NEWEST + 1}" in sentence
    assert "newer" in sentence
    assert (server.data / "hushwire.db").read_bytes() == before
    _mark(server.data, NEWEST)
    with server:
        assert server.json("GET", server.message_path(sid))[1]["body"] == "Hello"
