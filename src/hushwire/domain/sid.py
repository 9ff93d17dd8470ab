"""Identifiers: two letters and 32 hex digits.

A message's SID carries its place in time (decision D8): 48-bit Unix milliseconds, 16-bit
node, 16-bit sequence, 48 random bits. `key` = milliseconds << 16 | sequence is the primary
key of the row; `tail` = node and random bits tells a guessed SID from a real one.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

_SHAPE = re.compile(r"[A-Z]{2}[0-9a-f]{32}\Z")


class MessageId(NamedTuple):
    """The parts of a message SID the store keys by."""

    key: int  # Unix ms << 16 | sequence, a positive 63-bit integer
    tail: bytes  # 8 bytes: node (2), random (6)


def is_sid(text: str, prefix: str) -> bool:
    """Is `text` `prefix` and 32 lower-case hex digits?"""
    return text.startswith(prefix) and _SHAPE.match(text) is not None


def new_sid(prefix: str, random16: bytes) -> str:
    """A SID of a resource that is not a message: 128 random bits."""
    return prefix + random16.hex()


def message_sid(prefix: str, ident: MessageId) -> str:
    """The SID of a message: `SM`, or `MM` when it carries media."""
    raw, tail = ident.key.to_bytes(8, "big"), ident.tail
    return prefix + (raw[:6] + tail[:2] + raw[6:] + tail[2:]).hex()


def parse_message_sid(sid: str) -> MessageId | None:
    """The key and tail inside a message SID, or None when it is not one."""
    if _SHAPE.match(sid) is None or sid[:2] not in ("SM", "MM"):
        return None
    raw = bytes.fromhex(sid[2:])
    ms = int.from_bytes(raw[:6], "big")
    if ms >> 47:
        return None
    return MessageId(ms << 16 | int.from_bytes(raw[8:10], "big"), raw[6:8] + raw[10:16])


def key_at(ms: int) -> int:
    """The smallest message key of that millisecond."""
    return ms << 16


class Mint:
    """Mints message ids that only grow, even when the clock stands still or steps back."""

    def __init__(self, node: int, last_key: int, random: Callable[[int], bytes]) -> None:
        self._node = node.to_bytes(2, "big")
        self._last = last_key
        self._random = random

    def next(self, now_ms: int) -> MessageId:
        key = now_ms << 16
        if key <= self._last:
            key = self._last + 1
        self._last = key
        return MessageId(key, self._node + self._random(6))
