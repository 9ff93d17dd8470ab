"""Which sender of a Messaging Service a message leaves from (twilio-messaging 7.6).

In this order: the sender that was named; the one this person knows already; one made for the
channel; a short code of the country; an alphanumeric ID; a number of the country, rather of
the same area code; any number. Among equals the one with the least to send. Pure: the same
question, the same answer, in whatever order the pool comes.
"""

from collections.abc import Collection, Iterable
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.address import Channel
from hushwire.errors import PROBLEMS

SenderKind = Literal[
    "long_code", "toll_free", "short_code", "alphanumeric", "whatsapp", "messenger", "rcs"
]
Reason = Literal[
    "from", "sticky", "channel", "short_code", "alphanumeric", "area_code", "country", "any"
]
AlphaSupport = Literal["refused", "registration", "allowed", "unknown"]
UNREGISTERED: Final = 30018  # alert: networks there deliver registered alphanumeric IDs only

MMS_COUNTRIES: Final = frozenset({"US", "CA"})  # elsewhere media go as a link (8.4, R16 and R17)

# Only what is certain. Carriers there replace or drop every alphanumeric ID:
_ALPHA_REFUSED: Final = frozenset({"US", "CA", "PR", "CN"})
# there they deliver registered ones only:
_ALPHA_REGISTRATION: Final = frozenset(
    {"AE", "BY", "EG", "ID", "IN", "JO", "KE", "KW", "KZ", "LK", "PH", "QA", "RU", "SA", "SG",
     "TH", "TR", "VN"}
)  # fmt: skip
_ALPHA_ALLOWED: Final = frozenset({"CH", "DE", "FR", "GB", "NL", "PT", "SE"})

_TOLL_FREE: Final = frozenset({"US", "CA"})  # one range of numbers, which reaches both


class Sender(Struct, frozen=True):
    """A sender of the pool, with what is known of it now."""

    sid: str
    address: str  # as written on the wire: the account's own, not a person's
    kind: SenderKind
    country: str | None = None  # ISO 3166; None for an alphanumeric ID
    area_code: str | None = None
    sms: bool = True
    mms: bool = False
    load_ms: int = 0  # how long it takes to send what waits for it
    full: bool = False  # no more may wait for it


class Recipient(Struct, frozen=True):
    """Who is to be reached; its number is not needed."""

    channel: Channel
    country: str | None = None  # ISO 3166; None for +800 and its like
    area_code: str | None = None
    mms: bool = False
    rcs: bool = False  # a phone that is known to take RCS, so that `sms` may become that


class Options(Struct, frozen=True):
    """What the message and its service ask for."""

    media: bool = False
    from_: str | None = None  # address of the sender that was named
    sticky: str | None = None  # SID of the sender this recipient knows; None when that is off
    area_code_geomatch: bool = True
    mms_converter: bool = True  # media may go as a link in a text
    long_code_only: bool = False  # the second try, after a short code failed


PLAIN: Final = Options()


class Chosen(Struct, frozen=True):
    """The sender, and which rule decided."""

    sender: Sender
    why: Reason
    as_link: bool = False  # the media go as a link in a text
    alpha: AlphaSupport | None = None  # of an alphanumeric ID: "registration" is an alert


class NoSender(Struct, frozen=True):
    """Nobody can send it. `problem` is a key of errors.toml."""

    problem: str

    @property
    def error_code(self) -> int:
        """What is stored on a message that was accepted before its sender was chosen (5.3)."""
        return 30001 if self.problem == "queue_full" else PROBLEMS[self.problem].code


