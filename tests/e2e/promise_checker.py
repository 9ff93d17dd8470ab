"""What must hold after any number of deaths, checked without the server's own code.

It compares what clients were promised, what the phone network took, what the customer's
endpoint got, and what is left in the database and the vault's files.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from callback_sink import Noted
from client_load import Load

FINAL = {"delivered", "undelivered", "failed"}
HEADER, SLOT = 4096, 64  # of a slot file, in bytes


class Row(NamedTuple):
    """A message as the database has it."""

    status: str
    error_code: int | None
    facts: list[str]  # names of what happened to it, in order
    content_key: int | None
    address_key: int | None


class Wire:
    """What the phone network accepted in all lives: the network's own log, read at each death."""

    def __init__(self, data: Path) -> None:
        self._path = data / "network.log"
        self._taken: dict[str, int] = {}  # the network's reference → the message's key

    def read(self) -> None:
        if not self._path.exists():
            return
        for line in self._path.read_bytes().split(b"\n")[:-1]:  # what follows the last is torn
            fields = line.split(b" ")
            if fields[0] == b"accepted":
                self._taken[fields[1].decode()] = int(fields[2])

    def times(self) -> dict[int, int]:
        """How often each message was accepted."""
        counts: dict[int, int] = defaultdict(int)
        for key in self._taken.values():
            counts[key] += 1
        return counts


class Found(NamedTuple):
    """What a check saw, for its summary."""

    messages: int
    in_doubt: int  # marked so at any time
    undelivered: int  # never on the wire, and said so
    callbacks_repeated: int

    def line(self, deaths: int) -> str:
        return (
            f"{deaths} kills, {self.messages} messages, {self.in_doubt} in doubt "
            f"({self.undelivered} never left), {self.callbacks_repeated} callbacks repeated"
        )


def check(data: Path, load: Load, wire: Wire, callbacks: list[Noted]) -> Found:
    """Check everything. Call it once the last server stopped with nothing left to do."""
    rows, leftovers = read_database(data)
    wire.read()
    times = wire.times()
    assert not load.failures, load.failures[:5]
    assert load.promised, "no message was accepted: nothing was tested"
    _check_promises(rows, load)
    assert [k for k, n in times.items() if n > 1] == [], "put on the wire twice"
    undelivered = _check_fates(rows, times)
    repeated = _check_callbacks(rows, load, callbacks)
    assert leftovers == [], f"tasks nobody will do: {leftovers[:5]}"
    check_keys(data)
    in_doubt = sum("doubted" in row.facts for row in rows.values())
    return Found(len(load.promised), in_doubt, undelivered, repeated)


def _check_promises(rows: dict[str, Row], load: Load) -> None:
    lost = [s for s in load.promised if s not in rows and s not in load.asked_to_delete]
    assert lost == [], f"{len(lost)} accepted messages are lost, such as {lost[:3]}"
    kept = [sid for sid in load.deleted if sid in rows]
    assert kept == [], f"{len(kept)} deleted messages are still there, such as {kept[:3]}"
    readable = [s for s in load.redacted if s in rows and rows[s].content_key is not None]
    assert readable == [], f"{len(readable)} redacted bodies have a key, such as {readable[:3]}"


def _check_fates(rows: dict[str, Row], times: dict[int, int]) -> int:
    """Every message ended; what never left says so. Returns how many never left."""
    unfinished = {sid: row.status for sid, row in rows.items() if row.status not in FINAL}
    assert unfinished == {}, f"without end: {list(unfinished.items())[:3]}"
    never_left = 0
    for sid, row in rows.items():
        if times.get(key_of(sid)):
            assert row.status == "delivered", (sid, row, "the network has delivered it")
            continue
        never_left += 1
        assert (row.status, row.error_code) == ("undelivered", 30008), (sid, row)
        assert "doubted" in row.facts, (sid, row, "nothing in its history says why")
    return never_left


