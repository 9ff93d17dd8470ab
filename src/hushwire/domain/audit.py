"""The audit log: what was forgotten, revealed, or changed of keys and rules, as a chain of hashes.

A record names SIDs and keyed indexes, never a number, text, URL or token, so nothing in it ever
has to be forgotten. The hash of each covers the one before it: who changes, removes or moves a
record breaks the chain there. Who writes the whole rest of the chain anew does not; for that,
its head is told to others once a day, and the chain must still hold every head that was told.

The hash is SHA-256 over the hash before it (32 bytes, zeros at the beginning) and the record as
a JSON array without blanks: `[seq,at_ms,account,what,actor,subjects,detail]`. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final, Literal

from msgspec import Struct, json

from hushwire.domain.entry import Entry
from hushwire.errors import Defect

What = Literal[
    "message.revealed", "message.redacted", "message.deleted", "media.deleted", "person.erased",
    "account.opened", "account.erased", "token.made", "token.promoted", "token.revoked",
    "token.rotated", "api_key.made", "api_key.changed", "api_key.revoked", "key.rotated",
    "pepper.made", "pepper.destroyed", "settings.changed", "hold.set", "hold.lifted",
    "backup.made", "backup.restored",
]  # fmt: skip
Why = Literal["request", "rule", "expiry", "erasure", "message", "recovered"]
Kind = Literal["missing", "changed", "reordered", "cut"]

SUBJECTS_MAX: Final = 1_000  # of one record
REASON_MAX: Final = 200  # characters of the reason for a reveal

_SUBJECTS: Final = re.compile(  # SIDs, and keyed indexes as `ix:` and hex digits
    r"(?:(?:[A-Z]{2}[0-9a-f]{32}|ix:[0-9a-f]{16,64})(?: (?!\Z)|\Z))*\Z"
)
# Our own words and small numbers. Nine digits at most: a phone number cannot pass for a count.
_DETAIL: Final = re.compile(r"(?!.*\d{10})[A-Za-z0-9_.,:= -]{0,1000}\Z")


class Cause(Struct, frozen=True, gc=False):
    """Why something is forgotten, and on whose word: the SID of an account or API key, or
    nobody's but the server's own."""

    why: Why
    actor: str | None = None


RULE: Final = Cause("rule")  # its account's, or its own, when its last hold has ended
EXPIRY: Final = Cause("expiry")  # it was kept as long as its account wants
RECOVERED: Final = Cause("recovered")  # a crash had cut it in half


class Draft(Struct, frozen=True, gc=False):
    """A record that has no place in the chain yet. Raises Defect when it could say too much."""

    account: str  # SID
    what: What
    subjects: tuple[str, ...] = ()
    detail: str = ""
    actor: str | None = None

    def __post_init__(self) -> None:
        if _DETAIL.match(self.detail) is None or _SUBJECTS.match(" ".join(self.subjects)) is None:
            raise Defect(f"a record of {self.what} holds what is no SID, or no word of ours")


class AuditRecord(Struct, frozen=True, array_like=True, gc=False):
    """A record in its place."""

    seq: int  # from 1, without gaps
    at_ms: int
    account: str  # SID of whom it concerns
    what: str
    actor: str | None  # SID of the account or API key that did it; None: the server itself
    subjects: str  # SIDs and keyed indexes, parted by blanks
    detail: str
    hash: bytes

    @property
    def sid(self) -> str:
        """How pages name it."""
        return f"AU{self.seq:032x}"

    @property
    def created_ms(self) -> int:
        """When it happened: lists go by it."""
        return self.at_ms


class Reveal(Entry, frozen=True, kw_only=True):
    """Why a message was revealed. It may name a person: sealed, and kept as long as entries."""

    reason: str

    def __repr__(self) -> str:
        return f"<reveal {self.sid}>"


class Span(Struct, frozen=True):
    """Which records are looked for: from when (inclusive) to when (exclusive), Unix ms; of one
    kind, and about one subject, if these are given."""

    from_ms: int
    before_ms: int
    what: str | None = None
    subject: str | None = None


class Head(Struct, frozen=True):
    """The newest record of a chain: all that is needed to tell later whether it still stands."""

    seq: int
    hash: bytes


class Break(Struct, frozen=True):
    """The first place where a chain does not hold: at record `seq`, or where it should be."""

    seq: int
    kind: Kind


class Verdict(Struct, frozen=True):
    """What became of a verification: the chain holds up to `head`."""

    head: Head
    broken: Break | None


BEGINNING: Final = Head(0, bytes(32))


def chained(drafts: Sequence[Draft], head: Head, at_ms: int) -> Iterator[AuditRecord]:
    """The records that follow `head`. A draft with very many subjects becomes several."""
    seq, last = head.seq, head.hash
    for draft in drafts:
        for start in range(0, max(1, len(draft.subjects)), SUBJECTS_MAX):
            seq += 1
            subjects = " ".join(draft.subjects[start : start + SUBJECTS_MAX])
            content = (seq, at_ms, draft.account, draft.what, draft.actor, subjects, draft.detail)
            last = _hash(last, content)
            yield AuditRecord(*content, last)


def verify(records: Iterable[AuditRecord], anchor: bytes | None = None) -> Verdict:
    """Follow a chain from its beginning to its end, or to its first break.

    `anchor`: the hash of a head that was told earlier. A chain that does not hold it was cut at
    its end, or written anew.
    """
    head, coming = BEGINNING, iter(records)
    anchored = anchor is None or anchor == head.hash
    for record in coming:
        seq = head.seq + 1
        if record.seq != seq:
            return Verdict(head, Break(seq, _gap(seq, record, coming)))
        content = (
            seq, record.at_ms, record.account, record.what, record.actor, record.subjects,
            record.detail,
        )  # fmt: skip
        last = _hash(head.hash, content)
        if last != record.hash:
            return Verdict(head, Break(seq, "changed"))
        head = Head(seq, last)
        anchored = anchored or last == anchor
    return Verdict(head, None if anchored else Break(head.seq + 1, "cut"))


def _gap(seq: int, found: AuditRecord, rest: Iterator[AuditRecord]) -> Kind:
    """Is the record `seq`, which is not where it should be, elsewhere?"""
    if found.seq < seq or any(record.seq == seq for record in rest):
        return "reordered"
    return "missing"


_encode: Final = json.Encoder().encode


def _hash(last: bytes, content: tuple[int, int, str, str, str | None, str, str]) -> bytes:
    return sha256(last + _encode(content)).digest()
