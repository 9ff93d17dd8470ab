"""Files fetched from the URLs a message names: through the guard, within limits, sealed.

The server of a URL is a stranger: it may be slow, endless, lying or dead. What it sends is
never decoded or decompressed; a file is what its first bytes say, and its server must agree.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from hushwire.domain.media import (
    MESSAGE_MAX,
    RETRIEVAL_ERROR,
    TOO_LARGE_ERROR,
    TYPE_ERROR,
    recognise,
    size_max,
)
from hushwire.outbound import Answer, Failure, FailureKind, Limits
from hushwire.store.media import MediaTable, SealedFile

FILE_S: Final = 30.0  # for one file, redirects included
MESSAGE_S: Final = 60.0  # for all files of a message

_PASSING: Final[frozenset[FailureKind]] = frozenset(
    {"resolve", "connect", "timeout_connect", "timeout_read", "timeout_total", "closed"}
)
_TOO_MANY: Final = 429


class Trouble(Struct, frozen=True):
    """Why the files of a message cannot be had."""

    error_code: int  # a delivery code (twilio-messaging 5.7)
    passing: bool = False  # it may be over in a moment


class Client(Protocol):
    """What is needed of the HTTP client."""

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure: ...


class Downloads:
    """Fetches the media of messages and writes them, sealed, to the object store."""

    def __init__(self, media: MediaTable, client: Client) -> None:
        self._media = media
        self._client = client

    async def take(self, urls: Sequence[str]) -> list[SealedFile] | Trouble:
        """All files, in the order of their URLs; nothing stays of them when one cannot be had.

        Raises Unavailable when the object store fails.
        """
        files: list[SealedFile] = []
        taken = False
        try:
            trouble = await self._take(urls, files)
            taken = trouble is None
        finally:
            if not taken:
                await self._media.discard(files)
        return files if trouble is None else trouble

    async def _take(self, urls: Sequence[str], files: list[SealedFile]) -> Trouble | None:
        loop = asyncio.get_running_loop()
        end, left = loop.time() + MESSAGE_S, MESSAGE_MAX
        for url in urls:
            left_s = min(FILE_S, end - loop.time())
            if left_s <= 0:
                return Trouble(RETRIEVAL_ERROR, passing=True)
            limits = Limits(total_ms=int(left_s * 1000), max_bytes=left)
            answer = await self._client.request("GET", url, {}, b"", limits)
            read = _read(answer)
            if isinstance(read, Trouble):
                return read
            content_type, content = read
            left -= len(content)
            files.append(await self._media.seal(content_type, content))
        return None


def _read(answer: Answer | Failure) -> tuple[str, bytes] | Trouble:
    """The type and the content of a file that is accepted."""
    if isinstance(answer, Failure):
        return Trouble(RETRIEVAL_ERROR, passing=answer.kind in _PASSING)
    if answer.status == 200 and answer.cut:
        return Trouble(TOO_LARGE_ERROR)
    if answer.status != 200 or not answer.body:
        again = answer.status >= 500 or answer.status == _TOO_MANY
        return Trouble(RETRIEVAL_ERROR, passing=again)
    content_type = recognise(answer.header("content-type"), answer.body)
    if content_type is None:
        return Trouble(TYPE_ERROR)
    if len(answer.body) > size_max(content_type):
        return Trouble(TOO_LARGE_ERROR)
    return content_type, answer.body
