"""The copy: a second directory of slot files on another disk, written before a write counts.

At a start the two are compared, slot by slot. What a slot lives through has an order,

    (generation, empty) < (generation, key) < (next generation, empty) < …

so the later of two states is known, and the other is behind: a key shredded in either is
shredded in both, and none comes back. Two images of one generation are the same key wrapped
twice (a rotation cut short): the vault is written first, so its image is the newer.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hushwire.errors import Misconfigured
from hushwire.vault.files import HEAD_BYTES, SlotFiles, file_bytes
from hushwire.vault.inventory import BLANK, runs
from hushwire.vault.seal import SLOT_BYTES

_PIECE: Final = 64 * SLOT_BYTES  # compared at once: most of a vault and its copy is equal


def open_copy(directory: Path, *, filled: bool) -> SlotFiles:
    """The files of the copy, none of them open yet. `filled`: it held some before.

    Raises `Misconfigured` with the cure when the directory is not there, or is empty although
    it was filled: then it is not the disk that it was.
    """
    if not directory.is_dir():
        raise Misconfigured(
            f"vault_copy: {directory} is not there: mount its disk, make the directory, or unset "
            "vault_copy to start without a copy"
        )
    copy = SlotFiles(directory, "vault.copy")
    if filled and not copy.numbers():
        copy.close()
        raise Misconfigured(
            f"vault_copy: {directory} is empty, and held the copy before: mount its disk; if the "
            "disk is a new one, start once with vault_copy unset, then again with it"
        )
    return copy


def attach_copy(vault: SlotFiles, copy: SlotFiles, slots: int) -> None:
    """Open every file of the copy, and bring it and the vault up to date with each other.

    `slots` is how many a file has. Files that the copy lacks are made. Raises `Misconfigured`
    when the copy is of another vault, or has a file that the vault has not.
    """
    found = copy.numbers()
    if found != list(range(len(found))) or len(found) > len(vault):
        raise Misconfigured(
            f"{vault.directory} has {len(vault)} slot files, and {copy.directory} others: restore "
            "what the vault lacks from its copy, or name the right directory in vault_copy"
        )
    for number in range(len(vault)):
        header, block = vault.header(number), vault.block(number, slots)
        if number >= len(found):
            copy.add(header, block)
            continue
        copy.attach(number)
        _require_same_vault(copy, number, header, slots)
        other = copy.block(number, slots)
        if other != block:
            vault_lacks, copy_lacks = reconcile(block, other)
            # The order of every write: the vault first.
            vault.put((number, place, images) for place, images in runs(vault_lacks, slots))
            copy.put((number, place, images) for place, images in runs(copy_lacks, slots))
        if copy.header(number) != header:
            copy.set_header(number, header)  # it was not there when the root key was rotated


def reconcile(vault: bytes, copy: bytes) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """What each of two blocks of slots lacks of the other: images by place. Pure."""
    vault_lacks: dict[int, bytes] = {}
    copy_lacks: dict[int, bytes] = {}
    for place in _different(vault, copy):
        at = place * SLOT_BYTES
        ours, theirs = vault[at : at + SLOT_BYTES], copy[at : at + SLOT_BYTES]
        if _stage(theirs) > _stage(ours):
            vault_lacks[place] = theirs
        else:
            copy_lacks[place] = ours
    return vault_lacks, copy_lacks


def _stage(image: bytes) -> tuple[int, bool]:
    """How far a slot has come: its generation, and whether it holds a key."""
    held = not image.startswith(BLANK)
    return int.from_bytes(image[len(BLANK) :], "big") or 1, held


def _different(vault: bytes, copy: bytes) -> Iterator[int]:
    for at in range(0, len(vault), _PIECE):
        if vault[at : at + _PIECE] == copy[at : at + _PIECE]:
            continue
        for slot in range(at, min(at + _PIECE, len(vault)), SLOT_BYTES):
            if vault[slot : slot + SLOT_BYTES] != copy[slot : slot + SLOT_BYTES]:
                yield slot // SLOT_BYTES


def _require_same_vault(copy: SlotFiles, number: int, header: bytes, slots: int) -> None:
    """Of a copy that was away during a rotation only the vault's id can be told, not the MAC."""
    whole = copy.size(number) == file_bytes(slots)
    if not whole or copy.header(number)[:HEAD_BYTES] != header[:HEAD_BYTES]:
        raise Misconfigured(
            f"{copy.path(number)} is not the copy of this vault's file, or is damaged: name "
            "another directory in vault_copy, or an empty one to have it filled"
        )
