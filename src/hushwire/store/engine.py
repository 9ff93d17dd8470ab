"""The narrow waist: named statements on one SQLite connection, and how the file is opened."""

import fcntl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import apsw

from hushwire.errors import Misconfigured
from hushwire.store.sql import SQL, migrations

Value = int | str | bytes | float | None
Row = tuple[Value, ...]

PRAGMAS = (
    "journal_mode=wal",
    "synchronous=full",  # grouped, it costs nothing on a fast disk (docs/adr/0001)
    "secure_delete=on",
    "temp_store=memory",
    "cache_size=-65536",
    "foreign_keys=on",
)


class Database:
    """A connection that runs the statements of `queries/*.sql` by name."""

    def __init__(self, path: Path, *, readonly: bool = False, alone: bool = False) -> None:
        """Raises Misconfigured when the file is no database.

        `alone`: no two threads ever use it at once, so SQLite need not lock for each call.
        """
        flags = apsw.SQLITE_OPEN_READWRITE | (0 if readonly else apsw.SQLITE_OPEN_CREATE)
        flags |= apsw.SQLITE_OPEN_NOMUTEX if alone else 0
        self._name = path.name
        self._db = apsw.Connection(str(path), flags=flags)
        # apsw's own types name a protocol of Python 3.12: these say what we use.
        db = cast("Any", self._db)
        self._execute: Callable[[str, Sequence[Value]], Iterable[Any]] = db.execute
        self._executemany: Callable[[str, Iterable[Row]], object] = db.executemany
        self._db.set_busy_timeout(10_000)
        try:
            for pragma in (*PRAGMAS, *(("query_only=on",) if readonly else ())):
                self._execute(f"PRAGMA {pragma}", ())
        except (apsw.NotADBError, apsw.CorruptError):
            raise Misconfigured(
                f"database: {path.name} is not a Hushwire database, or it is damaged; restore it, "
                "or name another file in database_url"
            ) from None

    def rows(self, name: str, *values: Value) -> Iterable[Any]:
        """The rows of a statement, each a tuple in the order of its columns."""
        return self._execute(SQL[name], values)

    def one(self, name: str, *values: Value) -> Any:
        """The first row, or None."""
        return next(iter(self._execute(SQL[name], values)), None)

    def do(self, name: str, *values: Value) -> None:
        """A statement that returns nothing."""
        self._execute(SQL[name], values)

    def many(self, name: str, rows: Sequence[Row]) -> None:
        """The same statement for each row."""
        if rows:
            self._executemany(SQL[name], rows)

    def begin(self) -> None:
        """Begin a transaction."""
        self._execute("BEGIN IMMEDIATE", ())

    def commit(self) -> None:
        """Make the transaction durable."""
        self._execute("COMMIT", ())

    def undo(self) -> None:
        """Undo the transaction, if SQLite has not done so already (disk full)."""
        if self._db.in_transaction:
            self._execute("ROLLBACK", ())

    def __enter__(self) -> None:
        """Begin a transaction; it ends with the block, undone when the block raises."""
        self.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.undo()

    def migrate(self) -> None:
        """Bring the schema to the newest version, each step in its own transaction."""
        (version,) = next(iter(self._execute("PRAGMA user_version", ())))
        steps = migrations()
        if version > steps[-1][0]:
            raise Misconfigured(
                f"database: {self._name} was written by a newer Hushwire (schema {version}, this "
                f"one knows {steps[-1][0]}); start the newer version"
            )
        for number, script in steps:
            if number > version:
                with self:
                    self._execute(script, ())
                    self._execute(f"PRAGMA user_version={number}", ())

    def fold(self) -> None:
        """Fold the write-ahead log into the file and empty it."""
        self._execute("PRAGMA wal_checkpoint(TRUNCATE)", ())

    def close(self) -> None:
        self._db.close()


class FileLock:
    """An exclusive lock that ends with the process: one server a data directory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Misconfigured(
                f"data: another server uses {path.parent.name}; stop it or give --data another "
                "directory"
            ) from None

    def close(self) -> None:
        self._file.close()
