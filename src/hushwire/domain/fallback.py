"""Fallback to long code: the one second try of a message that a short code could not deliver.

Carriers that take no messages from short codes refuse them, or say so in the receipt. Then a
long code of the same pool tries, once (privacy-reliability 2.4 and 7). Never after a block, a
filter or an unreachable phone: what somebody does not want is not sent another way. Pure.
"""

from typing import Final

from hushwire.domain.extras import extras_of
from hushwire.private import Private

# Unknown destination, landline or unreachable carrier, unknown error.
FALLBACK_CODES: Final = frozenset({30005, 30006, 30008})
FALLBACK_CAP_MS: Final = 900_000  # after the hand-over: later nothing more is sent

REROUTED: Final = "rerouted"  # in the history: a long code is to try
TOO_LATE: Final = "fallback_expired"  # in the history: it failed so, but after the cap


def may_fall_back(sender: Private | None, extras: Private | None) -> bool:
    """Would a long code try if this sender failed?

    Only where the service asks for it, and only after a short code: so it happens once. Both
    are None once they are forgotten; then nothing is left to send.
    """
    if sender is None or extras is None or not sender.reveal().isdigit():
        return False
    return extras_of(extras).fallback


def is_in_time(sent_ms: int | None, now_ms: int) -> bool:
    """May a long code still try? `sent_ms`: when a carrier took the message first, if one did."""
    return sent_ms is None or now_ms < sent_ms + FALLBACK_CAP_MS


def ends_ms(expires_ms: int, sent_ms: int | None) -> int:
    """When a message that waits to be sent is given up (Unix ms)."""
    return expires_ms if sent_ms is None else min(expires_ms, sent_ms + FALLBACK_CAP_MS)


def first_failure(history: str) -> int | None:
    """The error code of the short code's failure; None when no long code was to try."""
    for line in history.splitlines():
        name, _, code = line.split(" ")
        if name == REROUTED:
            return int(code)
    return None
