"""Opt-out: what STOP, START and HELP mean, in which words (twilio-messaging 6.9).

A word counts only as a whole message, whatever its case, accents and the space around it. A
service may add words and texts of its own; those that carriers rely on keep their meaning.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final
from unicodedata import category, normalize

import msgspec
from msgspec import Struct

from hushwire.domain.text import BODY_MAX, body_units
from hushwire.errors import Refusal

KEYWORD_MAX: Final = 30  # characters
KEYWORDS_MAX: Final = 200  # of a set
_MESSAGE_MAX: Final = 4 * KEYWORD_MAX  # what is longer is no keyword, and is not looked at


class OptOut(StrEnum):
    """What a person asks for; `OptOutType` of the inbound webhook."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """Words of one meaning, and what is answered to them."""

    type: OptOut
    keywords: tuple[str, ...]
    text: str


class KeywordSet(Struct, frozen=True, forbid_unknown_fields=True):
    """What a service adds. Its rules come before the defaults, so it may answer STOP in its way."""

    rules: tuple[Rule, ...] = ()


NO_RULES: Final = KeywordSet()


class OptOutRequest(Struct, frozen=True):
    """A message that is a keyword."""

    type: OptOut
    text: str  # the answer


class Effect(Struct, frozen=True):
    """What a request leads to."""

    blocked: bool  # from now on
    reply: str | None  # to be sent, once, also to who is blocked by it


# Only words somebody is known to rely on. In German, Italian and Portuguese that is STOP itself.
DEFAULTS: Final = (
    Rule(  # Twilio's list for long codes; REVOKE and OPTOUT since 2025
        OptOut.STOP,
        ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"),
        "You have successfully been unsubscribed. You will not receive any more messages from "
        "this number. Reply START to resubscribe.",
    ),
    Rule(
        OptOut.START,
        ("START", "YES", "UNSTOP"),
        "You have successfully been re-subscribed to messages from this number. Reply HELP for "
        "help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    ),
    Rule(OptOut.HELP, ("HELP", "INFO"), "Reply STOP to unsubscribe. Msg&Data Rates May Apply."),
    # French: ARRET and AIDE are mandatory on Canadian short codes, answered in French (CWTA
    # Common Short Code Application Guidelines); the other spellings are in Twilio's Proxy.
    Rule(
        OptOut.STOP,
        ("ARRET", "ARRETE", "ARRETT"),
        "Vous ne recevrez plus de messages de ce numéro. Répondez START pour vous réabonner.",
    ),
    Rule(
        OptOut.HELP,
        ("AIDE",),
        "Répondez ARRET pour vous désabonner. Des frais de messages et de données peuvent "
        "s'appliquer.",
    ),
    # Spanish: what US carriers require of a short code in Spanish (Twilio's short code rules).
    # Written without letters that would make it UCS-2.
    Rule(
        OptOut.STOP,
        ("ALTO",),
        "Cancelado. Ya no le enviaremos mensajes. Para volver a recibir mensajes responda START.",
    ),
    Rule(
        OptOut.HELP,
        ("AYUDA",),
        "Responda ALTO para cancelar. Se pueden aplicar cargos por mensajes y datos.",
    ),
)

# The filter of toll-free numbers is the network's own: no other word lifts its block (6.9).
TOLL_FREE_STARTS: Final = frozenset({"start", "unstop"})


def read_request(
    body: str, own: KeywordSet = NO_RULES, *, toll_free: bool = False
) -> OptOutRequest | None:
    """What the message `body` asks for, or None when it is no keyword.

    `own`: the rules of the service; `toll_free`: the number it was sent to is one.
    """
    if len(body) > _MESSAGE_MAX:
        return None
    word = fold(body)
    rule = _index(own).get(word)
    if rule is None:
        return None
    if toll_free and rule.type is OptOut.START and word not in TOLL_FREE_STARTS:
        return None
    return OptOutRequest(rule.type, rule.text)


def effect(request: OptOutRequest, *, blocked: bool) -> Effect:
    """What follows from a request of somebody who is, or is not, blocked already.

    STOP and START are confirmed when they change something: YES is a word of conversations.
    """
    match request.type:
        case OptOut.STOP:
            return Effect(blocked=True, reply=None if blocked else request.text)
        case OptOut.START:
            return Effect(blocked=False, reply=request.text if blocked else None)
        case OptOut.HELP:
            return Effect(blocked=blocked, reply=request.text)


def read_keywords(text: str | bytes) -> KeywordSet:
    """The rules of a service, from JSON.

    `{"rules": [{"type": "STOP", "keywords": ["PARAR"], "text": "…"}]}`. Raises Refusal
    (`keywords_invalid`), which says what is wrong where.
    """
    try:
        own = msgspec.json.decode(text, type=KeywordSet)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Refusal("keywords_invalid", reason=str(error)) from None
    reason = _fault(own)
    if reason is not None:
        raise Refusal("keywords_invalid", reason=reason)
    return own


def fold(text: str) -> str:
    """`text` as keywords are compared: no case, accents, invisible characters, outer space."""
    plain = (c for c in normalize("NFKD", text) if category(c) not in ("Mn", "Cf"))
    return " ".join("".join(plain).casefold().split())


def _fault(own: KeywordSet) -> str | None:
    """Why these rules cannot be used. Names rules by their place: the words stay out of it."""
    meant: dict[str, tuple[OptOut, int]] = {}
    for number, rule in enumerate(own.rules, start=1):
        if not rule.keywords:
            return f"rule {number} has no keywords"
        if not rule.text.strip() or body_units(rule.text) > BODY_MAX:
            return f"the text of rule {number} has not 1 to {BODY_MAX} characters"
        for keyword in rule.keywords:
            word = fold(keyword)
            if not word or len(word) > KEYWORD_MAX:
                return f"a keyword of rule {number} has not 1 to {KEYWORD_MAX} characters"
            reserved = _RESERVED.get(word)
            if reserved is not None and reserved is not rule.type:
                return f"{word.upper()} in rule {number} is reserved for {reserved}"
            type_, first = meant.setdefault(word, (rule.type, number))
            if type_ is not rule.type:
                return f"rules {first} and {number} share a keyword and differ in type"
    if len(meant) > KEYWORDS_MAX:
        return f"there are more than {KEYWORDS_MAX} keywords"
    return None


_RESERVED: Final = {fold(keyword): rule.type for rule in DEFAULTS for keyword in rule.keywords}


@lru_cache(maxsize=256)
def _index(own: KeywordSet) -> dict[str, Rule]:
    index: dict[str, Rule] = {}
    for rule in (*own.rules, *DEFAULTS):
        for keyword in rule.keywords:
            index.setdefault(fold(keyword), rule)
    return index
