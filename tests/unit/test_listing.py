"""Pages from the table: newest first, by number through a keyed hash, verified after opening."""

import asyncio
from pathlib import Path

import pytest

from hushwire.domain.message import Direction, Message, Status, deleted, redacted
from hushwire.domain.query import MessageQuery
from hushwire.private import Private
from hushwire.store.listing import Listing
from hushwire.store.rows import MessageRow
from hushwire.testing import simloop
from hushwire.vault import lookup
from hushwire.vault.lookup import Pepper
from rig import ALICE, BOB, SENDER, Rig, play

DAY_S = 86_400
STRETCH = [*MessageRow.__struct_fields__].index("stretch")


def found(rig: Rig, limit: int = 100, **wanted: object) -> list[Message]:
    listing = Listing(rig.path, rig.store.accounts, rig.slots)
    try:
        return listing.page(MessageQuery(account_id=1, **wanted), limit)  # type: ignore[arg-type]
    finally:
        listing.close()


def test_the_newest_come_first_and_no_more_than_asked(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        messages = [await rig.accept() for _ in range(450)]  # more than one read takes
        assert found(rig, 1_000) == messages[::-1]
        assert found(rig, 3) == messages[:-4:-1]
        assert found(rig, 2, below_key=messages[10].key) == [messages[9], messages[8]]
        assert found(rig, 2, above_key=messages[10].key, upwards=True) == [
            messages[12], messages[11],
        ]  # fmt: skip

    play(tmp_path, scene)


def test_an_exact_number_is_found_over_days_and_months(tmp_path: Path) -> None:
    """Each month has a pepper of its own, each day its part of the index."""

    async def scene(rig: Rig) -> None:
        to_alice: list[Message] = []
        for _ in range(40):
            to_alice.append(await rig.accept())
            await rig.accept(to=Private(BOB))
            await asyncio.sleep(DAY_S)
        assert len(rig.rows("pepper")) > 1
        assert found(rig, to=Private(ALICE)) == to_alice[::-1]
        assert found(rig, 3, to=Private(ALICE)) == to_alice[:-4:-1]
        assert len(found(rig, from_=Private(SENDER))) == 80
        assert found(rig, to=Private(ALICE), from_=Private(BOB)) == []
        assert found(rig, to=Private("+14155550199")) == []
        assert found(rig, 2, to=Private(ALICE), above_key=to_alice[20].key, upwards=True) == [
            to_alice[22], to_alice[21],
        ]  # fmt: skip

    play(tmp_path, scene)


def test_an_exact_number_is_found_in_every_part_of_a_busy_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "STRETCH_MESSAGES", 3)

    async def scene(rig: Rig) -> None:
        to_alice: list[Message] = []
        for _ in range(2):
            for _ in range(10):
                to_alice.append(await rig.accept())
                await rig.accept(to=Private(BOB))
            await asyncio.sleep(DAY_S)
        parts = {row[STRETCH] for row in rig.rows("message")}
        assert len(parts) == 14
        assert found(rig, to=Private(ALICE)) == to_alice[::-1]
        assert found(rig, 5, to=Private(ALICE), below_key=to_alice[12].key) == to_alice[11:6:-1]
        assert (
            found(rig, 5, to=Private(ALICE), above_key=to_alice[7].key, upwards=True)
            == (to_alice[12:7:-1])
        )

    play(tmp_path, scene)


def test_a_hash_that_collides_finds_nobody_else(tmp_path: Path) -> None:
    """Eight bytes may be shared (D9): the numbers themselves decide."""

    async def main() -> None:
        rig = Rig(tmp_path)
        patched = Pepper.tag8
        Pepper.tag8 = lambda self, text: 7  # type: ignore[method-assign]
        try:
            mine = await rig.accept()
            for _ in range(300):
                await rig.accept(to=Private(BOB))
            assert found(rig, to=Private(ALICE)) == [mine]
        finally:
            Pepper.tag8 = patched  # type: ignore[method-assign]
        await rig.close()

    simloop.run(main())


def test_dates_are_of_the_sending(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        never = await rig.accept()
        sent = await rig.accept(sent_ms=rig.clock.now_ms() + 5_000)
        at_ms = sent.sent_ms or 0
        assert found(rig, sent_from_ms=at_ms) == [sent]
        assert found(rig, sent_from_ms=at_ms + 1) == []
        assert found(rig, sent_before_ms=at_ms) == []
        assert found(rig, sent_before_ms=at_ms + 1) == [sent]
        assert found(rig) == [sent, never]

    play(tmp_path, scene)


def test_an_account_sees_its_own_messages_only(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        await rig.accept()
        other = rig.store.accounts.open(
            sid="AC" + "1" * 32, number_sid="PN" + "1" * 32, token=Private("e" * 32),
            phone="+15005550106", name="Two", now_ms=rig.clock.now_ms(),
        )  # fmt: skip
        theirs = await rig.accept(account_id=other.id)
        listing = Listing(rig.path, rig.store.accounts, rig.slots)
        assert listing.page(MessageQuery(account_id=other.id), 9) == [theirs]
        assert listing.page(MessageQuery(account_id=other.id, to=Private(ALICE)), 9) == [theirs]
        listing.close()
        assert theirs not in found(rig)

    play(tmp_path, scene)


def test_a_deleted_message_is_in_no_list(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        kept, gone = await rig.accept(), await rig.accept(status=Status.FAILED)
        await rig.store.record([deleted(gone)])
        assert found(rig) == [kept]
        assert found(rig, to=Private(ALICE)) == [kept]

    play(tmp_path, scene)


def test_a_forgotten_number_is_findable_no_more_but_the_senders_is(tmp_path: Path) -> None:
    """The index dies with the number (D2); the account's own number is not a person's."""

    async def scene(rig: Rig) -> None:
        message = await rig.accept(
            status=Status.DELIVERED, obfuscate=True, from_shown=SENDER, to_shown="+1415555XXXX"
        )
        change = redacted(message, rig.clock.now_ms(), body=False, address=True)
        await rig.store.record([change])
        assert found(rig, to=Private(ALICE)) == []
        assert found(rig, to=Private("+1415555XXXX")) == []
        (shown,) = found(rig, from_=Private(SENDER))
        assert (shown.sid, shown.to, shown.to_shown) == (message.sid, None, "+1415555XXXX")

    play(tmp_path, scene)


def test_of_a_text_that_came_in_both_numbers_are_found(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        text = await rig.accept(
            direction=Direction.INBOUND, status=Status.RECEIVED, settled=True, callback=None,
            from_=Private(ALICE), to=Private(SENDER),
        )  # fmt: skip
        assert found(rig, from_=Private(ALICE)) == [text]
        assert found(rig, to=Private(SENDER)) == [text]

    play(tmp_path, scene)


def test_an_account_without_messages_has_an_empty_list(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        assert found(rig) == []
        assert found(rig, to=Private(ALICE)) == []

    play(tmp_path, scene)
