"""The keeper: what a running server does so that backups of the vault forget in time.

While `vault_backup` is a number of days it notes every destroyed key in the erasure log, and
destroys backup keys whose time is over. When it is `none` it destroys them all: no vault in any
backup opens any more, and nothing needs to be noted.

Whatever the policy, it notes every key that is withheld: an older database, put back, does not
know of it.
"""

import asyncio
from pathlib import Path
from typing import Final, NoReturn

from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.errors import Misconfigured
from hushwire.faults import reach
from hushwire.keeping.state import read_state, write_state
from hushwire.settings import Settings
from hushwire.vault.backup_keys import BackupKeys
from hushwire.vault.erasures import ErasureLog
from hushwire.vault.slots import Slots
from hushwire.vault.withheld import WithheldLog, beside

_EVERY_S: Final = 3_600.0


class Keeper:
    """Begins before anything of the vault is destroyed. Raises Misconfigured, OSError."""

    def __init__(
        self, settings: Settings, vault: Path, slots: Slots, clock: Clock, entropy: Entropy
    ) -> None:
        self._days = settings.vault_backup_days
        self._clock = clock
        self._keys: BackupKeys | None = None
        self._log: ErasureLog | None = None
        self._slots = slots
        self.withheld = WithheldLog(beside(settings.erasure_log_path), slots.vault_id)
        slots.withholding = self.withheld.note
        keys, log = settings.backup_keys_path, settings.erasure_log_path
        if self._days:
            self._begin(keys, log, vault, entropy)
            assert self._log is not None
            slots.erasing = self._log.erasing
            self.expire()
        else:
            _end(keys, log, vault, clock.now_ms())

    def expire(self) -> int:
        """Destroy the backup keys whose time is over; how many they were."""
        self.withheld.compact(lambda ref: self._slots.read(ref) is not None)
        if self._keys is None or self._log is None:
            return 0
        gone = self._keys.expire(self._clock.now_ms(), self._days)
        self._keys.trim(self._log.end, self._log.drop_before)
        return gone

    async def run(self) -> NoReturn:
        """Destroy what is over, every hour; the start did so, too."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await asyncio.to_thread(self.expire)

    def close(self) -> None:
        for file in (self._keys, self._log, self.withheld):
            if file is not None:
                file.close()

    def _begin(self, keys: Path, log: Path, vault: Path, entropy: Entropy) -> None:
        state = read_state(vault)
        if not state.pair:
            pair = _create(keys, log, entropy)
            write_state(vault, replace(state, pair=pair))
            state = read_state(vault)
        self._keys, self._log = BackupKeys.open(keys), ErasureLog.open(log)
        for path, pair in ((keys, self._keys.pair), (log, self._log.pair)):
            if pair.hex() != state.pair:
                raise Misconfigured(
                    f"{path} is not the one this vault used so far: put that one back; if it is "
                    "lost, start once with vault_backup=none, and then as now with files of new "
                    "names"
                )


def _create(keys: Path, log: Path, entropy: Entropy) -> str:
    """New files; they may replace such as hold no key."""
    if keys.exists():
        old = BackupKeys.open(keys)
        try:
            if old.live():
                raise Misconfigured(
                    f"backup_keys: {keys} holds keys that are not of this vault's time: name "
                    "another file"
                )
        finally:
            old.close()
    for path in (keys, log):
        if not path.parent.is_dir():
            raise Misconfigured(f"{path.parent} is not there: mount its disk, or make it")
    pair = entropy.bytes(16)
    ErasureLog.create(log, pair).close()
    reach("keeper.log_created")
    BackupKeys.create(keys, pair).close()
    reach("keeper.keys_created")
    return pair.hex()


def _end(keys: Path, log: Path, vault: Path, now_ms: int) -> None:
    """No backup of the vault opens from now on, and nothing is noted."""
    state = read_state(vault)
    if not state.pair:
        return
    if keys.exists():
        old = BackupKeys.open(keys)
        try:
            if old.pair.hex() == state.pair:
                old.expire(now_ms, 0)
                reach("keeper.keys_destroyed")
                keys.unlink()
                log.unlink(missing_ok=True)
        finally:
            old.close()
    write_state(vault, replace(state, pair=""))
