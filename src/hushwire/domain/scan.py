"""The account scan: settings that work against redaction (8.4, R14, R25-R32; 8.6). Pure.

`RULES` is all that is looked for. Profile `twilio` flags what Twilio must have switched off.
Profile `hushwire` knows that most of it goes with redaction here, and flags what is unsafe.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final, get_args
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from hushwire.domain.account import Number, NumberSettings
from hushwire.domain.application import Application, ApplicationSettings
from hushwire.domain.connection import Connection
from hushwire.domain.debugger import Debugger
from hushwire.domain.incoming import Webhook, webhook_of
from hushwire.domain.keywords import Keywords
from hushwire.domain.optout import NO_RULES
from hushwire.domain.privacy import Privacy, ScanProfile
from hushwire.domain.service import Service
from hushwire.domain.shortcode import ShortCode, ShortCodeSettings
from hushwire.domain.stream import Sink
from hushwire.settings import GetWebhooks

# A number in E.164, or one of North America without its plus. Fewer digits may be anything.
_PHONE: Final = re.compile(
    r"\+([1-9][0-9]{6,14})(?![0-9])|(?<![0-9+])(1[2-9][0-9]{2}[2-9][0-9]{6})(?![0-9])"
)
_ENCODED_MAX: Final = 3  # times that a URL is percent-encoded within another


class Finding(Struct, frozen=True):
    """One setting of one resource. `code` is Twilio's; None where Twilio has none: a hint."""

    code: int | None
    resource_sid: str
    cure: str


class Configuration(Struct, frozen=True):
    """What an account has set up, and what of the server's own settings matters to it."""

    account_sid: str
    numbers: tuple[Number, ...] = ()
    short_codes: tuple[ShortCode, ...] = ()
    services: tuple[Service, ...] = ()
    applications: tuple[Application, ...] = ()
    keywords: tuple[Keywords, ...] = ()
    sinks: tuple[Sink, ...] = ()
    connections: tuple[Connection, ...] = ()
    debugger: Debugger | None = None
    scheduled: int = 0  # messages that wait for their time
    get_webhooks: GetWebhooks = "warn"
    shreds_stay: bool = False  # the vault's filesystem may keep what is overwritten (class B)


class Rule(Struct, frozen=True):
    """One thing that is looked for."""

    code: int | None  # Twilio's (8.6)
    body: bool  # works against body redaction?
    numbers: bool  # against number redaction?
    profiles: frozenset[ScanProfile]  # in which it is looked for
    found: Callable[[Configuration], Iterator[str]]  # SIDs of the resources
    why: str
    cure: str

    def concerns(self, privacy: Privacy) -> bool:
        """Is it looked for under these settings?"""
        switched = (self.body and privacy.redact_body) or (self.numbers and privacy.redact_numbers)
        return switched and privacy.scan_profile in self.profiles


def scan(of: Configuration, privacy: Privacy) -> list[Finding]:
    """What works against the redaction that is on: nothing while it is all off.

    In the order of `RULES`; each resource once a rule.
    """
    return [
        Finding(rule.code, sid, f"{rule.why}: {rule.cure}")
        for rule in RULES.values()
        if rule.concerns(privacy)
        for sid in dict.fromkeys(rule.found(of))
    ]


# --- Services and keywords -----------------------------------------------------------------


def _sticky(of: Configuration) -> Iterator[str]:
    return (service.sid for service in of.services if service.settings.sticky_sender)


def _fallback(of: Configuration) -> Iterator[str]:
    return (service.sid for service in of.services if service.settings.fallback_to_long_code)


def _stop_long_code(of: Configuration) -> Iterator[str]:
    return _filtered(of, "PN")


def _stop_short_code(of: Configuration) -> Iterator[str]:
    return _filtered(of, "SC")


def _filtered(of: Configuration, kind: str) -> Iterator[str]:
    """Where STOP is obeyed for senders of a kind: the service they are in, or they themselves."""
    homes, keywords = _homes(of), _keywords(of)
    for sender in (*of.numbers, *of.short_codes):
        if not sender.sid.startswith(kind):
            continue
        home = homes.get(sender.sid)
        set_up = keywords.get(sender.sid if home is None else home.sid)
        if set_up is not None and (not set_up.filtering or _is_advanced(set_up)):
            continue
        yield sender.sid if home is None else home.sid


