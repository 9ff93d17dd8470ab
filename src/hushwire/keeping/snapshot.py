"""The database of a backup: copied as it is at one moment, and read without a change to it."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import apsw

from hushwire.keeping.manifest import Progress, Unusable
from hushwire.store.engine import Value
from hushwire.store.sql import SQL

PAGES: Final = 1_024  # copied in one step: 4 MiB


def copy_database(source: Path, target: Path, progress: Progress) -> None:
    """Copy a database that may be in use, into one durable file.

    A reader's transaction holds one moment, so that what is written meanwhile does not make the
    copy begin again. Raises apsw.Error and OSError.
    """
    reader = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READWRITE)
    writer = apsw.Connection(str(target))
    try:
        target.chmod(0o600)
        reader.set_busy_timeout(10_000)
        _run(reader, "BEGIN; SELECT count(*) FROM sqlite_schema")
        with writer.backup("main", reader, "main") as backup:
            while not backup.done:
                backup.step(PAGES)
                progress("database", backup.page_count - backup.remaining, backup.page_count)
        _run(writer, "PRAGMA journal_mode=delete")  # one file, nothing beside it
    finally:
        writer.close()
        reader.close()
    fd = os.open(target, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class Snapshot:
    """A database that nobody writes to. Raises Unusable when it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        self._db = apsw.Connection(f"file:{quote(str(path))}?immutable=1", flags=flags)

    def rows(self, name: str, *values: Value) -> list[Any]:
        """The rows of a named statement."""
        execute = _executor(self._db)
        try:
            return list(execute(SQL[name], values))
        except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError):
            raise self._unusable() from None

    def meta(self, name: str) -> str:
        """A value of the server's own; nothing where there is none."""
        rows = self.rows("get_meta", name)
        return str(rows[0][0]) if rows else ""

    def check(self) -> None:
        """Is every page of the database as SQLite left it? Raises Unusable."""
        try:
            found = list(_executor(self._db)("PRAGMA quick_check(1)", ()))
        except (apsw.NotADBError, apsw.CorruptError):
            raise self._unusable() from None
        if found != [("ok",)]:
            raise self._unusable()

    def close(self) -> None:
        self._db.close()

    def _unusable(self) -> Unusable:
        return Unusable(f"{self.path} is damaged, or no database of Hushwire: use another backup")


def _run(db: apsw.Connection, statements: str) -> None:
    for _ in _executor(db)(statements, ()):
        pass


def _executor(db: apsw.Connection) -> Callable[[str, tuple[Value, ...]], Iterable[Any]]:
    # apsw's own types name a protocol of Python 3.12: this says what we use.
    return cast("Any", db).execute
