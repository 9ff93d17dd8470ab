"""The inventory: which slots are handed out, and when; no files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.errors import Defect
from hushwire.vault.inventory import GENERATION_MAX, Inventory, runs

PER_FILE = 8


def slot_bytes(remains: bytes, generation: int) -> bytes:
    return remains.ljust(60, b"\0") + generation.to_bytes(4, "big")


def image(ref: int) -> bytes:
    return slot_bytes(b"a wrapped key", ref & 0xFFFFFFFF)


def stocked(count: int) -> Inventory:
    inventory = Inventory()
    inventory.grow(count)
    return inventory


def take(inventory: Inventory, n: int) -> list[int]:
    refs = inventory.take(n)
    assert refs is not None
    return refs


def shred(inventory: Inventory, refs: list[int]) -> dict[int, bytes]:
    changes, shredded = inventory.plan((), refs)
    inventory.spend(shredded)
    return changes


def found(inventory: Inventory) -> list[int]:
    return list(inventory.found(inventory.states()))


def test_fresh_slots_go_in_order_and_recycled_ones_after_them() -> None:
    inventory = stocked(6)
    first = take(inventory, 3)
    assert first == [slot << 32 | 1 for slot in (0, 1, 2)]
    shred(inventory, first[:2])
    inventory.recycle(first[:2])
    assert inventory.free() == 5
    again = take(inventory, 4)
    assert again[:3] == [slot << 32 | 1 for slot in (3, 4, 5)]
    assert (inventory.free(), inventory.live()) == (1, 5)
    last = take(inventory, 1)
    assert {again[3], *last} == {0 << 32 | 2, 1 << 32 | 2}  # each once


def test_who_asks_for_more_than_there_is_takes_nothing() -> None:
    inventory = stocked(3)
    assert inventory.take(4) is None
    assert (inventory.free(), inventory.live()) == (3, 0)
    inventory.grow(1)
    assert take(inventory, 4) == [slot << 32 | 1 for slot in range(4)]


def test_a_plan_changes_nothing_until_it_is_on_disk() -> None:
    inventory = stocked(2)
    kept, gone = take(inventory, 2)
    planned = inventory.plan([(kept, image(kept))], [gone])
    assert planned == ({0: image(kept), 1: slot_bytes(b"", 2)}, {1: 2})
    assert inventory.live() == 2
    assert inventory.plan([(kept, image(kept))], [gone]) == planned
    inventory.spend(planned[1])
    assert inventory.live() == 1
    assert inventory.plan((), [gone]) == ({}, {})


def test_a_plan_shreds_what_it_also_writes_and_nothing_that_is_not_live() -> None:
    inventory = stocked(3)
    (ref,) = take(inventory, 1)
    later, untaken, beyond = ref + 1, 1 << 32 | 1, 3 << 32 | 1
    changes, shredded = inventory.plan([(ref, image(ref))], [later, ref, untaken, beyond])
    assert changes == {0: slot_bytes(b"", 2)}
    assert shredded == {0: 2}


def test_an_image_is_planned_only_for_a_slot_that_was_taken() -> None:
    inventory = stocked(3)
    (ref,) = take(inventory, 1)
    for wrong in (ref + 1, 1 << 32 | 1, 3 << 32 | 1):
        with pytest.raises(Defect, match="not handed out"):
            inventory.plan([(wrong, image(wrong))], ())
    with pytest.raises(Defect):
        inventory.plan([(ref, image(ref)[:-1])], ())


def test_a_spent_slot_comes_back_once_and_a_generation_later() -> None:
    inventory = stocked(2)
    first, other = take(inventory, 2)
    inventory.recycle([first])  # it lives
    assert inventory.free() == 0
    shred(inventory, [first])
    assert inventory.free() == 0
    inventory.recycle([other, first + 1, 99 << 32 | 1])
    assert inventory.free() == 0
    inventory.recycle([first, first])
    assert take(inventory, 1) == [first + 1]
    shred(inventory, [first + 1])
    inventory.recycle([first])  # it has moved on
    assert inventory.free() == 0


def test_the_last_generation_is_never_handed_out() -> None:
    inventory = Inventory()
    inventory.load(slot_bytes(b"", GENERATION_MAX - 1) + slot_bytes(b"", GENERATION_MAX))
    (last,) = take(inventory, 1)
    assert last == GENERATION_MAX - 1
    assert inventory.free() == 0
    assert shred(inventory, [last]) == {0: slot_bytes(b"", GENERATION_MAX)}
    inventory.recycle([last])
    assert inventory.free() == 0


def test_a_worn_slot_that_holds_a_key_can_still_be_shredded() -> None:
    inventory = Inventory()
    inventory.load(slot_bytes(b"key", GENERATION_MAX))
    assert found(inventory) == [GENERATION_MAX]
    assert shred(inventory, [GENERATION_MAX]) == {0: slot_bytes(b"", GENERATION_MAX)}
    assert found(inventory) == []


on_disk = st.one_of(
    st.just(bytes(64)),
    st.builds(slot_bytes, st.just(b""), st.integers(1, GENERATION_MAX)),
    st.builds(slot_bytes, st.just(b""), st.sampled_from([1, 256, GENERATION_MAX])),
    st.builds(
        lambda at, generation: slot_bytes(bytes(at) + b"\x80", generation),  # one byte of a key
        st.integers(0, 59),
        st.sampled_from([0, 1, 2, 1 << 24, GENERATION_MAX]),
    ),
)
a_file = st.lists(on_disk, max_size=PER_FILE).map(
    lambda slots: b"".join(slots).ljust(PER_FILE * 64, b"\0")
)


@given(st.lists(a_file, min_size=1, max_size=4))
def test_files_are_surveyed_as_if_slot_by_slot(files: list[bytes]) -> None:
    inventory = Inventory()
    keys: list[int] = []
    free: list[int] = []
    for number, block in enumerate(files):
        inventory.load(block)
        for place in range(PER_FILE):
            slot = block[place * 64 :][:64]
            generation = int.from_bytes(slot[60:], "big") or 1
            ref = (number * PER_FILE + place) << 32 | generation
            if any(slot[:60]):
                keys.append(ref)
            elif generation < GENERATION_MAX:
                free.append(ref)
    assert len(inventory) == len(files) * PER_FILE
    assert found(inventory) == keys
    assert inventory.live() == len(keys)
    assert inventory.free() == len(free)
    assert sorted(take(inventory, len(free))) == free
    assert inventory.take(1) is None


def test_what_is_shredded_while_it_is_looked_for_is_not_found() -> None:
    inventory = Inventory()
    refs = [slot << 32 | 5 for slot in range(4)]
    inventory.load(b"".join(image(ref) for ref in refs))
    looked_for = inventory.found(inventory.states())
    assert next(looked_for) == refs[0]
    shred(inventory, refs[1:3])
    inventory.recycle(refs[1:2])
    assert take(inventory, 1) == [refs[1] + 1]  # a key again, but none that was found
    assert list(looked_for) == refs[3:]


def test_an_orphan_is_named_by_slot_and_generation() -> None:
    inventory = Inventory()
    refs = [slot << 32 | 5 for slot in range(3)]
    inventory.load(b"".join(image(ref) for ref in refs))
    inventory.grow(1)
    (born_since,) = take(inventory, 1)
    named = [refs[0], refs[1] - 1, refs[1] + 1, 77 << 32 | 5]
    assert inventory.orphans(inventory.states(), named) == refs[1:]
    assert born_since not in inventory.orphans(inventory.states(), ())
    assert found(inventory) == refs  # to ask changes nothing


@given(st.sets(st.integers(0, 3 * PER_FILE - 1)))
def test_neighbours_of_a_file_are_one_run(slots: set[int]) -> None:
    changes = {slot: image(slot << 32 | slot + 1) for slot in sorted(slots, reverse=True)}
    written: dict[int, bytes] = {}
    starts: list[int] = []
    for first, data in runs(changes, PER_FILE):
        places = range(first, first + len(data) // 64)
        assert places[0] // PER_FILE == places[-1] // PER_FILE
        starts.append(first)
        written.update({slot: data[n * 64 :][:64] for n, slot in enumerate(places)})
    assert written == changes
    begins = {slot for slot in slots if slot % PER_FILE == 0 or slot - 1 not in slots}
    assert starts == sorted(begins)
