"""The audit log: any change, removal or move of a record is found; nothing private fits in."""

import re
import time
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

import hushwire.store.audit as store_audit
from hushwire.domain.account import Account, ApiKey
from hushwire.domain.audit import (
    BEGINNING,
    SUBJECTS_MAX,
    AuditRecord,
    Break,
    Draft,
    Head,
    chained,
    verify,
)
from hushwire.domain.audit_changes import of_account, of_key
from hushwire.domain.privacy import ChosenWindows, Privacy
from hushwire.domain.retention import Retention
from hushwire.errors import Defect
from hushwire.private import Private

AC, SK, SM = "AC" + "1" * 32, "SK" + "2" * 32, "SM" + "3" * 32
NOW = 1_772_366_399_900

sids = st.builds(lambda n: f"SM{n:032x}", st.integers(0, 2**128 - 1))
drafts = st.builds(
    Draft,
    account=st.just(AC),
    what=st.sampled_from(["message.redacted", "message.deleted", "api_key.made"]),
    subjects=st.lists(sids, max_size=3).map(tuple),
    detail=st.sampled_from(["", "body rule", "numbers request"]),
    actor=st.sampled_from([None, AC, SK]),
)
chains = st.lists(drafts, min_size=3, max_size=12).map(
    lambda given: list(chained(given, BEGINNING, NOW))
)


def records(count: int) -> list[AuditRecord]:
    return list(chained([Draft(AC, "message.deleted", (SM,))] * count, BEGINNING, NOW))


# --- the chain ------------------------------------------------------------------------------


def test_a_chain_holds_and_its_hash_can_be_made_by_anybody() -> None:
    first, second = chained([Draft(AC, "message.redacted", (SM,), "body rule", SK),
                             Draft(AC, "key.rotated")], BEGINNING, NOW)  # fmt: skip
    content = f'[1,{NOW},"{AC}","message.redacted","{SK}","{SM}","body rule"]'.encode()
    assert first.hash == sha256(bytes(32) + content).digest()
    content = f'[2,{NOW},"{AC}","key.rotated",null,"",""]'.encode()
    assert second.hash == sha256(first.hash + content).digest()
    assert verify([first, second]).head == Head(2, second.hash)
    assert verify([first, second]).broken is None
    assert verify([]).broken is None


def test_a_chain_goes_on_from_its_head() -> None:
    whole = records(4)
    rest = list(chained([Draft(AC, "message.deleted", (SM,))] * 2, Head(2, whole[1].hash), NOW))
    assert rest == whole[2:]


def test_many_subjects_become_several_records() -> None:
    many = tuple(f"SM{n:032x}" for n in range(2 * SUBJECTS_MAX + 1))
    found = list(chained([Draft(AC, "message.deleted", many)], BEGINNING, NOW))
    assert [len(r.subjects.split()) for r in found] == [SUBJECTS_MAX, SUBJECTS_MAX, 1]
    assert tuple(" ".join(r.subjects for r in found).split()) == many
    assert verify(found).broken is None


@given(chains, st.data())
def test_any_flipped_bit_is_found(chain: list[AuditRecord], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(chain) - 1))
    fields = {k: v for k, v in asdict(chain[at]).items() if v not in (None, "")}
    name = data.draw(st.sampled_from(sorted(fields)))
    value = fields[name]
    if isinstance(value, int):
        flipped: object = value ^ 1 << data.draw(st.integers(0, 40))
    elif isinstance(value, bytes):
        flipped = _flip(value, data)
    else:
        flipped = _flip(value.encode("latin-1"), data).decode("latin-1")
    forged = [*chain[:at], replace(chain[at], **{name: flipped}), *chain[at + 1 :]]
    verdict = verify(forged)
    assert verdict.broken is not None
    assert verdict.broken.seq == at + 1
    assert verdict.head.seq == at, "it holds up to there"


def _flip(value: bytes, data: st.DataObject) -> bytes:
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    return bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(value))


@given(chains, st.data())
def test_an_actor_that_appears_or_goes_is_found(
    chain: list[AuditRecord], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(chain) - 1))
    actor = AC if chain[at].actor is None else None
    forged = [*chain[:at], replace(chain[at], actor=actor), *chain[at + 1 :]]
    assert verify(forged).broken == Break(at + 1, "changed")


@given(chains, st.data())
def test_any_removal_is_found(chain: list[AuditRecord], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(chain) - 2))
    assert verify(chain[:at] + chain[at + 1 :]).broken == Break(at + 1, "missing")


@given(chains, st.data())
def test_any_swap_is_found(chain: list[AuditRecord], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(chain) - 2))
    to = data.draw(st.integers(at + 1, len(chain) - 1))
    moved = list(chain)
    moved[at], moved[to] = moved[to], moved[at]
    assert verify(moved).broken == Break(at + 1, "reordered")
    numbered = [replace(record, seq=n) for n, record in enumerate(moved, 1)]
    assert verify(numbered).broken == Break(at + 1, "changed")
    again = chain[: at + 1] + chain[at:]
    assert verify(again).broken == Break(at + 2, "reordered")


