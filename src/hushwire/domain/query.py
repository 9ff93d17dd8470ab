"""Which messages a caller asks for."""

from msgspec import Struct

from hushwire.private import Private


class MessageQuery(Struct, frozen=True):
    """Exact numbers, and when they were sent (Unix ms, end exclusive)."""

    account_id: int
    to: Private | None = None
    from_: Private | None = None
    sent_from_ms: int | None = None
    sent_before_ms: int | None = None
    below_key: int | None = None  # keyset paging: only messages older than this key
