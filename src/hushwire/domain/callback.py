"""Status callbacks: which customer endpoint a URL belongs to."""

from functools import lru_cache
from zlib import crc32


@lru_cache(maxsize=64)  # few customers have many endpoints
def endpoint_lane(url: str) -> int:
    """The lane of a callback URL: one per scheme, host and port.

    A checksum, so that the tasks table names no customer's host.
    """
    end = url.find("/", 8)
    for mark in "?#":
        at = url.find(mark, 8)
        if at != -1 and (end == -1 or at < end):
            end = at
    origin = url if end == -1 else url[:end]
    return crc32(origin.lower().encode())
