"""A whole server in this process, without a socket: for a library that needs no server.

Its settings are those of hushwire.toml in the data directory, and their defaults. The environment
does not count: what it says may be about another server.
"""

import asyncio
from pathlib import Path
from typing import Final

import httpx

from hushwire.assemble import Server
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import UNREACHABLE, refused
from hushwire.connect.run import Connected
from hushwire.connect.wire import Wire
from hushwire.observe import Journal
from hushwire.settings import load

_URL: Final = "http://localhost"  # in links; nobody listens there


class Local:
    """Opens the server on a data directory. One process at a time can: its lock says so."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._server: _Server | None = None
        self._wire: Wire | None = None

    async def open(self) -> Connected:
        """Raises Misconfigured, as a start of the server does."""
        settings = load({}, {}, self._data_dir)
        server = _Server(settings, Journal(level="warning"))
        server.url = settings.public_url or _URL
        self._server = server
        await server.open()
        account = server.account
        basic = Basic(account.sid, account.auth_token)
        self._wire = Wire(server.url, basic, transport=_Inside(server))
        return Connected(self._wire, account.sid)

    async def close(self) -> None:
        """Drain and close. After a failure of the storage, what it holds goes with the process."""
        if self._wire is not None:
            await self._wire.close()
        if self._server is not None and not self._server.broken.is_set():
            await self._server.close()


class _Server(Server):
    """A server that cannot go on says so to its callers. The process is theirs: it lives on."""

    broken: asyncio.Event

    async def open(self) -> None:
        self.broken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await super().open()

    def _failed(self, error: BaseException) -> None:
        self.journal.storage_failed("store", error)
        self._loop.call_soon_threadsafe(self.broken.set)


class _Inside(httpx.AsyncBaseTransport):
    """Asks the application itself, and stops waiting when the server breaks."""

    def __init__(self, server: _Server) -> None:
        self._broken = server.broken
        self._app = httpx.ASGITransport(server.app())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = asyncio.ensure_future(self._app.handle_async_request(request))
        end = asyncio.ensure_future(self._broken.wait())
        try:
            await asyncio.wait((answer, end), return_when=asyncio.FIRST_COMPLETED)
            if end.done():
                raise refused(
                    UNREACHABLE, "the server in this process stopped: its storage failed; look "
                    "whether the disk is full, then start the program again",
                )  # fmt: skip
            return await answer
        finally:
            answer.cancel()
            end.cancel()
