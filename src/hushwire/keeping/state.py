"""What a vault knows of its backups, in `keeping.json` beside its slots.

`pair` names the backup keys and the erasure log that are kept for it: what they say is complete
only while the server has written them all the time.

`timeline` is another one after each restore of the vault itself. Slots count how often they were
used, so that a reference never opens another key. A vault that goes back to an earlier state
uses the same counts again, for other keys; so whoever was written in the time that is lost must
not be read with it. Database and backups carry the name of their timeline.
"""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from hushwire.errors import Misconfigured
from hushwire.vault.files import write_whole

FILE: Final = "keeping.json"

# In the database.
VAULT_ID: Final = "vault_id"
TIMELINE: Final = "timeline"
CLOCK_OFFSET: Final = "clock_offset_ms"

UNFINISHED: Final = "restore.unfinished"  # in the data directory, while a restore is


class State(Struct, frozen=True):
    """`keeping.json`. All empty: of a vault that was never backed up nor restored."""

    pair: str = ""  # 32 hex digits
    timeline: str = ""  # likewise
    restored_from: str = ""  # which backup


def read_state(vault: Path) -> State:
    """What the vault in that directory knows. Raises Misconfigured."""
    try:
        return msgspec.json.decode((vault / FILE).read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except msgspec.DecodeError:
        raise Misconfigured(f"{vault / FILE} is damaged: restore the vault") from None


def write_state(vault: Path, state: State) -> None:
    """Replace what the vault knows; durable when this returns."""
    write_whole(vault / FILE, msgspec.json.encode(state))


def require_same_timeline(database: str, vault: State) -> None:
    """Raises Misconfigured when database and vault are of two timelines."""
    if database != vault.timeline:
        raise Misconfigured(
            "database: it is not of the same time as the vault, which was restored from a backup; "
            "restore both together with `hushwire restore`"
        )


def require_restored(data: Path) -> None:
    """Raises Misconfigured while a restore into the data directory is unfinished."""
    path = data / UNFINISHED
    if path.exists():
        backup = path.read_text(encoding="utf-8").partition("\n")[0]
        raise Misconfigured(
            f"data: a restore is unfinished: run `hushwire restore {backup} --data {data}` again"
        )
