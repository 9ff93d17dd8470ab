"""Writes the dump of the newest schema: later versions are tested to upgrade from it.

    python tools/schemas.py            write tests/schemas/NNNN.sql, NNNN the newest migration
    python tools/schemas.py --check    change nothing; exit 1 when it would change

While no release has a schema, its migration may change, and this writes it again. From its
release on it stays: a released dump is never written again, and what changes is a new
migration. Raise RELEASED with each release that has a new schema.
"""

import argparse
import re
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Final

from hushwire.store.engine import Database
from hushwire.store.sql import migrations

RELEASED: Final = 0  # the newest schema that a release has; 0: none yet
SCHEMAS: Final = Path(__file__).resolve().parent.parent / "tests" / "schemas"

_OBJECTS: Final = """
    SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL
    ORDER BY type <> 'table', type, name
"""


def dump(path: Path) -> str:
    """The schema of a database file as SQL, one statement a line; the same for the same schema.

    Comments and line breaks of the migrations are left out: they may change.
    """
    source = sqlite3.connect(path)
    try:
        (version,) = source.execute("PRAGMA user_version").fetchone()
        statements = [sql for (sql,) in source.execute(_OBJECTS)]
    finally:
        source.close()
    plain = [" ".join(re.sub(r"--[^\n]*", "", sql).split()) for sql in statements]
    return "".join(f"{sql};\n" for sql in [*plain, f"PRAGMA user_version = {version}"])


def restore(script: str, path: Path) -> None:
    """A new database file with the schema of a dump."""
    target = sqlite3.connect(path)
    try:
        target.executescript(script)
    finally:
        target.close()


def fresh(path: Path) -> str:
    """Make a new database file as the server does; its dump."""
    database = Database(path)
    database.migrate()
    database.close()
    return dump(path)


def main() -> int:
    given = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given.add_argument("--check", action="store_true", help="change nothing; exit 1 when stale")
    arguments = given.parse_args()
    newest = migrations()[-1][0]
    path = SCHEMAS / f"{newest:04}.sql"
    with tempfile.TemporaryDirectory() as folder:
        made = fresh(Path(folder) / "fresh.db")
    if path.exists() and path.read_text(encoding="utf-8") == made:
        return 0
    if newest <= RELEASED:
        print(f"schema {newest} is released: put migration {newest:04} back as it was, and write "
              f"a new one, {newest + 1:04}_….sql", file=sys.stderr)  # fmt: skip
        return 1
    if arguments.check:
        print(f"{path.name} is not what the migrations make: run tools/schemas.py", file=sys.stderr)
        return 1
    path.write_text(made, encoding="utf-8")
    print(f"wrote tests/schemas/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
