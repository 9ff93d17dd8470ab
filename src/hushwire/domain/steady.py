"""Is the wall clock to be trusted with forgetting? A wrong clock must not erase (design 3.3).

Wall time and the time that a process measures run side by side. A wall clock that jumps forward
by more than an hour is doubted until it was steady for a day, or went back, or somebody says
that it is right. What is late by a day harms little; what is forgotten too early is lost. Pure.
"""

from typing import Final

from msgspec import Struct

JUMP_MS: Final = 3_600_000
ABSENCE_MS: Final = 30 * 86_400_000  # a server that was off for longer doubts its clock, too
STEADY_MS: Final = 86_400_000


class Steadiness(Struct, frozen=True):
    """What is known of a wall clock. Times are milliseconds."""

    ahead_ms: int  # wall time minus measured time, as it is trusted
    doubted_ms: int | None = None  # the same as it is now, while it is doubted
    since_ms: int = 0  # measured time when the doubt began

    @property
    def trusted(self) -> bool:
        return self.doubted_ms is None


def started(wall_ms: int, measured_ms: int, last_wall_ms: int | None) -> Steadiness:
    """At a start. `last_wall_ms`: wall time when the server was last seen."""
    ahead_ms = wall_ms - measured_ms
    if last_wall_ms is not None and wall_ms - last_wall_ms > ABSENCE_MS:
        return Steadiness(last_wall_ms - measured_ms, ahead_ms, measured_ms)
    return Steadiness(ahead_ms)


def observed(known: Steadiness, wall_ms: int, measured_ms: int) -> Steadiness:
    """After a look at both clocks."""
    ahead_ms = wall_ms - measured_ms
    if ahead_ms - known.ahead_ms <= JUMP_MS:
        # Drift and corrections backwards are followed: a wrong past forgets nothing too early.
        return Steadiness(ahead_ms)
    doubted = known.doubted_ms
    if doubted is None or abs(ahead_ms - doubted) > JUMP_MS:
        return Steadiness(known.ahead_ms, ahead_ms, measured_ms)  # it jumped, perhaps again
    if measured_ms - known.since_ms >= STEADY_MS:
        return Steadiness(ahead_ms)
    return known


def confirmed(known: Steadiness) -> Steadiness:
    """Somebody says that the clock is right."""
    return known if known.doubted_ms is None else Steadiness(known.doubted_ms)
