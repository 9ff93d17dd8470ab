"""What can be done with Messaging Services: make, list, change and delete them, fill their pools.

A number or short code is in one pool at most. It is known which, because a message to it asks.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from hushwire.actions.owner_settings import changed
from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.address import country_of, is_toll_free
from hushwire.domain.phone import is_sender_shape
from hushwire.domain.service import POOL_MAX, Member, MemberKind, Service, ServiceSettings
from hushwire.domain.shortcode import ShortCode
from hushwire.domain.sid import is_sid, new_sid
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.records import Records
from hushwire.store.store import Store

_SERVICE: Final = "MG"
_ALPHANUMERIC: Final = "AI"


class Services:
    """The actions on Messaging Services, for every door. Nobody else writes their records."""

    def __init__(
        self, records: Records, store: Store, clock: Clock, entropy: Entropy, guard: Guard
    ) -> None:
        self._records = records.owned
        self._sticky = records.sticky
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy
        self._guard = guard
        self._homes = {  # SID of a sender → SID of its service
            member.sid: service.sid
            for service in self._records.every(Service)
            for member in service.pool
        }

    # -- services -------------------------------------------------------------------------

    def list(self, account: Account) -> Sequence[Service]:
        """The account's services, newest first."""
        return self._records.of(Service, account.id)

    def find(self, account_id: int, sid: str) -> Service | None:
        """The account's service of that SID, or None."""
        return self._records.get(Service, account_id, sid)

    def home(self, account_id: int, sender_sid: str) -> Service | None:
        """The service whose pool holds the account's number or short code of that SID, or None."""
        sid = self._homes.get(sender_sid)
        return self.find(account_id, sid) if sid is not None else None

    def create(
        self, account: Account, friendly_name: str, changes: Mapping[str, object]
    ) -> Service:
        """Make a service; `changes` is field of `ServiceSettings` → value.

        Durable when it returns. Raises Refusal for what is wrong with the settings.
        """
        settings = ServiceSettings(friendly_name)
        settings = changed(settings, {**changes, "friendly_name": friendly_name}, self._guard)
        now_ms = self._clock.now_ms()
        service = Service(
            sid=new_sid(_SERVICE, self._entropy.bytes(16)), account_id=account.id,
            created_ms=now_ms, updated_ms=now_ms, settings=settings,
        )  # fmt: skip
        self._records.put(service)
        return service

    def update(self, service: Service, changes: Mapping[str, object]) -> Service:
        """Change settings; empty text puts a default back. Raises Refusal, as create does."""
        settings = changed(service.settings, changes, self._guard)
        if settings == service.settings:
            return service
        service = replace(service, settings=settings, updated_ms=self._clock.now_ms())
        self._records.put(service)
        return service

    def delete(self, service: Service) -> None:
        """Delete it. Its senders are free for another; whom they wrote to is forgotten."""
        self._sticky.forget(service.account_id, service.sid)
        self._records.delete(service)
        for member in service.pool:
            del self._homes[member.sid]

    # -- pools ----------------------------------------------------------------------------

    def add(self, service: Service, kind: MemberKind, sid: str) -> Member | None:
        """Put a number or short code of the account into the pool; None when there is none.

        Raises Refusal: invalid_sid, service_sender_exists, service_sender_elsewhere,
        service_pool_full.
        """
        if not is_sid(sid, kind):
            raise Refusal("invalid_sid")
        member = self._member(service.account_id, kind, sid)
        if member is None:
            return None
        home = self._homes.get(sid)
        if home is not None:
            same = home == service.sid
            raise Refusal("service_sender_exists" if same else "service_sender_elsewhere")
        return self._join(service, member)

    def add_alphanumeric(self, service: Service, text: str) -> Member:
        """Put an alphanumeric ID into the pool.

        Raises Refusal: service_alpha_invalid, service_sender_exists, service_pool_full.
        """
        if not is_sender_shape(text) or not any(char.isalpha() for char in text):
            raise Refusal("service_alpha_invalid")
        if any(member.address == text for member in service.pool):
            raise Refusal("service_sender_exists")
        sid = new_sid(_ALPHANUMERIC, self._entropy.bytes(16))
        return self._join(service, Member(sid, text, "alphanumeric", None, self._clock.now_ms()))

    def is_own(self, account_id: int, kind: MemberKind, sid: str) -> bool:
        """Is that number or short code the account's, in whatever pool or none?"""
        return sid.startswith(kind) and self._member(account_id, kind, sid) is not None

    def remove(self, service: Service, member: Member) -> None:
        """Take a sender out of the pool; it stays with the account."""
        pool = tuple(other for other in service.pool if other.sid != member.sid)
        self._records.put(replace(service, pool=pool))
        del self._homes[member.sid]

    def let_go(self, account_id: int, sender_sid: str) -> None:
        """The account gives a number or short code away: it leaves the pool it is in, if any."""
        service = self.home(account_id, sender_sid)
        member = service.member(sender_sid) if service is not None else None
        if service is not None and member is not None:
            self.remove(service, member)

    def _join(self, service: Service, member: Member) -> Member:
        if len(service.pool) >= POOL_MAX:
            raise Refusal("service_pool_full")
        self._records.put(replace(service, pool=(*service.pool, member)))
        self._homes[member.sid] = service.sid
        return member

    def _member(self, account_id: int, kind: MemberKind, sid: str) -> Member | None:
        """The account's sender of that SID as a member from now on."""
        now_ms = self._clock.now_ms()
        if kind == "SC":
            code = self._records.get(ShortCode, account_id, sid)
            if code is None:
                return None
            return Member(sid, code.digits, "short_code", code.country, now_ms)
        for number in self._accounts.numbers.values():
            if number.sid == sid and number.account_id == account_id:
                phone = number.phone
                length = "toll_free" if is_toll_free(phone) else "long_code"
                return Member(sid, phone, length, country_of(phone), now_ms)
        return None
