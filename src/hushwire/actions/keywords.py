"""What can be done with opt-out keywords: show, set, and read a text with them."""

import msgspec
from msgspec import Struct

from hushwire.actions.services import Services
from hushwire.clock import Clock
from hushwire.domain.account import Account
from hushwire.domain.address import is_toll_free
from hushwire.domain.keywords import Keywords
from hushwire.domain.optout import KeywordSet, OptOutRequest, read_keywords, read_request
from hushwire.errors import Refusal
from hushwire.store.owned import OwnedRecords

PREFIX = "KW"  # our own: at Twilio keywords are set in its console


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    filtering: bool = True
    rules: msgspec.Raw = msgspec.Raw(b"[]")


class KeywordSets:
    """The keywords of every scope. A sender in a service has the service's."""

    def __init__(self, records: OwnedRecords, services: Services, clock: Clock) -> None:
        self._records = records
        self._services = services
        self._clock = clock

    def scope_of(self, account_id: int, sender_sid: str) -> str:
        """Whose keywords a text to that number or short code is read with, and whom it stops."""
        home = self._services.home(account_id, sender_sid)
        return home.sid if home is not None else sender_sid

    def of(self, account_id: int, scope: str) -> Keywords:
        """The keywords of a scope: the defaults when nobody set any."""
        found = self._records.get(Keywords, account_id, _sid(scope))
        return found or Keywords(
            sid=_sid(scope), account_id=account_id, created_ms=0, updated_ms=0, scope=scope
        )

    def request(self, account_id: int, scope: str, to: str, body: str) -> OptOutRequest | None:
        """What a text to the number `to` asks for; None when it is no keyword there."""
        keywords = self.of(account_id, scope)
        if not keywords.filtering:
            return None
        return read_request(body, keywords.own, toll_free=is_toll_free(to))

    def find(self, account: Account, scope: str) -> Keywords | None:
        """The keywords of the account's number, short code or service; None when it has none
        of that SID."""
        if not self._is_own(account.id, scope):
            return None
        return self.of(account.id, scope)

    def put(self, keywords: Keywords, text: bytes) -> Keywords:
        """What they are from now on, from JSON: `{"filtering": true, "rules": […]}`.

        Durable when it returns. Raises Refusal (keywords_invalid).
        """
        try:
            wanted = msgspec.json.decode(text, type=_Wanted)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise Refusal("keywords_invalid", reason=str(error)) from None
        own: KeywordSet = read_keywords(b'{"rules":%b}' % bytes(wanted.rules))
        now_ms = self._clock.now_ms()
        keywords = Keywords(
            sid=keywords.sid, account_id=keywords.account_id, scope=keywords.scope,
            created_ms=keywords.created_ms or now_ms, updated_ms=now_ms,
            filtering=wanted.filtering, own=own,
        )  # fmt: skip
        self._records.put(keywords)
        return keywords

    def _is_own(self, account_id: int, scope: str) -> bool:
        services = self._services
        return (
            services.find(account_id, scope) is not None
            or services.is_own(account_id, "PN", scope)
            or services.is_own(account_id, "SC", scope)
        )


def _sid(scope: str) -> str:
    """A record's SID is its scope's with another beginning: one for each."""
    return PREFIX + scope[2:]