@given(chains, st.data())
def test_a_cut_at_the_end_is_found_by_a_head_that_was_told(
    chain: list[AuditRecord], data: st.DataObject
) -> None:
    left = data.draw(st.integers(0, len(chain) - 1))
    anchor = chain[-1].hash
    assert verify(chain, anchor).broken is None
    assert verify(chain[:left], anchor).broken == Break(left + 1, "cut")
    assert verify(chain[:left]).broken is None, "nothing tells without an anchor"


def test_a_chain_written_anew_is_found_by_a_head_that_was_told() -> None:
    anew = list(chained([Draft(AC, "message.deleted")] * 9, BEGINNING, NOW))
    assert verify(anew).broken is None
    assert verify(anew, records(5)[-1].hash).broken == Break(10, "cut")


def test_a_row_that_no_server_wrote_breaks_the_chain() -> None:
    good = records(3)
    row = (2, "yesterday", AC, "message.deleted", None, SM, "", good[1].hash)
    assert verify([good[0], store_audit._record(row), good[2]]).broken == Break(2, "changed")
    strange = store_audit._record((1, NOW, AC, "message.deleted", None, b"blob", "", b"x"))
    assert verify([strange]).broken == Break(1, "changed")


def test_it_verifies_a_hundred_thousand_records_a_second() -> None:
    chain = [store_audit._record(tuple(asdict(record).values())) for record in records(1_000)]
    rows = [tuple(asdict(record).values()) for record in chain]
    verified, began = 0, time.process_time()
    while (spent := time.process_time() - began) < 0.2:
        assert verify(map(store_audit._record, rows)).broken is None
        verified += len(rows)
    assert verified / spent > 100_000


# --- what fits in ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subjects",
    [("+14155550123",), ("14155550123",), ("SM123",), (SM, "https://x.example/"), ("ix:12",),
     (SM + "\n",), (SM + " ",)],
)  # fmt: skip
def test_a_subject_is_a_sid_or_a_keyed_index(subjects: tuple[str, ...]) -> None:
    with pytest.raises(Defect) as caught:
        Draft(AC, "person.erased", subjects)
    assert not any(subject in str(caught.value) for subject in subjects)


@pytest.mark.parametrize(
    "detail", ["+14155550123", "14155550123", "Hello!", "a/b", "a\nb", "x" * 1_001, "me@x.example"]
)
def test_a_detail_is_of_our_own_words(detail: str) -> None:
    with pytest.raises(Defect) as caught:
        Draft(AC, "settings.changed", (), detail)
    assert detail not in str(caught.value)


def test_keyed_indexes_are_subjects() -> None:
    assert Draft(AC, "person.erased", ("ix:" + "0" * 16, SM)).what == "person.erased"


# --- accounts and keys ----------------------------------------------------------------------

ACCOUNT = Account(1, AC, 1, "One", "active", Private("a" * 32), NOW, NOW)


def told(found: Sequence[Draft]) -> list[tuple[str, str]]:
    return [(draft.what, draft.detail) for draft in found]


def test_what_is_told_of_tokens() -> None:
    second = replace(ACCOUNT, secondary_token=Private("b" * 32))
    promoted = replace(ACCOUNT, auth_token=Private("b" * 32))
    assert told(of_account(None, ACCOUNT, None)) == [("account.opened", "")]
    assert told(of_account(ACCOUNT, second, AC)) == [("token.made", "")]
    assert told(of_account(second, promoted, AC)) == [("token.promoted", "")]
    assert told(of_account(second, ACCOUNT, AC)) == [("token.revoked", "")]
    assert told(of_account(ACCOUNT, promoted, AC)) == [("token.rotated", "")]
    assert told(of_account(ACCOUNT, replace(ACCOUNT, friendly_name="Two"), AC)) == []
    everything = of_account(second, promoted, SK)[0]
    assert (everything.actor, everything.subjects) == (SK, (AC,))
    assert not re.search("a{32}|b{32}", repr(everything))


def test_what_is_told_of_settings() -> None:
    chosen = Privacy(redact_body=True, windows_s=ChosenWindows(recovery=0))
    after = replace(ACCOUNT, privacy=chosen, retention=Retention(body_days=30))
    assert told(of_account(ACCOUNT, after, AC)) == [
        ("settings.changed", "redact_body=true recovery=0 body_days=30")
    ]
    assert told(of_account(after, ACCOUNT, AC)) == [
        ("settings.changed", "redact_body=false recovery=default body_days=400")
    ]


def test_what_is_told_of_api_keys() -> None:
    key = ApiKey(SK, 1, "Some name", "restricted", ("/twilio/x/y/z",), b"h" * 32, NOW, NOW)
    assert told(of_key(AC, None, key, AC)) == [("api_key.made", "restricted")]
    assert told(of_key(AC, key, replace(key, friendly_name="Other"), AC)) == []
    wider = replace(key, permissions=("/twilio/*",))
    assert told(of_key(AC, key, wider, AC)) == [("api_key.changed", "permissions")]
    assert told(of_key(AC, key, None, AC)) == [("api_key.revoked", "restricted")]
