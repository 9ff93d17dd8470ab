"""Which messages a caller asks for."""

from msgspec import Struct

from hushwire.private import Private


class MessageQuery(Struct, frozen=True):
    """Exact numbers, and when they were sent (Unix ms, end exclusive).

    Keyset paging: only keys between `above_key` and `below_key`, both exclusive. Of more than
    the limit the newest are found, or with `upwards` the oldest: the page before a record is
    what lies nearest above it.
    """

    account_id: int
    to: Private | None = None
    from_: Private | None = None
    sent_from_ms: int | None = None
    sent_before_ms: int | None = None
    below_key: int | None = None
    above_key: int | None = None
    upwards: bool = False