def _advanced(of: Configuration) -> Iterator[str]:
    return (keywords.scope for keywords in of.keywords if _is_advanced(keywords))


def _is_advanced(keywords: Keywords) -> bool:
    """Are they what Twilio calls Advanced Opt-Out? Then they stand for the plain filtering."""
    own = keywords.own != NO_RULES
    return keywords.filtering and own and keywords.scope.startswith("MG")


def _homes(of: Configuration) -> dict[str, Service]:
    return {member.sid: service for service in of.services for member in service.pool}


def _keywords(of: Configuration) -> dict[str, Keywords]:
    return {keywords.scope: keywords for keywords in of.keywords}


# --- Webhooks ------------------------------------------------------------------------------


def _by_get(of: Configuration) -> Iterator[str]:
    """A webhook counts though another may go before it now: that may change."""
    for sid, hook in _hooks(of):
        fallback_by_get = hook.fallback_url and hook.fallback_method == "GET"
        if hook.method == "GET" or fallback_by_get:
            yield sid


def _by_plain_get(of: Configuration) -> Iterator[str]:
    return _by_get(of) if of.get_webhooks == "warn" else iter(())


def _no_fallback(of: Configuration) -> Iterator[str]:
    return (sid for sid, hook in _hooks(of) if not hook.fallback_url)


def _no_webhook(of: Configuration) -> Iterator[str]:
    """Where texts are told to nobody: an application goes first, then the service, then the
    number itself (6.2)."""
    homes, called = _homes(of), {sid for sid, _ in _hooks(of)}
    for sender in (*of.numbers, *of.short_codes):
        home = homes.get(sender.sid)
        sid = sender.sid
        if isinstance(sender, Number) and sender.settings.sms_application_sid:
            sid = sender.settings.sms_application_sid
        elif home is not None and not home.settings.inbound_on_number:
            sid = home.sid
        if sid not in called:
            yield sid


def _hooks(of: Configuration) -> Iterator[tuple[str, Webhook]]:
    """Every webhook for texts that come in."""
    for each in (*of.numbers, *of.short_codes, *of.applications):
        hook = _own_webhook(each.settings)
        if hook is not None:
            yield each.sid, hook
    for service in of.services:
        own = service.settings
        hook = webhook_of(
            own.inbound_url, own.inbound_method, own.fallback_url, own.fallback_method
        )
        if hook is not None:
            yield service.sid, hook


def _own_webhook(of: NumberSettings | ShortCodeSettings | ApplicationSettings) -> Webhook | None:
    return webhook_of(of.sms_url, of.sms_method, of.sms_fallback_url, of.sms_fallback_method)


# --- URLs ----------------------------------------------------------------------------------


def _plain_http(of: Configuration) -> Iterator[str]:
    return (sid for sid, url in _urls(of) if is_exposed(url))


def _number_in_url(of: Configuration) -> Iterator[str]:
    own = frozenset(number.phone[1:] for number in of.numbers)
    return (sid for sid, url in _urls(of) if numbers_in(url) - own)


def _credentials_in_url(of: Configuration) -> Iterator[str]:
    return (sid for sid, url in _urls(of) if "@" in url and "@" in urlsplit(url).netloc)


def _whole_numbers(of: Configuration) -> Iterator[str]:
    return (sink.sid for sink in of.sinks if sink.numbers == "full")


def _whole_messages(of: Configuration) -> Iterator[str]:
    """Connections to this server alone: what others have of an account is theirs to look at."""
    return (each.sid for each in of.connections if each.view == "full" and not each.url)


def _urls(of: Configuration) -> Iterator[tuple[str, str]]:
    """Every URL that is called."""
    for sid, hook in _hooks(of):
        yield sid, hook.url
        yield sid, hook.fallback_url
    for service in of.services:
        yield service.sid, service.settings.status_callback
    for application in of.applications:
        yield application.sid, application.settings.sms_status_callback
        yield application.sid, application.settings.message_status_callback
    for sink in of.sinks:
        yield sink.sid, sink.destination
    if of.debugger is not None:
        yield of.debugger.sid, of.debugger.url


def is_exposed(url: str) -> bool:
    """Does what is posted there travel in clear, beyond this machine?"""
    if url[:7].lower() != "http://":
        return False
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:  # a name
        return True


