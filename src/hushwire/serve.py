"""Serving: the process around a `Server`: its signals, its certificate, its credentials file."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
import uvloop

from hushwire import __version__, faults
from hushwire.api.messages import is_create
from hushwire.assemble import DRAIN_S, Server
from hushwire.hardening import harden_process
from hushwire.listening import Certificate, Patience, Protocol, listen
from hushwire.observe import Journal, install_exception_hook, route_logging
from hushwire.settings import Settings, Started

CONNECTIONS_MAX: Final = 4096  # beyond: 503
RENEWAL_S: Final = 60.0  # how often the certificate's files are looked at
LOOKS: Final = 10  # at connections, in one request_timeout_s


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers: the server stops in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def run(settings: Settings, announce: Callable[[Started], None]) -> int:
    """Run the server until a signal; returns the exit code. Raises Misconfigured."""
    harden_process()
    faults.arm_from_environment()
    journal = Journal(level=settings.log_level)
    install_exception_hook(journal)
    route_logging(journal)
    cert, key = settings.tls_cert, settings.tls_key
    certificate = Certificate(cert, key) if cert is not None and key is not None else None
    listener = listen(settings.host, settings.port)
    server = Server(settings, journal)
    server.url = _url(settings, listener.getsockname()[1])
    uvloop.run(_serve(server, listener, certificate, announce))
    return 0


async def _serve(
    server: Server,
    listener: socket.socket,
    certificate: Certificate | None,
    announce: Callable[[Started], None],
) -> None:
    began = time.monotonic()
    await server.open()
    settings, journal = server.settings, server.journal
    Protocol.is_hot = staticmethod(is_create)
    http = _Http(
        uvicorn.Config(
            server.app(), http=Protocol, ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, date_header=False,
            limit_concurrency=CONNECTIONS_MAX, timeout_graceful_shutdown=int(DRAIN_S),
            ssl_context_factory=certificate.for_uvicorn if certificate is not None else None,
        )
    )  # fmt: skip
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, _stop, sign, http, stopping, server)
    if certificate is not None:
        loop.add_signal_handler(signal.SIGHUP, _renew, certificate, journal)
        _every(RENEWAL_S, _renew, certificate, journal)
    patience = Patience(http.server_state, settings.request_timeout_s)
    _every(settings.request_timeout_s / LOOKS, lambda: patience.look(loop.time()))
    serving = loop.create_task(http.serve([listener]))
    started = _credentials(server)
    ms = int((time.monotonic() - began) * 1000)
    port = int(listener.getsockname()[1])
    journal.started(__version__, port=port, ms=ms, sandbox=settings.sandbox)
    announce(started)
    # The writer thread asks for the interpreter between two waits for the disk: let it in soon.
    sys.setswitchinterval(0.0005)
    # What lives now lives for ever, and hot records cannot cycle: walking over them again and
    # again costs more in cache misses than in instructions.
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 50, 1_000)
    await serving
    drained = time.monotonic()
    await server.close()
    journal.stopped(ms=int((time.monotonic() - drained) * 1000), waiting=0)


def _stop(
    sign: signal.Signals, http: uvicorn.Server, stopping: asyncio.Event, server: Server
) -> None:
    if stopping.is_set():  # asked twice: as a crash would, and as safe
        os._exit(128 + sign)
    stopping.set()
    server.journal.stopping(sign.name.lower())
    server.tail.close()  # who follows it would hold its connection open
    http.should_exit = True


def _renew(certificate: Certificate, journal: Journal) -> None:
    """Take up a renewed certificate; one that cannot be used is told, and the old one stays."""
    try:
        certificate.renew()
    except OSError as error:
        journal.library("warning", "tls_cert", "", error)


def _every(interval_s: float, act: Callable[..., None], *given: object) -> None:
    """Act now and then while the loop runs; an error is logged, and the next time comes."""
    loop = asyncio.get_running_loop()

    def again() -> None:
        loop.call_later(interval_s, again)
        act(*given)

    loop.call_later(interval_s, again)


def _url(settings: Settings, port: int) -> str:
    """Scheme and host under which others reach us."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.tls_cert is not None else "http"
    return settings.public_url or f"{scheme}://{host}:{port}"


def _credentials(server: Server) -> Started:
    """Write DIR/credentials.json (0600), whole or not at all, and say the same to the person."""
    settings, account, url = server.settings, server.account, server.url
    numbers = [n.phone for n in server.store.accounts.numbers.values() if n.account_id == 1]
    phone = numbers[0] if numbers else ""
    path = settings.data / "credentials.json"
    _write_secret(
        path,
        msgspec.json.format(
            msgspec.json.encode({
                "url": url, "account_sid": account.sid,
                "auth_token": account.auth_token.reveal(), "phone_number": phone,
            }),
            indent=2,
        ) + b"\n",
    )  # fmt: skip
    return Started(
        url=url,
        account_sid=account.sid,
        auth_token=account.auth_token,
        phone_number=phone,
        credentials_path=path,
        sandbox=settings.sandbox,
        first_start=server.first_start,
    )


def _write_secret(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
