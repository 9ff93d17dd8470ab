"""Tombstones are read off the audit log: one for each that was forgotten, in that order."""

from pathlib import Path

import pytest

from hushwire.domain.audit import EXPIRY, AuditRecord, Cause, Draft
from hushwire.domain.message import Message, Status, deleted, redacted
from hushwire.domain.tombstone import tombstones
from hushwire.store.tombstones import RECORDS, Forgotten, read_tombstones
from rig import Rig, play

OTHER = "AC" + "5" * 32


def read(rig: Rig, after: int = 0, wanted: int = 1000, *accounts: str) -> Forgotten:
    return read_tombstones(rig.path, accounts or (rig.account.sid,), after, wanted)


async def finished(rig: Rig, **changes: object) -> Message:
    return await rig.accept(status=Status.DELIVERED, settled=True, **changes)


def test_of_each_what_and_why(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        now = rig.clock.now_ms()
        body, gone = await finished(rig), await finished(rig)
        whole = await finished(rig, obfuscate=True, from_shown="x", to_shown="y")
        began = read(rig).after
        await rig.store.record([redacted(body, now, body=True)])
        await rig.store.record([redacted(whole, now, body=True, address=True)], cause=EXPIRY)
        await rig.store.record([deleted(gone)], cause=Cause("request", rig.account.sid))
        found = read(rig, began)
        assert [(each.sid, each.forgotten, each.reason) for each in found.tombstones] == [
            (body.sid, ("content",), "rule"),
            (whole.sid, ("content", "address"), "expiry"),
            (gone.sid, ("message",), "request"),
        ]
        assert (found.after, found.more) == (rig.store.audit.head().seq, False)
        assert read(rig, found.after).tombstones == []
        assert read(rig, began, 1000, OTHER).tombstones == []

    play(tmp_path, scene)


def test_pages_part_no_record_and_lose_none(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        sids = [f"SM{at:032x}" for at in range(3 * RECORDS)]
        for start in range(0, len(sids), 3):
            rig.store.audit.add(
                Draft(rig.account.sid, "message.deleted", tuple(sids[start : start + 3]), "rule"),
                Draft(OTHER, "message.deleted", (f"SM{'f' * 32}",), "rule"),
                Draft(rig.account.sid, "settings.changed"),
            )
        await rig.accept()
        told: list[str] = []
        after, more = 0, True
        while more:
            page = read(rig, after, 7)
            assert len(page.tombstones) in (0, 3, 6, 9)
            told += [each.sid for each in page.tombstones]
            assert page.after > after
            after, more = page.after, page.more
        assert told == sids
        assert after == rig.store.audit.head().seq
        assert [each.sid for each in read(rig, 0, 10_000).tombstones] == sids

    play(tmp_path, scene)


def test_beyond_the_end_all_is_told_again(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        gone = await finished(rig)
        await rig.store.record([deleted(gone)])
        assert [each.sid for each in read(rig, 1 << 40).tombstones] == [gone.sid]

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("detail", "forgotten", "reason"),
    [
        ("body withheld rule", ("content",), "rule"),
        ("body numbers request", ("content", "address"), "request"),
        ("numbers recovered", ("address",), "recovered"),
        ("expiry", ("message",), "expiry"),
    ],
)
def test_the_words_of_the_log(detail: str, forgotten: tuple[str, ...], reason: str) -> None:
    """What a legal hold keeps is gone for every reader: a copy must forget it, too."""
    record = AuditRecord(1, 5, OTHER, "message.redacted", None, "SM1 SM2", detail, b"")
    found = list(tombstones(record))
    assert [each.sid for each in found] == ["SM1", "SM2"]
    assert {(each.forgotten, each.reason, each.deleted_ms) for each in found} == {
        (forgotten, reason, 5)
    }
