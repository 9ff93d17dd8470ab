"""Events: who changed what of an account, as Twilio's Monitor shows it (twilio-messaging 9.2)."""

from hushwire.domain.entry import Entry

Value = str | int | float | bool | None
Changed = tuple[Value, Value]  # previous, updated


class Event(Entry, frozen=True, kw_only=True):
    """A change of a record. `subject` is its SID."""

    type: str  # `phone-number.updated`
    resource_type: str  # `phone-number`
    actor_sid: str | None  # an account or an API key; None: the server itself
    source: str  # `api`, or `twilio` for the server itself: Twilio's words
    ip: str | None  # of the caller
    changes: dict[str, Changed]  # property → its values; of what is secret the name alone
