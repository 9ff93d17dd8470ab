"""A Messaging Service: its settings, and the pool of senders it sends from (twilio-messaging 7.6).

Pure. The pool holds what never changes of a sender, so that nobody has to be asked for it.
"""

from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.address import area_code_of
from hushwire.domain.owned import Owned
from hushwire.domain.routing import Sender, SenderKind
from hushwire.domain.supply import capabilities_of

MemberKind = Literal["PN", "SC", "AI"]  # how its SID begins: number, short code, alphanumeric ID
UseCase = Literal["discussion", "marketing", "notifications", "poll", "undeclared", "verification"]
Scan = Literal["inherit", "enable", "disable"]

POOL_MAX: Final = 400
VALIDITY_MAX_S: Final = 36_000


class ServiceSettings(Struct, frozen=True):
    """What its owner set. URLs may hold credentials; an empty one is not set."""

    friendly_name: str
    inbound_url: str = ""
    inbound_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    status_callback: str = ""
    sticky_sender: bool = True  # a person gets all messages from the same sender
    mms_converter: bool = True  # media may go as a link in a text
    smart_encoding: bool = True
    fallback_to_long_code: bool = True
    area_code_geomatch: bool = True
    scan_message_content: Scan = "inherit"  # reserved by Twilio, without effect
    synchronous_validation: bool = False  # likewise
    validity_s: int = VALIDITY_MAX_S  # of a message that names none
    use_case: UseCase = "undeclared"
    inbound_on_number: bool = False  # the number's own webhook goes before the service's


class Member(Struct, frozen=True):
    """A sender in a pool."""

    sid: str
    address: str  # E.164, digits of a short code, or the alphanumeric ID
    kind: SenderKind
    country: str | None  # ISO 3166; None for an alphanumeric ID and for +800
    created_ms: int  # when it came into the pool


class Service(Owned, frozen=True, kw_only=True):
    """A Messaging Service."""

    settings: ServiceSettings
    pool: tuple[Member, ...] = ()  # in the order they came

    def members(self, kind: MemberKind) -> list[Member]:
        """Those of one kind, newest first."""
        return [member for member in self.pool if member.sid.startswith(kind)][::-1]

    def member(self, sid: str) -> Member | None:
        return next((member for member in self.pool if member.sid == sid), None)


def sender_of(member: Member) -> Sender:
    """A member as the choice of a sender sees it; what waits for it is not known here."""
    able = capabilities_of(member.country)
    return Sender(
        member.sid, member.address, member.kind, member.country, area_code_of(member.address),
        sms=able.sms, mms=able.mms and member.kind in ("long_code", "toll_free"),
    )  # fmt: skip
