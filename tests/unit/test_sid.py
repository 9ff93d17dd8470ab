"""Identifiers: what is minted can be read back, only grows, and cannot be guessed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.clock import SeededEntropy
from hushwire.domain.sid import (
    MessageId,
    Mint,
    is_sid,
    key_at,
    message_sid,
    new_sid,
    parse_message_sid,
)

NOW = 1_760_000_000_000
SID = "SM0199c7b1e0000001000aabcdef012345"

prefixes = st.sampled_from(["SM", "MM"])
ids = st.builds(MessageId, st.integers(0, 2**63 - 1), st.binary(min_size=8, max_size=8))


@given(prefixes, ids)
def test_parsing_inverts_formatting(prefix: str, ident: MessageId):
    sid = message_sid(prefix, ident)
    assert is_sid(sid, prefix)
    assert parse_message_sid(sid) == ident


@given(prefixes, ids, ids)
def test_sids_sort_as_their_milliseconds(prefix: str, one: MessageId, other: MessageId):
    if one.key >> 16 < other.key >> 16:
        assert message_sid(prefix, one) < message_sid(prefix, other)


@given(st.lists(st.integers(NOW - 10, NOW + 10), min_size=2, max_size=60), st.integers(0, 2**60))
def test_ids_only_grow_whatever_the_clock_does(times: list[int], last_key: int):
    mint = Mint(3, last_key, SeededEntropy(1).bytes)
    keys = [last_key, *(mint.next(now_ms).key for now_ms in times)]
    assert all(earlier < later for earlier, later in pairwise(keys))


def test_a_full_millisecond_runs_on_into_the_next():
    mint = Mint(1, 0, SeededEntropy(1).bytes)
    keys = [mint.next(NOW).key for _ in range(0x10001)]
    assert keys == list(range(key_at(NOW), key_at(NOW) + 0x10001))
    assert keys[-1] == key_at(NOW + 1)


def test_an_id_carries_its_node():
    ident = Mint(0xBEEF, 0, SeededEntropy(1).bytes).next(NOW)
    assert ident.key == key_at(NOW)
    assert ident.tail[:2] == b"\xbe\xef"
    assert message_sid("SM", ident)[14:18] == "beef"


@given(st.integers(2, 33), st.sampled_from("0123456789abcdef"))
def test_a_guessed_sid_is_another_id(place: int, digit: str):
    """One digit off, and key or tail differ: the stored tail tells a guess from a real one."""
    guess = SID[:place] + digit + SID[place + 1 :]
    assert (parse_message_sid(guess) == parse_message_sid(SID)) == (guess == SID)


@pytest.mark.parametrize(
    "text",
    ["", "SM", SID[:-1], SID + "0", SID + "\n", SID.upper(), "AC" + SID[2:], "sm" + SID[2:],
     "SM" + "g" * 32, "SMf" + SID[3:], "SM" + "٣" * 32],
)  # fmt: skip
def test_what_is_no_message_sid(text: str):
    assert parse_message_sid(text) is None


@given(st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str):
    ident = parse_message_sid(text)
    assert ident is None or message_sid(text[:2], ident) == text


def test_a_sid_belongs_to_its_prefix():
    sid = new_sid("AC", bytes(range(16)))
    assert sid == "AC000102030405060708090a0b0c0d0e0f"
    assert is_sid(sid, "AC")
    assert not is_sid(sid, "MG")
    assert not is_sid(sid[:-1], "AC")
