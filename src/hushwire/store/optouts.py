"""Who wants no more messages, and which sender a person knows: keyed hashes, no numbers.

A number is asked for, never listed: without the account's pepper a hash says nothing, and
the pepper lies in the vault. Hashes have 16 bytes (D9): a collision would act on a stranger.
"""

from collections.abc import Callable
from typing import Final

from hushwire.store.engine import Database
from hushwire.store.keys import AccountKeys
from hushwire.vault.lookup import day_of

WriteNow = Callable[[Callable[[Database], None]], None]
_OPTOUT: Final = "optout"
_STICKY: Final = "sticky"
STICKY_DAYS: Final = 90  # since the last message; then a sender is chosen anew


class OptOuts:
    """The block lists of all accounts, each of a scope: a number's or a service's SID."""

    def __init__(self, reader: Database, write: WriteNow, keys: dict[int, AccountKeys]) -> None:
        self._write = write
        self._keys = keys
        self._tags: dict[tuple[int, str], set[bytes]] = {}
        self._accounts: set[int] = set()  # those of which somebody opted out
        for account_id, scope, tag in reader.rows("optouts"):
            self._tags.setdefault((account_id, scope), set()).add(bytes(tag))
            self._accounts.add(account_id)

    def any(self, account_id: int) -> bool:
        """Did anybody ever opt out of what this account sends? Most often that is all to ask."""
        return account_id in self._accounts

    def blocked(self, account_id: int, scope: str, number: str) -> bool:
        """Does `number` (E.164) want no messages from that scope?"""
        tags = self._tags.get((account_id, scope))
        return bool(tags) and self._tag(account_id, number) in tags

    def count(self, account_id: int, scope: str) -> int:
        return len(self._tags.get((account_id, scope), ()))

    def add(self, account_id: int, scope: str, number: str, keyword: str, at_ms: int) -> None:
        """In force, and durable, when this returns."""
        tag = self._tag(account_id, number)
        self._write(lambda db: db.do("put_optout", account_id, scope, tag, keyword, at_ms))
        self._tags.setdefault((account_id, scope), set()).add(tag)
        self._accounts.add(account_id)

    def scopes(self, account_id: int, number: str) -> list[str]:
        """Of which scopes `number` (E.164) wants no messages."""
        if not self.any(account_id):
            return []
        tag = self._tag(account_id, number)
        return sorted(
            s for (owner, s), tags in self._tags.items() if owner == account_id and tag in tags
        )

    def remove(self, account_id: int, scope: str, number: str) -> None:
        """Messages are welcome again."""
        tag = self._tag(account_id, number)
        self._write(lambda db: db.do("delete_optout", account_id, scope, tag))
        self._tags.get((account_id, scope), set[bytes]()).discard(tag)

    def _tag(self, account_id: int, number: str) -> bytes:
        return self._keys[account_id].lasting_pepper(_OPTOUT).tag16(number)


class StickySenders:
    """Person → sender, for each service that keeps the same one."""

    def __init__(self, reader: Database, write: WriteNow, keys: dict[int, AccountKeys]) -> None:
        self._reader = reader
        self._write = write
        self._keys = keys

    def get(self, account_id: int, service: str, number: str, now_ms: int) -> str | None:
        """The sender that this person knows of the service, if it was used lately."""
        row = self._reader.one("sticky", account_id, service, self._tag(account_id, number))
        if row is None or day_of(now_ms) - row[1] > STICKY_DAYS:
            return None
        return row[0]

    def row(
        self, account_id: int, service: str, number: str, sender: str, now_ms: int
    ) -> tuple[int, str, bytes, str, int]:
        """What `put_sticky` writes when this sender was used."""
        return account_id, service, self._tag(account_id, number), sender, day_of(now_ms)

    def sweep(self, now_ms: int) -> None:
        """Forget who was not written to for so long that a sender is chosen anew."""
        oldest = day_of(now_ms) - STICKY_DAYS
        self._write(lambda db: db.do("delete_sticky_before", oldest))

    def forget(self, account_id: int, service: str, number: str | None = None) -> None:
        """Forget one person, or everybody, of a service."""
        if number is None:
            self._write(lambda db: db.do("delete_sticky_of_service", account_id, service))
        else:
            tag = self._tag(account_id, number)
            self._write(lambda db: db.do("delete_sticky", account_id, service, tag))

    def _tag(self, account_id: int, number: str) -> bytes:
        return self._keys[account_id].lasting_pepper(_STICKY).tag16(number)
