"""Serving: the process around a `Server`: its socket, its signals, its credentials file."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
import uvloop

from hushwire import __version__, faults
from hushwire.assemble import DRAIN_S, Server
from hushwire.errors import Misconfigured
from hushwire.observe import Journal, install_exception_hook, route_logging
from hushwire.settings import Settings, Started
from hushwire.vault.keyring import harden_process

CONNECTIONS_MAX: Final = 4096  # beyond: 503


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
    _check_tls(settings)
    listener = _listen(settings)
    server = Server(settings, journal)
    uvloop.run(_serve(server, listener, announce))
    return 0


async def _serve(
    server: Server, listener: socket.socket, announce: Callable[[Started], None]
) -> None:
    began = time.monotonic()
    await server.open()
    settings, journal = server.settings, server.journal
    http = _Http(
        uvicorn.Config(
            server.app(), http="httptools", ws="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, date_header=False,
            limit_concurrency=CONNECTIONS_MAX, timeout_graceful_shutdown=int(DRAIN_S),
            ssl_certfile=settings.tls_cert, ssl_keyfile=settings.tls_key,
        )
    )  # fmt: skip
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, _stop, sign, http, stopping, journal)
    serving = loop.create_task(http.serve([listener]))
    started = _credentials(server, listener.getsockname()[1])
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
    sign: signal.Signals, http: uvicorn.Server, stopping: asyncio.Event, journal: Journal
) -> None:
    if stopping.is_set():  # asked twice: as a crash would, and as safe
        os._exit(128 + sign)
    stopping.set()
    journal.stopping(sign.name.lower())
    http.should_exit = True


def _check_tls(settings: Settings) -> None:
    """Refuse now what the listener could not use once the server said it is ready."""
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls_cert, settings.tls_key, password=lambda: ""
        )
    except OSError as error:  # SSLError is one
        raise Misconfigured(
            f"tls_cert and tls_key cannot be used ({getattr(error, 'reason', error.strerror)}): "
            "give a certificate chain and its key, both PEM, the key without a passphrase"
        ) from None


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise Misconfigured(
            f"host and port: cannot listen on {settings.host}:{settings.port} "
            f"({error.strerror}); stop what uses it, or give --port another number (0: any free)"
        ) from None
    listener.listen(2048)
    return listener


def _credentials(server: Server, port: int) -> Started:
    """Write DIR/credentials.json (0600), whole or not at all, and say the same to the person."""
    settings, account = server.settings, server.account
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    scheme = "https" if settings.tls_cert is not None else "http"
    url = settings.public_url or f"{scheme}://{host}:{port}"
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
