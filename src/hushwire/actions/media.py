"""What can be done with the media of a message: list, get, delete, and link to them (D14).

Who may get a file is the setting `media_access`: `basic`, whoever has credentials of the
account; `signed`, whoever has a link that we made, too; `public`, everybody who knows its URL,
as at Twilio. A link lasts seven days, or until the file is forgotten.
"""

import hmac
from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import parse_qs

from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.media import Medium
from hushwire.domain.message import Message, is_finished
from hushwire.errors import Refusal
from hushwire.private import Private
from hushwire.settings import MediaAccess
from hushwire.store.audit import requested
from hushwire.store.media import MediaTable
from hushwire.store.store import Store

LINK_S: Final = 604_800  # the longest that media are held for who was sent a link (8.4)
_PURPOSE: Final = "media-link"
_EXPIRES, _SIGNATURE = "Expires", "Signature"


class MediaLinks:
    """Makes the URLs of media, and knows its own again."""

    def __init__(
        self, store: Store, clock: Clock, access: MediaAccess, base_url: Callable[[], str]
    ) -> None:
        self._accounts = store.accounts
        self._clock = clock
        self._access = access
        self._base_url = base_url  # scheme and host under which others reach us

    def url(self, message: Message, medium: Medium) -> Private:
        """The absolute URL of a file, for who has no credentials."""
        sid = self._accounts.by_id[medium.account_id].sid
        path = f"/2010-04-01/Accounts/{sid}/Messages/{message.sid}/Media/{medium.sid}"
        query = ""
        if self._access == "signed":
            expires_s = self._clock.now_ms() // 1000 + LINK_S
            signature = self._signature(medium.account_id, medium.sid, expires_s)
            query = f"?{_EXPIRES}={expires_s}&{_SIGNATURE}={signature}"
        return Private(f"{self._base_url()}{path}{query}")

    def opens(self, account_sid: str, medium_sid: str, query: str) -> Account | None:
        """The account, if this URL alone is enough to get the file; it may be gone."""
        account = self._accounts.by_sid.get(account_sid)
        if account is None or not self._accounts.is_active(account):
            return None
        if self._access == "public":
            return account
        if self._access == "signed" and self._is_signed(account, medium_sid, query):
            return account
        return None

    def _is_signed(self, account: Account, medium_sid: str, query: str) -> bool:
        given = parse_qs(query)
        expires, signature = (given.get(name, [""])[0] for name in (_EXPIRES, _SIGNATURE))
        if not (expires.isascii() and expires.isdigit() and len(expires) < 13):
            return False
        right = self._signature(account.id, medium_sid, int(expires))
        same = hmac.compare_digest(right.encode(), signature.encode())
        return same and int(expires) * 1000 > self._clock.now_ms()

    def _signature(self, account_id: int, medium_sid: str, expires_s: int) -> str:
        """128 bits, keyed with what dies with the account's key."""
        pepper = self._accounts.keys[account_id].lasting_pepper(_PURPOSE)
        return pepper.tag16(f"{medium_sid} {expires_s}").hex()


class Media:
    """The actions on media, for every door."""

    def __init__(self, table: MediaTable) -> None:
        self._table = table

    def list(self, message: Message) -> list[Medium]:
        """The media of a message that are still there, in their order."""
        return self._table.of(message.key) if message.media else []

    def find(self, message: Message, sid: str) -> Medium | None:
        """A medium of that message; None when there is none, or no more."""
        return self._table.find(message.key, sid) if message.media else None

    async def open(self, medium: Medium) -> AsyncIterator[bytes] | None:
        """The file, piece by piece; None when it is gone. Raises Unavailable."""
        return await self._table.open(medium)

    async def delete(self, message: Message, medium: Medium) -> None:
        """Destroy its key, then the rest of it. Raises Refusal while the message needs it."""
        if not is_finished(message):
            raise Refusal("not_complete")
        await self._table.forget([medium], requested())
