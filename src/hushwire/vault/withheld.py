"""The withheld log: keys that live although what they open is to be forgotten.

A minimum or a legal hold keeps such a key, and the database says that nobody may use it. An older
database, put back, does not say so any more. So each is noted here, and synced, before the
database says it; the first start after a restore reads the log and withholds them again.

It has the form of the erasure log (`erasures`) and lies beside it, whether or not the vault is
backed up; where nothing was ever withheld there is none. Its pair is the id of the vault.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from hushwire.errors import Misconfigured
from hushwire.vault.erasures import ErasureLog
from hushwire.vault.seal import KeyRef

NAME: Final = "withheld.log"
WHOLE: Final = 1 << 63  # in a note, beside the reference: its message was deleted, not redacted
COMPACT_AT: Final = 100_000  # notes below which a log is never written anew


def noted(ref: KeyRef, *, whole: bool) -> int:
    """The note of a withheld key. `whole`: nothing of its message is to be seen."""
    return ref | WHOLE if whole else ref


def beside(erasures: Path) -> Path:
    """Where it lies: `erasures` is the place of the erasure log."""
    return erasures.with_name(NAME)


class WithheldLog:
    """One file, written by the one process that owns the vault."""

    def __init__(self, path: Path, vault_id: bytes) -> None:
        """`vault_id`: 16 bytes. Raises Misconfigured when the log is damaged or another's."""
        self.path: Final = path
        self._vault_id = vault_id
        self._log = self._open() if path.exists() else None
        self._compact_at = COMPACT_AT

    def note(self, notes: Sequence[int]) -> None:
        """Write notes; durable when this returns. Raises OSError."""
        if self._log is None:
            self._log = ErasureLog.create(self.path, self._vault_id)
        self._log.note(notes)

    def read(self) -> dict[KeyRef, bool]:
        """Every key that is noted, and whether its whole message is to be forgotten."""
        found: dict[KeyRef, bool] = {}
        for note in self._log.since(0) if self._log is not None else ():
            ref = note & ~WHOLE
            found[ref] = found.get(ref, False) or note != ref
        return found

    def keep(self, lives: Callable[[KeyRef], bool]) -> None:
        """Leave out the keys that do not. Raises OSError."""
        if self._log is not None:
            self._log.retain(lambda note: lives(note & ~WHOLE))

    def compact(self, lives: Callable[[KeyRef], bool]) -> None:
        """Do so once the log has doubled since the last time."""
        if self._log is not None and self._log.end() >= self._compact_at:
            self.keep(lives)
            self._compact_at = max(COMPACT_AT, 2 * self._log.end())

    def take_over(self, refs: Iterable[int]) -> None:
        """Note what another log of the same vault holds, but for what is noted here."""
        known = set(self._log.since(0)) if self._log is not None else set[int]()
        missing = [ref for ref in refs if ref not in known]
        if missing:
            self.note(missing)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()

    def _open(self) -> ErasureLog:
        log = ErasureLog.open(self.path)
        if log.pair != self._vault_id:
            log.close()
            raise Misconfigured(
                f"erasure_log: {self.path} is of another vault: put back the one that lay there, "
                "or move it away"
            )
        return log


def carry(source: Path, target: Path, vault_id: bytes) -> int:
    """Take a log along to where a restored server will look for it; how many keys that names.

    Raises as `WithheldLog`.
    """
    there, here = WithheldLog(source, vault_id), WithheldLog(target, vault_id)
    try:
        if source != target:
            here.take_over(noted(ref, whole=whole) for ref, whole in there.read().items())
        return len(here.read())
    finally:
        there.close()
        here.close()
