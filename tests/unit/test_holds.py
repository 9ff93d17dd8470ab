"""What keeps a body that is to be forgotten."""

import pytest

from hushwire.domain.holds import (
    CALLBACK_CAP_MS,
    LATELY_MS,
    LOOK_AGAIN_MS,
    LOOK_SOON_MS,
    custody_of,
    look_again_ms,
    releasable,
)
from hushwire.domain.message import Direction, Message, Status
from hushwire.domain.privacy import Windows
from hushwire.private import Private

HANDED_MS = 1_700_000_000_000


def message(status: Status, *, callback: bool) -> Message:
    return Message(
        key=1, tail=b"", sid="SM", account_id=1, direction=Direction.OUTBOUND_API, status=status,
        from_=None, to=None, body=Private("x"), segments=1, created_ms=HANDED_MS,
        callback=Private("https://example.com/s") if callback else None,
        updated_ms=HANDED_MS, sent_ms=HANDED_MS, content_key=1, address_key=2,
        discard=True, settled=status is not Status.SENT,
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
    custody = custody_of(message(status, callback=callback), callbacks_pending=pending)
    windows = Windows(recovery=0)
    assert ("content" not in releasable(custody, now_ms, windows)) == held
    again_ms = look_again_ms(custody, now_ms, windows)
    assert again_ms == (now_ms + LOOK_SOON_MS if held else None)


def test_what_ends_by_a_fact_is_looked_at_seldom_once_it_is_old() -> None:
    custody = custody_of(message(Status.SENT, callback=True), callbacks_pending=True)
    now_ms = HANDED_MS + LATELY_MS
    assert look_again_ms(custody, now_ms, Windows(recovery=0)) == now_ms + LOOK_AGAIN_MS


def test_what_only_the_clock_ends_is_not_looked_at_before() -> None:
    custody = custody_of(message(Status.SENT, callback=True), callbacks_pending=True)
    hour = Windows(recovery=3_600)
    assert look_again_ms(custody, HANDED_MS, hour) == HANDED_MS + 3_600_000