def numbers_in(url: str) -> frozenset[str]:
    """The digits of the phone numbers in a URL, percent-encoded or not."""
    for _ in range(_ENCODED_MAX if "%" in url else 0):
        url = unquote(url)
    return frozenset(plus or plain for plus, plain in _PHONE.findall(url))


# --- The account and the server ------------------------------------------------------------


def _scheduled(of: Configuration) -> Iterator[str]:
    return iter((of.account_sid,) if of.scheduled else ())


def _shreds_stay(of: Configuration) -> Iterator[str]:
    return iter((of.account_sid,) if of.shreds_stay else ())


# --- The table -----------------------------------------------------------------------------

_BOTH: Final[frozenset[ScanProfile]] = frozenset(get_args(ScanProfile))
_TWILIO: Final[frozenset[ScanProfile]] = frozenset({"twilio"})
_HUSHWIRE: Final[frozenset[ScanProfile]] = frozenset({"hushwire"})
_FILTER: Final = "set filtering to false in its opt-out keywords, and obey STOP yourself"
_POST: Final = "set the method of the webhook and of its fallback to POST"

RULES: Final[dict[str, Rule]] = {
    "sticky sender": Rule(
        23003, False, True, _TWILIO, _sticky,
        "it is remembered which sender wrote to whom", "set StickySender to false",
    ),
    "fallback to long code": Rule(
        23005, True, True, _TWILIO, _fallback,
        "a message outlives its hand-over for a second try", "set FallbackToLongCode to false",
    ),
    "STOP filtering of long codes": Rule(
        23001, False, True, _TWILIO, _stop_long_code,
        "it is remembered who wrote STOP to a long code", _FILTER,
    ),
    "STOP filtering of short codes": Rule(
        23002, False, True, _TWILIO, _stop_short_code,
        "it is remembered who wrote STOP to a short code", _FILTER,
    ),
    "advanced opt-out": Rule(
        23004, False, True, _TWILIO, _advanced,
        "it is remembered who wrote a keyword of your own", _FILTER,
    ),
    "GET webhooks, whatever the server makes of them": Rule(
        23006, True, True, _TWILIO, _by_get,
        "a webhook by GET puts number and body into a URL, which servers log", _POST,
    ),
    "GET webhooks, where the server calls them as they are": Rule(
        23006, True, True, _HUSHWIRE, _by_plain_get,
        "a webhook by GET puts number and body into a URL, which servers log", _POST,
    ),
    "scheduled messages": Rule(
        None, True, True, _TWILIO, _scheduled,
        "messages wait, body and number with them, for their time",
        "cancel them, and send each when its time has come",
    ),
    "webhook without a fallback": Rule(
        None, True, True, _BOTH, _no_fallback,
        "a text is lost when its only webhook fails until the text is forgotten",
        "set a fallback URL",
    ),
    "no webhook": Rule(
        None, True, True, _BOTH, _no_webhook,
        "texts are forgotten before anybody is told of them",
        "set a webhook for texts that come in, with a fallback",
    ),
    "plain HTTP": Rule(
        None, True, True, _BOTH, _plain_http,
        "a URL with http:// sends in clear over the network", "give it https://",
    ),
    "number in a URL": Rule(
        None, False, True, _BOTH, _number_in_url,
        "a phone number stands in a URL, which servers log",
        "take it out: the request itself tells the number",
    ),
    "credentials in a URL": Rule(
        None, True, True, _BOTH, _credentials_in_url,
        "a password stands in a URL, which is shown to who reads the settings",
        "take it out, and check the signature of the request instead",
    ),
    "whole numbers to a sink": Rule(
        None, False, True, _BOTH, _whole_numbers,
        "the sink is told whole numbers, and may keep them", "make one that masks them",
    ),
    "whole messages through a connection": Rule(
        None, True, True, _BOTH, _whole_messages,
        "who reads through the connection gets texts and numbers whole, and may keep them",
        "make one with a view that has less",
    ),
    "filesystem": Rule(
        None, True, True, _BOTH, _shreds_stay,
        "the filesystem of the vault may keep a key that was overwritten",
        "move the vault to ext4 or xfs, or rotate the root key",
    ),
}  # fmt: skip
