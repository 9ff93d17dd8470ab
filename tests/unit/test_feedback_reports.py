"""Feedback on messages: reported, corrected, read, and gone with its message."""

import asyncio
from pathlib import Path

import pytest

from hushwire.actions.feedback import FeedbackReports
from hushwire.domain.feedback import Feedback
from hushwire.domain.message import Direction, Status, born, deleted
from hushwire.errors import Unavailable
from rig import Rig, play


def reports(rig: Rig, *, disk_low: bool = False) -> FeedbackReports:
    return FeedbackReports(rig.store, rig.clock, lambda: disk_low)


def test_a_report_is_durable_and_a_second_corrects_it(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        first = await reports(rig).report(message, "confirmed")
        at_ms = rig.clock.now_ms()
        assert first is not None
        assert (first.outcome, first.created_ms) == ("confirmed", first.updated_ms)
        rig.clock.advance(5_000)
        second = await reports(rig).report(message, "unconfirmed")
        assert second == Feedback(
            "unconfirmed", first.created_ms, second.updated_ms if second else 0
        )
        assert second.updated_ms >= at_ms + 4_999
        assert reports(rig).outcome(message) == "unconfirmed"
        assert len(rig.rows("feedback")) == 1

    play(tmp_path, scene)


def test_without_a_report_it_depends_on_what_was_asked_for(tmp_path: Path) -> None:
    """T-23: with ProvideFeedback a message without a report counts as unconfirmed."""

    async def scene(rig: Rig) -> None:
        asked, not_asked = await rig.accept(provide_feedback=True), await rig.accept()
        assert reports(rig).outcome(asked) == "unconfirmed"
        assert reports(rig).outcome(not_asked) is None
        await reports(rig).report(asked, "confirmed")
        assert reports(rig).outcome(asked) == "confirmed"

    play(tmp_path, scene)


def test_it_goes_with_its_message_and_never_comes_after_it(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = rig.message(status=Status.DELIVERED, settled=True)
        await rig.store.record([born(message, 0)])
        await reports(rig).report(message, "confirmed")
        erased = rig.store.record([deleted(message)], urgent=True)
        late = await reports(rig).report(message, "confirmed")  # in the same commit, or later
        await asyncio.wait_for(erased, 1)
        assert late is None
        assert rig.rows("feedback") == []

    play(tmp_path, scene)


def test_what_was_received_takes_none(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept(direction=Direction.INBOUND, status=Status.RECEIVED)
        assert await reports(rig).report(message, "confirmed") is None
        assert rig.rows("feedback") == []

    play(tmp_path, scene)


def test_a_disk_nearly_full_keeps_its_room_for_forgetting(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await rig.accept()
        with pytest.raises(Unavailable):
            await reports(rig, disk_low=True).report(message, "confirmed")

    play(tmp_path, scene)
