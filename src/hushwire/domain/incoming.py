"""What comes in: which webhook hears of it, when it is tried again, and when replies are a loop.

Pure. What a text asked for (STOP, START, HELP) is a line of its history from birth on, so that
it says the same however often it is told, and whatever becomes of its body.
"""

from collections import OrderedDict
from typing import Final, Literal

from msgspec import Struct

from hushwire.domain.message import Direction, Message, history_line
from hushwire.domain.optout import OptOut
from hushwire.domain.text import BODY_MAX, body_units
from hushwire.private import Private

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS

# A text that no webhook took is told again: nine tries over 5 h 51 min, so that all are over
# when the hold on it ends (six hours, `Windows.inbound`).
RETRY_MS: Final = (
    5_000, MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS,
    2 * HOUR_MS,
)  # fmt: skip

TOO_LONG: Final = 21617  # stored on a text of which only the beginning was kept

LOOP_WINDOW_MS: Final = 30_000
LOOP_MAX: Final = 15  # replies that each followed the last within the window (6.8)
PAIRS_MAX: Final = 10_000  # of numbers that are watched; the longest quiet are forgotten first

CLAIM_MS: Final = MINUTE_MS  # what a webhook by GET left out may be claimed for so long

Method = Literal["GET", "POST"]
Pair = tuple[Private, Private]  # who wrote, and to which number

_WORDS: Final = {OptOut.STOP: "stop", OptOut.START: "start", OptOut.HELP: "help"}
_ASKED: Final = {word: asked for asked, word in _WORDS.items()}
_KEYWORD_REPLY: Final = "keyword_reply"
_OFFERED: Final = "offered"


class Webhook(Struct, frozen=True):
    """Where a text is told. URLs may hold credentials: never logged. Empty: there is none."""

    url: str
    method: Method = "POST"
    fallback_url: str = ""
    fallback_method: Method = "POST"


def webhook_of(url: str, method: str, fallback_url: str, fallback_method: str) -> Webhook | None:
    """The webhook that some settings name, or None when they name no URL."""
    if not url:
        return None
    return Webhook(url, _method(method), fallback_url, _method(fallback_method))


def _method(text: str) -> Method:
    return "GET" if text == "GET" else "POST"


def retry_ms(attempt: int) -> int | None:
    """How long to wait after the `attempt`-th try (from 1) that nobody took; None: no more."""
    return RETRY_MS[attempt - 1] if attempt <= len(RETRY_MS) else None


def beginning(body: str) -> str:
    """As much of a text as is kept: 1,600 UTF-16 units (T-10)."""
    if body_units(body) <= BODY_MAX:
        return body
    units = body.encode("utf-16-le", "surrogatepass")[: 2 * BODY_MAX]
    return units.decode("utf-16-le", "ignore")


# -- what a text asked for, in its history ------------------------------------------------


def asked_line(asked: OptOut, at_ms: int) -> str:
    """The line of an inbound message's history that says which keyword it is."""
    return history_line(_WORDS[asked], at_ms)


def asked_for(message: Message) -> OptOut | None:
    """What an inbound message asked for; None when it was no keyword."""
    lines = message.history.split("\n", 2)
    return _ASKED.get(lines[1].partition(" ")[0]) if len(lines) > 1 else None


def offered_line(at_ms: int) -> str:
    """The line that says that its webhook was answered, and its content not claimed yet."""
    return history_line(_OFFERED, at_ms)


def claimable_ms(message: Message) -> int | None:
    """Until when the content of a text may be claimed (Unix ms); None when it was not offered."""
    for line in reversed(message.history.splitlines()):
        name, at_ms, _ = line.split(" ")
        if name == _OFFERED:
            return int(at_ms) + CLAIM_MS
    return None


def keyword_reply_line(at_ms: int) -> str:
    """The line of a reply's history that says that it answers a keyword."""
    return history_line(_KEYWORD_REPLY, at_ms)


def is_keyword_reply(message: Message) -> bool:
    """Does it answer STOP, START or HELP? Then it goes to somebody who is blocked, too."""
    return (
        message.direction is Direction.OUTBOUND_REPLY and f"\n{_KEYWORD_REPLY} " in message.history
    )


# -- loops --------------------------------------------------------------------------------


class LoopGuard:
    """Notices two machines that answer each other (6.8, error 14107)."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[Pair, tuple[int, int]] = OrderedDict()  # count, last (Unix ms)

    def allows(self, pair: Pair, now_ms: int) -> bool:
        """May one more reply go between these two? If so, it counts.

        After LOOP_MAX quick ones none may, until the last that went is LOOP_WINDOW_MS ago.
        """
        count, last_ms = self._pairs.get(pair, (0, -LOOP_WINDOW_MS))
        count = count + 1 if now_ms - last_ms < LOOP_WINDOW_MS else 0
        if count > LOOP_MAX:
            return False
        self._pairs[pair] = count, now_ms
        self._pairs.move_to_end(pair)
        if len(self._pairs) > PAIRS_MAX:
            self._pairs.popitem(last=False)
        return True
