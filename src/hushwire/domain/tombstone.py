"""A tombstone: a message of which a copy elsewhere must forget what the server forgot.

Tombstones are read off the audit log, which is written in the transaction of the forgetting and
is kept for good: so there is one for each, and none without. Pure.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from hushwire.domain.audit import AuditRecord

_PARTS: Final = {"body": "content", "numbers": "address"}  # words of the log → as it is told


class Tombstone(Struct, frozen=True):
    """What was forgotten of one message."""

    account_sid: str
    sid: str
    deleted_ms: int
    forgotten: tuple[str, ...]  # `message`: all of it; else `content`, `address`
    reason: str  # why, as the audit log has it: request, rule, expiry, …


def tombstones(record: AuditRecord) -> Iterator[Tombstone]:
    """Those that a record of `message.deleted` or `message.redacted` stands for."""
    words = record.detail.split()
    parts = tuple(told for word, told in _PARTS.items() if word in words)
    reason = words[-1] if words else ""
    for sid in record.subjects.split():
        yield Tombstone(record.account, sid, record.at_ms, parts or ("message",), reason)
