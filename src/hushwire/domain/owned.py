"""Records that belong to an account and change rarely: services, applications, templates, …"""

from msgspec import Struct


class Owned(Struct, frozen=True, kw_only=True):
    """What all of them have. Times are Unix milliseconds."""

    sid: str
    account_id: int
    created_ms: int
    updated_ms: int