def choose(
    pool: Collection[Sender], recipient: Recipient, options: Options = PLAIN
) -> Chosen | NoSender:
    """The sender of `pool` for this message, or why there is none."""
    if not pool:
        return NoSender("service_empty")
    if options.from_ is not None:
        return _named(pool, recipient, options)
    able = [sender for sender in pool if obstacle(sender, recipient, options) is None]
    if options.long_code_only:
        able = [sender for sender in able if sender.kind == "long_code"]
    if not able:
        return NoSender("service_no_sender")
    free = [sender for sender in able if not sender.full]
    if not free:
        return NoSender("queue_full")
    for sender in free:
        if sender.sid == options.sticky:
            return _chosen(sender, recipient, options, "sticky")
    if options.media:  # rather a picture than a link to it
        free = [sender for sender in free if not _as_link(sender, recipient, options)] or free
    best = min(free, key=lambda sender: _rank(sender, recipient, options))
    return _chosen(best, recipient, options, _reason(best, recipient, options))


def obstacle(sender: Sender, recipient: Recipient, options: Options) -> str | None:
    """Why `sender` cannot send such a message there, as a key of errors.toml; None when it can."""
    if sender.kind in ("whatsapp", "messenger", "rcs"):
        fits = sender.kind == recipient.channel or (
            sender.kind == "rcs" and recipient.channel == "sms" and recipient.rcs
        )
        return None if fits else "same_channel"
    if recipient.channel != "sms":
        return "same_channel"
    if not _lands(sender, recipient.country):
        return "to_not_routable" if sender.kind == "alphanumeric" else "from_not_owned"
    if options.media and sender.mms and recipient.mms:
        return None
    if options.media and not options.mms_converter:
        return "from_not_mms_capable"
    return None if sender.sms else "from_not_sms_capable"


def alpha_support(country: str | None) -> AlphaSupport:
    """Do phones in `country` (ISO 3166) get messages from alphanumeric IDs?"""
    if country is None or country in _ALPHA_REFUSED:
        return "refused"
    if country in _ALPHA_REGISTRATION:
        return "registration"
    return "allowed" if country in _ALPHA_ALLOWED else "unknown"


def _named(pool: Iterable[Sender], recipient: Recipient, options: Options) -> Chosen | NoSender:
    sender = next((sender for sender in pool if sender.address == options.from_), None)
    if sender is None:
        return NoSender("service_sender_unknown")
    problem = obstacle(sender, recipient, options)
    if problem is None and sender.full:
        problem = "queue_full"
    if problem is not None:
        return NoSender(problem)
    return _chosen(sender, recipient, options, "from")


def _lands(sender: Sender, country: str | None) -> bool:
    """Do the networks of `country` take messages from such a sender?"""
    match sender.kind:
        case "long_code":
            return True
        case "alphanumeric":
            return alpha_support(country) != "refused"
        case "toll_free" if sender.country in _TOLL_FREE:
            return country in _TOLL_FREE
        case _:
            return country is not None and sender.country == country


def _as_link(sender: Sender, recipient: Recipient, options: Options) -> bool:
    own_channel = sender.kind in ("whatsapp", "messenger", "rcs")
    return options.media and not own_channel and not (sender.mms and recipient.mms)


def _reason(sender: Sender, recipient: Recipient, options: Options) -> Reason:
    """The first rule of the order that speaks for `sender`."""
    match sender.kind:
        case "whatsapp" | "messenger" | "rcs":
            return "channel"
        case "short_code" | "alphanumeric":
            return sender.kind
        case "toll_free" if recipient.country in _TOLL_FREE:
            return "country"
        case _ if recipient.country is None or sender.country != recipient.country:
            return "any"
        case _:
            near = sender.area_code is not None and sender.area_code == recipient.area_code
            return "area_code" if near and options.area_code_geomatch else "country"


_ORDER: Final[dict[Reason, int]] = {
    reason: place
    for place, reason in enumerate(
        ("channel", "short_code", "alphanumeric", "area_code", "country", "any")
    )
}


def _rank(sender: Sender, recipient: Recipient, options: Options) -> tuple[int, int, str]:
    place = _ORDER[_reason(sender, recipient, options)]
    return place, sender.load_ms, sender.sid


def _chosen(sender: Sender, recipient: Recipient, options: Options, why: Reason) -> Chosen:
    alpha = alpha_support(recipient.country) if sender.kind == "alphanumeric" else None
    return Chosen(sender, why, _as_link(sender, recipient, options), alpha)
