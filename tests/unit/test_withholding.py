"""Retention settings, minimums, the table of personal fields, and the doubt about a clock."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.domain.holds import FOREVER, custody_of
from hushwire.domain.message import (
    Change,
    Direction,
    Message,
    Status,
    deleted,
    redacted,
)
from hushwire.domain.pii import PII, TWILIO_MINIMUMS
from hushwire.domain.privacy import DEFAULTS
from hushwire.domain.retention import DAY_MS, Retention, changed, cutoff_ms, days_of
from hushwire.domain.steady import (
    ABSENCE_MS,
    JUMP_MS,
    STEADY_MS,
    confirmed,
    observed,
    started,
)
from hushwire.domain.withholding import (
    ADDRESS,
    CONTENT,
    LIFTED,
    LOOK,
    ROW,
    due,
    kept,
    legal_lane,
    withhold,
)
from hushwire.errors import Refusal
from hushwire.private import Private

FACTS = Path(__file__).parents[1] / "facts" / "api_v2010_messaging.json"
BORN = 1_700_000_000_000
CONTENT_KEY, ADDRESS_KEY = 11, 12


def message(**changes: object) -> Message:
    """Delivered, and readable."""
    plain = Message(
        key=BORN << 16, tail=b"t", sid="SM", account_id=7, direction=Direction.OUTBOUND_API,
        status=Status.DELIVERED, from_=Private("+15005550006"), to=Private("+14155550101"),
        body=Private("x"), callback=None, segments=1, created_ms=BORN, updated_ms=BORN,
        content_key=CONTENT_KEY, address_key=ADDRESS_KEY, sent_ms=BORN, settled=True,
    )  # fmt: skip
    return replace(plain, **changes)


def days(body: int, numbers: int | None = None) -> Retention:
    least = body if numbers is None else numbers
    return Retention(body_minimum_days=body, numbers_minimum_days=least)


def live(record: Message, now_ms: int, retention: Retention, *, legal: bool = False) -> Change:
    """What the task that looks does with a message at that time."""
    custody = custody_of(record, callbacks_pending=False, retention=retention, legal=legal)
    change = due(record, custody, now_ms, DEFAULTS)
    keeps = kept(record, retention, legal=legal)
    return withhold(change, keeps, now_ms)


# --- Settings ------------------------------------------------------------------------------


def test_minimums_of_twilio_and_what_is_named_beside_them() -> None:
    assert TWILIO_MINIMUMS == {"body_minimum_days": 30, "numbers_minimum_days": 120}
    assert changed(Retention(), {"minimums": "twilio"}) == days(30, 120)
    for wanted in (
        {"minimums": "twilio", "body_minimum_days": 7},
        {"body_minimum_days": 7, "minimums": "twilio"},
    ):
        assert changed(Retention(), wanted) == days(7, 120)


def test_a_field_is_not_kept_longer_than_its_message() -> None:
    short = Retention(metadata_days=10)
    assert days_of(short, "body") == 10
    assert cutoff_ms(short, "numbers", 11 * DAY_MS) == DAY_MS
    with pytest.raises(Refusal, match="20001"):
        changed(short, {"body_minimum_days": 11})


@given(st.dictionaries(st.sampled_from([*Retention.__struct_fields__]), st.integers(-5, 4_000)))
def test_no_minimum_is_above_its_maximum(wanted: dict[str, object]) -> None:
    try:
        after = changed(Retention(), wanted)
    except Refusal:
        return
    assert 0 <= after.body_minimum_days <= days_of(after, "body")
    assert 0 <= after.numbers_minimum_days <= days_of(after, "numbers")
    assert changed(after, dict.fromkeys(Retention.__struct_fields__)) == Retention()


# --- The table of personal fields ----------------------------------------------------------


def test_the_table_says_what_twilio_says() -> None:
    """K-14: handling and days come from `x-twilio.pii`; every tagged field is there."""
    schemas = json.loads(FACTS.read_text())["components"]["schemas"]
    ours = {"account": "Account", "message": "Message", "key": "Key", "media": "Media",
            "incoming_phone_number": "IncomingPhoneNumber"}  # fmt: skip
    tagged = {
        (ours[resource], field): (pii["handling"], pii["deleteSla"])
        for name, schema in schemas.items()
        if (resource := name.rpartition(".")[2]) in ours
        for field, about in schema.get("properties", {}).items()
        if (pii := about.get("x-twilio", {}).get("pii")) is not None
    }
    table = {
        (row.resource, row.field): (row.handling, row.mtl_days)
        for row in PII
        if row.mtl_days is not None
    }
    assert tagged
    assert table == tagged
    assert all(row.purpose and row.basis for row in PII)


# --- Minimums ------------------------------------------------------------------------------


@given(st.integers(0, 400), st.integers(0, 400))
def test_gone_at_the_minimum_or_when_asked_and_never_later_than_twilios(
    minimum: int, asked: int
) -> None:
    """D4, K-13: ours is gone at max(created + MTL, requested); Twilio's on day
    max(MTL + 1, d + 30). The two examples of 8.7 are 90 days with d = 1 and d = 90."""
    retention, asked_ms = days(minimum), BORN + asked * DAY_MS
    record = message()
    change = withhold(deleted(record), kept(record, retention, legal=False), asked_ms)
    if change.after is None:
        assert asked >= minimum
        return
    assert asked < minimum
    assert change.shreds == ()
    (look,) = change.puts
    assert look.due_ms == BORN + max(minimum, asked) * DAY_MS
    assert max(minimum, asked) <= max(minimum + 1, asked + 30)
    early = live(change.after, look.due_ms - 1, retention)
    assert early.after is not None
    assert early.shreds == ()
    end = live(change.after, look.due_ms, retention)
    assert (end.after, set(end.shreds)) == (None, {CONTENT_KEY, ADDRESS_KEY})


@pytest.mark.parametrize(("deleted_on", "gone_on", "twilio"), [(1, 90, 91), (90, 90, 120)])
def test_the_examples_of_the_seed(deleted_on: int, gone_on: int, twilio: int) -> None:
    """K-13: MTL 90, deleted on day 1 and on day 90."""
    record, at_ms = message(), BORN + deleted_on * DAY_MS
    change = withhold(deleted(record), kept(record, days(90), legal=False), at_ms)
    gone_ms = change.puts[0].due_ms if change.after is not None else at_ms
    assert gone_ms == BORN + gone_on * DAY_MS
    assert gone_on <= twilio


def test_a_deleted_message_loses_each_part_in_its_time() -> None:
    record = message()
    change = withhold(deleted(record), kept(record, days(30, 120), legal=False), BORN)
    after = change.after
    assert after is not None
    assert after.withheld == ROW | CONTENT | ADDRESS
    assert (after.body, after.to, after.from_) == (None, None, None)
    assert not {LOOK} & {number for _, number in change.drops}
    half = live(after, BORN + 30 * DAY_MS, days(30, 120))
    assert half.after is not None
    assert half.shreds == (CONTENT_KEY,)
    assert half.after.withheld == ROW | ADDRESS
    assert [(put.number, put.due_ms) for put in half.puts] == [(LOOK, BORN + 120 * DAY_MS)]
    end = live(half.after, BORN + 120 * DAY_MS, days(30, 120))
    assert (end.after, end.shreds) == (None, (ADDRESS_KEY,))


def test_only_what_is_kept_is_withheld() -> None:
    record = message()
    change = withhold(deleted(record), kept(record, days(30, 0), legal=False), BORN + 1)
    assert change.shreds == (ADDRESS_KEY,)
    assert change.after is not None
    assert change.after.address_key is None
    assert change.after.withheld == ROW | CONTENT


def test_without_minimums_nothing_is_withheld() -> None:
    record = message()
    change = deleted(record)
    assert withhold(change, kept(record, Retention(), legal=False), BORN) is change


def test_a_second_redaction_of_what_is_withheld_is_none() -> None:
    record = message()
    keeps = kept(record, days(30), legal=False)
    once = withhold(redacted(record, BORN, body=True), keeps, BORN).after
    assert once is not None
    again = redacted(once, BORN + 5, body=True)
    assert again.after is again.before


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["redact", "delete", "look", "hold", "lift", "wait"]),
            st.integers(0, 50 * DAY_MS),
        ),
        max_size=12,
    ),
    st.sampled_from([Retention(), days(30, 120), Retention(body_days=10, numbers_days=20)]),
    st.booleans(),
)
def test_whatever_happens_nothing_kept_goes_and_nothing_else_stays(
    steps: list[tuple[str, int]], retention: Retention, forgets: bool
) -> None:
    """Of any order of requests, looks and holds, and a clock that only waits or jumps forward."""
    record = message(
        discard=forgets, obfuscate=forgets, from_shown="+1" if forgets else None, to_shown="+1X"
    )
    now_ms, legal, keys = BORN, False, {CONTENT_KEY, ADDRESS_KEY}
    after: Message | None = record
    hidden = False

    def apply(change: Change) -> None:
        nonlocal after
        assert not legal or not change.shreds
        age = now_ms - BORN
        assert CONTENT_KEY not in change.shreds or age >= retention.body_minimum_days * DAY_MS
        assert ADDRESS_KEY not in change.shreds or age >= retention.numbers_minimum_days * DAY_MS
        keys.difference_update(change.shreds)
        after = change.after
        assert after is not None or not keys

    for step, later_ms in steps:
        now_ms += later_ms
        if step in ("hold", "lift"):
            legal = step == "hold"
        elif after is not None and step == "look":
            apply(live(after, now_ms, retention, legal=legal))
        elif after is not None and not after.withheld & ROW:
            asked = {"redact": redacted(after, now_ms, body=True), "delete": deleted(after)}
            if step in asked:
                hidden = True
                keeps = kept(record, retention, legal=legal)
                apply(withhold(asked[step], keeps, now_ms))
        if hidden and after is not None:
            assert after.body is None
    legal, now_ms = False, now_ms + 500 * DAY_MS
    for _ in range(3):
        if after is not None:
            apply(live(after, now_ms, retention))
    assert (after, keys) == (None, set())


# --- Legal holds ---------------------------------------------------------------------------


def test_a_legal_hold_keeps_even_the_row_of_what_is_forgotten() -> None:
    bare = message(body=None, to=None, from_=None, content_key=None, address_key=None)
    change = withhold(deleted(bare), kept(bare, Retention(), legal=True), BORN)
    assert change.after is not None
    assert change.after.withheld == ROW
    (waits,) = change.puts
    assert (waits.number, waits.lane, waits.due_ms) == (LIFTED, legal_lane(7), FOREVER)
    lifted = live(change.after, BORN, Retention())
    assert lifted.after is None


# --- The clock -----------------------------------------------------------------------------


def test_a_jump_of_the_wall_clock_is_doubted_until_it_was_steady_for_a_day() -> None:
    clock = started(BORN, 0, None)
    clock = observed(clock, BORN + DAY_MS, DAY_MS)  # time passes
    assert clock.trusted
    clock = observed(clock, BORN + DAY_MS + JUMP_MS, DAY_MS)
    assert clock.trusted  # an hour is no jump: it is followed
    wall, measured = BORN + 900 * DAY_MS, DAY_MS + 1
    clock = observed(clock, wall, measured)
    assert not clock.trusted
    clock = observed(clock, wall + STEADY_MS - 1, measured + STEADY_MS - 1)
    assert not clock.trusted
    assert observed(clock, wall + STEADY_MS, measured + STEADY_MS).trusted
    assert confirmed(clock).trusted
    assert observed(clock, BORN + DAY_MS, DAY_MS + 2).trusted  # it was put right
    again = observed(clock, wall + 90 * DAY_MS, measured + STEADY_MS)
    assert not again.trusted  # it jumped once more: the day begins anew


def test_a_clock_that_goes_back_is_followed() -> None:
    clock = observed(started(BORN, 0, None), BORN - 90 * DAY_MS, 10)
    assert clock.trusted
    assert not observed(clock, BORN, 20).trusted


def test_a_start_after_a_long_absence_is_doubted() -> None:
    assert started(BORN, 0, BORN - ABSENCE_MS).trusted
    late = started(BORN + 1, 0, BORN - ABSENCE_MS)
    assert not late.trusted
    assert observed(late, BORN + STEADY_MS + 1, STEADY_MS).trusted
