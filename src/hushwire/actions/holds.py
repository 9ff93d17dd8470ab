"""What can be asked of the holds on a message: what still keeps which part, and until when."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.media import Media
from hushwire.clock import Clock
from hushwire.domain.holds import FOREVER, HOLDS, Custody, HoldName, Part, holds
from hushwire.domain.media import kind_of
from hushwire.domain.message import INBOUND, Message
from hushwire.domain.privacy import Windows
from hushwire.domain.withholding import LOOK
from hushwire.store.custodian import Custodian
from hushwire.store.dues import Dues

# Holds that end when a task of that number is due, which was set when they began: whatever the
# windows are now.
_ENDS: Final[dict[HoldName, int]] = {"recovery": LOOK, "media": 9}
_REDACTED, _FETCHED = "redacted", "fetched"  # words of a history


class Held(Struct, frozen=True):
    """One reason for which one part of a message lives."""

    part: Part
    hold: HoldName
    reason: str
    owner: str  # who ends it before its time
    until_ms: int | None  # its end at the latest; None: until somebody ends it


class Forgotten(Struct, frozen=True):
    """A part that is no more. `at_ms`: when it was forgotten, at the latest; None: not known."""

    part: Part
    at_ms: int | None


class MessageHolds:
    """The holds on any message, for every door."""

    def __init__(
        self, custodian: Custodian, media: Media, dues: Dues, windows: Mapping[int, Windows],
        clock: Clock,
    ) -> None:  # fmt: skip
        """`windows`: by account."""
        self._custodian = custodian
        self._media = media
        self._dues = dues
        self._windows = windows
        self._clock = clock

    def held(self, message: Message) -> Sequence[Held]:
        """What keeps each part that lives, in the order of the parts' names."""
        custody, now_ms = self._custody(message), self._clock.now_ms()
        found = holds(custody, now_ms, self._windows[message.account_id])
        due_ms: dict[HoldName, int | None] = {
            name: self._dues.of(message.key, number) for name, number in _ENDS.items()
        }
        rows = [
            Held(
                part, hold.name, hold.reason, hold.owner, _end(hold.until_ms, due_ms.get(hold.name))
            )
            for hold in found
            for part in hold.keeps
        ]
        rows += _waiting(custody, {row.part for row in rows}, due_ms)
        return sorted(rows, key=lambda row: (row.part, list(HOLDS).index(row.hold)))

    def forgotten(self, message: Message) -> Sequence[Forgotten]:
        """What was forgotten of it. Its history tells when, but not which part went first."""
        lines = [line.split(" ") for line in message.history.splitlines()]
        times = [int(at_ms) for name, at_ms, _ in lines if name == _REDACTED]
        last_ms = times[-1] if times else None
        had_media = message.direction is INBOUND or any(line[0] == _FETCHED for line in lines)
        gone: list[Forgotten] = []
        if message.address_key is None:
            gone.append(Forgotten("address", last_ms))
        if message.content_key is None:
            gone.append(Forgotten("content", last_ms))
        if had_media and message.media > len(self._media.list(message)):
            gone.append(Forgotten("media", None))
        return gone

    def _custody(self, message: Message) -> Custody:
        custody = self._custodian.custody(message)
        if not self._media.list(message):
            return custody
        kind = kind_of(message.to, inbound=message.direction is INBOUND)
        return replace(custody, media=kind, alive=custody.alive | {"media"})


def _end(cap_ms: int, due_ms: int | None) -> int | None:
    """When a hold ends at the latest: at its cap, or when its task is due if that is later."""
    if cap_ms == FOREVER:
        return None
    return cap_ms if due_ms is None else max(cap_ms, due_ms)


def _waiting(
    custody: Custody, kept: set[Part], due_ms: dict[HoldName, int | None]
) -> Iterator[Held]:
    """Parts that no hold keeps and that live until their task is due."""
    for part in custody.alive - kept:
        name: HoldName = "media" if part == "media" else "recovery"
        until_ms = due_ms[name]
        if until_ms is not None:
            rule = HOLDS[name]
            yield Held(part, name, rule.reason, rule.owner, until_ms)
