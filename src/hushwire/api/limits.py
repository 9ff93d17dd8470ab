"""How often somebody may ask: token buckets, bounded in number."""

from typing import Final

BUCKETS_MAX: Final = 10_000  # the longest untouched go first: they are full again by then


class Buckets:
    """A bucket a key: it holds `burst`, and gains `per_s` a second. 0 a second is no limit."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._levels: dict[object, tuple[float, int]] = {}  # what is left, and when (Unix ms)

    def wait_s(self, key: object, now_ms: int) -> int:
        """Seconds until there is one to take; 0 when there is one now. Takes nothing."""
        left = self._left(key, now_ms)
        return 0 if left >= 1 else max(1, -int(-(1 - left) // self._per_s))

    def take(self, key: object, now_ms: int) -> int:
        """Take one and return 0; or, when there is none, the seconds until there is."""
        if not self._per_s:
            return 0
        wait_s = self.wait_s(key, now_ms)
        if not wait_s:
            left = self._left(key, now_ms)
            self._levels.pop(key, None)
            self._levels[key] = (left - 1, now_ms)
            if len(self._levels) > BUCKETS_MAX:
                del self._levels[next(iter(self._levels))]
        return wait_s

    def _left(self, key: object, now_ms: int) -> float:
        left, at_ms = self._levels.get(key, (self._burst, now_ms))
        return min(self._burst, left + max(0, now_ms - at_ms) / 1000 * self._per_s)
