"""What an account has us forget: read it, change it, look for what would work against it."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.privacy import Privacy, Windows, changed
from hushwire.domain.scan import Finding
from hushwire.store.store import Store


class Scanner(Protocol):
    """Looks for settings of an account that work against redaction, and raises alerts."""

    def scan(self, account: Account) -> list[Finding]:
        """What it found."""
        ...


class Settings(Struct, frozen=True):
    """An account's privacy settings, and the windows as they count: its own over the server's."""

    privacy: Privacy
    windows: Windows


class PrivacySettings:
    """The actions on privacy settings, for every door."""

    def __init__(self, store: Store, clock: Clock, scanner: Scanner) -> None:
        self._accounts = store.accounts
        self._clock = clock
        self._scanner = scanner

    def read(self, account: Account) -> Settings:
        """The settings in force."""
        return Settings(account.privacy, self._accounts.windows[account.id])

    def change(
        self, account: Account, wanted: Mapping[str, object]
    ) -> tuple[Settings, list[Finding]]:
        """Change what is named; durable when this returns. Also what a scan then finds.

        It counts for messages that are born from now on, and a shorter window for those that
        leave from now on: what was told of a hold stays true. A longer window counts for what
        is held now, too. Raises Refusal for a name or a
        value that is none; nothing is changed then.
        """
        privacy = changed(account.privacy, wanted)
        if privacy != account.privacy:
            account = replace(account, privacy=privacy, updated_ms=self._clock.now_ms())
            self._accounts.change(account)
        return self.read(account), self.scan(account)

    def scan(self, account: Account) -> list[Finding]:
        """Look for what works against redaction; nothing is found while it is all off."""
        privacy = account.privacy
        if not (privacy.redact_body or privacy.redact_numbers):
            return []
        return self._scanner.scan(account)