def _check_callbacks(rows: dict[str, Row], load: Load, callbacks: list[Noted]) -> int:
    """Each end was told at least once, each time by the same token. Returns the repetitions."""
    tokens: dict[tuple[str, str], set[str]] = defaultdict(set)
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    told: dict[str, set[str]] = defaultdict(set)
    for callback in callbacks:
        what = callback.sid, callback.status
        tokens[what].add(callback.token)
        owners[callback.token].add(what)
        if callback.answer < 300:
            told[callback.sid].add(callback.status)
    assert [w for w, seen in tokens.items() if len(seen) > 1] == [], "a repetition, another token"
    assert [t for t, who in owners.items() if len(who) > 1] == [], "one token for two callbacks"
    forgotten = load.asked_to_delete | load.asked_to_redact  # the URL goes with the body
    untold = [s for s, row in rows.items() if s not in forgotten and row.status not in told[s]]
    assert untold == [], f"{len(untold)} ends were told nobody, such as {untold[:3]}"
    unknown = set(told) - set(rows) - load.asked_to_delete
    assert unknown == set(), f"callbacks of messages that do not exist: {list(unknown)[:3]}"
    return len(callbacks) - len(tokens)


def check_keys(data: Path) -> None:
    """The keys in the vault are exactly those that rows name."""
    live, named = live_keys(data), named_keys(data)
    assert live - named == set(), f"{len(live - named)} keys that no row names"
    assert named - live == set(), f"{len(named - live)} rows whose key is gone"


def key_of(sid: str) -> int:
    """The key a message SID carries: 48 bits of milliseconds, 16 of sequence."""
    return int(sid[2:14], 16) << 16 | int(sid[18:22], 16)


def read_database(data: Path) -> tuple[dict[str, Row], list[tuple[int, ...]]]:
    """Messages by SID, and the tasks that are left."""
    with closing(_open(data)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows: dict[str, Row] = {}
        for key, tail, prefix, status, code, history, content_key, address_key in db.execute(
            "SELECT key, tail, prefix, status, error_code, history, content_key, address_key"
            " FROM message"
        ):
            sid = f"{prefix}{key >> 16:012x}{tail[:2].hex()}{key & 0xFFFF:04x}{tail[2:].hex()}"
            facts = [line.split(" ")[0] for line in history.splitlines()]
            rows[sid] = Row(status, code, facts, content_key, address_key)
        tasks = db.execute("SELECT record, number, kind, due_ms, attempt FROM task").fetchall()
    return rows, tasks


def named_keys(data: Path) -> set[int]:
    """Every vault key that a row names."""
    with closing(_open(data)) as db:
        return {
            ref
            for (ref,) in db.execute(
                "SELECT content_key FROM message UNION SELECT address_key FROM message"
                " UNION SELECT key_ref FROM account UNION SELECT key_ref FROM pepper"
                " UNION SELECT key_ref FROM media"
            )
            if ref is not None
        }


def named_objects(data: Path) -> set[str]:
    """Every object that a row of media names."""
    with closing(_open(data)) as db:
        return {name for (name,) in db.execute("SELECT name FROM media")}


def objects(data: Path) -> set[str]:
    """Every object in the folder."""
    found = {path.name for path in (data / "media").rglob("*") if path.is_file()}
    return found - {"place"}


def live_keys(data: Path) -> set[int]:
    """Every key that is in the vault's files, as slot << 32 | generation."""
    return set(_live(data))


def _live(data: Path) -> Iterator[int]:
    first = 0
    for path in sorted((data / "vault").glob("*.slots")):
        content = path.read_bytes()[HEADER:]
        for at in range(0, len(content), SLOT):
            sealed, generation = content[at : at + 60], content[at + 60 : at + SLOT]
            if any(sealed):
                yield first + at // SLOT << 32 | int.from_bytes(generation, "big")
        first += len(content) // SLOT


def _open(data: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{data / 'hushwire.db'}?mode=ro", uri=True, timeout=10)
