"""Objects: where the files of media lie, sealed. A folder or an S3 bucket (docs/adr/0006).

The store knows names and bytes, nothing else. All names are chance. Those of one server begin
with the id of its vault, so that two servers that share a bucket do not sweep each other's
objects; then comes which start of the server made it, so that the sweep, which looks at what
earlier starts left, needs to know nothing of what is under way.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from hushwire.clock import Entropy
from hushwire.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from obstore import BytesStream
    from obstore.store import S3Config

T = TypeVar("T")

THREADS: Final = 8  # reads and writes at once
READ_BYTES: Final = 1 << 16
RETRY_S: Final = 5  # what somebody is told to wait while the object store does not answer
_TIMEOUT: Final = timedelta(seconds=15)
_RETRIES: Final = 2
_PLACE: Final = "place"  # tells the right folder or bucket, empty, from a wrong one


class Objects:
    """The objects of one server. `owner` is the id of its vault, in hex.

    `url` is `file:///` and a folder (a relative one lies in `data`), or
    `s3://bucket/prefix?region=…&endpoint=…`. Credentials for S3 come from the environment
    (`AWS_ACCESS_KEY_ID`, …), as AWS's own tools take them.

    Everything here may raise `Unavailable`: the folder or the bucket does not answer.
    """

    def __init__(self, url: str, data: Path, owner: str, entropy: Entropy) -> None:
        self._folder: Path | None = None
        self._prefix = owner
        self._entropy = entropy
        self._start = entropy.bytes(4).hex()
        self._marked = False
        self._marking = threading.Lock()
        self._closed = False
        if url.startswith("s3://"):
            self._store: LocalStore | S3Store = _bucket(url)
            path = urlsplit(url).path.strip("/")
            self._prefix = f"{path}/{owner}" if path else owner
        else:
            self._folder = data / url.removeprefix("file:///")
            self._store = _local(self._folder)
        self._threads = ThreadPoolExecutor(THREADS, "hushwire-media")  # started when needed

    def new_name(self) -> str:
        """A name that no object has."""
        return f"{self._start}{self._entropy.bytes(16).hex()}"

    def is_new(self, name: str) -> bool:
        """Was that name made since this start?"""
        return name.startswith(self._start)

    async def put(self, name: str, content: Iterable[bytes]) -> None:
        """Write an object. It is there whole, and durable, when this returns."""
        await self._do(self._put, name, content)

    async def get(self, name: str) -> AsyncIterator[bytes] | None:
        """The bytes of an object as they come; None when there is none of that name."""
        stream = await self._do(self._get, name)
        return None if stream is None else self._read(stream)

    async def delete(self, names: Iterable[str]) -> None:
        """Remove objects; one that is not there does no harm."""
        await self._do(self._delete, list(names))

    async def names(self) -> set[str] | None:
        """All objects of this server; None when there never was one in this place."""
        found = await self._do(self._names)
        if _PLACE not in found:
            return None
        return found - {_PLACE}

    async def remove_torn(self) -> int:
        """Remove what earlier starts that died left of writes to a folder; how many they were.

        A bucket keeps nothing of such a write.
        """
        return await self._do(self._remove_torn)

    def close(self) -> None:
        """Begin nothing more. What is under way ends in its thread."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _do(self, act: Callable[..., T], *given: object) -> T:
        """Run `act` in a thread of ours: a bucket that hangs takes no thread from others."""
        if self._closed:
            raise Unavailable("unavailable", retry_after_s=RETRY_S)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(act, *given))
        except (BaseError, OSError) as error:
            raise Unavailable("unavailable", retry_after_s=RETRY_S) from error

    async def _read(self, stream: "BytesStream") -> AsyncIterator[bytes]:
        while chunk := await self._do(_next, stream):
            yield chunk

    # In threads.

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _put(self, name: str, content: Iterable[bytes]) -> None:
        with self._marking:
            if not self._marked:
                self._mark()
        self._write(name, content)

    def _mark(self) -> None:
        for torn in self._torn(_PLACE):
            torn.unlink()
        self._write(_PLACE, ())
        if self._folder is not None:
            _sync(self._folder)
        self._marked = True

    def _write(self, name: str, content: Iterable[bytes]) -> None:
        # At most 5 MB: one request, and nothing of it stays behind when it fails.
        sealed = b"".join(content)
        obstore.put(self._store, self._path(name), sealed, use_multipart=False)
        if self._folder is not None:
            path = self._folder / self._path(name)
            for place in (path, path.parent):  # the library renames it into place, unsynced
                _sync(place)

    def _get(self, name: str) -> "BytesStream | None":
        try:
            return obstore.get(self._store, self._path(name)).stream(min_chunk_size=READ_BYTES)
        except FileNotFoundError:
            return None

    def _delete(self, names: list[str]) -> None:
        for name in names:
            try:
                obstore.delete(self._store, self._path(name))
            except FileNotFoundError:
                continue

    def _remove_torn(self) -> int:
        # The mark may be written just now: the next one who writes it removes its remains.
        ours = f"{_PLACE}#"
        torn = [
            path for path in self._torn("*")
            if not self.is_new(path.name) and not path.name.startswith(ours)
        ]  # fmt: skip
        for path in torn:
            path.unlink(missing_ok=True)
        return len(torn)

    def _torn(self, name: str) -> Iterator[Path]:
        """The library writes to `name#1`, which it lists nowhere, and renames that at the end."""
        return (self._folder / self._prefix).glob(f"{name}#*") if self._folder else iter(())

    def _names(self) -> set[str]:
        return set(self._listed())

    def _listed(self) -> Iterator[str]:
        pages = obstore.list(self._store, prefix=self._prefix)  # pyright: ignore[reportUnknownMemberType]  # of its other form, with Arrow
        for page in pages:
            for found in page:
                yield found["path"].rpartition("/")[2]


def _local(folder: Path) -> LocalStore:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"media_url: the folder {folder} cannot be made ({error.strerror}): make it, or name "
            "another"
        ) from None
    return LocalStore(folder)


def _bucket(url: str) -> S3Store:
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    config: S3Config = {}
    if region := given.get("region"):
        config["region"] = region
    if endpoint := given.get("endpoint", ""):
        config["endpoint"] = endpoint
    return S3Store(
        parts.netloc,
        config=config,
        client_options={
            "timeout": _TIMEOUT, "connect_timeout": "5s",
            "allow_http": endpoint.startswith("http://"),
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _TIMEOUT},
    )  # fmt: skip


def _next(stream: "BytesStream") -> bytes:
    """The next bytes; none at the end."""
    return next((bytes(chunk) for chunk in stream), b"")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
