"""Usage: categories and their sums, periods, and counting with the commit of the births."""

import asyncio
from datetime import date
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from hushwire.actions.usage import Usage
from hushwire.domain.account import Account
from hushwire.domain.message import Direction, Status, born
from hushwire.domain.usage import (
    CATEGORIES,
    NOT_COUNTED,
    category_of,
    counts_for,
    day_at,
    day_number,
    read_day,
    spans,
)
from hushwire.errors import Unavailable
from hushwire.private import Private
from hushwire.store.records import Records
from rig import ALICE, SENDER, START_MS, Rig, play

TODAY = date(2026, 3, 1)  # of the rig's start
DAY_S = 86_400


def usage_of(rig: Rig) -> Usage:
    records = Records(rig.store)
    rig.store.writers.append(records.usage.count)
    return Usage(rig.store, records.usage, rig.clock)


async def count(rig: Rig, usage: Usage, category: str, **span: date) -> tuple[int, int]:
    await rig.settle()
    (record,) = usage.records(rig.account, "all", span.get("first"), span.get("last"), (category,))
    return record.used.count, record.used.usage


# Pure -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "begins", "inbound", "category"),
    [("SM", "+", False, "sms-outbound-longcode"), ("SM", "7", False, "sms-outbound-shortcode"),
     ("SM", "A", False, "sms-outbound"), ("MM", "+", True, "mms-inbound-longcode"),
     ("MM", "1", True, "mms-inbound-shortcode"), ("SM", "", True, "sms-inbound")],
)  # fmt: skip
def test_each_message_has_a_finest_category(
    prefix: str, begins: str, inbound: bool, category: str
) -> None:
    assert category_of(prefix, begins, inbound=inbound) == category
    assert category in CATEGORIES


def test_categories_sum_up_what_refines_them() -> None:
    finest = "sms-outbound-longcode"
    assert [c for c in CATEGORIES if counts_for(c, finest)] == [
        "sms", "sms-outbound", "sms-outbound-longcode", "totalprice",
    ]  # fmt: skip
    assert not NOT_COUNTED & CATEGORIES.keys()


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-02-28", date(2026, 2, 28)), ("-30days", date(2026, 1, 30)),
     ("-1day", date(2026, 2, 28)),
     ("+1days", date(2026, 3, 2)), (" 1days", date(2026, 3, 2)), ("0days", TODAY),
     ("2026-02-30", None), ("20260228", None), ("2026-W09-5", None), ("yesterday", None),
     ("-99999days", None),
     ("-9999days", date(1998, 10, 15))],
)  # fmt: skip
def test_days_are_named_or_counted_from_today(text: str, day: date | None) -> None:
    assert read_day(text, TODAY) == day


def test_periods_go_back_from_the_last_day() -> None:
    first, last = date(2025, 12, 30), date(2026, 2, 2)
    assert list(spans("all", first, last)) == [(first, last)]
    assert list(spans("monthly", first, last)) == [
        (date(2026, 2, 1), last), (date(2026, 1, 1), date(2026, 1, 31)),
        (first, date(2025, 12, 31)),
    ]  # fmt: skip
    assert list(spans("yearly", first, last)) == [
        (date(2026, 1, 1), last), (first, date(2025, 12, 31)),
    ]  # fmt: skip
    days = list(spans("daily", first, last))
    assert (len(days), days[0], days[-1]) == (35, (last, last), (first, first))
    assert list(spans("daily", last, first)) == []
    assert day_at(day_number(first)) == first


# Counted ----------------------------------------------------------------------------------


