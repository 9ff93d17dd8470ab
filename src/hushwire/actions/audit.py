"""What can be done with the audit log: list it, follow the chain, tell its head."""

import asyncio
from typing import Final, NoReturn

from hushwire.domain.account import Account
from hushwire.domain.audit import AuditRecord, Head, Reveal, Span
from hushwire.domain.sid import is_sid
from hushwire.observe import Journal
from hushwire.private import Private
from hushwire.store.entries import Entries
from hushwire.store.store import Store

CHAIN_MAX: Final = 10_000  # records of the chain at a time
_DAY_S: Final = 86_400.0
_FAR: Final = 1 << 62


class Audits:
    """The actions on the audit log, for every door. What reads blocks: call it in a thread."""

    def __init__(self, store: Store, entries: Entries) -> None:
        self._log = store.audit
        self._accounts = store.accounts
        self._entries = entries

    def page(
        self, account: Account, span: Span, limit: int, after: str | None = None, *,
        upwards: bool = False,
    ) -> list[AuditRecord]:  # fmt: skip
        """Up to `limit` records of the account and its subaccounts, newest first; those older
        than the record of the SID `after`. `upwards`: newer, and of more the ones next to it."""
        beyond = None
        if after is not None:
            beyond = min(int(after[2:], 16), _FAR) if is_sid(after, "AU") else 0
        own = [a.sid for a in self._accounts.by_id.values() if account.id in (a.id, a.owner_id)]
        return self._log.page(own, span, limit, beyond, upwards=upwards)

    def reason(self, record: AuditRecord) -> Private | None:
        """Why a message was revealed, while that is kept."""
        account = self._accounts.by_sid.get(record.account)
        sids = record.subjects.split(" ")
        if record.what != "message.revealed" or account is None or len(sids) < 2:
            return None
        found = self._entries.get(Reveal, account.id, sids[1])
        return Private(found.reason) if found is not None else None

    def is_operator(self, account: Account) -> bool:
        """May it see the whole chain? The account of the first start keeps the server."""
        return account.id == 1

    def head(self) -> Head:
        """The newest record of the chain."""
        return self._log.head()

    def chain(self, after: int) -> list[AuditRecord]:
        """The records that follow the one of that number, oldest first, `CHAIN_MAX` at most."""
        return self._log.chain(min(after, _FAR), CHAIN_MAX)


async def publish_daily(audits: Audits, journal: Journal) -> NoReturn:
    """Tell the journal the head of the chain, now and once a day: where the journal is kept
    elsewhere, nobody can write the chain anew without being found out."""
    while True:
        head = audits.head()
        journal.audited(head.seq, head.hash.hex())
        await asyncio.sleep(_DAY_S)
