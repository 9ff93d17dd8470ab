"""Entries: alerts, events and deliveries. What happened, kept for as long as its kind says."""

from typing import Final

from msgspec import Struct


class Entry(Struct, frozen=True, kw_only=True):
    """What all of them have. `subject` is the SID of what it is about."""

    sid: str
    account_id: int
    at_ms: int
    subject: str | None = None

    @property
    def created_ms(self) -> int:
        """When it happened: lists go by it."""
        return self.at_ms


DAY_MS: Final = 86_400_000
KEPT_DAYS: Final = 30  # as Twilio's alerts and events (9.1, 9.2)