def test_messages_are_counted_by_day_category_and_account(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        usage = usage_of(rig)
        for segments in (1, 2, 3):
            await rig.accept(segments=segments)
        inbound = rig.message(
            direction=Direction.INBOUND, status=Status.RECEIVED, from_=Private(ALICE),
            to=Private(SENDER),
        )  # fmt: skip
        short = rig.message(from_=Private("12345"), segments=4)
        await rig.store.record([born(inbound, 0), born(short, 0)])
        assert await count(rig, usage, "sms") == (5, 11)
        assert await count(rig, usage, "sms-outbound") == (4, 10)
        assert await count(rig, usage, "sms-outbound-shortcode") == (1, 4)
        assert await count(rig, usage, "sms-inbound-longcode") == (1, 1)
        assert await count(rig, usage, "mms") == (0, 0)
        await asyncio.sleep(DAY_S)
        await rig.accept()
        assert await count(rig, usage, "sms") == (6, 12)
        tomorrow = date(2026, 3, 2)
        assert await count(rig, usage, "sms", first=tomorrow) == (1, 1)
        assert await count(rig, usage, "sms", last=TODAY) == (5, 11)
        daily = usage.records(rig.account, "daily", None, None, ("sms",))
        assert [(r.start, r.used.count) for r in daily] == [(tomorrow, 1), (TODAY, 5)]
        assert len({record.sid for record in daily}) == 2
        assert len(rig.rows("usage")) == 4, "one row a day and finest category"

    play(tmp_path, scene)


def test_a_message_of_a_service_counts_once_it_has_its_sender(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        usage = usage_of(rig)
        table = Records(rig.store).usage
        waiting = await rig.accept(status=Status.SCHEDULED, from_=None, segments=2)
        assert await count(rig, usage, "sms") == (0, 0), "it may be canceled"
        await asyncio.sleep(DAY_S)
        chosen = replace(waiting, status=Status.QUEUED, from_=Private(SENDER))
        table.chosen([chosen, replace(chosen, from_=Private("12345"))], rig.clock.now_ms())
        tomorrow = date(2026, 3, 2)
        assert await count(rig, usage, "sms", first=tomorrow) == (2, 4)
        assert await count(rig, usage, "sms-outbound-longcode") == (1, 2)
        assert await count(rig, usage, "sms-outbound-shortcode") == (1, 2)

    play(tmp_path, scene)


def test_a_refused_birth_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(rig: Rig) -> None:
        usage = usage_of(rig)
        await rig.accept()
        db = rig.store._db
        whole = db.many
        full = [True]

        def many(name: str, rows: object) -> None:
            if name == "insert_message" and full:
                full.clear()
                raise apsw.FullError
            whole(name, rows)  # type: ignore[arg-type]

        monkeypatch.setattr(db, "many", many)
        with pytest.raises(Unavailable):
            await rig.accept()
        assert await count(rig, usage, "sms") == (1, 1)
        await rig.accept()
        assert await count(rig, usage, "sms") == (2, 2)

    play(tmp_path, scene)


def test_charges_add_up(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        usage = usage_of(rig)
        message = await rig.accept()
        table = Records(rig.store).usage
        table.charge(message, 750)
        table.charge(message, 83)
        await rig.settle()
        (total, sms) = usage.records(rig.account, "all", None, None, ("totalprice", "sms"))
        assert (total.used.price, sms.used.price, sms.used.count) == (833, 833, 1)

    play(tmp_path, scene)


def test_a_parent_sees_what_its_subaccounts_used_if_it_wants(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        usage = usage_of(rig)
        sub: Account = rig.store.accounts.open(
            sid="AC" + "1" * 32, number_sid="", token=Private("e" * 32), phone=None, name="Sub",
            now_ms=START_MS, owner_id=1,
        )  # fmt: skip
        await rig.accept()
        await rig.accept(account_id=sub.id)
        await rig.settle()

        def sms(account: Account, *, subaccounts: bool) -> int:
            (record,) = usage.records(account, "all", None, None, ("sms",), subaccounts=subaccounts)
            return record.used.count

        assert sms(rig.account, subaccounts=True) == 2
        assert sms(rig.account, subaccounts=False) == 1
        assert sms(sub, subaccounts=True) == 1

    play(tmp_path, scene)
