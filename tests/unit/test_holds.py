"""What keeps a body that is to be forgotten."""

import pytest

from hushwire.domain.holds import CALLBACK_CAP_MS, LOOK_AGAIN_MS, held_until
from hushwire.domain.message import Direction, Message, Status
from hushwire.private import Private

HANDED_MS = 1_700_000_000_000


def message(status: Status, *, callback: bool) -> Message:
    return Message(
        key=1, tail=b"", sid="SM", account_id=1, direction=Direction.OUTBOUND_API, status=status,
        from_=None, to=None, body=Private("x"), segments=1, created_ms=HANDED_MS,
        callback=Private("https://example.com/s") if callback else None,
        updated_ms=HANDED_MS, sent_ms=HANDED_MS, content_key=1, address_key=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "callback", "pending", "after_ms", "held"),
    [
        (Status.DELIVERED, True, False, 0, False),
        (Status.DELIVERED, True, True, 0, True),  # its `delivered` is still to be told
        (Status.SENT, True, False, 0, True),  # a receipt, and so a callback, may come
        (Status.SENT, False, False, 0, False),  # nobody is to be told
        (Status.DELIVERED, True, True, CALLBACK_CAP_MS, False),  # told or not
    ],
)
def test_callbacks_hold_the_body_up_to_a_cap(
    status: Status, callback: bool, pending: bool, after_ms: int, held: bool
) -> None:
    now_ms = HANDED_MS + after_ms
    until = held_until(message(status, callback=callback), now_ms, callbacks_pending=pending)
    assert until == (now_ms + LOOK_AGAIN_MS if held else None)
