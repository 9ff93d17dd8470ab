"""Inventory: what the process knows of every slot. In memory, pure: no I/O, no locks.

    free ── take ──▶ taken ──┐
                             ├── shred ──▶ spent ── recycle ──▶ free, one generation later
    found when opened ───────┘

What is spent waits until the row that named its key is durably gone. A generation only grows;
a slot that has had the last one stays spent.

Fresh slots, never used, are the end of the vault from one place on. They are handed out in
order, so that keys born together lie together and are written together. Everything else that
is free is a list.

A slot costs 5 bytes of memory, and 8 more while it is on that list.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from hushwire.errors import Defect
from hushwire.vault.seal import SLOT_BYTES, KeyRef

GENERATION_MAX: Final = 0xFFFFFFFF  # stored by a slot that is worn out; never handed out

BLANK: Final = bytes(SLOT_BYTES - 4)  # what a shred leaves before the generation

# The state of a slot. Its generation stands beside it in `_generations`.
_FREE: Final = 0  # to be handed out as that generation
_TAKEN: Final = 1  # handed out by this process: it lives
_FOUND: Final = 2  # held a key when the vault was opened: it lives
_SPENT: Final = 3  # shredded; its row may still name it, so it is not handed out yet


class Inventory:
    """State and generation of every slot of a vault, from slot 0 on.

    For its caller to lock: what changes it (`take`, `recycle`, `spend`, `grow`, `load`) and
    what needs it whole (`live`, `states`) run one at a time. `free`, `found` and `orphans` may
    run beside them, and so may `plan`, but for `spend`.
    """

    def __init__(self) -> None:
        self._states = bytearray()
        self._generations = array("I")
        self._fresh_from = 0  # every slot from here on was never used
        self._recycled = array("Q")  # references ready to be handed out again

    def __len__(self) -> int:
        return len(self._states)

    def free(self) -> int:
        """How many slots could be taken now."""
        return len(self._states) - self._fresh_from + len(self._recycled)

    def live(self) -> int:
        """How many slots are taken or found, and not shredded."""
        return self._states.count(_TAKEN) + self._states.count(_FOUND)

    # Handing out.

    def take(self, n: int) -> list[KeyRef] | None:
        """`n` free slots, fresh neighbours first; None, and none taken, when there are fewer."""
        if n > self.free():
            return None
        start = self._fresh_from
        end = min(start + n, len(self._states))
        self._states[start:end] = bytes((_TAKEN,)) * (end - start)
        self._fresh_from = end
        refs = list(range(start << 32 | 1, end << 32 | 1, 1 << 32))
        old = n - len(refs)
        if old:
            again = self._recycled[-old:].tolist()
            del self._recycled[-old:]
            for ref in again:
                self._states[ref >> 32] = _TAKEN
            refs += again
        return refs

    def recycle(self, refs: Iterable[KeyRef]) -> None:
        """Make spent slots free, named by what they held. Others are left alone: those that
        are not spent, have moved on since, or are worn out."""
        for ref in refs:
            slot, after = ref >> 32, (ref & 0xFFFFFFFF) + 1
            if (
                slot < len(self._states)
                and self._states[slot] == _SPENT
                and self._generations[slot] == after
                and after < GENERATION_MAX
            ):
                self._states[slot] = _FREE
                self._recycled.append(ref + 1)

    # Writing.

    def plan(self, images: Iterable[tuple[KeyRef, bytes]], shreds: Iterable[KeyRef]
             ) -> tuple[dict[int, bytes], dict[int, int]]:  # fmt: skip
        """What a write puts on disk, 64 bytes by slot; and the slots it shreds with their next
        generation, for `spend`. Changes nothing.

        A key both written and shredded is shredded; a shred of what is not live is left out.
        Raises `Defect` for an image of another size, or for a slot that is not live.
        """
        changes: dict[int, bytes] = {}
        states, generations, slots = self._states, self._generations, len(self._states)
        for ref, image in images:  # two a message: `is_live`, written out
            slot = ref >> 32
            if (
                slot >= slots
                or generations[slot] != ref & 0xFFFFFFFF
                or not _TAKEN <= states[slot] <= _FOUND
                or len(image) != SLOT_BYTES
            ):
                raise Defect("an image for a slot that was not handed out")
            changes[slot] = image
        shredded: dict[int, int] = {}
        for ref in shreds:
            if self.is_live(ref):
                slot, after = ref >> 32, min((ref & 0xFFFFFFFF) + 1, GENERATION_MAX)
                changes[slot] = BLANK + after.to_bytes(4, "big")
                shredded[slot] = after
        return changes, shredded

    def spend(self, shredded: Mapping[int, int]) -> None:
        """Note slots as shredded, with their next generation: once that is on disk."""
        for slot, after in shredded.items():
            self._states[slot] = _SPENT  # before its generation: see `found`
            self._generations[slot] = after

    def is_live(self, ref: KeyRef) -> bool:
        """Is it taken or found, and not shredded?"""
        slot = ref >> 32
        return (
            slot < len(self._states)
            and self._generations[slot] == ref & 0xFFFFFFFF
            and _TAKEN <= self._states[slot] <= _FOUND
        )

    # What was there when the vault was opened.

    def states(self) -> bytearray:
        """The states as they are, copied: for `found` and `orphans`."""
        return bytearray(self._states)

    def found(self, states: bytearray) -> Iterator[KeyRef]:
        """The keys found at open by `states`, and not shredded up to when each is yielded."""
        slot = states.find(_FOUND)
        while slot >= 0:
            # The generation first: a slot shredded meanwhile is no longer found, and never is
            # again, so what is yielded cannot name what was put there since.
            generation = self._generations[slot]
            if self._states[slot] == _FOUND:
                yield slot << 32 | generation
            slot = states.find(_FOUND, slot + 1)

    def orphans(self, states: bytearray, referenced: Iterable[KeyRef]) -> list[KeyRef]:
        """`found`, without what `referenced` names. `states` is used up."""
        for ref in referenced:
            slot = ref >> 32
            if slot < len(states) and self._generations[slot] == ref & 0xFFFFFFFF:
                states[slot] = _FREE
        return list(self.found(states))

    # Growing.

    def grow(self, count: int) -> None:
        """Add `count` fresh slots."""
        # The states last: a slot is looked up as soon as they reach it.
        self._generations.extend(array("I", [1]) * count)
        self._states.extend(bytes(count))  # _FREE

    def load(self, block: bytes) -> None:
        """Add the slots of a file, as they lie on disk: 64 bytes each."""
        first = len(self._states)
        self.grow(len(block) // SLOT_BYTES)
        used = -(-len(block.rstrip(b"\0")) // SLOT_BYTES)  # beyond the last mark of use: fresh
        if used == 0:
            return
        states, generations = _survey(block[: used * SLOT_BYTES])
        self._generations[first : first + used] = generations
        # Slots that earlier files never came to use are no longer at the fresh end.
        self._recycled.extend(range(self._fresh_from << 32 | 1, first << 32 | 1, 1 << 32))
        self._fresh_from = first + used
        place = states.find(_FREE)
        while place >= 0:
            if generations[place] == GENERATION_MAX:
                states[place] = _SPENT
            else:
                self._recycled.append(first + place << 32 | generations[place])
            place = states.find(_FREE, place + 1)
        self._states[first : first + used] = states


def runs(changes: Mapping[int, bytes], slots_per_file: int) -> Iterator[tuple[int, bytes]]:
    """The fewest writes for `changes`: neighbouring slots of one file joined, each run with its
    first slot, in order."""
    first = after = -1
    run: list[bytes] = []
    for slot in sorted(changes):
        if slot != after or slot % slots_per_file == 0:
            if run:
                yield first, b"".join(run)
            first, run = slot, []
        run.append(changes[slot])
        after = slot + 1
    if run:
        yield first, b"".join(run)


def _survey(block: bytes) -> tuple[bytearray, "array[int]"]:
    """The state (free or found) and the generation (≥ 1) of each slot in `block`.

    Found is what has any bit before its generation: remains count as a key. Column by
    column, so that a million slots cost a fraction of a second.
    """
    words = array("I", block)
    count = len(words) // 16
    bits = 0
    for column in range(15):
        bits |= int.from_bytes(words[column::16].tobytes(), "little")
    held = array("I", bits.to_bytes(count * 4, "little"))
    states = bytearray(map(bool, held)).translate(bytes((_FREE, _FOUND)) + bytes(254))
    stored = words[15::16]
    if sys.byteorder == "little":
        stored.byteswap()
    return states, array("I", [generation or 1 for generation in stored])
