"""Upgrades: every schema that was ever released becomes the newest one, or nothing happens."""

import importlib.util
import re
import sqlite3
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import ModuleType

import apsw
import pytest

from hushwire.errors import Misconfigured
from hushwire.store import engine
from hushwire.store.engine import Database
from hushwire.store.sql import migrations

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "schemas.py"
CURE = "run .venv/bin/python tools/schemas.py (tests/schemas/README.md says when)"


def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("schemas", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schemas = _tool()
NEWEST = migrations()[-1][0]
DUMPS = {int(path.stem): path.read_text() for path in sorted(schemas.SCHEMAS.glob("*.sql"))}


def migrate(path: Path) -> None:
    database = Database(path)
    try:
        database.migrate()
    finally:
        database.close()


def steps(monkeypatch: pytest.MonkeyPatch, *more: str, upto: int = NEWEST) -> None:
    """From here on the migrations are those up to a version, and `more` after them."""
    known = [(number, script) for number, script in migrations() if number <= upto]
    later = list(enumerate(more, upto + 1))
    monkeypatch.setattr(engine, "migrations", lambda: [*known, *later])


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    source = sqlite3.connect(path)
    try:
        return source.execute(statement).fetchall()
    finally:
        source.close()


# What was released ------------------------------------------------------------------------


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in migrations()] == list(range(1, NEWEST + 1))
    names = [f.name for f in files("hushwire.store").joinpath("migrations").iterdir()]
    wrong = [n for n in names if n.endswith(".sql") and not re.fullmatch(r"\d{4}_[a-z_]+\.sql", n)]
    assert wrong == []


def test_every_schema_has_its_dump() -> None:
    assert sorted(DUMPS) == list(range(1, NEWEST + 1)), CURE


@pytest.mark.parametrize("version", sorted(DUMPS))
def test_a_schema_is_what_its_migrations_make(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a migration that was released cannot change without somebody noticing."""
    steps(monkeypatch, upto=version)
    assert schemas.fresh(tmp_path / "fresh.db") == DUMPS[version], CURE


@pytest.mark.parametrize("version", sorted(DUMPS))
def test_every_schema_becomes_the_newest(version: int, tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    schemas.restore(DUMPS[version], old)
    assert schemas.dump(old) == DUMPS[version]
    migrate(old)
    assert schemas.dump(old) == schemas.fresh(tmp_path / "fresh.db")
    assert rows(old, "PRAGMA integrity_check") == [("ok",)]


def test_the_tool_tells_whether_the_newest_dump_is_right() -> None:
    found = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr


# How an upgrade goes ----------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database of the newest schema with a row in it."""
    path = tmp_path / "hushwire.db"
    migrate(path)
    source = sqlite3.connect(path)
    with source:
        source.execute("INSERT INTO meta VALUES ('word', 'kept')")
    source.close()
    return path


def test_steps_are_done_once_in_order_and_keep_the_rows(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(
        monkeypatch,
        "ALTER TABLE meta ADD COLUMN note TEXT; UPDATE meta SET note = 'first';",
        "UPDATE meta SET note = note || ' second';",
    )
    migrate(database)
    migrate(database)
    assert rows(database, "PRAGMA user_version") == [(NEWEST + 2,)]
    assert rows(database, "SELECT value, note FROM meta WHERE name = 'word'") == [
        ("kept", "first second")
    ]


def test_a_step_that_fails_leaves_the_version_before_it(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps before it are done, it is not, in no part; put right, it goes on from there."""
    good, bad = "CREATE TABLE good (x);", "CREATE TABLE bad (x); DROP TABLE meta; SELECT no();"
    steps(monkeypatch, good, bad)
    for _ in range(2):  # and starting again makes it neither better nor worse
        with pytest.raises(apsw.SQLError):
            migrate(database)
        assert rows(database, "PRAGMA user_version") == [(NEWEST + 1,)]
        assert rows(database, "SELECT name FROM sqlite_schema WHERE name IN ('good', 'bad')") == [
            ("good",)
        ]
        assert rows(database, "SELECT value FROM meta WHERE name = 'word'") == [("kept",)]
    steps(monkeypatch, good, "CREATE TABLE bad (x);")
    migrate(database)
    assert rows(database, "PRAGMA user_version") == [(NEWEST + 2,)]


def test_a_newer_schema_is_refused_and_left_alone(database: Path) -> None:
    source = sqlite3.connect(database)
    with source:
        source.execute(f"PRAGMA user_version = {NEWEST + 1}")
    source.close()
    before = schemas.dump(database)
    with pytest.raises(Misconfigured, match=rf"schema {NEWEST + 1}, this one knows {NEWEST}"):
        migrate(database)
    assert schemas.dump(database) == before
