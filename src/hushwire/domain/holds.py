"""Holds: what keeps a body that is to be forgotten a little longer.

The recovery hold is the REDACT task's own due time. When it ends, one more thing may hold the
body: callbacks that are still to be told, because their URL is sealed with it.
"""

from typing import Final

from hushwire.domain.message import SECOND, Message, is_finished

CALLBACK_CAP_MS: Final = 6 * 3_600 * SECOND  # after the hand-over, told or not
LOOK_AGAIN_MS: Final = 60 * SECOND


def held_until(message: Message, now_ms: int, *, callbacks_pending: bool) -> int | None:
    """When to look again (Unix ms), or None when nothing holds the body any longer."""
    handed_ms = message.sent_ms if message.sent_ms is not None else message.updated_ms
    if message.callback is None or now_ms >= handed_ms + CALLBACK_CAP_MS:
        return None
    if callbacks_pending or not is_finished(message):
        return now_ms + LOOK_AGAIN_MS
    return None
